"""Mail for domains of ours: only the type and its fields differ by direction.

1. relay.log: what each recipient of each mail gives, by hand.
2. Every golden log, parsed with and without some of its domains as ours: the same events (event_id, time, message,
   recipient, reply), in the same order; the type by the domain of the address that the sender used, and no other.
3. relay.log with the daemons cut off its tags: the same events of the same two instances.
"""

import os
import re
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from golden import TOP, Count, parse  # noqa: E402

HERE = os.path.join(TOP, 'tests', 'golden')
INBOUND = {'injection': 'relay_injection', 'delivery': 'relay_delivery', 'delay': 'relay_tempfail',
           'bounce': 'relay_permfail', 'policy_rejection': 'relay_rejection'}
SAME = ('event_id', 'timestamp', 'injection_time', 'message_id', 'queue_id', 'raw_rcpt_to', 'orig_rcpt_to', 'msg_from',
        'error_code', 'dsn', 'raw_reason', 'reason', 'bounce_class', 'num_retries', 'queue_time', 'recv_method')
DOMAINS = ['.py.example', 'lab.example', 'Virt.Example', 'localhost', '!closed.example', 'closed.example']
OURS = re.compile(r'^(.+\.py|lab|virt)\.example$|^localhost$')

RELAY_LOG = [
    ('policy_rejection', 'relay_rejection', 'refused@virt.example'),
    ('injection', 'relay_injection', 'info@virt.example'),
    ('delivery', 'relay_delivery', 'ivy@deliver.example'),  # where the alias leads to
    ('injection', 'relay_injection', 'root@lab.example'),
    ('delivery', 'relay_delivery', 'root@lab.example'),
    ('injection', 'relay_injection', 'bob@defer.example'),
    ('delay', 'relay_tempfail', 'bob@defer.example'),
    ('injection', 'injection', 'zoe@deliver.example'),
    ('delivery', 'delivery', 'zoe@deliver.example'),
    ('injection', 'relay_injection', 'postmaster@lab.example'),
    ('delivery', 'relay_delivery', 'postmaster@lab.example'),
    ('injection', 'injection', 'xena@deliver.example'),
    ('delivery', 'delivery', 'xena@deliver.example'),
    ('injection', 'relay_injection', 'hard.carol@bounce.example'),
    ('bounce', 'relay_permfail', 'hard.carol@bounce.example'),
    ('injection', 'injection', 'guest@elsewhere.example'),  # our notice to the sender
    ('bounce', 'bounce', 'guest@elsewhere.example'),
]


def check_by_hand(count):
    path = os.path.join(HERE, 'postfix', 'relay.log')
    domains = 'lab.example,virt.example defer.example\tBOUNCE.example'
    count.check('relay.log, all outbound', [(kind, rcpt) for kind, _, rcpt in RELAY_LOG],
                [(e['type'], e['rcpt_to']) for e in parse(path)])
    count.check('relay.log, inbound', [(kind, rcpt) for _, kind, rcpt in RELAY_LOG],
                [(e['type'], e['rcpt_to']) for e in parse('--relay-domains', domains, path)])


def is_ours(event):
    address = event.get('orig_rcpt_to') or event.get('raw_rcpt_to') or ''
    if not address:
        return False
    domain = address.rpartition('@')[2] if '@' in address else 'localhost'
    return bool(OURS.match(domain.rstrip('.').lower()))


def check_event(count, name, out, event):
    ours = is_ours(out)
    count.check(f'{name}: type', INBOUND[out['type']] if ours else out['type'], event['type'])
    count.check(f'{name}: what does not hang on the direction', {f: out.get(f) for f in SAME},
                {f: event.get(f) for f in SAME})
    count.check(f'{name}: origination', 'inbound' if ours else None, event.get('origination'))
    if not ours:
        count.check(f'{name}: event', out, event)


def check_log(count, kind, log):
    path = os.path.join(HERE, kind, log)
    out = parse(path)
    events = parse('--relay-domains', ' '.join(DOMAINS), path)
    if not count.check(f'{log}: events', len(out), len(events)):
        return 0
    for number, pair in enumerate(zip(out, events)):
        check_event(count, f'{log}, event {number}', *pair)
    return sum(e['type'].startswith('relay_') for e in events)


_BSD = re.compile(r'^Nov 22 ([\d:]{8}) (\S+) ([\w-]+)/\S+\[(\d+)\]: (.*)$', re.S)


def check_cut_tags(count):
    """rsyslog's RFC 5424 form cuts the program at its '/': the instance is left."""
    path = os.path.join(HERE, 'postfix', 'relay.log')
    with open(path, encoding='utf-8') as log, tempfile.NamedTemporaryFile('w', suffix='.log') as cut:
        for line in log:
            cut.write(_BSD.sub(r'<22>1 2026-11-22T\1.123456+00:00 \2 \3 \4 - -  \5', line))
        cut.flush()
        names = ('type', 'event_id', 'message_id', 'instance', 'rcpt_to')
        want, got = ([{f: e.get(f) for f in names} for e in parse(p)] for p in (path, cut.name))
    count.check('relay.log, RFC 5424: instances', {'postfix-in', 'postfix-out'}, {e['instance'] for e in got})
    count.check('relay.log, RFC 5424: events', want, got)


def main():
    count = Count()
    check_by_hand(count)
    check_cut_tags(count)
    for kind in ('postfix', 'sendmail'):
        for log in sorted(os.listdir(os.path.join(HERE, kind))):
            if log.endswith('.log'):
                count.check(f'{log}: some are inbound', True, check_log(count, kind, log) > 0)
    count.end()


if __name__ == '__main__':
    main()
