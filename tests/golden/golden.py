"""What the golden tests share: running `postwake parse`, counting, and a naive reader of Postfix's log.

The reader knows nothing of postwake: a few regular expressions, so that two independent readings meet.
"""

import collections
import json
import os
import re
import subprocess
import sys

TOP = os.environ.get('top_srcdir') or os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..')
BUILD = os.environ.get('top_builddir') or TOP
SHARED = os.environ.get('PW_SHARED') or os.path.join(TOP, '..', 'shared')


class Count:
    """Passed, failed and skipped; failures are printed, at most `shown` of them."""

    def __init__(self, shown=40):
        self.passed = self.failed = self.skipped = 0
        self.shown = shown

    def check(self, name, want, got):
        if want == got:
            self.passed += 1
            return True
        self.failed += 1
        if self.failed <= self.shown:
            print(f'FAILED: {name}\n  want {want}\n  got  {got}')
        return False

    def skip(self, what):
        self.skipped += 1
        print(f'skipped: {what}')

    def end(self):
        print(f'{self.passed} passed, {self.failed} failed, {self.skipped} skipped')
        sys.exit(1 if self.failed else 0)


def parse(*words):
    """The events of `postwake parse WORDS`."""
    done = subprocess.run([os.path.join(BUILD, 'postwake'), 'parse', '--zone', 'UTC', *words],
                          capture_output=True, check=False)
    if done.returncode not in (0, 1):
        raise SystemExit(f"postwake parse {' '.join(words)}: status {done.returncode}\n"
                         + done.stderr.decode('utf-8', 'replace'))
    return [json.loads(line) for line in done.stdout.splitlines()]


# --- the naive reader -------------------------------------------------------------------------------

STATUS_TYPE = {'sent': 'delivery', 'deferred': 'delay', 'bounced': 'bounce', 'SOFTBOUNCE': 'delay',
               'deliverable': None, 'undeliverable': None}

_HEADERS = [
    re.compile(r'^\w{3} [ \d]\d [\d:]{8} (?P<host>\S+) (?P<tag>[^\s\[]+)\[(?P<pid>\d+)\]: (?P<text>.*)$', re.S),
    re.compile(r'^\d{4}-\d\d-\d\dT\S+ (?P<host>\S+) (?P<tag>[^\s\[]+)\[(?P<pid>\d+)\]: (?P<text>.*)$', re.S),
    re.compile(r'^<\d+>1 \S+ (?P<host>\S+) (?P<tag>\S+) (?P<pid>\S+) \S+ -\s+(?P<text>.*)$', re.S),
]
_ADDRESS = r'((?:"(?:[^"\\]|\\.)*"|[^">])*)'  # a quoted local part may hold ">, status=sent ("
_ATTEMPT = re.compile(
    r'^([0-9A-Za-z]{6,}): to=<' + _ADDRESS + r'>, (?:orig_to=<' + _ADDRESS + r'>, )?relay=(.*?), (?:conn_use=\d+, )?'
    r'delay=[\d.]+, delays=[\d./]+, dsn=([\d.]+), status=(\S+) \((.*)\)$', re.S)
_EXPIRED = re.compile(r'^(\w+): from=<.*>, status=(?:force-)?expired, returned to sender$')
_CLIENT_ID = re.compile(r'(?:queued|forwarded) as (\w+)\)?$')

Attempt = collections.namedtuple('Attempt', 'queue_id rcpt orig_to relay dsn status text')


def texts(path):
    """(tag, text) of each line that has a syslog header."""
    with open(path, encoding='utf-8', errors='surrogateescape') as file:
        for line in file:
            for header in _HEADERS:
                match = header.match(line.rstrip('\n'))
                if match:
                    yield match['tag'], match['text']
                    break


def attempts(path):
    """Every `to=` line of a Postfix log."""
    for tag, text in texts(path):
        match = _ATTEMPT.match(text)
        if match and tag.startswith('postfix'):
            yield Attempt(*match.groups())


def expired(path):
    """Queue ids that the queue manager gave up."""
    return {m.group(1) for _, text in texts(path) if (m := _EXPIRED.match(text))}


def requeued(path):
    """{queue id: the one that postsuper -r gave the mail}."""
    return {m.group(2): m.group(1) for _, text in texts(path)
            if (m := re.match(r'^(\w+): uid=\d+ from=<.*> orig_id=(\w+)$', text))}


def continued_as(attempt):
    """The queue id under which a reply says that the mail goes on, or None."""
    match = _CLIENT_ID.search(attempt.text)
    return match.group(1) if match else None


def relay_parts(relay):
    """(host, ip) of relay=host[ip]:port; (None, None) for none, local, virtual and the like."""
    match = re.match(r'^(\S+)\[([^\]]*)\](?::\d+)?$', relay)
    if not match:
        return None, None
    return match.group(1), match.group(2)


def printable(text):
    """How JSON output shows text of a log that is no UTF-8."""
    return text.encode('utf-8', 'surrogateescape').decode('utf-8', 'replace')
