"""A running systemd-journald of our own: in a mount namespace in which /run, /dev and the journal's folders are empty, so
that what logs by syslog(3) there, and who reads the system's journal there, meets this one alone. Needs root."""

import contextlib
import glob
import json
import os
import signal
import subprocess

import lab

PROGRAM = '/lib/systemd/systemd-journald'
CONFIG = '[Journal]\nStorage=volatile\nForwardToSyslog=no\nRateLimitIntervalSec=0\n'
SET_UP = '''
set -e
mkdir -p "$1/dev"
mount --rbind /dev "$1/dev"
mount -t tmpfs -o mode=0755 tmpfs /run
[ ! -d /var/log/journal ] || mount -t tmpfs tmpfs /var/log/journal
mkdir -p /run/systemd /run/lock /run/etc
cp "$1/journald.conf" /run/etc/
mount --bind /run/etc /etc/systemd
mount --bind "$1/machine-id" /etc/machine-id
mount -t tmpfs -o mode=0755 tmpfs /dev
for name in null zero full random urandom tty; do
	: >"/dev/$name"
	mount --bind "$1/dev/$name" "/dev/$name"
done
mkdir -m 1777 /dev/shm
ln -s /run/systemd/journal/dev-log /dev/log
: >"$1/ready"
exec sleep infinity
'''


class Journald:
    """Not started yet. inside: words that run a command where this journald is the system's."""

    def __init__(self, base):
        self.base, self.process = base, None
        lab.write(os.path.join(base, 'journald.conf'), CONFIG)
        lab.write(os.path.join(base, 'machine-id'), 'b0a1' * 8 + '\n')
        self.anchor = subprocess.Popen(['unshare', '--mount', '--propagation', 'private', 'sh', '-c', SET_UP, 'sh', base],
                                       stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.inside = ['nsenter', '-t', str(self.anchor.pid), '-m', '--']
        try:
            lab.wait_until('the namespace is set up', self._set_up, 10)
        except lab.LabError:
            self.stop()
            raise

    @staticmethod
    def missing():
        """Why there cannot be one here; None: there can."""
        if not os.path.exists(PROGRAM):
            return 'systemd-journald is not installed'
        for path in ('/etc/machine-id', '/etc/systemd'):
            if not os.path.exists(path):
                return f'there is no {path}'
        done = subprocess.run(['unshare', '--mount', '--propagation', 'private', 'mount', '-t', 'tmpfs', 'tmpfs', '/run'],
                              capture_output=True, check=False, encoding='utf-8')
        return f'no mount namespace can be made: {done.stderr.strip()}' if done.returncode else None

    def _set_up(self):
        if self.anchor.poll() is not None:
            raise lab.LabError(f'the namespace cannot be set up: {self.anchor.stderr.read().decode()}')
        return os.path.exists(os.path.join(self.base, 'ready'))

    def start(self):
        before = self.text().count('Journal started')
        with open(os.path.join(self.base, 'journald.log'), 'ab') as log:
            self.process = subprocess.Popen([*self.inside, PROGRAM], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        lab.wait_until('journald runs', lambda: self.text().count('Journal started') > before, 10)

    def end(self):
        """SIGTERM to journald alone."""
        if self.process:
            self.process.terminate()
            self.process.wait()
            self.process = None

    def files(self):
        """Of the journal, as seen from outside; archived ones first."""
        return sorted(glob.glob(f'/proc/{self.anchor.pid}/root/run/log/journal/*/system*.journal'),
                      key=lambda path: not os.path.basename(path).startswith('system@'))

    def rotate(self):
        """The files that were archived by it."""
        before = set(self.files())
        self.process.send_signal(signal.SIGUSR2)
        lab.wait_until('the journal is rotated', lambda: len(self.files()) > len(before), 10)
        return [path for path in self.files() if path not in before]

    def entries(self):
        done = subprocess.run([*self.inside, 'journalctl', '-D', '/run/log/journal', '-o', 'json', '--all'],
                              capture_output=True, check=False)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def text(self):
        """As journalctl tells it: a line `IDENTIFIER: MESSAGE` each."""
        return ''.join(f"{e.get('SYSLOG_IDENTIFIER')}: {e.get('MESSAGE')}\n" for e in self.entries())

    def stop(self):
        self.end()
        if self.anchor:
            with contextlib.suppress(ProcessLookupError):
                self.anchor.kill()
            self.anchor.wait()
            self.anchor.stderr.close()
            self.anchor = None
