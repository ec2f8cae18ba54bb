"""Taking somebody out of a store that is in use."""

import json
import os
import subprocess
import time

import lab
from flow import Skip, expect, expect_in, flow
from logs import check_ledger
from world import api_header

GONE = 'Erase.Me-77@deliver.example'


class Mails:
    """A Postfix, its daemon, and mails to somebody and to others."""

    def __init__(self, environment):
        base = environment.directory('erase')
        self.postfix = lab.Postfix(os.path.join(base, 'postfix'), retry=2)
        self.daemon = environment.daemon('erase', {'file': self.postfix.log}, self.postfix.milter_socket,
                                         base=os.path.join(base, 'postwake'))
        self.daemon.start()
        self.postfix.start()
        self.send(GONE, subject=f'For {GONE.lower()}', headers=[api_header(metadata={'who': 'erase.me-77'})])
        self.send([GONE, 'other@deliver.example'], subject='Where is Erase.Me-77?')
        self.send('other@deliver.example', subject='Plain')
        self.daemon.wait_events('recipients=erase.me-77@deliver.example&events=delivery', 2)
        self.daemon.wait_events('recipients=other@deliver.example&events=delivery', 2)

    def send(self, recipients, **options):
        self.postfix.send('shop@lab.example', recipients, **options)

    def grep(self):
        """The files of the store that hold the local part, in whatever case."""
        found = []
        for folder, _, names in os.walk(self.daemon.store):
            for name in names:
                with open(os.path.join(folder, name), 'rb') as file:
                    if b'erase.me-77' in file.read().lower():
                        found.append(name)
        return found

    def stop(self):
        self.postfix.stop()
        self.daemon.kill()


@flow('postwake erase takes a recipient out of a store in use; reading the log again adds nothing')
def erase(environment):
    here = Mails(environment)
    try:
        check_erased(here)
    finally:
        here.stop()


def check_erased(here):
    daemon = here.daemon
    others = daemon.events('recipients=other@deliver.example')
    expect('it is there before', True, bool(here.grep()))
    done = daemon.postwake('erase', '--recipient', GONE, '--json')
    expect('status', 0, done.returncode)
    receipt = json.loads(done.stdout)
    expect('events', 4, receipt['events'])
    expect('the receipt names nobody', False, 'erase.me' in done.stdout.lower())
    expect_in('what is left', 'backups', ' '.join(receipt['left']))
    expect('nothing is found', [], daemon.events('recipients=erase.me-77@deliver.example'))
    expect('grep', [], here.grep())
    after = daemon.events('recipients=other@deliver.example')
    expect('others stay', [e['event_id'] for e in others], [e['event_id'] for e in after])
    expect('subjects', {'Plain', 'Where is [erased]?'}, {e.get('subject') for e in after})
    expect('status says that all is well', True, check_ledger(daemon.status()) > 0)

    daemon.kill()
    daemon.start()
    expect('grep after a kill', [], here.grep())
    imported = daemon.postwake('import', here.postfix.log)
    expect('import', 0, imported.returncode)
    expect('nothing comes back', [], daemon.events('recipients=erase.me-77@deliver.example'))
    expect('nor anything else', len(after), len(daemon.events('recipients=other@deliver.example')))
    expect('grep after an import', [], here.grep())
    listed = json.loads(daemon.postwake('erase', '--list', '--json').stdout)
    expect('receipts', [receipt], listed)
    expect('the log of the daemon names nobody', False, 'erase.me-77' in daemon.log_text().lower())

    time.sleep(1.1)  # stamps of a log are in seconds: mail of the same second counts as before
    here.send(GONE, subject='New')
    found = daemon.wait_events('recipients=erase.me-77@deliver.example&events=delivery')
    expect('new mail is recorded', ['New'], [e['subject'] for e in found])


@flow('only the owner of the store may erase; nonsense is refused')
def erase_refused(environment):
    daemon = environment.daemon('refused', sections={'query': {'mode': '0666'}}).start()
    os.chmod(os.path.dirname(daemon.socket), 0o755)
    expect('no address', 2, daemon.postwake('erase', '--recipient', 'nobody').returncode)
    expect('two wishes', 2, daemon.postwake('erase', '--recipient', 'a@b.c', '--domain', 'b.c').returncode)
    expect('nothing to erase', 1, daemon.postwake('erase', '--domain', 'nowhere.example').returncode)
    held = lab.run_postwake(environment.build, '-S', daemon.store, 'erase', '--domain', 'nowhere.example')
    expect('held', 2, held.returncode)
    expect_in('why', 'postwaked', held.stderr)
    asked = ['curl', '-s', '-o', '/dev/null', '-w', '%{http_code}', '--unix-socket', daemon.socket,
             'http://localhost/api/v1/erasures']
    expect('the owner', '200', subprocess.run(asked, capture_output=True, text=True, check=False).stdout)
    other = subprocess.run(['setpriv', '--reuid', 'nobody', '--clear-groups'] + asked, capture_output=True,
                           text=True, check=False)
    if other.stdout == '000':
        raise Skip('another user does not reach the directory of the test')
    expect('another user', '403', other.stdout)
    wish = ['-d', '{"domain": "nowhere.example"}']
    other = subprocess.run(['setpriv', '--reuid', 'nobody', '--clear-groups'] + asked + wish,
                           capture_output=True, text=True, check=False)
    expect('another user who wants to erase', '403', other.stdout)
