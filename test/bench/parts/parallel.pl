# COPY by 1, 2 and 4 sessions at once: ours beside plain, calls of all customers and of one only.
my $db = base();
my $calls = size(50_000, 250_000, 500);       # of each session
heading('COPY of ' . commas($calls) . ' calls by each of 1, 2 and 4 sessions');
my @file = map { call_file("session$_", $calls, $rates, first => 10_000_000 * $_) } 1 .. 4;
my @hot = map { call_file("hot$_", $calls, $rates, first => 10_000_000 * $_, hot => 1) } 1 .. 4;
my $load = sub {
	my ($table, $sessions, @files) = @_;
	return sub {
		clean($db, $table);
		return $sessions * $calls / timed_together($db, map { "COPY $table ($raw) FROM '$files[$_]' (FORMAT csv)" } 0 .. $sessions - 1);
	};
};
my %at;
for my $sessions (1, 2, 4)
{
	$at{$sessions} = measure('COPY by sessions', 'rows/s', x => $sessions, 'plain' => $load->('bench.plain', $sessions, @file), 'rated' => $load->('bench.rating', $sessions, @file),
		'rated and counted' => $load->('billing.cdr', $sessions, @file), 'rated and counted, one customer, one carrier' => $load->('billing.cdr', $sessions, @hot));
	holds($db, 'all of them are counted', "SELECT sum(calls) = 2 * $sessions * $calls FROM billing.usage");
	my $v = $at{$sessions};
	ratio('COPY by sessions', "COPY by $sessions: rated / plain", $v->{rated}, $v->{plain}, undef, $sessions);
	ratio('COPY by sessions', "COPY by $sessions: rated and counted / plain", $v->{'rated and counted'}, $v->{plain}, undef, $sessions);
	ratio('COPY by sessions', "COPY by $sessions: hot accounts / spread", $v->{'rated and counted, one customer, one carrier'}, $v->{'rated and counted'}, '>= 0.90', $sessions);
}
for my $sessions (2, 4)
{
	my %gain = map { my $n = $_; ($n => [map { $at{$sessions}{$n}[$_] / $at{1}{$n}[$_] } 0 .. $repetitions - 1]) } keys %{ $at{1} };
	ratio('scaling', "$sessions sessions: what rated gains / what plain gains", $gain{rated}, $gain{plain}, '>= 0.95', $sessions);
	ratio('scaling', "$sessions sessions: what rated and counted gains / what plain gains", $gain{'rated and counted'}, $gain{plain}, '>= 0.95', $sessions);
}
clean($db, 'billing.cdr', 'bench.plain', 'bench.rating');
1;
