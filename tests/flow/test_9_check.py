"""A store that can be believed: postwake check, --repair and backup beside a daemon."""

import os
import sqlite3

import lab
from flow import expect, expect_in, flow
from logs import by_id, log, put, recently, wait_read


def check(environment, store, *words):
    return lab.run_postwake(environment.build, '-S', store, 'check', *words)


def expect_good(environment, store):
    done = check(environment, store)
    expect(f'check ({done.stdout}{done.stderr})', 0, done.returncode)


def day_files(store):
    return sorted(n for n in os.listdir(store) if n.startswith('20') and n.endswith('.db'))


def close_logs(store):
    """So that all of a stopped store is in its files."""
    for name in [*day_files(store), 'control.sqlite']:
        database = sqlite3.connect(os.path.join(store, name))
        database.execute('PRAGMA wal_checkpoint(TRUNCATE)')
        database.close()


@flow('check finds nothing wrong with a store that a daemon writes, nor after kill -9')
def beside(environment):
    path = os.path.join(environment.directory('check'), 'mail.log')
    text = log(recently(), copies=30)
    put(path, text)
    daemon = environment.daemon('check', {'file': path}).start()
    for _ in range(3):
        expect_good(environment, daemon.store)
    daemon.kill()
    expect_good(environment, daemon.store)
    daemon.start()
    wait_read(daemon, text.count('\n'))
    expect_good(environment, daemon.store)
    done = check(environment, daemon.store, '--repair')
    expect('repair beside a daemon', 2, done.returncode)
    expect_in('why', 'postwaked', done.stderr)


@flow('a damaged day: capture goes on, the status names the file, and check --repair gives back what can be read')
def damaged_day(environment):
    base = environment.directory('damaged-day')
    path, text, start = os.path.join(base, 'mail.log'), log(recently(), copies=8), recently()
    put(path, text)
    daemon = environment.daemon('damaged-day', {'file': path}).start()
    wait_read(daemon, text.count('\n'))
    daemon.stop()
    close_logs(daemon.store)
    days = day_files(daemon.store)
    with open(os.path.join(daemon.store, days[-1]), 'r+b') as file:
        file.write(os.urandom(8192))
    expect('check', 1, check(environment, daemon.store).returncode)
    daemon.start()
    status, answer, _ = daemon.get('/api/v1/message-events?events=delivery')
    expect('a search that needs it fails', 500, status)
    expect_in('and names it', days[-1], str(answer))
    more = log(start + 1800, copies=2)
    put(path, more, 'a')
    lab.wait_until('new mail is found', lambda: daemon.get('/api/v1/message-events?events=delivery')[0] == 200, 20)
    lines = (text + more).count('\n')
    wait_read(daemon, lines)
    status = daemon.status()
    expect('set aside', [f'{days[-1]}.damaged-1'], [f['file'] for f in status['set_aside']])
    expect_in('a gap tells it', days[-1], str([g['text'] for g in status['gaps'] if g['source'] == 'store']))
    expect_in('postwake status', 'damaged-1', daemon.postwake('status').stdout)
    expect_in('the log', 'check --repair', daemon.log_text())
    daemon.stop()
    done = check(environment, daemon.store, '--repair')
    expect(f'repair ({done.stdout}{done.stderr})', 0, done.returncode)
    expect_in('saved', '0 lost', done.stdout)
    expect_good(environment, daemon.store)
    whole = environment.daemon('whole', {'file': path}).start()
    wait_read(whole, lines)
    wanted = by_id(whole.events())
    daemon.start()
    expect('all is there', set(wanted), set(by_id(daemon.events())))
    expect('nothing is set aside', [], daemon.status()['set_aside'])


