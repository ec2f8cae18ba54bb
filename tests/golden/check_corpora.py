"""`postwake parse --attempts` on logs of other people's servers: at least 99.5 % found and 99.5 % right.

The logs lie beside the source tree (PW_SHARED, default ../shared) where they may be; they are not ours to copy.
"""

import collections
import csv
import glob
import json
import os
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from golden import Count, SHARED, parse  # noqa: E402

KINDS = ('delivery', 'delay', 'bounce', 'policy_rejection')
WANTED = 99.5


def key(kind, queue_id, recipient):
    """Queue ids of refusals are not compared: most have none."""
    return kind, '' if kind == 'policy_rejection' else queue_id, (recipient or '').lower()


def of_events(events):
    return collections.Counter(key(e['type'], e.get('queue_id', ''), e.get('raw_rcpt_to')) for e in events
                               if e['type'] in KINDS)


def unescape(text):
    return text.replace('\\t', '\t').replace('\\n', '\n').replace('\\\\', '\\')


def expected_of_log(path):
    """Events of the log, of either MTA."""
    with open(path, encoding='utf-8', errors='surrogateescape', newline='\n') as file:
        rows = list(csv.DictReader(file, delimiter='\t', quoting=csv.QUOTE_NONE))
    return collections.Counter(key(r['kind'], r['qid'], unescape(r['to'])) for r in rows
                               if r['kind'] in KINDS)


def add(scores, name, want, got):
    for kind in KINDS:
        for counter, index in ((want, 0), (got, 1)):
            scores[kind][index] += sum(n for k, n in counter.items() if k[0] == kind)
        scores[kind][2] += sum(min(n, got[k]) for k, n in want.items() if k[0] == kind)
    for what, left in (('missed', want - got), ('invented', got - want)):
        for one, n in list(left.items())[:5]:
            print(f'  {name}: {what} {n} x {one}')


def judge(count, what, scores):
    for kind, (want, got, hit) in scores.items():
        found = 100 * hit / want if want else 100
        right = 100 * hit / got if got else 100
        print(f'{what}: {kind:17s} {want:6d} wanted, {found:6.2f} % found, {right:6.2f} % right')
        count.check(f'{what}: {kind} found', True, found >= WANTED)
        count.check(f'{what}: {kind} right', True, right >= WANTED)


def check_logs(count):
    scores = {kind: [0, 0, 0] for kind in KINDS}
    for path in sorted(glob.glob(os.path.join(SHARED, 'corpora', 'logs', '**', 'events.tsv'), recursive=True)):
        got = of_events(parse('--attempts', os.path.join(os.path.dirname(path), 'mail.log')))
        add(scores, os.path.basename(os.path.dirname(path)), expected_of_log(path), got)
    judge(count, 'logs', scores)


def scored(case):
    """Not what the corpus calls ambiguous, nor lines whose publisher told recipient and dsn of an attempt while
    the corpus's reader knew them not (Postfix 3.11 puts tls=… between delays= and dsn=)."""
    expect = case['expect']
    unread = expect.get('kind') == 'none' and 'to' in expect and 'dsn' in expect
    return not case.get('ambiguous') and expect.get('mta') in ('postfix', 'sendmail') and not unread


def check_lines(count):
    """Single lines: each alone, for one line must not explain another."""
    scores = {kind: [0, 0, 0] for kind in KINDS}
    cases = []
    for path in sorted(glob.glob(os.path.join(SHARED, 'corpora', 'loglines', '*', 'cases.jsonl'))):
        with open(path, encoding='utf-8') as file:
            cases += [c for c in map(json.loads, file) if scored(c)]
    with tempfile.TemporaryDirectory() as directory:
        for number, case in enumerate(cases):
            expect = case['expect']
            want = collections.Counter()
            if expect['kind'] in KINDS:
                recipients = expect.get('to') or ['']
                recipients = recipients if isinstance(recipients, list) else [recipients]
                for recipient in recipients:
                    want[key(expect['kind'], expect.get('qid', ''), recipient)] += int(expect.get('repeat') or 1)
            path = os.path.join(directory, f'{number}.log')
            with open(path, 'w', encoding='utf-8') as file:
                file.write(case['line'] + '\n')
            add(scores, case['id'], want, of_events(parse('--attempts', path)))
    judge(count, 'single lines', scores)


def main():
    count = Count()
    if not os.path.isdir(os.path.join(SHARED, 'corpora', 'logs')):
        count.skip(f"logs of other servers: {os.path.join(SHARED, 'corpora')} is absent")
        print('0 passed, 0 failed, 1 skipped')
        sys.exit(77)
    check_logs(count)
    check_lines(count)
    count.end()


if __name__ == '__main__':
    main()
