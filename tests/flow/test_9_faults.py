"""What goes wrong on a machine: mail flows on, the cause is named, and when it goes all is as if it had not been."""

import contextlib
import errno
import fcntl
import functools
import os
import resource
import shutil
import socket
import sqlite3
import subprocess
import sys
import time

import lab
from flow import Skip, expect, expect_in, flow
from logs import check_ledger
from test_9_check import day_files

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'fault'))
import scriptmta  # noqa: E402


class Mail:
    """A daemon with its milter, and an MTA that is a script."""

    def __init__(self, environment, name, base=None, **sections):
        self.base = base or environment.directory(name)
        self.log, socket_path = os.path.join(self.base, 'mail.log'), os.path.join(self.base, 'milter.sock')
        self.mta = scriptmta.ScriptMta(self.log, socket_path)
        settings = {'milter': {'group': None}, **sections}
        self.daemon = environment.daemon(name, {'file': self.log}, socket_path, settings,
                                         base=os.path.join(self.base, 'postwake'))
        self.number = 0
        self.events = 'events=injection,delivery'

    def send(self, count=10, quickly=True):
        started = time.monotonic()
        for _ in range(count):
            self.number += 1
            self.mta.mail(self.number)
        expect('none refused', set(), self.mta.refused)
        if quickly:
            expect('without waiting', True, time.monotonic() - started < 2)

    def found(self):
        return {(e['type'], e['queue_id'], e['rcpt_to']) for e in self.daemon.events(self.events)}

    def complete(self, timeout=20):
        """All that was ever accepted is found, once, and every line is counted once."""
        want = self.mta.wanted()
        lab.wait_until('all events are found', lambda: len(self.found()) >= len(want), timeout)
        expect('events', want, self.found())
        expect('none twice', len(want), len(self.daemon.events(self.events)))
        lines = lab.read(self.log).count('\n')
        lab.wait_until('the ledger is complete', lambda: check_ledger(self.daemon.status()) == lines, 10)

    def trouble(self):
        status, answer, _ = self.daemon.get('/api/v1/status')
        expect(f'the status is told ({answer})', 200, status)
        return answer['results'].get('store_trouble', '')

    def wait_trouble(self, part, timeout=15):
        lab.wait_until(f'the trouble is named: {part}', lambda: part in self.trouble(), timeout)

    def wait_healed(self, timeout=20):
        lab.wait_until('the trouble is over', lambda: not self.trouble(), timeout)


def source_trouble(mail):
    return mail.daemon.status()['following'][0].get('trouble', '')


def told(mail, part):
    return sum(part in line for line in mail.daemon.log_text().splitlines())


def today(mail):
    """The day file that is written."""
    return os.path.join(mail.daemon.store, day_files(mail.daemon.store)[-1])


def check_named(mail, part, mend=''):
    """Once in the log, and in `postwake status`, with how to mend it. Returns what the status said."""
    expect('the words are none of a path', False, part in mail.base)
    seen = []

    def in_status():
        seen.append(mail.daemon.postwake('status').stdout)
        return part in seen[-1] and mend in seen[-1]
    lab.wait_until(f'{part} is in the log', lambda: told(mail, part), 10)
    expect(f'{part}: once in the log', 1, told(mail, part))
    lab.wait_until(f'{part} is in the status with {mend}', in_status, 10)
    return seen[-1]


def check_repaired(environment, mail):
    """Repair and the log bring back all, once."""
    mail.daemon.stop()
    done = lab.run_postwake(environment.build, '-S', mail.daemon.store, 'check', '--repair')
    expect(f'repair ({done.stdout}{done.stderr})', True, done.returncode in (0, 1))
    mail.daemon.start()
    expect('import', 0, mail.daemon.postwake('import', mail.log).returncode)
    lab.wait_until('all is there again', lambda: mail.found() == mail.mta.wanted(), 15)
    expect('none twice', len(mail.mta.wanted()), len(mail.daemon.events('events=injection,delivery')))


@contextlib.contextmanager
def small_disk(environment, name, size='32m'):
    """A directory with a file system of its own, for a store."""
    base = environment.directory(name)
    path = os.path.join(base, 'postwake')
    os.makedirs(path)
    done = subprocess.run(['mount', '-t', 'tmpfs', '-o', f'size={size}', 'tmpfs', path], capture_output=True, check=False)
    if done.returncode != 0:
        raise Skip('no privilege to mount a file system')
    try:
        yield base, path
    finally:
        environment.end_test()
        subprocess.run(['umount', '-l', path], check=False)


