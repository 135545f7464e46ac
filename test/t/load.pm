# What 005_stress.pl and 006_crash.pl share: a catalogue with 50 hot accounts, and clients that do to billing.cdr whatever
# can be done to it, each in a process of its own with a psql beside it.
#
# Ordinary deadlocks are kept out, so that any that the server reports is one of billing: a transaction locks calls of
# others by one statement only, in the order of started_at, which is unique; whatever moves calls in that order locks one.
package load;
use strict;
use warnings;
use IPC::Open2;
use POSIX ();
use Time::HiRes qw(time sleep);

my @months = ('2026-01-01', '2026-02-01', '2026-03-01');
my $small = '2026-04-01';      # a day with a partition of its own, emptied now and then
our $settings = "jit = off\nmax_connections = 40\nmax_prepared_transactions = 10\nlog_error_verbosity = verbose\nlog_min_messages = warning\n";

sub catalogue
{
	return q{
	SET client_min_messages = warning;
	CREATE EXTENSION billing CASCADE;
	SELECT billing.create_ledger();
	SELECT billing.create_partitions('2026-01-01', '2026-04-01');
	SELECT billing.create_partitions('2026-04-01', '2026-04-02', '1 day');
	INSERT INTO billing.calendar (id, name, timezone, is_default) VALUES (1, 'home', 'Europe/Vilnius', true);
	INSERT INTO billing.calendar_band (calendar_id, band, starts, ends) VALUES (1, 'peak', '08:00', '20:00');
	INSERT INTO billing.exchange_rate (base, quote, valid_from, rate) VALUES ('EUR', 'USD', '2025-01-01', 1.1), ('EUR', 'USD', '2026-02-10', 1.2);
	INSERT INTO billing.tariff (id, name, currency, calendar_id, is_default_customer, first_increment, next_increment, connect_fee, boundary) VALUES
		(1, 'retail', 'EUR', 1, false, 30, 6, 0.01, 'split'), (2, 'wholesale', 'EUR', NULL, false, 1, 1, 0, 'start'), (3, 'anybody', 'USD', NULL, true, 60, 60, 0.5, 'start'),
		(11, 'buy 1', 'EUR', NULL, false, 1, 1, 0, 'start'), (12, 'buy 2', 'USD', NULL, false, 6, 6, 0, 'start'), (13, 'buy 3', 'EUR', NULL, false, 1, 1, 0, 'start');
	INSERT INTO billing.rate (tariff_id, prefix, destination, price)
	SELECT t.id, p.prefix::billing.prefix, p.destination, p.price * CASE WHEN t.id > 10 THEN 0.5 WHEN t.id = 2 THEN 0.7 ELSE 1 END
	FROM billing.tariff t, (VALUES ('44', 'UK', 0.11), ('447', 'UK mobile', 0.31), ('49', 'Germany', 0.07), ('4915', 'Germany mobile', 0.22), ('1', 'US', 0.013), ('370', 'Lithuania', 0.05)) p(prefix, destination, price);
	INSERT INTO billing.rate (tariff_id, prefix, band, destination, price) VALUES (1, '44', 'peak', 'UK', 0.19), (1, '49', 'peak', 'Germany', 0.12);
	INSERT INTO billing.plan (id, name, cycle) VALUES (1, 'minutes of an account', 'monthly'), (2, 'minutes of a service', 'weekly'), (3, 'minutes of a reseller', 'monthly');
	INSERT INTO billing.allowance (id, plan_id, name, leg, seconds, rollover) VALUES (1, 1, 'Europe', 'customer', 20000, true), (2, 2, 'all', 'customer', 3000, false), (3, 3, 'all', 'reseller', 90000, false);
	INSERT INTO billing.allowance_prefix (allowance_id, prefix, included) VALUES (1, '4', true), (1, '447', false), (2, '', true), (3, '4', true);
	-- 5 resellers, 50 customers of which 25 have one, 3 carriers.
	INSERT INTO billing.account (id, name, currency, tariff_id, timezone, plan_id)
	SELECT i, 'reseller ' || i, CASE WHEN i % 2 = 0 THEN 'USD' ELSE 'EUR' END, 2, 'UTC', CASE WHEN i = 1 THEN 3 END FROM generate_series(1, 5) i;
	INSERT INTO billing.account (id, name, currency, tariff_id, parent_id, timezone, plan_id, credit_limit)
	SELECT 10 + i, 'customer ' || i, CASE WHEN i % 5 = 0 THEN 'USD' ELSE 'EUR' END, 1, CASE WHEN i <= 25 THEN 1 + i % 5 END,
		(ARRAY['UTC', 'Europe/Vilnius', 'America/New_York', 'Asia/Kolkata'])[1 + i % 4], CASE WHEN i % 7 = 0 THEN 1 END, CASE WHEN i % 3 = 0 THEN 100000 END FROM generate_series(1, 50) i;
	INSERT INTO billing.account (id, name, is_provider, currency, tariff_id, timezone)
	SELECT 100 + i, 'carrier ' || i, true, CASE WHEN i = 2 THEN 'USD' ELSE 'EUR' END, 10 + i, 'Europe/Vilnius' FROM generate_series(1, 3) i;
	INSERT INTO billing.service (account_id, kind, identifier, cost_center, plan_id)
	SELECT 10 + i, 'auth_code', 'c' || i, CASE WHEN i % 3 = 0 THEN 'office ' || i % 2 END, CASE WHEN i % 6 = 0 THEN 2 END FROM generate_series(1, 50) i;
	INSERT INTO billing.service (account_id, kind, identifier) SELECT 10 + i, 'ani', '4930' || i + 1000 FROM generate_series(1, 50) i;
	INSERT INTO billing.service (account_id, kind, identifier, provider_id, cost_center) SELECT 10 + i, 'did', '3705' || i + 1000, 101 + i % 3, 'dids' FROM generate_series(1, 10) i;
	INSERT INTO billing.service (account_id, side, kind, identifier) SELECT 100 + i, 'provider', 'trunk', 't' || i FROM generate_series(1, 3) i;
	INSERT INTO billing.did_rate (leg, number, currency, price, connect_fee)
	SELECT l.leg, '3705' || i + 1000, 'EUR', l.price, 0.25 FROM generate_series(1, 10) i, (VALUES ('did_incoming', 0.02), ('did_owner', 0.03), ('did_provider', -0.01)) l(leg, price);
	-- Sums over the calls that share nothing with the extension.
	CREATE VIEW public.counted AS
	SELECT l.leg, l.account_id, count(*) AS calls, sum(coalesce(l.billsec, 0)) AS billsec, sum(coalesce(nullif(l.amount, 'NaN'), 0)) AS amount
	FROM billing.cdr c CROSS JOIN LATERAL (VALUES
		('customer', c.customer_account_id, c.customer_billsec, c.customer_amount), ('reseller', c.reseller_account_id, c.reseller_billsec, c.reseller_amount),
		('provider', c.provider_account_id, c.provider_billsec, c.provider_amount), ('did_incoming', c.did_incoming_account_id, c.did_incoming_billsec, c.did_incoming_amount),
		('did_owner', c.did_owner_account_id, c.did_owner_billsec, c.did_owner_amount), ('did_provider', c.did_provider_account_id, c.did_provider_billsec, c.did_provider_amount)
		) l(leg, account_id, billsec, amount)
	WHERE num_nonnulls(l.account_id, l.amount) > 0 GROUP BY 1, 2;
	CREATE VIEW public.held AS
	SELECT leg, account_id, sum(calls) AS calls, sum(billsec) AS billsec, sum(amount) AS amount FROM billing.usage GROUP BY 1, 2
	HAVING (sum(calls), sum(billsec), sum(amount)) <> (0, 0, 0);
	ANALYZE};
}

