# The longest prefix of a number: by our functions, and in SQL with each index that people use. For one tariff, and for
# 100 tariffs in one table. What each finds is compared before a ratio is printed.
my $db = base();
my $numbers = size(200_000, 1_000_000, 1000);
my $sample = size(10_000, 50_000, 200);
my $each = size(3_000, 10_000, 100);
my $tariffs = 100;
heading('over ' . commas($numbers) . ' numbers (' . commas($sample) . ' where it is done in SQL), us a number, the scan of the numbers included');

# Distinct numbers in an order of their own; t: which of the 100 tariffs.
my $list = prefixes($rates);
seed(13);
open my $f, '>', "$dir/numbers.csv" or die;
print $f "$_,", number($list), ',', 1 + rnd($tariffs), "\n" for 1 .. $numbers;
close $f;
sql($db, <<"END");
DROP TABLE IF EXISTS bench.number, bench.many, bench.many_gist, bench.many_btree, bench.many_part, bench.one_ours, bench.by_key, bench.found;
CREATE TABLE bench.number (n integer, number text, t integer);
COPY bench.number FROM '$dir/numbers.csv' (FORMAT csv);
-- The first prefixes of the list, the shorter ones, in each of 100 tariffs of one table.
CREATE TABLE bench.many_btree (id bigint GENERATED ALWAYS AS IDENTITY, tariff_id integer, prefix text, price numeric);
INSERT INTO bench.many_btree (tariff_id, prefix, price) SELECT t, prefix, sell + t FROM generate_series(1, $tariffs) AS t, (SELECT * FROM bench.price LIMIT $each) AS p;
CREATE TABLE bench.many_gist AS SELECT id, tariff_id, prefix::prefix_range AS prefix, price FROM bench.many_btree;
CREATE TABLE bench.many AS SELECT id, tariff_id, prefix::billing.prefix AS prefix, price FROM bench.many_btree;
CREATE TABLE bench.one_ours AS SELECT r.id, r.prefix, r.price FROM billing.rate AS r JOIN billing.tariff AS t ON t.id = r.tariff_id WHERE t.name = 'sell';
CREATE TABLE bench.by_key AS SELECT row_number() OVER () AS id, price FROM bench.one_ours;
CREATE UNIQUE INDEX by_key_id ON bench.by_key (id);
CREATE TABLE bench.many_part (tariff_id integer, prefix billing.prefix, price numeric) PARTITION BY LIST (tariff_id);
@{[ map { "CREATE TABLE bench.many_part_$_ PARTITION OF bench.many_part FOR VALUES IN ($_);\n" } 1 .. $tariffs ]}
INSERT INTO bench.many_part SELECT tariff_id, prefix, price FROM bench.many;
CREATE INDEX ON bench.many_part USING spgist (prefix);
CREATE INDEX one_spgist ON bench.one_ours USING spgist (prefix);
CREATE INDEX one_btree ON bench.one_ours (prefix);
CREATE UNIQUE INDEX ON bench.many_btree (tariff_id, prefix);
CREATE INDEX many_gist_prefix ON bench.many_gist USING gist (prefix);
CREATE INDEX many_gist_both ON bench.many_gist USING gist (tariff_id, prefix);
CREATE INDEX ours_spgist ON bench.many USING spgist (prefix);
CREATE INDEX ours_btree ON bench.many (tariff_id, prefix);
-- As tariffs of the ledger, for our functions.
INSERT INTO billing.tariff (name, currency) SELECT 'many ' || t, 'EUR' FROM generate_series(1, $tariffs) AS t;
INSERT INTO billing.rate (tariff_id, prefix, price) SELECT t.id, m.prefix, m.price FROM bench.many AS m JOIN billing.tariff AS t ON t.name = 'many ' || m.tariff_id;
ALTER TABLE bench.number ADD tariff_id bigint;
UPDATE bench.number AS n SET tariff_id = t.id FROM billing.tariff AS t WHERE t.name = 'many ' || n.t;
VACUUM (FULL, ANALYZE) bench.number;
VACUUM ANALYZE bench.many; VACUUM ANALYZE bench.many_gist; VACUUM ANALYZE bench.many_btree; VACUUM ANALYZE bench.many_part; VACUUM ANALYZE bench.by_key; VACUUM ANALYZE bench.one_ours; VACUUM ANALYZE billing.rate;
END
my $sell = sql($db, "SELECT id FROM billing.tariff WHERE name = 'sell'");
my $scalar = sql($db, q{SELECT count(*) FROM pg_proc WHERE proname = 'match_rate_id' AND pronamespace = 'billing'::regnamespace});

