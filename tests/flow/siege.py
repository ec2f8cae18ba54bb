"""Attackers beside a good client: raw connections to both listeners of a daemon, in processes of another user."""

import contextlib
import json
import os
import re
import select
import signal
import socket
import ssl
import time

import lab
from flow import expect

ATTACKER = 61009
# No answer of the good client may take longer, on a machine that is busy with other things and with sanitizers.
SECONDS = 5


class Door:
    """A listener as its clients see it: kind is 'unix' or 'tls', key what its requests carry."""

    def __init__(self, daemon, kind, port=None, key=None):
        self.kind, self.path, self.port, self.key = kind, daemon.socket, port, key

    def connect(self, timeout=10, small=False, handshake=True):
        """A connection; small: it can take few bytes before it must read."""
        sock = socket.socket(socket.AF_UNIX if self.kind == 'unix' else socket.AF_INET)
        if small:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(timeout)
        try:
            sock.connect(self.path if self.kind == 'unix' else ('127.0.0.1', self.port))
            if self.kind == 'tls' and handshake:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                sock = context.wrap_socket(sock)
        except BaseException:
            sock.close()
            raise
        return sock

    def request(self, target, method='GET', headers='', body=b''):
        head = f'{method} {target} HTTP/1.1\r\nHost: localhost\r\n{headers}'
        if self.key:
            head += f'Authorization: {self.key}\r\n'
        if body:
            head += f'Content-Length: {len(body)}\r\n'
        return head.encode('latin-1') + b'\r\n' + body

    def say(self, raw, timeout=2.0):
        """Sends bytes on a connection of their own; what comes back, and whether the server then closed."""
        with self.connect() as sock:
            with contextlib.suppress(OSError):  # it may have closed before all was sent
                sock.sendall(raw)
            return hear(sock, timeout)

    def ask(self, target, method='GET', headers='', body=b''):
        """Status and body of one request, after which the server closes."""
        answer, _ = self.say(self.request(target, method, headers + 'Connection: close\r\n', body), 20)
        head, _, body = answer.partition(b'\r\n\r\n')
        return int(head.split()[1]), body


def hear(sock, timeout):
    """All that comes until the server closes or nothing has come for a while: (bytes, closed)."""
    out, closed = b'', False
    sock.settimeout(timeout)
    with contextlib.suppress(TimeoutError):
        while not closed:
            try:
                piece = sock.recv(1 << 16)
            except (ConnectionError, ssl.SSLError):
                piece = b''
            closed = piece == b''
            out += piece
    return out, closed


def statuses(answer):
    return [int(n) for n in re.findall(rb'HTTP/1\.1 (\d{3}) ', answer)]


def as_user(function, uid=ATTACKER, groups=()):
    """Starts function() in a process of that user. Returns (pid, descriptor that its result comes on)."""
    receive, send = os.pipe()
    pid = os.fork()
    if pid:
        os.close(send)
        return pid, receive
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # run.py's does not end a process
    signal.alarm(100)
    try:
        os.setgroups(groups)
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        result = {'ok': function()}
    except BaseException as error:  # pylint: disable=broad-except
        result = {'error': repr(error)}
    os.write(send, json.dumps(result).encode()[:60000])
    os._exit(0)


def result_of(pid, receive):
    with os.fdopen(receive, 'rb') as file:
        text = file.read()
    os.waitpid(pid, 0)
    result = json.loads(text)
    if 'error' in result:
        raise AssertionError(f"the attacker failed: {result['error']}")
    return result['ok']


def anonymous_memory(daemon):
    """MB of the process that no file stands behind."""
    return int(re.search(r'RssAnon:\s+(\d+)', lab.read(f'/proc/{daemon.process.pid}/status')).group(1)) / 1024


def sockets(daemon):
    directory = f'/proc/{daemon.process.pid}/fd'
    count = 0
    for number in os.listdir(directory):
        with contextlib.suppress(FileNotFoundError):
            count += os.readlink(os.path.join(directory, number)).startswith('socket:')
    return count


