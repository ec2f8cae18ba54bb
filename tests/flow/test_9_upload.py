"""Uploads: what is in the store is at the other side once, whatever happens on the way."""

import collections
import contextlib
import glob
import gzip
import json
import os
import pwd
import random
import re
import shutil
import sqlite3
import stat
import subprocess
import time

import lab
from flow import Skip, expect, expect_in, flow
from ingest import KEY, ForwardProxy, IngestSink, SocketProxy
from logs import put, recently
from test_4_reports import reachable
from upload_case import Case


@flow('upload: a batch is what the API wants, is accepted by its verdict, and needs no second try')
def plain(environment):
    sink = IngestSink()
    case = Case(environment, 'upload', sink)
    case.daemon.start()
    case.wait_accepted()
    case.check_all_once()
    stamps = {e['event_id']: e['timestamp'] for e in case.daemon.events()}
    for event in sink.events:
        expect('wrappers of a line', ['message_event'], list(event['msys']))
        fields = event['msys']['message_event']
        expect('timestamp in seconds as text', True, bool(re.fullmatch(r'\d{10}', fields['timestamp'])))
        expect_in('the same second', time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(int(fields['timestamp']))),
                  stamps[fields['event_id']])
        expect_in('type', fields['type'], ('reception', 'delivery', 'inband', 'tempfail', 'rejection'))
        expect('own fields', set(), {'instance', 'queue_id', 'dsn', 'mx_host'} & set(fields))
    headers = {k.lower(): v for k, v in sink.posts()[0][3].items()}
    expect('headers', ('gzip', 'application/x-ndjson', KEY),
           tuple(headers[k] for k in ('content-encoding', 'content-type', 'authorization')))
    expect('files left in the outbox', [], glob.glob(os.path.join(case.daemon.store, 'outbox', '*')))
    done = case.daemon.postwake('upload', 'status')
    expect_in('status', 'accepted', done.stdout)
    case.secrets_in_log()
    expect('the key where others can look', False,
           KEY.encode() in open(f'/proc/{case.daemon.process.pid}/cmdline', 'rb').read())
    sink.stop()


@flow('upload: a process that holds a key leaves no core dump')
def not_dumped(environment):
    """Files of a process that cannot be dumped belong to root and not to its user (proc(5)): hence as another user."""
    if not reachable(os.path.join(environment.build, 'postwaked')):
        raise Skip('postwaked is not open to other users')
    sink, owners = IngestSink(), {}
    os.chmod(environment.base, 0o755)
    for name in ('without', 'with'):
        case = Case(environment, f'{name}-key', sink)
        if name == 'without':
            del case.daemon.settings['upload far']
            case.daemon.write_config()
        for directory, _, files in os.walk(case.base):
            for path in [directory, *(os.path.join(directory, f) for f in files)]:
                shutil.chown(path, 'nobody', 'nogroup')
        case.daemon.identity = {'user': 'nobody', 'group': 'nogroup', 'extra_groups': []}
        case.daemon.start()
        if name == 'with':
            case.wait_accepted()
        owners[name] = os.stat(f'/proc/{case.daemon.process.pid}/environ').st_uid
        case.daemon.kill()
    expect('owners', {'without': pwd.getpwnam('nobody').pw_uid, 'with': 0}, owners)
    sink.stop()


@flow('upload: a proxy is gone through, with TLS as a tunnel that shows it nothing, and never around')
def by_proxy(environment):
    certificate = lab.self_signed_certificate(os.path.join(environment.directory('proxied'), 'pair'))
    for kind, tls in (('plain', None), ('tunnel', certificate)):
        sink, proxy = IngestSink(tls=tls), ForwardProxy()
        case = Case(environment, f'proxy-{kind}', sink,
                    more={'proxy': proxy.url, 'ca_file': certificate[0] if tls else None})
        proxy.stop()
        case.daemon.start()
        case.wait('trouble is told', lambda s: s.get('trouble'))
        expect('requests around it', [], sink.requests)
        proxy.start()
        case.wait_accepted()
        case.check_all_once()
        expect('how the proxy was asked', {'CONNECT'} if tls else {'GET', 'POST'}, {r.split(' ')[0] for r in proxy.requests})
        expect('where to', set(), {r for r in proxy.requests if str(sink.port) not in r})
        if tls:
            expect('the key at the proxy', False, KEY in ''.join(proxy.heads))
        case.daemon.stop()
        proxy.stop()
        sink.stop()


