"""The uploader: a store is sent to a sink on loopback that only counts (kind postwake, gzip)."""

import http.server
import os
import re
import subprocess
import threading
import time

import lab
from frame import bench, cpu_of, interleaved


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


def finished(daemon, name):
    found = [u for u in daemon.get('/api/v1/uploads')[1]['results'] if u['name'] == name]
    return found[0] if found and not found[0]['waiting'] and all(
        b['state'] == 'accepted' for b in found[0]['batches']) else None


def once(b, base, server):
    """(events a second of a core, events a second, bytes an event on the wire, MB at its peak); everything goes to a new
    destination."""
    once.number += 1
    section = {'url': f'http://127.0.0.1:{server.server_port}', 'kind': 'postwake', 'interval': '0', 'poll': '1'}
    daemon = lab.Daemon(b.build, base, None, None,
                        {'postwake': {'keep_days': '36500'}, f'upload far{once.number}': section})
    Sink.bytes = 0
    daemon.start(timeout=120)
    start = time.monotonic()
    try:
        status = lab.wait_until('all is sent', lambda: finished(daemon, f'far{once.number}'), 600, 0.1)
        wall, cpu, n = time.monotonic() - start, cpu_of(daemon.process.pid), status['accepted']
        peak = re.search(r'VmHWM:\s+(\d+)', lab.read(f'/proc/{daemon.process.pid}/status')).group(1)
    finally:
        daemon.stop(60)
    return n / cpu, n / wall, Sink.bytes / n, int(peak) / 1024


once.number = 0


@bench('upload')
def upload(b):
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Sink)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = b.path('upload')
    os.makedirs(base)
    store = lab.Daemon(b.build, base, None, None).store
    log = b.log(1000000 if b.full else 120000, 1)
    subprocess.run([b.program('postwake'), '-S', store, 'import', '--quiet', log], check=True)
    try:
        core, wall, wire, peak = interleaved(3, {'upload': lambda: once(b, base, server)})['upload']
    finally:
        server.shutdown()
    b.row('upload to a sink, gzip, a second of one core', core, 'events/s', (30000, 60000))
    b.row('upload, wall clock, beside the sink', wall, 'events/s')
    b.row('upload, on the wire', wire, 'bytes')
    b.row('upload, memory at its peak', peak, 'MB')
