"""What survives: kill -9, restarts, a milter that is away, a store that is stuck."""

import os
import random
import sqlite3
import time

import lab
from flow import expect, expect_in, flow
from logs import by_id, check_ledger, log, put, recently, wait_read
from world import api_header


@flow('kill -9 in the middle of following a log, then restart: the same events as without')
def kill(environment):
    directory = environment.directory('kill')
    path, text = os.path.join(directory, 'mail.log'), log(recently(), copies=12)
    put(path, text)
    whole = environment.daemon('whole', {'file': path}).start()
    wait_read(whole, text.count('\n'))
    time.sleep(0.3)
    wanted = by_id(whole.events())
    whole.stop()
    for seed in range(3):
        chance = random.Random(seed)
        broken = environment.daemon('broken', {'file': path}).start()
        for _ in range(3):
            target = chance.randrange(100, text.count('\n') - 100)
            deadline = time.monotonic() + 3
            while time.monotonic() < deadline and lines_read(broken) < target:
                time.sleep(0.005)
            broken.kill()
            broken.start()
        wait_read(broken, text.count('\n'))
        time.sleep(0.3)
        got = by_id(broken.events())
        expect(f'run {seed}: lost', set(), set(wanted) - set(got))
        expect(f'run {seed}: invented', set(), set(got) - set(wanted))
        for event_id, event in wanted.items():
            expect(f'run {seed}: event {event_id}', event, got[event_id])
        expect(f'run {seed}: every line counted once', text.count('\n'), check_ledger(broken.status()))
        broken.kill()


@flow('kill -9 right after the very first start, and a rotation: what came since the start is read')
def killed_at_once(environment):
    directory = environment.directory('at-once')
    text = log(recently())
    for number in range(5):
        path = os.path.join(directory, f'mail{number}.log')
        put(path, 'Nov 22 00:00:00 mx CRON[1]: something old\n')
        daemon = environment.daemon('at-once', {'file': path}).start()
        daemon.kill()
        put(path, text, 'a')
        os.rename(path, path + '.1')
        put(path, '')
        daemon.start()
        wait_read(daemon, text.count('\n'))
        daemon.kill()


def lines_read(daemon):
    return sum(s['lines'] for s in daemon.status()['ledger'])


class Mail:
    """A Postfix with its daemon, for tests that hurt it."""

    def __init__(self, environment, name, default_action='accept', milter=None):
        base = environment.directory(name)
        self.postfix = lab.Postfix(os.path.join(base, 'postfix'), default_action=default_action, retry=1)
        self.daemon = environment.daemon(name, {'file': self.postfix.log}, self.postfix.milter_socket,
                                         {'milter': milter or {}}, base=os.path.join(base, 'postwake'))
        self.daemon.start()
        self.postfix.start()

    def send(self, recipient, subject='a test', **options):
        started = time.monotonic()
        queue_id, replies = self.postfix.send('shop@lab.example', recipient, subject, **options)
        return queue_id, replies[-1], time.monotonic() - started

    def stop(self):
        self.postfix.stop()
        self.daemon.kill()


def hurt(environment, name, *words):
    """Mail that stops with the test."""
    mail = Mail(environment, name, *words)
    environment.running.append(Stopper(mail))
    return mail


class Stopper:
    def __init__(self, mail):
        self.mail = mail

    def kill(self):
        self.mail.stop()


@flow('mail flows while postwaked is away, and its story is read from the log afterwards')
def away(environment):
    mail = hurt(environment, 'away')
    mail.send('first@deliver.example', 'seen by the milter')
    mail.daemon.wait_events('recipients=first@deliver.example&events=delivery')
    mail.daemon.stop()
    queue_id, reply, seconds = mail.send('second@deliver.example', 'seen by nobody')
    expect('accepted', ('DOT', 250), reply[:2])
    expect('without waiting', True, seconds < 2)
    mail.postfix.wait_log(rf'{queue_id}: to=<second@.*status=sent')
    mail.daemon.start()
    events = mail.daemon.wait_events('recipients=second@deliver.example', 2)
    expect('story', ['delivery', 'injection'], [e['type'] for e in events])
    expect('no Subject', False, 'subject' in events[0])


@flow('mail flows while the store is stuck, and is told when it works again')
def stuck(environment):
    mail = hurt(environment, 'stuck')
    mail.send('first@deliver.example')
    mail.daemon.wait_events('recipients=first@deliver.example&events=delivery')
    lock = sqlite3.connect(os.path.join(mail.daemon.store, 'control.sqlite'), isolation_level=None, timeout=10)
    lock.execute('BEGIN IMMEDIATE')
    _, reply, seconds = mail.send('second@deliver.example', 'patience')
    expect('accepted', ('DOT', 250), reply[:2])
    expect('without waiting', True, seconds < 2)
    time.sleep(1)
    lock.execute('ROLLBACK')
    lock.close()
    events = mail.daemon.wait_events('recipients=second@deliver.example', 2, timeout=20)
    expect('subject', {'patience'}, {e['subject'] for e in events})


