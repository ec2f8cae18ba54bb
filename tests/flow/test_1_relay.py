"""Mail that comes in for domains of ours: two instances of Postfix in one log, asked for their domains by postconf."""

import json
import os

import lab
from flow import expect, expect_in, flow

OURS = '''\
relay_domains = bounce.example, defer.example, !tls.example
virtual_alias_domains = virt.example
virtual_alias_maps = inline:{ info@virt.example=ivy@deliver.example }
virtual_mailbox_domains = texthash:$config_directory/mailboxes
multi_instance_enable = yes
'''


class Gate:
    """Instance `in` takes mail for domains of ours, `out` sends; one log, one daemon, a milter on `in`."""

    def __init__(self, environment):
        base = environment.directory('relay')
        self.inner = lab.Postfix(os.path.join(base, 'in'), syslog_name='postfix-in', main=OURS)
        lab.write(os.path.join(self.inner.etc, 'mailboxes'), 'vmb.example x\n')
        self.outer = lab.Postfix(os.path.join(base, 'out'), syslog_name='postfix-out', milter=False,
                                 log=self.inner.log, main='mydestination =\n')
        self.daemon = lab.Daemon(
            environment.build, os.path.join(base, 'postwake'), {'file': self.inner.log}, self.inner.milter_socket,
            {'postwake': {'relay_domains': f'postfix:{self.inner.etc} postfix:{self.outer.etc}'},
             'milter': {'instance': 'postfix-in'}})
        self.ids = {}
        try:
            self.daemon.start()
            self.inner.start()
            self.outer.start()
            self.send_all()
        except BaseException:
            self.stop()
            raise

    def send(self, name, instance, sender, recipients, **options):
        self.ids[name], _ = instance.send(sender, recipients, **options)

    def send_all(self):
        guest = 'guest@elsewhere.example'
        campaign = ['X-MSYS-API: ' + json.dumps({'campaign_id': 'not ours'})]
        self.send('in', self.inner, guest, ['Root@Lab.example', 'info@virt.example', 'bob@defer.example'],
                  subject='To you', headers=campaign)
        self.send('bounced', self.inner, guest, 'hard.carol@bounce.example')
        self.send('refused', self.inner, guest, 'refused@virt.example')
        self.send('mixed', self.inner, guest, ['postmaster@lab.example', 'zoe@deliver.example'], headers=campaign)
        self.send('out', self.outer, 'shop@lab.example', 'xena@deliver.example', headers=campaign)
        for pattern in (r'bob@defer.*deferred', r'carol@bounce.*bounced', r'zoe@deliver.*sent', r'xena@deliver.*sent',
                        r'postmaster@lab.*sent'):
            self.inner.wait_log(pattern)
        self.daemon.wait_events('events=injection&recipients=guest@elsewhere.example')  # the notice comes last
        for name, count in (('out', 2), ('mixed', 4), ('in', 6), ('bounced', 2)):
            self.daemon.wait_events(f'queue_ids={self.ids[name]}', count)

    def of(self, name):
        return self.daemon.events(f'queue_ids={self.ids[name]}')

    def stop(self):
        self.inner.stop()
        self.outer.stop()
        self.daemon.stop()


def gate(environment):
    return environment.once('relay', lambda: Gate(environment))


def kinds(events):
    return sorted({(e['type'], e['rcpt_to']) for e in events})


@flow('mail for domains of ours is relayed: its events are found by the relay types')
def relay_types(environment):
    here = gate(environment)
    expect('one mail to three of ours', [
        ('relay_delivery', 'ivy@deliver.example'), ('relay_delivery', 'root@lab.example'),
        ('relay_injection', 'bob@defer.example'), ('relay_injection', 'info@virt.example'),
        ('relay_injection', 'root@lab.example'), ('relay_tempfail', 'bob@defer.example')], kinds(here.of('in')))
    expect('refused by the next host', [('relay_injection', 'hard.carol@bounce.example'),
                                        ('relay_permfail', 'hard.carol@bounce.example')], kinds(here.of('bounced')))
    expect('refused by us', [('relay_rejection', 'refused@virt.example')],
           kinds(here.daemon.events('recipients=refused@virt.example')))
    expect('one of ours, one of others', [
        ('delivery', 'zoe@deliver.example'), ('injection', 'zoe@deliver.example'),
        ('relay_delivery', 'postmaster@lab.example'), ('relay_injection', 'postmaster@lab.example')],
        kinds(here.of('mixed')))
    expect('what the other instance sends', [('delivery', 'xena@deliver.example'), ('injection', 'xena@deliver.example')],
           kinds(here.of('out')))
    found = here.daemon.events('events=relay_delivery')
    expect('by type', {'relay_delivery'}, {e['type'] for e in found})
    expect('how many', 3, len(found))
    expect('no delivery of theirs', {'xena@deliver.example', 'zoe@deliver.example', 'guest@elsewhere.example'},
           {e['rcpt_to'] for e in here.daemon.events('events=delivery,bounce,delay')} | {'guest@elsewhere.example'})


