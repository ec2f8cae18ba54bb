"""A private Sendmail: Debian's packages unpacked somewhere, run with mount and host name namespaces of its own.

It needs a full host name, safe directories and /dev/log; all that is given to it inside: BASE is seen as /srv, the
host is mx.lab.example, and /dev/log is a socket from which a thread writes BASE/log/mail.log as a syslogd would.
"""

import contextlib
import os
import re
import shutil
import smtplib
import socket
import subprocess
import threading

from lab import LabError, Sink, clean_environment, free_port, read, wait_until, write

COMMON_MC = '''\
divert(-1)
define(`_CF_DIR_', `{root}/usr/share/sendmail/cf/')
include(`{root}/usr/share/sendmail/cf/m4/cf.m4')
divert(0)
OSTYPE(`linux')
define(`confDOMAIN_NAME', `mx.lab.example')
define(`confLOG_LEVEL', `{level}')
define(`confSERVICE_SWITCH_FILE', `/srv/etc/service.switch')
define(`confTRUSTED_USER', `root')
define(`confDEF_USER_ID', `65534:65534')
define(`confHOST_STATUS_DIRECTORY', `')
define(`confTO_CONNECT', `3s')
define(`confTO_IDENT', `0')
'''

DAEMON_MC = COMMON_MC + '''\
define(`confCW_FILE', `/srv/etc/local-host-names')
define(`QUEUE_DIR', `/srv/queue')
define(`STATUS_FILE', `/srv/log/statistics')
define(`HELP_FILE', `/srv/etc/helpfile')
define(`ALIAS_FILE', `/srv/etc/aliases')
define(`confPID_FILE', `/srv/sendmail.pid')
define(`confMIN_QUEUE_AGE', `0')
define(`confDELIVERY_MODE', `background')
define(`confBAD_RCPT_THROTTLE', `0')
define(`SMTP_MAILER_ARGS', `TCP $h {sink}')
define(`ESMTP_MAILER_ARGS', `TCP $h {sink}')
FEATURE(`use_cw_file')
FEATURE(`nocanonify')
FEATURE(`accept_unresolvable_domains')
FEATURE(`mailertable', `hash -o /srv/etc/mailertable')
FEATURE(`access_db', `hash -T<TMPF> -o /srv/etc/access')
FEATURE(`blocklist_recipients')
FEATURE(`no_default_msa')
include(`{snippet}')
INPUT_MAIL_FILTER(`refusing', `S=inet:{refusing}@127.0.0.1, F=T')
DAEMON_OPTIONS(`Port={smtp}, Addr=127.0.0.1, Name=MTA, M=f, InputMailFilters=postwake')
DAEMON_OPTIONS(`Port={second}, Addr=127.0.0.1, Name=second, M=f, InputMailFilters=postwake;refusing')
MAILER(`local')
MAILER(`smtp')
'''

# What is submitted on this host goes to the daemon by SMTP.
SUBMIT_MC = COMMON_MC + '''\
define(`confRUN_AS_USER', `nobody:nogroup')
define(`RELAY_MAILER_ARGS', `TCP $h {smtp}')
define(`MSP_QUEUE_DIR', `/srv/client')
define(`confPID_FILE', `/srv/submit.pid')
define(`STATUS_FILE', `/srv/log/submit.statistics')
FEATURE(`msp', `[127.0.0.1]')
'''

# BASE SENDMAIL WORD…
ENTER = '''\
hostname mx.lab.example &&
mount --bind "$0/hosts" /etc/hosts &&
mount -t tmpfs -o mode=755 tmpfs "$0/dev" || exit 77
for name in null zero full random urandom; do
	: >"$0/dev/$name" && mount --bind "/dev/$name" "$0/dev/$name" || exit 77
done
: >"$0/dev/log"
mount --bind "$0/log.sock" "$0/dev/log" && mount --bind "$0" /srv && mount --rbind "$0/dev" /dev || exit 77
exec "$@"
'''

SYSLOG_LINE = re.compile(rb'^<\d+>(\w{3} [ \d]\d [\d:]{8}) (.*)$', re.S)


def environment_of(root):
    """With the libraries that were unpacked beside Sendmail."""
    libraries = os.path.join(root, 'usr/lib', os.uname().machine + '-linux-gnu')
    return dict(clean_environment(), TZ='UTC', LD_LIBRARY_PATH=libraries)


def why_not(root):
    """Why Sendmail cannot run here, or None."""
    program = root and os.path.join(root, 'usr/libexec/sendmail/sendmail')
    if not program or not os.access(program, os.X_OK):
        return 'Sendmail is not unpacked (contrib/test does that)'
    if not shutil.which('m4'):
        return 'm4 is not installed'
    libraries = subprocess.run(['ldd', program], env=environment_of(root), capture_output=True, text=True, check=False)
    if 'not found' in libraries.stdout:
        return 'libraries of Sendmail are missing: ' + program
    if subprocess.run(['unshare', '-m', '-u', 'true'], capture_output=True, check=False).returncode != 0:
        return 'unshare is not permitted here'
    return None


