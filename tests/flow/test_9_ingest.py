"""Events Ingest: other programs' events come in by curl, and survive what a daemon may meet."""

import contextlib
import datetime
import glob
import gzip
import json
import os
import random
import shutil
import subprocess
import time
import zlib

import lab
from flow import Skip, expect, expect_in, flow

POST = '/api/v1/ingest/events'
SLOW = ['\n' * 1000] * 20000  # lines without an event, over which a batch takes a while


def curl(daemon, target, *words, headers=()):
    """Status, header lines and body of a request by curl."""
    command = ['curl', '-s', '-S', '-i', '--unix-socket', daemon.socket, f'http://localhost{target}', *words]
    for header in headers:
        command += ['-H', header]
    out = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
    while out.startswith(b'HTTP/1.1 100'):
        out = out.split(b'\r\n\r\n', 1)[1]
    head, body = out.split(b'\r\n\r\n', 1)
    lines = head.decode().split('\r\n')
    return int(lines[0].split()[1]), lines[1:], body


def send(daemon, body, check=200):
    """POSTs bytes as a batch; its id."""
    path = os.path.join(daemon.base, 'batch.gz')
    with open(path, 'wb') as file:
        file.write(body)
    status, _, answer = curl(daemon, POST, '--data-binary', f'@{path}', headers=(
        'Content-Encoding: gzip', 'Content-Type: application/x-ndjson'))
    expect('status', check, status)
    return json.loads(answer)['results']['id'] if status == 200 else json.loads(answer)


def event(wrapper, kind, number, **more):
    fields = {'type': kind, 'event_id': str(number), 'timestamp': str(int(time.time()) - 60), 'delv_method': 'smtp',
              'message_id': f'0000{number:016x}', 'rcpt_to': f'rcpt{number}@example.com', 'subaccount_id': 0}
    fields.update(more)
    return json.dumps({'msys': {wrapper: fields}}) + '\n'


def batch(lines):
    return gzip.compress(''.join(lines).encode())


def verdict(daemon, batch_id):
    """The status record of a batch, waited for."""
    def look():
        status, _, body = curl(daemon, f'/api/v1/events/ingest?batch_ids={batch_id}')
        expect('status', 200, status)
        results = json.loads(body)['results']
        return results[0] if results else None
    return lab.wait_until(f'the verdict on {batch_id}', look, 60)


def outcome(daemon, batch_id):
    record = verdict(daemon, batch_id)
    return (record.get('error_type', record['type']), record['number_succeeded'], record.get('number_failed', 0),
            record['number_duplicates'])


def good(first, n):
    return [event('message_event', 'delivery', first + i) for i in range(n)]


def need_curl():
    if not shutil.which('curl'):
        raise Skip('curl is not installed')


@flow('ingest: each fault of a batch has the outcome that was recorded of the service')
def outcomes(environment):
    need_curl()
    daemon = environment.daemon('ingest').start()
    twelve = batch(good(1, 12))
    weird = [event('message_event', 'inband', 101), event('banana', 'inband', 102),
             event('track_event', 'initial_open', 103), event('banana', 'delivery', 104),
             event('unsubscribe_event', 'link', 105)]
    private = event('message_event', 'delivery', 106, rcpt_hash='0Yo=')
    for what, body, want in (
            ('good events', twelve, ('success', 12, 0, 0)),
            ('gzip of nothing', gzip.compress(b''), ('empty_batch', 0, 0, 0)),
            ('a line without event', gzip.compress(b'{}\n'), ('validation', 0, 1, 0)),
            ('four bytes of gzip', b'\x1f\x8b\x08\x00', ('decompress', 0, 0, 0)),
            ('the same again', twelve, ('duplicate_batch', 0, 0, 12)),
            ('two of an unknown wrapper', batch(weird), ('validation', 3, 2, 0)),
            ('half a pair', batch([private]), ('validation', 0, 1, 0))):
        expect(what, want, outcome(daemon, send(daemon, body)))
    expect('events', 15, len(daemon.events()))
    expect('bounces', ['101'], [e['event_id'] for e in daemon.events('events=bounce')])


