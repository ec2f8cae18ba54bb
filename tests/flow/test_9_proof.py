"""All APIs together, with programs that nobody of us wrote, and two postwaked with bad luck between them."""

import collections
import glob
import gzip
import json
import os
import random
import re
import shutil
import subprocess
import time

import lab
from flow import Skip, expect, expect_in, flow
from ingest import IngestSink
from logs import put, recently
from proxy import Authority, FaultProxy
from upload_case import Case, can_go

HERE = os.path.dirname(os.path.abspath(__file__))
INGEST = '/api/v1/ingest/events'
# What the API calls the types of Ingest that have another name there.
API_NAMES = {'reception': 'injection', 'inband': 'bounce', 'tempfail': 'delay', 'outofband': 'out_of_band',
             'rejection': 'policy_rejection', 'feedback': 'spam_complaint', 'gen_fail': 'generation_failure',
             'gen_rejection': 'generation_rejection', 'link': 'link_unsubscribe', 'list': 'list_unsubscribe'}


def need(*programs):
    for program in programs:
        if shutil.which(program) is None:
            raise Skip(f'{program} is not installed')


def curl(daemon, target, *words):
    """Status and body of what a user of curl gets."""
    done = subprocess.run(['curl', '-sS', '--unix-socket', daemon.socket, '-w', '\n%{http_code}', *words,
                           f'http://localhost{target}'], capture_output=True, check=True, timeout=60)
    body, status = done.stdout.rsplit(b'\n', 1)
    return int(status), body


def post(daemon, body):
    """Sends a batch and waits for its verdict; its status record."""
    path = os.path.join(daemon.base, 'batch.gz')
    with open(path, 'wb') as file:
        file.write(body)
    status, answer = curl(daemon, INGEST, '-H', 'Content-Encoding: gzip', '-H', 'Content-Type: application/x-ndjson',
                          '--data-binary', f'@{path}')
    expect('status of the batch', 200, status)
    number = json.loads(answer)['results']['id']
    found = lab.wait_until('the batch is validated',
                           lambda: daemon.get(f'/api/v1/events/ingest?batch_ids={number}')[1]['results'], 30)
    return found[0]


def documented(daemon):
    """Of each Ingest type: its wrapper, its fields without postwake's own."""
    types = {}
    for fields in daemon.get(f'{INGEST}/documentation')[1]['results']:
        wrapper = re.search(r'Goes into (\w+)', fields['event_description']['sampleValue']).group(1)
        names = {n for n, f in fields.items() if n != 'event_description' and "postwake's own" not in f['description']}
        types[fields['type']['sampleValue']] = (wrapper, names)
    return types


def every_type(daemon, age=300):
    """A batch with an event of every type, made of the samples."""
    wrappers, lines = documented(daemon), []
    for number, fields in enumerate(daemon.get(f'{INGEST}/samples')[1]['results']):
        stamp = str(int(time.time()) - age + number)
        fields.update(event_id=str(7000 + number), timestamp=stamp, injection_time=stamp)
        lines.append(json.dumps({'msys': {wrappers[fields['type']][0]: fields}}))
    return gzip.compress(''.join(line + '\n' for line in lines).encode())


class Pair:
    """A postwaked that takes events over TLS, one that uploads to it, and a proxy with faults between them."""

    def __init__(self, environment, kind, faults=(), bad_questions=0):
        need('openssl')
        authority = Authority(environment.directory('authority'))
        certificate, key = authority.pair('far')
        port = lab.free_port()
        self.far = environment.daemon('far', sections={
            'listen': {'port': str(port), 'certificate': certificate, 'key': key},
            'query': {'ingest_max_age': '0' if kind == 'postwake' else '1440'}}).start()
        secret = self.far.postwake('key', 'add', '--grant', 'ingest').stdout.strip()
        self.proxy = FaultProxy(port, authority, secret, faults, bad_questions)
        path = os.path.join(environment.directory('key'), 'key')
        put(path, secret + '\n')
        os.chmod(path, 0o600)
        self.case = Case(environment, f'near-{kind}', self.proxy, more={
            'kind': kind, 'key_file': path, 'ca_file': authority.file})
        self.near = self.case.daemon.start()
        expect('every type at the near side', 'success', post(self.near, every_type(self.near))['type'])

    def finish(self):
        """Until the far side has validated all that was sent; (near, far) events."""
        self.case.wait_accepted(90)
        near = [e for e in self.near.events() if can_go(e) or e['type'].startswith('ab_test')]
        far = self.far.events()
        count = collections.Counter(e['event_id'] for e in far)
        expect('events that are not there once', {}, {i: n for i, n in count.items() if n != 1})
        expect('the same events', (set(), set()), ({e['event_id'] for e in near} - set(count),
                                                   set(count) - {e['event_id'] for e in near}))
        lines = [line for body in set(self.proxy.taken) for line in gzip.decompress(body).splitlines()]
        expect('lines in two different batches', len(set(lines)), len(lines))
        expect('refused by the far side', (0, 0), tuple(self.case.status()[k] for k in ('failed', 'lost')))
        return near, far

    def compare(self, fields_of):
        """fields_of(event): what must be equal."""
        near, far = self.finish()
        far = {e['event_id']: e for e in far}
        for event in near:
            expect(f"{event['type']} {event['event_id']}", fields_of(event), fields_of(far[event['event_id']]))
        expect('types that arrived', set(), {API_NAMES.get(t, t) for t in documented(self.far)} - {
            e['type'] for e in far.values()})

    def ingest_fields(self):
        """A function that cuts an event down to the documented fields, times to the second."""
        names = {API_NAMES.get(t, t): fields for t, (_, fields) in documented(self.far).items()}

        def cut(event):
            return {n: v[:19] if n in ('timestamp', 'injection_time') else v for n, v in event.items()
                    if n in names[event['type']]}
        return cut

    def stop(self):
        self.near.stop()
        self.far.stop()
        self.proxy.stop()


