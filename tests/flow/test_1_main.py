"""The main job: mails through a real Postfix, found by the HTTP API."""

import os
import re
import sys
import time

import lab
from flow import expect, expect_in, flow
from world import SUBJECT, world

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'golden'))
import check_fields  # noqa: E402


@flow('a delivered mail has an injection with what the milter saw, and a delivery')
def delivered(environment):
    events = world(environment).of('delivered')
    expect('types', ['injection', 'delivery'], [e['type'] for e in events])
    for event in events:
        expect('recipient', ('alice@deliver.example', 'Alice@deliver.example'), (event['rcpt_to'], event['raw_rcpt_to']))
        expect('subject', 'Welcome aboard', event['subject'])
        expect('From', 'shop@lab.example', event['friendly_from'])
        expect('sender', 'shop@lab.example', event['msg_from'])
        expect('campaign', 'spring, sale', event['campaign_id'])
        expect('metadata', {'order': '4711'}, event['rcpt_meta'])
        expect('tags', ['news', 'de'], event['rcpt_tags'])
        expect('queue id', world(environment).ids['delivered'], event['queue_id'])
        expect('recv_method', 'esmtp', event['recv_method'])
        expect('timestamp', True, bool(re.fullmatch(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00', event['timestamp'])))
        expect('injection_time', True, bool(re.fullmatch(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z', event['injection_time'])))
        expect('message_id', True, bool(re.fullmatch(r'0000[0-9a-f]{16}', event['message_id'])))
        expect('accounts', ('1', '0'), (event['customer_id'], event['subaccount_id']))
    expect('reply', '250 2.0.0 Ok: sink-id', re.sub(r' \d+$', '', events[1]['raw_reason']))
    expect('remote host', ('127.0.0.1', '127.0.0.1'), (events[1]['ip_address'], events[1]['mx_host']))
    expect('retries', '0', events[1]['num_retries'])
    expect('queue_time is text of milliseconds', True, events[1]['queue_time'].isdigit())


@flow('a deferred mail has a delay for each try, with the reply')
def deferred(environment):
    events = world(environment).of('deferred')
    delays = [e for e in events if e['type'] == 'delay']
    expect('one injection', 1, sum(e['type'] == 'injection' for e in events))
    expect('several delays', True, len(delays) >= 2)
    expect('retries', ['0', '1'], [e['num_retries'] for e in delays[:2]])
    for delay in delays:
        expect('codes', ('452', '4.2.2'), (delay['error_code'], delay['dsn']))
        expect_in('reply', '452 4.2.2 <bob@defer.example>: mailbox full', delay['raw_reason'])
        expect('class of a full mailbox', '22', delay['bounce_class'])


@flow('a refused recipient bounces with code, class and reply')
def bounced(environment):
    bounce = world(environment).of('bounced', 'bounce')
    expect('one bounce', 1, len(bounce))
    expect('codes', ('550', '5.1.1', '10'), (bounce[0]['error_code'], bounce[0]['dsn'], bounce[0]['bounce_class']))
    expect_in('reply', 'Recipient address rejected: User unknown', bounce[0]['raw_reason'])
    expect('subject', 'Reset your password', bounce[0]['subject'])


@flow('a message refused at its end bounces')
def refused_at_dot(environment):
    bounce = world(environment).of('dothard', 'bounce')
    expect('codes', [('554', '5.7.1')], [(e['error_code'], e['dsn']) for e in bounce])


@flow('a recipient refused at RCPT is a policy_rejection and nothing else')
def policy_rejection(environment):
    events = world(environment).daemon.events('recipients=refused@deliver.example')
    expect('types', ['policy_rejection'], [e['type'] for e in events])
    expect('codes', ('554', '5.7.1'), (events[0]['error_code'], events[0]['dsn']))
    expect_in('reason', 'policy says no', events[0]['raw_reason'])
    expect_in('client', '127.0.0.1', events[0]['remote_addr'])
    expect('sender', 'shop@lab.example', events[0]['msg_from'])


@flow('a mail that a header check refused has no injection')
def header_check(environment):
    events = world(environment).daemon.events('recipients=header@deliver.example')
    expect('types', ['policy_rejection'], [e['type'] for e in events])
    expect_in('reason', 'header policy', events[0]['raw_reason'])


@flow('a mail that another milter refused after ours has no injection')
def late_refusal(environment):
    events = world(environment).daemon.events('recipients=late@deliver.example')
    expect('types', ['policy_rejection'], [e['type'] for e in events])
    expect_in('reason', 'refused by the second filter', events[0]['raw_reason'])


@flow('a recipient that another milter refused after ours has no injection, and the others of the mail have theirs')
def half_refused(environment):
    here = world(environment)
    expect('the mail', ['injection', 'delivery'], [e['type'] for e in here.of('half') if e['rcpt_to'] == 'half@deliver.example'])
    for recipient in ('late-refused.1@deliver.example', 'late-refused.2@deliver.example'):
        events = here.daemon.events(f'recipients={recipient}')
        expect(recipient, ['policy_rejection'], [e['type'] for e in events])
        expect_in('reason', 'refused by the second filter', events[0]['raw_reason'])


@flow('the hops of a content filter are one mail with the final outcomes')
def content_filter(environment):
    events = world(environment).of('filtered')
    story = {}
    for event in events:
        story.setdefault(event['rcpt_to'], []).append(event['type'])
    expect('story', {'fred@deliver.example': ['injection', 'delivery'], 'gina@bounce.example': ['injection', 'bounce']},
           story)
    expect('subject', {'Through a filter'}, {e['subject'] for e in events})
    again = world(environment).daemon.events('recipients=fred@deliver.example')
    expect('no second message', 1, len({e['message_id'] for e in again}))


@flow('a greylisted mail has a delay and then a delivery that counts the retry')
def greylisted(environment):
    events = world(environment).of('grey')
    expect('types', ['injection', 'delay', 'delivery'], [e['type'] for e in events])
    expect('retries', ('0', '1'), (events[1]['num_retries'], events[2]['num_retries']))
    expect('queue_time of the second try, ms', True, int(events[2]['queue_time']) >= 1000)


@flow('two recipients of one mail have outcomes of their own')
def two_recipients(environment):
    events = world(environment).of('two')
    expect('outcomes', {('ok.ina@deliver.example', 'injection'), ('ok.ina@deliver.example', 'delivery'),
                        ('hard.jan@deliver.example', 'injection'), ('hard.jan@deliver.example', 'bounce')},
           {(e['rcpt_to'], e['type']) for e in events})
    expect('events', 4, len(events))
    expect('message', 1, len({e['message_id'] for e in events}))


@flow('LMTP, TLS and unreachable hosts are told as they are')
def other_transports(environment):
    here = world(environment)
    expect('lmtp', ['lmtp'], [e['service'] for e in here.of('lmtp', 'delivery')])
    expect('tls', ['delivery'], [e['type'] for e in here.of('tls') if e['type'] != 'injection'])
    closed = here.of('closed', 'delay')[0]
    expect('nobody answered', ('4.4.1', False), (closed['dsn'], 'mx_host' in closed))
    expect_in('why', 'Connection refused', closed['raw_reason'])


@flow('an encoded Subject is found decoded')
def encoded_subject(environment):
    expect('subject', {SUBJECT}, {e['subject'] for e in world(environment).of('utf8')})


@flow('local submission is recv_method local')
def local_submission(environment):
    events = world(environment).daemon.events('recipients=sven@deliver.example')
    expect('types', {'injection', 'delivery'}, {e['type'] for e in events})
    expect('recv_method', {'local'}, {e['recv_method'] for e in events})
    expect('subject', {'from cron'}, {e['subject'] for e in events})


@flow('the null sender is an empty msg_from')
def null_sender(environment):
    expect('msg_from', {''}, {e['msg_from'] for e in world(environment).of('null')})


@flow('a bounce that Postfix sent names the mail that it is about')
def notification(environment):
    here = world(environment)
    bounced_id = here.of('bounced')[0]['message_id']
    notices = [e for e in here.daemon.events('recipients=shop@lab.example') if e.get('parent_message_id') == bounced_id]
    expect('injection and delivery of the notice', {'injection', 'delivery'}, {e['type'] for e in notices})


@flow('events of a real Postfix with its milter have the fields that postwake-event(5) says they can have')
def fields(environment):
    letters, seen = check_fields.table(), check_fields.fields_of(world(environment).daemon.events())
    for kind, names in seen.items():
        expect(f'fields of {kind} that it cannot have', [], sorted(f for f in names if letters[kind].get(f, '.') in '.n'))
    told = {f for names in seen.values() for f in names}
    expect('fields of the milter alone', set(), {'subject', 'friendly_from', 'campaign_id', 'open_tracking', 'helo',
                                                 'transactional', 'sending_domain', 'rcpt_meta', 'rcpt_tags'} - told)


@flow('an event is found within a second of its log line')
def fast(environment):
    here = world(environment)
    queue_id, _ = here.postfix.send('shop@lab.example', 'hurry@bounce.example')
    lab.wait_until('the bounce is logged', lambda: f'{queue_id}: to=<hurry@' in here.postfix.log_text(), interval=0.002)
    started = time.monotonic()
    here.daemon.wait_events(f'queue_ids={queue_id}&events=bounce', timeout=5)
    expect('within a second', True, time.monotonic() - started < 1)


@flow('every line of the log is in exactly one class of the ledger')
def ledger(environment):
    here = world(environment)
    lab.wait_until('the follower is at the end', here.at_end)
    for source in here.daemon.status()['ledger']:
        expect(f"sum of {source['source']}", source['lines'],
               sum(source[c] for c in ('event', 'linked', 'ignored', 'known', 'unparsed')))
        expect(f"unparsed lines of {source['source']}", 0, source['unparsed'])
