"""A private mail laboratory on loopback: Postfix, scripted SMTP sinks, a milter that refuses, postwaked.

Everything lives below one directory, listens on 127.0.0.1 ports that were free, asks no name server and
is ended by stop(). Used by the flow tests and by contrib/quickstart. Python standard library only.
Postfix itself needs root; so does everything here that starts it.
"""

import contextlib
import http.client
import itertools
import json
import os
import random
import re
import shutil
import signal
import smtplib
import socket
import socketserver
import ssl
import struct
import subprocess
import threading
import time

POSTFIX_LIBEXEC = '/usr/lib/postfix/sbin'


class LabError(Exception):
    """Something in the laboratory (not in what is tested) did not work."""


# --- small helpers ----------------------------------------------------------------------------------


def wait_until(what, condition, timeout=10.0, interval=0.02):
    """Calls condition() until it returns something true, which is the result."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            raise LabError(f'waited {timeout:g} s in vain: {what}')
        time.sleep(interval)


_given_ports = set()


def free_port():
    """A loopback TCP port below the ephemeral range which nobody uses now or got from here before."""
    for _ in range(2000):
        port = random.randrange(20000, 30000)
        if port in _given_ports:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(('127.0.0.1', port))
            except OSError:
                continue
        _given_ports.add(port)
        return port
    raise LabError('no free loopback port between 20000 and 29999')


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'w', encoding='utf-8') as file:
        file.write(text)


def read(path):
    with open(path, encoding='utf-8', errors='surrogateescape') as file:
        return file.read()


def clean_environment():
    """Without what would lead Postfix's tools to another instance or language."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(('MAIL_', 'LC_'))}
    env.update(LANG='C.UTF-8', PATH='/usr/sbin:/usr/bin:/sbin:/bin')
    return env


def self_signed_certificate(directory):
    """Paths of a certificate and its key for 127.0.0.1."""
    cert, key = os.path.join(directory, 'cert.pem'), os.path.join(directory, 'key.pem')
    if not os.path.exists(cert):
        os.makedirs(directory, exist_ok=True)
        subprocess.run(
            ['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', cert,
             '-days', '30', '-subj', '/CN=sink.example', '-addext', 'subjectAltName=IP:127.0.0.1'],
            check=True, capture_output=True)
    return cert, key


# --- HTTP over a UNIX socket ------------------------------------------------------------------------


class UnixHTTPConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout=30):
        super().__init__('localhost', timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def http_get(socket_path, target, method='GET', timeout=30):
    """(status, parsed JSON or None, headers as a dict)."""
    connection = UnixHTTPConnection(socket_path, timeout)
    try:
        connection.request(method, target)
        answer = connection.getresponse()
        body = answer.read()
        headers = {k.lower(): v for k, v in answer.getheaders()}
        return answer.status, json.loads(body) if body else None, headers
    finally:
        connection.close()


# --- SMTP and LMTP sinks ----------------------------------------------------------------------------

# Local-part prefix (up to the first dot) -> reply to RCPT; {address} is filled in.
RCPT_REPLIES = {
    'soft': '450 4.2.1 <{address}>: mailbox busy, try again later',
    'full': '452 4.2.2 <{address}>: mailbox full',
    'hard': '550 5.1.1 <{address}>: Recipient address rejected: User unknown',
    'policy': '550 5.7.26 This mail is unauthenticated, which poses a security risk',
}
# The same for the end of the message.
DOT_REPLIES = {
    'dotsoft': '451 4.3.0 temporary content failure',
    'dothard': '554 5.7.1 Message content rejected',
}


class _SinkHandler(socketserver.StreamRequestHandler):
    """One SMTP or LMTP session; what it says is decided by self.server.sink."""

    def say(self, line):
        self.wfile.write(line.encode('utf-8', 'surrogateescape') + b'\r\n')

    def handle(self):
        with contextlib.suppress(OSError, ssl.SSLError):
            self.converse()

    def converse(self):
        self.reset()
        self.tls = False
        self.say('220 sink.example ESMTP')
        for raw in iter(lambda: self.rfile.readline(), b''):  # rfile changes with STARTTLS
            line = raw.decode('utf-8', 'surrogateescape').rstrip('\r\n')
            verb = line.split(' ')[0].upper()
            if verb == 'QUIT':
                self.say('221 2.0.0 Bye')
                return
            getattr(self, 'do_' + verb.lower(), self.unknown)(line)

    def reset(self):
        self.sender, self.recipients = None, []

    def unknown(self, _line):
        self.say('502 5.5.2 Error: command not recognized')

    def do_ehlo(self, _line):
        features = ['PIPELINING', '8BITMIME', 'ENHANCEDSTATUSCODES', 'SMTPUTF8', 'DSN']
        if self.server.sink.tls and not self.tls:
            features.append('STARTTLS')
        lines = ['sink.example'] + features
        for i, text in enumerate(lines):
            self.say(f"250{' ' if i == len(lines) - 1 else '-'}{text}")

    do_helo = do_lhlo = do_ehlo

    def do_starttls(self, _line):
        self.say('220 2.0.0 Ready to start TLS')
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*self.server.sink.tls)
        self.request = context.wrap_socket(self.request, server_side=True)
        self.rfile = self.request.makefile('rb')
        self.wfile = self.request.makefile('wb', 0)
        self.tls = True

    def do_mail(self, line):
        self.reset()
        self.sender = re.match(r'MAIL FROM:\s*<(.*?)>', line, re.I).group(1)
        self.say('250 2.1.0 Ok')

    def do_rcpt(self, line):
        address = re.match(r'RCPT TO:\s*<(.*)>', line, re.I).group(1)
        refusal = self.server.sink.rcpt_reply(address)
        if not refusal:
            self.recipients.append(address)
        self.say(refusal or '250 2.1.5 Ok')

    def do_data(self, _line):
        self.say('354 End data with <CR><LF>.<CR><LF>')
        lines = []
        for raw in iter(self.rfile.readline, b''):
            if raw == b'.\r\n':
                break
            lines.append(raw[1:] if raw.startswith(b'.') else raw)
        content = b''.join(lines)
        for reply in self.server.sink.dot_replies(self.sender, self.recipients, content, self.tls):
            self.say(reply)
        self.reset()

    def do_rset(self, _line):
        self.reset()
        self.say('250 2.0.0 Ok')

    def do_noop(self, _line):
        self.say('250 2.0.0 Ok')


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


class Sink:
    """An SMTP (lmtp=True: LMTP) server on loopback which accepts, or says what the recipient asks for.

    verdict: reply to every RCPT whose local part asks for nothing else; None accepts.
    forward: (host, port) of an SMTP server that gets each accepted mail: a content filter.
    tls: (certificate, key) to offer STARTTLS.
    """

    def __init__(self, verdict=None, lmtp=False, forward=None, tls=None, port=None):
        self.verdict, self.lmtp, self.forward, self.tls = verdict, lmtp, forward, tls
        self.accepted = []  # (sender, [recipients], content, over TLS)
        self.numbers = itertools.count(1)
        self.greylisted = set()
        self.port = port or free_port()
        self.server = _Server(('127.0.0.1', self.port), _SinkHandler)
        self.server.sink = self
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def rcpt_reply(self, address):
        prefix = address.split('@')[0].split('.')[0].strip('"')
        if prefix == 'grey' and address not in self.greylisted:
            self.greylisted.add(address)
            return '451 4.7.1 Greylisted, please come back in a second'
        reply = RCPT_REPLIES.get(prefix) or (None if prefix == 'ok' else self.verdict)
        return reply and reply.format(address=address)

    def dot_reply(self, recipients, content):
        prefixes = [r.split('@')[0].split('.')[0] for r in recipients]
        for prefix in prefixes:
            if prefix in DOT_REPLIES:
                return DOT_REPLIES[prefix]
        if self.forward:
            return None
        return f'250 2.0.0 Ok: sink-id {next(self.numbers)}'

    def dot_replies(self, sender, recipients, content, tls):
        if self.lmtp:
            replies = [self.dot_reply([r], content) for r in recipients]
            taken = [r for r, reply in zip(recipients, replies) if reply.startswith('2')]
        else:
            reply = self.dot_reply(recipients, content)
            replies = [reply or self.reinject(sender, recipients, content)]
            taken = recipients if replies[0].startswith('2') else []
        if taken:
            self.accepted.append((sender, taken, content, tls))
        return replies

    def reinject(self, sender, recipients, content):
        with smtplib.SMTP(*self.forward, local_hostname='filter.example') as client:
            client.ehlo()
            client.mail(sender)
            for recipient in recipients:
                client.rcpt(recipient)
            code, text = client.data(content.replace(b'\r\n', b'\n'))
        return (f'{code} 2.6.0 from MTA(smtp:[{self.forward[0]}]:{self.forward[1]}): '
                f"{code} {text.decode('utf-8', 'replace')}")

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