# Discrepancies by the extension and by plain SQL, under one snapshot. TRUNCATE does not respect snapshots, so whoever
# reads holds it off first.
sub discrepancies
{
	my ($node) = @_;
	return $node->safe_psql('postgres', q{
	SET client_min_messages = warning;
	BEGIN;
	LOCK TABLE billing.cdr IN ACCESS SHARE MODE;
	SELECT * FROM (
		SELECT 'verify: ' || v::text FROM billing.verify() v
		UNION ALL (SELECT 'counted, not held: ' || c::text FROM (TABLE public.counted EXCEPT TABLE public.held) c)
		UNION ALL (SELECT 'held, not counted: ' || h::text FROM (TABLE public.held EXCEPT TABLE public.counted) h)
		UNION ALL SELECT format('credits %s, in usage %s', k.amount, u.credit)
			FROM (SELECT coalesce(sum(amount), 0) AS amount FROM billing.credit) k, (SELECT coalesce(sum(credit), 0) AS credit FROM billing.usage) u WHERE k.amount <> u.credit
		UNION ALL SELECT format('stored twice: %s %s', c.source, c.call_id) FROM billing.cdr c WHERE c.call_id IS NOT NULL AND c.call_id NOT LIKE 'moved%' GROUP BY c.source, c.call_id HAVING count(*) > 1) d;
	COMMIT});
}

