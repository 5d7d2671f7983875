# Guardian in Perl: the same as guardian.sh, which says what it is and what it reads and writes, at less cost.
#
#   perl guardian.pl JOURNAL BOOT_ID
#
# Other than there: the session is made by a system call, variables have any name, and the note of an exit above 128 says
# whether it is a `code` or a `signal`. Perl has compiled all of this before it runs: the file may be replaced meanwhile.
use strict;
use warnings;
use Fcntl qw(O_WRONLY O_CREAT O_EXCL O_APPEND);
use POSIX ();
use Time::HiRes ();

my ($journal, $boot) = @ARGV;
my ($log, $mask, $search);

# Tells why the job cannot start.
sub explain {
  my ($path, @why) = @_;
  umask 077;
  open my $file, '>', "$path.error" or return;
  print {$file} join(': ', @why), "\n";
  close $file;
}

sub refuse {
  explain(@_);
  POSIX::_exit(125);
}

sub own_stat {
  open my $file, '<', '/proc/self/stat' or return '';
  my $stat = <$file>;
  chomp $stat;
  return $stat;
}

# In one write: other processes append to the journal, too.
sub note {
  my $line = "@_\n";
  return defined(my $written = syswrite $log, $line) || 0;
}

sub cannot_execute {
  my ($path, $name, $error) = @_;
  my $is_path = index($name, '/') >= 0;
  my $found = $is_path ? -e $name : grep { -e ($_ eq '' ? $name : "$_/$name") } split /:/, $search, -1;
  refuse($path, "no such executable: $name" . ($is_path ? '' : " (PATH is $search)")) unless $found;
  refuse($path, "not executable: $name") if $error == POSIX::EACCES();
  $! = $error;
  refuse($path, "cannot execute $name", "$!");
}

# Seconds since the epoch.
sub now { return sprintf '%.6f', Time::HiRes::time() }

# In the child. Making the stdout file is the claim, see guardian.sh; the pid is noted first, so that whoever finds the
# claim taken finds the process.
sub launch {
  my ($stat, $name, $count, $fields) = @_;
  my ($path, $in, $out, $err, $cwd) = splice @$fields, 0, 5;
  $SIG{$_} = 'DEFAULT' for qw(HUP INT QUIT TERM PIPE);
  note('pid', $name, $stat, now()) or refuse($path, 'cannot write to the spool');
  my $claimed = sysopen STDOUT, "$path.stdout", O_WRONLY | O_CREAT | O_EXCL | O_APPEND, 0600;
  if (!-e $journal) {
    note('never', $name);
    POSIX::_exit(125);
  }
  refuse($path, -e "$path.stdout" ? 'its output file is there already' : 'cannot write to the spool') unless $claimed;
  if ($err eq '') {
    sysopen STDERR, "$path.stderr", O_WRONLY | O_CREAT | O_APPEND, 0600
      or refuse($path, 'cannot write to the spool');
  }
  umask $mask;
  chdir $cwd or refuse($path, 'cannot change to the working directory', $cwd, "$!");
  $in = '/dev/null' if $in eq '';
  open STDIN, '<', $in or refuse($path, 'cannot open the stdin file', $in, "$!");
  if ($out ne '') {
    open STDOUT, '>>', $out or refuse($path, 'cannot open the stdout file', $out, "$!");
  }
  if ($err ne '') {
    open STDERR, '>>', $err or refuse($path, 'cannot open the stderr file', $err, "$!");
  }
  for (splice @$fields, 0, $count) {
    my ($variable, $value) = split /=/, $_, 2;
    $ENV{$variable} = $value;
  }
  { no warnings; exec { $fields->[0] } @$fields }
  cannot_execute($path, $fields->[0], $! + 0);
}

# The child of the run to come is there before its request, which spares the run the time of a fork. It ends with the
# guardian: then its pipe does.
my ($child, $handover);

sub prepare {
  undef $child;
  pipe my $requests, my $write or return;
  my $pid = fork;
  if (defined $pid && $pid == 0) {
    close $write;
    POSIX::setsid();
    my $stat = own_stat();
    my ($kind, $count, $name, $fields) = messages($requests)->() or POSIX::_exit(0);
    launch($stat, $name, $count, $fields);
  }
  ($child, $handover) = ($pid, $write);
}

