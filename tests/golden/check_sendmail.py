"""The logs of tests/golden/sendmail against what must come out of them.

1. `postwake parse --attempts`: each scenario's recipients with type, dsn and relay of every attempt, as expected.jsonl
   observed and designed them, in every form of the log; and no attempt beside those in the log.
2. `postwake parse`: each mail's story: one injection a recipient, its delays, its end; nothing of what was refused.
"""

import collections
import json
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from golden import Count, TOP, parse, texts  # noqa: E402

HERE = os.path.join(TOP, 'tests', 'golden', 'sendmail')
# The log that the scenarios name, and its forms.
FORMS = {
    'sendmail-ll9.log': ['sendmail-ll9.log', 'sendmail-ll9-iso.log', 'sendmail-ll9-5424.log'],
    'sendmail-ll14.log': ['sendmail-ll14.log'],
}


def kind_of(outcome):
    """What an outcome is to us; None: the mail waits (queued, quarantined) or was refused (no mailer)."""
    if not outcome['mailer'] or outcome['stat'] in ('queued', 'quarantined'):
        return None
    for start, kind in (('Sent', 'delivery'), ('Deferred', 'delay')):
        if outcome['stat'].startswith(start):
            return kind
    return 'bounce'


def relay_parts(relay):
    """(host, ip) of relay=host. [ip], [ip] [ip], host."""
    match = re.match(r'^(\S*?)\.? ?\[([\d.]+)\]$', relay or '')
    if not match:
        return (relay.rstrip('.') if relay else None), None
    host = match.group(1)
    return (None if not host or host.startswith('[') else host), match.group(2)


def as_seen(event):
    return event['type'], event.get('dsn'), event.get('mx_host'), event.get('ip_address'), event.get('service')


def as_logged(outcome):
    return kind_of(outcome), outcome['dsn'], *relay_parts(outcome['relay']), outcome['mailer']


# --- the naive reader -------------------------------------------------------------------------------

_TO = re.compile(r'^(\w+): to=(?:((?:<(?:"[^"]*"|[^">])*>,?)+)|("[^"]*"|[^",]+)), .*?\bpri=\d+, (.*)$', re.S)
_ADDRESS = re.compile(r'<((?:"[^"]*"|[^">])*)>')


def outcomes(path):
    """(queue id, recipient, kind) of every `to=` line with a mailer."""
    for _, text in texts(path):
        match = _TO.match(text)
        if not match or ', mailer=' not in text:
            continue
        stat = re.search(r'(?:^|, )stat=(Sent|Deferred|queued|quarantined)', match.group(4))
        if stat and 'dsn=5' in match.group(4).split(', reply=', maxsplit=1)[0]:
            stat = None  # the other host said so
        kind = {'Sent': 'delivery', 'Deferred': 'delay', None: 'bounce'}.get(stat and stat.group(1))
        for rcpt in _ADDRESS.findall(match.group(2)) if match.group(2) else [match.group(3)]:
            if kind:
                yield match.group(1), rcpt, kind


def expired(path):
    return {m.group(1) for _, text in texts(path)
            if (m := re.match(r'^(\w+): \w+: \w+ \w+: Cannot send message', text))}


# --- the comparisons --------------------------------------------------------------------------------


def check_attempts(count, form, scenario, by_message):
    got = {r: [as_seen(e) for e in v] for r, v in by_message.get(scenario['queue_id'], {}).items()}
    want = {r: [as_logged(o) for o in v if kind_of(o)] for r, v in scenario['observed'].items()}
    want = {r: v for r, v in want.items() if v}
    name = f"{form}: attempts of {scenario['case']}"
    if not count.check(name, want, got if scenario['queue_id'] else {}):
        return
    for rcpt, designed in scenario['expect'].items():
        for outcome, event in zip(designed, got.get(rcpt, [])):
            count.check(f'{name}, designed outcome of {rcpt}', as_logged(outcome), event)
        if kind_of(designed[-1]) != 'delay':
            count.check(f'{name}, number of outcomes of {rcpt}', len(designed), len(got.get(rcpt, [])))


def check_all_attempts(count, form, events):
    want = collections.Counter(outcomes(os.path.join(HERE, form)))
    got = collections.Counter((e['queue_id'], e['raw_rcpt_to'], e['type']) for e in events
                              if e['type'] != 'policy_rejection')
    count.check(f'{form}: attempts that were missed', {}, dict(want - got))
    count.check(f'{form}: attempts that were invented', {}, dict(got - want))


def check_rejections(count, form, events):
    """One policy_rejection for each reject= of a ruleset or milter, the milter's own report of it aside."""
    want = collections.Counter()
    for _, text in texts(os.path.join(HERE, form)):
        match = re.match(r'^(?:\w+: )?(ruleset=check_rcpt, arg1=<(.*?)>|ruleset=|Milter: to=<(.*?)>|Milter: ).*'
                         r', reject=(\d+)', text)
        if match:
            want[match.group(2) or match.group(3), match.group(4)] += 1
    got = collections.Counter((e.get('raw_rcpt_to'), e.get('error_code')) for e in events
                              if e['type'] == 'policy_rejection')
    count.check(f'{form}: refusals', dict(want), dict(got))