class Sendmail:
    """The daemon with a sink for all domains (what the local part asks for, see lab.Sink) and a refusing milter."""

    def __init__(self, root, snippet, base, refusing, level=9):
        self.root, self.base, self.log = root, base, os.path.join(base, 'log', 'mail.log')
        self.program = os.path.join(root, 'usr/libexec/sendmail/sendmail')
        self.milter_socket = os.path.join(base, 'postwake', 'milter.sock')
        self.port = {'smtp': free_port(), 'second': free_port()}
        self.sink, self.refusing, self.process = Sink(), refusing, None
        self._write_configuration(snippet, level)
        self._listen()

    def _write_configuration(self, snippet, level):
        for name in ('etc', 'queue', 'client', 'log', 'dev', 'postwake'):
            os.makedirs(os.path.join(self.base, name), mode=0o755, exist_ok=True)
        os.chmod(os.path.join(self.base, 'queue'), 0o700)
        shutil.chown(os.path.join(self.base, 'client'), 'nobody', 'nogroup')
        shutil.chown(os.path.join(self.base, 'postwake'), 'nobody')  # as postwaked's runtime directory is its own
        values = dict(self.port, root=self.root, sink=self.sink.port, level=level, refusing=self.refusing.port,
                      snippet=snippet)
        etc = os.path.join(self.base, 'etc')
        write(f'{self.base}/hosts', '127.0.0.1 mx.lab.example localhost mx\n')
        write(f'{etc}/service.switch', 'hosts files\naliases files\npasswd files\n')
        write(f'{etc}/local-host-names', 'lab.example\nmx.lab.example\n')
        write(f'{etc}/aliases', 'postmaster: archive@py.example\n')
        write(f'{etc}/helpfile', '')
        write(f'{etc}/mailertable', 'example\tesmtp:[127.0.0.1]\n.example\tesmtp:[127.0.0.1]\n.\terror:5.1.2:550 lab\n')
        write(f'{etc}/access', 'Connect:127.0.0.1\tRELAY\nTo:refused@py.example\tERROR:5.7.1:550 policy says no\n')
        for name in ('statistics', 'submit.statistics'):
            write(f'{self.base}/log/{name}', '')
        for name, text in (('sendmail', DAEMON_MC), ('submit', SUBMIT_MC)):
            write(f'{etc}/{name}.mc', text.format(**values))
            done = subprocess.run(['m4', f'{etc}/{name}.mc'], capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise LabError(f'm4 {name}.mc: {done.stderr}')
            write(f'{etc}/{name}.cf', done.stdout)
        for name in ('mailertable', 'access'):
            with open(f'{etc}/{name}', encoding='utf-8') as text:
                subprocess.run([os.path.join(self.root, 'usr/libexec/sendmail/makemap'), '-C', f'{etc}/sendmail.cf',
                                'hash', f'{etc}/{name}'], stdin=text, check=True, capture_output=True,
                               env=environment_of(self.root))

    def _listen(self):
        self.syslog = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.syslog.bind(os.path.join(self.base, 'log.sock'))
        os.chmod(os.path.join(self.base, 'log.sock'), 0o666)
        threading.Thread(target=self._write_log, daemon=True).start()

    def _write_log(self):
        with open(self.log, 'ab', buffering=0) as log, contextlib.suppress(OSError):
            while True:
                match = SYSLOG_LINE.match(self.syslog.recv(65536))
                if match:
                    log.write(match.group(1) + b' mx ' + match.group(2).rstrip(b'\0\n') + b'\n')

    def start(self):
        self.process = subprocess.Popen(
            ['unshare', '-m', '-u', '--propagation', 'private', 'bash', '-c', ENTER, self.base, self.program,
             '-C', '/srv/etc/sendmail.cf', '-bD', '-q1s'],
            env=environment_of(self.root), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        wait_until('Sendmail answers', self._answers)
        return self

    def _answers(self):
        if self.process.poll() is not None:
            raise LabError(f'Sendmail ended: {self.process.stderr.read().decode()} {self.log_text()[-2000:]}')
        try:
            with socket.create_connection(('127.0.0.1', self.port['second']), 2) as probe:
                return probe.recv(4) == b'220 '
        except OSError:
            return False

    def send(self, sender, recipients, headers=(), port='smtp'):
        """Sends one mail by SMTP. Returns its queue id, or None."""
        content = '\r\n'.join([f'From: {sender}', f'To: {", ".join(recipients)}', *headers]) + '\r\n\r\nHello.\r\n'
        with smtplib.SMTP('127.0.0.1', self.port[port], local_hostname='client.example') as client:
            client.ehlo()
            client.mail(sender)
            taken = [client.rcpt(recipient)[0] == 250 for recipient in recipients]
            if not any(taken):
                return None
            _, text = client.data(content.encode())
        match = re.search(r'(\S+) Message accepted for delivery', text.decode())
        return match and match.group(1)

    def submit(self, sender, recipients):
        """Sends one mail by the sendmail command, as a submission client."""
        text = f'From: {sender}\nTo: {", ".join(recipients)}\nSubject: from cron\n\nHello.\n'
        subprocess.run(['nsenter', '-t', str(self.process.pid), '-m', '-u', self.program, '-C', '/srv/etc/submit.cf',
                        '-f', sender, '-i', '--', *recipients], input=text, text=True, check=True,
                       env=environment_of(self.root), timeout=30)

    def log_text(self):
        return read(self.log) if os.path.exists(self.log) else ''

    def wait_log(self, pattern, timeout=15):
        return wait_until(f'{pattern!r} in {self.log}', lambda: re.search(pattern, self.log_text(), re.M), timeout)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None
        self.sink.stop()
        self.refusing.stop()
        self.syslog.close()