FAULTS = [['no answer', '429'], ['cut request', 'cut answer'], ['500', 'html 502'], ['wrong json', 'slow'],
          ['no id', 'html 502 after', '', '503']]


@flow('upload: with every fault on the way each event arrives once, and tries of a batch are the same bytes')
def faults(environment):
    again = 0
    for names in FAULTS:
        sink = IngestSink(names)
        case = Case(environment, 'faults', sink)
        case.daemon.start()
        case.wait_accepted()
        case.append(1, recently() + 900)
        case.wait_accepted()
        case.check_all_once()
        expect('faults that are left', [], sink.faults)
        different = {body for _, body in sink.bodies}
        events = [line for body in different for line in gzip.decompress(body).splitlines()]
        expect(f'{names}: lines that were in two different batches', len(set(events)), len(events))
        again += len(sink.bodies) - len(different)
        case.secrets_in_log()
        case.daemon.stop()
        sink.stop()
    expect(f'{again} tries were the same bytes as the one before', True, again >= 8)


@flow('upload: an answer with trailers without end takes no memory, is told, and the batch is sent again')
def endless(environment):
    sink = IngestSink(['endless trailers'] * 2)
    case = Case(environment, 'endless', sink)
    case.daemon.start()

    def megabytes(name):
        return int(re.search(rf'{name}:\s*(\d+)', open(f'/proc/{case.daemon.process.pid}/status').read())[1]) // 1024
    before = megabytes('VmRSS')
    case.wait('trouble is told', lambda s: 'the trailers of the answer are too long' in s.get('trouble', ''))
    case.wait_accepted()
    case.check_all_once()
    expect(f"memory of two answers of 400 MB: {before} to {megabytes('VmHWM')} MB", True, megabytes('VmHWM') < before + 120)
    sink.stop()


@flow('upload: Retry-After is honoured, in seconds and as a date')
def retry_after(environment):
    for form, wait in (('429 seconds', 2), ('429 date', 2)):
        sink = IngestSink([form])
        case = Case(environment, 'retry-after', sink)
        case.daemon.start()
        case.wait_accepted()
        first, second = [t for t, *_ in sink.posts()][:2]
        expect(f'{form}: the pause is long enough ({second - first:.1f} s)', True, second - first >= wait - 0.1)
        case.check_all_once()
        case.daemon.stop()
        sink.stop()


@flow('upload: a 4xx and a redirect park the batch with the answer until somebody says retry')
def parked(environment):
    for fault, text in (('403', '403: says 403: more'), ('redirect', '307')):
        sink = IngestSink([fault])
        case = Case(environment, 'parked', sink, more={'interval': '1'})
        case.daemon.start()
        case.wait_read()
        status = case.wait('a batch is parked', lambda s: s if any(b['state'] == 'parked' for b in s['batches']) else None)
        batch = next(b for b in status['batches'] if b['state'] == 'parked')
        expect_in('answer', text, batch['answer'])
        expect('followed', [], [r for r in sink.requests if 'elsewhere' in r[2]])
        shown = case.daemon.postwake('upload', 'show', batch['id'][:8])
        expect_in('show', text, shown.stdout)
        missing = case.daemon.postwake('upload', 'show', 'zz')
        expect('show of none', 1, missing.returncode)
        expect_in('show of none', 'no batch has the id zz', missing.stderr)
        case.daemon.stop()
        case.daemon.start()
        expect('still parked after a restart', 'parked',
               next(b['state'] for b in case.status()['batches'] if b['id'] == batch['id']))
        done = case.daemon.postwake('upload', 'retry', batch['id'])
        expect('retry', (0, '1 batch(es) will be sent again\n'), (done.returncode, done.stdout))
        case.wait_accepted()
        case.check_all_once()
        expect('nothing to retry', 1, case.daemon.postwake('upload', 'retry').returncode)
        case.daemon.stop()
        sink.stop()


