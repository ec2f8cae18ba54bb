"""Bounces and complaints that nobody here wrote (corpora/mails beside the source tree): how many are read rightly.

Skipped where the corpora are absent. The limits are those of issue "every event that an MTA can tell"; recipients and
status codes are counted for the mails that mean an event."""

import collections
import csv
import glob
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from golden import Count, SHARED, parse  # noqa: E402

MAILS = os.path.join(SHARED, 'corpora', 'mails')
EVENTS = {'out_of_band': 'out_of_band', 'spam_complaint': 'spam_complaint', 'none': None, 'delay notice': None}
LIMITS = {'event': 98, 'recipients': 97, 'dsn': 97}


def rows(path):
    with open(path, encoding='utf-8', errors='surrogateescape', newline='') as file:
        yield from csv.DictReader(file, delimiter='\t', quoting=csv.QUOTE_NONE)


def score(tally, wanted, got):
    """One mail: its rows of expected.tsv, and its events."""
    kinds = {EVENTS.get(row['event'], '?') for row in wanted}
    if '?' in kinds or len(kinds) > 1:
        return
    kind = kinds.pop()
    tally['event'].append({e['type'] for e in got} == ({kind} if kind else set()))
    if not kind:
        return
    addresses = sorted(row['recipient'].lower() for row in wanted if row['recipient'])
    if addresses:
        tally['recipients'].append(addresses == sorted(e.get('rcpt_to', '') for e in got))
    for row in wanted:
        if row['dsn'] and row['dsn_is_real'] == 'yes':
            mine = [e for e in got if e.get('rcpt_to') == row['recipient'].lower()] or got
            tally['dsn'].append(bool(mine) and mine[0].get('dsn') == row['dsn'])


def main():
    count = Count()
    if not os.path.isdir(MAILS):
        count.skip(f'{MAILS} is not there')
        count.end()
    tally = collections.defaultdict(list)
    for name in ('sisimai', 'bounceparser', 'flufl', 'dsn-kumomta'):
        wanted = collections.defaultdict(list)
        for row in rows(os.path.join(MAILS, name, 'expected.tsv')):
            wanted[row['file']].append(row)
        paths = [p for p in sorted(glob.glob(os.path.join(MAILS, name, '*'))) if os.path.basename(p) in wanted]
        got = collections.defaultdict(list)
        for event in parse('--mail', *paths):
            got[os.path.basename(event['file'])].append(event)
        for file, its in wanted.items():
            score(tally, its, got[file])
    for what, limit in LIMITS.items():
        right, n = sum(tally[what]), len(tally[what])
        print(f'{what}: {right} of {n}, {100 * right / n:.2f} %')
        count.check(f'{what} at least {limit} %', True, 100 * right >= limit * n)
    count.end()


main()
