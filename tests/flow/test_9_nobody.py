"""Nobody in who should not be: what attackers try on the socket and over TLS, while a good client is served."""

import contextlib
import errno
import gzip
import json
import os
import resource
import select
import socket
import time
import zlib

import lab
from flow import Skip, expect, expect_in, flow
from siege import SECONDS, Door, anonymous_memory, as_user, fortress, hear, result_of, statuses

SEARCH = '/api/v1/message-events?from=2000-01-01T00:00'
SAMPLES = '/api/v1/message-events/events/samples?events=bounce'
INGEST = '/api/v1/ingest/events'
GZIP = 'Content-Type: application/x-ndjson\r\nContent-Encoding: gzip\r\n'
# MB that a siege may cost. One client may hold 128 MB of answers, whose rows are in memory as well while one is made;
# each connection may have 128 KB of headers.
GREED, CROWD = 260, 120
ATTACK_SECONDS = 6


def many_descriptors():
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, max(4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))


# --- who may not ------------------------------------------------------------------------------------


def attempt(function, *arguments):
    """What came of it, as a word."""
    try:
        function(*arguments)
        return 'done'
    except OSError as error:
        return errno.errorcode[error.errno]


def reach(path):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(path)


def read(path):
    with open(path, 'rb') as file:
        return file.read()


@flow('nobody: another user opens neither socket nor store, and can put nothing in their place')
def other_user(environment):
    base = environment.directory('others')
    run, store = os.path.join(base, 'run'), os.path.join(base, 'lib', 'store')
    os.mkdir(run)
    daemon = environment.daemon('others', milter_socket=os.path.join(run, 'milter.sock'), base=base, sections={
        'postwake': {'store': store}, 'milter': {'group': None}, 'query': {'socket': os.path.join(run, 'query.sock')}})
    daemon.socket = os.path.join(run, 'query.sock')
    daemon.start()
    files = [os.path.join(store, name) for name in os.listdir(store)]
    expect('there are files', True, len(files) > 0)

    def attack():
        tries = {name: attempt(reach, os.path.join(run, name)) for name in ('query.sock', 'milter.sock')}
        tries['replace'] = attempt(os.unlink, daemon.socket)
        tries['move'] = attempt(os.rename, daemon.socket, os.path.join(run, 'x'))
        tries['look'] = attempt(os.listdir, store)
        tries['read'] = list({attempt(read, path) for path in files})
        return tries
    expect('what it gets', {**dict.fromkeys(('query.sock', 'milter.sock', 'replace', 'move', 'look'), 'EACCES'),
                            'read': ['EACCES']}, result_of(*as_user(attack)))
    expect('the daemon is there', 200, daemon.get('/api/v1/status')[0])


SECRET = 'only the owner reads this'


def ingested(door, account):
    """A batch with one event of a subaccount; its id, when its event can be found."""
    event = {'type': 'delivery', 'event_id': '4712', 'message_id': '000443ee14578172be22', 'rcpt_to': 'r8@red.example',
             'timestamp': str(int(time.time()) - 5), 'delv_method': 'esmtp', 'subaccount_id': account, 'subject': SECRET}
    body = gzip.compress((json.dumps({'msys': {'message_event': event}}) + '\n{}\n').encode())
    status, answer = door.ask(INGEST, 'POST', GZIP, body)
    expect(f'the batch ({answer})', 200, status)
    number = json.loads(answer)['results']['id']
    lab.wait_until('it is validated', lambda: number.encode() in door.ask('/api/v1/events/ingest')[1], 30)
    return number


@flow('nobody: a key of another subaccount or domain is shown nothing on any path, whatever ids it knows')
def other_account(environment):
    fort = fortress(environment)
    mine, batch = fort.door('tls'), ingested(fort.door('tls'), 5)
    routes = [f'/api/v1/{path}' for path in (
        'message-events?from=2000-01-01T00:00&event_ids=4712', 'message-events?since=0&event_ids=4712',
        'events/message?from=2000-01-01T00:00:00Z&event_ids=4712', 'events/ingest', f'ingest/events/{batch}',
        f'ingest/events/failures/{batch}')] + ['/v1/events/messageid/000443ee14578172be22/2000-01-01']
    admin = ['/api/v1/keys', '/api/v1/erasures']

    def shown(door, route):
        status, body = door.ask(route)
        with contextlib.suppress(gzip.BadGzipFile):
            body = gzip.decompress(body)
        return status == 200 and any(mark in body for mark in (SECRET.encode(), b'"4712"', b'"line":', batch.encode()))
    expect('its owner is shown', routes[:6], [route for route in routes + admin if shown(mine, route)][:6])
    for scope in (('--subaccount', '77'), ('--domain', 'blue.example'), ('--subaccount', '5', '--domain', 'blue.example')):
        other = fort.door('tls', *scope)
        expect(f'{scope} is shown', [], [route for route in routes + admin if shown(other, route)])


