"""Reports among the mails that pass: the milter with reports=yes."""

import os
import re
import smtplib

import lab
from flow import expect, flow
from test_4_reports import FEEDBACK, STATUS, hand_over, mail

MEGABYTE = 1 << 20
VERP = 'bounces+{recipient}@deliver.example'
ANSWER = '''From: bea@deliver.example
To: shop@lab.example
Message-ID: <away-{number}@deliver.example>
Auto-Submitted: auto-replied
Subject: Out of office

Away.
'''


class Passing:
    """Postfix with a milter that takes reports, and a mail that was delivered: `sent`."""

    def __init__(self, environment):
        base = environment.directory('passing')
        self.postfix = lab.Postfix(os.path.join(base, 'postfix'))
        self.daemon = lab.Daemon(environment.build, os.path.join(base, 'postwake'), {'file': self.postfix.log},
                                 self.postfix.milter_socket,
                                 {'milter': {'reports': 'yes'}, 'report': {'verp': VERP, 'keep_reports': 'yes'}})
        try:
            self.daemon.start()
            self.postfix.command('postconf', '-e', 'message_size_limit = 0')
            self.postfix.start()
            self.postfix.send('shop@lab.example', ['anna@deliver.example', 'bea@deliver.example'],
                              headers=['X-MSYS-API: {"campaign_id": "spring"}'])
            self.sent = self.daemon.wait_events('events=delivery', 2)[0]
        except BaseException:
            self.stop()
            raise

    def passes(self, sender, recipient, text):
        """By SMTP; returns when it was accepted."""
        with smtplib.SMTP('127.0.0.1', self.postfix.port['smtp']) as client:
            client.sendmail(sender, [recipient], re.sub('(?i)^Return-Path:.*\n', '', text).encode())

    def read_bytes(self):
        """What postwaked has read so far, from sockets too."""
        with open(f'/proc/{self.daemon.process.pid}/io', encoding='ascii') as file:
            return int(re.search(r'rchar: (\d+)', file.read()).group(1))

    def counter(self, name):
        return self.daemon.status()['counters'].get(name, 0)

    def stop(self):
        self.postfix.stop()
        self.daemon.stop()


def passing(environment):
    return environment.once('passing', lambda: Passing(environment))


@flow('a bounce that passes the milter becomes an out_of_band, and the pipe adds no second one')
def bounce_in_passing(environment):
    here = passing(environment)
    text = mail(11, here.sent['header_message_id'], STATUS.format('anna@deliver.example'))
    here.passes('', 'shop@deliver.example', text)
    event = here.daemon.wait_events('recipients=anna@deliver.example&events=out_of_band')[0]
    expect('joined', (here.sent['message_id'], 'spring', '22'),
           (event['message_id'], event['campaign_id'], event['bounce_class']))
    expect('what no result shows', False, 'report_mime' in event)
    records = here.daemon.get(f"/v1/events/messageid/{event['message_id']}")[1]
    mime = next(r['data']['mime'] for r in records if r['event'] == 'bounce')
    expect('the mail itself', text.split('\n\n', 1)[1].strip(), mime.replace('\r', '').split('\n\n', 1)[1].strip())
    expect('by the pipe', '1 event(s), 0 new\n', hand_over(here.daemon, text).stdout)
    here.passes('', 'shop@deliver.example', text)
    text = mail(12, here.sent['header_message_id'], FEEDBACK.format('anna@deliver.example'), 'feedback-report')
    expect('by the pipe first', '1 event(s), 1 new\n', hand_over(here.daemon, text).stdout)
    here.passes('fbl@far.example', 'shop@deliver.example', text)
    here.passes('', 'shop@deliver.example', mail(13, 'unknown@lab.example', STATUS.format('last@deliver.example')))
    here.daemon.wait_events('recipients=last@deliver.example&events=out_of_band')
    expect('bounces', 1, len(here.daemon.events('recipients=anna@deliver.example&events=out_of_band')))
    expect('complaints', 1, len(here.daemon.events('events=spam_complaint')))


@flow('of a 20 MB mail that is no report the milter reads the first piece alone')
def large_mail(environment):
    here = passing(environment)
    before = here.read_bytes()
    here.passes('shop@lab.example', 'large@deliver.example', 'Subject: large\n\n' + ('x' * 75 + '\n') * (20 * MEGABYTE // 76))
    here.daemon.wait_events('recipients=large@deliver.example&events=injection')
    grown = here.read_bytes() - before
    if grown > MEGABYTE:
        raise AssertionError(f'postwaked read {grown} bytes')
    before = here.read_bytes()
    text = mail(14, 'unknown@lab.example', STATUS.format('long@deliver.example'))
    here.passes('', 'shop@deliver.example', text + ('x' * 75 + '\n') * (20 * MEGABYTE // 76))
    here.daemon.wait_events('recipients=long@deliver.example&events=out_of_band')
    grown = here.read_bytes() - before
    if not 4 * MEGABYTE <= grown <= 6 * MEGABYTE:
        raise AssertionError(f'of a large report postwaked read {grown} bytes')


@flow("what a person's program answers counts at a bounce address only; all mail flows on")
def answers(environment):
    here = passing(environment)
    here.passes('', 'friend@deliver.example', ANSWER.format(number=1))
    here.passes('', 'bounces+bea=deliver.example@deliver.example', ANSWER.format(number=2))
    event = here.daemon.wait_events('recipients=bea@deliver.example&events=out_of_band')[0]
    expect('class', '60', event['bounce_class'])
    here.postfix.wait_log(r'to=<friend@deliver\.example>.*status=sent')
    here.postfix.wait_log(r'to=<bounces\+bea=deliver\.example@deliver\.example>.*status=sent')
    expect('events', 1, len(here.daemon.events('recipients=bea@deliver.example&events=out_of_band')))