def fill(path):
    ballast = os.path.join(path, 'ballast')
    with open(ballast, 'wb', buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b'x' * 4096)
    return ballast


@flow('the disk is full: mail flows, the cause is told once, and with room all of it is there')
def disk_full(environment):
    with small_disk(environment, 'small') as (base, path):
        mail = Mail(environment, 'small', base)
        mail.daemon.start()
        mail.send()
        mail.complete()
        ballast = fill(path)
        mail.send(40)
        mail.wait_trouble('No space left on device')
        mail.send(40)
        time.sleep(1)
        expect('told once', 1, told(mail, 'tried again until it works'))
        check_named(mail, 'No space left on device', 'make room in its file system')
        os.unlink(ballast)
        mail.wait_healed()
        mail.send()
        mail.complete()


@flow('the disk is full over a restart: nothing is lost')
def disk_full_restart(environment):
    with small_disk(environment, 'small-restart') as (base, path):
        mail = Mail(environment, 'small-restart', base)
        mail.daemon.start()
        mail.send()
        mail.complete()
        ballast = fill(path)
        mail.send(40)
        mail.wait_trouble('No space left on device')
        mail.daemon.kill()
        os.unlink(ballast)
        mail.daemon.start()
        mail.send()
        mail.complete()


@flow('a start while the store is mounted read-only ends at once and says how to mend it; then all is there')
def mounted_read_only(environment):
    with small_disk(environment, 'small') as (base, path):
        mail = Mail(environment, 'small', base)
        mail.daemon.log = os.path.join(base, 'postwaked.log')
        mail.daemon.start()
        mail.send()
        mail.complete()
        mail.daemon.kill()
        mail.send(quickly=False)
        subprocess.run(['mount', '-o', 'remount,ro', path], check=True)
        mail.daemon.start(ready=False)
        expect('it ends', 1, mail.daemon.process.wait(15))
        log = mail.daemon.log_text()
        expect_in('the cause', 'Read-only file system', log)
        expect_in('how to mend it', 'mount its file system for writing again', log)
        subprocess.run(['mount', '-o', 'remount,rw', path], check=True)
        mail.daemon.start()
        mail.send()
        mail.complete()


class Shimmed(Mail):
    """Mail whose daemon runs with a library of tests/fault before the C library."""

    def __init__(self, environment, name, source, **sections):
        super().__init__(environment, name, **sections)
        shim, self.order = os.path.join(self.base, 'shim.so'), os.path.join(self.base, 'order')
        source = os.path.join(os.path.dirname(scriptmta.__file__), source)
        done = subprocess.run(['cc', '-shared', '-fPIC', '-o', shim, source, '-ldl'], capture_output=True, check=False)
        if done.returncode != 0:
            raise Skip(f'the shim cannot be built: {done.stderr[-200:]}')
        options = os.environ.get('ASAN_OPTIONS', '') + ':verify_asan_link_order=0'
        self.daemon.environment = {'LD_PRELOAD': shim, 'PW_CLOCK_ORDER': self.order, 'PW_SHIM_DIR': self.daemon.store,
                                   'PW_SHIM_ORDER': self.order, 'ASAN_OPTIONS': options}


class BadDisk(Shimmed):
    """Mail whose store lies on a disk that does what it is told."""

    def __init__(self, environment, name):
        super().__init__(environment, name, 'shim.c')

    def disk(self, text):
        lab.write(self.order, text)

    def heal(self):
        os.unlink(self.order)


def bad_disk(environment, name, number, part, mend):
    mail = BadDisk(environment, name)
    mail.daemon.start()
    mail.send()
    mail.complete()
    mail.disk(str(number))
    mail.send(40)
    mail.wait_trouble(part)
    time.sleep(1)
    expect('told once', 1, told(mail, 'tried again until it works'))
    status = check_named(mail, part, mend)
    expect('it is neither damage nor missing rights', False, 'is damaged' in status or 'by this user' in status)
    expect('the day is listed', 1, len(mail.daemon.status()['days']))
    mail.heal()
    mail.wait_healed()
    mail.send()
    mail.complete()


@flow('the store becomes read-only: mail flows, and all is there when it may be written again')
def read_only(environment):
    bad_disk(environment, 'disk', errno.EROFS, 'Read-only file system', 'mount its file system for writing again')


