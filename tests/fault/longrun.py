"""longrun.py --build DIR [--seconds N] [--rate N] [--every N]: half an hour of mail, and nothing grows.

A real Postfix takes mails at a steady rate. Beside it postwaked with milter, follower, uploads to a second postwaked
(over its API, with a key), a reader of the stream and searches all the time. Every few seconds memory, descriptors, the
size of the logs of the store's files and latencies of both are noted; at the end a table, and whether all of it was
flat: behind the first third no slope that would matter within that time. Below a quarter of an hour only the machinery is
judged, and that each mail was told once, by both. The last line reads "N passed, N failed, N skipped". Needs root.
"""

import argparse
import contextlib
import glob
import itertools
import json
import os
import random
import smtplib
import statistics
import sys
import tempfile
import threading
import time
import shutil

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
import lab  # noqa: E402

SENDERS = 4
JUDGED = 900  # seconds that say something of a slope: caches fill for some minutes
# What may be added by the slope within the judged part: a share of the mean, and no less than this. A log beside a file
# of the store keeps the size that its longest wait for a checkpoint gave it, and is started again from 64 MiB at the
# latest: below that it may grow in steps.
WAL_MOST = 67.2
MEASURES = (
    # name, unit, share, least, harmless below
    ('near_memory', 'MB', 0.15, 6, 0), ('far_memory', 'MB', 0.15, 6, 0), ('near_files', '', 0.1, 6, 0),
    ('far_files', '', 0.1, 6, 0), ('near_wal', 'MB', 0.5, 16, WAL_MOST), ('far_wal', 'MB', 0.5, 16, WAL_MOST),
    ('smtp_p99', 'ms', 1, 50, 0), ('told_p99', 'ms', 1, 300, 0), ('search', 'ms', 1, 50, 0),
)


class Wrong(Exception):
    """What was to be proved does not hold."""