@flow('upload: failed events are fetched, stored with their cause and shown; a system error is sent again')
def verdicts(environment):
    judged = []

    def judge(lines):
        judged.append(lines)
        if len(judged) == 1:
            return 'system', []
        return 'validation', [line for line in lines if '"type":"tempfail"' in line]
    sink = IngestSink(judge=judge)
    case = Case(environment, 'verdicts', sink)
    case.daemon.start()
    case.wait_accepted()
    status = case.status()
    delays = [e for e in case.daemon.events('events=delay')]
    expect('some are refused', True, len(delays) > 0)
    expect('failed', len(delays), status['failed'])
    batches = [b for b in status['batches'] if b['state'] == 'partly']
    shown = [json.loads(case.daemon.postwake('upload', 'show', '--json', b['id']).stdout) for b in batches]
    failures = [f for s in shown for f in s['failures'] if not f['cause'].startswith('not sent: ')]
    expect('causes', {'validation'}, {f['cause'] for f in failures})
    expect('refused events', sorted(e['event_id'] for e in delays),
           sorted(json.loads(f['line'])['msys']['message_event']['event_id'] for f in failures))
    expect_in('as text', 'not taken: validation', case.daemon.postwake('upload', 'show', batches[0]['id']).stdout)
    sink.stop()


@flow('upload: the key never goes to another server for failed events; a path that ours has too is fetched from ours')
def other_origin(environment):
    for path, said, fetched in (('elsewhere', 'validation; its failed events are at another server', 0),
                                ('api/v1/ingest/events/failures', 'validation', 1)):
        other = IngestSink()
        sink = IngestSink(judge=lambda lines: ('validation', lines[:1]))
        accept = sink.accept

        def lie(body, accept=accept, sink=sink, place=f'{other.url}/{path}'):
            batch = accept(body)
            sink.verdicts[batch]['href'] = f'{place}/{batch}'
            return batch
        sink.accept = lie
        case = Case(environment, 'origin', sink)
        case.daemon.start()
        case.wait('a verdict', lambda s: s['failed'] > 0)
        expect('requests at the other server', [], other.requests)
        batch = next(b for b in case.status()['batches'] if b['state'] == 'partly')
        expect('said', said, batch['answer'][:len(said)])
        shown = json.loads(case.daemon.postwake('upload', 'show', '--json', batch['id']).stdout)
        expect('failed events that are known', fetched, len([f for f in shown['failures'] if f['cause'] == 'validation']))
        case.daemon.stop()
        for server in (sink, other):
            server.stop()


@flow('upload: kill -9 at any point loses no event and sends none in two batches')
def killed(environment):
    sink = IngestSink(['', 'slow', 'no answer', '', 'cut answer', 'slow', '500'] * 4)
    case = Case(environment, 'killed', sink, copies=6)
    case.daemon.start()
    chance = random.Random(7)
    for _ in range(8):
        time.sleep(chance.uniform(0.02, 1.2))
        case.daemon.kill()
        case.append(1, recently() + chance.randrange(600))
        case.daemon.start()
    sink.faults.clear()
    case.wait_accepted(100)
    case.check_all_once()
    sink.stop()