@flow('the disk has errors: mail flows, the cause is told once, and all is there when they are gone')
def disk_errors(environment):
    bad_disk(environment, 'disk', errno.EIO, 'Input/output error', 'smartctl')


def first_of_commits(path):
    """What each commit must read."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        return db.execute("SELECT rootpage - 1 FROM sqlite_schema WHERE name = 'commits'").fetchone()[0]


def beside_rows(path):
    """A page of the index, with rows in the 64 KiB around it."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        pages = {page - 1: name for page, name in db.execute('SELECT pageno, name FROM dbstat')}
    rows = {page // 8 for page, name in pages.items() if name in ('event', 'message')}
    needed = ('event', 'message', 'word', 'reason', 'subject', 'shape', 'meta', 'commits', 'sqlite_schema')
    return max(page for page, name in pages.items() if page // 8 in rows and name not in needed)


def bad_sector(mail, pick):
    """A page of today's file, which is not in the daemon's memory when it begins anew."""
    mail.daemon.stop()
    path = today(mail)
    mail.disk(f'bad {os.stat(path).st_ino} {pick(path) * 8192}')
    mail.daemon.start()
    return path


@flow('a bad sector: mail flows, the cause is told, and of a file with one repair saves all that stands elsewhere')
def sector(environment):
    mail = BadDisk(environment, 'sector')
    mail.daemon.start()
    mail.send(100, quickly=False)
    mail.complete()
    path = bad_sector(mail, first_of_commits)
    mail.send(40)
    mail.wait_trouble('Input/output error')
    status = check_named(mail, 'Input/output error', 'smartctl')
    expect('it is no damage so soon', False, 'damaged' in status)
    mail.heal()
    mail.wait_healed()
    mail.complete()
    # As the daemon sets it aside after two minutes (unit test_store_commit).
    bad_sector(mail, beside_rows)
    mail.daemon.stop()
    os.rename(path, path + '.damaged-1')
    done = subprocess.run([os.path.join(environment.build, 'postwake'), '-S', mail.daemon.store, 'check', '--repair'],
                          env={**os.environ, **mail.daemon.environment}, capture_output=True, text=True, check=False)
    expect_in(f'repair ({done.stderr})', '\n%d event(s) saved, 0 lost\n' % len(mail.mta.wanted()), '\n' + done.stdout)
    mail.heal()
    mail.daemon.start()
    expect('what was recorded is there', mail.mta.wanted(), mail.found())
    check_repaired(environment, mail)


@flow('a disk that is all but full is one trouble: told once, and in the status until commits have worked for a while')
def almost_full(environment):
    mail = BadDisk(environment, 'almost')
    mail.daemon.start()
    mail.send()
    mail.complete()
    for _ in range(3):
        mail.disk(str(errno.ENOSPC))
        mail.send()
        mail.wait_trouble('No space left on device')
        want = mail.mta.wanted()
        mail.heal()
        lab.wait_until('a commit works', lambda: want <= mail.found(), 20)  # pylint: disable=cell-var-from-loop
        expect_in('for a moment', 'No space left on device', mail.trouble())
    expect('told once', 1, told(mail, 'tried again until it works'))
    expect('and no end of it', 0, told(mail, 'commits work again'))
    mail.wait_healed()
    lab.wait_until('its end is told', lambda: told(mail, 'commits work again'), 10)
    mail.send()
    mail.complete()
    expect('once', 1, told(mail, 'commits work again'))


@flow('the disk is slow: mail does not wait for it, and it is named')
def slow_disk(environment):
    mail = BadDisk(environment, 'slow')
    mail.daemon.start()
    mail.disk('slow 400')
    mail.send(60)
    check_named(mail, 'the disk of the store is slow', 'iostat')
    mail.heal()
    mail.complete()
    mail.send()  # and so a commit that is quick
    lab.wait_until('its end is told', lambda: told(mail, 'commits are quick again'), 20)
    expect('no trouble is left', None, mail.daemon.status().get('store_slow'))
    mail.send()
    mail.complete()
    expect_in('what was is a gap', 'the disk of the store is slow', mail.daemon.postwake('status').stdout)


@flow('a day file is deleted under the daemon: that is told, what comes then is recorded, and the log brings back the rest')
def day_deleted(environment):
    mail = Mail(environment, 'deleted')
    mail.daemon.start()
    mail.send()
    mail.complete()
    for name in os.listdir(mail.daemon.store):
        if name.startswith('20'):
            os.unlink(os.path.join(mail.daemon.store, name))
    before = mail.mta.wanted()
    mail.send()
    lab.wait_until('the new mail is found', lambda: mail.mta.wanted() - before <= mail.found(), 15)
    check_named(mail, 'was deleted', 'postwake import')
    done = mail.daemon.postwake('import', mail.log)
    expect(f'import ({done.stderr})', 0, done.returncode)
    lab.wait_until('all is there again', lambda: mail.found() == mail.mta.wanted(), 15)


@flow('the control file is deleted under the daemon: nothing is lost and nothing twice')
def control_deleted(environment):
    mail = Mail(environment, 'control')
    mail.daemon.start()
    mail.send()
    mail.complete()
    for name in os.listdir(mail.daemon.store):
        if name.startswith('control'):
            os.unlink(os.path.join(mail.daemon.store, name))
    mail.send()
    lab.wait_until('all is found', lambda: mail.found() == mail.mta.wanted(), 15)
    check_named(mail, 'was deleted', 'line counts start anew')
    mail.daemon.kill()
    mail.daemon.start()
    mail.send()
    lab.wait_until('all is found after a restart', lambda: mail.found() == mail.mta.wanted(), 15)
    expect('none twice', len(mail.mta.wanted()), len(mail.daemon.events('events=injection,delivery')))


@flow('lock and key are deleted under the daemon: they are put back and told once, and no second writer gets in')
def kept_files(environment):
    daemon = environment.daemon('kept', sections={'postwake': {'pseudonymise': 'yes'}}).start()
    paths = [os.path.join(daemon.store, name) for name in ('lock', 'pseudonym.key')]
    key = lab.read(paths[1])
    for path in paths:
        os.unlink(path)
    lab.wait_until('both are told', lambda: daemon.log_text().count('was deleted, and is there again') == 2, 15)
    expect('the key is the same', key, lab.read(paths[1]))
    second = environment.daemon('second', sections={'postwake': {'store': daemon.store}}).start(ready=False)
    expect('no second writer', 1, second.process.wait(15))
    second.process = None
    status = daemon.postwake('status').stdout
    for what in ('the file lock', 'the key of the pseudonyms'):
        expect_in('the status', what, status)
    expect('no trouble is left', None, daemon.status().get('missing'))
    expect('told once', 2, daemon.log_text().count('was deleted, and is there again'))
    daemon.kill()
    daemon.start()


@flow('another process takes the store whose lock was deleted: that is told until a restart')
def second_writer(environment):
    mail = Mail(environment, 'writers')
    mail.daemon.start()
    mail.send()
    mail.complete()
    with open(os.path.join(mail.daemon.store, 'other'), 'wb') as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        os.rename(other.name, os.path.join(mail.daemon.store, 'lock'))
        check_named(mail, 'another process writes it', 'restart the other')
    time.sleep(1.5)
    expect('it stays', 1, len(mail.daemon.status()['missing']))
    mail.daemon.stop()
    mail.daemon.start()
    expect('no trouble is left', None, mail.daemon.status().get('missing'))
    mail.send()
    mail.complete()


@flow('the sockets are deleted under the daemon: that is told, and a restart makes them again')
def sockets_deleted(environment):
    mail = Mail(environment, 'unlinked')
    mail.daemon.start()
    mail.send()
    mail.complete()
    os.unlink(os.path.join(mail.base, 'milter.sock'))
    check_named(mail, 'the milter sees no mail', 'restart postwaked')
    os.unlink(mail.daemon.socket)
    lab.wait_until('it is in the log', lambda: told(mail, 'no command reaches postwaked'), 10)
    mail.daemon.stop()
    mail.daemon.start()
    mail.send()
    mail.complete()


@flow('a day file of 0 bytes is no obstacle')
def day_empty(environment):
    mail = Mail(environment, 'empty')
    today = time.strftime('%Y-%m-%d', time.gmtime())
    lab.write(os.path.join(mail.daemon.store, f'{today}.db'), '')
    mail.daemon.start()
    mail.send()
    mail.complete()


@flow('out of descriptors: mail flows, and what was recorded is found when there are some again')
def descriptors(environment):
    mail = Mail(environment, 'descriptors')
    mail.daemon.start()
    mail.send()
    mail.complete()
    pid = mail.daemon.process.pid
    old = resource.prlimit(pid, resource.RLIMIT_NOFILE)

    def starve():
        """Again and again: a connection may have been closed after it was counted."""
        used = {int(fd) for fd in os.listdir(f'/proc/{pid}/fd')}
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (min(set(range(1000)) - used), old[1]))

    starve()
    # The milter takes no connection then: mail flows after the time-out of the MTA.
    mail.send(2, quickly=False)
    for _ in range(20):
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
            client.settimeout(0.2)
            client.connect(mail.daemon.socket)
            client.send(b'GET /api/v1/status HTTP/1.1\r\nHost: x\r\n\r\n')
            client.recv(10)
    lab.wait_until('it is in the log', lambda: starve() or told(mail, 'raise LimitNOFILE='), 10)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, old)
    mail.send()
    mail.complete()
    check_named(mail, 'out of file descriptors', 'raise LimitNOFILE=')