@flow('ingest: a batch and its refused lines come back as gzip files')
def files(environment):
    need_curl()
    daemon = environment.daemon('ingest').start()
    body = batch(good(1, 2) + [event('banana', 'inband', 3)])
    batch_id = send(daemon, body)
    record = verdict(daemon, batch_id)
    status, headers, whole = curl(daemon, f'{POST}/{batch_id}')
    expect('status', 200, status)
    expect('the bytes of the batch', body, whole)
    expect_in('file name', f'Content-Disposition: attachment; filename="{batch_id}.gz"', headers)
    expect('href', f'http://localhost{POST}/failures/{batch_id}', record['href'])
    status, _, refused = curl(daemon, f'{POST}/failures/{batch_id}')
    expect('status', 200, status)
    lines = gzip.decompress(refused).decode().splitlines()
    expect('refused lines', 1, len(lines))
    line = json.loads(lines[0])
    expect('why', {'line': 3, 'message': 'Unknown wrapper banana'}, line['error'])
    expect('the line itself', '3', line['msys']['banana']['event_id'])
    directory = environment.directory('saved')
    subprocess.run(['curl', '-s', '-O', '-J', '--unix-socket', daemon.socket, record['href']],
                   cwd=directory, check=True, timeout=30)
    expect('saved by -O -J', [f'{batch_id}.gz'], os.listdir(directory))
    for target in ('documentation', 'samples', 'samples?events=inband'):
        status, _, text = curl(daemon, f'{POST}/{target}')
        expect(target, 200, status)
        expect_in(target, b'"sampleValue":"inband"' if target == 'documentation' else b'{"type":"inband"', text)


@flow('ingest: requests that are no batch are refused at once')
def refusals(environment):
    need_curl()
    daemon = environment.daemon('ingest').start()
    path = os.path.join(daemon.base, 'body')
    good_headers = ('Content-Encoding: gzip', 'Content-Type: application/x-ndjson')
    for size, headers, want in (
            (100, (), 415), (100, good_headers[:1], 415), (100, good_headers[1:], 415),
            (0, good_headers, 400), (5 * 1024 * 1024 + 1, good_headers, 413)):
        with open(path, 'wb') as file:
            file.write(b'x' * size)
        status, _, body = curl(daemon, POST, '--data-binary', f'@{path}', headers=headers)
        expect(f'{size} bytes, {headers}', want, status)
        expect_in('the answer', 'message', json.loads(body)['errors'][0])
    expect('no batch', 0, json.loads(curl(daemon, '/api/v1/events/ingest')[2])['total_count'])


@flow('ingest: a bomb costs neither the daemon nor the events after it')
def bomb(environment):
    need_curl()
    daemon = environment.daemon('ingest').start()
    packer = zlib.compressobj(9, wbits=31)
    body = b''.join(packer.compress(b'\0' * (1 << 20)) for _ in range(300)) + packer.flush()
    expect('bomb', ('decompress', 0, 0, 0), outcome(daemon, send(daemon, body)))
    expect('after it', ('success', 3, 0, 0), outcome(daemon, send(daemon, batch(good(1, 3)))))


@flow('ingest: kill -9 in the middle of batches; what was answered is there once, and counted right')
def kill(environment):
    need_curl()
    daemon = environment.daemon('ingest').start()
    chance, size, sent = random.Random(1), 3000, []
    for round_number in range(4):
        for _ in range(2):
            first = 1 + len(sent) * size
            lines = good(first, size)
            sent.append(send(daemon, batch(lines + ['{}\n'] + lines[:10])))
        time.sleep(chance.random() * 0.6)
        daemon.kill()
        daemon.start()
    for batch_id in sent:
        expect('counts', ('validation', size, 1, 10), outcome(daemon, batch_id))
    expect('records', len(sent), json.loads(curl(daemon, '/api/v1/events/ingest')[2])['total_count'])
    answer = daemon.get('/api/v1/message-events?per_page=1&from=2000-01-01T00:00')[1]
    expect('events', len(sent) * size, answer['total_count'])


@contextlib.contextmanager
def small_spool(environment, size):
    """A daemon whose batches have a file system of their own."""
    need_curl()
    if not shutil.which('mount'):
        raise Skip('there is no mount')
    daemon = environment.daemon('ingest')
    spool = os.path.join(daemon.store, 'ingest')
    os.makedirs(spool)
    if subprocess.run(['mount', '-t', 'tmpfs', '-o', f'size={size}', 'none', spool], capture_output=True,
                      check=False).returncode != 0:
        raise Skip('no tmpfs can be mounted here')
    try:
        yield daemon, spool
        daemon.stop()
    finally:
        daemon.kill()
        subprocess.run(['umount', spool], check=False)


def troubles(daemon):
    return daemon.status().get('ingest_troubles', [])


def wait_named(daemon, cause):
    """Each trouble of ingest is in the status with how to mend it, and was told once in the log."""
    words = ('refuses batches', 'tries batches again')

    def look():
        lines = [line for line in daemon.postwake('status').stdout.splitlines() if line.startswith('TROUBLE')]
        return all(any(word in line and cause in line and '; make room' in line for line in lines) for word in words)
    lab.wait_until('both troubles are in the status', look, 20)
    for word in words:
        told = sum(word in line for line in daemon.log_text().splitlines())
        expect(f'{word}: once in the log', 1, told)


