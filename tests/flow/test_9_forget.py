"""What an erasure reaches beside the days: batches that wait or were sent, batches that came in, damaged files; and
that a kill in the middle of it takes nothing back."""

import gzip
import json
import os
import random
import shutil
import subprocess
import threading
import time
import zlib

import lab
from flow import expect, expect_in, flow
from ingest import IngestSink
from logs import log, put, recently, today
from test_9_ingest import batch, event, need_curl, outcome, send
from upload_case import Case

PERSON = 'Erase.Me-77@deliver.example'
LOCAL = b'erase.me-77'


def mail(start, n, to, reason='250 2.0.0 Ok'):
    """The log of one mail to an address."""
    stamp, queue_id = time.strftime('%b %e %H:%M:%S', time.localtime(start)), f'{0xA1000000 + n:X}'
    lines = (f'smtpd[10]: {queue_id}: client=c.example[192.0.2.1]',
             f'cleanup[11]: {queue_id}: message-id=<{n}@c.example>',
             f'qmgr[12]: {queue_id}: from=<shop@c.example>, size=400, nrcpt=1 (queue active)',
             f'smtp[13]: {queue_id}: to=<{to}>, relay=mx.example[192.0.2.9]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, '
             f'status=sent ({reason})',
             f'qmgr[12]: {queue_id}: removed')
    return ''.join(f'{stamp} mx postfix/{line}\n' for line in lines)


def unpacked(data):
    """The bytes of a file, and what is in it where it holds gzip."""
    at = data.find(b'\x1f\x8b\x08')
    try:
        return data + b'\n' + gzip.decompress(data[at:]) if at >= 0 else data
    except (OSError, EOFError, zlib.error):
        return data


def grep(folder, what=LOCAL):
    """The files below that hold it, in whatever case, packed or not."""
    found = []
    for top, _, names in os.walk(folder):
        for name in names:
            try:
                with open(os.path.join(top, name), 'rb') as file:
                    data = file.read()
            except FileNotFoundError:
                continue
            if what in (unpacked(data) if data[:16].find(b'SQLite') < 0 else data).lower():
                found.append(name)
    return sorted(found)


def erase(daemon, *words):
    done = daemon.postwake('erase', *(words or ('--recipient', PERSON)), '--json')
    if done.returncode not in (0, 1):
        raise AssertionError(done.stderr)
    expect('the receipt names nobody', False, LOCAL.decode() in done.stdout.lower())
    return json.loads(done.stdout)


@flow('postwake erase reaches batches that wait, batches that came in, damaged files; it names backups')
def reach(environment):
    need_curl()
    sink = IngestSink()
    sink.stop()
    case = Case(environment, 'forget', sink)
    daemon, start = case.daemon, today()
    put(case.log, mail(start, 1, PERSON) + mail(start, 2, 'other@deliver.example', f'250 2.0.0 Ok for {PERSON}'), 'a')
    case.text += '\n' * 10
    daemon.start()
    try:
        case.wait_read()
        case.wait('a batch waits', lambda s: s['batches'] and s['batches'][0]['tries'] == 0)
        lines = [event('message_event', 'delivery', 900 + i, rcpt_to=to, subject=f'x {i}')
                 for i, to in enumerate((PERSON, 'b@example.com', 'c@example.com'))]
        lines += [event('message_event', 'delivery', 904, rcpt_to='d@example.com', subject=f'of {PERSON}'),
                  event('banana', 'delivery', 905, rcpt_to=PERSON), 'no JSON of ' + PERSON + '\n']
        packed = batch(lines)
        expect('outcome', ('validation', 4, 2, 0), outcome(daemon, send(daemon, packed)))
        copy = os.path.join(case.base, 'backup')
        expect('backup', 0, lab.run_postwake(environment.build, '-S', daemon.store, 'backup', copy).returncode)
        day = time.strftime('%Y-%m-%d', time.gmtime(start)) + '.db'
        shutil.copy(os.path.join(copy, day), os.path.join(daemon.store, day + '.damaged-1'))
        held = ' '.join(grep(daemon.store))
        for end in ('damaged-1', '.gz', '.batch', '.failures'):
            expect_in('where it is before', end, held)

        others = {e['event_id'] for e in daemon.events() if e.get('rcpt_to') != PERSON.lower()}
        receipt = erase(daemon)
        left = ' '.join(receipt['left'])
        expect('grep', [], grep(daemon.store))
        expect_in('the backup is named', f'in {copy} is as it was', left)
        expect_in('the damaged file is named', day + '.damaged-1 was removed', left)
        expect('what was never sent is not named', False, 'was sent' in left)
        expect('others stay', others, {e['event_id'] for e in daemon.events()})

        again = send(daemon, packed)
        expect('the same batch once more', ('duplicate_batch', 0), outcome(daemon, again)[:2])
        more = batch(lines + [event('message_event', 'delivery', 906)])
        expect('and a longer one', 'validation', outcome(daemon, send(daemon, more))[0])
        expect('import', 0, daemon.postwake('import', case.log).returncode)
        expect('nothing came back', 0, len(daemon.events('recipients=' + PERSON)))
        expect('grep after all came again', [], grep(daemon.store))

        sink.start()
        want = {e['event_id'] for e in daemon.events()}
        case.wait('the rest goes out', lambda s: want <= set(sink.counts()))
        expect('what goes out', [], [e for e in sink.fields() if LOCAL.decode() in json.dumps(e).lower()])
        expect('once', {1}, set(sink.counts().values()))
        daemon.kill()
        daemon.start()
        expect('grep after a kill', [], grep(daemon.store))
    finally:
        daemon.kill()
        sink.stop()