@flow('a day file is overwritten under the daemon: that is told, mail flows, and check --repair with the log gives all back')
def day_overwritten(environment):
    mail = Mail(environment, 'overwritten')
    mail.daemon.start()
    mail.send(100, quickly=False)
    mail.complete()
    mail.daemon.stop()
    mail.daemon.start()  # no page is in its memory
    path = today(mail)
    overwrite(path)
    mail.send(100, quickly=False)
    check_named(mail, 'damaged-1', 'check --repair')
    check_repaired(environment, mail)


def cut_off(path):
    os.truncate(path, 0)


def overwrite(path):
    with open(path, 'r+b') as file:
        file.write(os.urandom(os.path.getsize(path)))


def damaged_in_use(environment, name, damage, pick, mend):
    """A file that its writer has open; what was recorded after the fault is there whatever comes."""
    mail = Mail(environment, name)
    mail.daemon.start()
    mail.send(100, quickly=False)
    mail.complete()
    before = mail.mta.wanted()
    damage(next(os.path.join(mail.daemon.store, n) for n in os.listdir(mail.daemon.store) if pick(n)))
    for _ in range(5):
        mail.send(40, quickly=False)
        time.sleep(0.2)
    lab.wait_until('the new mail is found', lambda: mail.mta.wanted() - before <= mail.found(), 15)
    check_named(mail, 'damaged-1', mend)
    mail.daemon.kill()
    mail.daemon.start()
    lab.wait_until('the new mail is found again', lambda: mail.mta.wanted() - before <= mail.found(), 15)
    check_repaired(environment, mail)


