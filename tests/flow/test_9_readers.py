"""Foreign text on its way to terminals, spreadsheets and browsers: it never gets there alive."""

import contextlib
import csv
import gzip
import io
import json
import os
import pty
import signal
import socket
import subprocess
import time
import unicodedata

from flow import expect, expect_in, flow
from logs import put, recently, wait_read
from test_9_ingest import batch, curl, event, need_curl, send, verdict

# C0, DEL, C1 in UTF-8 and as a bare byte, directions, no width, a title, HTML.
HOSTILE = 'a\x1b[2J\x1b]0;own\x07b\u009b31m\udc9b32m\x7f\u202e\u200b\u2028\u2066\ufeff\U000e0041<script>alert(1)</script>\r'
FORMULA = '=HYPERLINK("http://evil.example","x");=1+1;"\u00ad@x'
LINES = (
    'smtpd[1]: 3C00000A01: client=c.example[192.0.2.7]',
    f'cleanup[2]: 3C00000A01: message-id=<{HOSTILE}>',
    f'qmgr[3]: 3C00000A01: from=<"{HOSTILE}"@lab.example>, size=9, nrcpt=1 (queue active)',
    f'smtp[4]: 3C00000A01: to=<"{HOSTILE}"@py.example>, relay=m[192.0.2.9]:25, delay=1, delays=0/0/0/1, dsn=5.1.1, '
    f'status=bounced (host m[192.0.2.9] said: 550 5.1.1 {HOSTILE} (in reply to RCPT TO command))',
    f'smtp[4]: 3C00000A01: to=<=1+1@py.example>, relay=m[192.0.2.9]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, '
    f'status=sent ({FORMULA})',
    'qmgr[3]: 3C00000A01: removed',
    f'smtpd[1]: NOQUEUE: reject: RCPT from c.example[192.0.2.7]: 554 5.7.1 <"{HOSTILE}"@py.example>: no; '
    f'from=<=cmd@lab.example> to=<"{HOSTILE}"@py.example> proto=ESMTP helo=<{HOSTILE}>',
    f'smtp[4]: 3C00000A01: something {HOSTILE} new, status=eaten',
)


def alive(text):
    """Characters that a terminal obeys, or that hide or reorder others."""
    return [c for c in text if c != '\n' and (unicodedata.category(c) in ('Cc', 'Zl', 'Zp') or
                                              (unicodedata.category(c) == 'Cf' and c != '\u00ad'))]


def check_harmless(what, output, ends='\n'):
    text = output.decode('utf-8')  # what is no UTF-8 may be C1 to a terminal
    expect(f'{what}: {text!r}', [], alive(text.replace(ends, '\n')))


def on_terminal(command, during):
    """All that a terminal gets, of both outputs. Without an end of its own (during: what happens meanwhile): some."""
    master, slave = pty.openpty()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=slave, stderr=slave)
    os.close(slave)
    output = b''
    if during:
        time.sleep(0.5)
        during()
        time.sleep(1)
        process.send_signal(signal.SIGTERM)
    with contextlib.suppress(OSError):  # EIO: nobody has the other end open any more
        while chunk := os.read(master, 65536):
            output += chunk
    process.wait(10)
    os.close(master)
    return output.replace(b'\r\x1b[K', b'').replace(b'\r\n', b'\n')  # our own progress bar, the terminal's ends


def commands(daemon, path):
    """Every form of output that shows something foreign, and errors that quote it."""
    hostile = HOSTILE.encode('utf-8', 'surrogateescape')
    search = ['search', '--since', '1d', '--limit', '0']
    story = ['show', '3C00000A01']
    return [
        search, [*search, '--json'], [*search, '--ndjson'], [*search, '--csv'], [*search, '--type', hostile],
        ['search', '--since', hostile], ['search', '--recipient', hostile], [hostile],
        story, [*story, '--json'], [*story, '--proof'], ['show', hostile],
        ['status'], ['status', '--json'], ['parse', path], ['parse', '--attempts', path], ['parse', b'/no/' + hostile],
        ['classify', hostile], ['classify', '--json', hostile], ['import', b'/no/' + hostile], ['report', b'/no/' + hostile],
        ['report', path], ['follow'], ['follow', '--ndjson'], ['upload', 'show', hostile],
        ['key', 'create', '--grant', hostile], ['erase', '--recipient', hostile], ['-s', b'/no/' + hostile, 'status'],
        ['-S', daemon.store, 'check'], ['-c', b'/no/' + hostile, 'status'],
    ]


def lines(start):
    return ''.join(time.strftime('%Y-%m-%dT%H:%M:%S.000000+00:00', time.gmtime(start + n)) + f' mx postfix/{line}\n'
                   for n, line in enumerate(LINES))


def hostile_daemon(environment):
    base = environment.directory('readers')
    path = os.path.join(base, 'mail.log')
    put(path, lines(recently()))
    daemon = environment.daemon('readers', {'file': path}).start()
    wait_read(daemon, len(LINES))
    expect('events', ['bounce', 'delivery', 'injection', 'injection', 'policy_rejection'],
           sorted(e['type'] for e in daemon.events()))
    return daemon, path