@flow('ingest: a full disk that only ingest meets is told while it lasts, and all that was answered comes in after it')
def full_disk(environment):
    with small_spool(environment, '1m') as (daemon, spool):
        daemon.start()
        chance = random.Random(3)
        refused = [json.dumps({'msys': {'banana': {'x': chance.randbytes(150).hex()}}}) + '\n' for _ in range(1500)]
        waiting = send(daemon, batch(good(1, 600) + refused + SLOW))
        with open(os.path.join(spool, 'ballast'), 'wb', buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b'x' * 4096)
        for _ in range(3):
            send(daemon, batch(good(1000, 600)), check=503)
        wait_named(daemon, 'No space left on device')
        expect('no verdict', 0, json.loads(curl(daemon, '/api/v1/events/ingest')[2])['total_count'])
        os.unlink(os.path.join(spool, 'ballast'))
        expect('what waited', ('validation', 600, 1500, 0), outcome(daemon, waiting))
        expect('what comes', ('success', 600, 0, 0), outcome(daemon, send(daemon, batch(good(1000, 600)))))
        lab.wait_until('no trouble is left', lambda: not troubles(daemon), 20)


@flow('ingest: a batch that fails for a moment is tried again, and holds up no other one')
def blocked(environment):
    need_curl()
    daemon = environment.daemon('ingest').start()
    lines = ['{}\n'] + good(1, 100) + SLOW
    first = send(daemon, batch(lines))
    place = os.path.join(daemon.store, 'ingest', f'{first}.failures.new')
    os.mkdir(place)
    lab.wait_until('the trouble is named', lambda: any('Is a directory; move away' in t for t in troubles(daemon)), 20)
    expect('another one', ('success', 3, 0, 0), outcome(daemon, send(daemon, batch(good(1000, 3)))))
    time.sleep(4)  # a second try, between ticks that come each second
    os.rmdir(place)
    expect('the first one', ('validation', 100, 1, 0), outcome(daemon, first))
    lab.wait_until('no trouble is left', lambda: not troubles(daemon), 10)
    expect('told once', 1, daemon.log_text().count('tries batches again'))


@flow('ingest: a damaged day keeps no event of another day out')
def damaged_day(environment):
    need_curl()
    daemon = environment.daemon('ingest', sections={'query': {'ingest_max_age': '0'}}).start()
    old = [event('message_event', 'delivery', i, timestamp=str(int(time.time()) - 3 * 86400)) for i in range(1, 301)]
    expect('old events', ('success', 300, 0, 0), outcome(daemon, send(daemon, batch(old))))
    daemon.stop()
    path = sorted(glob.glob(os.path.join(daemon.store, '*.db')))[0]
    with open(path, 'r+b') as file:
        file.seek(3 * 4096)
        file.write(random.Random(4).randbytes(os.path.getsize(path) - 3 * 4096))
    daemon.start()
    for i in range(3):
        lines = good(1000 + 5 * i, 5)
        expect('new events', ('success', 5, 0, 0), outcome(daemon, send(daemon, batch(lines))))
    expect('told once', 1, daemon.log_text().count('events come in without a look'))
    expect('counted', 15, daemon.status()['counters'].get('ingest_unchecked'))
    expect_in('the status', 'is damaged', daemon.postwake('status').stdout)


@flow('ingest: where there is no room for a batch its sender is told to come back, and nothing of it stays')
def no_room(environment):
    with small_spool(environment, '64k') as (daemon, spool):
        daemon.start()
        large = random.Random(2).randbytes(200000)
        answer = send(daemon, large, check=503)
        expect_in('the answer', 'No space left', answer['errors'][0]['message'])
        lab.wait_until('nothing of it is there', lambda: not os.listdir(spool), 5)
        expect('a small one', ('success', 1, 0, 0), outcome(daemon, send(daemon, batch(good(1, 1)))))


@flow('ingest: the lines of the published documentation come in, byte for byte')
def published(environment):
    need_curl()
    shared = os.environ.get('PW_SHARED', os.path.join(os.path.dirname(__file__), '..', '..', '..', 'shared'))
    lines = []
    for path in sorted(glob.glob(os.path.join(shared, 'seeds', '*.txt'))):
        lines += [line + '\n' for line in lab.read(path).splitlines() if line.startswith('{"msys":')]
    if not lines:
        raise Skip(f'there is no documentation in {shared}')
    daemon = environment.daemon('ingest', sections={'query': {'ingest_max_age': '0'},
                                                    'postwake': {'keep_days': '36500'}}).start()
    expect('outcome', ('success', len(lines), 0, 0), outcome(daemon, send(daemon, batch(lines))))
    found = {e['event_id']: e for e in daemon.events()}
    for line in lines:
        (fields,) = json.loads(line)['msys'].values()
        event_found = found[fields['event_id']]
        for name in ('message_id', 'rcpt_to', 'msg_from', 'subject', 'template_id', 'transmission_id', 'msg_size'):
            expect(f"{name} of {fields['event_id']}", fields[name], event_found[name])
        expect('time', int(fields['timestamp']),
               int(datetime.datetime.fromisoformat(event_found['timestamp']).timestamp()))