@flow('a day file is cut off or overwritten in use: that is told and mended without a restart, and nothing later is lost')
def day_damaged_in_use(environment):
    for damage in (cut_off, overwrite):
        damaged_in_use(environment, f'day-{damage.__name__}', damage,
                       lambda name: name[:2] == '20' and name.endswith('.db'), 'check --repair')


@flow('the control file is cut off or overwritten in use: that is told and mended without a restart, and nothing is lost')
def control_damaged_in_use(environment):
    for damage in (cut_off, overwrite):
        damaged_in_use(environment, f'control-{damage.__name__}', damage,
                       lambda name: name == 'control.sqlite', 'line counts start anew')


ROT = (('state', "UPDATE state SET value = x'42' || substr(value, 2) WHERE key = (SELECT min(key) FROM state)",
        'saved of 1 open mail(s) is damaged', 'postwake import'),
       ('key', 'DELETE FROM erasure_key', 'its key of erasures is gone', 'line counts start anew'),
       ('table', 'DROP TABLE api_key', 'its column api_key.', 'line counts start anew'),
       ('number', 'PRAGMA user_version = 6', 'it had version 6', 'nothing else of it was'))


@flow('bits of the control file flipped before a start: the daemon starts, that is told, and nothing is lost')
def control_rotted(environment):
    for name, damage, part, mend in ROT:
        mail = Mail(environment, f'rot-{name}')
        mail.daemon.start()
        mail.send()
        mail.complete()
        with open(mail.log, 'a', encoding='utf-8') as log:  # a mail on its way
            log.write(lab.read(mail.log).splitlines(keepends=True)[0])
        mail.daemon.stop()
        db = sqlite3.connect(os.path.join(mail.daemon.store, 'control.sqlite'), isolation_level=None)
        expect('there is something to damage', True, db.execute('SELECT count(*) FROM state').fetchone()[0] > 0)
        db.execute(damage)
        db.close()
        mail.daemon.start()
        mail.send()
        lab.wait_until('all is found', lambda: mail.found() == mail.mta.wanted(), 15)
        check_named(mail, part, mend)
        expect('none twice', len(mail.mta.wanted()), len(mail.daemon.events('events=injection,delivery')))
        mail.daemon.stop()
        mail.daemon.start()
        expect('told once', 1, told(mail, part))