class Life:
    """All that runs, and what it noted."""

    def __init__(self, build, rate):
        self.base = tempfile.mkdtemp(prefix='pw-long.')
        os.chmod(self.base, 0o755)
        self.rate, self.over = rate, threading.Event()
        self.numbers, self.sent, self.refusals = itertools.count(1), 0, 0
        self.smtp, self.told, self.searches, self.streamed = [], [], [], 0
        self.threads, self.failures = [], []
        self.postfix = lab.Postfix(os.path.join(self.base, 'postfix'), retry=5)
        self.far = lab.Daemon(build, os.path.join(self.base, 'far'), sections={'listen': {'port': str(lab.free_port())}})
        self.near = lab.Daemon(build, os.path.join(self.base, 'near'), {'file': self.postfix.log}, self.postfix.milter_socket)

    def start(self):
        self.far.start()
        key = self.far.postwake('key', 'add', '--grant', 'read,ingest').stdout.strip()
        path = os.path.join(self.base, 'key')
        lab.write(path, key + '\n')
        os.chmod(path, 0o600)
        self.near.settings['upload far'] = {
            'url': f"http://127.0.0.1:{self.far.settings['listen']['port']}", 'kind': 'postwake', 'key_file': path,
            'interval': '1', 'poll': '1'}
        self.near.write_config()
        self.near.start()
        self.postfix.start()
        for work in [self.send] * SENDERS + [self.follow, self.search]:
            self.threads.append(threading.Thread(target=self.guard, args=(work,), daemon=True))
            self.threads[-1].start()

    def guard(self, work):
        try:
            work()
        except Exception as error:  # pylint: disable=broad-except
            if not self.over.is_set():
                self.failures.append(f'{work.__name__}: {error!r}')

    # --- what goes on ---

    def send(self):
        due = time.monotonic()
        client = None
        while not self.over.is_set():
            due += SENDERS / self.rate * random.uniform(0.5, 1.5)
            self.over.wait(max(0, due - time.monotonic()))
            number = next(self.numbers)
            if client is None or number % 50 == 0:
                client = smtplib.SMTP('127.0.0.1', self.postfix.port['smtp'], local_hostname='client.example')
            recipient = (f'u{number}@bounce.example' if number % 10 == 0 else f'grey.{number}@deliver.example'
                         if number % 50 == 1 else f'u{number}@deliver.example')
            text = (f'From: shop@lab.example\r\nTo: {recipient}\r\nSubject: {time.time():.3f}\r\n'
                    f'Message-ID: <{number}@lab.example>\r\nX-MSYS-API: {{"campaign_id":"c{number % 20}"}}\r\n\r\nHello.\r\n')
            started = time.monotonic()
            client.sendmail('shop@lab.example', [recipient], text)
            self.smtp.append(time.monotonic() - started)
            self.sent += 1

    def follow(self):
        connection = lab.UnixHTTPConnection(self.near.socket, 60)
        connection.request('GET', '/api/v1/events/stream')
        answer = connection.getresponse()
        while not self.over.is_set():
            line = answer.readline()
            if not line.startswith(b'data:'):
                continue
            event = json.loads(line[5:])
            self.streamed += 1
            if event['type'] == 'injection' and event.get('subject'):
                self.told.append(time.time() - float(event['subject']))

    def search(self):
        while not self.over.is_set():
            number = random.randrange(1, self.sent + 2)
            target = random.choice((
                f'/api/v1/message-events?recipients=u{number}@deliver.example', '/api/v1/message-events?events=bounce&per_page=50',
                f'/api/v1/events/message?campaigns=c{number % 20}&per_page=20', '/api/v1/status'))
            started = time.monotonic()
            status, answer, _ = lab.http_get(self.near.socket, target)
            if status != 200:
                raise Wrong(f'{target}: {status} {answer}')
            self.searches.append(time.monotonic() - started)
            self.over.wait(0.2)

    # --- what is noted ---

    @staticmethod
    def memory(daemon):
        for line in lab.read(f'/proc/{daemon.process.pid}/status').splitlines():
            if line.startswith('RssAnon:'):
                return int(line.split()[1]) / 1024
        raise Wrong('no RssAnon')

    @staticmethod
    def logs(daemon):
        size = 0
        for path in glob.glob(os.path.join(daemon.store, '*-wal')):
            with contextlib.suppress(FileNotFoundError):
                size = max(size, os.path.getsize(path))
        return size / 1e6

    def note(self):
        values = {}
        for name, daemon in (('near', self.near), ('far', self.far)):
            values[f'{name}_memory'] = self.memory(daemon)
            values[f'{name}_files'] = len(os.listdir(f'/proc/{daemon.process.pid}/fd'))
            values[f'{name}_wal'] = self.logs(daemon)
        for name, list_of in (('smtp_p99', 'smtp'), ('told_p99', 'told'), ('search', 'searches')):
            taken = sorted(getattr(self, list_of))
            setattr(self, list_of, [])
            if not taken:
                raise Wrong(f'{list_of}: nothing within the last seconds; {self.failures}')
            values[name] = 1000 * (statistics.median(taken) if name == 'search' else taken[int(len(taken) * 0.99)])
        return values

    # --- the end ---

    def finish(self):
        """All that was accepted is told once, here and there."""
        self.over.set()
        for thread in self.threads[:SENDERS]:
            thread.join(30)
        if self.failures:
            raise Wrong('; '.join(self.failures))
        self.postfix.flush()
        lab.wait_until('nothing is in the queue', lambda: '"' not in self.postfix.command('postqueue', '-j').stdout, 120, 1)
        total = self.total(self.near, 'injection', 0)
        lab.wait_until('all mails are told', lambda: self.total(self.near, 'injection', total) >= self.sent, 60, 0.5)
        events = [self.total(self.near, kind, 0) for kind in ('delivery', 'bounce')]
        # The notices of bounces are mails, too.
        want = {'injection': self.sent + events[1], 'outcomes': self.sent + events[1]}
        got = {'injection': self.total(self.near, 'injection', 0), 'outcomes': sum(events)}
        if want != got:
            raise Wrong(f'want {want}, got {got}')
        whole = sum(self.total(self.near, kind, 0) for kind in ('injection', 'delivery', 'bounce', 'delay'))
        lab.wait_until('the far side has all', lambda: self.total(self.far, '', 0) >= whole, 60, 1)
        if self.total(self.far, '', 0) != whole:
            raise Wrong(f"the far side has {self.total(self.far, '', 0)} events, not {whole}")
        counters = self.near.status()['counters']
        if counters.get('milter_missed', 0) + counters.get('milter_dropped', 0) > 0:
            raise Wrong(f'the milter missed mails: {counters}')
        return whole

    @staticmethod
    def total(daemon, kind, otherwise):
        wanted = f'&events={kind}' if kind else ''
        status, answer, _ = daemon.get('/api/v1/message-events?from=2000-01-01T00:00&per_page=1' + wanted)
        return answer['total_count'] if status == 200 else otherwise

    def stop(self):
        self.over.set()
        self.postfix.stop()
        for daemon in (self.near, self.far):
            daemon.kill()


