# What grows with the catalogue: the cost of a call by prefixes and by services; memory of a backend, by price lists,
# within billing.deck_memory and beyond it; memory of 50 backends.
my $calls = size(20_000, 100_000, 500);

my $query = 'SELECT count((billing.rate_call(c)).status) FROM bench.call AS c';
# Makes a session compile two lists of so many rates, which it does when each has been asked once in 24 of its rates, and have room for them.
my $warm = sub {
	my ($rates) = @_;
	my $kb = List::Util::max(256 * 1024, POSIX::ceil(2.2 * $rates * 100 / 1024));
	return "SET max_parallel_workers_per_gather = 0; SET billing.deck_memory = '${kb}kB'; " . "$query; " x (1 + POSIX::ceil(1.2 * $rates / 24 / $calls));
};
# Microseconds of rating a call, warm, nothing stored.
my $cost = sub { my ($db, $rates) = @_; return timed($db, $query, $warm->($rates)) / $calls * 1e6; };
my $load = sub {
	my ($db, $file) = @_;
	sql($db, "CREATE TABLE bench.call AS SELECT $raw FROM billing.cdr LIMIT 0; COPY bench.call ($raw) FROM '$file' (FORMAT csv); VACUUM ANALYZE");
	holds($db, 'nearly all calls are priced on two legs', "SELECT avg((r.status = 'rated' AND num_nonnulls(r.customer_amount, r.provider_amount) = 2)::int) > 0.99 FROM bench.call AS c, LATERAL billing.rate_call(c) AS r");
};
# Bytes that a session holds for us once it has rated the calls: of its contexts, and of the process beyond one that has rated nothing.
my $contexts = "SELECT 'bytes ' || coalesce(sum(total_bytes), 0) FROM pg_backend_memory_contexts WHERE name LIKE 'billing%' OR parent LIKE 'billing%'";
my $memory = sub {
	my ($db, $rates) = @_;
	my ($ours) = sql($db, $warm->($rates) . "\n$contexts") =~ /^bytes (\d+)/m;
	return $ours;
};
my $drop = sub { system('dropdb', '-f', $_[0]) == 0 or die "dropdb failed\n"; };

my @sizes = grep { $_ <= size(300_000, 3_000_000, 10_000) } (1000, 10_000, 100_000, 300_000, 1_000_000, 3_000_000);
heading('cost of a call, both legs, nothing stored, by prefixes in each of two price lists');
my %by;
my $shared = List::Util::min(300_000, $sizes[-1]);        # of 50 backends
for my $count (@sizes)
{
	my $db = ledger("growth_$count");
	prices($db, $count);
	parties($db, $customers);
	$load->($db, call_file("growth-$count", $calls, $count));
	my $v = measure('us a call by prefixes', 'us', x => $count, 'a call, by prefixes' => sub { $cost->($db, $count) });
	$by{$count} = $v->{'a call, by prefixes'};
	my $bytes = $memory->($db, $count);
	report('bytes a prefix', 'bytes of a backend a prefix', 'bytes', $bytes / (2 * $count), $bytes / (2 * $count), $bytes / (2 * $count), undef, $count);
	$drop->($db) if $count != $shared;
}
ratio('us a call by prefixes', 'a call with ' . commas($sizes[-1]) . ' prefixes / with ' . commas($sizes[0]), $by{ $sizes[-1] }, $by{ $sizes[0] }, '<= 1.5');

# ---- fifty backends ----
{
	my $db = "growth_$shared";
	my $backends = size(50, 50, 4);
	heading(commas($backends) . ' backends, ' . commas($shared) . ' prefixes in each of two price lists');
	my $private = sub {
		my ($work) = @_;
		my (@to, @pid);
		for my $n (1 .. $backends)
		{
			open my $to, '|-', 'psql', '-XqAt', '-d', $db, '-o', "$dir/backend$n" or die "psql: $!\n";
			$to->autoflush(1);
			print $to "$work\nSELECT 'pid ' || pg_backend_pid();\n\\o\n";
			push @to, $to;
		}
		for my $n (1 .. $backends)
		{
			until (slurp("$dir/backend$n") =~ /^pid (\d+)\n/m) { select undef, undef, undef, 0.05; }
			push @pid, slurp("$dir/backend$n") =~ /^pid (\d+)\n/m;
			unlink "$dir/backend$n";
		}
		# What each has for itself: resident and not shared with others.
		my $own = 0;
		for my $pid (@pid)
		{
			my (undef, $resident, $shared) = split ' ', slurp("/proc/$pid/statm") or die "no /proc/$pid/statm\n";
			$own += ($resident - $shared) * POSIX::sysconf(POSIX::_SC_PAGESIZE());
		}
		close $_ for @to;
		return $own / 1048576;
	};
	my $idle = $private->('SELECT 1;');
	my $busy = $private->($warm->($shared));
	report('memory', "$backends backends that have rated nothing, own memory", 'MiB', ($idle) x 3);
	report('memory', "$backends backends that have rated, own memory", 'MiB', ($busy) x 3);
	report('memory', 'a backend, beyond one that has rated nothing', 'MiB', (($busy - $idle) / $backends) x 3);
	$drop->($db);
}