@flow('a batch that may have got there ends as unknown when somebody in it is erased; the receipt names it')
def ambiguous(environment):
    sink = IngestSink(faults=['no answer'] * 50)
    case = Case(environment, 'forget-unsure', sink)
    put(case.log, mail(recently(), 1, PERSON), 'a')
    case.daemon.start()
    try:
        case.wait('an answer is missing', lambda s: s['batches'] and s['batches'][0]['tries'] > 0)
        batch_id = case.status()['batches'][0]['id']
        receipt = erase(case.daemon)
        expect_in('the receipt', f'batch {batch_id} was sent to far', ' '.join(receipt['left']))
        sent = len(sink.bodies)
        case.daemon.postwake('upload', 'retry')
        case.wait('it ends', lambda s: [b['state'] for b in s['batches'] if b['id'] == batch_id] == ['unknown'], 60)
        expect('it is not sent again', True, len(sink.bodies) <= sent + 1)
        expect('grep', [], grep(case.daemon.store))
    finally:
        case.daemon.kill()
        sink.stop()


class Growing(threading.Thread):
    """A log that grows by mails to everybody, all an hour old."""

    def __init__(self, path, start):
        super().__init__(daemon=True)
        self.path, self.start_time, self.n, self.stop = path, start, 1000, threading.Event()

    def run(self):
        while not self.stop.wait(0.02):
            to = PERSON if self.n % 3 == 0 else f'user{self.n}@deliver.example'
            put(self.path, mail(self.start_time, self.n, to), 'a')
            self.n += 1


@flow('kill -9 in the middle of an erasure, while mail goes on: the next start ends it, and nothing is left')
def killed(environment):
    base = environment.directory('forget-kill')
    path, start = os.path.join(base, 'mail.log'), recently()
    days = [start - day * 86400 for day in (2, 1, 0)]
    put(path, ''.join(log(when, copies=40) + ''.join(
        mail(when, 10 * i + n, PERSON if n % 5 == 0 else f'user{n}@deliver.example') for n in range(200))
        for i, when in enumerate(days)))
    daemon = environment.daemon('forget-kill', {'file': path}, base=os.path.join(base, 'postwake')).start()
    growing, choice = Growing(path, start), random.Random(41)
    try:
        lab.wait_until('all is read', lambda: len(daemon.events('recipients=' + PERSON)) > 100, 120, 0.2)
        growing.start()
        for _ in range(6):
            asking = subprocess.Popen([os.path.join(environment.build, 'postwake'), '-s', daemon.socket, 'erase',
                                       '--recipient', PERSON], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(choice.uniform(0.02, 0.6))
            daemon.kill()
            asking.wait(60)
            daemon.start()
        erase(daemon)
        lab.wait_until('all that was begun ends', lambda: all(
            'ended' in r for r in json.loads(daemon.postwake('erase', '--list', '--json').stdout)), 120, 0.2)
        growing.stop.set()
        growing.join()
        lab.wait_until('the log is read to its end', lambda: sum(
            s['lines'] for s in daemon.status()['ledger']) >= lab.read(path).count('\n'), 120, 0.2)
        expect('grep', [], grep(daemon.store))
        others = {f'user{n}@deliver.example' for n in range(1000, growing.n) if n % 3}
        found = daemon.events('events=delivery&recipient_domains=deliver.example')
        expect('others that are missing', set(), others - {e['rcpt_to'] for e in found})
        checked = lab.run_postwake(environment.build, '-S', daemon.store, 'check')
        expect('check', (0, 'nothing is wrong\n'), (checked.returncode, checked.stdout))
    finally:
        growing.stop.set()
        daemon.kill()