@flow('nobody: a revoked key opens nothing, also on connections that it had; nor does half of one')
def revoked(environment):
    fort = fortress(environment)
    door = fort.door('tls')
    request = door.request(SEARCH + '&per_page=1')
    with door.connect() as sock:
        sock.sendall(request)
        expect('before', [200], statuses(hear(sock, 1)[0]))
        fort.daemon.postwake('key', 'revoke', door.key)
        sock.sendall(request * 3)
        expect('on its connection', [401, 401, 401], statuses(hear(sock, 1)[0]))
    good = fort.good[1].key
    for key in (door.key, good[:-1], good[:15], good + 'x', good.upper(), good[:16] + door.key[16:], '', 'x' * 3000,
                f'Basic {good}', f'Bearer {door.key}'):
        expect(f'{key[:30]}', 401, Door(fort.daemon, 'tls', fort.port, key or ' ').ask(SEARCH)[0])


TRICKS = (
    '/api/v1/message-events/events/documentation/../../../message-events?{q}', '//api/v1/message-events?{q}',
    '/api/v1//message-events?{q}', '/api/v1/./message-events?{q}', '/./api/v1/message-events?{q}',
    '/api/v1/x/../message-events?{q}', '/api/v1/%2e%2e/v1/message-events?{q}', '/api/v1/x/%2e%2e/message-events?{q}',
    '/api/v1%2fmessage-events?{q}', '/api%2Fv1%2Fmessage-events?{q}', '/api/v1/message-events%00?{q}',
    '/api/v1/message-events%00/events/documentation?{q}', '/api/v1/message-events;x=1?{q}', '/api/v1/message-events/.?{q}',
    '/API/v1/message-events?{q}', '/api/V1/Message-Events?{q}', '\\api\\v1\\message-events?{q}',
    '/api/v1/message-events\\..\\x?{q}', '/api/v1/%6dessage-events%2e?{q}', '/api/v1/message-events%20?{q}',
    '/api/v1/message-events%252fevents%252fdocumentation?{q}', '/api/v1/%252e%252e/v1/message-events?{q}',
    '/api/v1/message-events%c0%af?{q}', 'api/v1/message-events?{q}', '*', 'http://localhost',
    'file:///etc/passwd', '/../../../../etc/passwd', '/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd', '/etc/passwd',
    '/..%2f..%2f..%2f..%2fetc%2fpasswd', '/.%00./etc/passwd', '/api/v1/ingest/events/../../control.sqlite',
    '/api/v1/ingest/events/..%2f..%2fcontrol.sqlite', '/api/v1/ingest/events/%2e%2e%2f%2e%2e%2fcontrol.sqlite',
    '/api/v1/ingest/events/..%252f..%252fcontrol.sqlite', '/api/v1/ingest/events/failures/..%2f..%2fcontrol.sqlite',
    '/api/v1/ingest/events/..', '/api/v1/ingest/events/.', '/api/v1/ingest/events/%00', '/api/v1/ingest/events/*',
    '/api/v1/uploads/..%2f..%2fcontrol.sqlite', '/api/v1/uploads/../keys', '/api/v1/keys/../message-events?{q}',
    '/v1/events/email/..%2f..%2f/2000-01-01', '/v1/events/../../api/v1/message-events?{q}')
# Understood (RFC 9112, 3.2.2; RFC 3986, 6.2.2.2), so the key alone decides.
MEANT = ('http://localhost/api/v1/message-events?{q}', 'https://elsewhere/api/v1/message-events?{q}',
         '/api/v1/message%2Devents?{q}', '/api/v1/%6dessage-events?{q}', '/api/v1/message-events/?{q}')


