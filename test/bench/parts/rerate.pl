# Rating stored calls again: where nothing changes, where 1 % do, where all do; beside the same UPDATE without rating.
my $db = base();
my $calls = size(50_000, 1_000_000, 500);
my $file = call_file('rerated', $calls, $rates);
heading('rerate() of ' . commas($calls) . ' calls');
clean($db, 'billing.cdr', 'bench.plain', 'bench.rating');
sql($db, "COPY billing.cdr ($raw) FROM '$file' (FORMAT csv); COPY bench.rating ($raw) FROM '$file' (FORMAT csv); INSERT INTO bench.plain SELECT * FROM bench.rating; VACUUM ANALYZE");
my $changed;
my $rerate = sub {
	my ($run, $catalogue) = @_;
	return sub {
		sql($db, $catalogue->() . '; VACUUM billing.cdr; CHECKPOINT') if $catalogue;
		my $took = timed($db, "CALL billing.rerate('-infinity', 'infinity')");
		my $now = sql($db, 'SELECT changed FROM billing.rerate_progress ORDER BY run_id DESC LIMIT 1');
		$changed->{$run} = $now;
		return $took / $calls * 1e6;
	};
};
# Each in a session of its own, which compiles its price lists first.
# The price list of one customer of 100 changes, or what everybody pays: another way every time.
my $other = "(SELECT id FROM billing.tariff WHERE name = 'sell again')";
sql($db, "INSERT INTO billing.tariff (name, currency, first_increment, next_increment, connect_fee) SELECT 'sell again', currency, first_increment, next_increment, 0.02 FROM billing.tariff WHERE name = 'sell' ON CONFLICT DO NOTHING;
	INSERT INTO billing.rate (tariff_id, prefix, destination, price) SELECT $other, prefix, destination, price FROM billing.rate WHERE tariff_id = (SELECT id FROM billing.tariff WHERE name = 'sell') ON CONFLICT DO NOTHING; VACUUM ANALYZE billing.rate");
# Two lists hold the same prices, one with another fee: the customer goes to and fro between them.
my $one = sub { return "UPDATE billing.account SET tariff_id = CASE WHEN tariff_id = $other THEN (SELECT id FROM billing.tariff WHERE name = 'sell') ELSE $other END, @{[since()]} WHERE name = 'customer 1'"; };
my $all = sub { return "UPDATE billing.tariff SET surcharge_percent = mod(surcharge_percent + 1, 3), @{[since()]} WHERE name IN ('sell', 'buy')"; };
my $update = sub {
	my ($table, $set, $where) = @_;
	return sub { sql($db, "VACUUM $table; CHECKPOINT"); return timed($db, "UPDATE $table SET $set $where") / $calls * 1e6; };
};
my $v = measure('rerate', 'us/call',
	'reading only' => sub { return timed($db, 'SELECT count(md5(c.status)) FROM billing.cdr AS c', 'SELECT count(*) FROM billing.cdr;') / $calls * 1e6; },
	'reading and rating (rate_call)' => sub { return timed($db, 'SELECT count((billing.rate_call(c)).status) FROM billing.cdr AS c', 'SET max_parallel_workers_per_gather = 0;') / $calls * 1e6; },
	'rerate(), nothing changes' => $rerate->('none'),
	'UPDATE of 1 % without rating' => $update->('bench.plain', 'customer_amount = customer_amount + 1, rated_at = now()', "WHERE customer_account_id = (SELECT id FROM billing.account WHERE name = 'customer 1')"),
	'rerate(), 1 % changes' => $rerate->('one', $one),
	'UPDATE of all without rating' => $update->('bench.plain', 'customer_amount = customer_amount + 1, provider_amount = provider_amount - 1, rated_at = now()', ''),
	'UPDATE of all, rated again by the trigger' => $update->('bench.rating', 'rated_at = NULL', ''),
	'rerate(), all change' => $rerate->('all', $all));
die "rerate() changed other calls than it should: $changed->{none}, $changed->{one}, $changed->{all} of $calls\n"
  unless $changed->{none} == 0 && $changed->{one} > 0 && $changed->{one} < 0.02 * $calls + 10 && $changed->{all} > 0.6 * $calls;
same($db, 'rerate() and a load of today do not agree', 'SELECT c.id, r.customer_amount, c.customer_amount AS stored FROM billing.cdr AS c, LATERAL billing.rate_call(c) AS r
	WHERE (r.customer_amount, r.provider_amount) IS DISTINCT FROM (c.customer_amount, c.provider_amount)');
holds($db, 'what was counted equals the rows', 'SELECT NOT EXISTS (SELECT FROM billing.verify())');
ratio('rerate', 'rerate(), nothing changes / reading and rating', $v->{'rerate(), nothing changes'}, $v->{'reading and rating (rate_call)'}, '<= 1.1');
ratio('rerate', 'rerate(), 1 % changes / reading and rating', $v->{'rerate(), 1 % changes'}, $v->{'reading and rating (rate_call)'});
ratio('rerate', 'rerate(), all change / the same UPDATE without rating', $v->{'rerate(), all change'}, $v->{'UPDATE of all without rating'});
ratio('rerate', 'UPDATE rated by the trigger / the same UPDATE without rating', $v->{'UPDATE of all, rated again by the trigger'}, $v->{'UPDATE of all without rating'});
# As it was: other parts compare amounts with what others make of the first terms.
sql($db, "UPDATE billing.tariff SET surcharge_percent = 0, @{[since()]} WHERE name IN ('sell', 'buy') AND surcharge_percent <> 0; UPDATE billing.account SET tariff_id = (SELECT id FROM billing.tariff WHERE name = 'sell'), @{[since()]} WHERE name = 'customer 1' AND tariff_id = $other");
clean($db, 'billing.cdr', 'bench.plain', 'bench.rating');
1;
