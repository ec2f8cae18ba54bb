"""A running daemon: searches over its socket, freshness, clients while it writes, start-up, memory."""

import gzip
import http.client
import json
import os
import random
import re
import shutil
import statistics
import subprocess
import threading
import time
import urllib.parse

import lab
from frame import bench, interleaved, running, timed

WINDOW = 'from=2000-01-01T00:00'
EVENTS = '/api/v1/message-events?'
BACKLOG_RATE = 1000  # mails a second


def size(b):
    return (4430000, 10) if b.full else (120000, 10)


def filled(b):
    """A store with the log imported, made once; copied for nobody: those who write to it come last."""
    base = b.path('daemon')
    store = os.path.join(base, 'store')
    if not os.path.exists(store):
        os.makedirs(base)
        subprocess.run([b.program('postwake'), '-S', store, 'import', '--quiet', b.log(*size(b))], check=True)
    return base


def daemon(b, followed=None):
    source = {'file': followed, 'from_start': 'yes'} if followed else None
    return lab.Daemon(b.build, filled(b), source, None, {'postwake': {'keep_days': '36500'}})


def sample_recipients(log, n):
    """Recipients of lines at random places."""
    rng, found = random.Random(1), set()
    with open(log, 'rb') as file:
        end = os.path.getsize(log)
        while len(found) < n:
            file.seek(rng.randrange(end - 10000))
            match = re.search(rb' to=<([^>]+)>', file.read(8192))
            if match:
                found.add(match.group(1).decode())
    return sorted(found)


def target(**query):
    return EVENTS + WINDOW + ''.join(f'&{k}={urllib.parse.quote(str(v), safe="")}' for k, v in query.items())


def ask(b, socket, targets, threads=1, seconds=0):
    """bench_client's answer; targets: [(class, target)]."""
    text = ''.join(f'{kind}\t{what}\n' for kind, what in targets)
    done = subprocess.run([b.tool('bench_client'), socket, str(threads), str(seconds)], input=text,
                          stdout=subprocess.PIPE, check=True, encoding='utf-8')
    return json.loads(done.stdout)


def asked(b, d, targets, rounds=3):
    """Of searches that find something: p50 and p99 (ms) and MB/s, the medians of some rounds."""
    for what in {what for _, what in targets}:
        _, answer, _ = d.get(what)
        if not answer['total_count']:
            raise lab.LabError(f'{what} finds nothing')
    all_rounds = [ask(b, d.socket, targets)['all'] for _ in range(rounds)]
    return {'p50': statistics.median(r['p50'] for r in all_rounds),
            'p99': statistics.median(r['p99'] for r in all_rounds),
            'rate': statistics.median(r['bytes'] / r['ms'] / 1000 for r in all_rounds)}


def samples(b, d, n):
    """Recipients with at most 20 events, and message ids of theirs."""
    recipients, ids = [], []
    for recipient in sample_recipients(b.log(*size(b)), n):
        _, answer, _ = d.get(target(recipients=recipient, per_page=20))
        if 0 < answer['total_count'] <= 20:
            recipients.append(recipient)
            ids.append(answer['results'][0]['message_id'])
    return recipients, ids


def mixed(recipients, ids, n):
    """The mix of the issue; a log has no campaigns, so a bounce class stands for one."""
    rng, made = random.Random(2), []
    for _ in range(n):
        dice = rng.random()
        if dice < 0.70:
            made.append(('recipient', target(recipients=rng.choice(recipients))))
        elif dice < 0.80:
            made.append(('message_id', target(message_ids=rng.choice(ids))))
        elif dice < 0.95:
            made.append(('class', target(bounce_classes=rng.choice((10, 22, 51)), per_page=100)))
        else:
            made.append(('reason', target(reason=rng.choice(('%quota%', '%Greylisted%', '%User unknown%')),
                                          per_page=100)))
    return made


def packed(b, log):
    path = log + '.gz'
    with open(log, 'rb') as plain, gzip.open(path, 'wb', compresslevel=1) as out:
        shutil.copyfileobj(plain, out, 1 << 20)
    return path


def peers(b, recipient, p50):
    """grep and its like for one recipient over the same log."""
    log = b.log(*size(b))
    runs = {name: [name, '-F', recipient, log] for name in ('rg', 'grep') if b.peer(name)}
    timed(['cat', log])  # into the cache
    got = interleaved(3, {name: lambda words=words: timed(words, subprocess.PIPE) for name, words in runs.items()})
    if b.peer('zgrep'):
        path = packed(b, log)
        got['zgrep'] = timed(['zgrep', '-F', recipient, path], subprocess.PIPE)
        os.remove(path)
    for name, (wall, _) in got.items():
        b.row(f'{name} for one recipient over the log, in cache', wall * 1000, 'ms',
              (None, 1000) if name == 'rg' else None, wall * 1000 / p50, 'of the search')


