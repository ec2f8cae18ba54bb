"""The frame of the benchmarks: @bench('name') registers one; what it measures goes into rows of one table."""

import contextlib
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'support'))
import lab  # noqa: E402

BENCHES = []
END = '2026-11-20'  # the logs end here, whatever today is: the same log for the same arguments


def bench(name, root=False):
    def register(function):
        BENCHES.append((name, root, function))
        return function
    return register


class Bench:
    """What the benchmarks share: programs, sizes, a directory that vanishes, the rows."""

    def __init__(self, build, full):
        self.build, self.full = os.path.abspath(build), full
        self.base = tempfile.mkdtemp(prefix='pw-bench.')
        os.chmod(self.base, 0o755)  # Postfix's processes run as its own user
        self.rows, self.missing, self.failed = [], [], []
        os.environ['TZ'] = 'UTC'  # the stamps of the logs

    def program(self, name):
        return os.path.join(self.build, name)

    def tool(self, name):
        return os.path.join(self.build, 'tests', 'bench', name)

    def peer(self, name):
        """Path of a program to compare with, or None, which is told."""
        path = shutil.which(name, path='/usr/bin:/bin:/usr/sbin:/usr/local/bin')
        if path is None:
            self.skip(f'without {name}: it is not installed')
        return path

    def skip(self, why):
        if why not in self.missing:
            self.missing.append(why)
            print(f'SKIPPED {why}', flush=True)

    def fail(self, why):
        """A benchmark that broke: its rows are missing, and the run ends with status 1."""
        self.failed.append(why)

    def path(self, name):
        return os.path.join(self.base, name)

    def log(self, messages, days):
        """A log, made once."""
        path = self.path(f'mail-{messages}-{days}.log')
        if not os.path.exists(path):
            with open(path, 'wb') as out:
                subprocess.run([self.tool('genlog'), str(messages), '1', str(days), END], stdout=out, check=True)
        return path

    def row(self, what, value, unit, goal=None, ratio=None, to='', high=True):
        """goal: (must, aim) of the ratio where there is one, else of the value; high: more is better."""
        measure = ratio if ratio is not None else value
        verdict = ''
        if goal:
            must, aim = (g is not None and (measure >= g if high else measure <= g) for g in goal)
            verdict = 'aim' if aim else 'must' if must else 'MISSED' if goal[0] is not None else 'not yet'
        self.rows.append({'what': what, 'value': value, 'unit': unit, 'ratio': ratio, 'to': to,
                          'must': goal[0] if goal else None, 'aim': goal[1] if goal else None, 'verdict': verdict})
        print(self.line(self.rows[-1]), flush=True)

    @staticmethod
    def line(row):
        ratio = f"{row['ratio']:.3g}x {row['to']}" if row['ratio'] is not None else ''
        goal = ' / '.join('-' if row[g] is None else f'{row[g]:g}' for g in ('must', 'aim')) if row['verdict'] else ''
        return f"{row['what']:<58} {number(row['value']):>11} {row['unit']:<9} {ratio:<26} {goal:<14} {row['verdict']}"

    def save(self, path):
        with open(path, 'w', encoding='utf-8') as out:
            json.dump({'time': time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime()), 'machine': machine(),
                       'full': self.full, 'rows': self.rows, 'skipped': self.missing, 'failed': self.failed}, out, indent=1)

    def end(self):
        shutil.rmtree(self.base, ignore_errors=True)


def number(value):
    return f'{value:,.0f}' if abs(value) >= 1000 else f'{value:.3g}'


def machine():
    with open('/proc/cpuinfo', encoding='ascii', errors='replace') as file:
        names = [line.split(':', 1)[1].strip() for line in file if line.startswith('model name')]
    return f"{len(names)} x {names[0] if names else os.uname().machine}, Linux {os.uname().release}"


def timed(words, stdout=subprocess.DEVNULL):
    """(wall, CPU) in seconds of a command that must succeed. GNU grep stops early where it sees /dev/null."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    subprocess.run(words, stdout=stdout, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, check=True)
    wall = time.monotonic() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def interleaved(rounds, runs):
    """runs: {name: function -> seconds or tuple}; each once a round. {name: medians}."""
    got = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            result = run()
            got[name].append(result if isinstance(result, tuple) else (result,))
    return {name: tuple(statistics.median(column) for column in zip(*results)) for name, results in got.items()}


def cpu_of(pid):
    """CPU seconds of a process, with the threads that it had; to the ns (/proc/PID/stat has 10 ms)."""
    return time.clock_gettime(~pid << 3 | 2)  # clock_getcpuclockid(3)


@contextlib.contextmanager
def running(daemon):
    daemon.start(timeout=120)
    try:
        yield daemon
    finally:
        daemon.stop(60)
