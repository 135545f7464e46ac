# What a call with three DID legs costs, beside one with customer and provider; either by a price for work days.
my $calls = size(100_000, 200_000, 1000);
heading('rate_call() over ' . commas($calls) . ' calls');
my $db = 'bench_legs';
system('createdb', $db) == 0 or die "createdb failed\n";
sql($db, slurp("$here/legs.sql"), rows => $calls);
my $run = sub {
	my ($what) = @_;
	return sub {
		return timed($db, "SELECT count((billing.rate_call(c)).status) FROM bench.\"$what\" AS c", "SET max_parallel_workers_per_gather = 0; SELECT count((billing.rate_call(c)).status) FROM bench.\"$what\" AS c WHERE id <= 5000;") / $calls * 1e6;
	};
};
my $v = measure('legs', 'us', map { ("a call with $_" => $run->($_)) } 'two legs', 'three DID legs', 'two legs, by day', 'three DID legs, by day');
ratio('legs', 'three DID legs / two legs', $v->{'a call with three DID legs'}, $v->{'a call with two legs'}, '<= 1.5');
ratio('legs', 'three DID legs / two legs, by day', $v->{'a call with three DID legs, by day'}, $v->{'a call with two legs, by day'}, '<= 1.5');
system('dropdb', '-f', $db);
1;
