"""A real Sendmail beside a real Postfix on one host: both logs followed, one milter listener for each."""

import json
import os
import re
import smtplib

import lab
import sendmail
from flow import Skip, expect, expect_in, flow
from test_4_reports import STATUS, mail
from world import api_header


class Pair:
    """Sendmail and Postfix with one postwaked."""

    def __init__(self, environment):
        base = environment.directory('sendmail')
        snippet = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../contrib/sendmail/postwake.m4')
        socket = os.path.join(base, 'sendmail', 'postwake', 'milter.sock')
        os.makedirs(os.path.join(base, 'sendmail'))
        adapted = os.path.join(base, 'postwake.m4')  # the snippet with the socket of this run
        lab.write(adapted, lab.read(snippet).replace('/run/postwake/', '/srv/postwake/'))
        self.postfix = lab.Postfix(os.path.join(base, 'postfix'), milter=False)
        self.sendmail = sendmail.Sendmail(environment.sendmail, adapted, os.path.join(base, 'sendmail'),
                                          lab.RefusingMilter())
        self.daemon = lab.Daemon(environment.build, os.path.join(base, 'postwake'),
                                 {'file': self.sendmail.log, 'zone': 'UTC'}, socket,
                                 {'postwake': {'node': 'mx'}, 'milter': {'reports': 'yes'},
                                  'source postfix': {'file': self.postfix.log, 'zone': 'UTC'}})
        try:
            lab.write(self.sendmail.log, '')
            self.daemon.start()
            self.postfix.start()
            self.sendmail.start()
        except BaseException:
            self.stop()
            raise

    def stop(self):
        self.postfix.stop()
        self.sendmail.stop()
        self.daemon.stop()


def pair(environment):
    reason = sendmail.why_not(environment.sendmail)
    if reason:
        raise Skip(reason)
    return environment.once('sendmail', lambda: Pair(environment))


def types(events):
    return sorted((e['type'], e['rcpt_to']) for e in events)


@flow('Sendmail: a mail to three hosts is delivered, deferred and bounced, with what the milter saw of it')
def test_outcomes(environment):
    both = pair(environment)
    recipients = ['ok.ada@py.example', 'soft.bob@py.example', 'hard.cy@py.example']
    queue_id = both.sendmail.send('ok.shop@py.example', recipients, [
        'Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=', api_header(campaign_id='spring', tags=['news'])])
    both.daemon.wait_events(f'queue_ids={queue_id}&events=bounce')
    both.daemon.wait_events(f'queue_ids={queue_id}&events=delay')
    both.daemon.wait_events(f'queue_ids={queue_id}&events=injection', 3)
    events = both.daemon.wait_events(f'queue_ids={queue_id}&events=injection,delivery,bounce', 5)
    expect('events', sorted([('injection', r) for r in recipients]
                            + [('delivery', recipients[0]), ('bounce', recipients[2])]), types(events))
    for event in events:
        expect('subject', 'Grüße', event['subject'])
        expect('campaign', 'spring', event['campaign_id'])
        expect('sender', 'ok.shop@py.example', event['msg_from'])
        expect('message', events[0]['message_id'], event['message_id'])
    bounce = next(e for e in events if e['type'] == 'bounce')
    expect_in('reason', 'Recipient address rejected', bounce['raw_reason'])
    expect('codes', ('550', '5.1.1', '10'), (bounce['error_code'], bounce['dsn'], bounce['bounce_class']))
    notice = both.daemon.wait_events('events=injection&recipients=ok.shop@py.example')
    expect('notice', (events[0]['message_id'], ''), (notice[0]['parent_message_id'], notice[0]['msg_from']))


@flow('Sendmail: a greylisted mail is delayed, then delivered, as one message')
def test_grey(environment):
    both = pair(environment)
    queue_id = both.sendmail.send('shop@lab.example', ['grey.dan@py.example'])
    delivery = both.daemon.wait_events(f'queue_ids={queue_id}&events=delivery', timeout=20)[0]
    delay = both.daemon.wait_events(f'queue_ids={queue_id}&events=delay')[0]
    expect('message', delay['message_id'], delivery['message_id'])
    expect_in('reason', 'Greylisted', delay['raw_reason'])
    expect('retries', '1', str(delivery['num_retries']))


