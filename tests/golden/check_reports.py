"""The mails of tests/golden/reports: NAME.eml is a mail, NAME.json the events that it means, one a line, with the
members that matter. To add a case, write both by hand; an empty NAME.json says that the mail means no event."""

import glob
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from golden import Count, TOP, parse  # noqa: E402

HERE = os.path.join(TOP, 'tests', 'golden', 'reports')
# Members whose absence from NAME.json means that the event must not have them.
TOLD = ('rcpt_to', 'dsn', 'error_code', 'bounce_class', 'fbtype', 'mailfrom', 'mx_host')


def main():
    count = Count()
    for path in sorted(glob.glob(os.path.join(HERE, '*.eml'))):
        name = os.path.basename(path)[:-4]
        with open(path[:-4] + '.json', encoding='utf-8') as file:
            want = [json.loads(line) for line in file]
        got = parse('--mail', path)
        if not count.check(f'{name}: number of events', len(want), len(got)):
            continue
        for wanted, event in zip(want, got):
            for key in sorted({*wanted, *TOLD}):
                count.check(f"{name}: {key} of {wanted.get('rcpt_to')}", wanted.get(key), event.get(key))
    count.end()


main()
