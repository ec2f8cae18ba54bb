"""pseudonymise = yes: nothing in the store tells an address, and everything is found by address all the same."""

import json
import os
import re
import shutil
import subprocess

import lab
from flow import expect, expect_in, flow
from test_4_reports import STATUS, hand_over, mail
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
    def __init__(self, environment):
        base = environment.directory('pseudonym')
        self.postfix = lab.Postfix(os.path.join(base, 'postfix'), retry=2)
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
    sent = here.daemon.events(f'recipients={PERSON}&events=delivery')[0]
    text = mail(1, sent['header_message_id'], STATUS.format(PERSON))
    expect('taken', '1 event(s), 1 new\n', hand_over(here.daemon, text).stdout)
    expect('again', '1 event(s), 0 new\n', hand_over(here.daemon, text).stdout)
    bounce = here.daemon.wait_events(f'recipients={PERSON}&events=out_of_band')[0]
    for name in ('message_id', 'rcpt_to', 'subject', 'msg_from', 'rcpt_meta'):
        expect(name, sent[name], bounce[name])
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
