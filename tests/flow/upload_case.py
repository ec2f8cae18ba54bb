"""What tests of uploads start with: a log, a daemon that follows it, and a destination."""

import collections
import os

import lab
from flow import expect
from ingest import KEY
from logs import log, put, recently, wait_read


class Case:
    """A log, a daemon that follows it, and a destination."""

    def __init__(self, environment, name, sink, copies=1, start=None, more=None, sections=None):
        self.base = environment.directory(name)
        self.log = os.path.join(self.base, 'mail.log')
        self.text = log(start or recently(), copies=copies)
        put(self.log, self.text)
        self.sink = sink
        self.upload = {'url': sink.url, 'kind': 'sparkpost', 'key_file': self.key_file(), 'timeout': '1', 'interval': '0',
                       'poll': '1', **(more or {})}
        self.daemon = environment.daemon(name, {'file': self.log}, sections={'upload far': self.upload, **(sections or {})},
                                         base=os.path.join(self.base, 'postwake'))

    def key_file(self, text=KEY + '\n', mode=0o600):
        path = os.path.join(self.base, 'key')
        put(path, text)
        os.chmod(path, mode)
        return path

    def append(self, copies, start):
        text = log(start, copies=copies)
        self.text += text
        put(self.log, text, 'a')

    def wait_read(self):
        wait_read(self.daemon, self.text.count('\n'))

    def status(self):
        found = [d for d in self.daemon.get('/api/v1/uploads')[1]['results'] if d['name'] == 'far']
        return found[0] if found else {'accepted': 0, 'failed': 0, 'batches': [], 'waiting': -1, 'too_old': 0, 'invalid': 0}

    def wait(self, what, condition, timeout=60):
        return lab.wait_until(what, lambda: condition(self.status()), timeout, 0.05)

    def wait_accepted(self, timeout=60):
        """Until all that is stored has a verdict."""
        self.wait_read()
        want = len(self.daemon.events())
        self.wait(f'{want} events are accepted', lambda s: s['accepted'] + s['too_old'] + s['failed'] + s['invalid'] >= want, timeout)

    def check_all_once(self, too_old=()):
        stored = collections.Counter(
            e['event_id'] for e in self.daemon.events() if e['event_id'] not in too_old)
        expect('events that are lost', {}, dict(stored - self.sink.counts()))
        expect('events that are not in the store, or came twice', {}, dict(self.sink.counts() - stored))

    def secrets_in_log(self):
        expect('the key in the log', False, KEY in self.daemon.log_text())
