"""The command `postwake` against the daemon, and on a store without one."""

import csv
import io
import json
import os
import subprocess
import time

import lab
from flow import expect, expect_in, flow
from world import world


@flow('postwake search prints a table, JSON, NDJSON and CSV of the same events')
def search_forms(environment):
    daemon = world(environment).daemon
    words = ('search', '--recipient', 'carol@bounce.example')
    table = daemon.postwake(*words)
    expect('status', 0, table.returncode)
    expect_in('table', 'User unknown', table.stdout)
    whole = json.loads(daemon.postwake(*words, '--json').stdout)
    ids = [e['event_id'] for e in whole['results']]
    expect('two events', 2, len(ids))
    expect('NDJSON', ids, [json.loads(line)['event_id'] for line in daemon.postwake(*words, '--ndjson').stdout.splitlines()])
    rows = list(csv.DictReader(io.StringIO(daemon.postwake(*words, '--csv').stdout)))
    expect('CSV', ids, [row['event_id'] for row in rows])


@flow('postwake search ends with 1 when nothing is found and 2 when it could not look')
def search_status(environment):
    daemon = world(environment).daemon
    expect('nothing', 1, daemon.postwake('search', '--recipient', 'nobody@nowhere.example').returncode)
    failed = daemon.postwake('search', '--since', 'the other day')
    expect('usage', 2, failed.returncode)
    expect_in('why', 'the other day', failed.stderr)
    gone = lab.run_postwake(environment.build, '-s', '/nonexistent/query.sock', 'search')
    expect('no daemon', 2, gone.returncode)
    expect_in('which socket', '/nonexistent/query.sock', gone.stderr)


@flow('postwake -S on the store that the daemon writes gives the same answers')
def direct(environment):
    daemon = world(environment).daemon
    words = ('search', '--limit', '0', '--type', 'bounce', '--ndjson')
    asked = daemon.postwake(*words)
    opened = lab.run_postwake(environment.build, '-S', daemon.store, *words)
    expect('status', 0, opened.returncode)
    expect('answers', asked.stdout, opened.stdout)


@flow('postwake show tells the story in order, with the lines that prove it')
def show(environment):
    here = world(environment)
    done = here.daemon.postwake('show', here.ids['grey'])
    expect('status', 0, done.returncode)
    places = [done.stdout.find(f'  {kind} ') for kind in ('injection', 'delay', 'delivery')]
    expect('order', sorted(places), places)
    expect('all three', False, -1 in places)
    proof = here.daemon.postwake('show', '--proof', here.of('grey')[0]['message_id']).stdout
    for line in here.postfix.log_text().splitlines():
        if f": {here.ids['grey']}: to=" in line:
            expect_in('proof', line, proof)
    expect('by event_id', 0, here.daemon.postwake('show', here.of('grey')[0]['event_id']).returncode)


@flow('postwake follow prints new events as they arrive')
def follow(environment):
    here = world(environment)
    process = subprocess.Popen([os.path.join(environment.build, 'postwake'), '-s', here.daemon.socket, 'follow',
                                '--recipient', 'later@deliver.example', '--ndjson'],
                               stdout=subprocess.PIPE, text=True)
    try:
        time.sleep(0.7)
        here.postfix.send('shop@lab.example', 'later@deliver.example')
        here.daemon.wait_events('recipients=later@deliver.example&events=delivery')
        time.sleep(0.7)
        process.terminate()
        types = {json.loads(line)['type'] for line in process.stdout}
        expect('types', {'injection', 'delivery'}, types)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@flow('postwake status shows the ledger, and events lists types and fields')
def status_and_events(environment):
    daemon = world(environment).daemon
    done = daemon.postwake('status')
    expect('status', 0, done.returncode)
    expect('sum', False, 'SUM IS WRONG' in done.stdout)
    expect_in('source', 'mail', done.stdout)
    expect('json', 0, daemon.postwake('status', '--json').returncode)
    expect_in('types', 'policy_rejection', lab.run_postwake(environment.build, 'events').stdout)
    expect_in('fields', 'bounce_class', lab.run_postwake(environment.build, 'events', 'bounce').stdout)
    expect('unknown type', 2, lab.run_postwake(environment.build, 'events', 'nonsense').returncode)


@flow('every subcommand has --help')
def helps(environment):
    for name in ('search', 'show', 'follow', 'import', 'parse', 'report', 'status', 'prune', 'events',
                 'classify', 'reclassify', 'erase', 'check', 'backup'):
        done = lab.run_postwake(environment.build, name, '--help')
        expect(f'{name} --help', 0, done.returncode)
        expect_in(f'{name} --help', f'postwake {name}', done.stdout)


@flow('text of a hostile mail reaches terminal and CSV disarmed')
def hostile(environment):
    here = world(environment)
    queue_id, _ = here.postfix.send('shop@lab.example', 'evil@deliver.example',
                                    subject='=?utf-8?b?PUNNRCgpG1szMW1yZWQ=?=')  # =CMD() ESC [31m red
    here.daemon.wait_events(f'queue_ids={queue_id}&events=delivery')
    table = here.daemon.postwake('search', '--queue-id', queue_id).stdout
    expect('no escape sequence in a table', False, '\x1b' in table)
    story = here.daemon.postwake('show', queue_id).stdout
    expect('no escape sequence in a story', False, '\x1b' in story)
    rows = list(csv.DictReader(io.StringIO(here.daemon.postwake('search', '--queue-id', queue_id, '--csv').stdout)))
    expect('no formula in CSV', False, any(value.startswith('=') for row in rows for value in row.values() if value))


@flow('a stored bounce has the class and reason that classify tells')
def classified(environment):
    here = world(environment)
    queue_id, _ = here.postfix.send('shop@lab.example', 'gone@bounce.example')
    event = here.daemon.wait_events(f'queue_ids={queue_id}&events=bounce')[0]
    done = lab.run_postwake(environment.build, 'classify', '--json', '--dsn', event.get('dsn', ''),
                            '--code', event.get('error_code', ''), event['raw_reason'])
    told = json.loads(done.stdout)
    expect('class', event['bounce_class'], told['bounce_class'])
    expect('reason', event['reason'], told['reason'])


@flow('the daemon holds the store alone: prune says so')
def held(environment):
    daemon = world(environment).daemon
    done = lab.run_postwake(environment.build, '-S', daemon.store, 'prune')
    expect('status', 2, done.returncode)
    expect_in('why', 'postwaked', done.stderr)


@flow('the daemon holds the store alone: reclassify says so')
def held_classes(environment):
    daemon = world(environment).daemon
    done = lab.run_postwake(environment.build, '-S', daemon.store, 'reclassify')
    expect('status', 2, done.returncode)
    expect_in('why', 'postwaked', done.stderr)
