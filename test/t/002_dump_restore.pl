# A dump of the demo's database comes back equal, row for row, priced as it was and not again, with what its user has
# added to billing.cdr and all that is kept beside the calls; and the extension cannot be dropped from under a ledger (design 2).
use strict;
use warnings;
use FindBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $demo = "$FindBin::Bin/../demo";
my $data = PostgreSQL::Test::Utils::tempdir();
system_or_bail($^X, "$demo/generate", $data, 3000);

my $node = PostgreSQL::Test::Cluster->new('dump');
$node->init;
$node->append_conf('postgresql.conf', "jit = off\n");
$node->start;
$node->safe_psql('postgres', "CREATE DATABASE $_") for qw(demo plain custom sections data);
chdir $data or die "$data: $!";      # \copy reads from there
system_or_bail('psql', '-X', '-q', '-d', $node->connstr('demo'), '-f', "$demo/catalogue.sql", '-f', "$demo/load.sql");

# What a user adds to the table, and a later price that would make other amounts of the same calls.
$node->safe_psql('demo', q{
	CREATE INDEX cdr_callee ON billing.cdr (callee text_pattern_ops);
	ALTER TABLE billing.cdr ADD COLUMN note text;
	UPDATE billing.cdr SET note = 'checked by ' || source WHERE call_id LIKE '%7';
	CREATE FUNCTION public.aa_refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'no calls today'; END$$;
	CREATE TRIGGER aa_refuse BEFORE INSERT ON billing.cdr FOR EACH ROW EXECUTE FUNCTION public.aa_refuse();
	ALTER TABLE billing.cdr DISABLE TRIGGER aa_refuse;
	INSERT INTO billing.rate (tariff_id, prefix, destination, price, valid_from)
	SELECT t.id, p::text::billing.prefix, 'dearer', 9, '2026-10-01' FROM billing.tariff t, generate_series(1000, 9999) p WHERE t.name IN ('Retail', 'Vitelity 2026')
	ON CONFLICT DO NOTHING});

# What is kept beside the calls: an account with a plan, payments, included minutes that are settled, an archived partition,
# a closed period, calls that were rated again, names that were changed, a reservation, an alert.
$node->safe_psql('demo', q{
	SELECT billing.create_partitions('2025-01-01Z', '2025-03-01Z');
	WITH t AS (INSERT INTO billing.tariff (name, currency) VALUES ('Kept', 'EUR') RETURNING id), r AS (
		INSERT INTO billing.rate (tariff_id, prefix, destination, price) SELECT id, '49', 'Germany', 0.6 FROM t)
	INSERT INTO billing.plan (name, tariff_id) SELECT 'Kept', id FROM t;
	INSERT INTO billing.allowance (plan_id, name, seconds, rollover) SELECT id, 'Germany', 600, true FROM billing.plan WHERE name = 'Kept';
	INSERT INTO billing.allowance_prefix (allowance_id, prefix) SELECT id, '49' FROM billing.allowance WHERE name = 'Germany';
	WITH a AS (INSERT INTO billing.account (name, currency, plan_id, billing, timezone) SELECT 'Kept', 'EUR', id, 'prepaid', 'Europe/Berlin' FROM billing.plan WHERE name = 'Kept' RETURNING id)
	INSERT INTO billing.service (account_id, kind, identifier, cost_center) SELECT id, 'auth_code', 'kept', 'lab' FROM a;
	INSERT INTO billing.entry (account_id, kind, amount, at) SELECT id, 'payment', m, '2025-01-10Z' FROM billing.account, unnest(ARRAY[50, 25]) m WHERE name = 'Kept';
	INSERT INTO billing.cdr (source, call_id, started_at, billsec, caller, callee, auth_code)
	SELECT 'kept', i::text, '2025-01-02Z'::timestamptz + i * interval '1 day', 90, '100', '4930123', 'kept' FROM generate_series(1, 50) i;
	SELECT billing.settle_credits();
	SELECT billing.archive('2025-02-01Z');
	SELECT billing.compact_usage();
	SELECT billing.close_period(id, '2025-02-10') FROM billing.account WHERE name = 'Kept';
	INSERT INTO billing.rate (tariff_id, prefix, destination, price) SELECT id, '4930', 'Berlin', 0.9 FROM billing.tariff WHERE name = 'Kept'});
