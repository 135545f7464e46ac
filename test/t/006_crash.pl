# The server is killed (SIGKILL to the postmaster, alone or with all its children) in the middle of the load of 005_stress.pl, again and again
# (promises 1 and 3): after each recovery totals equal rows, every acknowledged call is there exactly once, and what clients
# send again is stored once. 2 times; 20 times with BILLING_STRESS=1. BILLING_SEED repeats the choices of a run, though not its timing.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use load;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $times = $ENV{BILLING_STRESS} ? 20 : 2;
my $seed = $ENV{BILLING_SEED} // int(rand 1e6);
note "seed $seed";

my $node = PostgreSQL::Test::Cluster->new('crash');
$node->init;
# A kill does not lose what the system has been given to write. Recovery begins at a checkpoint that is long ago.
$node->append_conf('postgresql.conf', $load::settings . "fsync = off\nsynchronous_commit = on\ncheckpoint_timeout = 1h\nrestart_after_crash = off\n");
$node->start;
$node->safe_psql('postgres', load::catalogue());
my $dir = PostgreSQL::Test::Utils::tempdir();

sub alive
{
	my ($pid) = @_;
	return kill(0, $pid) && (!-e "/proc/$pid/stat" || slurp_file("/proc/$pid/stat") !~ /\) Z /);
}

# Either the postmaster alone, so that its children go on until they notice; or all at the same moment, as in a power
# failure: the postmaster must not hear of its children's end.
sub kill_server
{
	my ($all) = @_;
	my ($postmaster) = split /\n/, slurp_file($node->data_dir . '/postmaster.pid');
	my @children = split ' ', `ps -o pid= --ppid $postmaster`;
	kill 'STOP', $postmaster;
	kill 'KILL', @children if $all;
	kill 'KILL', $postmaster;
	for (1 .. 600) { last unless grep { alive($_) } $postmaster, @children; sleep 0.05; }
	# Where nobody has waited for the postmaster yet, its number is still taken, and the next one would think that it lives.
	unlink $node->data_dir . '/postmaster.pid', $node->host . '/.s.PGSQL.' . $node->port . '.lock' if kill 0, $postmaster;
	$node->{_pid} = undef;
	return scalar @children;
}

my ($acknowledged, $unknown, $prepared, @all) = (0, 0, 0);
for my $crash (1 .. $times)
{
	my $run = load::start($node, 8, 60, $seed + $crash, $dir);
	sleep 2 + ($seed + $crash * 37) % 100 / 100;
	# One is prepared for sure; no earlier, for those who wait for all calls would hold the others up.
	$node->safe_psql('postgres', "BEGIN; INSERT INTO billing.cdr (source, call_id, started_at, billsec, auth_code, callee) VALUES ('prepared', '$crash', '2026-02-10', 60, 'c1', '44201'); PREPARE TRANSACTION 'crash $crash'");
	my $children = kill_server($crash % 2);
	my $seen = load::finish($run);
	cmp_ok($children, '>=', 8, "crash $crash: killed " . ($crash % 2 ? 'with all' : 'without') . " its $children children");
	my @bad = grep { !/57P0[123]|server closed the connection|connection to server|terminating connection|FATAL/ } @{ $seen->{bad} };
	is("@bad", '', "crash $crash: nothing failed before it (seed $seed)");

	$node->start;
	# A prepared transaction outlives the crash: neither counted nor forgotten, its calls come with it.
	is(load::discrepancies($node), '', "crash $crash: P3: totals equal rows after recovery");
	my @names = split /\n/, $node->safe_psql('postgres', 'SELECT gid FROM pg_prepared_xacts ORDER BY 1');
	$prepared += @names;
	$node->safe_psql('postgres', (($_ =~ /(\d+)$/)[0] % 2 ? 'COMMIT' : 'ROLLBACK') . " PREPARED '$_'") for @names;
	is($node->safe_psql('postgres', "SELECT count(*) FROM billing.cdr WHERE source = 'prepared' AND call_id = '$crash'"), $crash % 2, "crash $crash: the prepared call is there if it was committed");
	is(load::discrepancies($node), '', "crash $crash: P3: and after " . @names . ' prepared transactions were ended');

	is(load::not_once($node, @{ $seen->{acknowledged} }), '', "crash $crash: promise 1: " . @{ $seen->{acknowledged} } . ' acknowledged calls are there once');
	$acknowledged += @{ $seen->{acknowledged} };
	$unknown += @{ $seen->{sent} } - @{ $seen->{acknowledged} };
	# The loader does not know what became of the last ones, and sends all of them again.
	my @again;
	for my $sent (@{ $seen->{sent} }) { my %call; @call{@load::columns} = map { $_ eq '\N' ? undef : $_ } @$sent; push @again, \%call; }
	push @all, map { [ @$_[ 0, 1 ] ] } @{ $seen->{sent} };
	$node->safe_psql('postgres', load::insert('billing.cdr', @again) . ' ON CONFLICT DO NOTHING') if @again;
	is(load::not_once($node, @all), '', "crash $crash: promise 1: all " . @all . ' calls are there once after they were sent again');
	is(load::discrepancies($node), '', "crash $crash: P3: totals equal rows after that");
}
note "$acknowledged calls acknowledged, $unknown not; $prepared transactions were prepared";
cmp_ok($acknowledged, '>', 5 * $times, "calls had been acknowledged: $acknowledged");

$node->safe_psql('postgres', 'SELECT billing.settle_credits(); SELECT billing.compact_usage()');
is(load::discrepancies($node), '', 'P3: totals equal rows when all is settled and folded');
is($node->safe_psql('postgres', 'SELECT count(*) FROM billing.usage WHERE slot <> 0'), '0', 'design 6: nobody holds a slot any more');
is($node->safe_psql('postgres', 'SELECT billing.settle_credits()'), '0', 'nothing is left to settle');

$node->stop;
done_testing();
