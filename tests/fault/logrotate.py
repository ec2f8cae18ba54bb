"""logrotate.py --build DIR [--seeds N] [--first SEED] [--jobs N]: a log that the real logrotate(8) rotates.

For each seed a daemon follows a log that logrotate rotates by one of the sets of options in SETS, some of them behind a
symbolic link, while the daemon is killed and stopped; the writer goes on in the renamed file for a while. The ledger must
count the lines that were written, the events must be those of one clean import of them, and no gap may tell of more than
can have happened. Where few files are kept lines may go unread: then they are in no file, and a gap tells so. A seed that
fails is named: run it alone with --first SEED --seeds 1 (its directory is kept). The last line reads "N passed, N failed,
N skipped".
"""

import argparse
import concurrent.futures
import glob
import gzip
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'support'))
import lab  # noqa: E402
from verdict import Wrong, check_store, compare, read_events  # noqa: E402

STEPS = 14
SETS = [
    [],
    ['compress'],
    ['compress', 'delaycompress'],
    ['compress', 'compresscmd /usr/bin/xz', 'compressext .xz'],
    ['compress', 'delaycompress', 'compresscmd /usr/bin/zstd', 'compressoptions -q', 'compressext .zst'],
    ['notifempty', 'compress', 'delaycompress'],
    ['nocreate'],
    ['nocreate', 'compress', 'delaycompress'],
    ['start 0', 'compress', 'delaycompress'],
    ['extension .log', 'compress'],
    ['extension .log', 'dateext', 'dateformat -%s', 'compress', 'delaycompress'],
    ['dateext', 'dateformat -%s', 'compress'],
    ['dateext', 'dateformat -%Y%m%d-%s', 'compress', 'delaycompress'],
    ['dateext', 'dateformat .%Y%m%d%H-%s'],
    ['hourly', 'dateext', 'dateformat -%Y%m%d%H%s', 'maxage 400', 'compress'],
    ['copytruncate'],
    ['copytruncate', 'compress'],
    ['copytruncate', 'dateext', 'dateformat -%s', 'compress', 'delaycompress'],
    ['copy'],
    ['copy', 'compress'],
    ['olddir OLD'],
    ['olddir OLD', 'compress', 'delaycompress'],
    ['olddir OLD', 'copytruncate', 'compress'],
    ['olddir OLD', 'renamecopy'],
    ['olddir OLD', 'renamecopy', 'compress'],
    ['shred', 'compress'],
    ['rotate 2', 'compress'],
    ['rotate 1'],
]


