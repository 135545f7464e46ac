# authorize(): how long a switch waits. In the server, one session, warm; and over the socket beside SELECT 1.
my $db = base();
my $asked = size(20_000, 100_000, 200);
heading('authorize() of ' . commas($asked) . ' calls');
# Customers with money, in a month in which they have called.
my $file = call_file('authorized', size(20_000, 200_000, 200), $rates);
clean($db, 'billing.cdr');
sql($db, "COPY billing.cdr ($raw) FROM '$file' (FORMAT csv);
UPDATE billing.account SET billing = 'prepaid' WHERE NOT is_provider;
INSERT INTO billing.entry (account_id, at, kind, amount) SELECT id, '2026-09-30', 'payment', 1000000 FROM billing.account WHERE NOT is_provider;
SELECT billing.compact_usage(); VACUUM ANALYZE billing.usage, billing.entry;
DROP TABLE IF EXISTS bench.asked; CREATE TABLE bench.asked AS SELECT row_number() OVER () AS n, callee, auth_code, dst_trunk FROM billing.cdr LIMIT $asked;
ANALYZE bench.asked");
my $n = sql($db, 'SELECT count(*) FROM bench.asked');
my $call = "billing.authorize(callee => a.callee, caller => '12125550000', auth_code => a.auth_code, dst_trunk => a.dst_trunk, at => '2026-10-20 10:00+00')";
same($db, 'not allowed', "SELECT a.n, r.reason FROM bench.asked AS a, LATERAL $call AS r WHERE r.allowed IS DISTINCT FROM true AND a.n <= 1000");
# The price that a call was promised is the one that it is rated by.
same($db, 'authorize() and rating name another rate', "SELECT a.n, r.rate_id FROM bench.asked AS a, LATERAL $call AS r, LATERAL billing.rate_call((SELECT c FROM (SELECT a.callee, a.auth_code, a.dst_trunk, timestamptz '2026-10-20 10:00+00' AS started_at) AS c)) AS p
	WHERE r.rate_id IS DISTINCT FROM p.customer_rate_id AND a.n <= 1000");
my $warm = 'SELECT count((billing.rate_call(c)).status) FROM billing.cdr AS c;';
my $random = "\\set n random(1, $n)\n\\set callee random(10000000000, 99999999999)\n\\set customer random(1, $customers)\n\\set carrier random(1, $carriers)\n";
my $begin = warm_up($warm);
my $named = "billing.authorize(callee => :callee::text, caller => '12125550000', auth_code => 'code ' || :customer::text, dst_trunk => 'carrier ' || :carrier::text, at => '2026-10-20 10:00+00'";
my $asks = file('authorize.sql', "$random$begin" . "SELECT allowed FROM $named);\n");
my $reserves = file('reserve.sql', "$random$begin" . "SELECT allowed FROM $named, reserve => 60, expires => '1 second');\n");
my $one = file('one.sql', "$random$begin" . "SELECT 1;\n");
my $v = measure('authorize', 'us',
	'in the server, one statement' => sub { return timed($db, "SELECT count((($call)).allowed) FROM bench.asked AS a", "$warm SELECT count(($call).allowed) FROM bench.asked AS a WHERE n <= 100;") / $n * 1e6; },
	'SELECT 1 over the socket' => sub { return 1e6 / pgbench($db, $one); },
	'over the socket' => sub { return 1e6 / pgbench($db, $asks); },
	'with a reservation, over the socket' => sub { return 1e6 / pgbench($db, $reserves); });
report('authorize', 'authorize(), in the server', 'us', median(@{ $v->{'in the server, one statement'} }), (sort { $a <=> $b } @{ $v->{'in the server, one statement'} })[0, -1], '<= 50');
my @over = map { $v->{'over the socket'}[$_] - $v->{'SELECT 1 over the socket'}[$_] } 0 .. $repetitions - 1;
report('authorize', 'authorize(), over the socket, less SELECT 1', 'us', median(@over), (sort { $a <=> $b } @over)[0, -1], '<= 50');
# Entries add up with the years.
my $of_one = "FROM generate_series(1, 1000) AS n, LATERAL (SELECT '1212' || 5550000 + n AS callee, 'code 1' AS auth_code, 'carrier 1' AS dst_trunk) AS a";
for my $entries (1, 100, 1000, 10_000)
{
	sql($db, "INSERT INTO billing.entry (account_id, at, kind, amount) SELECT a.id, '2026-09-30', 'payment', 1 FROM billing.account AS a, generate_series(2, $entries) WHERE a.name = 'customer 1' AND $entries > 1;
		CHECKPOINT; VACUUM ANALYZE billing.entry");
	measure('authorize by entries', 'us', x => $entries, 'in the server, by entries of the account' => sub {
		return timed($db, "SELECT count((($call)).allowed) $of_one", "$warm SELECT count(($call).allowed) $of_one;") / 1000 * 1e6; });
}
sql($db, "SET session_replication_role = replica; DELETE FROM billing.entry; RESET session_replication_role; TRUNCATE billing.reservation CASCADE;
	UPDATE billing.account SET billing = 'postpaid' WHERE NOT is_provider");
clean($db, 'billing.cdr');
1;
