# 100,000 single INSERTs in one transaction: the last tenth must cost what the first did.
my $db = base();
my $each = size(10_000, 10_000, 100);
heading('10 x ' . commas($each) . ' INSERTs of one call in one transaction');
my $run = sub {
	my ($table) = @_;
	my $script = "BEGIN;\n";
	for my $tenth (1 .. 10)
	{
		$script .= "SELECT 'at ' || extract(epoch FROM clock_timestamp());\n";
		for my $n (1 .. $each)
		{
			$script .= "INSERT INTO $table ($raw) VALUES ('bench', '$tenth-$n', '2026-10-03 10:00+00', '2026-10-03 10:00+00', '2026-10-03 10:01+00', 60, 'ANSWERED', '12125550000', '442079460000', 'code 1', 'carrier 1', '192.0.2.1');\n";
		}
	}
	$script .= "SELECT 'at ' || extract(epoch FROM clock_timestamp());\nCOMMIT;\n";
	clean($db, $table);
	my @at = sql($db, $script) =~ /^at ([\d.]+)/mg;
	return map { ($at[ $_ + 1 ] - $at[$_]) / $each * 1e6 } 0 .. 9;
};
for my $what (['plain', 'bench.plain'], ['rated and counted', 'billing.cdr'])
{
	my ($name, $table) = @$what;
	my @runs = map { [$run->($table)] } 1 .. $repetitions;
	my ($first, $last) = ([map { $_->[0] } @runs], [map { $_->[9] } @runs]);
	report('one long transaction', "$name, first tenth", 'us/call', median(@$first), min(@$first), max(@$first), undef, 1, scalar @runs);
	report('one long transaction', "$name, last tenth", 'us/call', median(@$last), min(@$last), max(@$last), undef, 10, scalar @runs);
	ratio('one long transaction', "One transaction, $name: last tenth / first", $last, $first, $table eq 'billing.cdr' ? '<= 1.5' : undef);
}
holds($db, 'all of them are counted on two legs', "SELECT sum(calls) = 2 * 10 * $each FROM billing.usage");
clean($db, 'billing.cdr', 'bench.plain');
1;
