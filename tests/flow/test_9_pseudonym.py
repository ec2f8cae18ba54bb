"""pseudonymise = yes: nothing in the store tells an address, and everything is found by address all the same."""

import base64
import json
import os
import re
import shutil
import smtplib
import subprocess
import time
import urllib.parse

import lab
from flow import expect, expect_in, flow
from test_4_reports import FEEDBACK, STATUS, hand_over, mail
from test_9_forget import grep, mail as log_mail
from test_9_ingest import batch, event, need_curl, outcome, send
from logs import put, recently
from world import api_header

PERSON = 'Hide.Me-77@deliver.example'
VERP = 'bounces-hide.me-77=deliver.example@lab.example'
WHO = b'hide.me-77'
ON = {'postwake': {'pseudonymise': 'yes'}}


def expect_none(here, when):
    expect(f'grep {when}', [], grep(here.daemon.store, WHO))
    expect(f'the sender, {when}', [], grep(here.daemon.store, b'jane.roe-5'))


class Here:
    def __init__(self, environment, main=''):
        base = environment.directory('pseudonym')
        self.postfix = lab.Postfix(os.path.join(base, 'postfix'), retry=2, main=main)
        self.daemon = environment.daemon('pseudonym', {'file': self.postfix.log}, self.postfix.milter_socket, sections=ON,
                                         base=os.path.join(base, 'postwake'))
        self.daemon.start()
        self.postfix.start()

    def stop(self):
        self.postfix.stop()
        self.daemon.kill()


@flow('pseudonymise = yes keeps no address of a real Postfix; searches, reports and erasures find it')
def pseudonymised(environment):
    here = Here(environment)
    try:
        here.postfix.send(VERP, PERSON, subject=f'For {PERSON}', headers=[api_header(metadata={'who': PERSON.lower()})])
        here.postfix.send('jane.roe-5@lab.example', ['dothard.hide.me-77@deliver.example', 'hide.me-77@defer.example'],
                          subject='Two')
        here.daemon.wait_events('recipients=hide.me-77@deliver.example&events=delivery')
        here.daemon.wait_events('recipients=hide.me-77@defer.example&events=delay')
        expect_none(here, 'while a mail is on its way')
        check_searches(here)
        check_report(here)
        here.daemon.kill()
        expect_none(here, 'after a kill')
        here.daemon.start()
        before = len(here.daemon.events())
        here.daemon.wait_events('recipients=hide.me-77@defer.example&events=delay', 2, 30)
        one = {e['message_id'] for e in here.daemon.events('recipients=hide.me-77@defer.example')}
        expect('a mail that was open at the kill stays one', 1, len(one))
        expect('import', 0, here.daemon.postwake('import', here.postfix.log).returncode)
        deliveries = here.daemon.events('events=delivery')
        expect('a log that is read again adds nothing', len({e['event_id'] for e in deliveries}), len(deliveries))
        expect('there is more', True, len(here.daemon.events()) >= before)
        expect_none(here, 'after an import')
        done = here.daemon.postwake('erase', '--recipient', PERSON, '--json')
        expect('erased', True, json.loads(done.stdout)['events'] >= 3)
        expect('nothing is found', [], here.daemon.events('recipients=hide.me-77@deliver.example'))
        expect_in('status', 'only keyed hashes since', here.daemon.postwake('status').stdout)
        expect('the key', '600', oct(os.stat(os.path.join(here.daemon.store, 'pseudonym.key')).st_mode)[-3:])
    finally:
        here.stop()


def check_searches(here):
    sent = here.daemon.events(f'recipients={PERSON}&events=delivery')[0]
    expect('what is shown', True, bool(re.fullmatch(r'pn-[a-z2-7]{16}@deliver\.example', sent['rcpt_to'])))
    expect('subject', f"For {sent['rcpt_to']}", sent['subject'])
    expect('metadata', {'who': sent['rcpt_to']}, sent['rcpt_meta'])
    expect('by what is shown', 1, len(here.daemon.events(f"recipients={sent['rcpt_to']}&events=delivery")))
    expect('from', 1, len(here.daemon.events(f"from_addresses={VERP.replace('=', '%3D')}&events=delivery")))
    expect('nobody else', [], here.daemon.events('recipients=hide.me-78@deliver.example'))
    found = here.daemon.postwake('search', '--recipient', PERSON, '--json')
    expect_in('postwake search', sent['rcpt_to'], found.stdout)
    status, answer, _ = here.daemon.get(f'/v1/events/email/{PERSON}')
    expect('SMTPeter', (200, True), (status, sent['rcpt_to'] in json.dumps(answer)))
    story = here.daemon.postwake('show', sent['queue_id'], '--proof')
    expect('show', 0, story.returncode)
    expect_in('its proof is in the log', 'status=sent', story.stdout)