@flow('nobody: no path leads past a key, to another route, or to a file')
def paths(environment):
    fort = fortress(environment)
    stranger = Door(fort.daemon, 'tls', fort.port)
    for trick in TRICKS:
        target = trick.format(q='from=2000-01-01T00:00&per_page=1')
        for door in [stranger, *fort.doors]:
            answer, _ = door.say(door.request(target, headers='Connection: close\r\n'))
            expect(f'{target} at {door.kind}', True, set(statuses(answer)) <= {400, 401, 404})
            expect(f'{target} shows', [], [w for w in (b'root:', b'SQLite', b'r7@red', b'rcpt_to') if w in answer])
    for path in MEANT:
        target = path.format(q='from=2000-01-01T00:00&per_page=1')
        expect(f'{target} without a key', 401, stranger.ask(target)[0])
        expect(f'{target} with one', [200, 200], [door.ask(target)[0] for door in fort.doors])


# --- what is too much -------------------------------------------------------------------------------


def endless(door):
    """A chunked body that does not end; how many MB were taken before the server had enough. Buffers between take
    tens of MB at once, so what is beyond the limit (5 MB) and some more comes slowly: the server has time to say so."""
    chunk = b'10000\r\n' + b'x' * 65536 + b'\r\n'
    with door.connect() as sock:
        sock.sendall(door.request(INGEST, 'POST', GZIP + 'Transfer-Encoding: chunked\r\n'))
        for number in range(1600):
            if select.select([sock], [], [], 0.05 if number > 128 else 0)[0]:
                return number // 16
            try:
                sock.sendall(chunk)
            except OSError:
                return number // 16
    return 100


@flow('nobody: what is too large is refused, and costs nothing')
def oversized(environment):
    fort = fortress(environment)

    def attack(door):
        wrong = []
        for name, raw, wanted in (
                ('a long target', door.request(f'/{"x" * 5000}'), 414),
                ('a very long target', door.request(f'/{"x" * 300000}'), 414),
                ('a long method', door.request('/', 'G' * 300000), 414),
                ('a long header', door.request(SAMPLES, headers=f'X: {"x" * 300000}\r\n'), 431),
                ('many headers', door.request(SAMPLES, headers=''.join(f'x{n}: y\r\n' for n in range(20000))), 431),
                ('a long key', door.request(SEARCH, headers=f'Authorization: {"x" * 100000}\r\n'), 400 if door.key else 200),
                ('a body of 10 GB', door.request(INGEST, 'POST', f'{GZIP}Content-Length: 10000000000\r\n'), 413),
                ('a body of 2^64', door.request(INGEST, 'POST', f'{GZIP}Content-Length: 18446744073709551616\r\n'), 413),
                ('a body where none is wanted', door.request(SEARCH, 'POST', 'Content-Length: 10000000000\r\n'), 405),
                ('a body of 6 MB', door.request(INGEST, 'POST', GZIP, b'x' * 6000000), 413)):
            for _ in range(3):
                answer, closed = door.say(raw)
                # A reset may overtake the answer.
                if set(statuses(answer)) - {wanted} or (not answer and not closed):
                    wrong.append([name, statuses(answer), closed])
        taken = endless(door)
        return wrong + ([f'{taken} MB of a body without end'] if taken > 16 else [])
    expect('what got through', {'unix': [], 'tls': []}, fort.siege(attack, CROWD))


@flow('nobody: a bomb of gzip costs neither memory nor the events of others')
def bombs(environment):
    fort = fortress(environment)
    packer = zlib.compressobj(9, wbits=31)
    zeros = b''.join(packer.compress(b'\0' * (1 << 20)) for _ in range(300)) + packer.flush()
    lines = gzip.compress(b'{"msys":{"message_event":{}}}\n' * 600000)
    twice = gzip.compress(zeros)
    many = b''.join([gzip.compress(b'')] * 100000)

    def attack(door):
        taken = []
        for body in (zeros, lines, twice, many):
            status, answer = door.ask(INGEST, 'POST', GZIP, body)
            taken.append(json.loads(answer)['results']['id'] if status == 200 else status)
        return taken
    taken = fort.siege(attack, CROWD)
    for door in fort.doors:
        ids = taken[door.kind]
        expect('they are taken, to be judged later', True, all(isinstance(n, str) for n in ids))
        before = anonymous_memory(fort.daemon)

        def judged():
            found = json.loads(door.ask('/api/v1/events/ingest?batch_ids=' + ','.join(ids))[1])['results']
            fort.good_round()
            expect('the memory', True, anonymous_memory(fort.daemon) - before < CROWD)
            return found if len(found) == len(set(ids)) else None
        found = lab.wait_until('all are judged', judged, 60, 0.2)
        expect('no event came of them', 0, sum(record['number_succeeded'] for record in found))


