# Tries what a service is not to do, and writes down how each try ended: `NAME=done`, or the error's name. Perl is part of
# every Debian, and can make any system call.
use strict;
use warnings;
use Errno;

my ($report, $state) = @ARGV;
# By processor: finit_module, unshare.
my %calls = (x86_64 => [313, 272], aarch64 => [273, 97]);
chomp(my $machine = `uname -m`);
my ($finit_module, $unshare) = @{ $calls{$machine} };
my $newuser = 0x10000000;

my %outcomes;

sub try {
    my ($name, $act) = @_;
    $! = 0;
    my $is_done = $act->();
    my $error = $! + 0;
    my ($word) = grep { $!{$_} } sort keys %!;
    $outcomes{$name} = $is_done ? 'done' : $word // $error;
}

sub writes {
    my ($path) = @_;
    open(my $file, '>', $path) or return 0;
    close $file;
    return unlink $path;
}

sub runs {
    my ($path) = @_;
    open(my $file, '>', $path) or die "$path: $!";
    print $file "#!/bin/sh\n";
    close $file;
    chmod 0755, $path;
    my $code = system { $path } $path;
    my $error = $!;
    unlink $path;
    $! = $error;
    return $code == 0;
}

sub sets_user {
    my ($path) = @_;
    open(my $file, '>', $path) or die "$path: $!";
    my $is_done = chmod 04755, $path;
    my $error = $!;
    unlink $path;
    $! = $error;
    return $is_done;
}

try('write to /etc', sub { writes('/etc/open/file') });
try('write to /usr', sub { writes('/usr/open/file') });
try('look into a home', sub { opendir(my $folder, '/home/someone') });
try('see processes of others', sub { -d '/proc/1' });
try('run a file of its state', sub { runs("$state/program") });
try('run a file in /tmp', sub { runs('/tmp/program') });
try('run a file in /dev/shm', sub { runs('/dev/shm/program') });
try('make a file setuid', sub { sets_user("$state/setuid") });
try('listen to a network device', sub { socket(my $socket, 17, 3, 0) });
try('speak to the host of a virtual machine', sub { socket(my $socket, 40, 1, 0) });
try('speak to the network', sub { socket(my $socket, 2, 1, 0) });
try('speak to the kernel of devices', sub { socket(my $socket, 16, 3, 0) });
try('open a device', sub { open(my $file, '<', '/dev/probe') });
try('load a module', sub { my $none = ''; syscall($finit_module, -1, $none, 0) == 0 });
# The last, since what follows would be tried in it.
try('make a namespace', sub { syscall($unshare, $newuser) == 0 });

open(my $file, '>', $report) or die "$report: $!";
print $file "$_=$outcomes{$_}\n" for sort keys %outcomes;
close $file or die "$report: $!";