class BadClock(Shimmed):
    """Mail on a machine whose clock is set."""

    def __init__(self, environment, name, **sections):
        super().__init__(environment, name, 'clock.c', **sections)
        self.events += '&to=9999-12-31T00:00'  # otherwise up to now, as the daemon knows it

    def begin(self):
        self.daemon.start()
        time.sleep(2.5)  # it knows the right time
        self.send(40, quickly=False)
        self.complete()

    def wrong(self, seconds):
        self.mta.wrong = seconds
        lab.write(self.order, str(seconds))


@flow('the clock is 20 days ahead for a while: that is told, nothing is dropped, and all is there when it is right again')
def clock_ahead(environment):
    nobody = {'url': 'http://127.0.0.1:9', 'kind': 'postwake', 'interval': '0'}
    mail = BadClock(environment, 'ahead', **{'upload far': nobody})

    def waiting():
        upload = mail.daemon.get('/api/v1/uploads')[1]['results'][0]
        expect('no batch is lost', 0, upload['lost'])
        return upload['batches']
    mail.begin()
    batch = lab.wait_until('a batch waits', waiting, 10)[0]['id']
    mail.wrong(20 * 86400)
    check_named(mail, 'the clock is ahead by 20.0 days', 'Set it right')
    mail.send(40, quickly=False)
    mail.complete()
    expect('both days are there', 2, len(mail.daemon.status()['days']))
    expect_in('the batch still waits', batch, [b['id'] for b in waiting()])
    expect_in('a gap tells', 'only when it has been so for 24 hours', mail.daemon.postwake('status').stdout)
    mail.daemon.kill()
    mail.daemon.start()
    mail.send(40, quickly=False)
    mail.complete()
    expect('a restart forgets nothing', 2, told(mail, 'the clock is ahead by 20.0 days'))
    mail.wrong(0)
    lab.wait_until('its end is told', lambda: told(mail, 'the clock is believed again'), 10)
    expect('no trouble is left', None, mail.daemon.status().get('clock_trouble'))
    mail.send(40, quickly=False)
    mail.complete()
    mail.daemon.stop()
    mail.daemon.start()
    mail.send(10, quickly=False)
    mail.complete()


@flow('the clock is 20 days ahead at a start: lines with the right time are not too old, and nothing is dropped')
def clock_ahead_at_start(environment):
    mail = BadClock(environment, 'start')
    mail.begin()
    mail.daemon.stop()
    mail.send(40, quickly=False)
    lab.write(mail.order, str(20 * 86400))
    mail.daemon.start()
    check_named(mail, 'the clock is ahead by 20.0 days', 'Set it right')
    mail.complete()
    expect('none is too old', None, mail.daemon.status()['counters'].get('too_old'))
    mail.wrong(20 * 86400)
    mail.send(10, quickly=False)
    mail.complete()
    mail.wrong(0)
    mail.send(40, quickly=False)
    mail.complete()


@flow('the clock is set back by an hour, and forward again: that is told, nothing is lost and nothing twice')
def clock_back(environment):
    mail = BadClock(environment, 'clock')
    wrong = mail.wrong
    mail.begin()
    before = {e['event_id']: e for e in mail.daemon.events(mail.events)}
    wrong(-3600)
    mail.send(40)
    mail.complete()
    check_named(mail, 'the clock was set back by 3', 'nothing is lost')
    mail.daemon.kill()
    mail.send(10, quickly=False)
    mail.daemon.start()
    mail.send(40)
    mail.complete()
    wrong(0)
    mail.send(40)
    mail.complete()
    lab.wait_until('the step forward is told', lambda: told(mail, 'the clock was set forward by 3'), 10)
    after = {e['event_id']: e for e in mail.daemon.events(mail.events)}
    expect('what was recorded before is as it was', before, {i: e for i, e in after.items() if i in before})
    seen = {e['queue_id'] for e in after.values() if e.get('subject')}
    missed = {q for q, (_, subject) in mail.mta.accepted.items() if subject is None}
    expect('the milter is joined whatever the clock says', set(mail.mta.accepted) - missed, seen)


