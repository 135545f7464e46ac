# COPY of calls: beside the same rows already rated, beside plain ones, beside what people write. And INSERT ... SELECT.
my $db = base();
my $calls = size(200_000, 1_000_000, 1000);
my $few = size(20_000, 100_000, 500);        # what PL/pgSQL is asked to do
my $file = call_file('calls', $calls, $rates);
# What counting costs depends on how many calls share a day, a customer and a destination.
my $day = call_file('day', $calls, $rates, span => 86_400);
my $short = call_file('few', $few, $rates);
my $rated = "$dir/calls.rated";
heading("COPY of " . commas($calls) . " calls, one session; " . commas($few) . " for PL/pgSQL");

# The rows already rated are ours, without their number, so that both take one from the sequence.
clean($db, 'billing.cdr');
sql($db, "COPY billing.cdr ($raw) FROM '$file' (FORMAT csv)");
my $columns = sql($db, q{SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'billing.cdr'::regclass AND attnum > 0 AND attname <> 'id'});
chmod 0777, $dir;
sql($db, "COPY (SELECT $columns FROM billing.cdr) TO '$rated' (FORMAT csv)");
holds($db, 'nearly all calls have two priced legs', q{SELECT avg((status = 'rated' AND num_nonnulls(customer_amount, provider_amount) = 2)::int) > 0.99 FROM billing.cdr});
holds($db, 'all of them are counted', q{SELECT sum(calls) = (SELECT 2 * count(*) FROM billing.cdr) FROM billing.usage});

# What a table says after a load must be what ours said.
for my $t ('gist', 'btree', 'rating', 'rating_bare', 'gist_bare')
{
	clean($db, "bench.$t", 'billing.cdr') ;
	sql($db, "COPY billing.cdr ($raw) FROM '$short' (FORMAT csv); COPY bench.$t ($raw) FROM '$short' (FORMAT csv)");
	same_amounts($db, 'billing.cdr', "bench.$t", 'customer_account_id, customer_service_id, customer_rate_id, customer_billsec, customer_amount,
		provider_account_id, provider_service_id, provider_rate_id, provider_billsec, provider_amount, caller_number, callee_number, status');
	clean($db, "bench.$t", 'billing.cdr');
}

my $copy = sub {
	my ($table, $list, $from, $rows) = @_;
	return sub { clean($db, $table); return $rows / timed($db, "COPY $table ($list) FROM '$from' (FORMAT csv)"); };
};
my $v = measure('COPY', 'rows/s',
	'plain, unrated' => $copy->('bench.plain', $raw, $file, $calls),
	'plain, already rated' => $copy->('bench.plain', $columns, $rated, $calls),
	'rated' => $copy->('bench.rating', $raw, $file, $calls),
	'rated and counted' => $copy->('billing.cdr', $raw, $file, $calls),
	'rated, a day' => $copy->('bench.rating', $raw, $day, $calls),
	'rated and counted, a day' => $copy->('billing.cdr', $raw, $day, $calls),
	'already rated, counted' => $copy->('billing.cdr', $columns, $rated, $calls),
	'PL/pgSQL, three GiST lookups' => $copy->('bench.gist', $raw, $short, $few),
	'PL/pgSQL, three btree lookups' => $copy->('bench.btree', $raw, $short, $few));
ratio('COPY', 'COPY: rated / already rated', $v->{'rated'}, $v->{'plain, already rated'}, '>= 0.80');
ratio('COPY', 'COPY: rated and counted / already rated', $v->{'rated and counted'}, $v->{'plain, already rated'}, '>= 0.72');
ratio('COPY', 'COPY: rated and counted / rated', $v->{'rated and counted'}, $v->{'rated'}, '>= 0.85');
ratio('COPY', 'COPY of a day: rated and counted / rated', $v->{'rated and counted, a day'}, $v->{'rated, a day'}, '>= 0.85');
ratio('COPY', 'COPY: rated / plain, unrated', $v->{'rated'}, $v->{'plain, unrated'});
ratio('COPY', 'COPY: rated / PL/pgSQL with GiST', $v->{'rated'}, $v->{'PL/pgSQL, three GiST lookups'}, '>= 12');
ratio('COPY', 'COPY: rated / PL/pgSQL with btree', $v->{'rated'}, $v->{'PL/pgSQL, three btree lookups'});

heading('the same without indexes');
$v = measure('COPY, no indexes', 'rows/s',
	'no indexes: plain, unrated' => $copy->('bench.plain_bare', $raw, $file, $calls),
	'no indexes: plain, already rated' => $copy->('bench.plain_bare', $columns, $rated, $calls),
	'no indexes: rated' => $copy->('bench.rating_bare', $raw, $file, $calls),
	'no indexes: PL/pgSQL, three GiST lookups' => $copy->('bench.gist_bare', $raw, $short, $few));
ratio('COPY, no indexes', 'COPY without indexes: rated / already rated', $v->{'no indexes: rated'}, $v->{'no indexes: plain, already rated'});
ratio('COPY, no indexes', 'COPY without indexes: rated / PL/pgSQL with GiST', $v->{'no indexes: rated'}, $v->{'no indexes: PL/pgSQL, three GiST lookups'}, '>= 30');

heading('INSERT ... SELECT');
sql($db, "CREATE TABLE IF NOT EXISTS bench.raw AS SELECT $raw FROM bench.plain LIMIT 0; TRUNCATE bench.raw; COPY bench.raw ($raw) FROM '$file' (FORMAT csv); VACUUM ANALYZE bench.raw");
my $insert = sub {
	my ($table) = @_;
	return sub { clean($db, $table); return $calls / timed($db, "INSERT INTO $table ($raw) SELECT $raw FROM bench.raw"); };
};
$v = measure('INSERT ... SELECT', 'rows/s', 'INSERT ... SELECT: plain' => $insert->('bench.plain'), 'INSERT ... SELECT: rated' => $insert->('bench.rating'),
	'INSERT ... SELECT: rated and counted' => $insert->('billing.cdr'));
ratio('INSERT ... SELECT', 'INSERT ... SELECT: rated / plain', $v->{'INSERT ... SELECT: rated'}, $v->{'INSERT ... SELECT: plain'}, '>= 0.55');
ratio('INSERT ... SELECT', 'INSERT ... SELECT: rated and counted / plain', $v->{'INSERT ... SELECT: rated and counted'}, $v->{'INSERT ... SELECT: plain'});
holds($db, 'what was counted equals the rows', 'SELECT NOT EXISTS (SELECT FROM billing.verify())');
clean($db, 'billing.cdr', map { "bench.$_" } qw(plain rating gist btree plain_bare rating_bare gist_bare));
1;
