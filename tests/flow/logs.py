"""Logs for the tests of reading again: lines of a golden log moved to a wanted time, in three forms of stamp."""

import os
import re
import time

import lab

GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'golden', 'postfix', 'postfix-short.log')
BSD = re.compile(r'^(\w{3} [ \d]\d \d\d:\d\d:\d\d) (\S+) (\S+?)\[(\d+)\]: (.*)$', re.S)


def golden_lines():
    """(seconds since the first line, host, tag, pid, text)."""
    lines, first = [], None
    for line in lab.read(GOLDEN).splitlines():
        match = BSD.match(line)
        when = time.mktime(time.strptime('2026 ' + match.group(1), '%Y %b %d %H:%M:%S'))
        first = when if first is None else first
        lines.append((when - first, *match.groups()[1:]))
    return lines


def log(start, form='bsd', copies=1, lines=None):
    """The text of a log that begins at `start` (epoch seconds); further copies follow at later times."""
    lines = lines or golden_lines()
    length = max(line[0] for line in lines) + 2
    stamp = {
        'bsd': lambda t: time.strftime('%b %e %H:%M:%S', time.localtime(t)),
        'iso': lambda t: time.strftime('%Y-%m-%dT%H:%M:%S.123456+00:00', time.gmtime(t)),
    }
    out = []
    for copy in range(copies):
        for offset, host, tag, pid, text in lines:
            when = start + offset + copy * length
            if form == '5424':
                date = time.strftime('%Y-%m-%dT%H:%M:%S.5+00:00', time.gmtime(when))
                out.append(f'<22>1 {date} {host} {tag} {pid} - -  {text}\n')
            else:
                out.append(f'{stamp[form](when)} {host} {tag}[{pid}]: {text}\n')
    return ''.join(out)


def put(path, text, mode='w'):
    with open(path, mode, encoding='utf-8', errors='surrogateescape') as file:
        file.write(text)


def recently():
    """A start that lies an hour back: nothing of it is in the future, nor too old."""
    return int(time.time()) - 3600


def today():
    """The same, and of this day (UTC): the day before is sealed, and its texts are compressed."""
    now = int(time.time())
    return max(recently(), now - now % 86400)


def lines_of(daemon):
    return sum(s['lines'] for s in daemon.status()['ledger'])


def wait_read(daemon, lines, timeout=60):
    lab.wait_until(f'{lines} lines are read', lambda: lines_of(daemon) >= lines, timeout)


def check_ledger(status):
    """The sum of each source is exact; all lines."""
    for source in status['ledger']:
        total = sum(source[c] for c in ('event', 'linked', 'ignored', 'known', 'unparsed'))
        if total != source['lines']:
            raise AssertionError(f'the ledger is wrong: {source}')
    return sum(s['lines'] for s in status['ledger'])


def by_id(events):
    return {e['event_id']: e for e in events}