@flow('upload: a dead end costs nothing but time: capture goes on, the cursor stays, all arrives later')
def dead(environment):
    sink = IngestSink()
    sink.stop()
    case = Case(environment, 'dead', sink)
    case.daemon.start()
    case.wait_read()
    case.wait('trouble is told', lambda s: s.get('trouble'))
    case.append(3, recently() + 600)
    case.wait_read()
    status = case.status()
    expect('one batch waits', 1, len(status['batches']))
    expect('the others stay in the store', True, status['waiting'] > 0)
    expect('time that is left', True, 0 < status['expiring_in'] < 24 * 3600)
    outbox = glob.glob(os.path.join(case.daemon.store, 'outbox', '*'))
    expect('files in the outbox', 1, len(outbox))
    sink.start()
    case.wait_accepted()
    case.check_all_once()
    expect('trouble is over', None, case.status().get('trouble'))
    sink.stop()


@flow('upload: what is older than a day is counted and not sent, but to another postwake it is')
def too_old(environment):
    for kind in ('sparkpost', 'postwake'):
        sink = IngestSink()
        case = Case(environment, f'old-{kind}', sink, start=int(time.time()) - 30 * 3600, more={'kind': kind})
        case.append(1, recently())
        case.daemon.start()
        case.wait_read()
        time.sleep(0.3)
        stored = case.daemon.events()
        edge = time.time() - 24 * 3600
        old = [e['event_id'] for e in stored if when(e) < edge] if kind == 'sparkpost' else []
        left = [e for e in stored if e['event_id'] not in old]
        case.wait('all have been looked at', lambda s, n=len(left): s['accepted'] == n)
        expect(f'{kind}: too old', len(old), case.status()['too_old'])
        case.check_all_once(old)
        if kind == 'postwake':
            expect('milliseconds', True, all(re.fullmatch(r'\d{13}', e['timestamp']) for e in sink.fields()))
            expect('own fields', True, all('queue_id' in e for e in sink.fields() if e['type'] == 'delivery'))
        case.daemon.stop()
        sink.stop()


def when(event):
    return time.mktime(time.strptime(event['timestamp'][:19], '%Y-%m-%dT%H:%M:%S')) - time.timezone


@flow('upload: only over TLS that is verified: a stranger or a wrong name gets neither batch nor key')
def tls(environment):
    certificate = lab.self_signed_certificate(os.path.join(environment.directory('tls'), 'pair'))
    sink = IngestSink(tls=certificate)
    case = Case(environment, 'tls', sink, more={'ca_file': certificate[0]})
    wrong = Case(environment, 'name', sink, more={'ca_file': certificate[0],
                                                  'url': sink.url.replace('127.0.0.1', 'localhost')})
    stranger = Case(environment, 'stranger', sink)
    for bad in (wrong, stranger):
        bad.daemon.start()
        bad.wait('trouble is told', lambda s: s.get('trouble'))
        expect_in('trouble', 'certificate', bad.status()['trouble'])
        bad.daemon.stop()
    expect('requests before', [], sink.requests)
    case.daemon.start()
    case.wait_accepted()
    case.check_all_once()
    sink.stop()


@flow('upload: a key that others can read is not used; nor does it appear anywhere')
def key_modes(environment):
    sink = IngestSink()
    case = Case(environment, 'key', sink)
    os.chmod(case.upload['key_file'], 0o644)
    case.daemon.start()
    case.wait('trouble is told', lambda s: 'lets others at the key' in s.get('trouble', ''))
    expect_in('log', 'lets others at the key', case.daemon.log_text())
    expect('requests', [], sink.requests)
    os.chmod(case.upload['key_file'], stat.S_IRUSR)
    case.daemon.postwake('upload', 'retry')
    case.wait_accepted()
    case.secrets_in_log()
    expect('the key in the store', [], [f for f in glob.glob(case.daemon.store + '/**', recursive=True)
                                        if os.path.isfile(f) and KEY.encode() in open(f, 'rb').read()])
    sink.stop()


