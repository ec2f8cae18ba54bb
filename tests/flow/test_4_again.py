"""Reading a log again, in whatever copy, adds nothing."""

import bz2
import gzip
import json
import lzma
import os
import shutil
import subprocess
import time

import lab
from flow import Skip, expect, expect_in, flow
from logs import by_id, check_ledger, golden_lines, log, put, recently, wait_read


class Followed:
    """A log that the daemon followed live, in pieces, and what came of it."""

    def __init__(self, environment):
        self.directory = environment.directory('again')
        self.start = recently()
        self.log = os.path.join(self.directory, 'mail.log')
        self.text = log(self.start)
        self.daemon = lab.Daemon(environment.build, os.path.join(self.directory, 'postwake'), {'file': self.log})
        put(self.log, '')
        self.daemon.start()
        for at in range(0, len(self.text), 40000):  # pieces that end inside lines
            put(self.log, self.text[at:at + 40000], 'a')
            time.sleep(0.02)
        wait_read(self.daemon, self.text.count('\n'))
        time.sleep(0.3)
        self.events = by_id(self.daemon.events())
        self.lines = self.text.count('\n')

    def stop(self):
        self.daemon.stop()

    def path(self, name):
        return os.path.join(self.directory, name)

    def import_adds_nothing(self, what, *paths, stdin=None, lines=None):
        before = self.daemon.status()
        done = subprocess.run([os.path.join(self.daemon.build, 'postwake'), '-s', self.daemon.socket, '-c',
                               self.daemon.config, 'import', *paths], input=stdin, capture_output=True, check=False)
        expect(f'{what}: status of the import ({done.stderr.decode()[-300:]})', 0, done.returncode)
        after = self.daemon.status()
        expect(f'{what}: lines read', (lines or self.lines), check_ledger(after) - check_ledger(before))
        expect(f'{what}: events', before['events'], after['events'])
        expect(f'{what}: new ids', set(), set(by_id(self.daemon.events())) - set(self.events))


def followed(environment):
    return environment.once('followed', lambda: Followed(environment))


@flow('a log that is followed live gives the events that postwake parse prints')
def same_as_parse(environment):
    here = followed(environment)
    done = lab.run_postwake(environment.build, 'parse', here.log)
    parsed = by_id(json.loads(line) for line in done.stdout.splitlines())
    expect('events', sorted(parsed), sorted(here.events))
    for event_id, event in parsed.items():
        expect(f'event {event_id}', event, {k: v for k, v in here.events[event_id].items() if k != 'tdate'})
    check_ledger(here.daemon.status())


@flow('the same file imported while the daemon follows it adds nothing')
def same_file(environment):
    here = followed(environment)
    here.import_adds_nothing('same file', here.log)


@flow('compressed copies (gz, bz2, xz) of a followed log add nothing')
def compressed(environment):
    here = followed(environment)
    for name, opener in (('mail.log.1.gz', gzip.open), ('copy.bz2', bz2.open), ('copy.xz', lzma.open)):
        with opener(here.path(name), 'wb') as file:
            file.write(here.text.encode('utf-8', 'surrogateescape'))
        here.import_adds_nothing(name, here.path(name))


PACKERS = {'gz': ['gzip', '-c'], 'bz2': ['bzip2', '-c'], 'xz': ['xz', '-c'], 'zst': ['zstd', '-q', '-c']}


def packed(name, data):
    if not shutil.which(PACKERS[name][0]):
        raise Skip(f'{PACKERS[name][0]} is not installed')
    return subprocess.run(PACKERS[name], input=data, capture_output=True, check=True).stdout


def ids_in(environment, store):
    done = lab.run_postwake(environment.build, '-S', store, 'search', '--limit', '0', '--ndjson')
    return {json.loads(line)['event_id'] for line in done.stdout.splitlines()}