def check_report(here):
    """Reports name the mail as it was written, by its id or by its Subject and From alone."""
    sent = here.daemon.events(f'recipients={PERSON}&events=delivery')[0]
    by_id = re.search(rf"{sent['queue_id']}: message-id=<(.*)>", here.postfix.log_text()).group(1)
    text = mail(1, by_id, STATUS.format(PERSON))
    expect('taken', '1 event(s), 1 new\n', hand_over(here.daemon, text).stdout)
    expect('again', '1 event(s), 0 new\n', hand_over(here.daemon, text).stdout)
    text = mail(2, by_id, FEEDBACK.format(PERSON), 'feedback-report')
    text = text.replace(f'Message-ID: <{by_id}>\nFrom: shop@lab.example', f'Subject: For {PERSON}\nFrom: {VERP}')
    expect('without the id', '1 event(s), 1 new\n', hand_over(here.daemon, text).stdout)
    for kind in ('out_of_band', 'spam_complaint'):
        told = here.daemon.wait_events(f'recipients={PERSON}&events={kind}')[0]
        for name in ('message_id', 'rcpt_to', 'subject', 'msg_from', 'rcpt_meta'):
            expect(f'{kind}: {name}', sent[name], told[name])
    expect_none(here, 'after a report')


def try_start(environment, daemon):
    return subprocess.run([os.path.join(environment.build, 'postwaked'), '-c', daemon.config], capture_output=True,
                          text=True, timeout=60, check=False)


@flow('pseudonymise = yes: ingested batches, an old plain day, a lost key, an upload that wants the address')
def pseudonym_rest(environment):
    need_curl()
    base, start = environment.directory('pseudonym-rest'), recently()
    path = os.path.join(base, 'mail.log')
    put(path, log_mail(start - 86400, 1, PERSON))
    daemon = environment.daemon('pseudonym-rest', {'file': path}, base=os.path.join(base, 'postwake'))
    daemon.start()
    daemon.wait_events(f'recipients={PERSON}&events=delivery')
    daemon.kill()
    daemon.settings['postwake'].update(ON['postwake'])
    daemon.write_config()
    daemon.start()
    put(path, log_mail(start, 2, PERSON), 'a')
    found = daemon.wait_events(f'recipients={PERSON}&events=delivery', 2)
    expect('old and new', [True, False], [e['rcpt_to'].startswith('pn-') for e in found])

    lines = [event('message_event', 'delivery', 900, rcpt_to=PERSON, subject='x'), event('banana', 'delivery', 901, rcpt_to=PERSON),
             'no JSON of ' + PERSON + '\n']
    expect('outcome', ('validation', 1, 2, 0), outcome(daemon, send(daemon, batch(lines))))
    daemon.wait_events(f'recipients={PERSON}&events=delivery', 3)
    # Its bytes go when its outcome is on the disk.
    lab.wait_until('grep of the spool finds nobody', lambda: not grep(os.path.join(daemon.store, 'ingest'), WHO), 10)
    expect('the batch once more', 'duplicate_batch', outcome(daemon, send(daemon, batch(lines)))[0])

    copy = os.path.join(base, 'backup')
    backup = lab.run_postwake(environment.build, '-S', daemon.store, 'backup', copy)
    expect('backup', 0, backup.returncode)
    expect('the key is not in it', False, os.path.exists(os.path.join(copy, 'pseudonym.key')))
    read = lab.run_postwake(environment.build, '-S', copy, 'search', '--recipient', PERSON)
    expect('nobody is found there by address', 2, read.returncode)
    expect_in('why', 'key of the pseudonyms', read.stderr)
    shutil.copy(os.path.join(daemon.store, 'pseudonym.key'), copy)
    read = lab.run_postwake(environment.build, '-S', copy, 'search', '--recipient', PERSON, '--json')
    expect('with the key', 0, read.returncode)

    daemon.kill()
    key = os.path.join(daemon.store, 'pseudonym.key')
    os.rename(key, key + '.away')
    ended = try_start(environment, daemon)
    expect('without the key it does not start', 1, ended.returncode)
    expect_in('why', 'put it back', ended.stderr)
    os.rename(key + '.away', key)
    daemon.settings['upload far'] = {'url': 'http://127.0.0.1:9', 'kind': 'postwake', 'privacy': 'yes'}
    daemon.write_config()
    ended = try_start(environment, daemon)
    expect('privacy', os.EX_CONFIG, ended.returncode)
    expect_in('why', 'rcpt_hash', ended.stderr)


