"""The logs of tests/golden/postfix against what must come out of them.

1. `postwake parse --attempts`: each scenario's recipients with type, dsn, relay and orig_to of every attempt, as
   expected.jsonl observed and designed them, in every form of the log; and no attempt beside those in the log.
2. `postwake parse`: each mail's story, hops folded: one injection a recipient, its delays, its end.
"""

import collections
import json
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from golden import (Count, STATUS_TYPE, TOP, attempts, continued_as, expired, parse, printable,  # noqa: E402
                    relay_parts, requeued, texts)

HERE = os.path.join(TOP, 'tests', 'golden', 'postfix')
# The log that the scenarios name, and its forms.
FORMS = {
    'postfix-short.log': ['postfix-short.log'],
    'postfix-long.log': ['postfix-long.log'],
    'postfix-expire.log': ['postfix-expire.log'],
    'postfix-rsyslog.log': ['postfix-rsyslog.log', 'postfix-rsyslog-iso.log', 'postfix-rsyslog-5424.log'],
}
RELAYS = '127.0.0.1:10029'  # where the scenarios' content filter takes mails


def scenarios(log):
    with open(os.path.join(HERE, 'expected.jsonl'), encoding='utf-8') as file:
        return [s for s in map(json.loads, file) if s['log'] == log]


def as_seen(event):
    """An event in the terms of the log: type, dsn, relay host and address, orig_to."""
    return (event['type'], event.get('dsn'), event.get('mx_host'), event.get('ip_address'), event.get('orig_rcpt_to'))


def as_logged(kind, dsn, relay, orig_to):
    return (kind, dsn, *relay_parts(relay), orig_to)


# --- 1. attempts ------------------------------------------------------------------------------------


def check_scenario_attempts(count, form, scenario, by_message):
    """Every line that the scenario's own naive reader saw, and what was designed."""
    got = by_message.get(scenario['queue_id'], {}) if scenario['queue_id'] else {}
    want = collections.defaultdict(list)
    for rcpt, seen in scenario['observed'].items():
        for one in seen:
            if STATUS_TYPE[one['status']]:
                want[printable(rcpt)].append(
                    as_logged(STATUS_TYPE[one['status']], one['dsn'], one['relay'],
                              one['orig_to'] and printable(one['orig_to'])))
    name = f"{form}: attempts of {scenario['case']}"
    if count.check(name, dict(want), {r: [as_seen(e) for e in v] for r, v in got.items()}):
        check_design(count, name, scenario, got)


def check_design(count, name, scenario, got):
    """expect holds, for each recipient, the outcomes in their order; a last `deferred` may repeat."""
    for rcpt, outcomes in scenario['expect'].items():
        outcomes = [o for o in outcomes if STATUS_TYPE[o['status']]]
        events = got.get(printable(rcpt))
        if events is None or not outcomes:
            continue  # observed under another spelling: the comparison above has it
        for outcome, event in zip(outcomes, events):
            for key, seen in (('dsn', event.get('dsn')), ('orig_to', event.get('orig_rcpt_to'))):
                if outcome.get(key):
                    count.check(f'{name}, designed {key} of {rcpt}', outcome[key], seen)
            count.check(f'{name}, designed status of {rcpt}', STATUS_TYPE[outcome['status']], event['type'])
        if outcomes[-1]['status'] != 'deferred':
            count.check(f'{name}, number of outcomes of {rcpt}', len(outcomes), len(events))


def check_all_attempts(count, form, events):
    """Nothing beside the log's own `to=` lines, and all of them, children included."""
    want = collections.Counter(
        (STATUS_TYPE[a.status], a.queue_id, printable(a.rcpt), a.dsn) for a in attempts(os.path.join(HERE, form))
        if STATUS_TYPE[a.status])
    got = collections.Counter((e['type'], e.get('queue_id'), e.get('raw_rcpt_to'), e.get('dsn')) for e in events
                              if e['type'] != 'policy_rejection')
    count.check(f'{form}: attempts that were missed', {}, dict(want - got))
    count.check(f'{form}: attempts that were invented', {}, dict(got - want))


_REJECT = re.compile(r'^(?:NOQUEUE|\w+): (?:milter-)?reject: (\S+) ')
_TO = re.compile(r'\bto=<((?:"(?:[^"\\]|\\.)*"|[^">])*)> proto=')


def check_rejections(count, form, events):
    """One policy_rejection for each reject line, with its recipient."""
    want = collections.Counter()
    for tag, text in texts(os.path.join(HERE, form)):
        if _REJECT.match(text) and re.search(r'(smtpd|cleanup|^postfix)$', tag):  # RFC 5424 cuts the tag
            to = _TO.search(text)
            want[printable(to.group(1)) if to else None] += 1
    got = collections.Counter(e.get('raw_rcpt_to') for e in events if e['type'] == 'policy_rejection')
    count.check(f'{form}: refusals that were missed', {}, dict(want - got))
    count.check(f'{form}: refusals that were invented', {}, dict(got - want))


