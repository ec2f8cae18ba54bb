"""Clients of the query socket that nobody of us wrote: curl, npm sparkpost, python3-sparkpost."""

import json
import os
import subprocess
import urllib.parse

import lab
from flow import Skip, expect, expect_in, flow
from world import world

HERE = os.path.dirname(os.path.abspath(__file__))


def curl(daemon, target, *words):
    """(status, body) of a request by curl."""
    done = subprocess.run(['curl', '-sS', '--unix-socket', daemon.socket, '-w', '\n%{http_code}', *words,
                           f'http://localhost{target}'], capture_output=True, text=True, check=True)
    body, status = done.stdout.rsplit('\n', 1)
    return int(status), body


@flow('curl finds a bounce with a SparkPost-style search')
def by_curl(environment):
    daemon = world(environment).daemon
    status, body = curl(daemon, '/api/v1/message-events?recipients=carol@bounce.example&events=bounce')
    answer = json.loads(body)
    expect('status', 200, status)
    expect('found', (1, ['bounce']), (answer['total_count'], [e['type'] for e in answer['results']]))
    expect('all on one page: no links', [], answer['links'])


@flow('pages follow the links without a gap or a repetition, in one snapshot')
def links(environment):
    daemon = world(environment).daemon
    whole = [e['event_id'] for e in daemon.events()]
    target, seen, totals = '/api/v1/message-events?per_page=7', [], set()
    while target:
        status, answer, _ = daemon.get(target)
        expect('status', 200, status)
        totals.add(answer['total_count'])
        seen += [e['event_id'] for e in answer['results']]
        target = next((x['href'] for x in answer['links'] if x['rel'] == 'next'), None)
    expect('one total for all pages', 1, len(totals))
    expect('each event once', len(seen), len(set(seen)))
    expect('all that was there before', set(), set(whole) - set(seen))


@flow('filters find what they name: campaign with a comma, Message-ID, reason, subject, domain')
def filters(environment):
    here = world(environment)
    event = here.of('delivered')[0]
    quote = urllib.parse.quote
    for query, wanted in (
            ('campaign_ids=' + quote('spring, sale') + '&delimiter=;', 'alice@deliver.example'),
            ('message_ids=' + quote(event['header_message_id']), 'alice@deliver.example'),
            ('reason=' + quote('%user unknown%') + '&events=bounce&recipients=carol@bounce.example', 'carol@bounce.example'),
            ('reason=MAILBOX+FULL&events=delay', 'bob@defer.example'),
            ('subjects=' + quote('Welcome aboard'), 'alice@deliver.example'),
            ('recipient_domains=tls.example', 'lea@tls.example'),
            ('bounce_classes=22&events=delay', 'bob@defer.example'),
            ('friendly_froms=cron@lab.example', 'sven@deliver.example')):
        expect(query, {wanted}, {e['rcpt_to'] for e in here.daemon.events(query)})


@flow('faults of a request are told as the contract says')
def faults(environment):
    daemon = world(environment).daemon
    status, body = curl(daemon, '/api/v1/message-events?from=2026-01-02T00:00&to=now&per_page=0')
    expect('status', 400, status)
    expect('all faults in one answer', {'from', 'to', 'per_page'}, {e['param'] for e in json.loads(body)['errors']})
    expect('format', 'To must be in the format YYYY-MM-DDTHH:mm',
           next(e['message'] for e in json.loads(body)['errors'] if e['param'] == 'to'))
    expect('unknown path', 404, curl(daemon, '/api/v1/nothing')[0])
    expect('wrong method', 405, curl(daemon, '/api/v1/message-events', '-X', 'DELETE')[0])
    expect('long URI', 414, curl(daemon, '/api/v1/message-events?recipients=' + 'x' * 5000)[0])
    expect('unknown parameters are ignored', 200, curl(daemon, '/api/v1/message-events?nonsense=1')[0])
    expect('trailing slash', 200, curl(daemon, '/api/v1/message-events/')[0])
    status, body, headers = lab.http_get(daemon.socket, '/api/v1/message-events', method='HEAD')
    expect('HEAD', (200, None), (status, body))
    expect_in('media type', 'application/json', headers['content-type'])


@flow('documentation and samples have the same types in the same order')
def documentation(environment):
    daemon = world(environment).daemon
    documented = daemon.get('/api/v1/message-events/events/documentation')[1]['results']
    samples = daemon.get('/api/v1/message-events/events/samples')[1]['results']
    expect('types', [d['type']['sampleValue'] for d in documented], [s['type'] for s in samples])
    expect('first and last', ('bounce', 'sms_status'), (samples[0]['type'], sorted(s['type'] for s in samples)[-2]))
    only = daemon.get('/api/v1/message-events/events/samples?events=click,delay')[1]['results']
    expect('asked for two', {'click', 'delay'}, {s['type'] for s in only})


@flow('the unmodified npm sparkpost client searches and follows links')
def npm_client(environment):
    if not environment.npm or not os.path.isdir(os.path.join(environment.npm, 'sparkpost')):
        raise Skip('npm sparkpost is not installed')
    daemon = world(environment).daemon
    done = subprocess.run(['node', os.path.join(HERE, 'client.js'), daemon.socket], capture_output=True, text=True,
                          env={**os.environ, 'NODE_PATH': environment.npm}, timeout=60, check=False)
    expect(f'status ({done.stderr[-500:]})', 0, done.returncode)
    answer = json.loads(done.stdout)
    expect('types', {'bounce', 'delay'}, set(answer['types']))
    expect('all pages', answer['total'], len(answer['ids']))
    expect('each once', len(answer['ids']), len(set(answer['ids'])))
    expect('error', {'status': 400, 'param': 'per_page'}, answer['error'])


@flow('the unmodified python3-sparkpost client searches by both APIs over the UNIX socket')
def python_client(environment):
    daemon = world(environment).daemon
    done = subprocess.run(['/usr/bin/python3', '-B', os.path.join(HERE, 'client.py'), daemon.socket],
                          capture_output=True, text=True, timeout=60, check=False)
    if done.returncode == 77:
        raise Skip(done.stdout.strip())
    expect(f'status ({done.stderr[-500:]})', 0, done.returncode)
    wanted = {'recipients': ['carol@bounce.example'], 'status': 400}
    expect('answers', {'message-events': wanted, 'events/message': wanted}, json.loads(done.stdout))
