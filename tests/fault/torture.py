"""torture.py --build DIR [--seeds N] [--first SEED] [--lines N] [--jobs N]: reads a log that is treated badly.

For each seed a daemon follows a log while it grows and is rotated, compressed, copied and truncated, deleted, cut off in
the middle of a line; the daemon is killed and stopped meanwhile. All lines that were not destroyed unread must have
become the events that one clean import of them makes, each once; the ledger must count exactly these lines; what was
destroyed unread must be told as a gap. A seed that fails is named: run it alone with --first SEED --seeds 1 (its
directory is kept). The last line reads "N passed, N failed, N skipped".
"""

import argparse
import collections
import concurrent.futures
import gzip
import json
import os
import random
import shutil
import sqlite3
import sys
import tempfile
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'support'))
import lab  # noqa: E402
import mixedlog  # noqa: E402


class Wrong(Exception):
    """What must hold does not."""


class Ordeal:
    """One seed: a log, its daemon, and what happened to both."""

    def __init__(self, build, seed, lines):
        self.seed, self.build = seed, build
        self.chance = random.Random(seed * 7919 + 1)
        self.base = tempfile.mkdtemp(prefix=f'pw-torture-{seed}.')
        self.path = os.path.join(self.base, 'mail.log')
        self.lines = mixedlog.make(seed, lines)
        self.lost = []      # indices of lines that were destroyed unread
        self.markers = {}   # index of a line -> marker after it
        self.done = 0       # lines that are written
        self.kept = []      # lines, with markers, in the order in which they were written
        self.history = []
        self.daemon = lab.Daemon(build, os.path.join(self.base, 'postwake'), {'file': self.path})
        self.file = open(self.path, 'ab', buffering=0)
        self.count = 0

    # --- the log grows ---

    def put(self, line):
        self.kept.append(line)
        data = line + b'\n'
        if self.chance.random() < 0.003:  # the writer is interrupted in the middle of the line
            cut = self.chance.randrange(len(data))
            self.file.write(data[:cut])
            time.sleep(self.chance.random() * 0.01)
            data = data[cut:]
        self.file.write(data)

    def write(self, n):
        end, block = min(self.done + n, len(self.lines)), []
        while self.done < end:
            block.append(self.lines[self.done][1])
            self.done += 1
            if len(block) == 64 or self.done == end:
                for line in block[:-1]:
                    self.kept.append(line)
                self.file.write(b''.join(line + b'\n' for line in block[:-1]))
                self.put(block[-1])
                block = []

    def mark(self):
        """Writes a refusal that can be asked for and waits for it: all before it has been read then."""
        self.count += 1
        name = f'marker{self.count}@seed{self.seed}.example'
        when = self.lines[max(self.done - 1, 0)][0]
        stamp = time.strftime('%Y-%m-%dT%H:%M:%S.000000+00:00', time.gmtime(when))
        self.put(f'{stamp} mx1 postfix/smtpd[{100 + self.count}]: NOQUEUE: reject: RCPT from unknown[192.0.2.1]: 554 5.7.1 '
                 f'<{name}>: Recipient address rejected: no; from=<a@b.example> to=<{name}> proto=ESMTP helo=<c>'.encode())
        self.up()
        self.daemon.wait_events(f'recipients={name}', timeout=60)
        # An event is found before its line is counted: the day file is committed before the control file.
        before, since = self.read(), time.monotonic()
        while time.monotonic() - since < 0.2:
            time.sleep(0.02)
            if self.read() != before:
                before, since = self.read(), time.monotonic()

    def up(self):
        if self.daemon.process is None:
            self.daemon.start()
        lab.wait_until('postwaked answers', self.daemon.ready, 15)

    def read(self):
        return sum(s['lines'] for s in self.daemon.status()['ledger'])

    # --- what is done to it ---

    def rotated(self):
        return [f'{self.path}.{n}' for n in range(1, 40)]

    def shift(self):
        """mail.log.1 becomes mail.log.2, and so on, compressed or not."""
        for number in range(30, 0, -1):
            for end in ('', '.gz'):
                old = f'{self.path}.{number}{end}'
                if os.path.exists(old):
                    os.rename(old, f'{self.path}.{number + 1}{end}')

    def reopen(self):
        self.file.close()
        self.file = open(self.path, 'ab', buffering=0)

    def rotate(self):
        self.shift()
        os.rename(self.path, f'{self.path}.1')
        self.write(self.chance.randrange(0, 40))  # the writer has not heard of it yet
        if self.chance.random() < 0.5:
            time.sleep(self.chance.random() * 0.05)
        self.reopen()

    def rotate_twice_while_down(self):
        self.daemon.kill()
        self.rotate()
        self.write(self.chance.randrange(1, 300))
        self.rotate()

    def compress(self):
        """logrotate compresses what was rotated before the last time."""
        for number in range(2, 30):
            path = f'{self.path}.{number}'
            if os.path.exists(path):
                with open(path, 'rb') as plain, gzip.open(path + '.gz.new', 'wb') as packed:
                    shutil.copyfileobj(plain, packed)
                os.utime(path + '.gz.new', (os.stat(path).st_mtime,) * 2)
                os.rename(path + '.gz.new', path + '.gz')
                os.unlink(path)

    def kill(self):
        self.daemon.kill()

    def stop(self):
        if self.daemon.process is None:
            return
        self.up()
        if self.daemon.stop() != 0:
            raise Wrong(f'SIGTERM: {self.daemon.log_text()[-1000:]}')

    # --- what may destroy lines ---

    def settle_loss(self, before, gaps):
        """After a destruction when `before` lines were kept: which of them were not read? The last ones."""
        self.mark()
        read = self.read()
        missing = len(self.kept) - read
        if missing < 0:
            raise Wrong(f'{-missing} lines more were counted than written')
        if missing == 0:
            return
        self.lost.append(missing)
        del self.kept[before - missing:before]
        now = len(self.daemon.status()['gaps'])
        if now <= gaps:
            raise Wrong(f'{missing} lines vanished unread and no gap tells so: {self.daemon.status()["gaps"]}')

    def destroy(self, how):
        self.mark()  # a file of which the daemon never heard cannot be missed by it
        gaps = len(self.daemon.status()['gaps'])
        if self.chance.random() < 0.3:
            self.daemon.kill()
            self.write(self.chance.randrange(0, 200))
        before = how()
        self.settle_loss(before, gaps)

    def truncate(self):
        before = len(self.kept)
        os.truncate(self.path, 0)
        return before

    def copytruncate(self):
        self.shift()
        shutil.copyfile(self.path, f'{self.path}.1')
        self.write(self.chance.choice((0, 0, 1, 30)))  # what comes between is lost unless it was read
        return self.truncate()

    def delete(self):
        os.unlink(self.path)
        before = len(self.kept)
        self.reopen()
        return before

    # --- the whole ---

    def step(self):
        safe = (self.rotate, self.rotate, self.rotate_twice_while_down, self.compress, self.kill, self.kill, self.stop)
        if self.chance.random() < 0.12:
            how = self.chance.choice((self.truncate, self.copytruncate, self.delete))
            self.history.append(f'{self.done}: {how.__name__}')
            self.destroy(how)
            return
        how = self.chance.choice(safe)
        self.history.append(f'{self.done}: {how.__name__}')
        how()

    def run(self):
        self.daemon.start()
        while self.done < len(self.lines):
            self.write(self.chance.randrange(1, len(self.lines) // 8))
            if self.chance.random() < 0.8:
                self.step()
            if self.daemon.process is None and self.chance.random() < 0.7:
                self.daemon.start(ready=self.chance.random() < 0.7)
        self.history.append(f'{self.done}: end')
        self.mark()
        self.judge()

    def judge(self):
        status = self.daemon.status()
        for source in status['ledger']:
            if source['lines'] != sum(source[c] for c in ('event', 'linked', 'ignored', 'known', 'unparsed')):
                raise Wrong(f'the ledger is wrong: {source}')
        if self.read() != len(self.kept):
            raise Wrong(f'{len(self.kept)} lines, and the ledger counts {self.read()}')
        self.stop()
        clean, whole = os.path.join(self.base, 'clean'), os.path.join(self.base, 'whole.log')
        with open(whole, 'wb') as file:
            file.write(b''.join(line + b'\n' for line in self.kept))
        done = lab.run_postwake(self.build, '-S', clean, 'import', '-q', whole, timeout=600)
        if done.returncode != 0:
            raise Wrong(f'import: {done.stderr}')
        want, got = self.events(clean), self.events(self.daemon.store)
        compare(want, got)
        for store in (clean, self.daemon.store):
            check_files(store)
        return len(want)

    def events(self, store):
        done = lab.run_postwake(self.build, '-S', store, 'search', '--ndjson', '--limit', '0', timeout=600)
        if done.returncode == 2:
            raise Wrong(f'search: {done.stderr}')
        return collections.Counter(done.stdout.splitlines())

    def end(self, keep):
        self.daemon.kill()
        self.file.close()
        if not keep:
            shutil.rmtree(self.base, ignore_errors=True)


def compare(want, got):
    lost, invented = want - got, got - want
    if not lost and not invented:
        return
    text = [f'{sum(lost.values())} events lost, {sum(invented.values())} invented or different']
    by_id = {json.loads(e)['event_id']: json.loads(e) for e in invented}
    for line in list(lost)[:3]:
        event = json.loads(line)
        twin = by_id.get(event['event_id'])
        if twin:
            text.append(f"  differs {event['event_id']}: " + str({k: (event.get(k), twin.get(k)) for k in {*event, *twin}
                                                                  if event.get(k) != twin.get(k)}))
        else:
            text.append(f'  lost {line[:600]}')
    text += [f'  invented {line[:600]}' for line in list(invented)[:3] if not lost]
    raise Wrong('\n'.join(text))


def check_files(store):
    for name in os.listdir(store):
        if name.endswith(('.db', '.sqlite')):
            with sqlite3.connect(os.path.join(store, name)) as db:
                found = db.execute('PRAGMA integrity_check').fetchall()
            db.close()
            if found != [('ok',)]:
                raise Wrong(f'{name}: {found[:3]}')


def run_seed(build, seed, lines, keep):
    ordeal = Ordeal(build, seed, lines)
    try:
        ordeal.run()
        ordeal.end(keep=False)
        return True, f'{len(ordeal.kept)} lines, {sum(ordeal.lost)} destroyed unread'
    except Exception as error:  # pylint: disable=broad-except
        ordeal.end(keep)
        text = str(error) if isinstance(error, Wrong) else traceback.format_exc()
        return False, f'{text}\n  kept: {ordeal.base}\n  history: {"; ".join(ordeal.history)}'


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--build', required=True)
    parser.add_argument('--seeds', type=int, default=20)
    parser.add_argument('--first', type=int, default=1)
    parser.add_argument('--lines', type=int, default=20000)
    parser.add_argument('--jobs', type=int, default=2)
    options = parser.parse_args()
    started, failed = time.monotonic(), 0
    with concurrent.futures.ProcessPoolExecutor(options.jobs) as pool:
        futures = {pool.submit(run_seed, options.build, seed, options.lines, True): seed
                   for seed in range(options.first, options.first + options.seeds)}
        for future in concurrent.futures.as_completed(futures):
            fine, text = future.result()
            failed += not fine
            print(f'{"ok" if fine else "FAILED"}: seed {futures[future]}: {text}', flush=True)
    print(f'{options.seeds} seeds of {options.lines} lines in {time.monotonic() - started:.0f} s')
    print(f'{options.seeds - failed} passed, {failed} failed, 0 skipped')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
