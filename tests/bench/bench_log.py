"""What a log costs: parsed alone, and imported."""

import json
import os
import shutil
import subprocess

from frame import bench, interleaved, timed


def count_lines(path):
    return int(subprocess.run(['wc', '-l', path], stdout=subprocess.PIPE, check=True).stdout.split()[0])


@bench('parse')
def parse(b):
    log = b.log(600000 if b.full else 120000, 1)
    lines = count_lines(log)

    def run(words, output=subprocess.DEVNULL):
        timed(['cat', log])  # into the cache: what is measured is the reader, not the disk
        return timed(words, output)

    runs = {'postwake': lambda: run([b.program('postwake'), 'parse', log])}
    for name, words in (('grep -c', ['grep', '-c', 'status=sent', log]), ('rg -c', ['rg', '-c', 'status=sent', log])):
        if b.peer(words[0]):
            runs[name] = lambda words=words: run(words, subprocess.PIPE)
    got = interleaved(3, runs)
    wall, cpu = got.pop('postwake')
    b.row('parse alone (postwake parse to /dev/null)', lines / wall, 'lines/s', (1e6, 2e6))
    b.row('parse alone, CPU', cpu / lines * 1e9, 'ns/line')
    for name, (other, _) in got.items():
        b.row(f'{name} of a fixed string', lines / other, 'lines/s', (None, 4) if name == 'grep -c' else None,
              wall / other, 'of it', high=False)


@bench('import')
def import_(b):
    messages, days = (4430000, 10) if b.full else (120000, 1)
    log, store = b.log(messages, days), b.path('import-store')
    lines = count_lines(log)

    def run():
        shutil.rmtree(store, ignore_errors=True)
        return timed([b.program('postwake'), '-S', store, 'import', '--quiet', log])

    runs = {'postwake': run}
    if b.peer('pflogsumm'):
        runs['pflogsumm'] = lambda: timed(['pflogsumm', log])
    if b.peer('lnav'):
        runs['lnav'] = lambda: timed(['lnav', '-n', log])
    got = interleaved(3, runs)
    status = json.loads(subprocess.run([b.program('postwake'), '-S', store, 'status', '--json'],
                                       stdout=subprocess.PIPE, check=True).stdout)
    size = sum(os.path.getsize(os.path.join(store, name)) for name in os.listdir(store))
    shutil.rmtree(store)
    wall, cpu = got['postwake']
    b.row('import', lines / wall, 'lines/s')
    b.row('import, events stored and indexed', status['events'] / wall, 'events/s')
    b.row('import, CPU', cpu / lines * 1e9, 'ns/line')
    b.row('import, bytes an event on disk', size / status['events'], 'bytes', (200, 130), high=False)
    goals = {'pflogsumm': (2, 4), 'lnav': (None, 1)}
    for name in runs:
        if name != 'postwake':
            b.row(f'{name}, which stores nothing', lines / got[name][0], 'lines/s', goals[name],
                  got[name][0] / wall, 'import to it')
