"""Benchmarks that are C programs: what they print last, as JSON, are rows of the table."""

import json
import os
import subprocess

from frame import HERE, bench

REPLIES = os.path.join(HERE, '..', 'golden', 'replies', 'replies.tsv')

# Must, aim, and whether more is better.
GOALS = {
    'events a second, of rows alone': (0.25, 0.7, True),
    'CPU of one more day against the first': (1.15, 1.05, False),
    'longest stall at a roll': (100, 20, False),
    'bytes an event': (200, 130, False),
    'start-up to the first answer': (1000, 100, False),
    'private memory after the searches': (96, 48, False),
    'one recipient p50': (2, 0.5, False), 'one recipient p99': (8, 3, False),
    'message id p50': (1, 0.3, False), 'message id p99': (4, 1, False),
    'deliveries p99': (30, 10, False), 'one hour p99': (30, 10, False),
    'reason substring p99': (150, 30, False), 'subject substring p99': (150, 30, False),
    **{f'{kind} p99': (80, 20, False) for kind in
       ('recipient domain', 'campaign', 'delays', 'campaign and deliveries', 'sender and bounces')},
    **{f'{kind} p99, a hit': (100, None, False) for kind in ('subaccount and deliveries', 'deliveries')},
}


def run(b, name, *words):
    """Lines that a program printed, or None, which is told."""
    path = b.tool(name)
    if not os.path.exists(path):
        return b.skip(f'{name} is not built')
    done = subprocess.run([path, *words], cwd=b.base, env=dict(os.environ, TMPDIR=b.base), check=False,
                          stdout=subprocess.PIPE, encoding='utf-8')
    if done.returncode != 0:
        return b.fail(f'{name} ended with status {done.returncode}')
    return done.stdout.splitlines()


@bench('store')
def store(b):
    lines = run(b, 'bench_store', *(('10000000', '10') if b.full else ('300000',)))
    for row in json.loads(lines[-1]) if lines else ():
        *goal, high = GOALS.get(row['what'], (None, True))
        b.row(f"store: {row['what']}", row['value'], row['unit'], tuple(goal) if len(goal) == 2 else None, high=high)


@bench('classify')
def classify(b):
    for line in run(b, 'bench_classify', REPLIES) or ():
        print(line)