class Ordeal:
    """One seed: a log, logrotate's configuration of it, and the daemon."""

    def __init__(self, tool, build, seed):
        self.tool, self.build = tool, build
        self.chance = random.Random(seed * 7919 + 1)
        self.base = tempfile.mkdtemp(prefix=f'pw-logrotate-{seed}.')
        self.options = SETS[seed % len(SETS)]
        self.linked = self.chance.random() < 0.25
        self.bsd = self.chance.random() < 0.5
        self.real, self.old = os.path.join(self.base, 'log', 'mail.log'), os.path.join(self.base, 'old')
        self.path = os.path.join(self.base, 'link.log') if self.linked else self.real
        for folder in (os.path.dirname(self.real), self.old):
            os.mkdir(folder)
        if self.linked:
            os.symlink('log/mail.log', self.path)
        self.config = os.path.join(self.base, 'logrotate.conf')
        self.write_config()
        source = {'file': self.path, **({'rotated': self.old} if 'olddir OLD' in self.options else {})}
        self.daemon = lab.Daemon(build, os.path.join(self.base, 'postwake'), source)
        self.file = open(self.real, 'ab', buffering=0)
        self.start = int(time.time()) - 3600
        self.number = 0
        self.lines = []
        self.fresh = True  # nothing was written to this file yet
        self.history = []

    def write_config(self):
        more = ['missingok']
        if not self.has('nocreate'):
            more.append('create 644')
        if not self.keeps_few():
            more.append('rotate 50')
        options = [option.replace('OLD', self.old) for option in self.options + more]
        lab.write(self.config, f'{self.real} {{\n' + ''.join(f'\t{option}\n' for option in options) + '}\n')
        os.chmod(self.config, 0o644)

    def has(self, *options):
        return any(option in self.options for option in options)

    def keeps_few(self):
        return any(option.startswith('rotate ') for option in self.options)

    def keeps_renamed(self):
        """Whether what is written to the renamed file is not lost for everybody."""
        return not self.has('copy', 'copytruncate', 'renamecopy') and ('delaycompress' in self.options or not self.has('compress'))

    # --- the log grows ---

    def new_line(self):
        """A refusal."""
        self.number += 1
        when = self.start + self.number // 20
        if self.bsd:
            stamp = time.strftime('%b %e %H:%M:%S', time.localtime(when))
        else:
            stamp = time.strftime('%Y-%m-%dT%H:%M:%S+00:00', time.gmtime(when))
        name = f'u{self.number}@x.example'
        return (f'{stamp} mx1 postfix/smtpd[{100 + self.number % 7}]: NOQUEUE: reject: RCPT from unknown[192.0.2.1]: 554 5.7.1 '
                f'<{name}>: Recipient address rejected: no; from=<a@b.example> to=<{name}> proto=ESMTP helo=<c>')

    def write_line(self, line):
        self.lines.append(line)
        self.file.write(line.encode() + b'\n')

    def write(self, n):
        """Now and then a line comes once more, which is an event of its own; but no file is only a copy of another."""
        for _ in range(n):
            again = not self.fresh and self.chance.random() < 0.1 and not self.keeps_few()
            self.write_line(self.lines[-1] if again else self.new_line())
            self.fresh = False

    # --- what happens ---

    def put(self):
        self.write(self.chance.choice((0, 1, 3, 50, 400)))

    def rotate(self):
        if self.has('dateext'):
            time.sleep(1.01)  # names that tell seconds
        done = subprocess.run([self.tool, '-f', '-s', os.path.join(self.base, 'state'), self.config],
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise lab.LabError(f'logrotate: {done.stderr}')
        if self.has('copy', 'copytruncate'):
            self.fresh = True
            return
        if self.keeps_renamed() and self.chance.random() < 0.4:
            self.write(self.chance.choice((1, 5, 40)))  # the writer has not heard of it yet
        self.file.close()
        self.file = open(self.real, 'ab', buffering=0)
        self.fresh = True

    def kill(self):
        self.daemon.kill()

    def stop(self):
        if self.daemon.process is not None and self.daemon.stop(60) != 0:
            raise Wrong(f'SIGTERM: {self.daemon.log_text()[-1000:]}')

    def up(self):
        if self.daemon.process is None:
            self.daemon.start(timeout=60)

    def wait(self):
        if self.daemon.process is not None:
            time.sleep(self.chance.choice((0.1, 0.5, 1.5)))

    def run(self):
        self.write(self.chance.choice((0, 1, 2, 30)))
        self.daemon.start(timeout=60)
        for _ in range(STEPS):
            how = self.chance.choice((self.put, self.put, self.rotate, self.rotate, self.kill, self.stop, self.up, self.wait))
            self.history.append(how.__name__)
            how()
        self.up()
        self.judge()

    # --- what must hold ---

    def judge(self):
        self.write_line(self.new_line())
        self.daemon.wait_events(f'recipients=u{self.number}@x.example', timeout=60)
        read, before = self.read(), None
        while read != before:  # an event is found before its line is counted
            time.sleep(0.3)
            read, before = self.read(), read
        gaps = self.daemon.status()['gaps']
        self.stop()
        check_store(self.build, self.daemon.store)
        lost = self.judge_events()
        if read != len(self.lines) - len(lost):
            raise Wrong(f'{len(self.lines)} lines, {len(lost)} of them lost, and the ledger counts {read}')
        self.judge_gaps([gap for gap in gaps if gap['source'] != 'postwaked'], lost)
        return len(lost)

    def read(self):
        return sum(source['lines'] for source in self.daemon.status()['ledger'])

    def judge_events(self):
        """The recipients of the lines that were not read."""
        clean, whole = os.path.join(self.base, 'clean'), os.path.join(self.base, 'whole.log')
        lab.write(whole, ''.join(line + '\n' for line in self.lines))
        done = lab.run_postwake(self.build, '-S', clean, 'import', '-q', whole, timeout=300)
        if done.returncode != 0:
            raise Wrong(f'import: {done.stderr}')
        want, got = read_events(self.build, clean), read_events(self.build, self.daemon.store)
        lost = [json.loads(event)['rcpt_to'] for event in want - got] if self.keeps_few() else []
        if not lost:
            compare(want, got)
        if got - want:
            raise Wrong(f'invented: {list(got - want)[:3]}')
        there = [name for name in lost if f'<{name}>' in self.on_disk()]
        if there:
            raise Wrong(f'{len(there)} lines lie in a file and were not read: {there[:3]}')
        return lost

    def on_disk(self):
        text = b''
        for path in glob.glob(self.real + '*'):
            with gzip.open(path) if path.endswith('.gz') else open(path, 'rb') as file:
                text += file.read()
        return text.decode()

    def judge_gaps(self, gaps, lost):
        told = False
        for gap in gaps:
            of_copy = gap.get('bytes') == 0 and 'was copied' in gap['text'] and self.has('copytruncate', 'renamecopy')
            # What was copied or compressed before it was read has lost its inode.
            perhaps = 'before anything was read' in gap['text'] and self.has('compress', 'renamecopy')
            # Of a file that is gone nobody can know whether it ended where it was read last.
            gone = 'bytes' not in gap and self.keeps_few()
            told = told or perhaps or gone
            if not (of_copy or perhaps or gone):
                raise Wrong(f'nothing explains the gap {gap}')
        if lost and not told:
            raise Wrong(f'{len(lost)} lines vanished unread, and no gap tells so')

    def end(self, keep):
        self.daemon.kill()
        self.file.close()
        if not keep:
            shutil.rmtree(self.base, ignore_errors=True)


def run_seed(tool, build, seed):
    ordeal = Ordeal(tool, build, seed)
    name = ', '.join(ordeal.options) + (' (behind a link)' if ordeal.linked else '')
    try:
        ordeal.run()
        ordeal.end(keep=False)
        return True, f'{name}: {len(ordeal.lines)} lines'
    except Exception as error:  # pylint: disable=broad-except
        ordeal.end(keep=True)
        text = str(error) if isinstance(error, Wrong) else traceback.format_exc()
        return False, f'{name}: {text}\n  kept: {ordeal.base}\n  history: {" ".join(ordeal.history)}'


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--build', required=True)
    parser.add_argument('--seeds', type=int, default=len(SETS))
    parser.add_argument('--first', type=int, default=0)
    parser.add_argument('--jobs', type=int, default=2)
    options = parser.parse_args()
    tool = shutil.which('logrotate', path=os.environ.get('PATH', '') + ':/usr/sbin')
    if tool is None:
        print('skipped: logrotate is not there (Debian package logrotate)')
        print(f'0 passed, 0 failed, {options.seeds} skipped')
        return 0
    started, failed = time.monotonic(), 0
    with concurrent.futures.ProcessPoolExecutor(options.jobs) as pool:
        futures = {pool.submit(run_seed, tool, options.build, seed): seed
                   for seed in range(options.first, options.first + options.seeds)}
        for future in concurrent.futures.as_completed(futures):
            fine, text = future.result()
            failed += not fine
            print(f'{"ok" if fine else "FAILED"}: seed {futures[future]}: {text}', flush=True)
    print(f'{options.seeds} seeds in {time.monotonic() - started:.0f} s')
    print(f'{options.seeds - failed} passed, {failed} failed, 0 skipped')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