@flow('the log cannot be read for a while: the cause is named, and all of it is read afterwards')
def unreadable(environment):
    mail = Mail(environment, 'unreadable', milter={'group': 'nogroup'})
    os.chmod(mail.base, 0o755)
    user = ['setpriv', '--reuid=nobody', '--regid=nogroup', '--clear-groups']
    if subprocess.run([*user, 'true'], capture_output=True, check=False).returncode != 0:
        raise Skip('no other user can be had')
    subprocess.run(['chown', '-R', 'nobody', mail.base], check=True)
    os.chmod(mail.log, 0o600)
    shutil.chown(mail.log, 'root', 'root')
    with open(mail.daemon.log, 'ab') as log:
        mail.daemon.process = subprocess.Popen(
            [*user, os.path.join(environment.build, 'postwaked'), '-c', mail.daemon.config],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    lab.wait_until('postwaked answers', mail.daemon.ready, 15)
    mail.send()
    check_named(mail, 'ermission denied', mail.log)
    os.chmod(mail.log, 0o644)
    mail.complete(timeout=30)


@flow('a log that is away, or is no file: each cause is named once, and what is written then is read')
def away(environment):
    mail = Shimmed(environment, 'away', 'clock.c')
    mail.daemon.start()
    mail.send()
    mail.complete()
    os.rename(mail.log, mail.log + '.1')
    for what, make in (('a FIFO', os.mkfifo), ('a device', functools.partial(os.symlink, '/dev/zero'))):
        make(mail.log)
        check_named(mail, f'{mail.log} is {what} and no regular file')
        os.unlink(mail.log)
    time.sleep(2.5)
    expect('a rotation is no trouble', '', source_trouble(mail))
    lab.write(mail.order, '0 70')  # the machine sleeps for that long
    check_named(mail, 'has not been there since', 'set file = of this source')
    mail.send()
    lab.wait_until('no trouble is left', lambda: not source_trouble(mail), 10)
    lab.wait_until('its end is told', lambda: told(mail, 'all is well again') == 1, 10)
    expect('events', mail.mta.wanted(), mail.found())
    expect('none twice', len(mail.mta.wanted()), len(mail.daemon.events(mail.events)))


@flow('something else sits at the place of a socket: the daemon says what, and takes nothing away')
def occupied(environment):
    for what in ('file', 'directory', 'server'):
        mail = Mail(environment, f'occupied-{what}')
        path, server = mail.daemon.socket, None
        if what == 'file':
            lab.write(path, 'mine')
        elif what == 'directory':
            os.makedirs(path)
        else:
            server = socket.socket(socket.AF_UNIX)
            server.bind(path)
            server.listen()
        with contextlib.suppress(lab.LabError):
            mail.daemon.start(ready=False)
            mail.daemon.process.wait(10)
        # A server may go by itself; what else is there somebody must take away.
        expect(f'{what}: it ends', 1 if server else os.EX_CONFIG, mail.daemon.process.poll())
        expect_in(what, path, mail.daemon.log_text())
        expect(f'{what} is still there', True, os.path.exists(path))
        mail.daemon.process = None
        if server:
            server.close()


@flow('a reader that holds the store open for long holds nothing up')
def stuck_reader(environment):
    mail = Mail(environment, 'reader')
    mail.daemon.start()
    mail.send()
    mail.complete()
    with contextlib.closing(sqlite3.connect(today(mail), isolation_level=None)) as db:
        db.execute('BEGIN')
        db.execute('SELECT count(*) FROM event').fetchall()
        mail.send(300, quickly=False)
        mail.complete()
        db.execute('COMMIT')
    mail.send()
    mail.complete()


@flow('a client that never reads its answer takes nothing from the others')
def deaf_client(environment):
    mail = Mail(environment, 'deaf')
    mail.daemon.start()
    mail.send(200, quickly=False)
    mail.complete()
    deaf = []
    for _ in range(50):
        client = socket.socket(socket.AF_UNIX)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        client.connect(mail.daemon.socket)
        client.send(b'GET /api/v1/message-events?per_page=10000 HTTP/1.1\r\nHost: x\r\n\r\n' * 3)
        deaf.append(client)
    started = time.monotonic()
    mail.send()
    mail.complete()
    expect('soon', True, time.monotonic() - started < 5)
    for client in deaf:
        client.close()