@flow('upload: privacy mode: no line holds an address or a local part, in no coding')
def privacy(environment):
    sink = IngestSink()
    case = Case(environment, 'privacy', sink, copies=1, more={'privacy': 'yes', 'kind': 'postwake'})
    case.daemon.start()
    case.wait_accepted()
    case.check_all_once()
    stored = {e['event_id']: e for e in case.daemon.events()}
    kept = {'type', 'message_id', 'event_id', 'timestamp', 'delv_method', 'recv_method', 'service', 'rcpt_domain',
            'recipient_domain', 'routing_domain', 'sending_domain', 'rcpt_hash', 'smtp_stage'}
    for fields in sink.fields():
        rcpt = stored[fields['event_id']].get('rcpt_to')
        if not rcpt:
            continue
        expect('hash and domain', True, 'rcpt_hash' in fields and rcpt.endswith('@' + fields['rcpt_domain']))
        local = rcpt.rsplit('@', 1)[0]
        text = json.dumps([v for k, v in fields.items() if k not in kept], ensure_ascii=False).lower()
        expect(f'{local} in {text}', False, rcpt in json.dumps(fields).lower() or (len(local) > 2 and local in text))
    sink.stop()


@flow('upload: --to writes the same batches to a file, and --verify checks every event without a key')
def to_file(environment):
    sink = IngestSink()
    case = Case(environment, 'file', sink)
    case.daemon.start()
    case.wait_accepted()
    case.daemon.stop()
    path = os.path.join(case.base, 'batches.gz')
    done = lab.run_postwake(environment.build, '-c', case.daemon.config, 'upload', '--to', path, '--verify')
    expect('status', (0, ''), (done.returncode, done.stdout))
    expect('events that would be refused', 0, done.stderr.count('Missing'))
    with gzip.open(path) as file:
        lines = file.read().splitlines()
    expect('the same events', sorted(e['event_id'] for e in sink.fields()),
           sorted(json.loads(line)['msys']['message_event']['event_id'] for line in lines))
    expect('who may read it', 0o600, stat.S_IMODE(os.stat(path).st_mode))
    for words in (['-s', case.daemon.socket], ['-S', case.base]):
        done = lab.run_postwake(environment.build, '-c', case.daemon.config, *words, 'upload', '--to', '-')
        expect(f'{words[0]} names no store', (2, ''), (done.returncode, done.stdout))
    sink.stop()


@flow('upload: with a limit of bandwidth a batch takes its time')
def bandwidth(environment):
    sink = IngestSink()
    case = Case(environment, 'bandwidth', sink, copies=10, more={'bandwidth': '20', 'interval': '3600', 'timeout': '20'})
    case.daemon.start()
    case.wait_read()
    started = time.monotonic()
    case.daemon.stop()
    case.upload['interval'] = '0'
    case.daemon.settings['upload far'] = case.upload
    case.daemon.write_config()
    case.daemon.start()
    case.wait('something is accepted', lambda s: s['accepted'] > 0)
    size = len(max((body for _, body in sink.bodies), key=len))
    spent = time.monotonic() - started
    expect(f'{size} bytes at 20 kB/s took {spent:.1f} s', True, size > 30000 and spent > 0.7 * size / 20000)
    sink.stop()


@flow('upload: only the wanted types, domains and subaccounts go')
def selection(environment):
    sink = IngestSink()
    case = Case(environment, 'selection', sink, more={'events': 'bounce, delay'})
    case.daemon.start()
    case.wait_read()
    time.sleep(0.3)
    want = {e['event_id'] for e in case.daemon.events('events=bounce,delay')}
    case.wait('they are accepted', lambda s: s['accepted'] >= len(want) and s['waiting'] == 0)
    expect('events', {i: 1 for i in want}, dict(sink.counts()))
    sink.stop()


def change(case, what):
    """Changes rows of the outbox while nobody runs."""
    case.daemon.kill()
    with contextlib.closing(sqlite3.connect(os.path.join(case.daemon.store, 'control.sqlite'))) as control:
        control.execute(f'UPDATE outbox SET next = 0, {what}')
        control.commit()


