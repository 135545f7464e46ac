# What the parts of test/bench/run share: psql, measuring in turn, results.
package Bench;
use strict;
use warnings;
use File::Temp qw(tempdir);
use List::Util qw(max min sum);
use POSIX qw(strftime WNOHANG);

our ($here, $dir, $part, @rows, %meta);
our $full = $ENV{BENCH_FULL} ? 1 : 0;
our $scale = $ENV{BENCH_SCALE} || 1;
our $repetitions = max(3, $ENV{BENCH_REPETITIONS} || 3);
our $seconds = $ENV{BENCH_SECONDS} || 2;
our $durable = $ENV{BENCH_DURABLE} // 1;
my ($out, @lines);

# A size: by default, or of the full run; BENCH_SCALE applies to both, down to a least.
sub size
{
	my ($default, $large, $least) = @_;
	return max($least // 100, int(($full ? $large : $default) * $scale));
}

# ---- the server ----

# Runs SQL by psql and returns what it prints, without the last newline.
sub sql
{
	my ($db, $text, %var) = @_;
	my $child = start_sql($db, $text, %var);
	my $result = finish($child);
	chomp $result;
	return $result;
}

sub start_sql
{
	my ($db, $text, %var) = @_;
	my $script = "$dir/script" . ++our $scripts . '.sql';
	open my $f, '>', $script or die "$script: $!\n";
	print $f $text;
	close $f;
	open my $from, '-|', 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', (map { ('-v', "$_=$var{$_}") } sort keys %var), '-d', $db, '-f', $script
	  or die "psql: $!\n";
	return { from => $from, script => $script, text => $text };
}

sub finish
{
	my ($child) = @_;
	my $from = $child->{from};
	my $result = join '', <$from>;
	close $from or die 'psql failed: ' . substr($child->{text}, 0, 300) . "\n";
	unlink $child->{script};
	return $result;
}

# Seconds of one statement by the server's clock, in a session of its own, after what prepares it.
sub timed
{
	my ($db, $statement, $before) = @_;
	my $text = ($before // '') . "\nSELECT clock_timestamp() AS began \\gset\n$statement;\nSELECT 'took ' || extract(epoch FROM clock_timestamp() - :'began');\n";
	my ($took) = sql($db, $text) =~ /^took ([\d.e-]+)$/m or die "not timed: $statement\n";
	return $took;
}

# Several sessions at once, each its statement; seconds from the first beginning to the last end, by the server's clock.
sub timed_together
{
	my ($db, @statements) = @_;
	my $gate = "SELECT pg_advisory_lock_shared(5); SELECT 'began ' || extract(epoch FROM clock_timestamp());";
	# Nobody begins before everybody is connected.
	open my $to, '|-', 'psql', '-XqAt', '-d', $db, '-o', "$dir/gate" or die "psql: $!\n";
	$to->autoflush(1);
	print $to "SELECT pg_advisory_lock(5);\nSELECT 1;\n";
	select undef, undef, undef, 0.05 until sql($db, q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 5 AND granted}) > 0;
	my @children = map { start_sql($db, "$gate\n$_;\nSELECT 'ended ' || extract(epoch FROM clock_timestamp());\n") } @statements;
	select undef, undef, undef, 0.05 until sql($db, q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 5 AND NOT granted}) >= @statements;
	close $to;
	my $all = join '', map { finish($_) } @children;
	return max($all =~ /^ended ([\d.]+)/mg) - min($all =~ /^began ([\d.]+)/mg);
}

# Transactions a second by pgbench, once every client is warm. A script begins with warm_up(...), which its client runs
# once; then all wait for each other.
sub warm_up
{
	my ($statement) = @_;
	return "\\if :warm = 0\n$statement\nSELECT pg_advisory_xact_lock_shared(6);\n\\set warm 1\n\\endif\n";
}

