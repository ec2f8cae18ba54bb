"""What schema/sources.def (and so postwake-event(5)) says of fields, against the events of the golden logs and mails.

1. A field that an event of a log alone has is one that the log, postwake or the configuration gives (L B C A P D); each
   that the log gives is in some event.
2. A field that an event of a report alone has comes from the report (R E P); each R is in some event.
"""

import collections
import glob
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from golden import TOP, Count, parse  # noqa: E402

HERE = os.path.join(TOP, 'tests', 'golden')
DOMAINS = '.py.example lab.example virt.example localhost defer.example bounce.example'
REPORTS = ('out_of_band', 'spam_complaint', 'list_unsubscribe')
# Only a configuration gives them, and parse has none here; report_mime is in no result of parse at all.
UNSET = {'sending_ip', 'ip_pool', 'report_mime'}
# What v1 writes for events that have none.
EMPTY = {'rcpt_meta': {}, 'rcpt_tags': []}
# No field of an event, but of an answer of v1: postwake-query(7).
ANSWER = {'tdate'}


def table():
    """{type: {field: letter}}"""
    with open(os.path.join(TOP, 'schema', 'sources.def'), encoding='utf-8') as file:
        text = file.read()
    order = [t.lower() for t in re.findall(r'^ORDER\((\w+)\)', text, re.M)]
    letters = {kind: {} for kind in order}
    for field, row in re.findall(r'^SOURCE\((\w+), "([^"]+)"\)', text, re.M):
        for kind, letter in zip(order, row.replace(' ', '')):
            letters[kind][field.lower()] = letter
    return letters


def fields_of(events):
    seen = collections.defaultdict(set)
    for event in events:
        seen[event['type']] |= {f for f, value in event.items() if EMPTY.get(f) != value} - ANSWER
    return seen


def check_possible(count, kind, letters, seen, allowed):
    for field in sorted(seen):
        count.check(f'{kind}: {field} can be there', True, letters.get(field, '.') in allowed)


def check_told(count, kinds, letters, seen, must):
    """Each letter of each type is held by tests/unit/test_trace.c; here a field has to come at all."""
    for field in {f for kind in kinds for f, letter in letters[kind].items() if letter in must} - UNSET:
        count.check(f'{field} is there', True, any(field in seen[kind] for kind in kinds))


def main():
    count = Count()
    letters = table()
    logs = []
    for log in glob.glob(os.path.join(HERE, '*', '*.log')):
        logs += parse(log) + parse('--relay-domains', DOMAINS, log)
    mails = parse('--mail', *sorted(glob.glob(os.path.join(HERE, 'reports', '*.eml'))))
    for event in mails:
        event.pop('file', None)
    of_logs = [kind for kind in letters if kind not in REPORTS]
    for kinds, events, allowed, must in ((of_logs, logs, 'LBCAPD', 'LCP'), (REPORTS, mails, 'REP', 'RP')):
        seen = fields_of(events)
        for kind in kinds:
            count.check(f'{kind} is there', True, bool(seen[kind]))
            check_possible(count, kind, letters[kind], seen[kind], allowed)
        check_told(count, kinds, letters, seen, must)
    count.end()


if __name__ == '__main__':
    main()