@flow('upload: a batch in doubt that is a day old ends as unknown, and is not sent again')
def unknown(environment):
    sink = IngestSink(['no answer'])
    case = Case(environment, 'unknown', sink)
    case.daemon.start()
    lab.wait_until('the batch is there', lambda: sink.bodies)
    case.wait_read()
    status = case.wait('it is tried', lambda s: s if s['batches'] and s['batches'][0].get('answer') else None)
    expect('in doubt', (1, 'ready'), tuple(status['batches'][0][k] for k in ('in_doubt', 'state')))
    change(case, f'oldest = {int((time.time() - 25 * 3600) * 1000)}')
    tries = len(sink.bodies)
    case.daemon.start()
    batch = status['batches'][0]['id']
    status = case.wait('it ends', lambda s: s if s['lost'] else None)
    expect('state', ['unknown'], [b['state'] for b in status['batches'] if b['id'] == batch])
    case.wait('the rest goes on', lambda s: s['waiting'] == 0 and all(
        b['state'] in ('accepted', 'unknown') for b in s['batches']))
    expect('the same bytes again', 1, collections.Counter(b for _, b in sink.bodies)[sink.bodies[tries - 1][1]])
    case.check_all_once()
    sink.stop()


@flow('upload: a batch that never got on the wire is cut anew when it is old or damaged')
def anew(environment):
    for what in ('old', 'damaged', 'gone'):
        sink = IngestSink()
        sink.stop()
        case = Case(environment, 'anew', sink)
        case.daemon.start()
        case.wait_read()
        case.wait('it is tried', lambda s: s['batches'] and s['batches'][0].get('answer'))
        expect('in doubt', 0, case.status()['batches'][0]['in_doubt'])
        change(case, f'oldest = {int((time.time() - 25 * 3600) * 1000)}' if what == 'old' else 'tries = tries')
        path = glob.glob(os.path.join(case.daemon.store, 'outbox', '*'))[0]
        if what == 'damaged':
            put(path, 'x', 'a')
        elif what == 'gone':
            os.unlink(path)
        sink.start()
        case.daemon.start()
        case.wait_accepted()
        case.check_all_once()
        expect(f'{what}: lost', 0, case.status()['lost'])
        case.daemon.stop()
        sink.stop()


@flow('upload: a full outbox holds uploads up, and nothing else')
def full(environment):
    sink = IngestSink(['400'] * 3)
    case = Case(environment, 'full', sink, more={'outbox_max': '10'})
    case.daemon.start()
    case.wait_read()
    case.wait('a batch is parked', lambda s: any(b['state'] == 'parked' for b in s['batches']))
    case.wait('the parked wait is over', lambda s: s.get('trouble'))
    change(case, 'bytes = 9000000')
    case.daemon.start()
    case.append(1, recently() + 700)
    case.wait_read()
    case.wait('it is full', lambda s: 'outbox is full' in s.get('trouble', ''))
    expect('events wait in the store', True, case.status()['waiting'] > 0)
    sink.faults.clear()
    expect('retry', 0, case.daemon.postwake('upload', 'retry').returncode)
    case.wait_accepted()
    case.check_all_once()
    sink.stop()


@flow('upload: another postwake gets every field of every event, killed or not')
def collector(environment):
    far = environment.daemon('far').start()
    proxy = SocketProxy(far.socket)
    case = Case(environment, 'collected', proxy, more={'kind': 'postwake'})
    case.daemon.start()
    for part in range(3):
        case.append(1, recently() + 300 * part)
        time.sleep(0.3)
        (case.daemon, far)[part % 2].kill()
        (case.daemon, far)[part % 2].start()
    case.wait_accepted(90)
    near = {e['event_id']: e for e in case.daemon.events()}
    got = {e['event_id']: e for e in far.events()}
    expect('events', (set(), set()), (set(near) - set(got), set(got) - set(near)))
    for event_id, event in near.items():
        expect(f'event {event_id}', event, got[event_id])
    proxy.stop()