sub pgbench
{
	my ($db, $script, %option) = @_;
	my $clients = $option{clients} // 1;
	my $waiting = sub { return sql($db, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 6 AND " . ($_[0] ? 'granted' : 'NOT granted')); };
	open my $gate, '|-', 'psql', '-XqAt', '-d', $db, '-o', "$dir/gate" or die "psql: $!\n";
	$gate->autoflush(1);
	print $gate "SELECT pg_advisory_lock(6);\n";
	select undef, undef, undef, 0.05 until $waiting->(1);
	my $pid = open my $from, '-|', 'sh', '-c', "PGAPPNAME=bench_client exec pgbench -n -M @{[$option{mode} // 'prepared']} -c $clients -j @{[min($clients, 2)]} -T 3600 -P 1 -D warm=0 -f $script $db 2>&1"
	  or die "pgbench: $!\n";
	my $all_warm = sub { while (waitpid($pid, WNOHANG) == 0) { return 1 if $waiting->(0) >= $clients; select undef, undef, undef, 0.1; } return 0; };
	die 'pgbench: ' . join('', <$from>) . "\n" unless $all_warm->();
	close $gate;
	my ($text, @tps) = ('');
	while (<$from>)
	{
		$text .= $_;
		my ($tps) = /^progress: [\d.]+ s, ([\d.]+) tps/ or next;
		push @tps, $tps if $tps > 0;
		last if @tps == $seconds + 1;
	}
	kill 'TERM', $pid;
	close $from;
	# The first second with work in it was not a whole one.
	shift @tps;
	die "pgbench: $text\n" unless @tps == $seconds;
	select undef, undef, undef, 0.05 while sql($db, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'bench_client'") > 0;
	return sum(@tps) / @tps;
}

sub file
{
	my ($name, $text) = @_;
	open my $f, '>', "$dir/$name" or die "$dir/$name: $!\n";
	print $f $text;
	close $f;
	return "$dir/$name";
}

sub setting
{
	my (%value) = @_;
	sql('postgres', join '', map { "ALTER SYSTEM SET $_ = '$value{$_}';\n" } sort keys %value);
	sql('postgres', 'SELECT pg_reload_conf()');
}

sub restart
{
	my $data = sql('postgres', 'SHOW data_directory');
	# Not pg_ctl restart: it would take over the directory's name as it was given, relative to another place.
	system("pg_ctl -D '$data' -w -m fast stop >/dev/null && pg_ctl -D '$data' -w -l '$data/bench.log' start >/dev/null") == 0 or die "pg_ctl failed\n";
}

# ---- results ----

sub median { my @v = sort { $a <=> $b } @_; return @v % 2 ? $v[$#v / 2] : ($v[@v / 2 - 1] + $v[@v / 2]) / 2; }

sub figure
{
	my ($n) = @_;
	return sprintf('%.0f', $n) if abs $n >= 1000;
	return sprintf('%.4g', $n);
}

sub put
{
	my (%row) = @_;
	$row{part} = $part;
	# How busy the machine was, ourselves included: whoever reads the figure later should know.
	$row{note} //= 'load ' . (split ' ', slurp('/proc/loadavg'))[0];
	for my $c (qw(median minimum maximum)) { $row{$c} = figure($row{$c}) if defined $row{$c}; }
	push @rows, \%row;
	my $what = $row{variant} . (defined $row{x} && $row{unit} ne 'ratio' ? " [$row{x}]" : '');
	if (defined $row{median})
	{
		my $goal = defined $row{goal} ? "   goal $row{goal}" . ($row{met} eq 'yes' ? '' : ': MISSED') : '';
		printf "    %-84s %11s %-9s (%s to %s)%s\n", $what, @row{qw(median unit minimum maximum)}, $goal;
	}
	else { printf "    %-84s skipped: %s\n", $what, $row{note}; }
	push @lines, join ',', map { my $v = $_ // ''; $v =~ s/"/""/g; $v =~ /[",]/ ? "\"$v\"" : $v }
	  @row{qw(part measure variant x unit repetitions median minimum maximum goal met note)}, @meta{qw(date size machine server)};
}

sub heading { print "  $_[0]\n"; }

# Takes each variant in turn, as often as there are repetitions, and keeps what it says.
# measure('COPY', 'rows/s', x => 5, 'name' => sub { ... }, ...) returns { name => [values] }.
sub measure
{
	my ($measure, $unit, @variants) = @_;
	my ($x, %value, @names, %code);
	while (@variants)
	{
		my ($name, $code) = splice @variants, 0, 2;
		if ($name eq 'x') { $x = $code; next; }
		push @names, $name;
		$code{$name} = $code;
	}
	for my $n (1 .. $repetitions)
	{
		# The order turns round, so that none always follows the same.
		for my $name ($n % 2 ? @names : reverse @names) { push @{ $value{$name} }, $code{$name}->(); }
	}
	for my $name (@names)
	{
		my @v = @{ $value{$name} };
		put(measure => $measure, variant => $name, x => $x, unit => $unit, repetitions => scalar @v, median => median(@v), minimum => min(@v), maximum => max(@v));
	}
	return \%value;
}

# The ratio of two medians; least and most of the repetitions' own ratios. The goal is '>= 0.80' or '<= 1'.
sub ratio
{
	my ($measure, $what, $over, $under, $goal, $x) = @_;
	my @each = map { $over->[$_] / $under->[$_] } 0 .. min($#$over, $#$under);
	report($measure, $what, 'ratio', median(@$over) / median(@$under), min(@each), max(@each), $goal, $x, scalar @each);
}

sub report
{
	my ($measure, $what, $unit, $median, $min, $max, $goal, $x, $n) = @_;
	my $met;
	if (defined $goal)
	{
		my ($op, $bound) = $goal =~ /^([<>]=) ([\d.]+)$/ or die "goal $goal\n";
		$met = ($op eq '>=' ? $median >= $bound : $median <= $bound) ? 'yes' : 'no';
	}
	put(measure => $measure, variant => $what, x => $x, unit => $unit, repetitions => $n // 1, median => $median, minimum => $min, maximum => $max, goal => $goal, met => $met);
}

sub skip { my ($measure, $what, $why) = @_; put(measure => $measure, variant => $what, note => $why); }

# Dies unless a query has no rows; what it returns is what differs.
sub same
{
	my ($db, $what, $query) = @_;
	my $differs = sql($db, "SELECT count(*) FROM ($query) AS d");
	return if $differs eq '0';
	die "$what: $differs rows differ, such as\n" . sql($db, "SELECT to_jsonb(d) FROM ($query) AS d LIMIT 3") . "\n";
}

sub holds
{
	my ($db, $what, $query) = @_;
	my $value = sql($db, "SELECT ($query)");
	die "$what: it is $value\n" unless $value eq 't';
}

# ---- data ----

# A generator of its own, so that it is the same on every machine.
my $state;
sub seed { $state = $_[0]; return; }
sub rnd { use integer; no warnings 'portable'; $state = ($state * 25214903917 + 11) & 0xFFFFFFFFFFFF; return ($state >> 16) % $_[0]; }

# So many prefixes: a digit each, those of the real number plan, then longer ones below them, as a carrier's list breaks countries down.
sub prefixes
{
	my ($count) = @_;
	our %prefixes;
	return $prefixes{$count} if $prefixes{$count};
	my (%seen, @list);
	my $add = sub { push @list, $_[0] if !$seen{ $_[0] }++; };
	$add->($_) for 1 .. 9;
	open my $csv, '<', "$here/../data/e164.csv" or die "e164.csv: $!\n";
	<$csv>;
	while (<$csv>) { $add->((split /,/)[0]); }
	close $csv;
	seed(5);
	for (my $i = 9; @list < $count; $i++)
	{
		next if length $list[$i] >= 12;
		for my $digit (0 .. 9) { $add->("$list[$i]$digit") if rnd(10) < 8; }
	}
	$#list = $count - 1;
	return $prefixes{$count} = \@list;
}

# Numbers that begin with one of the prefixes, popular ones first.
sub number
{
	my ($list) = @_;
	my $prefix = $list->[ rnd(1 + rnd(scalar @$list)) ];
	$prefix .= rnd(10) while length $prefix < 11;
	return $prefix . rnd(10);
}

# ---- the run ----

sub begin
{
	($here) = @_;
	$| = 1;
	$ENV{PGOPTIONS} = '-c client_min_messages=warning';
	$dir = tempdir('bench.XXXXXX', TMPDIR => 1, CLEANUP => 1);
	chmod 0755, $dir;        # the server reads the files itself
	open $out, '>&=', 3 or undef $out;
	if ($out)
	{
		$out->autoflush(1);
		print $out "part,measure,variant,x,unit,repetitions,median,minimum,maximum,goal,met,note,date,size,machine,server\n";
	}
	my ($cpu) = slurp('/proc/cpuinfo') =~ /^model name\s*:\s*(.*)/m;
	my ($memory) = slurp('/proc/meminfo') =~ /^MemTotal:\s*(\d+)/m;
	my $cores = () = slurp('/proc/cpuinfo') =~ /^processor/mg;
	$memory = int($memory / 1048576 + 0.5);
	my $buffers = max(256, min(4096, int($memory * 1024 / 8)));
	# Room for the whole catalogue and nothing that comes of itself in the middle of a measurement.
	setting(fsync => 'off', synchronous_commit => 'off', full_page_writes => 'off', shared_buffers => "${buffers}MB", autovacuum => 'off', checkpoint_timeout => '1h', max_wal_size => '16GB');
	restart();
	%meta = (
		date => strftime('%Y-%m-%d', gmtime), size => ($full ? 'full' : 'default') . ($scale == 1 ? '' : " x $scale"),
		machine => "$cores x " . ($cpu // 'unknown processor') . ", $memory GiB",
		server => sql('postgres', q{SELECT 'PostgreSQL ' || current_setting('server_version')}));
	$meta{server} =~ s/ \(.*//;
	my $load = slurp('/proc/loadavg');
	print "Machine: $meta{machine}; load ", join(' ', (split ' ', $load)[0, 1]), "\n";
	print "Server: $meta{server}, shared_buffers ${buffers}MB, no autovacuum, no JIT\n";
	print "Measured: $repetitions repetitions in turn, medians (least to most); size $meta{size}; $meta{date}\n";
}

sub slurp { my ($name) = @_; local $/; open my $f, '<', $name or return ''; return scalar <$f>; }
sub part { $part = $_[0]; @lines = (); print "\n$part\n"; }
# Only a part that came to its end has results.
sub part_done { print $out map { "$_\n" } @lines if $out; }

sub end
{
	my @goals = grep { defined $_->{goal} } @rows;
	my @missed = grep { $_->{met} ne 'yes' } @goals;
	printf "\n%d goals, %d missed\n", scalar @goals, scalar @missed;
	print "  missed: $_->{part}: $_->{variant}: $_->{median}, goal $_->{goal}\n" for @missed;
}

require Ledger;
1;