@flow('gz, bz2, xz and zst are imported whole, in several members and as far as they are readable')
def archives(environment):
    directory = environment.directory('archives')
    text = log(recently(), copies=2)
    data = text.encode('utf-8', 'surrogateescape')
    middle = data.index(b'\n', len(data) // 2) + 1
    plain = os.path.join(directory, 'plain')
    put(plain, text)
    done = lab.run_postwake(environment.build, 'parse', plain)
    want = {json.loads(line)['event_id'] for line in done.stdout.splitlines()}
    expect('events of the log', True, len(want) > 500)
    put(os.path.join(directory, 'first'), text[:len(data[:middle].decode('utf-8', 'surrogateescape'))])
    for name in PACKERS:
        whole, members, cut = (os.path.join(directory, f'{kind}.{name}') for kind in ('whole', 'members', 'cut'))
        packs = packed(name, data)
        for path, content in ((whole, packs), (members, packed(name, data[:middle]) + packed(name, data[middle:])),
                              (cut, packed(name, data[:middle]) + packed(name, data[middle:])[:-20])):
            with open(path, 'wb') as file:
                file.write(content)
        for path in (whole, members):
            store = path + '.store'
            done = lab.run_postwake(environment.build, '-S', store, 'import', '-q', path)
            expect(f'{path}: status {done.stderr}', 0, done.returncode)
            expect(f'{path}: events', set(), want ^ ids_in(environment, store))
        store = cut + '.store'
        for again in ('once', 'twice'):
            done = lab.run_postwake(environment.build, '-S', store, 'import', '-q', cut, os.path.join(directory, 'first'))
            expect(f'{cut}, {again}: status', 2, done.returncode)
            expect_in(f'{cut}, {again}: message', f'{cut} is damaged', done.stderr)
        got = ids_in(environment, store)
        expect(f'{cut}: nothing else', set(), got - want)
        expect(f'{cut}: the member before the damage', True, len(got) >= len(want) // 3)
        status = json.loads(lab.run_postwake(environment.build, '-S', store, 'status', '--json').stdout)
        expect(f'{cut}: one gap', [True], [f'{cut} is damaged' in gap['text'] for gap in status['gaps']])
        lab.run_postwake(environment.build, '-S', store, 'import', '-q', whole)
        expect(f'{cut}: then the whole one', set(), want ^ ids_in(environment, store))


@flow('an archive that ends too early is imported by the daemon as far as it is readable')
def cut_archive(environment):
    here = followed(environment)
    with open(here.path('cut.gz'), 'wb') as file:
        file.write(packed('gz', here.text.encode('utf-8', 'surrogateescape'))[:-20])
    done = here.daemon.postwake('-c', here.daemon.config, 'import', '-q', here.path('cut.gz'), here.log)
    expect('status', 2, done.returncode)
    expect_in('message', 'cut.gz is damaged', done.stderr)
    expect('one gap', [True], ['cut.gz is damaged' in gap['text'] for gap in here.daemon.status()['gaps']])
    expect('nothing new', set(here.events), set(by_id(here.daemon.events())))


@flow('a notice of rsyslog that it dropped lines is a gap of the followed log')
def dropped_lines(environment):
    path = os.path.join(environment.directory('dropped'), 'mail.log')
    put(path, log(recently()) + time.strftime('%b %e %H:%M:%S') + ' mx rsyslogd: imuxsock[pid 4711]: 35 messages lost '
        'due to rate-limiting (200 allowed within 5 seconds)\n')
    daemon = environment.daemon('dropped-daemon', {'file': path})
    daemon.start()
    for _ in range(2):
        gap = lab.wait_until('the gap', lambda: daemon.status()['gaps'])
        expect('how many', 1, len(gap))
        expect_in('what was lost', 'imuxsock[pid 4711]: 35 messages lost', gap[0]['text'])
        expect('source', path, gap[0]['source'])
        check_ledger(daemon.status())
        daemon.kill()  # read again from the last second on, it is the same gap
        daemon.start()
    daemon.stop()


@flow('a renamed copy of a followed log adds nothing')
def renamed(environment):
    here = followed(environment)
    put(here.path('some other name'), here.text)
    here.import_adds_nothing('renamed', here.path('some other name'))


@flow('concatenated archives on standard input add nothing')
def concatenated(environment):
    here = followed(environment)
    data = here.text.encode('utf-8', 'surrogateescape')
    middle = data.index(b'\n', len(data) // 2) + 1
    for name, part in (('a.gz', data[:middle]), ('b.gz', data[middle:])):
        with gzip.open(here.path(name), 'wb') as file:
            file.write(part)
    both = subprocess.run(['zcat', here.path('a.gz'), here.path('b.gz')], capture_output=True, check=True).stdout
    here.import_adds_nothing('zcat | import -', '-', stdin=both)


@flow('copies with ISO and RFC 5424 stamps of a followed BSD log add nothing')
def restamped(environment):
    here = followed(environment)
    for form in ('iso', '5424'):
        put(here.path(form), log(here.start, form))
        here.import_adds_nothing(form, here.path(form))


@flow('a journal with the lines of a followed log adds nothing')
def journal(environment):
    here = followed(environment)
    path = lab.journal_from_log(here.log, here.path('journal'), time.localtime(here.start).tm_year)
    if not path:
        raise Skip('systemd-journal-remote is not installed')
    here.import_adds_nothing('journal', path)


@flow('a log that is rotated while it is followed loses and repeats nothing')
def rotated(environment):
    directory = environment.directory('rotated')
    path, start = os.path.join(directory, 'mail.log'), recently()
    text = log(start)
    cuts = [text.index('\n', len(text) * i // 5) + 1 for i in range(1, 5)]
    parts = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)])]
    daemon = environment.daemon('d', {'file': path}, base=os.path.join(directory, 'postwake'))
    put(path, '')
    daemon.start()
    for number, part in enumerate(parts):
        put(path, part, 'a')
        if number < 3:
            for older in (2, 1):  # logrotate's order: .1 is the newest
                if os.path.exists(f'{path}.{older}'):
                    os.rename(f'{path}.{older}', f'{path}.{older + 1}')
        if number == 0:  # rename and create
            os.rename(path, path + '.1')
            put(path, '')
        elif number == 1:  # copytruncate
            put(path + '.1', lab.read(path))
            os.truncate(path, 0)
        elif number == 2:  # rename and compress at once, then create
            os.rename(path, path + '.1')
            subprocess.run(['gzip', path + '.1'], check=True)
            put(path, '')
        time.sleep(0.2)
    wait_read(daemon, text.count('\n'))
    time.sleep(0.3)
    expect('lines', text.count('\n'), check_ledger(daemon.status()))
    put(path + '.all', text)
    parsed = lab.run_postwake(environment.build, 'parse', path + '.all').stdout.splitlines()
    expect('events', sorted(json.loads(e)['event_id'] for e in parsed), sorted(by_id(daemon.events())))


@flow('an import reads history beside the followed log, and the stories meet')
def history(environment):
    directory = environment.directory('history')
    path, start = os.path.join(directory, 'mail.log'), recently()
    lines = golden_lines()
    middle = len(lines) // 2
    text = log(start, lines=lines)
    cut = sum(len(x) for x in text.splitlines(True)[:middle])
    put(os.path.join(directory, 'mail.log.1'), text[:cut])
    put(path, text[cut:])
    daemon = environment.daemon('d', {'file': path}, base=os.path.join(directory, 'postwake')).start()
    wait_read(daemon, text[cut:].count('\n'))
    done = daemon.postwake('-c', daemon.config, 'import', os.path.join(directory, 'mail.log.1'))
    expect(f'status ({done.stderr})', 0, done.returncode)
    expect('lines', text.count('\n'), check_ledger(daemon.status()))
    put(os.path.join(directory, 'all'), text)
    parsed = lab.run_postwake(environment.build, 'parse', os.path.join(directory, 'all')).stdout.splitlines()
    deliveries = {e['event_id'] for e in map(json.loads, parsed) if e['type'] in ('delivery', 'bounce', 'delay')}
    got = {i for i, e in by_id(daemon.events()).items() if e['type'] in ('delivery', 'bounce', 'delay')}
    # A mail that expired across the cut has its bounce from the followed half alone.
    expect('attempts that are missing', set(), deliveries - got)


@flow('an import that the daemon takes over refuses options which it could not keep')
def options_of_an_import(environment):
    here = followed(environment)
    done = here.daemon.postwake('-c', here.daemon.config, 'import', '--node', 'elsewhere', here.log)
    expect('status', 2, done.returncode)
    expect_in('why', '--node', done.stderr)
    here.import_adds_nothing('without them', here.log)