# --- a milter that refuses --------------------------------------------------------------------------


class _MilterHandler(socketserver.BaseRequestHandler):
    """Enough of the milter protocol (version 6) to refuse at RCPT and at end of message."""

    def receive(self, count):
        data = b''
        while len(data) < count:
            chunk = self.request.recv(count - len(data))
            if not chunk:
                raise ConnectionError
            data += chunk
        return data

    def send(self, code, data=b''):
        self.request.sendall(struct.pack('!I', len(data) + 1) + code + data)

    def judge(self, address):
        refuse = address.split(b'\0')[0].strip(b'<>').startswith(self.server.prefix)
        self.send(*((b'y', b'550 5.7.1 refused by the second filter\0') if refuse else (b'c',)))

    def handle(self):
        with contextlib.suppress(OSError):
            sender = b''
            while True:
                length = struct.unpack('!I', self.receive(4))[0]
                packet = self.receive(length)
                code, data = packet[:1], packet[1:]
                if code == b'O':  # SMFIC_OPTNEG: no actions, all steps
                    self.send(b'O', struct.pack('!III', 6, 0, 0))
                elif code == b'Q':
                    return
                elif code == b'M':
                    sender = data
                    self.send(b'c')
                elif code in (b'R', b'E'):  # SMFIC_RCPT, SMFIC_BODYEOB
                    self.judge(data if code == b'R' else sender)
                elif code not in (b'D', b'A', b'K'):  # macros and aborts want no answer
                    self.send(b'c')


class RefusingMilter:
    """Refuses recipients PREFIX…, and at end of message what comes from PREFIX…"""

    def __init__(self, prefix='late-refused'):
        self.port = free_port()
        self.server = _Server(('127.0.0.1', self.port), _MilterHandler)
        self.server.prefix = prefix.encode()
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


# --- Postfix ----------------------------------------------------------------------------------------

MAIN_CF = '''\
compatibility_level = 3.6
queue_directory = {spool}
data_directory = {base}/data
daemon_directory = {libexec}
command_directory = /usr/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = {log}
maillog_file_prefixes = {logs}
syslog_name = {syslog_name}
myhostname = mx.lab.example
mydestination = lab.example, localhost
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
smtp_dns_support_level = disabled
smtp_host_lookup = native
disable_dns_lookups = yes
smtpd_peername_lookup = no
enable_long_queue_ids = {long_ids}
alias_maps =
alias_database =
local_recipient_maps = inline:{{ postmaster=x root=x }}
local_transport = smtp:[127.0.0.1]:{deliver}
transport_maps = texthash:{base}/etc/transport
smtpd_recipient_restrictions = check_recipient_access texthash:{base}/etc/recipient_access
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
header_checks = regexp:{base}/etc/header_checks
smtputf8_enable = yes
smtp_tls_security_level = may
biff = no
append_dot_mydomain = no
minimal_backoff_time = {retry}s
maximal_backoff_time = {retry}s
queue_run_delay = {retry}s
smtp_connect_timeout = 3s
smtpd_milters = {milters}
non_smtpd_milters = {milters}
'''