# Name, what is asked for each number, the index that must answer, one that must not.
my @one = (
	['one tariff: GiST prefix_range', 'SELECT r.price FROM bench.sell_gist AS r WHERE r.prefix @> n.number::prefix_range ORDER BY length(r.prefix) DESC LIMIT 1', 'sell_gist'],
	['one tariff: btree = ANY, by hand', "SELECT r.price FROM bench.rate_btree AS r WHERE r.tariff_id = $sell AND r.prefix = ANY (ARRAY[left(n.number, 1), left(n.number, 2), left(n.number, 3), left(n.number, 4), left(n.number, 5), left(n.number, 6), left(n.number, 7), left(n.number, 8), left(n.number, 9), left(n.number, 10), left(n.number, 11), left(n.number, 12)]) ORDER BY length(r.prefix) DESC LIMIT 1", 'rate_btree_tariff_id_prefix_key'],
	['one tariff: SP-GiST, prefix @> number', 'SELECT r.price FROM bench.one_ours AS r WHERE r.prefix @> n.number ORDER BY r.prefix <-> n.number LIMIT 1', 'one_spgist', 'one_btree'],
	['one tariff: btree, prefix @> number', 'SELECT r.price FROM bench.one_ours AS r WHERE r.prefix @> n.number ORDER BY billing.length(r.prefix) DESC LIMIT 1', 'one_btree', 'one_spgist'],
);
my @many = (
	['100 tariffs: GiST (prefix_range)', 'SELECT r.price FROM bench.many_gist AS r WHERE r.tariff_id = n.t AND r.prefix @> n.number::prefix_range ORDER BY length(r.prefix) DESC LIMIT 1', 'many_gist_prefix', 'many_gist_both'],
	['100 tariffs: GiST (tariff, prefix_range)', 'SELECT r.price FROM bench.many_gist AS r WHERE r.tariff_id = n.t AND r.prefix @> n.number::prefix_range ORDER BY length(r.prefix) DESC LIMIT 1', 'many_gist_both', 'many_gist_prefix'],
	['100 tariffs: btree = ANY, by hand', $one[1][1] =~ s/rate_btree/many_btree/r =~ s/= $sell /= n.t /r, 'many_btree_tariff_id_prefix_idx'],
	['100 tariffs: SP-GiST, prefix @> number', 'SELECT r.price FROM bench.many AS r WHERE r.tariff_id = n.t AND r.prefix @> n.number ORDER BY r.prefix <-> n.number LIMIT 1', 'ours_spgist', 'ours_btree'],
	['100 tariffs: btree (tariff, prefix), prefix @> number', 'SELECT r.price FROM bench.many AS r WHERE r.tariff_id = n.t AND r.prefix @> n.number ORDER BY billing.length(r.prefix) DESC LIMIT 1', 'ours_btree', 'ours_spgist'],
	['100 tariffs: SP-GiST in partitions by tariff', 'SELECT r.price FROM bench.many_part AS r WHERE r.tariff_id = n.t AND r.prefix @> n.number ORDER BY r.prefix <-> n.number LIMIT 1', 'many_part_1_prefix_idx'],
);
# What any index costs in such a query, our own too: the executor, one descent and the row, by a key in no order.
my $by_key = ['', "SELECT r.price FROM bench.by_key AS r WHERE r.id = n.n * 7919::bigint % $rates + 1 LIMIT 1", 'by_key_id'];
my $path = 'SET search_path = public, billing, pg_catalog; SET jit = off; SET max_parallel_workers_per_gather = 0; ';

# The scan without looking anything up is part of every other figure.
my $scan = sub {
	my ($rows) = @_;
	return timed($db, "SELECT count(n.number) FROM bench.number AS n WHERE n.n <= $rows", $path . 'SELECT count(n.number) FROM bench.number AS n;') / $rows * 1e6;
};
# An index that is in the way is dropped for the session by a transaction that is rolled back.
my $sql = sub {
	my ($item, $index, $other) = @{ $_[0] }[1, 2, 3];
	my $query = "SELECT count(r.price) FROM bench.number AS n CROSS JOIN LATERAL ($item) AS r WHERE n.n <= $sample";
	my $before = $path . 'SET enable_seqscan = off; BEGIN; ' . ($other ? "DROP INDEX bench.$other; " : '');
	my $plan = sql($db, "${before}EXPLAIN $query");
	die "not by $index:\n$plan\n" unless $plan =~ /\b$index\b/;
	return timed($db, $query, "$before$query;") / $sample * 1e6;
};
# Warm: a price list is compiled when it has been asked for some thousand times, at most, and all of them are to be.
my $function = sub {
	my ($call, $lists) = @_;
	my $query = "SELECT count($call) FROM bench.number AS n";
	my $rounds = 1 + POSIX::ceil(1.2 * $lists * List::Util::min(4200, (2 * $rates + $tariffs * $each) / 100) / $numbers);
	return timed($db, $query, $path . "$query;\n" x $rounds) / $numbers * 1e6;
};

