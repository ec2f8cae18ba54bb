"""The mails of tests/golden/reports: NAME.eml is a mail, NAME.json the events that it means, one a line, with the
members that matter. To add a case, write both by hand; an empty NAME.json says that the mail means no event."""

import glob
import json
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from golden import BUILD, Count, TOP, parse  # noqa: E402

HERE = os.path.join(TOP, 'tests', 'golden', 'reports')
# Members whose absence from NAME.json means that the event must not have them.
TOLD = ('rcpt_to', 'dsn', 'error_code', 'bounce_class', 'fbtype', 'mailfrom', 'mx_host')


def check_rules(count):
    """Rules of the user, named by -c, decide the class."""
    with tempfile.TemporaryDirectory() as directory:
        rules, config = os.path.join(directory, 'rules'), os.path.join(directory, 'postwake.conf')
        with open(rules, 'w', encoding='utf-8') as file:
            file.write('ours 51 /user unknown/\n')
        with open(config, 'w', encoding='utf-8') as file:
            file.write(f'[classify]\nbounce_rules = {rules}\n')
        done = subprocess.run([os.path.join(BUILD, 'postwake'), '-c', config, 'parse', '--mail',
                               os.path.join(HERE, 'sendmail.eml')], capture_output=True, check=True)
        count.check('class by a rule of the user', '51', json.loads(done.stdout)['bounce_class'])


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
    check_rules(count)
    count.end()


main()
