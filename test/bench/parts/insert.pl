# One call a transaction, by 1, 2 and 8 clients. Commits wait for the disk unless BENCH_DURABLE=0.
my $db = base();
heading("INSERT of one call and commit, $seconds s each after a warm-up, " . ($durable ? 'commits on disk' : 'commits not on disk'));
setting(fsync => 'on', synchronous_commit => 'on', full_page_writes => 'on') if $durable;
my $values = "'bench', :call::text, timestamptz '2026-10-03 10:00+00' + :second * interval '1 second', timestamptz '2026-10-03 10:00+00' + :second * interval '1 second',
	timestamptz '2026-10-03 10:00+00' + (:second + :talk) * interval '1 second', :talk, 'ANSWERED', '12125550000', :callee::text, 'code ' || :customer, 'carrier ' || :carrier, '192.0.2.1'";
my $random = <<"END";
\\set call random(1, 1000000000000000000)
\\set second random(0, 2000000)
\\set talk random(1, 600)
\\set callee random(10000000000, 99999999999)
\\set customer random(1, $customers)
\\set carrier random(1, $carriers)
END
# What a session has to read once it has read before it is timed.
my $warm = <<"END";
\\if :warm = 0
SELECT count((billing.rate_call(c)).status) FROM (SELECT $raw FROM bench.warm) AS c;
\\set warm 1
\\endif
END
my $list = call_file('warm', 10_000, $rates);
sql($db, "CREATE TABLE IF NOT EXISTS bench.warm AS SELECT $raw FROM bench.plain LIMIT 0; TRUNCATE bench.warm; COPY bench.warm ($raw) FROM '$list' (FORMAT csv)");
my $script = sub { my ($name, $table, $more, $given) = @_; return file("insert-$name.sql", "$random$warm" . "INSERT INTO $table ($raw$more) VALUES ($values$given);\n"); };
my %script = (rated => $script->('rated', 'bench.rating', '', ''), 'rated and counted' => $script->('counted', 'billing.cdr', '', ''),
	'PL/pgSQL, three GiST lookups' => $script->('gist', 'bench.gist', '', ''));

# Plain stores the row that ours makes, also its rated columns, so that both have the same index entries.
clean($db, 'billing.cdr', 'bench.rating', 'bench.gist', 'bench.plain');
system("pgbench -n -t 300 -D warm=1 -f '$script{'rated and counted'}' $db >/dev/null 2>&1") == 0 or die "pgbench failed\n";
holds($db, 'the calls are priced on two legs', q{SELECT count(*) >= 295 FROM billing.cdr WHERE status = 'rated' AND num_nonnulls(customer_amount, provider_amount) = 2});
holds($db, 'and counted', q{SELECT sum(calls) = (SELECT 2 * count(*) FROM billing.cdr) FROM billing.usage});
sql($db, "INSERT INTO bench.rating ($raw) SELECT $raw FROM billing.cdr; INSERT INTO bench.gist ($raw) SELECT $raw FROM billing.cdr");
same_amounts($db, 'billing.cdr', 'bench.rating');
same_amounts($db, 'billing.cdr', 'bench.gist');
my ($names, $given) = split /\|/, sql($db, "SELECT string_agg(quote_ident(key), ', ' ORDER BY key), string_agg(quote_literal(value), ', ' ORDER BY key)
	FROM (SELECT c FROM billing.cdr AS c WHERE status = 'rated' ORDER BY id LIMIT 1) AS r, jsonb_each_text(to_jsonb(r.c)) AS e WHERE value IS NOT NULL AND key <> ALL (string_to_array('id, $raw', ', '))");
$script{plain} = $script->('plain', 'bench.plain', ", $names", ", $given");

my %table = (plain => 'bench.plain', rated => 'bench.rating', 'rated and counted' => 'billing.cdr', 'PL/pgSQL, three GiST lookups' => 'bench.gist');
for my $mode ('prepared', 'simple')
{
	for my $clients (1, 2, 8)
	{
		my $at = "$clients client" . ($clients > 1 ? 's' : '') . ($mode eq 'simple' ? ', simple protocol' : '');
		my %run = map { my $what = $_; ($what => sub { clean($db, $table{$what}); return pgbench($db, $script{$what}, clients => $clients, mode => $mode); }) } keys %table;
		my $v = measure("INSERT, $mode", 'calls/s', x => $clients, map { ($_ => $run{$_}) } 'plain', 'rated', 'rated and counted', ($mode eq 'prepared' ? 'PL/pgSQL, three GiST lookups' : ()));
		ratio("INSERT, $mode", "INSERT, $at: rated / plain", $v->{'rated'}, $v->{plain}, $clients > 2 ? '>= 0.90' : '>= 0.95', $clients);
		ratio("INSERT, $mode", "INSERT, $at: rated and counted / plain", $v->{'rated and counted'}, $v->{plain}, '>= 0.80', $clients);
		ratio("INSERT, $mode", "INSERT, $at: PL/pgSQL / plain", $v->{'PL/pgSQL, three GiST lookups'}, $v->{plain}, undef, $clients) if $mode eq 'prepared';
	}
}
holds($db, 'what was counted equals the rows', 'SELECT NOT EXISTS (SELECT FROM billing.verify())');
setting(fsync => 'off', synchronous_commit => 'off', full_page_writes => 'off') if $durable;
clean($db, 'billing.cdr', 'bench.rating', 'bench.gist', 'bench.plain');
1;
