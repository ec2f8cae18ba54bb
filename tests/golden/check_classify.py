"""The commands classify and reclassify, as a user runs them, on a store that no daemon holds."""

import json
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from golden import BUILD, Count, TOP  # noqa: E402

LOG = os.path.join(TOP, 'tests', 'golden', 'postfix', 'postfix-rsyslog.log')


def run(*words, stdin=''):
    done = subprocess.run([os.path.join(BUILD, 'postwake'), *words], input=stdin.encode(), capture_output=True,
                          check=False)
    return done.returncode, done.stdout.decode('utf-8', 'replace'), done.stderr.decode('utf-8', 'replace')


def check_answers(count, config):
    status, out, _ = run('-c', config, 'classify', '552 5.2.2', '<joe@example.com>: mailbox full')
    count.check('a text of several words', (0, '22 Mailbox Full (Soft), rule mailbox-full'), (status, out.split(' (b')[0]))
    status, out, _ = run('-c', config, 'classify', '--json', stdin='550 5.1.1 no such user\n\n\xe9\n421 hm')
    answers = [json.loads(line) for line in out.splitlines()]
    count.check('one object a line', ['10', '1', '1', '70'], [a['bounce_class'] for a in answers])
    count.check('its members', ['bounce_class', 'name', 'category', 'rule', 'file', 'line', 'reason'], list(answers[0]))
    count.check('found', 0, status)
    count.check('nothing found', 1, run('-c', config, 'classify', 'hm')[0])
    _, out, _ = run('-c', config, 'classify', '--json', '--dsn', '5.2.2', '--code', '552', '--mx', 'x.example', 'hm')
    count.check('codes as options', '22', json.loads(out)['bounce_class'])


def found(store, config, *words):
    _, out, _ = run('-S', store, '-c', config, 'search', '--ndjson', '--since', '2000-01-01', *words)
    return [json.loads(line) for line in out.splitlines()]


def check_renewal(count, directory, config):
    store = os.path.join(directory, 'store')
    count.check('import', 0, run('-S', store, '-c', config, 'import', '--keep-days', '36500', LOG)[0])
    bounces = found(store, config, '--type', 'bounce')
    users = [e for e in bounces if e['bounce_class'] == '10']
    count.check('there are bounces of class 10', True, len(users) > 0)
    count.check('nothing to renew', 1, run('-S', store, '-c', config, 'reclassify')[0])
    with open(os.path.join(directory, 'bounce'), 'w', encoding='utf-8') as file:
        file.write('mine 25 dsn=5.1.1\n')
    with open(os.path.join(directory, 'reason'), 'w', encoding='utf-8') as file:
        file.write('mine has=550 /\\b550 5/XYZ/\n')
    with open(config, 'w', encoding='utf-8') as file:
        file.write(f'[classify]\nbounce_rules = {directory}/bounce\nreason_rules = {directory}/reason\n')
    status, out, err = run('-S', store, '-c', config, 'reclassify')
    count.check(f'renewed: {out}{err}', 0, status)
    mine = [e for e in bounces if e.get('dsn') == '5.1.1']
    count.check('found under the new class', {e['event_id'] for e in mine},
                {e['event_id'] for e in found(store, config, '--type', 'bounce', '--class', '25')})
    left = {e['event_id'] for e in users} - {e['event_id'] for e in mine}
    count.check('and no more under the old', left,
                {e['event_id'] for e in found(store, config, '--type', 'bounce', '--class', '10')})
    wanted = {e['event_id'] for e in bounces if '550 5' in e['raw_reason']}
    renewed = found(store, config, '--type', 'bounce', '--reason', 'XYZ')
    count.check('found by the new reason', wanted, {e['event_id'] for e in renewed})
    count.check('raw_reason stays', {e['event_id']: e['raw_reason'] for e in bounces},
                {e['event_id']: e['raw_reason'] for e in found(store, config, '--type', 'bounce')})
    count.check('refusals keep theirs', True,
                all(e['bounce_class'] == '25' for e in found(store, config, '--type', 'policy_rejection')))
    count.check('done once', 1, run('-S', store, '-c', config, 'reclassify')[0])


def check_mistakes(count, directory, config):
    with open(os.path.join(directory, 'bounce'), 'w', encoding='utf-8') as file:
        file.write('# first\nmine 10 /(/\n')
    for words in (('classify', 'x'), ('reclassify',), ('parse', LOG)):
        status, _, err = run('-S', os.path.join(directory, 'store'), '-c', config, *words)
        count.check(f'{words[0]}: a mistake fails', 2, status)
        count.check(f'{words[0]}: and is told with its line', True, f'{directory}/bounce:2: ' in err)


def main():
    count = Count()
    with tempfile.TemporaryDirectory() as directory:
        config = os.path.join(directory, 'postwake.conf')
        with open(config, 'w', encoding='utf-8'):
            pass
        check_answers(count, config)
        check_renewal(count, directory, config)
        check_mistakes(count, directory, config)
    count.end()


if __name__ == '__main__':
    main()