@flow('a damaged control file: the logs are read again, nothing is lost and nothing twice')
def damaged_control(environment):
    path = os.path.join(environment.directory('damaged-control'), 'mail.log')
    text = log(recently(), copies=4)
    put(path, text)
    daemon = environment.daemon('damaged-control', {'file': path}).start()
    wait_read(daemon, text.count('\n'))
    wanted = by_id(daemon.events())
    daemon.stop()
    close_logs(daemon.store)
    with open(os.path.join(daemon.store, 'control.sqlite'), 'r+b') as file:
        file.write(os.urandom(20000))
    daemon.start()
    wait_read(daemon, text.count('\n'))
    expect('events', wanted, by_id(daemon.events()))
    expect('set aside', ['control.sqlite.damaged-1'], [f['file'] for f in daemon.status()['set_aside']])
    expect_good(environment, daemon.store)


@flow('check, backup, prune and reclassify: no other store than the one that was meant, and none is made')
def meant(environment):
    base = environment.directory('meant')
    store, copy, path = (os.path.join(base, n) for n in ('store', 'copy', 'postwake.conf'))
    put(path, f'[postwake]\nstore = {store}\n')
    os.mkdir(copy)
    for words in (['check'], ['check', '--repair'], ['backup', copy], ['prune'], ['reclassify']):
        for there in (False, True):
            if there:
                os.mkdir(store)
            done = lab.run_postwake(environment.build, '-c', path, *words)
            expect(f'{words}: without a store ({done.stdout})', 2, done.returncode)
            expect_in('why', f'no store in {store}', done.stderr)
            done = lab.run_postwake(environment.build, '-c', path, '-s', os.path.join(base, 'socket'), *words)
            expect(f'{words}: with a daemon ({done.stdout})', 2, done.returncode)
            expect_in('why', '-S', done.stderr)
            if there:
                os.rmdir(store)  # nothing was made in it
        expect('nothing was made', ([], ['copy', 'postwake.conf']), (os.listdir(copy), sorted(os.listdir(base))))


@flow('a log whose name is hostile is shown disarmed by show --proof')
def hostile_name(environment):
    base = environment.directory('hostile-name')
    path, text = os.path.join(base, 'mail\x1b[31m\u202e.log'), log(recently())
    put(path, text)
    daemon = environment.daemon('hostile-name', {'file': path}).start()
    wait_read(daemon, text.count('\n'))
    queue_id = daemon.events('events=delivery')[0]['queue_id']
    for _ in range(2):
        done = daemon.postwake('show', '--proof', queue_id)
        expect(f'show ({done.stderr})', 0, done.returncode)
        expect_in('the proof', '.log', done.stdout.split('Proof:')[1])
        expect('characters that a terminal obeys', [], [c for c in '\x1b\u202e' if c in done.stdout])
        if os.path.exists(path):
            os.unlink(path)


@flow('a backup under load is a store; a daemon on it reads the log on and adds only what came later')
def backup(environment):
    base = environment.directory('backup')
    path, text = os.path.join(base, 'mail.log'), log(recently(), copies=60)
    lines = text.splitlines(keepends=True)
    put(path, '')
    daemon = environment.daemon('backup', {'file': path}).start()
    copies = []
    for part in range(6):
        put(path, ''.join(lines[part * len(lines) // 6:(part + 1) * len(lines) // 6]), 'a')
        copy = os.path.join(base, f'copy{part}', 'store')
        os.makedirs(os.path.dirname(copy))
        done = lab.run_postwake(environment.build, '-S', daemon.store, 'backup', copy)
        expect(f'backup ({done.stderr})', 0, done.returncode)
        copies.append(copy)
    wait_read(daemon, len(lines))
    wanted = by_id(daemon.events())
    daemon.stop()
    for copy in copies:
        expect_good(environment, copy)
    for copy in (copies[1], copies[-1]):
        restored = environment.daemon('restored', {'file': path}, base=os.path.dirname(copy))
        expect('the place of the store', copy, restored.store)
        restored.start()
        wait_read(restored, len(lines))
        expect('events', wanted, by_id(restored.events()))
        restored.stop()
        expect_good(environment, copy)
    expect('not twice', 2, lab.run_postwake(environment.build, '-S', daemon.store, 'backup', copies[0]).returncode)
