"""The uploader: a store is sent to a sink on loopback that only counts (kind postwake, gzip)."""

import http.server
import os
import re
import subprocess
import threading
import time

import lab
from frame import bench, cpu_of


class Sink(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    bytes = batches = 0

    def log_message(self, *_):
        pass

    def answer(self, body):
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        Sink.bytes += len(self.rfile.read(int(self.headers['Content-Length'])))
        Sink.batches += 1
        self.answer(b'{"results":{"id":"b%d"}}' % Sink.batches)

    def do_GET(self):
        ids = self.path.split('batch_ids=')[1].split('&')[0].split(',')
        self.answer(('{"results":[' + ','.join(f'{{"type":"success","batch_id":"{i}"}}' for i in ids) + ']}').encode())


def finished(daemon):
    found = daemon.get('/api/v1/uploads')[1]['results']
    return found[0] if found and not found[0]['waiting'] and all(
        b['state'] == 'accepted' for b in found[0]['batches']) else None


@bench('upload')
def upload(b):
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Sink)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    section = {'url': f'http://127.0.0.1:{server.server_port}', 'kind': 'postwake', 'interval': '0', 'poll': '1'}
    log = b.log(1000000 if b.full else 120000, 1)
    base = b.path('upload')
    os.makedirs(base)
    daemon = lab.Daemon(b.build, base, None, None, {'postwake': {'keep_days': '36500'}, 'upload far': section})
    subprocess.run([b.program('postwake'), '-S', daemon.store, 'import', '--quiet', log], check=True)
    daemon.start(timeout=120)
    start = time.monotonic()
    try:
        status = lab.wait_until('all is sent', lambda: finished(daemon), 600, 0.1)
        wall, cpu, n = time.monotonic() - start, cpu_of(daemon.process.pid), status['accepted']
        peak = re.search(r'VmHWM:\s+(\d+)', lab.read(f'/proc/{daemon.process.pid}/status')).group(1)
    finally:
        daemon.stop(60)
        server.shutdown()
    b.row('upload to a sink, gzip, a second of one core', n / cpu, 'events/s', (30000, 60000))
    b.row('upload, wall clock, beside the sink', n / wall, 'events/s')
    b.row('upload, on the wire', Sink.bytes / n, 'bytes')
    b.row('upload, memory at its peak', int(peak) / 1024, 'MB')