class Fortress:
    """A daemon with both listeners and many events, for all sieges: who is inside must not see them."""

    EVENTS = 11000

    def __init__(self, environment):
        base = environment.directory('fortress')
        certificate, private = lab.self_signed_certificate(os.path.join(base, 'tls'))
        self.port = lab.free_port()
        self.daemon = lab.Daemon(environment.build, os.path.join(base, 'postwake'), sections={
            'query': {'mode': '0666', 'key_rate': '0'},
            'access attacker': {'users': str(ATTACKER), 'grants': 'read ingest upload'},
            'listen': {'port': str(self.port), 'certificate': certificate, 'key': private}})
        # What is freed must be seen to be free.
        self.daemon.environment = {'ASAN_OPTIONS': os.environ.get('ASAN_OPTIONS', '') + ':quarantine_size_mb=1'}
        path = os.path.join(base, 'old.log')
        lab.write(path, ''.join(map(log_line, range(self.EVENTS // 2))))
        done = lab.run_postwake(environment.build, '-S', self.daemon.store, 'import', path, timeout=100)
        expect(f'import ({done.stderr})', 0, done.returncode)
        self.daemon.start()
        try:
            self.doors = [self.door('unix'), self.door('tls')]
            self.good = [Door(self.daemon, 'unix'), self.door('tls')]
            self.calm = anonymous_memory(self.daemon)
        except BaseException:
            self.stop()
            raise

    def door(self, kind, *scope):
        """With a key of its own, which may do all that a key may."""
        key = None
        if kind == 'tls':
            key = self.daemon.postwake('key', 'add', '--grant', 'read,ingest,upload', *scope).stdout.strip()
        return Door(self.daemon, kind, self.port, key)

    def settle(self):
        """Until memory and connections that attackers held are free: that a stream's client has gone is seen within 15 s."""
        def free():
            return anonymous_memory(self.daemon) < self.calm + 120 and sockets(self.daemon) <= 4
        lab.wait_until('the daemon is at rest', free, 70, 0.5)

    def good_round(self):
        """The good client at both doors: a new connection, a search. How long the longer one took."""
        worst = 0
        for door in self.good:
            begun = time.monotonic()
            status, body = door.ask('/api/v1/message-events?from=2000-01-01T00:00&recipients=r7@red.example')
            took = time.monotonic() - begun
            expect(f'the good client at {door.kind}, after {took:.1f} s: {body[:200]}', 200, status)
            expect('what it finds', 2, json.loads(body)['total_count'])
            worst = max(worst, took)
        return worst

    def siege(self, attack, megabytes, also=None, doors=None):
        """attack(door) in a process for each door while the good client asks, who must be served in time, and does
        also(door); the memory may grow by so much. The results, by kind of door."""
        before = anonymous_memory(self.daemon)
        worst, most, rounds = 0, before, 0
        running = {door.kind: as_user(lambda door=door: attack(door)) for door in doors or self.doors}
        try:
            while rounds < 3 or not all(select.select([r], [], [], 0)[0] for _, r in running.values()):
                worst, rounds = max(worst, self.good_round()), rounds + 1
                for door in self.good if also else ():
                    also(door)
                most = max(most, anonymous_memory(self.daemon))
                time.sleep(0.05)
        except BaseException:
            for pid, receive in running.values():  # else they would besiege the next test too
                os.kill(pid, signal.SIGKILL)
                os.close(receive)
                os.waitpid(pid, 0)
            raise
        results = {kind: result_of(*child) for kind, child in running.items()}
        if os.environ.get('PW_SIEGE'):
            print(f'  {rounds} rounds, longest {worst:.2f} s, +{most - before:.0f} MB (calm {self.calm:.0f},'
                  f' before {before:.0f}), {results}', flush=True)
        expect(f'the good client was served within {SECONDS} s ({worst:.1f})', True, worst < SECONDS)
        expect(f'the memory grew by at most {megabytes} MB ({before:.0f} to {most:.0f})', True,
               most - before <= megabytes)
        return results

    def stop(self):
        self.daemon.stop()


def log_line(number):
    stamp = time.strftime('%b %e %H:%M:%S', time.localtime(time.time() - 300 + number % 240))
    return (f'{stamp} mx1 postfix/smtp[9]: {number + (1 << 40):X}: to=<r{number}@red.example>,'
            f' relay=mx.red.example[192.0.2.1]:25, delay=1, delays=0.1/0/0.1/0.8, dsn=2.0.0, status=sent'
            f' (250 2.0.0 Ok {number} {"queued for delivery " * 20})\n')


def fortress(environment):
    return environment.once('fortress', lambda: Fortress(environment))