# --- requests in requests ---------------------------------------------------------------------------


INNER = b'GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n'
N = len(INNER)
SMUGGLED = {
    'two lengths': f'Content-Length: {N}\r\nContent-Length: 0\r\n',
    'two lengths, the other way': f'Content-Length: 0\r\nContent-Length: {N}\r\n',
    'the same length twice': f'Content-Length: {N}\r\nContent-Length: {N}\r\n',
    'a list of lengths': f'Content-Length: 0, {N}\r\n',
    'a length with a sign': 'Content-Length: +0\r\n',
    'a negative length': 'Content-Length: -1\r\n',
    'a hexadecimal length': 'Content-Length: 0x0\r\n',
    'no length': 'Content-Length: \r\n',
    'length and coding': f'Content-Length: {N + 5}\r\nTransfer-Encoding: chunked\r\n',
    'coding and length': f'Transfer-Encoding: chunked\r\nContent-Length: {N + 5}\r\n',
    'two codings': 'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n',
    'chunked twice': 'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n',
    'an unknown coding': 'Transfer-Encoding: xchunked\r\n',
    'a list of codings': 'Transfer-Encoding: gzip, chunked\r\n',
    'a coding behind a control character': 'Transfer-Encoding: \x0bchunked\r\n',
    'a coding in quotes': 'Transfer-Encoding: "chunked"\r\n',
    'a blank before the colon': 'Transfer-Encoding : chunked\r\n',
    'a length with a blank before the colon': f'Content-Length : {N}\r\n',
    'a tab before the colon': f'Content-Length\t: {N}\r\n',
    'a folded header': f'X: a\r\n Content-Length: {N}\r\n',
    'a header that begins with a blank': f' Content-Length: {N}\r\n',
    'a lone carriage return': f'X: a\rContent-Length: {N}\r\n',
    'a NUL in a name': f'Content-Length\0: {N}\r\n',
    'a header without colon': 'rubbish\r\n',
    'two hosts': 'Host: elsewhere\r\n',
    'two keys': 'Authorization: a\r\nAuthorization: b\r\n',
}
LINES = {
    'a blank in the target': 'GET /api/v1/status x HTTP/1.1',
    'a control character in the target': 'GET /api/v1/status?a=\x01 HTTP/1.1',
    'a NUL in the target': 'GET /api/v1/status\0x HTTP/1.1',
    'no version': 'GET /api/v1/status',
    'version 2': 'PRI * HTTP/2.0',
    'an old version with a coding': 'GET /api/v1/status HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked',
}


@flow('nobody: a request in a request is no request')
def smuggling(environment):
    fort = fortress(environment)
    cases = {name: f'GET {SAMPLES} HTTP/1.1\r\nHost: localhost\r\n{text}' for name, text in SMUGGLED.items()}
    cases.update({name: f'{line}\r\nHost: localhost\r\n' for name, line in LINES.items()})

    def attack(door):
        wrong = []
        for name, text in cases.items():
            for tail in (INNER, b'0\r\n\r\n' + INNER):
                answer, closed = door.say(text.encode('latin-1') + b'\r\n' + tail, 5)
                # libmicrohttpd writes the head of some of its refusals twice, and closes.
                if not closed or set(statuses(answer)) - {400, 413, 505} or b'could not be found' in answer:
                    wrong.append([name, statuses(answer), closed])
        one = door.request(SAMPLES)
        for name, raw, wanted in (
                ('two requests', one + one, [200, 200]),
                ('a body and a request', door.request(SAMPLES, headers=f'Content-Length: {N}\r\n') + INNER + one, [200, 200]),
                ('chunks and a request', door.request(SAMPLES, headers='Transfer-Encoding: chunked\r\n')
                 + b'5;x=y\r\nabcde\r\n0\r\nT: x\r\n\r\n' + one, [200, 200])):
            answer, closed = door.say(raw, 1)
            if statuses(answer) != wanted or closed:
                wrong.append([name, statuses(answer), closed])
        return wrong
    expect('what was understood in two ways', {'unix': [], 'tls': []}, fort.siege(attack, CROWD))


