# The only call of a fresh backend, beside the same in a warm one: timed by the client, a statement each. Once as it comes,
# once where the server has loaded the library at its start, which a session otherwise does in its first call.
my $db = base();
my $sessions = 10;
my $insert = sub {
	my ($table, $n) = @_;
	our $serial;
	$serial++;
	return "INSERT INTO $table ($raw) VALUES ('bench', 'fresh $serial', '2026-10-03 10:00+00', '2026-10-03 10:00+00', '2026-10-03 10:01+00', 60, 'ANSWERED', '12125550000', '44207946$serial', 'code 1', 'carrier 1', '192.0.2.1');\n";
};
my $rate = sub { our $number; $number++; return "SELECT status, customer_amount FROM billing.rate_call((SELECT c FROM (SELECT '44207946' || $number AS callee, 'code 1' AS auth_code, 'carrier 1' AS dst_trunk, timestamptz '2026-10-03 10:00+00' AS started_at, 60::numeric AS billsec) AS c));\n"; };
# Milliseconds of the first statement, and the median of the last ten of 30.
my $session = sub {
	my ($code) = @_;
	my @ms = sql($db, "SELECT 1;\n\\timing on\n" . join('', map { $code->() } 1 .. 30)) =~ /^Time: ([\d.]+) ms/mg;
	die "no times\n" unless @ms == 30;
	return ($ms[0], median(@ms[20 .. 29]));
};
my %code = ('INSERT, plain' => sub { $insert->('bench.plain') }, 'INSERT, rated' => sub { $insert->('bench.rating') }, 'INSERT, rated and counted' => sub { $insert->('billing.cdr') }, 'rate_call' => $rate);
my @names = ('INSERT, plain', 'INSERT, rated', 'INSERT, rated and counted', 'rate_call');
my $spread = sub { return (median(@_), (sort { $a <=> $b } @_)[0, -1]); };
for my $preload ('', 'billing')
{
	my $how = $preload ? ', preloaded' : '';
	heading("the first call of a session beside its 30th, $sessions sessions a repetition" . ($preload ? ', shared_preload_libraries = billing' : ''));
	if ($preload) { setting(shared_preload_libraries => $preload); restart(); }
	my (%first, %warm);
	for (1 .. $repetitions)
	{
		for my $name (@names)
		{
			my (@f, @w);
			for (1 .. $sessions) { my ($f, $w) = $session->($code{$name}); push @f, $f; push @w, $w; }
			push @{ $first{$name} }, median(@f);
			push @{ $warm{$name} }, median(@w);
		}
	}
	for my $name (@names)
	{
		report('fresh', "$name$how, first", 'ms', $spread->(@{ $first{$name} }), undef, undef, $repetitions);
		report('fresh', "$name$how, warm", 'ms', $spread->(@{ $warm{$name} }), undef, undef, $repetitions);
		report('fresh', "$name$how, first less warm", 'ms', $spread->(map { $first{$name}[$_] - $warm{$name}[$_] } 0 .. $repetitions - 1), $name eq 'rate_call' ? '<= 1' : undef, undef, $repetitions);
		next unless $name =~ /rated/;
		report('fresh', "$name$how, first less warm, beyond plain", 'ms', $spread->(map { $first{$name}[$_] - $warm{$name}[$_] - $first{'INSERT, plain'}[$_] + $warm{'INSERT, plain'}[$_] } 0 .. $repetitions - 1), '<= 1', undef, $repetitions);
	}
}
sql('postgres', 'ALTER SYSTEM RESET shared_preload_libraries');
restart();
same($db, 'not rated', "SELECT call_id, status FROM billing.cdr WHERE status <> 'rated'");
clean($db, 'billing.cdr', 'bench.plain', 'bench.rating');
1;
