"""A server of Events Ingest as it behaves on bad days: for tests of uploads. Python standard library only.

It keeps every body that came in whole, accepts each different one once (the same bytes again are a duplicate_batch), and
never looks at event_ids: an event that was sent in two different batches stands twice in `events`.
"""

import collections
import contextlib
import email.utils
import gzip
import hashlib
import http.server
import json
import socket
import ssl
import threading
import time
import urllib.parse
import uuid

import lab

KEY = 'kee-p-me-secret-0123456789'

# What may go wrong with a POST, by its name; see Handler.do_POST. Those in ACCEPTS take the batch all the same.
ACCEPTS = {'no answer', 'cut answer', 'wrong json', 'no id', 'html 502 after'}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, *_):
        pass

    def answer(self, status, value, headers=(), raw=None):
        body = raw if raw is not None else json.dumps(value).encode()
        self.send_response(status)
        self.send_header('Content-Type', 'application/json')
        for name, text in headers:
            self.send_header(name, text)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def hang_up(self):
        self.close_connection = True

    def do_POST(self):
        sink = self.server.sink
        sink.requests.append((time.monotonic(), 'POST', self.path, dict(self.headers)))
        fault = sink.next_fault()
        if fault == 'cut request':
            self.rfile.read(10)
            return self.hang_up()
        body = self.rfile.read(int(self.headers['Content-Length']))
        sink.bodies.append((time.monotonic(), body))
        if self.headers.get('Authorization') != sink.key:
            return self.answer(401, {'errors': [{'message': 'Unauthorized.'}]})
        batch = sink.accept(body) if not fault or fault in ACCEPTS or fault == 'slow' else None
        return self.misbehave(fault, batch)

    def misbehave(self, fault, batch):
        if fault == 'slow':
            time.sleep(0.5)
        if not fault or fault == 'slow':
            return self.answer(200, {'results': {'id': batch}})
        if fault == 'no answer':
            time.sleep(2.5)
            return self.hang_up()
        if fault == 'cut answer':
            self.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{"res')
            return self.hang_up()
        if fault == 'endless trailers':
            self.wfile.write(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n')
            for _ in range(4000):
                self.wfile.write((b'X-Trailer: ' + b'v' * 980 + b'\r\n') * 100)
            return self.hang_up()
        if fault == 'wrong json':
            return self.answer(200, None, raw=b'{"results":[')
        if fault == 'no id':
            return self.answer(200, {'results': {'id': '../../etc/passwd'}})
        if fault.startswith('429'):
            wait = {'429': [], '429 seconds': [('Retry-After', '2')], '429 date': [
                ('Retry-After', email.utils.formatdate(time.time() + 3, usegmt=True))]}[fault]
            return self.answer(429, {'errors': [{'message': 'Too many requests'}]}, wait)
        if fault == 'redirect':
            return self.answer(307, {}, [('Location', self.server.sink.elsewhere)])
        if 'html' in fault:
            return self.answer(502, None, raw=b'<html><h1>Bad\nGateway</h1></html>')
        status = int(fault)
        return self.answer(status, {'errors': [{'message': f'says {status}', 'description': 'more'}]})

    def do_GET(self):
        sink = self.server.sink
        sink.requests.append((time.monotonic(), 'GET', self.path, dict(self.headers)))
        path, _, query = self.path.partition('?')
        if self.headers.get('Authorization') != sink.key:
            return self.answer(401, {'errors': [{'message': 'Unauthorized.'}]})
        if path == '/api/v1/events/ingest':
            ids = urllib.parse.parse_qs(query)['batch_ids'][0].split(',')
            records = [sink.verdicts[i] for i in ids if i in sink.verdicts]
            return self.answer(200, {'results': records, 'total_count': len(records), 'links': {}})
        if path.startswith('/api/v1/ingest/events/failures/'):
            return self.answer(200, None, raw=sink.failures[path.rsplit('/', 1)[1]])
        return self.answer(404, {'errors': [{'message': 'Resource could not be found'}]})


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass


class IngestSink:
    """faults: names for the next POSTs, in order; '' is a good one. judge(lines) -> (error_type or None, failed lines)."""
    handler = Handler

    def __init__(self, faults=(), tls=None, judge=None, key=KEY, port=None):
        self.key, self.judge, self.tls = key, judge, tls
        self.faults, self.lock = list(faults), threading.Lock()
        self.requests, self.bodies, self.events = [], [], []
        self.hashes, self.verdicts, self.failures = set(), {}, {}
        self.port = port or lab.free_port()
        self.elsewhere = f'http://127.0.0.1:{self.port}/elsewhere'
        self.server = None
        self.start()

    @property
    def url(self):
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def start(self):
        self.server = Server(('127.0.0.1', self.port), self.handler)
        self.server.sink = self
        if self.tls:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(*self.tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self):
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    def next_fault(self):
        with self.lock:
            return self.faults.pop(0) if self.faults else ''

    def accept(self, body):
        """Takes a batch that came in whole; its id."""
        batch, digest = str(uuid.uuid4()), hashlib.sha256(body).hexdigest()
        lines = gzip.decompress(body).decode().splitlines()
        error, failed = (self.judge(lines) if self.judge else (None, []))
        with self.lock:
            record = {'batch_id': batch, 'event_id': str(uuid.uuid4()), 'customer_id': 1, 'number_duplicates': 0,
                      'timestamp': '2026-01-01T00:00:00.000Z', 'number_succeeded': len(lines) - len(failed)}
            if digest in self.hashes:
                record.update(type='error', error_type='duplicate_batch', number_succeeded=0, number_failed=0,
                              retryable=False)
            elif error == 'system':
                record.update(type='error', error_type='system', number_succeeded=0, number_failed=0, retryable=True)
            else:
                self.hashes.add(digest)
                self.events += [json.loads(line) for line in lines if line not in failed]
                record['type'] = 'error' if failed else 'success'
                if failed:
                    record.update(error_type=error, number_failed=len(failed), retryable=False,
                                  href=f'{self.url}/api/v1/ingest/events/failures/{batch}')
                    self.failures[batch] = gzip.compress(''.join(f + '\n' for f in failed).encode())
            self.verdicts[batch] = record
        return batch

    def fields(self):
        """The accepted events without their wrapper."""
        return [next(iter(e['msys'].values())) for e in self.events]

    def counts(self):
        """event_id -> how often it was accepted."""
        return collections.Counter(e['event_id'] for e in self.fields())

    def posts(self):
        return [r for r in self.requests if r[1] == 'POST']


class SocketProxy:
    """A TCP port on loopback that leads to a UNIX socket."""

    def __init__(self, path):
        self.path = path
        self.listener = socket.create_server(('127.0.0.1', lab.free_port()))
        self.url = f'http://127.0.0.1:{self.listener.getsockname()[1]}'
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, far = self.listener.accept()[0], socket.socket(socket.AF_UNIX)
                try:
                    far.connect(self.path)
                except OSError:
                    near.close()
                    continue
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=self._pump, args=pair, daemon=True).start()

    @staticmethod
    def _pump(source, target):
        with contextlib.suppress(OSError):
            for piece in iter(lambda: source.recv(65536), b''):
                target.sendall(piece)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def stop(self):
        self.listener.close()


class ForwardProxy:
    """An HTTP proxy on loopback: CONNECT, and requests of http: URLs, one a connection, to ports of 127.0.0.1."""

    def __init__(self):
        self.port = lab.free_port()
        self.url = f'http://127.0.0.1:{self.port}'
        self.requests, self.heads, self.listener = [], [], None  # first lines; whole heads
        self.start()

    def start(self):
        self.listener = socket.create_server(('127.0.0.1', self.port))
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def _accept(self, listener):
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._serve, args=(listener.accept()[0],), daemon=True).start()

    def _serve(self, near):
        head = b''
        while b'\r\n\r\n' not in head:
            piece = near.recv(65536)
            if not piece:
                return near.close()
            head += piece
        line, rest = head.split(b'\r\n', 1)
        method, target, version = line.decode().split(' ')
        self.requests.append(line.decode())
        self.heads.append(head.decode('latin-1'))
        where = urllib.parse.urlsplit(target if method != 'CONNECT' else f'//{target}')
        far = socket.create_connection(('127.0.0.1', where.port))
        if method == 'CONNECT':
            near.sendall(b'HTTP/1.1 200 Connection established\r\n\r\n')
        else:
            path = urllib.parse.urlunsplit(('', '', where.path, where.query, ''))
            far.sendall(f'{method} {path} {version}\r\nConnection: close\r\n'.encode() + rest)
        for pair in ((near, far), (far, near)):
            threading.Thread(target=SocketProxy._pump, args=pair, daemon=True).start()

    def stop(self):
        """Connections that there are go on."""
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