ALIASES = 'virtual_alias_domains = virt.example\nvirtual_alias_maps = inline:{ all.as-1@virt.example=real.target-1@deliver.example }\n'
# Local parts that are nowhere else. Whoever sends or is written to has one; each is written in other ways.
WRITTEN = {
    'a Message-ID of the sender, who knows where the alias leads': 'real.target-1',
    'the alias': 'all.as-1',
    'upper case, with a detail': 'Upper.Case-2',
    'in quotes': 'quo ted-3',
    'SRS': 'srs.ender-4',
    'BATV': 'batv.sender-5',
    'letters beyond ASCII': 'jürgen.q-6',
    'an X-header, metadata, tags, a campaign': 'meta.data-7',
    'base64': 'base.coded-8',
    'hexadecimal digits': 'hexa.coded-9',
    'quoted-printable': 'quoted.print-10',
    'percent': 'percent.coded-11',
    'entities': 'entity.coded-12',
    'a login': 'login.name-13',
    'a lone reply': 'reply.user-14',
    'a line of no rule': 'odd.line-15',
    'an ingested event': 'ingest.ed-16',
    'an id of an ingested event': 'ingest.id-17',
    'a refused line of a batch': 'refused.line-18',
    'a relay': 'relay.user-19',
    'an answer of the sink': 'sink.user-20',
    'what is no local part of a mail': 'forward.user-21',
}