def check_inline_replies(count, form, all_scenarios, events):
    """The code that the client saw on the wire is the code of the policy_rejection."""
    got = collections.Counter((e.get('raw_rcpt_to'), e.get('error_code'), e.get('dsn')) for e in events
                              if e['type'] == 'policy_rejection')
    for scenario in all_scenarios:
        for command, address, reply in scenario.get('inline', []):
            match = re.match(r'([45]\d\d) ([45]\.\d+\.\d+) (?!Error|Bad|Message size)', reply)
            if command == 'RCPT' and match:
                key = (printable(address), match.group(1), match.group(2))
                count.check(f"{form}: refusal of {scenario['case']}: {key}", True, got[key] > 0)


# --- 2. stories -------------------------------------------------------------------------------------


class Naive:
    """What the lines of one log say about a queue id."""

    def __init__(self, path):
        self.attempts = collections.defaultdict(list)
        for attempt in attempts(path):
            if STATUS_TYPE[attempt.status]:
                self.attempts[attempt.queue_id].append(attempt)
        self.expired, self.requeued = expired(path), requeued(path)

    def story(self, queue_id):
        """{recipient: [types]} of a mail with the hops to RELAYS folded."""
        story = collections.defaultdict(list)
        for attempt in self.attempts[queue_id]:
            following = continued_as(attempt)
            if RELAYS.replace('127.0.0.1:', '127.0.0.1[127.0.0.1]:') == attempt.relay and following:
                for rcpt, kinds in self.story(following).items():
                    if rcpt == printable(attempt.rcpt):
                        story[rcpt] = kinds
            else:
                story[printable(attempt.rcpt)].append(STATUS_TYPE[attempt.status])
        if queue_id in self.requeued:
            for rcpt, kinds in self.story(self.requeued[queue_id]).items():
                story[rcpt] += kinds
        if queue_id in self.expired:
            for kinds in story.values():
                if kinds[-1] == 'delay':
                    kinds.append('bounce')
        return story

    def addressed(self, queue_id):
        """The recipients as the sender gave them: they are injected."""
        return {printable(a.orig_to or a.rcpt) for a in self.attempts[queue_id]}


def check_stories(count, form, all_scenarios, events):
    naive = Naive(os.path.join(HERE, form))
    messages = collections.defaultdict(list)
    ids = collections.defaultdict(set)
    for event in events:
        messages[event.get('message_id')].append(event)
        if event['type'] != 'policy_rejection':
            ids[event.get('queue_id')].add(event.get('message_id'))
    for scenario in all_scenarios:
        queue_id = scenario['queue_id']
        want = dict(naive.story(queue_id)) if queue_id else {}
        if not want:
            check_no_story(count, form, scenario, ids)
            continue
        name = f"{form}: story of {scenario['case']}"
        if not count.check(f'{name}: one message', 1, len(ids[queue_id])):
            continue
        story, injected = collections.defaultdict(list), []
        for event in messages[next(iter(ids[queue_id]))]:
            if event['type'] == 'injection':
                injected.append(event.get('raw_rcpt_to'))
            elif event['type'] != 'policy_rejection':
                story[event.get('raw_rcpt_to')].append(event['type'])
        count.check(name, want, dict(story))
        count.check(f'{name}: injections', sorted(naive.addressed(queue_id)), sorted(injected))


def check_no_story(count, form, scenario, ids):
    """What was refused or discarded has no injection (held mails that were deleted may have one)."""
    if scenario.get('ops') or not scenario['queue_id'] or scenario['removed']:
        return
    if any(STATUS_TYPE[o['status']] is None for v in scenario['observed'].values() for o in v):
        return  # address probes
    count.check(f"{form}: no story of {scenario['case']}", set(), ids[scenario['queue_id']])


def check_bounce_of_expiry(count, form, events):
    """The bounce of a mail that expired tells the last temporary reason."""
    last = {}
    for event in events:
        key = (event.get('queue_id'), event.get('raw_rcpt_to'))
        if event['type'] == 'delay':
            last[key] = event
        if event['type'] == 'bounce' and key in last:
            count.check(f'{form}: reason of the bounce of {key}', True, last[key]['raw_reason'] in event['raw_reason'])
            count.check(f'{form}: code of the bounce of {key}', '5.4.7', event['dsn'])


def main():
    count = Count()
    for log, forms in FORMS.items():
        all_scenarios = scenarios(log)
        for form in forms:
            path = os.path.join(HERE, form)
            events = parse('--attempts', path)
            by_message = collections.defaultdict(lambda: collections.defaultdict(list))
            for event in events:
                if event['type'] != 'policy_rejection':
                    by_message[event.get('queue_id')][event.get('raw_rcpt_to')].append(event)
            for scenario in all_scenarios:
                check_scenario_attempts(count, form, scenario, by_message)
            check_all_attempts(count, form, events)
            check_rejections(count, form, events)
            check_inline_replies(count, form, all_scenarios, events)
            stories = parse('--internal-relays', RELAYS, path)
            check_stories(count, form, all_scenarios, stories)
            if log == 'postfix-expire.log':
                check_bounce_of_expiry(count, form, stories)
    count.end()


if __name__ == '__main__':
    main()
