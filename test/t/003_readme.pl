# Every SQL block of the README runs, in its order, in one database, and prints what the README says it prints.
use strict;
use warnings;
use FindBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

open my $file, '<', "$FindBin::Bin/../../README.md" or die "README.md: $!";
my $readme = do { local $/; <$file> };
my @blocks;
push @blocks, [$1, $2] while $readme =~ /^```sql\n(.*?)^```\n(?:```text\n(.*?)^```\n)?/msg;

my $node = PostgreSQL::Test::Cluster->new('readme');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE readme');

# One session for all, with a line between the blocks to tell what each has printed.
my $rule = '---- the next block ----';
my $script = join '', map { "$_->[0]\n\\echo $rule\n" } @blocks;
local $ENV{PGOPTIONS} = '-c client_min_messages=warning -c timezone=UTC';
my ($out, $err);
my $ok = run_log(['psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-P', 'null=', '-d', $node->connstr('readme')],
	'<', \$script, '>', \$out, '2>', \$err);
ok($ok, 'every SQL block of the README runs') or diag($err);
cmp_ok(scalar @blocks, '>=', 10, 'the README has its blocks');

sub plain { my ($text) = @_; $text =~ s/[ \t]+$//mg; $text =~ s/\n+\z/\n/; return $text; }
my @printed = split /^\Q$rule\E\n/m, $out;
for my $i (0 .. $#blocks)
{
	next unless defined $blocks[$i][1];
	my ($first) = $blocks[$i][0] =~ /^(.+)$/m;
	is(plain($printed[$i] // ''), plain($blocks[$i][1]), "block that begins '$first' prints what the README says");
}

done_testing();