@flow('Sendmail: refused by a ruleset, by another milter and for an unknown user, nothing is injected')
def test_refused(environment):
    both = pair(environment)
    both.sendmail.send('shop@lab.example', ['refused@py.example'])
    both.sendmail.send('shop@lab.example', ['nosuchuser@lab.example'])
    try:
        both.sendmail.send('late-refused@lab.example', ['late@py.example'], port='second')
    except Exception as refused:  # pylint: disable=broad-except
        expect_in('reply', 'second filter', str(refused))
    ruleset = both.daemon.wait_events('events=policy_rejection&recipients=refused@py.example')[0]
    expect('codes', ('550', '5.7.1'), (ruleset['error_code'], ruleset['dsn']))
    expect('client', '127.0.0.1', ruleset['remote_addr'].split(':')[0])
    unknown = both.daemon.wait_events('events=policy_rejection&recipients=nosuchuser@lab.example')[0]
    expect('reason', 'User unknown', unknown['raw_reason'])
    late = both.daemon.wait_events('events=policy_rejection&reason=second filter'.replace(' ', '%20'))[0]
    expect('stage', 'END-OF-MESSAGE', late['smtp_stage'])
    both.sendmail.send('shop@lab.example', ['ok.after@py.example'])
    both.daemon.wait_events('events=delivery&recipients=ok.after@py.example')
    for recipient in ('refused@py.example', 'nosuchuser@lab.example', 'late@py.example'):
        expect(f'injections of {recipient}', [], both.daemon.events(f'events=injection&recipients={recipient}'))


@flow('Sendmail: what the submission client hands to the daemon is one mail')
def test_submission(environment):
    both = pair(environment)
    both.sendmail.submit('cron@lab.example', ['ok.eva@py.example'])
    delivery = both.daemon.wait_events('events=delivery&recipients=ok.eva@py.example')
    both.sendmail.wait_log(r'mailer=relay.*stat=Sent')
    events = both.daemon.events(f"message_ids={delivery[0]['message_id']}")
    expect('events', [('delivery', 'ok.eva@py.example'), ('injection', 'ok.eva@py.example')], types(events))
    expect('deliveries', 1, len(both.daemon.events('events=delivery&recipients=ok.eva@py.example')))


@flow('Sendmail: a bounce that passes the milter becomes an out_of_band; a large mail is skipped and flows on')
def test_passing(environment):
    both = pair(environment)
    both.sendmail.send('ok.shop@py.example', ['ok.ida@py.example'], ['Message-ID: <for.ida@lab.example>'])
    sent = both.daemon.wait_events('events=delivery&recipients=ok.ida@py.example')[0]
    text = re.sub('(?m)^Return-Path:.*\n', '', mail(21, 'for.ida@lab.example', STATUS.format('ok.ida@py.example')))
    with smtplib.SMTP('127.0.0.1', both.sendmail.port['smtp']) as client:
        client.sendmail('', ['ok.shop@py.example'], text)
        client.sendmail('shop@lab.example', ['ok.large@py.example'], 'Subject: large\n\n' + ('x' * 75 + '\n') * 50000)
    event = both.daemon.wait_events('events=out_of_band&recipients=ok.ida@py.example')[0]
    expect('joined', (sent['message_id'], '22'), (event['message_id'], event['bounce_class']))
    both.daemon.wait_events('events=delivery&recipients=ok.large@py.example')


@flow('Sendmail and Postfix on one host: each mail is told once, and the ledger counts both logs')
def test_both(environment):
    both = pair(environment)
    postfix_id, _ = both.postfix.send('shop@lab.example', 'fay@deliver.example')
    sendmail_id = both.sendmail.send('shop@lab.example', ['ok.gus@py.example'])
    for queue_id, recipient in ((postfix_id, 'fay@deliver.example'), (sendmail_id, 'ok.gus@py.example')):
        both.daemon.wait_events(f'queue_ids={queue_id}', 2)
        expect('events', [('delivery', recipient), ('injection', recipient)],
               types(both.daemon.events(f'queue_ids={queue_id}')))
    lines = both.postfix.log_text().count('\n') + both.sendmail.log_text().count('\n')
    lab.wait_until('both logs are read', lambda: sum(s['lines'] for s in both.daemon.status()['ledger']) >= lines)
    unparsed = sum(s['unparsed'] for s in both.daemon.status()['ledger'])
    expect('unparsed lines', 0, unparsed)


@flow('Sendmail: mail for the names in class w is inbound')
def test_inbound(environment):
    both = pair(environment)
    both.sendmail.send('shop@py.example', ['nobody.there@lab.example'])
    both.sendmail.send('shop@lab.example', ['ok.ida@py.example'])
    both.daemon.wait_events('events=delivery&recipients=ok.ida@py.example')
    both.daemon.wait_events('events=policy_rejection&recipients=nobody.there@lab.example')
    copy = os.path.join(environment.directory('class-w'), 'sendmail.cf')  # its files lie in /srv only for Sendmail
    lab.write(copy, lab.read(os.path.join(both.sendmail.base, 'etc', 'sendmail.cf'))
              .replace('/srv/', both.sendmail.base + '/'))
    done = lab.run_postwake(environment.build, 'parse', '--zone', 'UTC', '--relay-domains', f'sendmail:{copy}',
                            both.sendmail.log)
    kinds = {(e['type'], e.get('rcpt_to')) for e in map(json.loads, done.stdout.splitlines())}
    expect('refused by us', [('relay_rejection', 'nobody.there@lab.example')],
           [k for k in kinds if k[1] == 'nobody.there@lab.example'])
    expect('sent to others', {('injection', 'ok.ida@py.example'), ('delivery', 'ok.ida@py.example')},
           {k for k in kinds if k[1] == 'ok.ida@py.example'})