# ---- services ----
heading('cost of a call by services');
my %with;
my @services = grep { $_ <= size(100_000, 1_000_000, 1000) } (10, 100, 1000, 10_000, 100_000, 1_000_000);
for my $count (@services)
{
	my $db = ledger('growth_services');
	prices($db, 1000);
	parties($db, $count);
	$load->($db, call_file("services-$count", $calls, 1000, customers => $count));
	my $v = measure('us a call by services', 'us', x => $count, 'a call, by services' => sub { $cost->($db, 1000) });
	$with{$count} = $v->{'a call, by services'};
	report('memory by services', 'memory of a backend, by services', 'MiB', ($memory->($db, 1000) / 1048576) x 3, undef, $count);
	$drop->($db);
}
ratio('us a call by services', 'a call with ' . commas($services[-1]) . ' services / with 10', $with{ $services[-1] }, $with{10}, '<= 1.5');

# ---- many price lists, and what happens past the bound ----
my $each = size(1_000, 300_000, 100);
my $most = 200;
# Every list is to be compiled, which takes long; so it is done once in one session, in which the repetitions are timed and
# the memory is read.
my $rounds = 1 + POSIX::ceil(1.2 * $most * List::Util::max(20, $each / 24) / $calls);
my $session = sub {
	my ($db, $kb) = @_;
	my $result = sql($db, "SET max_parallel_workers_per_gather = 0; SET billing.deck_memory = '${kb}kB';\n" . "$query;\n" x $rounds
		  . "SELECT clock_timestamp() AS began \\gset\n$query;\nSELECT 'took ' || extract(epoch FROM clock_timestamp() - :'began');\n" x $repetitions . $contexts);
	my @us = map { $_ / $calls * 1e6 } $result =~ /^took ([\d.]+)/mg;
	my ($bytes) = $result =~ /^bytes (\d+)/m;
	return ($bytes, \@us);
};
my $spread = sub { my @v = @{ $_[0] }; return (median(@v), List::Util::min(@v), List::Util::max(@v)); };
heading('price lists of ' . commas($each) . ' rates, calls of all of them in turn');
my $db = ledger('growth_tariffs');
prices($db, $each);
parties($db, $most);
sql($db, <<"END");
CREATE TABLE bench.list AS SELECT row_number() OVER (ORDER BY id) AS n, id FROM billing.account WHERE NOT is_provider;
INSERT INTO billing.tariff (name, currency, first_increment, next_increment) SELECT 'list ' || n, 'EUR', 30, 6 FROM bench.list ORDER BY n;
SELECT format('INSERT INTO billing.rate (tariff_id, prefix, price) SELECT %s, prefix::billing.prefix, sell FROM bench.price', id) FROM billing.tariff WHERE name LIKE 'list %' \\gexec
ANALYZE;
END
my $bytes_all;
for my $lists (1, 10, $most)
{
	# Customer n pays by list n of so many.
	sql($db, "UPDATE billing.account AS a SET tariff_id = t.id, @{[since()]} FROM bench.list AS l JOIN billing.tariff AS t ON t.name = 'list ' || 1 + l.n % $lists WHERE l.id = a.id AND a.tariff_id <> t.id; DROP TABLE IF EXISTS bench.call");
	$load->($db, call_file("lists-$each", $calls, $each, customers => $most));
	my ($bytes, $us) = $session->($db, 64 * 1024 * 1024);
	report('us a call by price lists', 'a call, by price lists', 'us', $spread->($us), undef, $lists, $repetitions);
	report('memory by price lists', 'memory of a backend, by price lists', 'MiB', ($bytes / 1048576) x 3, undef, $lists);
	$bytes_all = $bytes if $lists == $most;
}
heading("$most price lists, that would fill " . commas(int $bytes_all / 1024) . ' kB, by billing.deck_memory');
my %past;
for my $share (150, 100, 75, 50, 25, 10)
{
	my $kb = List::Util::max(64, POSIX::floor($bytes_all / 1024 * $share / 100));
	my ($bytes, $us) = $session->($db, $kb);
	report('us a call past the bound', 'a call, by billing.deck_memory as % of what is needed', 'us', $spread->($us), undef, $share, $repetitions);
	$past{$share} = $us;
	report('memory past the bound', 'memory / billing.deck_memory', 'ratio', ($bytes / 1024 / $kb) x 3, '<= 1.1', $share);
}
ratio('us a call past the bound', 'a call with a tenth of the memory / with all', $past{10}, $past{150});
$drop->($db);
1;
