"""`postwake classify` on replies of other people's servers, and how far `reason` makes failures countable.

The corpora lie beside the source tree (PW_SHARED, default ../shared) where they may be; they are not ours to copy.
"""

import glob
import hashlib
import json
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from golden import BUILD, Count, SHARED  # noqa: E402

FIRM, ALL = 97.0, 90.0


def classify(texts, *words):
    done = subprocess.run([os.path.join(BUILD, 'postwake'), 'classify', '--json', *words],
                          input=b''.join(t + b'\n' for t in texts), capture_output=True, check=False)
    if done.returncode not in (0, 1):
        raise SystemExit('postwake classify: ' + done.stderr.decode('utf-8', 'replace'))
    return [json.loads(line) for line in done.stdout.splitlines()]


def rows():
    for path in sorted(glob.glob(os.path.join(SHARED, 'corpora', 'smtp-replies', '*.tsv'))):
        with open(path, 'rb') as file:
            names = file.readline().rstrip(b'\r\n').decode().split('\t')
            for line in file:
                yield dict(zip(names, line.rstrip(b'\r\n').split(b'\t')))


def unseen(row):
    """The half of the rows that was not looked at while the rules were written."""
    return hashlib.sha256(row['id']).digest()[0] & 1 == 1


def check_classes(count):
    scored = [r for r in rows() if r['conf'] in (b'firm', b'likely')]
    answers = classify([r['text'] for r in scored])
    count.check('an answer a reply', len(scored), len(answers))
    for name, chosen in (('all', lambda r: True), ('seen half', lambda r: not unseen(r)), ('unseen half', unseen)):
        for what, confs, wanted in (('firm', (b'firm',), FIRM), ('firm and likely', (b'firm', b'likely'), ALL)):
            hits = [a['bounce_class'].encode() == r['class'] for r, a in zip(scored, answers)
                    if chosen(r) and r['conf'] in confs]
            share = 100 * sum(hits) / len(hits)
            print(f'classes, {name}: {what:15s} {sum(hits):4d} of {len(hits):4d}, {share:6.2f} %')
            count.check(f'classes, {name}: {what}', True, share >= wanted)


def failures_of_logs():
    """Raw reasons of the failures of each log, whatever MTA wrote it."""
    for path in sorted(glob.glob(os.path.join(SHARED, 'corpora', 'logs', '**', 'events.tsv'), recursive=True)):
        with open(path, 'rb') as file:
            names = file.readline().rstrip(b'\r\n').decode().split('\t')
            events = [dict(zip(names, line.rstrip(b'\r\n').split(b'\t'))) for line in file]
        yield os.path.relpath(os.path.dirname(path), os.path.join(SHARED, 'corpora', 'logs')), [
            e for e in events if e.get('reason') and e['kind'] in (b'bounce', b'delay', b'policy_rejection')]


def codes(text):
    return re.findall(rb'(?<![\d.])[45]\d\d(?=[ -])|(?<![\d.])[45]\.\d{1,3}\.\d{1,3}(?![\d.])', text)


def check_reasons(count):
    """Distinct reasons before and after. What differs by its codes, or by its class, must stay different."""
    for name, events in failures_of_logs():
        answers = classify([e['reason'] for e in events])
        groups = {}
        for event, answer in zip(events, answers):
            groups.setdefault(answer['reason'], set()).add((event['reason'], answer['bounce_class']))
        raw = {e['reason'] for e in events}
        if len(raw) >= 5:
            before, after = sum(map(len, raw)), sum(map(len, groups))
            print(f'reasons, {name}: {len(events)} failures, {len(raw)} raw reasons ({before} bytes) -> '
                  f'{len(groups)} reasons ({after} bytes), 1 : {len(raw) / len(groups):.1f}')
        for reason, group in groups.items():
            count.check(f'{name}: codes of "{reason}"', 1, len({tuple(codes(text)) for text, _ in group}))
            # The API's own rule cuts "User unknown" and "User suspended" alike: there the class tells more.
            if not re.search(r'(?<!\S)\.\.\.(?:$|\s)', reason):
                count.check(f'{name}: class of "{reason}"', 1, len({number for _, number in group}))


def main():
    count = Count()
    if not os.path.isdir(os.path.join(SHARED, 'corpora', 'smtp-replies')):
        count.skip(f"replies of other servers: {os.path.join(SHARED, 'corpora')} is absent")
        print('0 passed, 0 failed, 1 skipped')
        sys.exit(77)
    check_classes(count)
    check_reasons(count)
    count.end()


if __name__ == '__main__':
    main()
