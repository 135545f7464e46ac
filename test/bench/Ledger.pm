# The ledger that the parts of test/bench/run measure: made once, when a part first asks for it.
package Bench;
use strict;
use warnings;

our ($dir, $here);
our $customers = 100;
our $carriers = 3;
our $raw = 'source, call_id, started_at, answered_at, ended_at, billsec, disposition, caller, callee, auth_code, dst_trunk, src_ip';
my %made;

# An empty ledger in a database of its own.
sub ledger
{
	my ($db) = @_;
	system('createdb', $db) == 0 or die "createdb $db failed\n";
	sql($db, <<'END');
SET client_min_messages = warning;
CREATE EXTENSION billing CASCADE;
SELECT billing.create_ledger();
CREATE SCHEMA bench;
INSERT INTO billing.tariff (name, currency, first_increment, next_increment, connect_fee) VALUES ('sell', 'EUR', 30, 6, 0.01), ('buy', 'EUR', 1, 1, 0);
END
	return $db;
}

# Customers with a code each and carriers with a trunk each.
sub parties
{
	my ($db, $customers) = @_;
	sql($db, <<'END', customers => $customers, carriers => $carriers);
INSERT INTO billing.account (name, currency, tariff_id) SELECT 'customer ' || i, 'EUR', t.id FROM generate_series(1, :customers) AS i, billing.tariff AS t WHERE t.name = 'sell' ORDER BY i;
INSERT INTO billing.account (name, is_provider, currency, tariff_id) SELECT 'carrier ' || i, true, 'EUR', t.id FROM generate_series(1, :carriers) AS i, billing.tariff AS t WHERE t.name = 'buy' ORDER BY i;
INSERT INTO billing.service (account_id, side, kind, identifier) SELECT id, 'provider', 'trunk', name FROM billing.account WHERE is_provider;
INSERT INTO billing.service (account_id, kind, identifier) SELECT id, 'auth_code', 'code ' || split_part(name, ' ', 2) FROM billing.account WHERE NOT is_provider;
ANALYZE billing.account, billing.service;
END
	return;
}

# Of the number plan, as a carrier's list has it, which breaks each destination down into its prefixes. As CSV has it.
sub destination
{
	my ($prefix) = @_;
	our %destinations;
	%destinations = map { chomp; split /,/, $_, 2 } split /^/, slurp("$here/../data/e164.csv") unless %destinations;
	for my $length (reverse 1 .. length $prefix)
	{
		my $name = $destinations{ substr($prefix, 0, $length) };
		return $name if defined $name;
	}
	return "zone $prefix";
}

# The file of prefixes with what a minute is sold and bought for.
sub price_file
{
	my ($count) = @_;
	my $file = "$dir/prefixes-$count.csv";
	return $file if -f $file;
	my $list = prefixes($count);
	seed(7);
	open my $f, '>', $file or die "$file: $!\n";
	for my $p (@$list)
	{
		my $buy = 1000 + rnd(90000);
		printf $f "%s,%s,%.6f,%.6f\n", $p, destination($p), $buy * 1.25 / 1e6, $buy / 1e6;
	}
	close $f;
	return $file;
}

# So many rates in each of the two tariffs.
sub prices
{
	my ($db, $count) = @_;
	my $file = price_file($count);
	sql($db, <<"END");
CREATE TABLE bench.price (prefix text, destination text, sell numeric, buy numeric);
COPY bench.price FROM '$file' (FORMAT csv);
INSERT INTO billing.rate (tariff_id, prefix, destination, price)
SELECT t.id, p.prefix::billing.prefix, p.destination, CASE t.name WHEN 'sell' THEN p.sell ELSE p.buy END FROM billing.tariff AS t, bench.price AS p WHERE t.name IN ('sell', 'buy') ORDER BY 1, 2;
VACUUM ANALYZE billing.rate;
END
	return;
}

# A file of calls, as a loader has them: two in three answered; of one month, or of so many seconds (span).
sub call_file
{
	my ($name, $count, $prefixes, %option) = @_;
	my $file = "$dir/$name.csv";
	return $file if -f $file;
	my $list = prefixes($prefixes);
	my $of = $option{customers} // $customers;
	my $first = $option{first} // 0;
	seed(11 + $first);
	my $start = 1790812800;        # 2026-10-01 00:00 UTC
	open my $f, '>', $file or die "$file: $!\n";
	for my $n (1 .. $count)
	{
		my $at = $start + int($n * ($option{span} // 2_600_000) / $count);
		my $answered = rnd(3) > 0;
		my $ring = 1 + rnd(20);
		my $talk = $answered ? 1 + rnd(1 + rnd(900)) : 0;
		printf $f "bench,%d,%s,%s,%s,%d,%s,1212%07d,%s,code %d,carrier %d,192.0.2.%d\n", $first + $n, instant($at), $answered ? instant($at + $ring) : '',
		  instant($at + $ring + $talk), $talk, $answered ? 'ANSWERED' : 'NO ANSWER', rnd(10_000_000), number($list), 1 + ($option{hot} ? 0 : rnd($of)), 1 + ($option{hot} ? 0 : rnd($carriers)), 1 + rnd(250);
	}
	close $f;
	return $file;
}

sub instant { return POSIX::strftime('%Y-%m-%d %H:%M:%S+00', gmtime $_[0]); }

# The ledger of most parts: 100 customers, 3 carriers, one price list to sell by and one to buy by, partitions; tables of
# the same shape beside billing.cdr; what people write instead, in PL/pgSQL.
our $rates;
sub base
{
	return 'bench' if $made{base}++;
	$rates = size(300_000, 300_000, 2000);
	heading("[" . commas($rates) . " prefixes in each of two price lists, $customers customers, $carriers carriers]");
	ledger('bench');
	prices('bench', $rates);
	parties('bench', $customers);
	sql('bench', "SELECT billing.create_partitions('2026-09-01', '2026-12-01', '1 month')");
	sql('bench', slurp("$here/tables.sql"));
	sql('bench', 'VACUUM ANALYZE');
	return 'bench';
}

# Terms that hold for all calls here: each from a day long past that is later than the last one's.
sub since { our $terms; $terms++; return "terms_from = timestamptz '2001-01-01' + interval '$terms days'"; }

sub commas { my $n = reverse $_[0]; $n =~ s/(\d{3})(?=\d)/$1,/g; return scalar reverse $n; }

# Empties what was loaded, and settles what the next one would have to pay for.
sub clean
{
	my ($db, @tables) = @_;
	my $ours = grep { $_ eq 'billing.cdr' } @tables;
	sql($db, "SET client_min_messages = warning; TRUNCATE " . join(', ', @tables) . ";\n"
		  . ($ours ? "SELECT billing.rebuild_usage();\nTRUNCATE billing.credit_queue;\nVACUUM billing.usage;\n" : '') . "CHECKPOINT;\n");
	return;
}

# What differs between what we made of calls and what somebody else did, by their number. Times of rating differ.
sub same_amounts
{
	my ($db, $ours, $other, $columns) = @_;
	$columns //= 'customer_account_id, customer_billsec, customer_amount, provider_account_id, provider_billsec, provider_amount';
	same($db, "$other does not hold what $ours holds", "SELECT coalesce(a.call_id, b.call_id) AS call_id, a.r AS ours, b.r AS other
		FROM (SELECT call_id, jsonb_build_array($columns) AS r FROM $ours) AS a FULL JOIN (SELECT call_id, jsonb_build_array($columns) AS r FROM $other) AS b USING (call_id)
		WHERE a.r IS DISTINCT FROM b.r");
	return;
}
1;