@bench('query')
def query(b):
    with running(daemon(b)) as d:
        recipients, ids = samples(b, d, 600 if b.full else 300)
        total = d.status()['events']
        got = asked(b, d, [('recipient', target(recipients=r)) for r in recipients])
        b.row(f'one recipient of {total:,} events: p50', got['p50'], 'ms', (2, 0.5), high=False)
        b.row('one recipient: p99', got['p99'], 'ms', (8, 3), high=False)
        peers(b, recipients[0], got['p50'])
        got = asked(b, d, [('id', target(message_ids=i)) for i in ids])
        b.row('one message id: p50', got['p50'], 'ms', (1, 0.3), high=False)
        b.row('one message id: p99', got['p99'], 'ms', (4, 1), high=False)
        _, delays, _ = d.get(target(events='delay', per_page=1))
        broad = [target(bounce_classes=10), target(bounce_classes=22), target(events='bounce'),
                 target(events='delay', bounce_classes=delays['results'][0]['bounce_class']),
                 target(events='bounce', bounce_classes=10)]
        got = asked(b, d, [('filter', t + '&per_page=1000') for t in broad * 20])
        b.row('a filter or two, page of 1000: p99', got['p99'], 'ms', (80, 20), high=False)
        got = asked(b, d, [('reason', target(reason=t, per_page=1000))
                           for t in ('%quota%', '%Greylisted%', '%black list%') * 10])
        b.row('reason substring, page of 1000: p99', got['p99'], 'ms', (150, 30), high=False)
        got = asked(b, d, [('page', target(events='delivery', per_page=10000))] * 10)
        b.row('page of 10,000 as JSON', got['rate'], 'MB/s', (80, 200))
        broad = [target(events='delivery'), EVENTS + 'from=2026-11-19T23:00&to=2026-11-19T23:59']
        got = asked(b, d, [('broad', t + '&per_page=1') for t in broad * 20])
        b.row('broad type or last hour, one event and the total: p99', got['p99'], 'ms')
        got = asked(b, d, [('broad', t + '&per_page=1000') for t in broad * 20])
        b.row('broad type or last hour, page of 1000, with total: p99', got['p99'], 'ms', (30, 10), high=False)


@bench('start')
def start(b):
    d = daemon(b)
    first = target(recipients=sample_recipients(b.log(*size(b)), 1)[0])

    def once():
        begin = time.monotonic()
        d.start(ready=False)
        while True:
            try:
                if lab.http_get(d.socket, first, timeout=5)[0] == 200:
                    break
            except (OSError, http.client.HTTPException):
                time.sleep(0.001)
        took = time.monotonic() - begin
        d.stop(60)
        return took

    b.row('start-up until the first answer', interleaved(5, {'start': once})['start'][0] * 1000, 'ms', (1000, 100),
          high=False)


class Writer:
    """Appends mails to a log that is followed, two events each: stamped now, or, before these, as a server that is very
    busy wrote them within the last hour while nobody read."""

    def __init__(self, path):
        self.path, self.number = path, 0
        self.file = open(path, 'ab', buffering=0)
        self.backlog = time.time() - 3600

    def lines(self, n, backlog=False):
        now, text = time.time(), []
        for _ in range(n):
            self.backlog += backlog / BACKLOG_RATE
            stamp = time.strftime('%b %e %H:%M:%S', time.gmtime(self.backlog if backlog else now))
            self.number += 1
            i, pid = self.number, 1000 + self.number % 400
            head = f'{stamp} mx2 postfix/'
            queue_id = f'{i:06X}{random.randrange(1 << 20):05X}'
            text.append(f'{head}smtpd[{pid}]: {queue_id}: client=unknown[192.0.2.1]\n'
                        f'{head}cleanup[{pid}]: {queue_id}: message-id=<{i}.fresh@shop.example>\n'
                        f'{head}qmgr[1]: {queue_id}: from=<news@shop.example>, size=2000, nrcpt=1 (queue active)\n'
                        f'{head}smtp[{pid}]: {queue_id}: to=<fresh{i}@new.example>, relay=mx.example[192.0.2.9]:25, '
                        f'delay=0.2, delays=0/0/0.1/0.1, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as {i:X})\n'
                        f'{head}qmgr[1]: {queue_id}: removed\n')
        return ''.join(text).encode()

    def mails(self, n):
        """Returns the last one's recipient."""
        self.file.write(self.lines(n))
        return f'fresh{self.number}@new.example'

    def paced(self, events, stop):
        """`events` a second until `stop` is set."""
        begin, made = time.monotonic(), 0
        while not stop.wait(0.01):
            due = int((time.monotonic() - begin) * events / 2) - made
            if due > 0:
                self.mails(due)
                made += due
        return made