@flow('relay events have relay_id and origination, and nothing that a stranger says of campaigns')
def relay_fields(environment):
    here = gate(environment)
    events = here.of('in')
    expect('origination', {'inbound'}, {e['origination'] for e in events})
    expect('one relay_id', 1, len({e['relay_id'] for e in events}))
    expect('subject', {'To you'}, {e['subject'] for e in events})
    for name in ('campaign_id', 'template_id', 'transmission_id'):
        expect(f'{name} of what came in', set(), {e[name] for e in events if name in e})
    failure = [e for e in events if e['type'] == 'relay_tempfail'][-1]  # the first: on a slow machine there are others by now
    expect('codes', ('452', '4.2.2', '22', '0'), tuple(failure[f] for f in (
        'error_code', 'dsn', 'bounce_class', 'num_retries')))
    for event in here.of('mixed'):
        relay = event['type'].startswith('relay_')
        expect(f"campaign of {event['type']}", not relay, 'campaign_id' in event)
        expect(f"relay_id of {event['type']}", relay, 'relay_id' in event)
    expect('instances', {'in': 'postfix-in', 'out': 'postfix-out'},
           {name: here.of(name)[0]['instance'] for name in ('in', 'out')})


@flow('domains that stand in a table are told, not guessed')
def relay_table(environment):
    expect_in('warning', f'virtual_mailbox_domains = texthash:{gate(environment).inner.etc}/mailboxes: cannot be read as a list',
              gate(environment).daemon.log_text())


@flow('import, parse and the live daemon say the same of inbound mail, whichever way the logs are cut')
def relay_again(environment):
    here = gate(environment)
    live = {e['event_id']: e['type'] for e in here.daemon.events()}
    log = environment.directory('relay-logs')
    both = lab.read(here.inner.log).splitlines(keepends=True)
    paths = []
    for name in ('postfix-in', 'postfix-out'):
        paths.append(os.path.join(log, f'{name}.log'))
        lab.write(paths[-1], ''.join(line for line in both if f' {name}/' in line))
    expect('lines of both', True, all(os.path.getsize(path) > 1000 for path in paths))
    domains = 'lab.example localhost virt.example bounce.example defer.example'
    done = lab.run_postwake(environment.build, 'parse', '--relay-domains', domains, *paths)
    parsed = {e['event_id']: e['type'] for e in map(json.loads, done.stdout.splitlines())}
    expect('parse, two logs', {k: parsed.get(k) for k in live}, live)
    base = environment.directory('relay-import')
    config, store = os.path.join(base, 'conf'), os.path.join(base, 'store')
    lab.write(config, f'[postwake]\nstore = {store}\nrelay_domains = postfix:{here.inner.etc}\n')
    done = lab.run_postwake(environment.build, '-c', config, 'import', '--keep-days', '100000', here.inner.log)
    expect('import', 0, done.returncode)
    expect_in('import tells of the table', f'texthash:{here.inner.etc}/mailboxes', done.stderr)
    done = lab.run_postwake(environment.build, '-S', store, 'search', '--limit', '0', '--ndjson')
    stored = {e['event_id']: e['type'] for e in map(json.loads, done.stdout.splitlines())}
    expect('import, one log', {k: stored.get(k) for k in live}, live)
    two = environment.daemon('relay-two', {'file': paths[0]}, None, {
        'postwake': {'relay_domains': domains}, 'source out': {'file': paths[1]}})
    two.start()
    lab.wait_until('both logs are read', lambda: live.keys() <= {e['event_id'] for e in two.events()})
    expect('two logs followed', live, {e['event_id']: e['type'] for e in two.events() if e['event_id'] in live})
    two.stop()


@flow('a daemon that cannot ask postconf says so and does not start')
def relay_no_postconf(environment):
    daemon = environment.daemon('relay-none', None, None, {'postwake': {'relay_domains': 'postfix:/nonexistent/etc'}})
    daemon.start(ready=False)
    lab.wait_until('it ended', lambda: daemon.process.poll() is not None)
    expect('status', True, daemon.process.returncode != 0)
    expect_in('reason', 'relay_domains: postconf', daemon.log_text())