# A good one now and then, as the pauses between tries grow.
FAULTS = ['no answer', '429', '', 'cut request', 'cut answer', '', '500', 'wrong json', '', 'html 502', 'no id', '',
          'html 502 after', '503', '', 'slow']


@flow('proof: over TLS with every fault on the way the far side has every Ingest field of every event, once')
def whole_way(environment):
    pair = Pair(environment, 'sparkpost', FAULTS, bad_questions=3)
    start = recently()
    while pair.proxy.faults:
        pair.case.append(1, start)
        pair.case.wait_accepted(90)
        start += 150
    again = len(pair.proxy.bodies) - len({body for _, body in pair.proxy.bodies})
    expect(f'{again} tries were the same bytes as the one before', True, again >= 8)
    pair.compare(pair.ingest_fields())
    pair.stop()


@flow('proof: with kill -9 of both sides in the middle another postwake has all fields of every event, once')
def killed(environment):
    pair = Pair(environment, 'postwake', ['slow', 'no answer', '', 'cut answer', 'slow', ''] * 3, bad_questions=2)
    chance = random.Random(4)
    for part in range(6):
        pair.case.append(1, recently() + 100 * part)
        time.sleep(chance.uniform(0.05, 0.9))
        for daemon in ((pair.near,), (pair.far,), (pair.far, pair.near))[part % 3]:
            daemon.kill()
        for daemon in (pair.near, pair.far):
            if daemon.process is None:
                daemon.start()
    pair.proxy.faults.clear()
    pair.compare(lambda event: event)
    pair.stop()


# --- curl ---

def found(count):
    def check(answer):
        expect('events', (count, count), (answer['total_count'], len(answer['results'])))
    return check


def first_page(answer):
    expect('a page of one', (1, 'recipient@example.com', 'templ-1234'), (
        len(answer['results']), answer['results'][0]['rcpt_to'], answer['results'][0]['template_id']))
    expect('more pages', {'next', 'last'}, {link['rel'] for link in answer['links']})


def types(*wanted):
    def check(answer):
        got = [e['type']['sampleValue'] if isinstance(e['type'], dict) else e['type'] for e in answer['results']]
        expect('types', list(wanted) or len(set(got)), got if wanted else len(got))
    return check


def told(what):
    return lambda answer: expect_in('the fault', what, json.dumps(answer['errors']))


def smtpeter(*wanted):
    return lambda answer: expect('events', set(wanted), {e['event'] for e in answer})


UNKNOWN = 'e038e809-1308-461c-83b7-fa73c9f50500'
KINDS = ('attempt', 'delivery', 'failure', 'bounce', 'open', 'click')
# The calls that the documentation shows, and what must come.
CALLS = [
    ('/api/v1/message-events?recipients=john.doe@yourcompany.com', 200, found(0)),
    ('/api/v1/message-events?events=open,click&from=2015-09-02T00:00&to=2015-09-02T23:59&timezone=America/Chicago',
     200, found(0)),
    ('/api/v1/message-events?recipients=recipient@example.com&template_ids=templ-1234&per_page=1', 200, first_page),
    ('/api/v1/message-events/events/documentation', 200, types()),
    ('/api/v1/message-events/events/samples?events=bounce', 200, types('bounce')),
    ('/api/v1/message-events/events/samples', 200, types()),
    (f'{INGEST}/{UNKNOWN}', 404, told('message')),
    (f'{INGEST}/failures/{UNKNOWN}', 404, told('message')),
    (f'{INGEST}/documentation', 200, types()),
    (f'{INGEST}/samples?events=delivery', 200, types('delivery')),
    ('/v1/events/messageid/000443ee14578172be22?access_token=KEY', 200, smtpeter(*KINDS)),
    ('/v1/events/email/recipient@example.com?access_token=KEY', 200, smtpeter(*KINDS)),
    ('/v1/events/template/templ-1234?access_token=KEY', 200, smtpeter(*KINDS)),
    ('/v1/events/tags/male?access_token=KEY', 200, smtpeter(*KINDS)),
    ('/v1/events/tags/male;US?access_token=KEY', 200, smtpeter(*KINDS)),
    ('/v1/events/tags/male;US;none?access_token=KEY', 200, smtpeter()),
    ('/v1/events/email/recipient@example.com?access_token=KEY&end=2015-09-02&tags=US', 200, smtpeter()),
]


