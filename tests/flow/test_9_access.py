"""Who may do what: other users on the socket, keys over TLS, a certificate that is renewed."""

import gzip
import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import time

import lab
from flow import Skip, expect, expect_in, flow

ALICE, BOB, CAROL = 61001, 61002, 61003
STAFF, SUPPORT = 62001, 62002
SEARCH = '/api/v1/message-events?from=2000-01-01T00:00'
DOCUMENTATION = '/api/v1/message-events/events/documentation'

REPORT = 'From: joe@red.example\nSubject: hello\n\nNo report at all.\n'
LINE = '{stamp} mx1 postfix/smtp[9]: {number}AAAAAAAAA: to=<joe@{domain}.example>, relay=mx.{domain}.example[192.0.2.1]:25, ' \
       'delay=1, delays=0.1/0/0.1/0.8, dsn=2.0.0, status=sent (250 2.0.0 Ok)\n'


def log_text():
    """A mail to each of three domains, a minute ago."""
    stamp = time.strftime('%b %e %H:%M:%S', time.localtime(time.time() - 60))
    return ''.join(LINE.format(stamp=stamp, number=number, domain=domain)
                   for number, domain in enumerate(('red', 'blue', 'green')))


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def certificate(directory, name):
    """A certificate for 127.0.0.1 in cert.pem and key.pem, which are replaced one after the other."""
    if shutil.which('openssl') is None:
        raise Skip('openssl is not installed')
    fresh = [os.path.join(directory, f'{name}-{kind}.pem') for kind in ('cert', 'key')]
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes',
                    '-days', '2', '-subj', f'/CN={name}', '-addext', 'subjectAltName=IP:127.0.0.1',
                    '-out', fresh[0], '-keyout', fresh[1]], check=True, capture_output=True)
    for source, target in zip(fresh, ('cert.pem', 'key.pem')):
        shutil.copy(source, os.path.join(directory, target + '.new'))
        os.rename(os.path.join(directory, target + '.new'), os.path.join(directory, target))
    return fresh[0]


def as_user(daemon, target, uid, groups=(), header=None, body=None):
    """Status and answer of a request that another user makes; a body makes it a POST."""
    words = ['setpriv', f'--reuid={uid}', f'--regid={uid}', '--groups', ','.join(map(str, groups)) or str(uid),
             'curl', '-sS', '-w', '\n%{http_code}', '--unix-socket', daemon.socket, f'http://localhost{target}']
    words += ['-H', header] if header else []
    words += ['--data-binary', body, '-H', 'Content-Type: message/rfc822'] if body else []
    answer = subprocess.run(words, capture_output=True, text=True, check=True)
    body, _, status = answer.stdout.rpartition('\n')
    return int(status), json.loads(body)


def domains(answer):
    """To which domains deliveries are shown; the total must say the same."""
    found = [e for e in answer['results'] if e['type'] == 'delivery']
    expect('the total', len(answer['results']), answer['total_count'])
    return sorted(e['rcpt_to'].split('@')[1].split('.')[0] for e in found)


def filled(environment, name, sections):
    base = environment.directory(name)
    daemon = environment.daemon(name, sections=dict({'query': {'mode': '0666'}}, **sections), base=base)
    log = os.path.join(base, 'old.log')
    lab.write(log, log_text())
    lab.run_postwake(environment.build, '-S', daemon.store, 'import', log)
    return daemon.start()