# How often calls with these (source, call_id) are there, where that is not once.
sub not_once
{
	my ($node, @calls) = @_;
	return '' unless @calls;
	my $list = join ',', map { "('$_->[0]','$_->[1]')" } @calls;
	return $node->safe_psql('postgres', "SELECT s.source, s.call_id, count(c.id) FROM (VALUES $list) s(source, call_id) LEFT JOIN billing.cdr c USING (source, call_id) GROUP BY 1, 2 HAVING count(c.id) <> 1");
}

# ---- random calls ----

sub pick { return $_[ int rand @_ ]; }

# Microseconds make it unique; most calls are of a few days, so that rows of usage are hot.
sub started
{
	my $day = rand() < 0.6 ? 10 + int rand 3 : 1 + int rand 28;
	my $date = rand() < 0.04 ? $small : rand() < 0.04 ? sprintf('2026-05-%02d', $day) : pick(@months) =~ s/01$/sprintf '%02d', $day/er;
	return sprintf '%s %02d:%02d:%02d.%06dZ', $date, rand 24, rand 60, rand 60, rand 1e6;
}

our @columns = qw(source call_id session_id started_at answered_at billsec disposition caller callee did auth_code dst_trunk);

sub call
{
	my ($client, $kind) = @_;
	my $customer = 1 + int rand 50;
	my %call = (source => "client $client->{number}", call_id => $kind . ++$client->{calls}, started_at => started(), billsec => int rand 300);
	$call{started_at} =~ s/^$small/2026-03-31/ if $kind eq 'kept';
	$call{billsec} = pick(0, -5, 'NaN', 0.5) if rand() < 0.03;
	$call{disposition} = pick('ANSWERED', 'BUSY') if rand() < 0.3;
	my $way = rand;
	if ($way < 0.7)
	{
		@call{qw(auth_code callee dst_trunk)} = ("c$customer", pick(qw(44 447 49 4915 1 370 99)) . int(rand 1e7), 't' . (1 + int rand 3));
	}
	elsif ($way < 0.9)
	{
		@call{qw(caller callee)} = ('4930' . ($customer + 1000), '3705' . (1001 + int rand 10));
		$call{session_id} = 's' . int rand 100 if rand() < 0.8;
		@call{qw(did dst_trunk callee)} = ($call{callee}, 't2', '49301') if rand() < 0.3;
	}
	else { @call{qw(caller callee)} = (pick('', '999'), pick('44201', 'x', '')); }
	return \%call;
}

sub quoted { return defined $_[0] ? "'$_[0]'" : 'NULL'; }