MASTER_CF = '''\
127.0.0.1:{smtp} inet n - n - - smtpd
127.0.0.1:{filtered} inet n - n - - smtpd
  -o content_filter=scan:[127.0.0.1]:{filter}
127.0.0.1:{reinject} inet n - n - - smtpd
  -o smtpd_milters= -o syslog_name={syslog_name}/reinject
  -o receive_override_options=no_unknown_recipient_checks,no_header_body_checks,no_milters
127.0.0.1:{second} inet n - n - - smtpd
  -o {{ smtpd_milters = {milters} inet:127.0.0.1:{refusing} }}
scan      unix  - - n - 4 smtp
  -o smtp_send_xforward_command=yes
pickup    unix  n - n 60 1 pickup
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
tlsmgr    unix  - - n 1000? 1 tlsmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
verify    unix  - - n - 1 verify
flush     unix  n - n 1000? 0 flush
proxymap  unix  - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp      unix  - - n - - smtp
relay     unix  - - n - - smtp
showq     unix  n - n - - showq
error     unix  - - n - - error
retry     unix  - - n - - error
discard   unix  - - n - - discard
lmtp      unix  - - n - - lmtp
anvil     unix  - - n - 1 anvil
scache    unix  - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
'''

MILTER = ('{{ unix:{socket}, default_action={action}, command_timeout=3s, content_timeout=10s,'
          ' connect_timeout=3s }}')