@flow('users and groups on the socket see what the table says, and nobody else anything')
def table(environment):
    daemon = filled(environment, 'table', {
        'access red': {'users': str(ALICE), 'domains': 'red.example'},
        'access staff': {'groups': str(STAFF), 'domains': 'red.example blue.example'},
        'access nothing': {'groups': str(SUPPORT), 'subaccounts': '77'}})
    expect('root', ['blue', 'green', 'red'], domains(as_user(daemon, SEARCH, 0)[1]))
    expect('a user', ['red'], domains(as_user(daemon, SEARCH, ALICE)[1]))
    expect('the first group counts', ['red'], domains(as_user(daemon, SEARCH, ALICE, [STAFF])[1]))
    expect('a supplementary group', ['blue', 'red'], domains(as_user(daemon, SEARCH, BOB, [5, STAFF])[1]))
    expect('another subaccount', [], domains(as_user(daemon, SEARCH, BOB, [SUPPORT])[1]))
    expect('nobody', (403, {'errors': [{'message': 'Forbidden.'}]}), as_user(daemon, SEARCH, CAROL))
    expect('documentation', 200, as_user(daemon, DOCUMENTATION, CAROL)[0])
    arrived = as_user(daemon, '/api/v1/message-events?since=0', ALICE)[1]['results']
    expect('what arrived', {'red.example'}, {e['recipient_domain'] for e in arrived})
    expect('the status', ['mark'], list(as_user(daemon, '/api/v1/status', ALICE)[1]['results']))
    expect('keys', 403, as_user(daemon, '/api/v1/keys', ALICE)[0])
    for uid, status in ((0, 200), (ALICE, 403), (CAROL, 403)):
        expect(f'a report from {uid}', status, as_user(daemon, '/api/v1/report', uid, body=REPORT)[0])


@flow('without a table whoever may open the socket may read, and no more')
def no_table(environment):
    daemon = filled(environment, 'open', {})
    expect('all', ['blue', 'green', 'red'], domains(as_user(daemon, SEARCH, ALICE)[1]))
    expect('keys', 403, as_user(daemon, '/api/v1/keys', ALICE)[0])
    expect('a report', 200, as_user(daemon, '/api/v1/report', ALICE, body=REPORT)[0])
    words = ['setpriv', f'--reuid={ALICE}', f'--regid={ALICE}', '--clear-groups', '--',
             os.path.join(environment.build, 'postwake'), '-s', daemon.socket, 'key', 'add']
    refused = subprocess.run(words, capture_output=True, text=True, check=False)
    expect('its status', 2, refused.returncode)
    expect_in('its reason', 'only root and the user of postwaked', refused.stderr)


@flow('where the socket needs keys, a key narrows what its user may do')
def socket_keys(environment):
    daemon = filled(environment, 'socket-keys', {
        'query': {'mode': '0666', 'socket_keys': 'required'},
        'access both': {'users': str(ALICE), 'domains': 'red.example blue.example'}})
    key = daemon.postwake('key', 'add', '--domain', 'blue.example', '--domain', 'green.example').stdout.strip()
    expect('without', (401, {'errors': [{'message': 'Unauthorized.'}]}), as_user(daemon, SEARCH, ALICE))
    expect('with', ['blue'], domains(as_user(daemon, SEARCH, ALICE, header=f'Authorization: {key}')[1]))
    expect('who is not in the table', 403, as_user(daemon, SEARCH, BOB, header=f'Authorization: {key}')[0])
    expect('root', ['blue', 'green', 'red'], domains(as_user(daemon, SEARCH, 0)[1]))


class Remote:
    """Asks over TLS."""

    def __init__(self, port, authority):
        self.context = ssl.create_default_context(cafile=authority)
        self.connection = http.client.HTTPSConnection('127.0.0.1', port, context=self.context, timeout=10)

    def ask(self, target, key=None, body=None):
        headers = {'Content-Type': 'application/x-ndjson', 'Content-Encoding': 'gzip'} if body else {}
        self.connection.request('POST' if body else 'GET', target, body,
                                dict(headers, **({'Authorization': key} if key else {})))
        answer = self.connection.getresponse()
        return answer.status, json.loads(answer.read())

    def subject(self):
        if self.connection.sock is None:
            self.connection.connect()
        return dict(pair[0] for pair in self.connection.sock.getpeercert()['subject'])['commonName']


def remote(environment, name):
    base, port = environment.directory(name + '-tls'), free_port()
    authority = certificate(base, 'first')
    daemon = filled(environment, name, {'listen': {'port': str(port), 'certificate': os.path.join(base, 'cert.pem'),
                                                  'key': os.path.join(base, 'key.pem')}})
    return daemon, base, port, authority


