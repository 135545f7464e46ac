# One call a transaction, by 1, 2 and 8 clients.
my $db = base();
heading("INSERT of one call and commit, $seconds s each after a warm-up");
my $values = "'bench', :call::text, timestamptz '2026-10-03 10:00+00' + :second::integer * interval '1 second', timestamptz '2026-10-03 10:00+00' + :second::integer * interval '1 second',
	timestamptz '2026-10-03 10:00+00' + (:second::integer + :talk::integer) * interval '1 second', :talk::numeric, 'ANSWERED', '12125550000', :callee::text, 'code ' || :customer::text, 'carrier ' || :carrier::text, '192.0.2.1'";
my $random = <<"END";
\\set call random(1, 1000000000000000000)
\\set second random(0, 2000000)
\\set talk random(1, 600)
\\set callee random(10000000000, 99999999999)
\\set customer random(1, $customers)
\\set carrier random(1, $carriers)
END
# What a session has to read once it has read before it is timed: a list is compiled when it was asked by a 24th of its rows.
my $warm = warm_up("SELECT count((billing.rate_call(c)).status) FROM (SELECT $raw FROM bench.warm) AS c;");
my $list = call_file('warm', List::Util::max(10_000, int($rates / 20)), $rates);
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
# What a client prepares once, and what it sends anew each time; commits that wait for the disk, and those that do not.
my @kinds = (['commits on disk', 'prepared', 1, 2, 8], ['commits on disk', 'simple', $full ? (1, 2, 8) : 1], ['commits not on disk', 'prepared', 1, 2, 8]);
for my $kind (grep { $_->[0] ne 'commits on disk' || $durable } @kinds)
{
	my ($disk, $mode, @clients) = @$kind;
	my $wait = $disk eq 'commits on disk' ? 'on' : 'off';
	setting(fsync => $wait, synchronous_commit => $wait, full_page_writes => $wait);
	heading("$disk, $mode");
	for my $clients (@clients)
	{
		my $at = "$clients client" . ($clients > 1 ? 's' : '') . ", $mode, $disk";
		my $run = sub { my ($what) = @_; return ("$what, $mode, $disk" => sub { clean($db, $table{$what}); return pgbench($db, $script{$what}, clients => $clients, mode => $mode); }); };
		my @names = ('plain', 'rated', 'rated and counted', $mode eq 'prepared' ? 'PL/pgSQL, three GiST lookups' : ());
		my $v = measure("INSERT", 'calls/s', x => $clients, map { $run->($_) } @names);
		my ($plain, $rated, $counted, $gist) = map { $v->{"$_, $mode, $disk"} } @names;
		ratio('INSERT', "INSERT, $at: rated / plain", $rated, $plain, $clients > 2 ? '>= 0.90' : '>= 0.95', $clients);
		ratio('INSERT', "INSERT, $at: rated and counted / plain", $counted, $plain, '>= 0.80', $clients);
		ratio('INSERT', "INSERT, $at: PL/pgSQL / plain", $gist, $plain, undef, $clients) if $gist;
	}
}
setting(fsync => 'off', synchronous_commit => 'off', full_page_writes => 'off');
holds($db, 'what was counted equals the rows', 'SELECT NOT EXISTS (SELECT FROM billing.verify())');
clean($db, 'billing.cdr', 'bench.rating', 'bench.gist', 'bench.plain');
1;