$node->safe_psql('demo', q{CALL billing.rerate('2025-01-01', '2025-03-01')});
$node->safe_psql('demo', q{
	SELECT billing.rename_destination(id, 'Berlin', 'Berlin, landline') FROM billing.tariff WHERE name = 'Kept';
	SELECT billing.change_cost_center(id, 'attic') FROM billing.service WHERE identifier = 'kept';
	SELECT billing.authorize(auth_code => 'kept', callee => '4930123', reserve => 60);
	SELECT billing.authorize(auth_code => 'kept', callee => '4930123', reserve => 60);
	SELECT billing.release(1);
	INSERT INTO billing.cdr (source, call_id, started_at, billsec, caller, callee, auth_code) VALUES ('kept', 'late', '2025-01-20Z', 90, '100', '4930123', 'kept'),
		('kept', 'long', '2025-03-20Z', 9000, '100', '4930123', 'kept');
	SELECT billing.check_overdrafts();
	INSERT INTO billing.cdr (source, call_id, started_at, billsec, caller, callee, auth_code) VALUES ('kept', 'pending', '2025-02-20Z', 90, '100', '4930123', 'kept');
	ANALYZE});
for my $table (qw(usage usage_month credit archived_credit archived_partition entry allowance_cycle reservation alert rerate_progress rating_revision period_close label_change
	credit_queue))
{
	is($node->safe_psql('demo', "SELECT count(*) > 0 FROM billing.$table"), 't', "there is something in billing.$table");
}

system_or_bail('pg_dump', '-d', $node->connstr('demo'), '-f', "$data/plain.sql");
system_or_bail('psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-d', $node->connstr('plain'), '-f', "$data/plain.sql");
system_or_bail('pg_dump', '-Fc', '-d', $node->connstr('demo'), '-f', "$data/custom.dump");
system_or_bail('pg_restore', '--exit-on-error', '-j', '2', '-d', $node->connstr('custom'), "$data/custom.dump");

# In sections, and the data alone into what the schema alone has made.
system_or_bail('pg_restore', '--exit-on-error', "--section=$_", '-d', $node->connstr('sections'), "$data/custom.dump") for qw(pre-data data post-data);
system_or_bail('pg_restore', '--exit-on-error', '--schema-only', '-d', $node->connstr('data'), "$data/custom.dump");
system_or_bail('pg_restore', '--exit-on-error', '--data-only', '--disable-triggers', '-d', $node->connstr('data'), "$data/custom.dump");
like($node->safe_psql('data', q{SELECT string_agg(DISTINCT "check", ' ') FROM billing.verify()}), qr/^trigger$/, 'data: verify() tells of triggers that --disable-triggers has changed, and of nothing else');
# The trigger that its user had disabled, --disable-triggers has enabled on each partition.
$node->safe_psql('data', 'SELECT billing.upgrade_ledger(); ALTER TABLE billing.cdr ENABLE TRIGGER aa_refuse; ALTER TABLE billing.cdr DISABLE TRIGGER aa_refuse; ANALYZE');
my @restored = qw(plain custom sections data);

# Each query's lines in every database, and what is different: a few lines of it, for a failure to show.
my @relations = split /\n/, $node->safe_psql('demo', q{
	SELECT c.oid::regclass FROM pg_class c WHERE c.relnamespace IN ('billing'::regnamespace, 'demo'::regnamespace) AND c.relkind IN ('r', 'p', 'v')});