sub discard {
  return unless defined $child;
  close $handover;
  waitpid $child, 0;
  undef $child;
}

# Whether the child has all of the request. One that died before did not begin.
sub hand_over {
  my ($request) = @_;
  my $sent = 0;
  while ($sent < length $request) {
    my $written = syswrite $handover, $request, length($request) - $sent, $sent;
    return 0 unless $written;
    $sent += $written;
  }
  return close $handover;
}

sub start {
  my ($request) = @_;
  for (1 .. 2) {
    prepare() unless defined $child;
    return unless defined $child;
    return $child if hand_over($request);
    discard();
  }
  return;
}

sub run {
  my ($name, $path, $request) = @_;
  my ($status, $kind) = (125, 'code');
  if (defined(my $pid = start($request))) {
    syswrite STDOUT, "started $pid " . now() . "\n";
    prepare();
    1 until waitpid($pid, 0) == $pid || $! != POSIX::EINTR();
    ($status, $kind) = $? & 127 ? (128 + ($? & 127), 'signal') : ($? >> 8, 'code');
  } else {
    explain($path, 'cannot make a process', "$!");
  }
  my $now = now();
  note('exit', $name, $status, $now, $kind);
  syswrite STDOUT, "exited $status $now\n";
}

# `last`, which is not asked for by name here, PATH to search, and variables: as arguments of env(1) in the shell, or not
sub take_environment {
  my ($last, $path, @variables) = @{ $_[0] };
  $search = $path;
  %ENV = ();
  for (@variables, $last eq '' ? () : $last) {
    my ($variable, $value) = split /=/, $_, 2;
    $ENV{$variable} = $value;
  }
}

sub decode {
  my ($payload, $escaped) = @_;
  my @fields = split /\x1e/, $payload, -1;
  pop @fields;
  if ($escaped) { s/\x1d2/\x1e/g, s/\x1d1/\x1d/g for @fields }
  return \@fields;
}

# Reads messages: kind, count, name, fields, and the message as it came; nothing when there is none, or not all of one.
# Without the buffers of Perl: to reopen or hand on a handle that has one moves the place in the file that comes after it.
sub messages {
  my ($from) = @_;
  my $buffer = '';
  my $fill = sub {
    my ($wanted) = @_;
    while (length $buffer < $wanted) {
      my $got = sysread $from, $buffer, 65_536, length $buffer;
      next if !defined $got && $! == POSIX::EINTR();
      return 0 unless $got;
    }
    return 1;
  };
  return sub {
    my $end;
    while (($end = index $buffer, "\n") < 0) { $fill->(1 + length $buffer) or return }
    my ($kind, $length, $escaped, $count, $name) = split ' ', substr $buffer, 0, $end;
    my $whole = $end + 1 + $length;
    $fill->($whole) or return;
    my $message = substr $buffer, 0, $whole, '';
    return ($kind, $count, $name, decode(substr($message, $end + 1), $escaped), $message);
  };
}

# What the agent's parent left open (the lock of a flock, a socket) must not live on here and in the jobs.
sub close_inherited {
  opendir my $directory, '/proc/self/fd' or return;
  my @inherited = grep { /^\d+$/ && $_ > 2 } readdir $directory;
  closedir $directory;
  POSIX::close($_) for @inherited;
}

close_inherited();
chdir '/';
$SIG{$_} = 'IGNORE' for qw(HUP INT QUIT TERM PIPE);
$mask = umask 077;
if (!sysopen($log, $journal, O_WRONLY | O_CREAT | O_APPEND, 0600)
  || !note('guardian', $$, (split ' ', own_stat() =~ s/^.*\) //sr)[19], $boot)) {
  syswrite STDOUT, "unfit cannot write to $journal\n";
  exit;
}
syswrite STDOUT, "ready perl\n";
my $next = messages(*STDIN);
while (my ($kind, undef, $name, $fields, $message) = $next->()) {
  if ($kind eq 'run') {
    run($name, $fields->[0], $message);
  } else {
    discard();
    take_environment($fields);
    prepare();
  }
}