# --- who holds on -----------------------------------------------------------------------------------


INSIDE = 288  # connections that a listener serves


class Crowd:
    """Many connections of one attacker, who opens new ones for those that were cut."""

    def __init__(self, door, count, begin):
        many_descriptors()
        self.door, self.begin, self.socks, self.cut = door, begin, [None] * count, 0
        self.fill()

    def fill(self):
        for number, sock in enumerate(self.socks):
            if sock is None:
                with contextlib.suppress(OSError):
                    self.socks[number] = self.begin(self.door, number)

    def drop_cut(self):
        ready = select.poll()
        number_of = {}
        for number, sock in enumerate(self.socks):
            if sock is not None:
                number_of[sock.fileno()] = number
                ready.register(sock, select.POLLHUP | select.POLLRDHUP)
        for descriptor, _ in ready.poll(0):
            self.lose(number_of[descriptor])

    def lose(self, number):
        self.cut += 1
        self.socks[number].close()
        self.socks[number] = None

    def hold(self, act=None, again=True):
        """For a while; act(sock) each time. How many are still connected, and how many were cut."""
        end = time.monotonic() + ATTACK_SECONDS
        while time.monotonic() < end:
            for number, sock in enumerate(self.socks):
                try:
                    if sock is not None and act is not None:
                        act(sock)
                except OSError:
                    self.lose(number)
            time.sleep(0.3)
            self.drop_cut()
            if again:
                self.fill()
        alive = self.settle(time.monotonic() + 20)
        for sock in self.socks:
            if sock is not None:
                sock.close()
        return [alive, self.cut]

    def settle(self, deadline):
        """How many are connected when those that wait at the door have had their turn, and nobody comes any more."""
        while True:
            time.sleep(1)
            self.drop_cut()
            alive = sum(sock is not None for sock in self.socks)
            if alive <= INSIDE or time.monotonic() > deadline:
                return alive


def check_cut(results, count):
    for kind, (alive, cut) in results.items():
        expect(f'{kind}: no more than the limit stay ({alive}, {cut} cut)', True, alive <= INSIDE and cut >= count - INSIDE)


@flow('nobody: a thousand idle connections keep nobody out')
def idle(environment):
    fort = fortress(environment)

    def begin(door, number):
        sock = door.connect(handshake=number % 4 == 0)
        if number % 8 == 0:
            sock.sendall(door.request(SAMPLES))
            sock.recv(10)
        return sock
    check_cut(fort.siege(lambda door: Crowd(door, 1000, begin).hold(again=False), CROWD), 1000)


@flow('nobody: requests that drip in keep nobody out')
def drips(environment):
    fort = fortress(environment)

    def begin(door, number):
        sock = door.connect(handshake=number % 4 != 0)
        started = (b'', b'GET /api', door.request(SAMPLES)[:-2],
                   door.request(INGEST, 'POST', GZIP + 'Content-Length: 1000000\r\n'))[number % 4]
        if started:
            sock.sendall(started)
        sock.setblocking(False)
        return sock
    check_cut(fort.siege(lambda door: Crowd(door, 400, begin).hold(lambda sock: sock.send(b'x')), CROWD), 400)


@flow('nobody: readers that never read keep nobody out, and what they were to read is bounded')
def deaf(environment):
    fort = fortress(environment)

    def begin(door, number):
        sock = door.connect(small=True)
        target = f'{SEARCH}&per_page={10000 if number % 5 == 0 else 500}'
        sock.sendall(door.request(target if number % 5 != 1 else '/api/v1/events/stream?since=0'))
        return sock
    results = fort.siege(lambda door: Crowd(door, 400, begin).hold(), GREED + CROWD)
    expect('some were cut', True, all(cut > 0 for _, cut in results.values()))
    fort.settle()


def stream_begins(door):
    """A stream of the good client is answered."""
    with door.connect() as sock:
        sock.sendall(door.request('/api/v1/events/stream'))
        expect(f'a stream at {door.kind}', [200], statuses(sock.recv(1000)))


