"""The Events API, its stream, and SMTPeter's calls, by clients that nobody of us wrote."""

import http.client
import json
import os
import random
import re
import subprocess
import threading
import time

import lab
from flow import Skip, expect, expect_in, flow
from logs import log, put
from test_2_clients import HERE, curl
from world import world


def events_of(daemon, query):
    status, body = curl(daemon, f'/api/v1/events/message?{query}')
    expect(f'status of {query} ({body[:300]})', 200, status)
    return json.loads(body)['results']


@flow('the Events API finds by words, in windows of seconds')
def words(environment):
    here = world(environment)
    for query, wanted in (
            ('campaigns=sale', {'alice@deliver.example'}),
            ('campaigns=sal', set()),
            ('subjects=reset', {'carol@bounce.example'}),
            ('subjects=password%20your', set()),
            ('reasons=unknown&recipient_domains=bounce&events=bounce&subjects=reset', {'carol@bounce.example'}),
            ('recipient_domains=tls', {'lea@tls.example'}),
            ('from_addresses=cron@lab.example', {'sven@deliver.example'}),
            ('mailbox_providers=gmail', set()),
            ('timezone=UTC&recipients=lea%40tls.example', {'lea@tls.example'})):
        expect(query, wanted, {e['rcpt_to'] for e in events_of(here.daemon, query)})
    event = here.of('bounced', 'bounce')[0]
    second = event['timestamp'][:19]
    in_second = f"from={second}Z&to={time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(_epoch(second) + 1))}Z"
    found = [e for e in events_of(here.daemon, in_second) if e['event_id'] == event['event_id']]
    expect('found in its second', 1, len(found))
    expect('time', event['timestamp'].replace('+00:00', 'Z'), found[0]['timestamp'])
    expect('numbers', (1, 0), (found[0]['customer_id'], found[0]['subaccount_id']))
    before = f"from={time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(_epoch(second) - 1))}&to={second}"
    expect('not before it', [], [e for e in events_of(here.daemon, before) if e['event_id'] == event['event_id']])


def _epoch(text):
    return int(time.mktime(time.strptime(text + ' UTC', '%Y-%m-%dT%H:%M:%S %Z')) - time.timezone)


@flow('a traversal by cursor gives each event once')
def cursor(environment):
    daemon = world(environment).daemon
    target, seen, totals = '/api/v1/events/message?per_page=7', [], set()
    while target:
        status, body = curl(daemon, target)
        expect('status', 200, status)
        answer = json.loads(body)
        totals.add(answer['total_count'])
        seen += [e['event_id'] for e in answer['results']]
        target = answer['links'].get('next')
    expect('one total', [len(seen)], list(totals))
    expect('each once', len(seen), len(set(seen)))


@flow('the unmodified npm sparkpost client follows the links of the Events API')
def npm_client(environment):
    if not environment.npm or not os.path.isdir(os.path.join(environment.npm, 'sparkpost')):
        raise Skip('npm sparkpost is not installed')
    daemon = world(environment).daemon
    done = subprocess.run(['node', os.path.join(HERE, 'events_client.js'), daemon.socket], capture_output=True,
                          text=True, env={**os.environ, 'NODE_PATH': environment.npm}, timeout=60, check=False)
    expect(f'status ({done.stderr[-500:]})', 0, done.returncode)
    answer = json.loads(done.stdout)
    expect('types', {'bounce', 'delay'}, set(answer['types']))
    expect('all pages', answer['total'], len(answer['ids']))
    expect('each once', len(answer['ids']), len(set(answer['ids'])))
    expect('error', {'status': 400, 'param': 'cursor'}, answer['error'])


@flow('SMTPeter finds the events of an address, a message and tags')
def smtpeter(environment):
    here = world(environment)
    event = here.of('delivered', 'injection')[0]
    status, body = curl(here.daemon, '/v1/events/email/alice@deliver.example?access_token=KEY')
    expect('status', 200, status)
    records = json.loads(body)
    # A report of another test may have come since.
    expect('names', ['attempt', 'delivery'], [r['event'] for r in records][:2])
    expect('fields in order', ['id', 'time', 'envelope', 'recipient', 'properties', 'tags', 'templateid'],
           list(records[0]['data']))
    expect('values', {'id': event['message_id'], 'time': event['timestamp'][:19].replace('T', ' '),
                      'envelope': 'shop@lab.example', 'recipient': 'alice@deliver.example', 'properties': 'trackopens',
                      'tags': 'news;de', 'templateid': '0'}, records[0]['data'])
    for target in (f"/v1/events/messageid/{event['message_id']}", '/v1/events/tags/news;de', '/v1/events/tags/de',
                   f"/v1/events/template/{event['template_id']}?tags=news"):
        expect(target, body, curl(here.daemon, target)[1])
    expect('both tags or nothing', '[]', curl(here.daemon, '/v1/events/tags/news;fr')[1])
    failures = json.loads(curl(here.daemon, '/v1/events/email/carol@bounce.example')[1])
    expect('failure', ('failure', '550', '5.1.1'),
           (failures[-1]['event'], failures[-1]['data']['code'], failures[-1]['data']['status']))
    status, body = curl(here.daemon, '/v1/events/email/a@b?start=2026-02-30')
    expect('no such day', (400, 'start'), (status, json.loads(body)['errors'][0]['param']))


