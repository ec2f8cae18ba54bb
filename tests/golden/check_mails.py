"""Bounces and complaints that nobody here wrote (corpora/mails beside the source tree): how many are read rightly.

Skipped where the corpora are absent. Recipients, status codes and classes (the firm ones) are counted for the mails that
mean an event. The half of the mails that is not looked at when something is written for them, by the hash of folder/name,
is counted too."""

import collections
import csv
import glob
import hashlib
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from golden import Count, SHARED, parse  # noqa: E402

MAILS = os.path.join(SHARED, 'corpora', 'mails')
EVENTS = {'out_of_band': 'out_of_band', 'spam_complaint': 'spam_complaint', 'none': None, 'delay notice': None}
LIMITS = {'event': 98, 'recipients': 97, 'dsn': 97, 'class': 93}


def rows(path):
    with open(path, encoding='utf-8', errors='surrogateescape', newline='') as file:
        yield from csv.DictReader(file, delimiter='\t', quoting=csv.QUOTE_NONE)


def unseen(name, file):
    return hashlib.sha256(f'{name}/{file}'.encode('utf-8', 'surrogateescape')).digest()[0] & 1 == 1


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
        mine = [e for e in got if e.get('rcpt_to') == row['recipient'].lower()] or got or [{}]
        if row['dsn'] and row['dsn_is_real'] == 'yes':
            tally['dsn'].append(mine[0].get('dsn') == row['dsn'])
        if row['class'] and row['conf'] == 'firm':
            tally['class'].append(mine[0].get('bounce_class') == row['class'])


def main():
    count = Count()
    if not os.path.isdir(MAILS):
        count.skip(f'{MAILS} is not there')
        count.end()
    tally, held = collections.defaultdict(list), collections.defaultdict(list)
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
            if unseen(name, file):
                score(held, its, got[file])
    for what, limit in LIMITS.items():
        for half, counted in (('all', tally), ('unseen half', held)):
            right, n = sum(counted[what]), len(counted[what])
            print(f'{what}, {half}: {right} of {n}, {100 * right / n:.2f} %')
            count.check(f'{what}, {half}: at least {limit} %', True, 100 * right >= limit * n)
    count.end()


main()
