# Twenty clients at once on one prepaid account: what is reserved and what is charged never exceed what it has (design 6).
use strict;
use warnings;
use POSIX qw(WNOHANG);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('reservation');
$node->init;
$node->append_conf('postgresql.conf', "jit = off\nmax_connections = 50\n");
$node->start;

# 100.00 at 0.01 a second; the reseller buys the same for 0.02, and has 60.00 to spend: the shorter link by far.
$node->safe_psql('postgres', q{
	CREATE EXTENSION billing CASCADE;
	SELECT billing.create_ledger();
	INSERT INTO billing.tariff (id, name, currency) VALUES (1, 'retail', 'EUR'), (2, 'to resellers', 'EUR');
	INSERT INTO billing.rate (tariff_id, prefix, price) VALUES (1, '44', 0.60), (2, '44', 1.20);
	INSERT INTO billing.account (id, name, currency, tariff_id, billing, credit_limit) VALUES (1, 'Ann', 'EUR', 1, 'prepaid', 0), (10, 'reseller', 'EUR', 2, 'postpaid', 60);
	INSERT INTO billing.account (id, name, currency, tariff_id, billing, parent_id) VALUES (11, 'Bob', 'EUR', 1, 'prepaid', 10), (12, 'Cid', 'EUR', 1, 'prepaid', 10);
	INSERT INTO billing.service (account_id, kind, identifier) VALUES (1, 'extension', '101'), (11, 'extension', '111'), (12, 'extension', '112');
	INSERT INTO billing.entry (account_id, kind, amount) VALUES (1, 'payment', 100), (11, 'payment', 100), (12, 'payment', 100);
	CREATE ROLE switch LOGIN;
	GRANT USAGE ON SCHEMA billing TO switch;
	GRANT EXECUTE ON FUNCTION billing.authorize, billing.release TO switch;
	GRANT INSERT (source, call_id, started_at, caller, callee, billsec) ON billing.cdr TO switch;
	CREATE TABLE seen (client integer, refused boolean);
	GRANT INSERT ON seen TO switch;

	-- A call as a switch makes it: slices of 7 s until it ends or is refused, each a transaction, then its CDR and the release
	-- in one, so that nobody sees the call counted twice.
	CREATE PROCEDURE a_call(client integer, number integer, caller text, wanted integer) LANGUAGE plpgsql AS $$
	DECLARE
		answer record;
		granted integer := 0;
		reserved bigint;
	BEGIN
		WHILE granted < wanted LOOP
			IF reserved IS NULL THEN
				SELECT a.* INTO answer FROM billing.authorize(caller => caller, callee => '4420', reserve => 7) a;
			ELSE
				SELECT a.* INTO answer FROM billing.authorize(reservation => reserved, reserve => 7) a;
			END IF;
			COMMIT;
			EXIT WHEN NOT answer.allowed;
			granted := answer.max_seconds;
			reserved := answer.reservation_id;
		END LOOP;
		IF reserved IS NOT NULL THEN
			INSERT INTO billing.cdr (source, call_id, started_at, caller, callee, billsec)
			VALUES ('switch', format('%s-%s', client, number), now(), caller, '4420', least(granted, wanted));
			PERFORM billing.release(reserved);
			COMMIT;
		END IF;
		INSERT INTO public.seen VALUES (client, NOT answer.allowed);
		COMMIT;
	END $$;
});

# What an account has less what is charged and reserved, as any other session sees it.
my $least = q{
	SELECT min(least(s.available, s.spendable)) >= 0 FROM billing.account a CROSS JOIN LATERAL billing._spendable(a.id) s WHERE s.spendable IS NOT NULL};

sub clients
{
	my ($what, $calls, @callers) = @_;
	my $dir = PostgreSQL::Test::Utils::tempdir();
	my %running;
	for my $client (1 .. 20)
	{
		my $caller = $callers[ $client % @callers ];
		my $wanted = 20 + $client;
		append_to_file("$dir/$client.sql", join '', map { "CALL a_call($client, $_, '$caller', $wanted);\n" } 1 .. $calls);
		my $pid = fork // die "fork: $!";
		if ($pid == 0)
		{
			open STDERR, '>', "$dir/$client.err" or die $!;
			exec 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-U', 'switch', '-d', $node->connstr('postgres'), '-f', "$dir/$client.sql" or POSIX::_exit(127);
		}
		$running{$pid} = 1;
	}
	my ($looked, $bad, $failed) = (0, 0, 0);
	while (%running)
	{
		$bad++ if $node->safe_psql('postgres', $least) ne 't';
		$looked++;
		while ((my $pid = waitpid(-1, WNOHANG)) > 0) { $failed++ if delete $running{$pid} && $?; }
	}
	is(join('', map { slurp_file("$dir/$_.err") } 1 .. 20), '', "$what: no error");
	is($failed, 0, "$what: all twenty came to their end");
	cmp_ok($looked, '>', 2, "$what: it was looked at meanwhile");
	is($bad, 0, "$what: at no time was more reserved and charged than there was");
}

# 20 clients x 20 calls of 21 to 40 s: 12,200 s wanted, 10,000 s there.
clients('one account', 20, '101');
is($node->safe_psql('postgres', 'SELECT sum(customer_amount) <= 100 FROM billing.cdr WHERE customer_account_id = 1'), 't', 'C14: no more than 100.00 was spent');
is($node->safe_psql('postgres', 'SELECT spendable, available FROM billing._spendable(1)'), '0.00000000|0.00000000', 'and all of it');
cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM seen WHERE refused'), '>=', 1, 'some were refused');
is($node->safe_psql('postgres', 'SELECT count(*) FROM billing.open_reservation'), '0', 'nothing is left reserved');
is($node->safe_psql('postgres', 'SELECT count(*) FROM billing.alert'), '0', 'there was no overdraft');

# Two customers of one reseller, whose 60.00 at 0.02 a second are 3,000 s.
clients('a chain', 8, '111', '112');
is($node->safe_psql('postgres', 'SELECT sum(reseller_amount) FROM billing.cdr'), '60.00000000', 'C17: the money of the reseller bounds both');
is($node->safe_psql('postgres', 'SELECT available FROM billing._spendable(10)'), '0.00000000', 'and is spent');

# Entries are read from their index alone, once VACUUM has marked their pages.
my $all = q{SELECT string_agg(s::text, ' ' ORDER BY a.id) FROM billing.account a CROSS JOIN LATERAL billing._spendable(a.id) s};
my $before = $node->safe_psql('postgres', $all);
$node->safe_psql('postgres', 'VACUUM billing.entry');
is($node->safe_psql('postgres', "SELECT relallvisible FROM pg_class WHERE oid = 'billing.entry'::regclass"), '1', 'all of them are');
is($node->safe_psql('postgres', $all), $before, 'and are as many');

# A snapshot older than what others have reserved would let money be spent twice.
for my $level ('REPEATABLE READ', 'SERIALIZABLE')
{
	my ($status, $out, $err) = $node->psql('postgres', qq{BEGIN ISOLATION LEVEL $level; SELECT allowed FROM billing.authorize(caller => '101', callee => '4420', reserve => 7);});
	like($err, qr/a reservation cannot be made in a transaction that is $level.*READ COMMITTED/s, "$level: refused");
	is($node->safe_psql('postgres', qq{BEGIN ISOLATION LEVEL $level; SELECT reason FROM billing.authorize(caller => '101', callee => '4420')}), 'not_enough_balance', 'but asking is not');
}

$node->stop;
done_testing();