class Postfix:
    """A private instance with its sinks. Domains of the transport map:

    deliver.example accepts (or what the local part asks for), defer.example defers, bounce.example
    refuses, lmtp.example speaks LMTP, tls.example offers STARTTLS, closed.example refuses connections.
    Recipients refused@… are refused at RCPT; mails with X-Refuse: at their header.
    """

    def __init__(self, base, milter=True, default_action='accept', long_ids=True, retry=2, tls=False,
                 syslog_name='postfix', log=None, main=''):
        """main: lines for the end of main.cf; log: where another instance writes already."""
        self.base, self.log, self.main = base, log or os.path.join(base, 'log', 'mail.log'), main
        self.spool, self.etc = os.path.join(base, 'spool'), os.path.join(base, 'etc')
        self.syslog_name, self.long_ids, self.retry = syslog_name, long_ids, retry
        # Relative to the queue directory: reachable whatever the modes of the directories above.
        self.milter_socket = os.path.join(self.spool, 'postwake', 'milter.sock')
        self.milters = MILTER.format(socket='postwake/milter.sock', action=default_action) if milter else ''
        self.port = {n: free_port() for n in ('smtp', 'filtered', 'reinject', 'second', 'closed')}
        self.sinks, self.running = {}, False
        self.wrapper = []  # words in front of each command
        self._start_sinks(tls)
        self._write_configuration()

    def _start_sinks(self, tls):
        certificate = self_signed_certificate(os.path.join(self.base, 'tls')) if tls else None
        self.sinks = {
            'deliver': Sink(),
            'defer': Sink(verdict=RCPT_REPLIES['full']),
            'bounce': Sink(verdict=RCPT_REPLIES['hard']),
            'lmtp': Sink(lmtp=True),
            'tls': Sink(tls=certificate),
            'filter': Sink(forward=('127.0.0.1', self.port['reinject'])),
        }
        self.refusing = RefusingMilter()

    def _write_configuration(self):
        for directory in ('etc', 'spool', 'data', 'log', 'spool/postwake'):
            os.makedirs(os.path.join(self.base, directory), exist_ok=True)
        for directory in (self.base, self.etc, self.spool, os.path.dirname(self.log)):
            os.chmod(directory, 0o755)
        shutil.chown(os.path.join(self.base, 'data'), 'postfix')
        os.chmod(os.path.join(self.base, 'data'), 0o700)
        ports = {n: s.port for n, s in self.sinks.items()}
        values = dict(self.port, **ports, base=self.base, spool=self.spool, log=self.log,
                      logs=os.path.dirname(self.log), libexec=POSTFIX_LIBEXEC,
                      syslog_name=self.syslog_name, milters=self.milters, long_ids='yes' if self.long_ids else 'no', retry=self.retry,
                      refusing=self.refusing.port)
        write(f'{self.etc}/main.cf', MAIN_CF.format(**values) + self.main)
        write(f'{self.etc}/master.cf', MASTER_CF.format(**values))
        smtp = ''.join(f'{n}.example smtp:[127.0.0.1]:{ports[n]}\n' for n in ('deliver', 'defer', 'bounce'))
        write(f'{self.etc}/transport', smtp
              + f"lmtp.example lmtp:[127.0.0.1]:{ports['lmtp']}\n"
              + f"tls.example smtp:[127.0.0.1]:{ports['tls']}\n"
              + f"closed.example smtp:[127.0.0.1]:{self.port['closed']}\n")
        write(f'{self.etc}/recipient_access', 'refused@ 554 5.7.1 policy says no\n')
        write(f'{self.etc}/header_checks', '/^X-Refuse:/ REJECT 5.7.1 header policy\n')

    def command(self, *words, check=True):
        """Runs a tool of Postfix (postfix, postqueue, postsuper, …) on this instance."""
        done = subprocess.run([*self.wrapper, f'/usr/sbin/{words[0]}', '-c', self.etc, *words[1:]],
                              env=clean_environment(), capture_output=True, check=False, encoding='utf-8',
                              errors='surrogateescape')
        if check and done.returncode != 0:
            raise LabError(f"{' '.join(words)}: status {done.returncode}: {done.stderr.strip()}")
        return done

    def start(self):
        self.command('postfix', 'start')
        self.running = True
        wait_until('Postfix answers', self._answers)
        return self

    def _answers(self):
        try:
            with socket.create_connection(('127.0.0.1', self.port['smtp']), 2) as probe:
                return probe.recv(4) == b'220 '
        except OSError:
            return False

    def stop(self):
        """Ends Postfix and the sinks; harmless when nothing runs."""
        if self.running:
            self.command('postfix', 'stop', check=False)
            self.running = False
            with contextlib.suppress(LabError):
                wait_until('Postfix is gone', lambda: not self._answers(), 5)
        for thing in [*self.sinks.values(), self.refusing]:
            thing.stop()
        self.sinks = {}

    def flush(self):
        self.command('postqueue', '-f')

    def log_text(self):
        return read(self.log) if os.path.exists(self.log) else ''

    def wait_log(self, pattern, timeout=15):
        """The first match of `pattern` in the log. What is deferred is tried again while waiting for long: the queue
        manager does not look at its queue as often as queue_run_delay promises."""
        end = time.monotonic() + timeout
        while True:
            try:
                return wait_until(f'{pattern!r} in {self.log}',
                                  lambda: re.search(pattern, self.log_text(), re.M), 3)
            except LabError:
                if time.monotonic() > end:
                    raise
                self.flush()

    def send(self, sender, recipients, subject='a test', headers=(), body='Hello.\r\n', port='smtp'):
        """Sends one mail by SMTP. Returns (queue id or None, replies as (command, code, text))."""
        if isinstance(recipients, str):
            recipients = [recipients]
        head = [f'From: {sender or "postmaster@lab.example"}', f'To: {", ".join(recipients)}',
                f'Subject: {subject}', f'Message-ID: <{random.getrandbits(64):x}@lab.example>', *headers]
        content = '\r\n'.join(head) + '\r\n\r\n' + body
        replies = []
        with smtplib.SMTP('127.0.0.1', self.port[port], local_hostname='client.example') as client:
            client.ehlo()
            replies.append(('MAIL', *client.mail(sender)))
            for recipient in recipients:
                replies.append(('RCPT', *client.rcpt(recipient)))
            if any(c == 'RCPT' and code == 250 for c, code, _ in replies):
                try:
                    replies.append(('DOT', *client.data(content.encode('utf-8'))))
                except smtplib.SMTPResponseException as refused:
                    replies.append(('DOT', refused.smtp_code, refused.smtp_error))
        replies = [(c, code, text.decode('utf-8', 'replace')) for c, code, text in replies]
        match = re.search(r'queued as (\S+)', replies[-1][2])
        return (match.group(1) if match else None), replies

    def submit(self, sender, recipients, subject='a test'):
        """Sends one mail by the sendmail command (pickup)."""
        text = f'From: {sender}\nTo: {", ".join(recipients)}\nSubject: {subject}\n\nHello.\n'
        subprocess.run(['/usr/sbin/sendmail', '-C', self.etc, '-f', sender, '-i', '--', *recipients],
                       input=text, text=True, check=True, env=clean_environment())


