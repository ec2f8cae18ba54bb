"""The mail logs that the torture test mixes: the golden ones, and those of other people's servers where they are there
(PW_SHARED, default ../shared; they are not ours to copy).

A log is (seconds since its first line, host, tag, pid, text), …; tag and pid are None where the line has none.
"""

import contextlib
import glob
import json
import os
import re
import time

TESTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..')
SHARED = os.environ.get('PW_SHARED') or os.path.join(TESTS, '..', '..', 'shared')
OTHERS = os.path.join(SHARED, 'corpora')

BSD = re.compile(r'^(\w{3} [ \d]\d \d\d:\d\d:\d\d) (\S+) (?:(\S+?)\[(\d+)\]: )?(.*)$', re.S)
ISO = re.compile(r'^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\S* (\S+) (?:(\S+?)\[(\d+)\]: )?(.*)$', re.S)
RFC5424 = re.compile(r'^<\d+>1 (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\S* (\S+) (\S+) (\d+) \S+ \S+ +(.*)$', re.S)
FORMS = ((BSD, '%Y %b %d %H:%M:%S', '2026 '), (ISO, '%Y-%m-%dT%H:%M:%S', ''), (RFC5424, '%Y-%m-%dT%H:%M:%S', ''))

PIECE = 1000  # lines; a longer log of others is taken in such pieces, which begin and end amid a mail
PAUSE = 5  # seconds between two lines of others at most: their logs tell of months


def read_line(line):
    """(time, host, tag, pid, text), or None."""
    for pattern, form, before in FORMS:
        match = pattern.match(line)
        if match:
            with contextlib.suppress(ValueError):  # the 29th of February
                return (time.mktime(time.strptime(before + match.group(1), form)), *match.groups()[1:])
    return None


def own(path):
    """A golden log: (its lines, the time of its first one)."""
    with open(path, encoding='utf-8', errors='surrogateescape') as file:
        lines = [read_line(line) for line in file.read().splitlines()]
    first = lines[0][0]
    return [(line[0] - first, *line[1:]) for line in lines], first


def close_up(lines):
    """Lines of others, in their order and without their pauses: like own()."""
    out, offset, before = [], 0, lines[0][0]
    for when, *rest in lines:
        offset += min(max(when - before, 0), PAUSE)
        before = when
        out.append((offset, *rest))
    return out, lines[0][0]


def stamped(lines):
    return [line for line in map(read_line, lines) if line]


def pieces(path):
    """What a publisher has put into a log more than once counts once: no queue id comes again within seconds."""
    with open(path, encoding='utf-8', errors='surrogateescape', newline='\n') as file:
        lines = stamped(dict.fromkeys(file.read().split('\n')))
    return [close_up(lines[i:i + PIECE]) for i in range(0, len(lines), PIECE)]


def single_lines(path):
    with open(path, encoding='utf-8') as file:
        return close_up(stamped(json.loads(line)['line'].split('\n')[0] for line in file))


def has_others():
    return os.path.isdir(OTHERS)


def golden():
    """In an order that is always the same."""
    return [own(path) for path in sorted(glob.glob(os.path.join(TESTS, 'golden', '*', '*.log')))]


def others():
    logs = []
    for name in ('*', '*/*'):
        for path in sorted(glob.glob(os.path.join(OTHERS, 'logs', name, 'mail.log'))):
            logs += pieces(path)
    return logs + [single_lines(path) for path in sorted(glob.glob(os.path.join(OTHERS, 'loglines', '*', 'cases.jsonl')))]