sub insert
{
	my ($table, @calls) = @_;
	return "INSERT INTO $table (" . join(', ', @columns) . ') VALUES ' . join(', ', map { my $c = $_; '(' . join(', ', map { quoted($c->{$_}) } @columns) . ')' } @calls);
}

sub copy
{
	my ($table, @calls) = @_;
	return "COPY $table (" . join(', ', @columns) . ") FROM STDIN;\n" . join('', map { my $c = $_; join("\t", map { $c->{$_} // '\N' } @columns) . "\n" } @calls) . "\\.\n";
}

# Locks some calls of anybody in order, then does something to them. Calls that are to be kept are left alone.
sub some_calls
{
	my ($most, $what) = @_;
	my $from = started();
	my $rows = 1 + int rand $most;
	$what =~ s/\bKEYS\b/SELECT k.id, k.started_at FROM k/;
	return "WITH k AS MATERIALIZED (SELECT id, started_at FROM billing.cdr WHERE started_at >= '$from' AND started_at < '2026-04-01Z' AND call_id LIKE 'c%' ORDER BY started_at, id LIMIT $rows FOR NO KEY UPDATE) $what";
}

# ---- what a client does: a name, how often, a script, the errors that may come of it, the first server that can, the clients that may ----

my $moved = '40001';       # a call that somebody has just moved to another partition; or a snapshot that is too old for it
sub several { my ($client, $kind, $most) = @_; return map { call($client, $kind) } 1 .. 1 + int rand $most; }

# 200 identities that all clients load again and again, in one order.
sub pool
{
	my ($client, $most) = @_;
	my %keys = map { int(rand 200) => 1 } 1 .. 1 + int rand $most;
	return map { my $c = call($client, 'p'); @$c{qw(source call_id started_at)} = ('pool', "p$_", sprintf('2026-02-%02d 00:00:00.%06dZ', 1 + $_ / 8, $_)); $c } sort { $a <=> $b } keys %keys;
}

my @actions = (
	[ 'one call', 20, sub { insert('billing.cdr', call($_[0], 'c')) . ';' } ],
	[ 'kept call', 10, sub { my $c = call($_[0], 'kept'); push @{ $_[0]{sent} }, $c; $_[0]{acknowledge} = [ $c ]; insert('billing.cdr', $c) . ';' } ],
	[ 'kept transaction', 5, sub {
		my @c = several($_[0], 'kept', 5);
		push @{ $_[0]{sent} }, @c;
		$_[0]{acknowledge} = \@c;
		join ";\n", 'BEGIN', (map { insert('billing.cdr', $_) } @c), 'COMMIT', '' } ],
	[ 'several calls', 10, sub { insert('billing.cdr', several($_[0], 'c', 30)) . ';' } ],
	[ 'copy', 8, sub { copy('billing.cdr', several($_[0], 'c', 80)) } ],
	[ 'copy into a partition', 2, sub { copy('billing.cdr_202602', map { $_->{started_at} =~ s/^2026-\d+/2026-02/; $_ } several($_[0], 'c', 20)) } ],
	[ 'history', 4, sub {
		my $n = 1 + int rand 10;
		my $c = "client $_[0]{number}";
		my $from = started();
		$_[0]{calls}++;
		"INSERT INTO billing.cdr (source, call_id, started_at, rated_at, status, billsec, customer_account_id, customer_billsec, customer_amount, provider_account_id, provider_billsec, provider_amount)
		SELECT '$c', 'c$_[0]{calls} ' || i, '$from'::timestamptz + i * interval '1 second', now(), 'rated', i, 11 + i % 50, i, i * 0.12345678, 101 + i % 3, i, CASE i % 4 WHEN 0 THEN 'NaN'::numeric WHEN 1 THEN NULL ELSE -i END FROM generate_series(1, $n) i;" } ],
	[ 'raw columns', 8, sub {
		my $code = 'c' . (1 + int rand 50);
		some_calls(20, "UPDATE billing.cdr c SET billsec = (c.id * 7) % 400, auth_code = CASE WHEN c.auth_code IS NULL THEN NULL ELSE '$code' END FROM k WHERE (c.id, c.started_at) = (k.id, k.started_at)") . ';' }, $moved ],
	[ 'rate again', 4, sub { some_calls(20, 'UPDATE billing.cdr c SET rated_at = NULL FROM k WHERE (c.id, c.started_at) = (k.id, k.started_at)') . ';' }, $moved ],
	[ 'by hand', 4, sub { some_calls(10, 'UPDATE billing.cdr c SET customer_amount = 1.5, customer_account_id = 11 + c.id % 50, rated_at = now() FROM k WHERE (c.id, c.started_at) = (k.id, k.started_at)') . ';' }, $moved ],
	[ 'delete', 6, sub { some_calls(30, 'DELETE FROM billing.cdr c USING k WHERE (c.id, c.started_at) = (k.id, k.started_at)') . ';' }, $moved ],
	[ 'move', 3, sub {
		my $c = call($_[0], 'moved');
		my $to = started();
		insert('billing.cdr', $c) . ";\nUPDATE billing.cdr SET started_at = '$to' WHERE source = '$c->{source}' AND call_id = '$c->{call_id}' AND started_at = '$c->{started_at}';" } ],
	[ 'savepoints', 8, sub {
		my @steps = ('BEGIN', insert('billing.cdr', several($_[0], 'c', 5)));
		for my $n (1 .. 1 + int rand 3)
		{
			push @steps, "SAVEPOINT s$n", insert('billing.cdr', several($_[0], 'c', 5));
			push @steps, pick("ROLLBACK TO s$n", "RELEASE s$n"), insert('billing.cdr', several($_[0], 'c', 2)) if rand() < 0.7;
		}
		join ";\n", @steps, pick('COMMIT', 'COMMIT', 'ROLLBACK'), '' } ],
	[ 'long transaction', 1, sub { join ";\n", 'BEGIN', (map { insert('billing.cdr', call($_[0], 'c')) } 1 .. 150), 'COMMIT', '' } ],
	[ 'do nothing', 5, sub { insert('billing.cdr', pool($_[0], 20)) . ' ON CONFLICT DO NOTHING;' } ],
	[ 'do update', 5, sub { insert('billing.cdr AS c', pool($_[0], 20)) . ' ON CONFLICT (source, call_id, started_at) DO UPDATE SET billsec = EXCLUDED.billsec, callee = EXCLUDED.callee;' } ],
	[ 'again', 2, sub { insert('billing.cdr', pool($_[0], 3)) . ';' }, '23505' ],
	[ 'snapshot, insert', 6, sub { join ";\n", 'BEGIN ISOLATION LEVEL ' . pick('REPEATABLE READ', 'SERIALIZABLE'), 'SELECT count(*) FROM billing.currency', (map { insert('billing.cdr', several($_[0], 'c', 3)) } 1 .. 3), 'COMMIT', '' } ],
	[ 'snapshot, change', 3, sub { join ";\n", 'BEGIN ISOLATION LEVEL ' . pick('REPEATABLE READ', 'SERIALIZABLE'), insert('billing.cdr', call($_[0], 'c')), some_calls(3, 'UPDATE billing.cdr c SET billsec = 77 FROM k WHERE (c.id, c.started_at) = (k.id, k.started_at)'), 'COMMIT', '' }, $moved ],
	# Its number goes to the next backend, while the transaction lives on. Who queues behind somebody who waits for it would wait for ever.
	[ 'prepared', 4, sub {
		my ($client) = @_;
		my $name = "c$client->{number}_" . ++$client->{prepared};
		join ";\n", 'BEGIN', insert('billing.cdr', several($client, 'c', 5)), insert('billing.cdr', several($client, 'c', 5)), "PREPARE TRANSACTION '$name';\n\\c -\nSET lock_timeout = '300ms'",
			insert('billing.cdr', several($client, 'c', 3)), 'SELECT pg_sleep(' . rand(0.05) . ')', insert('billing.cdr', several($client, 'c', 3)), 'RESET lock_timeout', pick('COMMIT', 'COMMIT', 'ROLLBACK') . " PREPARED '$name'", '' }, '55P03' ],
	[ 'merge', 3, sub {
		my ($c) = pool($_[0], 1);
		"MERGE INTO billing.cdr c USING (VALUES ('$c->{call_id}')) v(call_id) ON c.source = 'pool' AND c.call_id = v.call_id AND c.started_at = '$c->{started_at}'
		WHEN MATCHED THEN UPDATE SET billsec = 66 WHEN NOT MATCHED THEN INSERT (source, call_id, started_at, billsec, auth_code, callee) VALUES ('pool', v.call_id, '$c->{started_at}', 60, 'c1', '44201');" }, '23505', 15 ],
	[ 'compact', 3, sub { 'SELECT billing.compact_usage();' } ],
	[ 'authorize', 4, sub { "SELECT allowed FROM billing.authorize(auth_code => 'c" . (1 + int rand 50) . "', callee => '44" . int(rand 1000) . "', at => '" . started() . "');" } ],
	[ 'balance', 2, sub { 'SELECT sum(balance) FROM billing.balance;' } ],
	[ 'new price', 1, sub { "INSERT INTO billing.rate (tariff_id, prefix, valid_from, destination, price) VALUES (" . pick(1, 2, 11, 12) . ", '" . pick(qw(44 49 1)) . "', '" . started() . "', 'UK', " . (1 + int rand 30) / 100 . ') ON CONFLICT DO NOTHING;' } ],
	# Of some clients only, because they are an operator's.
	[ 'settle', 4, sub { 'SELECT billing.settle_credits();' }, undef, undef, '34' ],
	[ 'rerate', 3, sub { my $f = started(); "CALL billing.rerate('$f', '$f'::timestamptz + interval '3 days', batch => 200);" }, undef, undef, '1' ],
	# Whoever waits for all others holds all others up.
	[ 'truncate', 4, sub { "SET lock_timeout = '100ms';\nTRUNCATE billing.cdr_20260401;\nRESET lock_timeout;" }, '55P03', undef, '2' ],
	[ 'time zone', 2, sub { 'SELECT billing.change_timezone(' . (11 + int rand 50) . ", '" . pick('UTC', 'Europe/Vilnius', 'America/New_York') . "');" }, undef, undef, '56' ],
);

# Each once, in any order; then by how often they are wanted.
sub choose
{
	my ($client) = @_;
	my @mine = grep { (!$_->[4] || $client->{version} >= $_->[4]) && (!$_->[5] || index($_->[5], $client->{number}) >= 0) } @actions;
	$client->{first} //= [ sort { $a->[6] <=> $b->[6] } map { [ @$_[ 0 .. 5 ], rand ] } @mine ];
	return shift @{ $client->{first} } if @{ $client->{first} };
	my $sum = 0;
	$sum += $_->[1] for @mine;
	my $point = rand $sum;
	for my $action (@mine) { $point -= $action->[1]; return $action if $point < 0; }
	return $mine[-1];
}

# Gives psql a script and reads what came of it; undef when psql or the server is gone.
sub converse
{
	my ($client, $script) = @_;
	my @lines;
	my $mark = 'done ' . ++$client->{scripts};
	print { $client->{to} } "$script\n\\echo $mark\n" or return undef;
	while (my $line = readline $client->{from})
	{
		chomp $line;
		return \@lines if $line eq $mark;
		push @lines, $line;
	}
	return undef;
}

sub act
{
	my ($client) = @_;
	my $action = choose($client);
	$client->{acknowledge} = [];
	my $began = time;
	my $lines = converse($client, $action->[2]->($client));
	return 0 unless $lines;
	$client->{done}{ $action->[0] }++;
	$client->{spent}{ $action->[0] } += time - $began;
	my @errors = grep { /(ERROR|FATAL|PANIC): / } @$lines;
	for my $error (@errors)
	{
		my ($code) = $error =~ /: +(\w{5}):/;
		next if $action->[3] && $code && $action->[3] =~ /\b$code\b/;
		next if $code && $code eq '25P02';        # what follows an error in a transaction
		push @{ $client->{bad} }, "$action->[0]: $error";
	}
	push @{ $client->{acknowledged} }, @{ $client->{acknowledge} } unless @errors;
	return 1;
}

# One client until the time is over or the server is gone; writes what it has seen into a file.
sub client
{
	my ($node, $number, $seed, $until, $file) = @_;
	srand($seed + $number * 7919);
	my $client = { number => $number, calls => 0, sent => [], acknowledged => [], bad => [], done => {}, version => $node->pg_version =~ /(\d+)/ };
	$client->{calls} = int(time * 1000) % 1e9 * 1000;      # no two runs name a call alike
	$SIG{PIPE} = 'IGNORE';
	my $pid = open2($client->{from}, $client->{to}, 'exec psql -X -A -t -d "' . $node->connstr('postgres') . '" 2>&1');
	converse($client, "\\set VERBOSITY verbose\nSET client_min_messages = warning;");
	while (time < $until) { last unless act($client); }
	close $client->{to};
	waitpid $pid, 0;
	open my $out, '>', $file or die "$file: $!";
	print $out "bad\t$_\n" for @{ $client->{bad} };
	print $out "done\t$_\t$client->{done}{$_}\t$client->{spent}{$_}\n" for sort keys %{ $client->{done} };
	print $out join("\t", 'sent', map { $_ // '\N' } @$_{@columns}), "\n" for @{ $client->{sent} };
	print $out "acknowledged\t$_->{source}\t$_->{call_id}\n" for @{ $client->{acknowledged} };
	close $out;
}

# Starts the clients; finish() waits for them and returns what they have seen.
sub start
{
	my ($node, $clients, $seconds, $seed, $dir) = @_;
	my $until = time + $seconds;
	my @run;
	for my $number (1 .. $clients)
	{
		my $file = "$dir/client$number";
		unlink $file;
		my $pid = fork // die "fork: $!";
		if ($pid == 0)
		{
			eval { client($node, $number, $seed, $until, $file) };
			print STDERR $@ if $@;
			POSIX::_exit($@ ? 1 : 0);
		}
		push @run, [ $pid, $file ];
	}
	return \@run;
}

sub finish
{
	my ($run) = @_;
	my %seen = (bad => [], done => {}, sent => [], acknowledged => []);
	for (@$run)
	{
		my ($pid, $file) = @$_;
		waitpid $pid, 0;
		push @{ $seen{bad} }, "$file ended with $?" if $?;
		open my $in, '<', $file or do { push @{ $seen{bad} }, "$file: $!"; next };
		while (<$in>)
		{
			chomp;
			my ($what, @rest) = split /\t/, $_, -1;
			if ($what eq 'done') { $seen{done}{ $rest[0] } += $rest[1]; $seen{spent}{ $rest[0] } += $rest[2]; }
			elsif ($what eq 'bad') { push @{ $seen{bad} }, "@rest"; }
			else { push @{ $seen{$what} }, \@rest; }
		}
	}
	return \%seen;
}

sub actions { return map { $_->[0] } @actions; }

# How often each was done, and how many seconds all clients together spent on it.
sub report
{
	my ($seen) = @_;
	return join ', ', map { sprintf '%s %d (%.1f s)', $_, $seen->{done}{$_}, $seen->{spent}{$_} } sort { $seen->{spent}{$b} <=> $seen->{spent}{$a} } keys %{ $seen->{done} };
}

1;
