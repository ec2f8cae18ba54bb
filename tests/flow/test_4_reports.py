"""Mails about mails: bounces and complaints that come back become events of the mail that went out."""

import email.utils
import os
import re

import lab
from flow import Skip, expect, flow
from world import world

BOUNCE = '''Return-Path: <>
Date: {date}
From: Mail Delivery System <MAILER-DAEMON@deliver.example>
To: shop@lab.example
Subject: Undelivered Mail Returned to Sender
Message-ID: <report-{number}@deliver.example>
MIME-Version: 1.0
Content-Type: multipart/report; report-type={kind}; boundary="b"

--b
Content-Type: message/{kind}

{status}

--b
Content-Type: text/rfc822-headers

Message-ID: <{original}>
From: shop@lab.example

--b--
'''
STATUS = '''Reporting-MTA: dns; mx.deliver.example

Final-Recipient: rfc822; {0}
Action: failed
Status: 5.2.2
Diagnostic-Code: smtp; 552 5.2.2 Mailbox full'''
FEEDBACK = '''Feedback-Type: abuse
User-Agent: LabFBL/1.0
Original-Rcpt-To: {0}'''


def mail(number, original, status, kind='delivery-status'):
    return BOUNCE.format(number=number, original=original, status=status, kind=kind,
                         date=email.utils.formatdate())


def hand_over(daemon, text):
    return daemon.postwake('report', '-v', stdin=text)


@flow('a bounce that is piped to postwake report becomes an out_of_band of the mail that was delivered')
def out_of_band(environment):
    here = world(environment)
    sent = here.of('delivered', 'delivery')[0]
    text = mail(1, sent['header_message_id'], STATUS.format(sent['rcpt_to']))
    expect('taken', '1 event(s), 1 new\n', hand_over(here.daemon, text).stdout)
    expect('again', '1 event(s), 0 new\n', hand_over(here.daemon, text).stdout)
    event = here.daemon.wait_events(f"recipients={sent['rcpt_to']}&events=out_of_band")[0]
    for name in ('message_id', 'queue_id', 'subject', 'campaign_id', 'rcpt_meta', 'rcpt_tags', 'msg_from', 'ip_address'):
        expect(name, sent.get(name), event.get(name))
    expect('told by the report', ('22', '5.2.2', '552 5.2.2 Mailbox full'),
           (event['bounce_class'], event['dsn'], event['raw_reason']))


@flow('a complaint becomes a spam_complaint with its campaign')
def spam_complaint(environment):
    here = world(environment)
    sent = here.of('delivered', 'delivery')[0]
    text = mail(2, sent['header_message_id'], FEEDBACK.format(sent['rcpt_to']), 'feedback-report')
    expect('taken', '1 event(s), 1 new\n', hand_over(here.daemon, text).stdout)
    event = here.daemon.wait_events(f"recipients={sent['rcpt_to']}&events=spam_complaint")[0]
    expect('told', ('abuse', 'LabFBL/1.0', 'spring, sale'),
           (event['fbtype'], event['user_str'], event['campaign_id']))


@flow('an ordinary mail is taken and means nothing; without a daemon the mail system is told to try again')
def nothing_and_later(environment):
    here = world(environment)
    expect('nothing', '0 event(s), 0 new\n', hand_over(here.daemon, 'From: a@b.example\nSubject: Hello\n\nHi.\n').stdout)
    gone = lab.run_postwake(environment.build, '-s', '/nonexistent/query.sock', 'report', stdin='x\n')
    expect('EX_TEMPFAIL', 75, gone.returncode)
    expect('EX_USAGE', 64, here.daemon.postwake('report', 'file').returncode)
    large = 'From: a@b.example\n\n' + 'x' * 70 + '\n' + ('y' * 76 + '\n') * 100000
    expect('a large mail', 0, hand_over(here.daemon, large).returncode)


def reachable(path):
    """Whether any user may run it."""
    parts = path.split('/')
    return all(os.stat('/'.join(parts[:n]) or '/').st_mode & 0o001 for n in range(1, len(parts) + 1))


@flow("Postfix's pipe transport hands bounces to postwake report")
def pipe_transport(environment):
    """The snippet of contrib/postfix, on the private Postfix: a mail to the bounce address ends in postwake report."""
    here = world(environment)
    sent = here.of('tls', 'delivery')[0]
    program = os.path.join(environment.build, 'postwake')
    if not reachable(program):
        raise Skip(f'{program} is not open to the user of the transport')
    with open(os.path.join(here.postfix.etc, 'master.cf'), 'a', encoding='utf-8') as file:
        file.write('postwake unix - n n - 4 pipe flags=Rq user=nobody null_sender=\n'
                   f'  argv={program} -s {here.daemon.socket} report\n')
    transport = os.path.join(here.postfix.etc, 'report_transport')
    lab.write(transport, 'bounces@report.example postwake:\n')
    current = here.postfix.command('postconf', '-h', 'transport_maps').stdout.strip()
    here.postfix.command('postconf', '-e', f'transport_maps = texthash:{transport} {current}')
    os.chmod(here.daemon.socket, 0o666)
    for part in (os.path.dirname(here.daemon.socket), environment.base):
        os.chmod(part, 0o755)
    here.postfix.command('postfix', 'reload')
    body = mail(3, sent['header_message_id'], STATUS.format(sent['rcpt_to']))
    header, body = body.split('\n\n', 1)
    kept = [line for line in header.split('\n') if re.match('MIME|Content', line)]
    here.postfix.send('', 'bounces@report.example', 'Undelivered Mail', kept, body.replace('\n', '\r\n'))
    event = here.daemon.wait_events(f"recipients={sent['rcpt_to']}&events=out_of_band")[0]
    expect('joined', sent['message_id'], event['message_id'])
    here.postfix.wait_log(r'bounces@report\.example>, relay=postwake, .*status=sent')
