# The lookup itself, in C, by the number of prefixes: no SQL around it.
heading('one lookup in a compiled price list, numbers in random order');
my $headers = `"$ENV{PG_CONFIG}" --includedir-server`;
chomp $headers;
my $errors = `gcc -O2 -fPIC -shared -w -I'$headers' -I'$here/../../src' -o '$dir/find.so' '$here/find.c' 2>&1`;
if ($?)
{
	skip('lookup in C', 'lookup in C', 'test/bench/find.c does not fit src/deck.c any more: ' . (split /\n/, $errors)[0]);
	return 1;
}
my $db = 'bench_find';
system('createdb', $db) == 0 or die "createdb failed\n";
sql($db, "CREATE EXTENSION billing CASCADE; CREATE SCHEMA bench;
	CREATE FUNCTION bench.find(billing.prefix[], bigint[], billing.prefix[]) RETURNS float8[] LANGUAGE c AS '$dir/find.so', 'bench_find';
	CREATE TABLE bench.price (prefix text, destination text, sell numeric, buy numeric);
	CREATE TABLE bench.number (number text)");
my $numbers = size(200_000, 1_000_000, 1000);
for my $count (grep { $_ <= size(300_000, 3_000_000, 10_000) } 1000, 10_000, 100_000, 300_000, 1_000_000, 3_000_000)
{
	my $list = prefixes($count);
	seed(17);
	file('find.csv', join '', map { number($list) . "\n" } 1 .. $numbers);
	sql($db, "TRUNCATE bench.price, bench.number; COPY bench.price FROM '@{[price_file($count)]}' (FORMAT csv); COPY bench.number FROM '$dir/find.csv';
		DROP TABLE IF EXISTS bench.rate; CREATE TABLE bench.rate AS SELECT row_number() OVER () AS id, prefix::billing.prefix AS prefix FROM bench.price;
		CREATE INDEX ON bench.rate (prefix); VACUUM ANALYZE bench.rate, bench.number");
	my ($compiled, $bytes, $sum);
	my $find = sub {
		my ($ns, @more) = sql($db, 'SELECT bench.find((SELECT array_agg(prefix ORDER BY id) FROM bench.rate), (SELECT array_agg(id ORDER BY id) FROM bench.rate), (SELECT array_agg(number::billing.prefix) FROM bench.number))') =~ /([\d.e+]+)/g;
		($compiled, $bytes, $sum) = @more;
		return $ns;
	};
	my $v = measure('lookup in C', 'ns', x => $count, 'one lookup in C, by prefixes' => $find);
	holds($db, 'the lookup finds what the index finds', "$sum = (SELECT sum((SELECT r.id FROM bench.rate AS r WHERE r.prefix OPERATOR(billing.@>) n.number ORDER BY billing.length(r.prefix) DESC LIMIT 1)) FROM bench.number AS n)")
	  if $numbers <= 250_000;
	my @ns = @{ $v->{'one lookup in C, by prefixes'} };
	report('lookup in C, goal', 'one lookup in C, ' . commas($count) . ' prefixes', 'ns', median(@ns), (sort { $a <=> $b } @ns)[0, -1], $count <= 300_000 ? '<= 50' : '<= 200', undef, scalar @ns) if $count == 300_000 || $count == 3_000_000;
	report('compiling', 'compiling a price list from rates in memory', 'ms', ($compiled) x 3, undef, $count);
	report('bytes a prefix in C', 'bytes a prefix of a compiled price list', 'bytes', ($bytes) x 3, undef, $count);
}
system('dropdb', '-f', $db);
1;
