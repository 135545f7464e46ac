# The demo with 5,000 calls (P5, P6, P7, P8, P9): what its files hold on purpose is found again, every call is found
# by the right account on both sides, and every amount is what plain SQL makes of the same catalogue.
use strict;
use warnings;
use FindBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $demo = "$FindBin::Bin/../demo";
my $data = PostgreSQL::Test::Utils::tempdir();
system_or_bail($^X, "$demo/generate", $data, 5000);

my $node = PostgreSQL::Test::Cluster->new('demo');
$node->init;
$node->append_conf('postgresql.conf', "jit = off\n");
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE demo');
chdir $data or die "$data: $!";      # \copy reads from there
system_or_bail('psql', '-X', '-q', '-d', $node->connstr('demo'), '-f', "$demo/catalogue.sql", '-f', "$demo/load.sql", '-f', "$demo/oracle.sql");

for my $row (split /\n/, $node->safe_psql('demo', 'SELECT kind, description, planted, found FROM demo.found ORDER BY kind'))
{
	my ($kind, $description, $planted, $found) = split /\|/, $row;
	is($found, $planted, "$kind: $planted $description");
	cmp_ok($planted, '>', 0, "$kind: there are some");
}

is($node->safe_psql('demo', q{
	SELECT s.kind, count(*) FROM billing.account a JOIN billing.service s ON s.account_id = a.id WHERE NOT a.is_provider GROUP BY 1 ORDER BY 1}),
	"auth_code|34\nip|33\ntrunk|33", '100 customers, by auth codes, addresses and trunks');
is($node->safe_psql('demo', q{
	SELECT count(*) FROM (SELECT customer_account_id FROM billing.cdr WHERE customer_account_id IS NOT NULL GROUP BY 1) c
	WHERE customer_account_id NOT IN (SELECT id FROM billing.account WHERE NOT is_provider)}), '0', 'no call is charged to a provider as its customer');

for my $leg (qw(customer provider))
{
	is($node->safe_psql('demo', qq{
		SELECT c.source, c.call_id, c.callee, c.billsec, c.${leg}_account_id, c.${leg}_reason, c.${leg}_billsec, c.${leg}_amount, o.account_id, o.reason, o.billed, o.amount
		FROM billing.cdr c JOIN demo.oracle o USING (id, started_at)
		WHERE o.leg = '$leg' AND ((c.${leg}_account_id, c.${leg}_reason, c.${leg}_amount) IS DISTINCT FROM (o.account_id, o.reason, o.amount)
			OR o.amount IS NOT NULL AND c.${leg}_billsec <> o.billed)
		ORDER BY c.id LIMIT 5}), '', "every $leg leg is as plain SQL makes it");
}
is($node->safe_psql('demo', q{SELECT status, count(*) FROM billing.cdr GROUP BY 1 ORDER BY 1}),
	$node->safe_psql('demo', q{
		SELECT CASE priced WHEN 2 THEN 'rated' WHEN 1 THEN 'partial' ELSE 'unrated' END AS status, count(*)
		FROM (SELECT id, count(amount) FROM demo.oracle GROUP BY id) o (id, priced) GROUP BY 1 ORDER BY 1}), 'and so is the status');

my $owed = $node->safe_psql('demo', q{
	SELECT provider, sum(calls), sum(answered), sum(seconds)::int, sum(billed_seconds), sum(owed) FROM billing.provider_reconciliation WHERE month = '2026-10-01' GROUP BY 1 ORDER BY 1});
is($owed, $node->safe_psql('demo', q{
	SELECT a.name, count(*), count(*) FILTER (WHERE coalesce(o.billed > 0, true)), sum(coalesce(c.billsec, extract(epoch FROM c.ended_at - c.answered_at), 0))::int, sum(o.billed), -sum(o.amount)
	FROM demo.oracle o JOIN billing.cdr c USING (id, started_at) JOIN billing.account a ON a.id = o.account_id
	WHERE o.leg = 'provider' AND coalesce(c.answered_at, c.started_at) AT TIME ZONE a.timezone < '2026-11-01'
	GROUP BY 1 ORDER BY 1}), 'what is owed to each provider for the month');

my ($out, $err) = run_command(['psql', '-X', '-q', '-d', $node->connstr('demo'), '-f', "$demo/report.sql"]);
is($err, '', 'the report has nothing to complain of');
like($out, qr/Owed to each provider.*Vodafone.*biggest of 100 customers.*lose money.*has no price.*no_account.*on purpose/s, 'and prints its tables');
like($out, qr/rows\/s; this report took/, 'to the end');

$node->stop;
done_testing();