@flow('proof: curl gets what the documentation says from each call that it shows')
def documented_calls(environment):
    need('curl')
    daemon = environment.daemon('calls').start()
    expect('a batch with every type', 'success', post(daemon, every_type(daemon))['type'])
    for target, status, check in CALLS:
        got, body = curl(daemon, target, '-XGET', '-H', 'Authorization: KEY')
        expect(target, status, got)
        try:
            check(json.loads(body))
        except AssertionError as error:
            raise AssertionError(f'{target}: {error}') from error


def published_targets(directory):
    """The targets of requests in the documentation, byte for byte; not those that are templates."""
    pattern = re.compile(r'(?:^GET ?|^curl .*https://[\w.]+(?=/)|^https://www\.smtpeter\.com(?=/v1/events))(/\S+)', re.M)
    for path in sorted(glob.glob(os.path.join(directory, 'seeds', '*.txt'))):
        for target in pattern.findall(lab.read(path)):
            if '{' not in target:
                yield target


@flow('proof: the requests of the published documentation are answered, byte for byte')
def published(environment):
    need('curl')
    shared = os.environ.get('PW_SHARED', os.path.join(HERE, '..', '..', '..', 'shared'))
    targets = list(published_targets(shared))
    if not targets:
        raise Skip(f'there is no documentation in {shared}')
    daemon = environment.daemon('published').start()
    answers = collections.Counter()
    for target in targets:
        status, body = curl(daemon, target, '-XGET', '-H', 'Authorization: <API_KEY_HERE>')
        answers[status] += 1
        # A batch that is not ours; a sentence whose full stop belongs to the time zone of the URL in it.
        wanted = 404 if UNKNOWN in target else 400 if target.endswith('America/Chicago.') else 200
        expect(f'{target}: {body[:300]}', wanted, status)
        expect('JSON', True, isinstance(json.loads(body), (dict, list)))
    expect('answered', True, answers[200] >= 10)


# --- clients ---

# Of each type what Anymail makes of it. What it does not know (relay, A/B, SMS, first opens) is 'unknown' to it.
ANYMAIL = {'injection': 'queued', 'delivery': 'delivered', 'bounce': 'bounced', 'out_of_band': 'bounced', 'delay': 'deferred',
           'policy_rejection': 'rejected', 'spam_complaint': 'complained', 'open': 'opened', 'click': 'clicked',
           'amp_open': 'opened', 'amp_click': 'clicked', 'generation_failure': 'failed', 'generation_rejection': 'rejected',
           'list_unsubscribe': 'unsubscribed', 'link_unsubscribe': 'unsubscribed'}


@flow('proof: django-anymail reads uploaded events of every type')
def anymail(environment):
    sink = IngestSink()
    case = Case(environment, 'anymail', sink)
    case.daemon.start()
    post(case.daemon, every_type(case.daemon))
    case.wait_accepted()
    wrapped = [dict(event) for event in sink.events]
    for event in wrapped:
        (fields,) = event['msys'].values()
        fields['type'] = API_NAMES.get(fields['type'], fields['type'])
    done = subprocess.run(['/usr/bin/python3', '-B', os.path.join(HERE, 'parse_webhook.py')], input=json.dumps(wrapped),
                          capture_output=True, text=True, timeout=60, check=False)
    if done.returncode == 77:
        raise Skip(done.stdout.strip())
    expect(f'status ({done.stderr[-500:]})', 0, done.returncode)
    parsed, stored = json.loads(done.stdout), {e['event_id']: e for e in case.daemon.events()}
    expect('events', len(sink.events), len(parsed))
    for event in parsed:
        wanted = stored[event['event_id']]
        machine = wanted.get('bounce_class') == '60'
        expect(f'what Anymail makes of {wanted}', {
            'event_type': 'autoresponded' if machine else ANYMAIL.get(wanted['type'], 'unknown'),
            'recipient': wanted.get('raw_rcpt_to'), 'mta_response': wanted.get('raw_reason'),
            'timestamp': wanted['timestamp'][:19], 'tags': [wanted['campaign_id']] if wanted.get('campaign_id') else [],
            'metadata': wanted.get('rcpt_meta', {})}, {k: v for k, v in event.items() if k != 'event_id'})
    expect('types', set(ANYMAIL), set(ANYMAIL) & {e['type'] for e in stored.values()})
    sink.stop()