@flow('keys over TLS: made, scoped, listed and revoked while the daemon runs, kept over a restart')
def keys(environment):
    daemon, _, port, authority = remote(environment, 'keys')
    far = Remote(port, authority)
    expect('no key', (401, {'errors': [{'message': 'Unauthorized.'}]}), far.ask(SEARCH))
    expect('documentation', 200, far.ask(DOCUMENTATION)[0])
    whole = daemon.postwake('key', 'add', '--name', 'all of it').stdout.strip()
    green = daemon.postwake('key', 'add', '--name', 'green', '--domain', 'Green.example').stdout.strip()
    other = daemon.postwake('key', 'add', '--subaccount', '5', '--grant', 'read,ingest').stdout.strip()
    expect('all', ['blue', 'green', 'red'], domains(far.ask(SEARCH, whole)[1]))
    expect('a domain', ['green'], domains(far.ask(SEARCH, green)[1]))
    expect('another subaccount', [], domains(far.ask(SEARCH, other)[1]))
    expect('no keys for keys', 403, far.ask('/api/v1/keys', whole)[0])
    listed = daemon.postwake('key', 'list').stdout
    expect('the names', ['all of it', 'green', ''], [line.split('  ')[-1] for line in listed.splitlines()])
    expect('no secret is told', [], [k for k in (whole, green, other) if k[16:] in listed])
    daemon.postwake('key', 'revoke', green)
    expect('revoked', 401, far.ask(SEARCH, green)[0])
    expect('the others', 200, far.ask(SEARCH, whole)[0])
    daemon.stop()
    search = subprocess.run(['grep', '-rlF', '-e', whole[16:], daemon.store], capture_output=True, check=False)
    expect('files of the store with a secret in them', (1, b''), (search.returncode, search.stdout))
    direct = lab.run_postwake(environment.build, '-c', daemon.config, 'key', 'add')
    late = direct.stdout.strip()
    expect('a key without a daemon', True, re.fullmatch(r'pw_[0-9a-f]{12}_[\w-]{43}', late) is not None)
    daemon.start()
    far = Remote(port, authority)
    expect('after a restart', [200, 401, 200], [far.ask(SEARCH, key)[0] for key in (whole, green, late)])
    expect('no key in the log', False, any(key[16:] in daemon.log_text() for key in (whole, green, late)))


@flow('a new certificate is served without a restart, and no connection is dropped')
def renewed(environment):
    daemon, base, port, authority = remote(environment, 'renew')
    far = Remote(port, authority)
    expect('the first', 'first', far.subject())
    expect('an answer', 200, far.ask(DOCUMENTATION)[0])
    kept = far.connection.sock
    second = certificate(base, 'second')
    lab.wait_until('the new one is read', lambda: 'the certificate was read again' in daemon.log_text())
    expect('the old connection', 200, far.ask(DOCUMENTATION)[0])
    expect('it is the same', True, far.connection.sock is kept)
    expect('the second', 'second', Remote(port, second).subject())
    lab.write(os.path.join(base, 'cert.pem'), 'rubbish\n')
    lab.wait_until('rubbish is told', lambda: 'is no certificate' in daemon.log_text())
    expect('the second stays', 'second', Remote(port, second).subject())
    shutil.copy(second, os.path.join(base, 'cert.pem'))
    before = daemon.log_text().count('was read again')
    daemon.process.send_signal(signal.SIGHUP)
    lab.wait_until('SIGHUP reads it', lambda: daemon.log_text().count('was read again') > before)
    expect('and it works', 200, Remote(port, second).ask(DOCUMENTATION)[0])


