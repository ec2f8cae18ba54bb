"""Benchmarks that are C programs with a table of their own: run where they were built."""

import os
import subprocess

from frame import HERE, bench

REPLIES = os.path.join(HERE, '..', 'golden', 'replies', 'replies.tsv')
PROGRAMS = {
    'store': ('bench_store', {False: ['300000'], True: ['10000000']}),
    'classify': ('bench_classify', {False: [REPLIES], True: [REPLIES]}),
}


def register(name, program, words):
    @bench(name)
    def run(b):
        path = b.tool(program)
        if not os.path.exists(path):
            b.skip(f'{name}: {program} is not built')
            return
        done = subprocess.run([path, *words[b.full]], cwd=b.base, env=dict(os.environ, TMPDIR=b.base), check=False)
        if done.returncode != 0:
            b.skip(f'{name}: {program} ended with status {done.returncode}')


for key, (file, sizes) in PROGRAMS.items():
    register(key, file, sizes)
