"""A running mail system with postwaked beside it, and the mails that most tests ask about."""

import json
import os
import time

import lab


def api_header(**value):
    return 'X-MSYS-API: ' + json.dumps(value)


SUBJECT = 'Grüße aus der Werft'
ENCODED_SUBJECT = 'Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= aus der =?utf-8?b?V2VyZnQ=?='


class World:
    """Postfix with its milter and log given to postwaked; ids: what was sent, by name -> queue id."""

    def __init__(self, environment):
        base = environment.directory('world')
        self.postfix = lab.Postfix(os.path.join(base, 'postfix'), retry=2, tls=True)
        relay = f"127.0.0.1:{self.postfix.sinks['filter'].port}"
        self.daemon = lab.Daemon(environment.build, os.path.join(base, 'postwake'), {'file': self.postfix.log},
                                 self.postfix.milter_socket, {'postwake': {'internal_relays': relay}})
        self.ids, self.replies = {}, {}
        try:
            self.daemon.start()
            self.postfix.start()
            self.send_all()
            self.wait()
        except BaseException:
            self.stop()
            raise

    def send(self, name, *words, **options):
        self.ids[name], self.replies[name] = self.postfix.send(*words, **options)

    def send_all(self):
        shop = 'shop@lab.example'
        self.send('delivered', shop, 'Alice@deliver.example', headers=[
            api_header(campaign_id='spring, sale', metadata={'order': '4711'}, tags=['news', 'de'],
                       options={'open_tracking': True, 'transactional': True})], subject='Welcome aboard')
        self.send('deferred', shop, 'bob@defer.example', subject='Your order')
        self.send('bounced', shop, 'carol@bounce.example', subject='Reset your password')
        self.send('policy', shop, 'policy.dora@deliver.example')
        self.send('dothard', shop, 'dothard.emil@deliver.example')
        self.send('refused', shop, 'refused@deliver.example')
        self.send('header', shop, 'header@deliver.example', headers=['X-Refuse: yes'])
        self.send('late', 'late-refused@lab.example', 'late@deliver.example', port='second')
        self.send('half', shop, ['late-refused.1@deliver.example', 'half@deliver.example', 'late-refused.2@deliver.example'],
                  port='second')
        self.send('filtered', shop, ['fred@deliver.example', 'gina@bounce.example'], port='filtered',
                  subject='Through a filter')
        self.send('grey', shop, 'grey.hans@deliver.example', subject='Try again')
        self.send('two', shop, ['ok.ina@deliver.example', 'hard.jan@deliver.example'], subject='For two')
        self.send('lmtp', shop, 'kai@lmtp.example')
        self.send('tls', shop, 'lea@tls.example')
        self.send('closed', shop, 'max@closed.example')
        self.send('utf8', shop, 'nora@deliver.example', headers=[ENCODED_SUBJECT], subject='')
        self.send('cc', shop, ['olga@deliver.example', 'paul@deliver.example', 'quinn@deliver.example'])
        self.send('null', '', 'rita@deliver.example')
        self.postfix.submit('cron@lab.example', ['sven@deliver.example'], 'from cron')

    def wait(self):
        """Until the last of them was tried, the greylisted one again, and all of that was found."""
        for pattern in (r'half@deliver.*status=sent', r'grey\.hans.*status=sent', r'gina@bounce.*status=bounced', r'sven@.*status=sent',
                        r'quinn@.*status=sent', r'(?s)bob@defer.*status=deferred.*bob@defer.*status=deferred'):
            self.postfix.wait_log(pattern)
        time.sleep(0.3)
        self.daemon.wait_events('recipients=grey.hans@deliver.example&events=delivery')
        lab.wait_until('the follower is at the end', self.at_end)

    def at_end(self):
        """All lines that the log has are in the ledger."""
        lines = self.postfix.log_text().count('\n')
        return sum(s['lines'] for s in self.daemon.status()['ledger']) >= lines

    def of(self, name, kind=None):
        """The events of a mail that was sent, oldest first."""
        found = self.daemon.events(f'queue_ids={self.ids[name]}')
        found = found and self.daemon.events(f"message_ids={found[0]['message_id']}")
        return [e for e in reversed(found) if kind in (None, e['type'])]

    def stop(self):
        self.postfix.stop()
        self.daemon.stop()


def world(environment):
    return environment.once('world', lambda: World(environment))