# --- postwaked --------------------------------------------------------------------------------------


class Daemon:
    """postwaked with a private configuration below `base`.

    source: lines of the [source mail] section, or None for no log source.
    sections: {section: {key: value}} on top of what is set here; a value None takes a key out.
    """

    def __init__(self, build, base, source=None, milter_socket=None, sections=None):
        self.build, self.base = build, base
        self.store, self.socket = os.path.join(base, 'store'), os.path.join(base, 'query.sock')
        self.config, self.log = os.path.join(base, 'postwake.conf'), os.path.join(base, 'postwaked.log')
        self.process = None
        self.environment = {}  # on top of ours
        self.wrapper = []  # words in front of the command
        self.identity = {}  # user, group and extra_groups of subprocess; empty: ours
        os.makedirs(self.store, exist_ok=True)
        settings = {
            'postwake': {'store': self.store},
            'query': {'socket': self.socket},
            'milter': {'socket': f'unix:{milter_socket}', 'group': 'postfix', 'mode': '0660',
                       'check_postfix': 'no'} if milter_socket else {'enabled': 'no'},
        }
        if source:
            settings['source mail'] = dict(source)
        else:
            settings['postwake']['follow'] = 'none'
        for section, keys in (sections or {}).items():
            settings.setdefault(section, {}).update(keys)
        self.settings = settings
        self.write_config()

    def write_config(self):
        text = ''
        for section, keys in self.settings.items():
            text += f'[{section}]\n' + ''.join(f'{k} = {v}\n' for k, v in keys.items() if v is not None) + '\n'
        write(self.config, text)

    def start(self, ready=True, timeout=15):
        """PW_WRAP: what runs the daemon (valgrind …), PW_PRELOAD: for its LD_PRELOAD; see tests/instrumented."""
        preload = {'LD_PRELOAD': os.environ['PW_PRELOAD']} if 'PW_PRELOAD' in os.environ else {}
        wrap = os.environ.get('PW_WRAP', '').split()
        with open(self.log, 'ab') as log:
            self.process = subprocess.Popen([*wrap, *self.wrapper, os.path.join(self.build, 'postwaked'), '-c', self.config],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env={**os.environ, **preload, **self.environment}, **self.identity)
        if ready:
            wait_until('postwaked answers', self.ready, timeout * (4 if wrap else 1))
        return self

    def ready(self):
        if self.process.poll() is not None:
            raise LabError(f'postwaked ended with status {self.process.returncode}: {self.log_text()[-2000:]}')
        try:
            return http_get(self.socket, '/api/v1/status', timeout=2)[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def stop(self, timeout=15):
        """SIGTERM; the exit status."""
        if not self.process:
            return None
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise LabError(f'postwaked did not end within {timeout} s of SIGTERM') from None
        status, self.process = self.process.returncode, None
        return status

    def kill(self):
        """kill -9."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        self.process = None

    def log_text(self):
        return read(self.log) if os.path.exists(self.log) else ''

    def get(self, target):
        return http_get(self.socket, target)

    def events(self, query='', window=True):
        """All events that match, newest first, following the links."""
        target = '/api/v1/message-events?per_page=1000' + ('&from=2000-01-01T00:00' if window else '')
        target += f'&{query}' if query else ''
        found = []
        while target:
            status, answer, _ = self.get(target)
            if status != 200:
                raise LabError(f'GET {target}: {status} {answer}')
            found += answer['results']
            target = next((link['href'] for link in answer['links'] if link['rel'] == 'next'), None)
        return found

    def wait_events(self, query, count=1, timeout=10):
        """Waits until `count` events match."""
        def enough():
            found = self.events(query)
            return found if len(found) >= count else None
        return wait_until(f'{count} events for {query}', enough, timeout)

    def status(self):
        return self.get('/api/v1/status')[1]['results']

    def postwake(self, *words, **options):
        """Runs `postwake -s SOCKET …`."""
        return run_postwake(self.build, '-s', self.socket, *words, **options)


def run_postwake(build, *words, stdin=None, timeout=120):
    """Runs the command; the CompletedProcess with text output."""
    return subprocess.run([os.path.join(build, 'postwake'), *words], input=stdin,
                          stdin=subprocess.DEVNULL if stdin is None else None, capture_output=True,
                          timeout=timeout, check=False, encoding='utf-8', errors='surrogateescape')


# --- logs in other clothes --------------------------------------------------------------------------

_BSD = re.compile(r'^(\w{3} [ \d]\d \d\d:\d\d:\d\d) (\S+) (\S+?)\[(\d+)\]: (.*)$')


def journal_from_log(log, directory, year):
    """A journal file with the lines of a BSD-stamped log (local time), or None without the tool.

    The entries come from root's syslog socket, as a mail system's would.
    """
    tool = '/lib/systemd/systemd-journal-remote'
    if not os.path.exists(tool):
        return None
    os.makedirs(directory, exist_ok=True)
    export, journal = os.path.join(directory, 'lines.export'), os.path.join(directory, 'lines.journal')
    with open(export, 'wb') as out:
        for number, line in enumerate(read(log).splitlines(), 1):
            match = _BSD.match(line)
            if match:
                out.write(_journal_entry(number, year, *match.groups()))
    subprocess.run([tool, '-o', journal, export], check=True, capture_output=True)
    return journal


def _journal_entry(number, year, stamp, host, tag, pid, text):
    when = time.strptime(f'{year} {stamp} UTC', '%Y %b %d %H:%M:%S %Z')
    stamp_us = int(time.mktime(when)) * 1000000
    fields = {
        '__CURSOR': f"s={'a' * 32};i={number:x}", '__REALTIME_TIMESTAMP': stamp_us + number % 1000000,
        '__MONOTONIC_TIMESTAMP': number * 1000, '_BOOT_ID': '0' * 31 + '1', '_MACHINE_ID': '0' * 31 + '2',
        '_SOURCE_REALTIME_TIMESTAMP': stamp_us, '_HOSTNAME': host, '_UID': 0, '_TRANSPORT': 'syslog',
        'PRIORITY': 6, 'SYSLOG_FACILITY': 2, 'SYSLOG_IDENTIFIER': tag, 'SYSLOG_PID': pid, '_PID': pid,
    }
    entry = ''.join(f'{k}={v}\n' for k, v in fields.items()).encode()
    value = text.encode('utf-8', 'surrogateescape')
    return entry + b'MESSAGE\n' + struct.pack('<Q', len(value)) + value + b'\n\n'
