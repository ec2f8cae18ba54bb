"""torture.py --build DIR [--seeds N] [--first SEED] [--lines N] [--jobs N] [--resume FILE] [--self-test]: reads a log that is
treated badly.

For each seed a daemon follows a log while it grows and is rotated, compressed, copied and truncated, deleted, and
the daemon is killed and stopped and its clock set (table HAPPENS); verdict.py says what must hold then. A seed that fails
is named: run it alone with --first SEED --seeds 1 (its directory is kept). --resume: a file of the seeds that passed, which
are not run again. --self-test: breaks what a seed has left, in each way that must be found. The last line reads
"N passed, N failed, N skipped".
"""

import argparse
import collections
import concurrent.futures
import contextlib
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'support'))
import badlog  # noqa: E402
import lab  # noqa: E402
import maillogs  # noqa: E402
import mixedlog  # noqa: E402
from damages import damaged, drop_event, sql  # noqa: E402
from verdict import Verdict, Wrong, sentinel  # noqa: E402

STEP = 2500  # lines between two happenings, at most


class Ordeal:
    """One seed: a log, its daemon, and what happens to both."""

    def __init__(self, tools, seed, lines):
        self.build, self.clock = tools.build, tools.clock
        self.chance = random.Random(seed * 7919 + 1)
        self.base = tempfile.mkdtemp(prefix=f'pw-torture-{seed}.')
        self.lines = mixedlog.make(seed, lines)
        self.done = 0  # lines that are written
        self.sentinels = 0
        self.steps = [0]
        self.passing = False
        self.history = []
        self.deck = []
        self.folder = tempfile.mkdtemp(prefix=f'{seed}.', dir=tools.mount or self.base)
        self.log = badlog.BadLog(os.path.join(self.folder, 'mail.log'), self.chance)
        self.daemon = lab.Daemon(self.build, os.path.join(self.base, 'postwake'), {'file': self.log.path})
        if self.clock:
            self.order = os.path.join(self.base, 'clock')
            self.daemon.environment = {'LD_PRELOAD': self.clock, 'PW_CLOCK_ORDER': self.order, 'ASAN_OPTIONS':
                                       os.environ.get('ASAN_OPTIONS', '') + ':verify_asan_link_order=0'}

    # --- the log grows ---

    def write(self, n):
        """n lines of the mix, in some pieces."""
        end = min(self.done + n, len(self.lines))
        while self.done < end:
            piece = min(self.chance.choice((1, 7, 64, 500)), end - self.done)
            self.log.write([(when * 1000, data) for when, data in self.lines[self.done:self.done + piece]])
            self.done += piece
            if self.stepped_back():
                self.pass_step()

    def stepped_back(self):
        """Whether the last lines are of the time of a large step back, or of the second after it."""
        now = self.lines[self.done - 1][0]
        for i in range(self.done - 1, 0, -1):
            if self.lines[i][0] + 60 < self.lines[i - 1][0]:
                return True
            if self.lines[i - 1][0] < now - 2:
                return False
        return False

    def pass_step(self):
        """A restart in such a second reads it again without the beginnings of its mails, which are of an hour later: those
        that are through by then come twice (tests/README.md). So nothing happens until it is over and read."""
        while self.done < len(self.lines) and self.stepped_back():
            self.log.write([(self.lines[self.done][0] * 1000, self.lines[self.done][1])])
            self.done += 1
        self.passing = True

    def write_sentinels(self, n):
        when = self.lines[max(self.done - 1, 0)][0]
        for _ in range(n):
            self.sentinels += 1
            self.log.write([(when * 1000, sentinel(self.sentinels, when))])

    # --- the daemon ---

    def up(self):
        if self.daemon.process is None:
            self.daemon.start(timeout=120)
        lab.wait_until('postwaked answers', self.daemon.ready, 120)

    def mark(self):
        """Waits until all is read and committed."""
        self.up()
        self.write_sentinels(1)
        lab.wait_until('the log is read to its end', lambda: self.position() == (self.log.live.ino, self.log.live.size), 300)
        self.log.settled()

    def position(self):
        """Inode and offset that were committed."""
        try:
            with sqlite3.connect(f'file:{self.daemon.store}/control.sqlite?mode=ro', uri=True, timeout=5) as db:
                row = db.execute('SELECT CAST(value AS TEXT) FROM position').fetchone()
        except sqlite3.OperationalError:
            return None
        finally:
            db.close()
        pairs = dict(word.split('=', 1) for word in row[0].split()) if row else {}
        return int(pairs.get('ino', '0'), 16), int(pairs.get('offset', '0'))

    def kill(self):
        if self.daemon.process is not None:
            self.log.counts['kill -9'] += 1
            self.log.killed()
        self.daemon.kill()

    def stop(self):
        if self.daemon.process is None:
            return
        self.up()
        self.log.counts['SIGTERM'] += 1
        if self.daemon.stop(60) != 0:
            raise Wrong(f'SIGTERM: {self.daemon.log_text()[-1000:]}')

    def set_clock(self):
        """The daemon's clock; the stamps of the lines have steps of their own."""
        if self.clock:
            self.steps.append(self.chance.randrange(-7200, 7200))
            lab.write(self.order + '.new', str(self.steps[-1]))
            os.rename(self.order + '.new', self.order)
            self.log.counts['clock step'] += 1

    # --- nothing is lost by these ---

    def rotate(self):
        self.log.rename()
        self.write(self.chance.randrange(0, 40))  # the writer has not heard of it yet
        if self.chance.random() < 0.5:
            time.sleep(self.chance.random() * 0.05)
        self.log.create()
        self.log.counts['rename rotation'] += 1

    def rotate_twice_while_down(self):
        self.kill()
        self.rotate()
        self.write(self.chance.randrange(1, 300))
        self.rotate()
        self.log.counts['two rotations while down'] += 1

    def rotate_into_the_inode(self):
        """What was rotated is compressed at once, and the new log gets its inode."""
        self.kill()
        self.log.rename()
        self.log.pack(self.log.live)
        self.log.create_as(self.log.live.ino)

    def compress(self):
        self.log.compress()

    def expire(self):
        self.mark()
        self.log.expire()

    # --- these may destroy lines ---

    def begin(self, how):
        """Some lines that may be read, or cannot be."""
        self.mark()
        known, down = self.log.live.size, self.chance.random() < 0.5
        racing = self.chance.random() < 0.7
        if racing:
            self.write_sentinels(self.chance.randrange(1, 60))
        if down:
            self.kill()
            self.write(self.chance.choice((0, 10, 200)))
        self.log.counts[how] += 1
        return self.log.begin(how, known, down, down and racing)

    def truncate(self):
        destruction = self.begin('truncation')
        if self.chance.random() < 0.3:
            self.log.tear(self.lines[0][1][:self.chance.randrange(1, 60)])
            time.sleep(self.chance.random() * 0.01)
        self.log.truncate(destruction)

    def copytruncate(self):
        destruction = self.begin('copytruncate')
        copy = self.log.copy()
        if destruction.down:
            self.write(self.chance.choice((0, 0, 1, 30)))
        else:
            self.write_sentinels(self.chance.choice((0, 0, 1, 30)))
        self.log.truncate_copied(destruction, copy)

    def delete(self):
        destruction, ino = self.begin('delete + create'), self.log.live.ino
        self.log.delete(destruction)
        if destruction.down and self.chance.random() < 0.5:
            self.log.create_as(ino)
        else:
            self.log.create()

    # --- the whole ---

    def happen(self):
        """Each of them comes before one comes again; the common ones more often."""
        if not self.deck:
            self.deck = HAPPENS + self.chance.choices(HAPPENS[:4], k=3)
            self.chance.shuffle(self.deck)
        if self.passing:
            self.mark()
            self.passing = False
        how = self.deck.pop()
        self.history.append(f'{self.done}: {how.__name__}{"" if self.daemon.process else " (down)"}')
        how(self)

    def run(self):
        self.daemon.start(timeout=120)
        while self.done < len(self.lines):
            self.write(self.chance.randrange(1, min(STEP, len(self.lines) // 8)))
            self.happen()
            if self.daemon.process is None and self.chance.random() < 0.7:
                self.daemon.start(ready=self.chance.random() < 0.5, timeout=120)
        self.history.append(f'{self.done}: end')
        self.mark()
        self.stop()
        self.log.counts['midnight'] += 1

    def judge(self, store=None):
        with tempfile.TemporaryDirectory(dir=self.base) as room:
            return Verdict(self.build, self.log, store or self.daemon.store, room, self.steps).judge()

    def end(self, keep):
        self.daemon.kill()
        self.log.close()
        if keep and not self.folder.startswith(self.base):
            shutil.copytree(self.folder, os.path.join(self.base, 'log'))
        for folder in (self.folder,) if keep else (self.folder, self.base):
            shutil.rmtree(folder, ignore_errors=True)


HAPPENS = [Ordeal.rotate, Ordeal.kill, Ordeal.stop, Ordeal.compress, Ordeal.rotate_twice_while_down,
           Ordeal.rotate_into_the_inode, Ordeal.expire, Ordeal.set_clock, Ordeal.truncate, Ordeal.copytruncate,
           Ordeal.delete]


def run_seed(tools, seed, lines):
    """(whether it passed, what to say, counts)"""
    ordeal = Ordeal(tools, seed, lines)
    try:
        ordeal.run()
        lost = ordeal.judge()
        ordeal.log.counts['line'] = len([e for e in ordeal.log.order if isinstance(e, badlog.Line)])
        ordeal.log.counts['line that vanished unread'] = lost
        ordeal.end(keep=False)
        return True, f'{ordeal.log.counts["line"]} lines, {lost} destroyed unread', ordeal.log.counts
    except Exception as error:  # pylint: disable=broad-except
        ordeal.end(keep=True)
        text = str(error) if isinstance(error, Wrong) else traceback.format_exc()
        return False, f'{text}\n  kept: {ordeal.base}\n  history: {"; ".join(ordeal.history)}', ordeal.log.counts


# --- whether the judge sees what is wrong ---

OF_LOG = "CAST(text AS TEXT) LIKE '%no rotated file%'"
DAMAGES = {
    'an event is gone': drop_event,
    'a gap is not told': sql('control.sqlite', f'DELETE FROM gap WHERE id = (SELECT max(id) FROM gap WHERE {OF_LOG})'),
    'a gap is told twice': sql('control.sqlite', 'INSERT INTO gap (source, since, until, bytes, text) SELECT source, since, '
                               f'until, bytes, text FROM gap WHERE {OF_LOG} LIMIT 1'),
    'a gap begins too late': sql('control.sqlite', f'UPDATE gap SET since = since + 5000 WHERE {OF_LOG}'),
    'a gap ends too early': sql('control.sqlite', f'UPDATE gap SET until = since - 5000 WHERE {OF_LOG}'),
    'a gap names another byte': sql('control.sqlite', f"UPDATE gap SET text = text || '1' WHERE {OF_LOG}"),
    'a gap knows too much': sql('control.sqlite', f'UPDATE gap SET bytes = 17 WHERE {OF_LOG}'),
    'a gap is of another file': sql('control.sqlite', f"UPDATE gap SET source = source || '.1' WHERE {OF_LOG}"),
    'a line is counted twice': sql('control.sqlite', 'UPDATE ledger SET ignored = ignored + 1'),
    'a line is counted as another': sql('control.sqlite', 'UPDATE ledger SET ignored = ignored + 1, linked = linked - 1'),
}


def found(ordeal, damage):
    """Whether the judge finds the damage."""
    with damaged(ordeal.daemon.store, damage) as store:
        try:
            ordeal.judge(store)
        except Wrong:
            return True
    return False


def self_test(tools):
    """Names of the damages that were not found."""
    ordeal = Ordeal(tools, 3, 4000)
    ordeal.run()
    ordeal.truncate()
    ordeal.mark()
    ordeal.stop()
    ordeal.judge()
    blind = [name for name, damage in DAMAGES.items() if not found(ordeal, damage)]
    last = next(e for e in reversed(ordeal.log.order) if isinstance(e, badlog.Line))
    for name, data in (('a line is not read', last.data + b'x'), ('an event differs', last.data.replace(b'554', b'553'))):
        last.data, kept = data, last.data
        with open(ordeal.log.path, 'r+b') as file:
            rest = file.read().replace(kept + b'\n', data + b'\n')
            file.seek(0)
            file.write(rest)
        if not found(ordeal, lambda store: None):
            blind.append(name)
    ordeal.end(keep=False)
    return blind


# --- many ---

class Tools:
    """build; clock: clock.c, built; mount: a file system that gives the inode of a deleted file to the next one (ext4 does
    so without a journal). None where there is no compiler, or no privilege to mount."""

    def __init__(self, build, folder):
        self.build, self.mount = build, None
        self.clock = os.path.join(folder, 'clock.so')
        if not self.works('cc', '-shared', '-fPIC', '-o', self.clock, os.path.join(HERE, 'clock.c'), '-ldl'):
            self.clock = None
        image, mount = os.path.join(folder, 'image'), os.path.join(folder, 'mount')
        os.mkdir(mount)
        with open(image, 'wb') as file:
            file.truncate(1 << 30)
        if self.works('mkfs.ext4', '-q', '-I', '256', '-O', '^has_journal', image) and self.works('mount', '-o', 'loop', image, mount):
            self.mount = mount

    @staticmethod
    def works(*command):
        try:
            return subprocess.run(command, capture_output=True, check=False).returncode == 0
        except FileNotFoundError:
            return False

    def missing(self):
        return [text for tool, text in ((self.clock, 'no compiler: the clock is not set'),
                                        (self.mount, 'no file system can be mounted: no inode is used again'),
                                        (maillogs.has_others(), f'no logs of other people in {maillogs.OTHERS}')) if not tool]

    def end(self):
        if self.mount:
            subprocess.run(['umount', '-l', self.mount], check=False)


@contextlib.contextmanager
def tools_of(build):
    with tempfile.TemporaryDirectory(prefix='pw-torture.') as folder:
        tools = Tools(build, folder)
        try:
            yield tools
        finally:
            tools.end()


def passed_before(path, lines):
    """Counts by seed."""
    if not path or not os.path.exists(path):
        return {}
    rows = (line.split(' ', 2) for line in lab.read(path).splitlines())
    return {int(seed): json.loads(counts) for seed, n, counts in rows if int(n) == lines}


def run_all(options, tools, todo):
    """Yields (seed, whether it passed, counts)."""
    with concurrent.futures.ProcessPoolExecutor(options.jobs) as pool:
        futures = {pool.submit(run_seed, tools, seed, options.lines): seed for seed in todo}
        for future in concurrent.futures.as_completed(futures):
            fine, text, counts = future.result()
            seed = futures[future]
            print(f'{"ok" if fine else "FAILED"}: seed {seed}: {text}', flush=True)
            if fine and options.resume:
                with open(options.resume, 'a', encoding='utf-8') as file:
                    file.write(f'{seed} {options.lines} {json.dumps(counts)}\n')
            yield fine, counts


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--build', required=True)
    parser.add_argument('--seeds', type=int, default=20)
    parser.add_argument('--first', type=int, default=1)
    parser.add_argument('--lines', type=int, default=20000)
    parser.add_argument('--jobs', type=int, default=2)
    parser.add_argument('--resume')
    parser.add_argument('--self-test', action='store_true')
    options = parser.parse_args()
    seeds = range(options.first, options.first + options.seeds)
    with tools_of(options.build) as tools:
        for text in [f'skipped: {text}' for text in tools.missing()]:
            print(text, flush=True)
        blind = self_test(tools) if options.self_test else []
        for name in blind:
            print(f'FAILED: the judge does not see that {name}', flush=True)
        before = {seed: counts for seed, counts in passed_before(options.resume, options.lines).items() if seed in seeds}
        started, total, failed = time.monotonic(), collections.Counter(), len(blind) > 0
        for counts in before.values():
            total.update(counts)
        for fine, counts in run_all(options, tools, [seed for seed in seeds if seed not in before]):
            total.update(counts)
            failed += not fine
    print(f'{len(seeds)} seeds of {options.lines} lines ({len(before)} of them earlier) in {time.monotonic() - started:.0f} s')
    print(', '.join(f'{n} × {name}' for name, n in sorted(total.items())))
    print(f'{len(seeds) + options.self_test - failed} passed, {failed} failed, {len(tools.missing())} skipped')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