def until_found(connection, recipient, begin, timeout=10):
    """ms until a search finds it."""
    what = target(recipients=recipient, per_page=1)
    while time.monotonic() - begin < timeout:
        connection.request('GET', what)
        if json.loads(connection.getresponse().read())['total_count'] > 0:
            return (time.monotonic() - begin) * 1000
    raise lab.LabError(f'{recipient} was not found within {timeout} s')


def freshness(writer, socket, n):
    """Sorted times from the log line written to the event found, ms."""
    connection, rng, times = lab.UnixHTTPConnection(socket), random.Random(3), []
    for _ in range(n):
        time.sleep(rng.random() * 0.1)
        begin = time.monotonic()
        times.append(until_found(connection, writer.mails(1), begin))
    connection.close()
    return sorted(times)


def lines_read(d):
    return sum(s['lines'] for s in d.status()['ledger'])


def unpaced(d, writer, mails):
    """Events a second of a heap of lines."""
    want, text = lines_read(d) + 5 * mails, writer.lines(mails, backlog=True)
    begin = time.monotonic()
    writer.file.write(text)
    lab.wait_until('the heap is read', lambda: lines_read(d) >= want, 120)
    return 2 * mails / (time.monotonic() - begin)


def commits(b, writer, followed, clients, seconds):
    """p99 of commits, ms, while 2000 events/s are written; a daemon's count of them begins with it."""
    with running(daemon(b, followed)) as d:
        searches = mixed(*samples(b, d, 100), 2000) if clients else []
        stop = threading.Event()
        pace = threading.Thread(target=writer.paced, args=(2000, stop))
        pace.start()
        if clients:
            ask(b, d.socket, searches, threads=clients, seconds=seconds)
        else:
            time.sleep(seconds)
        stop.set()
        pace.join()
        return d.status()['commits']['p99_us'] / 1000


def busy(b, d, searches, stop):
    """Eight clients, until it is set."""
    while not stop.is_set():
        ask(b, d.socket, searches, threads=8, seconds=2)


def backlogs(b, d, writer, searches, heap):
    """Heaps of lines, with and without clients."""
    def beside():
        read = threading.Event()
        clients = threading.Thread(target=busy, args=(b, d, searches, read))
        clients.start()
        time.sleep(0.5)
        rate = unpaced(d, writer, heap)
        read.set()
        clients.join()
        return rate

    got = interleaved(3, {'alone': lambda: unpaced(d, writer, heap), 'beside': beside})
    b.row('follower unpaced, no client', got['alone'][0], 'events/s')
    b.row('follower unpaced beside 8 busy clients', got['beside'][0], 'events/s', (0.8, 0.95),
          got['beside'][0] / got['alone'][0], 'of no client')


@bench('live')
def live(b):
    followed = b.path('followed.log')
    writer = Writer(followed)
    seconds, heap = (30, 200000) if b.full else (6, 40000)
    with running(daemon(b, followed)) as d:
        recipients, ids = samples(b, d, 100)
        searches = mixed(recipients, ids, 2000)
        backlogs(b, d, writer, searches, heap)
        times = freshness(writer, d.socket, 900 if b.full else 150)
        b.row('freshness, line written to found: p50', times[len(times) // 2], 'ms')
        b.row('freshness: p99', times[int(len(times) * 0.99)], 'ms', (300, 30), high=False)

        stop = threading.Event()
        pace = threading.Thread(target=writer.paced, args=(2000, stop))
        pace.start()
        got = [ask(b, d.socket, searches, threads=8, seconds=seconds / 3) for _ in range(3)]
        stop.set()
        pace.join()
        p50, p99 = (statistics.median(g['all'][p] for g in got) for p in ('p50', 'p99'))
        b.row('8 clients while 2000 events/s are written: p50', p50, 'ms')
        b.row('8 clients while 2000 events/s are written: p99', p99, 'ms', (150, 40), high=False)
        b.row('  searches answered', statistics.median(g['all']['n'] / g['seconds'] for g in got), 'a second')
        lab.wait_until('all is read', lambda: lines_read(d) >= 5 * writer.number, 60)

        ask(b, d.socket, mixed(recipients, ids, 1000), threads=4)
        anonymous = int(re.search(r'RssAnon:\s+(\d+)', lab.read(f'/proc/{d.process.pid}/status')).group(1))
        b.row('RssAnon, all that followed, after 1000 mixed searches', anonymous / 1024, 'MB', (96, 48), high=False)
    # The slowest hundredth of some thousand commits: of two runs that are the same one may have twice the other's.
    got = interleaved(7 if b.full else 3, {'alone': lambda: commits(b, writer, followed, 0, seconds),
                                           'beside': lambda: commits(b, writer, followed, 8, seconds)})
    b.row('commit p99 at 2000 events/s, no client', got['alone'][0], 'ms')
    b.row('commit p99 at 2000 events/s beside 8 clients', got['beside'][0], 'ms', (0.8, 0.95),
          got['alone'][0] / got['beside'][0], 'of no client')