@flow('readers: no form of output of any subcommand hands a terminal anything that it would obey')
def terminals(environment):
    daemon, path = hostile_daemon(environment)
    shown = 0
    for words in commands(daemon, path):
        command = [os.path.join(environment.build, 'postwake'), '-s', daemon.socket, *words]
        endless = 'follow' in words
        output = on_terminal(command, (lambda: put(path, lines(int(time.time())), 'a')) if endless else None)
        check_harmless(f'{words} on a terminal', output, '\r\n' if '--csv' in words else '\n')
        shown += b'script' in output
        if not endless:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)
            check_harmless(f'{words}: errors', done.stderr)
            check_harmless(f'{words}: output', done.stdout, '\r\n' if '--csv' in words else '\n')
    expect('the text was shown in most', True, shown >= 15)
    check_harmless("the daemon's log", open(daemon.log, 'rb').read())


@flow('readers: JSON keeps foreign text whole, but bare it holds nothing to obey, and no browser takes it for a page')
def browsers(environment):
    daemon, _ = hostile_daemon(environment)
    for target, status in (('/api/v1/message-events?from=2000-01-01T00:00', 200), ('/api/v1/events/message?from=2000-01-01T00:00Z', 200),
                           ('/api/v1/status', 200), ('/api/v1/events/message?per_page=%3Cscript%3E%1b%c2%9b%e2%80%ae', 400),
                           ('/%3Cscript%3E%1b', 404), ('/api/v1/events/message/documentation', 200)):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(daemon.socket)
            client.sendall(f'GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'.encode())
            head, body = b''.join(iter(lambda: client.recv(65536), b'')).split(b'\r\n\r\n', 1)
        expect_in(target, f' {status} ', head.decode().split('\r\n')[0] + ' ')
        expect_in(f'{target}: type', 'content-type: application/json', head.decode().lower())
        expect_in(f'{target}: no guessing', 'x-content-type-options: nosniff', head.decode().lower())
        check_harmless(target, body)
        json.loads(body)
    bounce = next(e for e in daemon.events() if e['type'] == 'bounce')
    expect_in('the text is whole', HOSTILE.replace('\udc9b', '\ufffd'), bounce['raw_reason'])


def some_of_stream(daemon):
    """What the stream of all events gives within a second."""
    done = subprocess.run(['curl', '-s', '-N', '-m', '1', '--unix-socket', daemon.socket,
                           'http://localhost/api/v1/events/stream?since=0'], capture_output=True, check=False)
    return done.stdout


@flow('readers: JSON that came as JSON comes out as the same JSON with nothing to obey: every API, uploads, refused lines')
def given_as_json(environment):
    need_curl()
    daemon = environment.daemon('given').start()
    text = HOSTILE.replace('\udc9b', '')
    place, meta = {text: '1', 'city': text, 'zip': text}, {text: {'deep': text}, 'list': [text]}
    # Metadata, arrays in it, and places have writers of their own.
    given = [('track_event', 'click', 1, {'geo_ip': place}), ('message_event', 'inband', 2, {'rcpt_meta': meta, 'rcpt_tags': [text]}),
             ('message_event', 'inband', 3, {'rcpt_meta': {text: text}}), ('banana', 'inband', 4, {'rcpt_meta': meta})]
    lines = [event(wrapper, kind, number, **more).encode('ascii') for wrapper, kind, number, more in given]
    raw = [json.dumps(json.loads(line), ensure_ascii=False) + '\n' for line in lines]
    record = verdict(daemon, send(daemon, batch(raw)))
    expect('taken and refused', (3, 1), (record['number_succeeded'], record['number_failed']))
    outputs = {target: curl(daemon, target)[2] for target in (
        '/api/v1/message-events?from=2000-01-01T00:00', '/api/v1/events/message?from=2000-01-01T00:00Z',
        '/v1/events/email/rcpt2@example.com')}
    outputs['stream'] = some_of_stream(daemon)
    outputs['refused lines'] = gzip.decompress(curl(daemon, record['href'][record['href'].index('/api/'):])[2])
    daemon.stop()
    outputs['upload'] = gzip.decompress(subprocess.run(
        [os.path.join(environment.build, 'postwake'), '-S', daemon.store, 'upload', '--to', '-'], capture_output=True, check=True).stdout)
    for what, output in outputs.items():
        check_harmless(what, output)
        expect_in(what, b'\\u009b31m', output)
    events = {e['event_id']: e for e in json.loads(outputs['/api/v1/events/message?from=2000-01-01T00:00Z'])['results']}
    expect('place', place, events['1']['geo_ip'])
    expect('metadata', meta, events['2']['rcpt_meta'])
    refused = json.loads(outputs['refused lines'])
    expect('refused', json.loads(lines[3])['msys'], refused['msys'])


@flow('readers: no cell of the CSV is a formula')
def spreadsheets(environment):
    daemon, _ = hostile_daemon(environment)
    done = daemon.postwake('search', '--since', '1d', '--limit', '0', '--csv')
    rows = list(csv.reader(io.StringIO(done.stdout, newline='')))
    expect('rows', 6, len(rows))
    expect('columns', {len(rows[0])}, {len(row) for row in rows})
    formulas = [cell for row in rows for cell in row if cell.lstrip()[:1] in ('=', '+', '-', '@')]
    expect('formulas', [], formulas)
    formulas = [piece for piece in done.stdout.split(';') if piece.lstrip('" \u00ad')[:1] in ('=', '+', '-', '@')]
    expect('formulas where semicolons part the cells', [], formulas)
    expect('they are there', True, any(cell.startswith("'=HYPERLINK") for row in rows for cell in row))