def check_inline_replies(count, form, scenarios, events, stories):
    """What the client was told on the wire is told by a policy_rejection."""
    coded = collections.Counter((e.get('raw_rcpt_to'), e.get('error_code')) for e in events
                                if e['type'] == 'policy_rejection')
    named = collections.Counter(e.get('raw_rcpt_to') for e in stories if e['type'] == 'policy_rejection')
    for scenario in scenarios:
        for command, address, reply in scenario.get('inline', []):
            if command == 'RCPT' and re.match(r'[45]\d\d [45]\.\d', reply):
                ok = coded[address, reply[:3]] > 0 or named[address] > 0
                count.check(f"{form}: refusal of {scenario['case']}: {address}", True, ok)


def aliases(path, scenario):
    """What the client gave, by what Sendmail made of it: the ctladdr= that is a recipient of the SMTP session."""
    given = {address for command, address, reply in scenario.get('inline', []) if command == 'RCPT' and reply[0] == '2'}
    found = {}
    for _, text in texts(path):
        match = re.match(r'^(\w+): to=("[^"]*"|[^<",]+), ctladdr=<(.*?)> \(', text)
        if match and match.group(1) == scenario['queue_id'] and match.group(3) in given:
            found[match.group(2)] = match.group(3)
    return found


def check_stories(count, form, scenarios, events):
    path = os.path.join(HERE, form)
    given_up = expired(path)
    lines = collections.defaultdict(lambda: collections.defaultdict(list))
    for queue_id, rcpt, kind in outcomes(path):
        lines[queue_id][rcpt].append(kind)
    for queue_id in given_up:
        for kinds in lines[queue_id].values():
            if kinds[-1] == 'delay':
                kinds.append('bounce')
    got = collections.defaultdict(lambda: collections.defaultdict(list))
    injected = collections.defaultdict(list)
    for event in events:
        if event['type'] == 'injection':
            injected[event['queue_id']].append(event.get('raw_rcpt_to'))
        elif event['type'] != 'policy_rejection':
            got[event['queue_id']][event['raw_rcpt_to']].append(event['type'])
    for scenario in scenarios:
        queue_id = scenario['queue_id']
        waits = {r for r, v in scenario['observed'].items()
                 if any(o['mailer'] and not kind_of(o) for o in v)}
        want = {r: v for r, v in lines[queue_id].items()} if queue_id else {}
        name = f"{form}: story of {scenario['case']}"
        count.check(name, want, {r: v for r, v in got[queue_id].items()})
        blank = [None] if injected[queue_id] == [None] else []
        alias = aliases(path, scenario) if queue_id else {}
        origin = {e['raw_rcpt_to']: e['orig_rcpt_to'] for e in events if e.get('queue_id') == queue_id
                  and queue_id and 'orig_rcpt_to' in e}
        count.check(f'{name}: aliases', alias, origin)
        gave = {alias.get(r, r) for r in set(want) | waits}
        count.check(f'{name}: injections', sorted(gave) or blank, sorted(injected[queue_id], key=str))
        if not want and not waits and blank:
            count.check(f'{name}: accepted though nobody got it', True, bool(scenario['children']))


def check_children(count, form, scenarios, events):
    """What Sendmail made of a message names it as its parent, and comes from nobody."""
    message_id = {e['queue_id']: e['message_id'] for e in events if e.get('queue_id')}
    by_queue_id = collections.defaultdict(list)
    for event in events:
        if event['type'] != 'policy_rejection':
            by_queue_id[event['queue_id']].append(event)
    for scenario in scenarios:
        for child in scenario['children']:
            for event in by_queue_id[child['queue_id']]:
                name = f"{form}: {scenario['case']}: {child['how']} {child['queue_id']}"
                if scenario['queue_id'] in message_id:
                    count.check(f'{name}: parent', message_id[scenario['queue_id']], event.get('parent_message_id'))
                if child['how'] != 'clone':
                    count.check(f'{name}: sender', '', event.get('msg_from'))


def main():
    count = Count()
    with open(os.path.join(HERE, 'expected.jsonl'), encoding='utf-8') as file:
        rows = [json.loads(line) for line in file]
    for log, forms in FORMS.items():
        scenarios = [row for row in rows if row['log'] == log]
        for form in forms:
            path = os.path.join(HERE, form)
            events, stories = parse('--attempts', path), parse(path)
            by_message = collections.defaultdict(lambda: collections.defaultdict(list))
            for event in events:
                if event['type'] != 'policy_rejection':
                    by_message[event['queue_id']][event['raw_rcpt_to']].append(event)
            for scenario in scenarios:
                check_attempts(count, form, scenario, by_message)
            check_all_attempts(count, form, events)
            check_rejections(count, form, events)
            check_inline_replies(count, form, scenarios, events, stories)
            check_stories(count, form, scenarios, stories)
            check_children(count, form, scenarios, stories)
    count.end()


if __name__ == '__main__':
    main()
