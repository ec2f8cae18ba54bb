"""The journal of a running journald, to which a real Postfix logs by syslog(3)."""

import collections
import os
import subprocess

import lab
from flow import Skip, expect, expect_in, flow
from journald import Journald
from logs import check_ledger

SHOP = 'shop@lab.example'


class Journaled:
    """journald, Postfix that logs to it, and postwaked with `journal = system`, in one mount namespace."""

    def __init__(self, environment):
        reason = Journald.missing()
        if reason:
            raise Skip(reason)
        base = environment.directory('journal')
        self.journald = Journald(base)
        self.postfix = lab.Postfix(os.path.join(base, 'postfix'), milter=False, main='maillog_file =\n')
        self.daemon = lab.Daemon(environment.build, os.path.join(base, 'postwake'), {'journal': 'system'})
        self.postfix.wrapper = self.daemon.wrapper = self.journald.inside
        self.sent = []
        try:
            self.journald.start()
            self.postfix.start()
            self.daemon.start()
        except BaseException:
            self.stop()
            raise

    def send(self, n):
        """Mails, every third of which bounces; waits until the journal has what became of them."""
        for _ in range(n):
            number = len(self.sent) + 1
            self.sent.append(f"u{number}@{'deliver' if number % 3 else 'bounce'}.example")
            self.postfix.send(SHOP, self.sent[-1])
        lab.wait_until('the journal has all', lambda: all(
            f'to=<{recipient}>, relay=' in self.journald.text() for recipient in self.sent[-n:]), 20, 0.2)

    def wanted(self, sent):
        return collections.Counter((kind, r) for r in sent
                                   for kind in ('injection', 'delivery' if 'deliver' in r else 'bounce'))

    def told(self):
        return collections.Counter((e['type'], e['rcpt_to']) for e in self.daemon.events() if e['rcpt_to'] in self.sent)

    def expect_told(self, sent):
        lab.wait_until('the last mail is told', lambda: self.told()[('injection', self.sent[-1])], 15)
        lab.wait_until('the last outcome is told', lambda: sum(self.told().values()) >= 2 * len(sent), 15)
        expect('each mail once', self.wanted(sent), self.told())
        check_ledger(self.daemon.status())

    def gaps(self):
        """Of the journal: a slow disk has others."""
        return [gap['text'] for gap in self.daemon.status()['gaps'] if gap['source'] != 'postwaked']

    def stop(self):
        self.daemon.kill()
        self.postfix.stop()
        self.journald.stop()


def journaled(environment):
    return environment.once('journaled', lambda: Journaled(environment))


@flow('the journal of a running journald is followed through rotations, its restart and ours: each mail once')
def live(environment):
    here = journaled(environment)
    here.send(3)
    here.expect_told(here.sent)
    here.journald.rotate()
    here.send(3)
    here.journald.end()
    here.journald.start()
    here.send(3)
    here.expect_told(here.sent)
    here.daemon.kill()
    here.send(3)
    here.journald.rotate()
    here.send(3)
    here.daemon.start()
    here.expect_told(here.sent)
    expect('gaps', [], here.gaps())


@flow('what any other user writes to the journal under the name of Postfix is no event')
def forged(environment):
    here = journaled(environment)
    line = 'ABCDEF01234: to=<forged@deliver.example>, relay=none, delay=1, delays=1/0/0/0, dsn=5.1.1, status=bounced (no)'
    subprocess.run([*here.journald.inside, 'setpriv', '--reuid', '65534', '--clear-groups', 'logger', '-p', 'mail.info',
                    '-t', 'postfix/smtp', line], check=True)
    lab.wait_until('the journal has it', lambda: line in here.journald.text(), 10)
    here.send(1)
    here.expect_told(here.sent)
    expect('events of it', [], here.daemon.events('recipients=forged@deliver.example'))


@flow('what journald gave up before it was read is a gap')
def vacuumed(environment):
    here = journaled(environment)
    before = list(here.sent)
    here.daemon.stop()
    here.send(2)
    here.journald.rotate()
    for path in here.journald.files():
        if os.path.basename(path).startswith('system@'):
            os.unlink(path)
    here.send(3)
    here.daemon.start()
    here.expect_told(before + here.sent[-3:])
    expect_in('the gap', 'vacuumed', str(here.gaps()))