# What is found must be the same price everywhere.
for my $set ([\@one, $sell], [\@many, 'n.tariff_id'])
{
	my ($kinds, $tariff) = @$set;
	sql($db, "$path DROP TABLE IF EXISTS bench.found; CREATE TABLE bench.found AS SELECT n.n, (billing.match_rate($tariff, n.number)).price AS price FROM bench.number AS n WHERE n.n <= $sample");
	for my $kind (@$kinds)
	{
		my ($name, $item) = @$kind;
		sql($db, "$path SET enable_seqscan = off; DROP TABLE IF EXISTS bench.other; CREATE TABLE bench.other AS SELECT n.n, r.price FROM bench.number AS n LEFT JOIN LATERAL ($item) AS r ON true WHERE n.n <= $sample");
		same($db, $name, 'SELECT n, a.price AS ours, b.price AS other FROM bench.found AS a FULL JOIN bench.other AS b USING (n) WHERE a.price IS DISTINCT FROM b.price');
	}
	next unless $scalar;
	same($db, 'match_rate_id', "SELECT n.n FROM bench.number AS n JOIN bench.found AS f USING (n) LEFT JOIN billing.rate AS r ON r.id = billing.match_rate_id($tariff, n.number, now()) WHERE r.price IS DISTINCT FROM f.price");
}
for my $set (['one tariff', \@one, $sell, $rates, 1], ['100 tariffs', \@many, 'n.tariff_id', $tariffs * $each, $tariffs])
{
	my ($what, $kinds, $tariff, $count, $lists) = @$set;
	heading("$what, " . commas($count) . ' prefixes in the table');
	my @variants = ("$what: the scan alone" => sub { $scan->($numbers) }, map { my $kind = $_; ($kind->[0] => sub { $sql->($kind) }) } @$kinds);
	push @variants, "$what: a row by its key" => sub { $sql->($by_key) };
	push @variants, "$what: match_rate" => sub { $function->("(billing.match_rate($tariff, n.number, '2026-10-03 10:00+00')).rate_id", $lists) };
	push @variants, "$what: match_rate_id" => sub { $function->("billing.match_rate_id($tariff, n.number, '2026-10-03 10:00+00')", $lists) } if $scalar;
	my $v = measure("lookup, $what", 'us', @variants);
	my ($gist, $btree, @sql) = @{$v}{ map { $_->[0] } @$kinds };
	ratio("lookup, $what", "$what: match_rate, times faster than GiST in SQL", $gist, $v->{"$what: match_rate"}, $what eq 'one tariff' ? '>= 40' : undef);
	if ($scalar) { ratio("lookup, $what", "$what: match_rate_id, times faster than GiST in SQL", $gist, $v->{"$what: match_rate_id"}, $what eq 'one tariff' ? '>= 150' : undef); }
	else { skip("lookup, $what", "$what: match_rate_id", 'there is no such function in this version'); }
	my ($spgist, $ours) = @{$v}{ map { $_->[0] } grep { $_->[0] =~ /prefix @>/ } @$kinds };
	ratio("lookup, $what", "$what: SP-GiST, times faster than GiST in SQL", $gist, $spgist);
	ratio("lookup, $what", "$what: btree and @>, times faster than GiST in SQL", $gist, $ours);
	my ($best) = sort { median(@{ $v->{$a} }) <=> median(@{ $v->{$b} }) } map { $_->[0] } @$kinds;
	ratio("lookup, $what", "$what: an index of our own, at most so many times faster than the best of these", $v->{$best}, $v->{"$what: a row by its key"});
	ratio("lookup, $what", "$what: match_rate, times faster than btree by hand", $kinds == \@one ? $btree : $v->{'100 tariffs: btree = ANY, by hand'}, $v->{"$what: match_rate"});
}
sql($db, "DELETE FROM billing.rate WHERE tariff_id IN (SELECT id FROM billing.tariff WHERE name LIKE 'many %'); DELETE FROM billing.tariff WHERE name LIKE 'many %'; DROP TABLE bench.many, bench.many_gist, bench.many_btree, bench.many_part, bench.one_ours, bench.by_key, bench.number, bench.found, bench.other");
sql($db, 'VACUUM ANALYZE billing.rate');
1;