@flow('a configuration that lets in whom it should not is refused at the start')
def refused(environment):
    for sections, reason in (
            ({'listen': {'port': str(free_port()), 'address': '0.0.0.0'}}, 'can be reached from elsewhere'),
            ({'listen': {'port': str(free_port()), 'certificate': '/nonexistent'}}, 'belong together'),
            ({'access x': {'users': 'nobody-of-this-name'}}, 'no such user'),
            ({'access x': {'users': '1', 'domains': '*'}}, 'must be a domain'),
            ({'access x': {'domains': 'a.example'}}, 'needs users= or groups=')):
        daemon = environment.daemon('refused', sections=sections).start(ready=False)
        expect(f'{reason}: its status', os.EX_CONFIG, daemon.process.wait(20))
        expect_in('its log', reason, daemon.log_text())


def stream(port, authority, key, target='/api/v1/events/stream?since=0'):
    """An answer without end, as lines; each may take ten seconds."""
    connection = http.client.HTTPSConnection('127.0.0.1', port, context=ssl.create_default_context(cafile=authority),
                                             timeout=20)
    connection.request('GET', target, headers={'Authorization': key})
    answer = connection.getresponse()
    expect('its status', 200, answer.status)
    return connection, answer


@flow('a stream over TLS gives a key only its own events, and ends when the key is revoked')
def scoped_stream(environment):
    daemon, base, port, authority = remote(environment, 'stream')
    key = daemon.postwake('key', 'add', '--domain', 'green.example').stdout.strip()
    connection, answer = stream(port, authority, key)
    found = []
    while not any('delivery' in line for line in found):
        line = answer.readline().decode()
        found += [line] if line.startswith('data:') else []
    expect('its events', {'green.example'}, {json.loads(line[5:])['recipient_domain'] for line in found})
    log = os.path.join(base, 'later.log')
    lab.write(log, log_text().replace('AAAAAAAAA', 'BBBBBBBBB').replace('joe@', 'ann@'))
    expect('an import', 0, daemon.postwake('import', log).returncode)
    while True:
        line = answer.readline().decode()
        if line.startswith('data:'):
            expect('what arrives later', 'ann@green.example', json.loads(line[5:])['rcpt_to'])
            if '"delivery"' in line:
                break
    daemon.postwake('key', 'revoke', key)
    lab.write(log, log_text().replace('AAAAAAAAA', 'CCCCCCCCC').replace('joe@', 'eve@'))
    expect('an import', 0, daemon.postwake('import', log).returncode)
    expect('nothing of what comes after', False, b'eve@' in answer.read())
    connection.close()


@flow('a batch over TLS needs a key that may ingest, and is shown to nobody of another subaccount')
def scoped_batches(environment):
    daemon, _, port, authority = remote(environment, 'batches')
    far = Remote(port, authority)
    grants = {'mine': ('ingest', '5'), 'theirs': ('read,ingest', '6'), 'reader': ('read', '5')}
    key = {name: daemon.postwake('key', 'add', '--grant', grant, '--subaccount', account).stdout.strip()
           for name, (grant, account) in grants.items()}
    event = {'type': 'delivery', 'event_id': '4711', 'message_id': '000443ee14578172be22', 'rcpt_to': 'a@red.example',
             'timestamp': str(int(time.time()) - 5), 'delv_method': 'esmtp', 'subaccount_id': 5}
    batch = gzip.compress(json.dumps({'msys': {'message_event': event}}).encode() + b'\n')
    expect('who may not ingest', [401, 403], [far.ask('/api/v1/ingest/events', k, batch)[0] for k in (None, key['reader'])])
    far = Remote(port, authority)  # a refused body ends the connection
    status, answer = far.ask('/api/v1/ingest/events', key['mine'], batch)
    expect('who may', 200, status)
    number = answer['results']['id']

    def listed(name):
        return [record['batch_id'] for record in far.ask('/api/v1/events/ingest', key[name])[1]['results']]
    lab.wait_until('the batch is validated', lambda: listed('mine') == [number])
    expect('the others see it', [[], [number]], [listed('theirs'), listed('reader')])
    expect('the others fetch it', 404, far.ask(f'/api/v1/ingest/events/{number}', key['theirs'])[0])
    expect('the event', [0, 1], [far.ask(SEARCH + '&event_ids=4711', key[name])[1]['total_count']
                                 for name in ('theirs', 'reader')])
