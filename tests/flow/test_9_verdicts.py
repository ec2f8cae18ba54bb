"""Uploads: what servers and proxies may do to the answers, verdicts and failed events of a batch."""

import contextlib
import glob
import gzip
import http.server
import json
import os
import sqlite3
import subprocess
import threading
import time

import lab
from flow import expect, flow
from ingest import Handler, IngestSink
from test_9_upload import change
from upload_case import Case


def batches_of(case):
    return case.status()['batches']


@flow('upload: the answer to a first try is lost: the second one gets another id, and its duplicate_batch is acceptance')
def lost_answer(environment):
    for fault in ('no answer', 'cut answer', 'html 502 after'):
        sink = IngestSink([fault])
        case = Case(environment, 'lost', sink, more={'interval': '1'})
        case.daemon.start()
        case.wait_accepted()
        first = min(batches_of(case), key=lambda b: b['created'])
        expect('ids at the other side', 1 + len({body for _, body in sink.bodies}), len(sink.verdicts))
        expect('the verdict on the known id', 'duplicate_batch', sink.verdicts[first['remote_id']].get('error_type'))
        expect('its end', ('accepted', 2, 'was there from an earlier try'),
               (first['state'], first['tries'], first['answer']))
        asked = ''.join(r[2] for r in sink.requests if r[1] == 'GET')
        unknown = [i for i in sink.verdicts if i not in asked]
        expect('ids that nobody asked for: that of the lost answer', 1, len(unknown))
        case.check_all_once()
        case.daemon.stop()
        sink.stop()


@flow('upload: what was refused of a batch whose first answer was lost is counted and fetched all the same')
def lost_answer_in_part(environment):
    sink = IngestSink(['cut answer'], judge=lambda lines: ('validation', lines[:1]))
    accept = sink.accept

    def again(body):
        """As postwake tells of a batch that came before and has bad events."""
        batch = accept(body)
        record, lines = sink.verdicts[batch], gzip.decompress(body).decode().splitlines()
        if record.get('error_type') == 'duplicate_batch':
            record.update(number_failed=1, number_duplicates=len(lines) - 1,
                          href=f'{sink.url}/api/v1/ingest/events/failures/{batch}')
            sink.failures[batch] = gzip.compress(lines[0].encode() + b'\n')
        return batch
    sink.accept = again
    case = Case(environment, 'part', sink, more={'interval': '3600'})
    case.daemon.start()
    case.wait_accepted()
    batch = batches_of(case)[0]
    expect('the batch', ('partly', 2, 1), (batch['state'], batch['tries'], batch['failed']))
    expect('counts', (1, batch['events'] - 1), (case.status()['failed'], case.status()['accepted']))
    shown = json.loads(case.daemon.postwake('upload', 'show', '--json', batch['id']).stdout)
    expect('failed events', 1, len([f for f in shown['failures'] if not f['cause'].startswith('not sent')]))
    sink.stop()


@flow('upload: failed events that cannot be fetched are tried with growing pauses, as long as Retry-After says')
def cannot_fetch(environment):
    sink = IngestSink(judge=lambda lines: ('validation', lines[:1]))
    fetches, over = [], []

    class Busy(Handler):
        def do_GET(self):
            if over or '/failures/' not in self.path:
                return super().do_GET()
            fetches.append(time.monotonic())
            wait = [('Retry-After', '4')] if len(fetches) == 1 else []
            return self.answer(429, {'errors': [{'message': 'Too many requests'}]}, wait)
    sink.server.RequestHandlerClass = Busy
    case = Case(environment, 'busy', sink, more={'interval': '3600'})
    case.daemon.start()
    case.wait('trouble is told', lambda s: 'failed events cannot be fetched: 429' in s.get('trouble', ''))
    lab.wait_until('three tries', lambda: len(fetches) >= 4, 60)
    gaps = [b - a for a, b in zip(fetches, fetches[1:])]
    expect(f'the first pause is as long as asked for: {gaps}', True, gaps[0] >= 3.9)
    expect(f'pauses grow: {gaps}', True, gaps[2] >= 1.9)
    expect('the batch waits', 'sent', batches_of(case)[0]['state'])
    over.append(True)
    case.wait('it ends', lambda s: s['failed'] > 0, 60)
    expect('trouble is over', None, case.status().get('trouble'))
    sink.stop()