@flow('on_failure=tempfail: an accepted mail is on the disk, whatever happens next')
def tempfail(environment):
    mail = hurt(environment, 'tempfail', 'tempfail', {'on_failure': 'tempfail'})
    for number in range(3):
        queue_id, reply, _ = mail.send(f'safe{number}@deliver.example', f'number {number}',
                                       headers=[api_header(campaign_id='kept')])
        mail.daemon.kill()
        expect('accepted', ('DOT', 250), reply[:2])
        mail.daemon.start()
        events = mail.daemon.wait_events(f'queue_ids={queue_id}', 2)
        expect('from the milter', {(f'number {number}', 'kept')}, {(e.get('subject'), e.get('campaign_id')) for e in events})


@flow('on_failure=tempfail: 451 when the store does not commit in time, and the mail later')
def tempfail_stuck(environment):
    mail = hurt(environment, 'tempfail-stuck', 'tempfail', {'on_failure': 'tempfail', 'commit_timeout': '500'})
    mail.send('first@deliver.example')
    mail.daemon.wait_events('recipients=first@deliver.example&events=delivery')
    lock = sqlite3.connect(os.path.join(mail.daemon.store, 'control.sqlite'), isolation_level=None, timeout=10)
    lock.execute('BEGIN IMMEDIATE')
    _, reply, _ = mail.send('second@deliver.example')
    lock.execute('ROLLBACK')
    lock.close()
    expect('refused for now', ('DOT', 451), reply[:2])
    lab.wait_until('accepted again', lambda: mail.send('second@deliver.example')[1][1] == 250, 10)
    events = mail.daemon.wait_events('recipients=second@deliver.example&events=injection')
    expect('injected once', 1, len(events))


@flow('open messages survive a restart: the delivery has what the milter saw before')
def open_messages(environment):
    mail = hurt(environment, 'open')
    queue_id, _, _ = mail.send('grey.later@deliver.example', 'not yet', headers=[api_header(campaign_id='slow')])
    first = mail.daemon.wait_events(f'queue_ids={queue_id}', 2)
    expect('so far', {'injection', 'delay'}, {e['type'] for e in first})
    expect('a clean stop', 0, mail.daemon.stop())
    mail.postfix.wait_log(rf'{queue_id}: to=<grey.*status=sent')
    mail.daemon.start()
    delivery = mail.daemon.wait_events(f'queue_ids={queue_id}&events=delivery')[0]
    expect('subject, campaign', ('not yet', 'slow'), (delivery['subject'], delivery['campaign_id']))
    expect('retries', '1', delivery['num_retries'])
    expect('message', first[0]['message_id'], delivery['message_id'])
    expect('one injection', 1, len(mail.daemon.events(f'queue_ids={queue_id}&events=injection')))


@flow('postwaked stops within two seconds although an SMTP session is open')
def quick_stop(environment):
    mail = hurt(environment, 'stop')
    import smtplib  # pylint: disable=import-outside-toplevel
    with smtplib.SMTP('127.0.0.1', mail.postfix.port['smtp']) as client:
        client.ehlo('client.example')
        client.mail('shop@lab.example')
        started = time.monotonic()
        expect('status', 0, mail.daemon.stop())
        expect('soon', True, time.monotonic() - started < 2)
        client.docmd('RSET')


@flow('the daemon drops days that are too old, and old lines are counted')
def retention(environment):
    base = environment.directory('retention')
    old, new = os.path.join(base, 'old.log'), os.path.join(base, 'new.log')
    month_ago = recently() - 30 * 86400
    put(old, log(month_ago, 'iso'))
    put(new, log(recently(), 'iso'))
    store = os.path.join(base, 'postwake', 'store')
    done = lab.run_postwake(environment.build, '-S', store, 'import', old, new)
    expect(f'import ({done.stderr})', 0, done.returncode)
    days = [f for f in os.listdir(store) if f[:2] == '20' and f.endswith('.db')]
    expect('an import without daemon keeps all', True, len(days) >= 2)
    done = lab.run_postwake(environment.build, '-S', store, 'prune', '--keep-days', '40')
    expect('nothing is that old', 1, done.returncode)
    daemon = environment.daemon('retention', base=os.path.join(base, 'postwake')).start()
    oldest = time.strftime('%Y-%m-%d', time.gmtime(time.time() - 11 * 86400))
    lab.wait_until('old days are gone', lambda: all(d['day'] > oldest for d in daemon.status()['days']), 10)
    expect('the rest is there', True, len(daemon.events()) > 0)


@flow('postwake prune drops old days of a store without a daemon')
def prune(environment):
    base = environment.directory('prune')
    path, store = os.path.join(base, 'old.log'), os.path.join(base, 'store')
    put(path, log(recently() - 30 * 86400, 'iso'))
    expect('import', 0, lab.run_postwake(environment.build, '-S', store, 'import', path).returncode)
    expect('found', 0, lab.run_postwake(environment.build, '-S', store, 'search', '--limit', '1').returncode)
    expect('dropped', 0, lab.run_postwake(environment.build, '-S', store, 'prune', '--keep-days', '10').returncode)
    expect('gone', 1, lab.run_postwake(environment.build, '-S', store, 'search', '--limit', '1').returncode)
    again = lab.run_postwake(environment.build, '-S', store, 'import', path)
    expect_in('summary', 'lines', again.stdout + again.stderr)
    expect('there again', 0, lab.run_postwake(environment.build, '-S', store, 'search', '--limit', '1').returncode)