def forms(name):
    """A local part as it may stand in a file, in lower case: base64 also says what comes behind it."""
    plain = name.lower().encode()
    return [plain, plain.hex().encode(), base64.b64encode(plain + b'@deliver')[:len(plain) * 4 // 3].lower()]


def known(daemon):
    """The local parts that the files of the store or what is told of them hold."""
    told = b''
    if daemon.process:
        told = json.dumps([daemon.events(), daemon.status()], ensure_ascii=False).lower().encode()
    return [name for name in WRITTEN.values()
            if any(form in told or grep(daemon.store, form) for form in forms(name))]


def letter(here, sender, recipients, message_id, headers=()):
    head = [f'From: {sender}', 'To: undisclosed-recipients:;', f'Message-ID: {message_id}', *headers]
    with smtplib.SMTP('127.0.0.1', here.postfix.port['smtp'], local_hostname='client.example') as client:
        client.sendmail(sender, recipients, '\r\n'.join(head) + '\r\n\r\nHello.\r\n', ['SMTPUTF8'] if not sender.isascii() else ())


def letters(here):
    verp = 'verp+real.target-1=deliver.example@lab.example'
    letter(here, verp, ['all.as-1@virt.example'], '<1.real.target-1=deliver.example@lists.example>',
           ['Subject: for real.target-1=deliver.example'])
    letter(here, 'shop@lab.example', ['Upper.Case-2+shop@deliver.example'], '<Upper.Case-2@deliver.example>',
           ['Subject: UPPER.CASE-2@DELIVER.EXAMPLE and upper.case-2+shop'])
    letter(here, 'SRS0=aBcD=XX=far.example=srs.ender-4@lab.example', ['"quo ted-3"@deliver.example'],
           '<2@quo.ted-3=deliver.example>', ['Subject: "quo ted-3"@deliver.example'])
    coded = base64.b64encode(b'base.coded-8@deliver.example').decode()
    letter(here, 'prvs=0123abcdef=batv.sender-5@lab.example', ['meta.data-7@deliver.example'], '<3.meta.data-7@x.example>', [
        'Subject: =?utf-8?q?see_https=3A//x.example/u=3Fe=3Dpercent.coded-11%40deliver.example?=',
        api_header(campaign_id='for meta.data-7@deliver.example', tags=['meta.data-7', coded],
                   metadata={'hex': b'hexa.coded-9@deliver.example'.hex(), 'html': 'entity.coded-12&#64;deliver.example',
                             'meta.data-7@deliver.example': 'quoted.print-10=40deliver.example'})])
    letter(here, 'shop@lab.example', ['dothard.sink.user-20@deliver.example'], '<4@x.example>')


def lines(start):
    """What a log may say besides; the reply names somebody whom the mail does not."""
    stamp = time.strftime('%b %e %H:%M:%S', time.localtime(start))
    said = log_mail(start, 1, 'reply.user-14@deliver.example', 'reply.user-14 is forward.user-21@far.example, and forward.user-21 is full')
    said += log_mail(start, 2, 'jürgen.q-6@müller.example', 'jürgen.q-6 has it')
    said += log_mail(start, 3, 'x@deliver.example').replace('client=c.example[192.0.2.1]', 'client=c.example[192.0.2.1], '
                                                          'sasl_method=PLAIN, sasl_username=login.name-13@lab.example')
    return said + ''.join(f'{stamp} mx {line}\n' for line in (
        'postfix/smtp[1]: 4PS0000005: status=eaten for=<odd.line-15@deliver.example> and odd.line-15',
        'sendmail[80]: 5AMLRkAB000080: from=relay.user-19@lab.example, size=3, class=0, nrcpts=1, '
        'msgid=<1.relay.user-19@lab.example>, relay=relay.user-19@localhost',
        'sendmail[81]: 5AMLRkAB000080: to=<x@deliver.example>, ctladdr=<relay.user-19@lab.example> (1000/1000), '
        'delay=00:00:01, xdelay=00:00:01, mailer=esmtp, pri=30, relay=o.example. [1.2.3.4], dsn=2.0.0, stat=Sent (ok)'))


def find_written(daemon):
    """How many events each of them has, asked for as it was written."""
    asked = {
        'recipients': ('real.target-1@deliver.example', 'ALL.as-1@virt.example', 'upper.case-2+SHOP@deliver.example',
                       '"quo ted-3"@deliver.example', 'jürgen.q-6@müller.example', 'ingest.ed-16@deliver.example'),
        'from_addresses': ('SRS0=aBcD=XX=far.example=srs.ender-4@lab.example', 'relay.user-19@lab.example',
                           'prvs=0123abcdef=batv.sender-5@lab.example'),
        'message_ids': ('<1.real.target-1=deliver.example@lists.example>', 'Upper.Case-2@deliver.example',
                        'for.ingest.id-17@deliver.example'),
        'campaign_ids': ('for meta.data-7@deliver.example',),
        'subjects': ('upper.case-2@deliver.example', 'for real.target-1=deliver.example')}
    for name, values in asked.items():
        for value in values:
            expect(f'{name}={value} finds it', True, len(daemon.events(f'{name}={urllib.parse.quote(value)}')) > 0)


@flow('pseudonymise = yes: an alias, VERP, SRS, BATV, codings, replies, odd lines, ingested lines: nobody is named')
def written(environment):
    need_curl()
    here = Here(environment, ALIASES)
    try:
        letters(here)
        put(here.postfix.log, lines(recently()), 'a')
        here.daemon.wait_events('recipients=real.target-1@deliver.example&events=delivery')
        here.daemon.wait_events('recipients=meta.data-7@deliver.example&events=delivery')
        here.daemon.wait_events('recipients=dothard.sink.user-20@deliver.example&events=bounce')
        send(here.daemon, batch([
            event('message_event', 'delivery', 900, rcpt_to='ingest.ed-16@deliver.example', message_id='for.ingest.id-17@deliver.example',
                  transmission_id='to-ingest.id-17=deliver.example', ip_pool='ingest.id-17@deliver.example',
                  queue_id='ingest.ed-16@deliver.example', mx_host='ingest.ed-16@deliver.example'),
            event('message_event', 'delivery', 901, rcpt_to='refused.line-18@deliver.example', rcpt_hash='refused.line-18@x.example')]))
        here.daemon.wait_events('recipients=ingest.ed-16@deliver.example')
        expect('while it runs', [], known(here.daemon))
        find_written(here.daemon)
        one = '1.real.target-1=deliver.example@lists.example'
        expect('shown by Message-ID', 0, here.daemon.postwake('show', one).returncode)
        expect('erased by Message-ID', 0, here.daemon.postwake('erase', '--message', one).returncode)
        expect('that is gone', [], here.daemon.events('message_ids=' + urllib.parse.quote(one)))
        here.daemon.stop()
        expect('when it has stopped', [], known(here.daemon))
    finally:
        here.stop()