@flow('upload: a proxy that lets no batch through leaves it beyond doubt')
def no_proxy(environment):
    class Closed(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_CONNECT(self):
            self.send_error(503)
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Closed)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    sink = IngestSink()
    sink.stop()
    case = Case(environment, 'closed', sink, more={'url': f'https://127.0.0.1:{sink.port}',
                                                   'proxy': f'http://127.0.0.1:{server.server_port}'})
    case.daemon.start()
    case.wait('it is tried', lambda s: s['batches'] and '503' in s['batches'][0].get('answer', ''))
    expect('in doubt, and tries', (0, 0), tuple(batches_of(case)[0][k] for k in ('in_doubt', 'tries')))
    server.shutdown()
    server.server_close()


@flow('upload: the day of a verdict begins when the batch was taken, however long that took')
def late_verdict(environment):
    sink = IngestSink()
    sink.stop()
    case = Case(environment, 'late', sink, more={'kind': 'postwake', 'interval': '3600'})
    case.daemon.start()
    case.wait_read()
    case.wait('it is tried', lambda s: s['batches'] and s['batches'][0].get('answer'))
    change(case, f'sent = {int((time.time() - 2 * 86400) * 1000)}')
    accept, held = sink.accept, {}

    def slow(body):
        batch = accept(body)
        held[batch] = sink.verdicts.pop(batch)
        return batch
    sink.accept = slow
    sink.start()
    case.daemon.start()
    lab.wait_until('it is taken', lambda: held, 60)
    asked = len(sink.requests)
    lab.wait_until('the verdict is asked for in vain', lambda: len(sink.requests) > asked + 1, 60)
    sink.verdicts.update(held)
    sink.accept = accept
    case.wait_accepted()
    expect('lost', 0, case.status()['lost'])
    case.check_all_once()
    sink.stop()


@flow('upload: a time that a clock written ahead left behind is no reason to wait')
def clock_ahead(environment):
    sink = IngestSink()
    sink.stop()
    case = Case(environment, 'ahead', sink)
    case.daemon.start()
    case.wait_read()
    case.wait('it is tried', lambda s: s['batches'] and s['batches'][0].get('answer'))
    case.daemon.kill()
    with contextlib.closing(sqlite3.connect(os.path.join(case.daemon.store, 'control.sqlite'))) as control:
        control.execute(f'UPDATE outbox SET next = {int((time.time() + 365 * 86400) * 1000)}')
        control.commit()
    sink.start()
    case.daemon.start()
    case.wait_accepted()
    case.check_all_once()
    sink.stop()


@flow('upload: a batch that becomes too old before a dead end waits as any other, and is not made anew all the time')
def old_and_dead(environment):
    sink = IngestSink()
    sink.stop()
    case = Case(environment, 'aging', sink, sections={'query': {'ingest_max_age': '0'}})
    case.upload['events'] = 'spam_complaint'
    case.daemon.settings['upload far'] = case.upload
    case.daemon.write_config()
    case.daemon.start()
    case.wait_read()
    start = time.time() - 86400 + 62
    lines = [json.dumps({'msys': {'message_event': {
        'type': 'feedback', 'fbtype': 'abuse', 'event_id': str(1000 + i), 'timestamp': f'{start + i / 5:.3f}', 'delv_method': 'smtp',
        'message_id': f'0000{i:016x}', 'rcpt_to': 'a@b.example'}}}) + '\n' for i in range(400)]
    path = os.path.join(case.base, 'old.gz')
    with open(path, 'wb') as file:
        file.write(gzip.compress(''.join(lines).encode()))
    subprocess.run(['curl', '-sS', '--unix-socket', case.daemon.socket, '--data-binary', f'@{path}', '-H',
                    'Content-Encoding: gzip', '-H', 'Content-Type: application/x-ndjson',
                    'http://localhost/api/v1/ingest/events'], check=True, capture_output=True, timeout=30)
    case.wait('a batch is tried', lambda s: s['batches'] and s['batches'][0].get('answer'))
    files = set()
    end = time.monotonic() + 5
    while time.monotonic() < end:
        for name in glob.glob(os.path.join(case.daemon.store, 'outbox', '*')):
            with contextlib.suppress(FileNotFoundError):
                files.add((name, os.stat(name).st_mtime_ns))
        time.sleep(0.02)
    expect(f'files of batches that were written in 5 s: {len(files)}', True, len(files) <= 6)
    sink.start()
    case.wait('what is left is accepted', lambda s: s['accepted'] > 0)
    sink.stop()