my %same = (
	'rows of tables and views' => join(' UNION ALL ', map { "SELECT '$_', t::text FROM $_ t" } @relations),
	'indexes' => q{SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'billing'},
	'triggers and their states' => q{SELECT tgrelid::regclass, tgname, tgenabled, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal},
	# But NOT NULL, which 18 has as constraints with names of its own choice; attnotnull below tells of it.
	'constraints' => q{SELECT conrelid::regclass, conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'billing'::regnamespace AND contype <> 'n'},
	'columns and defaults' => q{SELECT attrelid::regclass, attnum, attname, format_type(atttypid, atttypmod), attnotnull, attidentity, pg_get_expr(adbin, adrelid)
		FROM pg_attribute a LEFT JOIN pg_attrdef d ON adrelid = attrelid AND adnum = attnum
		WHERE attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'billing'::regnamespace AND relkind IN ('r', 'p', 'v')) AND attnum > 0},
	'privileges' => q{SELECT oid::regclass, relacl FROM pg_class WHERE relnamespace = 'billing'::regnamespace},
	'comments' => q{SELECT pg_describe_object(classoid, objoid, objsubid), description FROM pg_description WHERE pg_describe_object(classoid, objoid, objsubid) LIKE '%billing.%'},
	'members of the extension' => q{SELECT pg_describe_object(classid, objid, objsubid) FROM pg_depend
		WHERE deptype = 'e' AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'billing')},
	'version of the ledger' => q{SELECT billing.ledger_version()});
sub lines { my ($db, $query) = @_; return sort split /\n/, $node->safe_psql($db, $query); }
sub differences
{
	my ($one, $other) = @_;
	my %count;
	$count{$_}++ for @$one;
	$count{$_}-- for @$other;
	my @different = map { ($count{$_} > 0 ? '- ' : '+ ') . $_ } grep { $count{$_} } sort keys %count;
	return join "\n", @different[0 .. ($#different > 9 ? 9 : $#different)];
}

cmp_ok(scalar @relations, '>', 20, 'there are tables and views to compare: ' . scalar @relations);
for my $what (sort keys %same)
{
	my @of_demo = lines('demo', $same{$what});
	cmp_ok(scalar @of_demo, '>', 0, "$what: there are some");
	is(differences(\@of_demo, [ lines($_, $same{$what}) ]), '', "$_: $what: equal") for @restored;
}
is($node->safe_psql($_, 'SELECT * FROM billing.verify()'), '', "$_: verify() finds nothing wrong") for 'demo', @restored;
for my $db (@restored)
{
	is($node->safe_psql($db, q{SELECT count(*) > 100, count(*) FILTER (WHERE note <> 'checked by ' || source) FROM billing.cdr WHERE note IS NOT NULL}), 't|0', "$db: the added column");
	is($node->safe_psql($db, q{SELECT tgenabled FROM pg_trigger WHERE tgrelid = 'billing.cdr'::regclass AND tgname = 'aa_refuse'}), 'D', "$db: the user's trigger is still disabled");
}

# The next call: rated in each, to the same amounts, under an id of its own.
my %next;
for my $db ('demo', @restored)
{
	$next{$db} = $node->safe_psql($db, q{
		INSERT INTO billing.cdr (source, call_id, started_at, answered_at, ended_at, billsec, disposition, caller, callee, auth_code)
		VALUES ('vitelity', 'the next call', '2026-10-20 12:00+00', '2026-10-20 12:00:05+00', '2026-10-20 12:01:06+00', 61, 'ANSWERED', '12125550000', '12125551234', '410000')
		RETURNING status, customer_account_id, customer_billsec, customer_amount, provider_account_id, provider_billsec, provider_amount,
			id > (SELECT max(id) FROM billing.cdr WHERE call_id <> 'the next call')});
}
like($next{demo}, qr/^rated\|\d+\|120\|[\d.]+\|\d+\|66\|-[\d.]+\|t$/, "the next call is rated on both sides, each by its increments: $next{demo}");
is($next{$_}, $next{demo}, "$_: and so it is after a restore") for @restored;

for my $db ('demo', @restored)
{
	my ($status, undef, $err) = $node->psql($db, 'DROP EXTENSION billing');
	isnt($status, 0, "$db: DROP EXTENSION is refused");
	like($err, qr/cannot drop extension billing because other objects depend on it/, "$db: because the ledger stands");
	is($node->safe_psql($db, q{SELECT count(*) FROM billing.cdr WHERE call_id = 'the next call'}), '1', "$db: and nothing is lost");
}

$node->stop;
done_testing();