@flow('curl -N reads the stream of events as they arrive')
def stream(environment):
    here = world(environment)
    process = subprocess.Popen(['curl', '-sN', '--unix-socket', here.daemon.socket,
                                'http://localhost/api/v1/events/stream?recipients=streamed@deliver.example'],
                               stdout=subprocess.PIPE, text=True)
    try:
        first = [process.stdout.readline() for _ in range(3)]
        expect_in('where it begins', 'id: ', first[1])
        here.postfix.send('shop@lab.example', 'streamed@deliver.example')
        events, last = [], None
        while len(events) < 2:
            line = process.stdout.readline()
            if line.startswith('id: '):
                last = line[4:].strip()
            elif line.startswith('data: '):
                events.append(json.loads(line[6:]))
        expect('types', {'injection', 'delivery'}, {e['type'] for e in events})
        expect('form', True, all(e['timestamp'].endswith('Z') for e in events))
        status, body = curl(here.daemon, f"/api/v1/events/message?since={int(last) - 1}&recipients=streamed@deliver.example")
        expect('the id is an arrival', events[-1], json.loads(body)['results'][-1])
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


class StreamReader(threading.Thread):
    """Reads a stream, hangs up at random and resumes behind the last event that it got whole."""

    def __init__(self, daemon, seed):
        super().__init__()
        self.daemon_socket, self.random = daemon.socket, random.Random(seed)
        self.last, self.ids, self.hang_ups, self.enough, self.failure = '0', [], 0, False, None

    def run(self):
        try:
            while not self.enough:
                self.connect()
        except Exception as error:  # pylint: disable=broad-except
            self.failure = error

    def connect(self):
        connection = lab.UnixHTTPConnection(self.daemon_socket, timeout=5)
        connection.request('GET', '/api/v1/events/stream', headers={'Last-Event-ID': self.last})
        answer = connection.getresponse()
        expect('status', 200, answer.status)
        left, number, data = self.random.randint(1, 400), self.last, None
        try:
            while left > 0 and not self.enough:
                line = answer.readline()
                if not line:
                    break
                if line.startswith(b'id: '):
                    number = line[4:].strip().decode()
                elif line.startswith(b'data: '):
                    data = json.loads(line[6:])
                elif not line.strip():
                    self.last = number
                    if data:
                        self.ids.append(data['event_id'])
                        data, left = None, left - 1
        except (TimeoutError, OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
            self.hang_ups += 1


def expect_once(what, want, got):
    """The same ids, each once; tells numbers, not lists of ids."""
    expect(what, {'missing': 0, 'foreign': 0, 'again': 0},
           {'missing': len(set(want) - set(got)), 'foreign': len(set(got) - set(want)), 'again': len(got) - len(set(got))})


@flow('streams that are cut off at random give each event exactly once, in whatever order logs are read')
def exactly_once(environment):
    daemon = environment.daemon('once').start()
    base = environment.directory('logs')
    order = list(range(1, 13))
    random.Random(3).shuffle(order)
    readers = [StreamReader(daemon, seed) for seed in range(4)]
    for reader in readers:
        reader.start()
    try:
        for hour in order:
            path = os.path.join(base, f'{hour}.log')
            put(path, log(int(time.time()) - 3600 * hour))
            done = lab.run_postwake(daemon.build, '-c', daemon.config, 'import', path)
            expect(f'import ({done.stderr[-300:]})', 0, done.returncode)
        wanted = [e['event_id'] for e in daemon.events()]
        lab.wait_until('the readers have all', lambda: all(len(r.ids) >= len(wanted) for r in readers), 30)
        time.sleep(0.3)
    finally:
        for reader in readers:
            reader.enough = True
        for reader in readers:
            reader.join()
    expect('many events', True, len(wanted) > 300)
    for reader in readers:
        expect('no failure', None, reader.failure)
        expect_once('each event once', wanted, reader.ids)
        expect('hung up', True, reader.hang_ups > 1)
    daemon.stop()


@flow('postwake follow goes on after a restart of the daemon, without a loss or a repetition')
def follow_restart(environment):
    daemon = environment.daemon('restart').start()
    base = environment.directory('logs')
    out = os.path.join(base, 'followed')
    with open(out, 'w', encoding='utf-8') as followed:
        process = subprocess.Popen([os.path.join(environment.build, 'postwake'), '-s', daemon.socket, 'follow', '--ndjson'],
                                   stdout=followed)
    try:
        time.sleep(0.7)
        for round_ in range(3):
            path = os.path.join(base, f'{round_}.log')
            put(path, log(int(time.time()) - 7200 * (3 - round_)))
            lab.run_postwake(daemon.build, '-c', daemon.config, 'import', path)
            time.sleep(0.5)
            daemon.stop() if round_ % 2 else daemon.kill()
            daemon.start()
        wanted = [e['event_id'] for e in daemon.events()]
        lab.wait_until('all were printed', lambda: lab.read(out).count('\n') >= len(wanted), 20)
        time.sleep(0.5)
        expect_once('each event once', wanted, [json.loads(line)['event_id'] for line in lab.read(out).splitlines()])
    finally:
        process.kill()
        process.wait()


@flow('documentation and samples of the Events API tell of its fields')
def documentation(environment):
    daemon = world(environment).daemon
    documented = json.loads(curl(daemon, '/api/v1/events/message/documentation')[1])['results']
    samples = json.loads(curl(daemon, '/api/v1/events/message/samples')[1])['results']
    expect('types', [d['type']['sampleValue'] for d in documented], [s['type'] for s in samples])
    expect('amp', True, 'amp_click' in {s['type'] for s in samples})
    expect('field', 'Gmail', documented[0]['mailbox_provider']['sampleValue'])
    expect('number', 1, documented[0]['customer_id']['sampleValue'])
    expect('time', True, bool(re.fullmatch(r'.*\.\d{3}Z', samples[0]['timestamp'])))