@flow('nobody: one client has half of the streams at most')
def streams(environment):
    fort = fortress(environment)

    def attack(door):
        socks = [door.connect() for _ in range(40)]
        for sock in socks:
            sock.sendall(door.request('/api/v1/events/stream'))
        got = sorted(statuses(sock.recv(1000))[0] for sock in socks)
        time.sleep(2)
        return got
    for door in fort.doors:
        fort.settle()
        expect('the attacker has', {door.kind: [200] * 32 + [503] * 8}, fort.siege(attack, CROWD, stream_begins, [door]))


@flow('nobody: many clients with the largest pages are answered within bounds')
def pages(environment):
    fort = fortress(environment)
    target = SEARCH + '&per_page=10000'

    def attack(door):
        """60 at a time, who read slowly; how many pages came whole, how many were refused, and what else happened."""
        counts, end = {'whole': 0, 'refused': 0, 'else': 0}, time.monotonic() + ATTACK_SECONDS
        while time.monotonic() < end:
            socks = [door.connect(60) for _ in range(60)]
            for sock in socks:
                sock.sendall(door.request(target, headers='Connection: close\r\n'))
            for sock in socks:
                answer, _ = hear(sock, 40)
                head, _, body = answer.partition(b'\r\n\r\n')
                length = [int(line[16:]) for line in head.split(b'\r\n') if line.startswith(b'Content-Length: ')]
                if statuses(head) == [200] and length == [len(body)] and body.endswith(b'}'):
                    counts['whole'] += 1
                else:
                    counts['refused' if statuses(head) == [503] else 'else'] += 1
                sock.close()
        return counts
    for kind, counts in fort.siege(attack, 2 * GREED).items():
        expect(f'{kind}: pages came ({counts})', True, counts['whole'] > 0)
        expect(f'{kind}: nothing else happened ({counts})', 0, counts['else'])


# --- who comes and goes -----------------------------------------------------------------------------


CHURNER = 61010  # not the user of the other tests, since he is shut out


def churn(path):
    """Four processes that connect, ask, and do not wait for the answer."""
    end = time.monotonic() + ATTACK_SECONDS
    first = all(os.fork() for _ in range(3))
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as sock:
            sock.connect(path)
            sock.sendall(b'GET /nope HTTP/1.1\r\nHost: x\r\n\r\n')
    if not first:
        os._exit(0)


def turned_away(path, times):
    """How many of so many connections find the queue full."""
    full = 0
    for _ in range(times):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.setblocking(False)
            try:
                sock.connect(path)
            except BlockingIOError:
                full += 1
        time.sleep(0.02)
    return full


@flow('nobody: who connects and hangs up all the time keeps nobody out, and is shut out for a while')
def churned(environment):
    fort = fortress(environment)
    path = fort.daemon.socket
    try:
        os.getxattr(path, 'system.posix_acl_access')
    except OSError as error:
        if error.errno != errno.ENODATA:
            raise Skip(f'no ACLs at {path}') from error
    pid, receive = as_user(lambda: churn(path), CHURNER)
    try:
        for _ in range(5):  # also as long as the queue is full
            done = fort.daemon.postwake('search', '--limit', '1')
            expect(f'postwake ({done.stderr})', 0, done.returncode)
        lab.wait_until('there is room in the queue', lambda: turned_away(path, 20) == 0, 30, 0)
        worst = max(fort.good_round() for _ in range(10))
        expect(f'the good client was served within {SECONDS} s ({worst:.1f})', True, worst < SECONDS)
        lab.wait_until('the log tells of him', lambda: f'user {CHURNER} connects in floods' in fort.daemon.log_text(), 10)
    finally:
        result_of(pid, receive)
    lab.wait_until('he may come back', lambda: result_of(*as_user(lambda: attempt(reach, path), CHURNER)) == 'done', 30)


@flow('nobody: after all sieges the daemon is as before, and whole')
def after(environment):
    fort = fortress(environment)
    fort.settle()
    expect('the status', 200, fort.daemon.get('/api/v1/status')[0])
    more = fort.daemon.get(SEARCH + '&per_page=1')[1]['total_count'] - fort.EVENTS
    expect('its events, and what its owner ingested', True, more in (0, 1))
    expect('the exit', 0, fort.daemon.stop())
    checked = lab.run_postwake(environment.build, '-S', fort.daemon.store, 'check')
    expect(f'the store ({checked.stdout})', 0, checked.returncode)
    expect_in('the log', 'stopping', fort.daemon.log_text())
    fort.daemon.start()