def slope(samples):
    """Of a straight line through the samples: what is added from the first to the last."""
    n, mean = len(samples), statistics.fmean(samples)
    across = sum((i - (n - 1) / 2) * (value - mean) for i, value in enumerate(samples))
    return across / sum((i - (n - 1) / 2) ** 2 for i in range(n)) * (n - 1)


def judge(notes, seconds):
    """Prints the table; the names of what was not flat."""
    grown = []
    print(f"{'':12} {'first':>9} {'least':>9} {'mean':>9} {'most':>9} {'last':>9} {'slope':>9} {'allowed':>9}")
    for name, unit, share, least, harmless in MEASURES:
        values = [note[name] for note in notes]
        judged = values[len(values) // 3:]
        added, allowed = slope(judged), max(least, share * statistics.fmean(judged))
        row = (values[0], min(values), statistics.fmean(values), max(values), values[-1], added, allowed)
        bad = seconds >= JUDGED and added > allowed and max(values) > harmless
        print(f'{name:12} ' + ' '.join(f'{value:9.1f}' for value in row) + f" {unit}{'  GROWS' if bad else ''}")
        if bad:
            grown.append(name)
    return grown


def run(life, options):
    life.start()
    notes, end = [], time.monotonic() + options.seconds
    time.sleep(min(options.every, 3))
    life.note()
    while time.monotonic() < end:
        time.sleep(options.every)
        notes.append(life.note())
        print(f'{len(notes) * options.every:6.0f} s  {life.sent} mails  '
              + '  '.join(f'{name} {value:.1f}' for name, value in notes[-1].items()), flush=True)
    rate = life.sent / (len(notes) * options.every + min(options.every, 3))
    whole = life.finish()
    grown = judge(notes, options.seconds)
    print(f'{life.sent} mails ({rate:.0f} a second), {whole} events on both sides, {life.streamed} streamed')
    if grown:
        raise Wrong(f"not flat: {', '.join(grown)}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--build', required=True)
    parser.add_argument('--seconds', type=float, default=1800)
    parser.add_argument('--rate', type=float, default=80)
    parser.add_argument('--every', type=float, default=10)
    options = parser.parse_args()
    if os.geteuid() != 0:
        print('skipped: Postfix needs root\n0 passed, 0 failed, 1 skipped')
        return 0
    life = Life(os.path.abspath(options.build), options.rate)
    try:
        run(life, options)
        failed = 0
    except (Wrong, lab.LabError) as error:
        print(f'FAILED: the long run: {error}')
        failed = 1
    finally:
        life.stop()
        shutil.rmtree(life.base, ignore_errors=True)
    print(f'{1 - failed} passed, {failed} failed, 0 skipped')
    return failed


if __name__ == '__main__':
    sys.exit(main())
