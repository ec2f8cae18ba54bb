"""A log as the torture test feeds it: deterministic by its seed, all forms that we know mixed.

The logs of maillogs.py, again and again under queue ids of their own, so that each copy is mail of its own; lines of other
programs, broken ones, stamps that step back and forward, a midnight.
"""

import functools
import random
import re
import time

import maillogs

B52 = '0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz'
LONG_ID = re.compile(r'\b[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z]{10,12}z[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-y]{4,6}\b')
SHORT_ID = re.compile(r'\b[0-9A-F]{10,12}\b')
SENDMAIL_ID = re.compile(r'\b[0-9A-Za-x][0-9AB][0-9A-U][0-9A-N][0-9A-Za-x]{2}[0-9A-Za-z]{2}\d{6}\b')

OTHER = ('kernel: [ 12.3] eth0: link up', 'CRON[{n}]: (root) CMD (true)', 'sshd[{n}]: Invalid user postfix from 192.0.2.{b}',
         'postfix/smtpd[{n}]: connect from mail.example[192.0.2.{b}]', 'dovecot: imap-login: Login: user=<u{n}>',
         'postfix/anvil[{n}]: statistics: max connection rate 1/60s for (smtp:192.0.2.{b}) at Nov 22 00:00:00',
         'logger: postfix/smtp[{n}]: 4ABCDE12345: to=<forged{n}@example.com>, status=sent (250 ok)', '')


def number(text):
    value = 0
    for letter in text:
        value = value * 52 + B52.index(letter)
    return value


def letters(value, least):
    text = ''
    while value or len(text) < least:
        value, rest = divmod(value, 52)
        text = B52[rest] + text
    return text


def renamed(text, copy, shift):
    """The text under the queue ids of this copy. A long one tells its time: that moves too."""
    def long_id(match):
        old = match.group()
        return letters(number(old[:6]) + int(shift), 6) + old[6:]
    text = LONG_ID.sub(long_id, text)
    text = SHORT_ID.sub(lambda m: f'{(int(m.group(), 16) + copy * 0x10001) % (1 << 4 * len(m.group())):0{len(m.group())}X}', text)
    return SENDMAIL_ID.sub(lambda m: m.group()[:8] + f'{(int(m.group()[8:]) + copy * 1013) % 1000000:06d}', text)


def told_apart(text, copy, order):
    """A refusal has no queue id: equal ones that a clock set back puts into one second are one."""
    return re.sub(r'helo=<[^>]*>', f'helo=<c{copy}-{order}.example>', text) if text.startswith('NOQUEUE: ') else text


@functools.lru_cache(None)
def sources():
    return maillogs.golden(), maillogs.others()


def mail(chance, count, start, length):
    """Lines of whole copies, by time: at least `count`, beginning between start and start + length. The logs of others come
    once: not all of their queue ids can be told from words, to be those of another copy."""
    golden, others = sources()
    copies, deck = [], chance.sample(golden + others, len(golden) + len(others))
    while sum(len(lines) for lines, _ in copies) < count:
        deck = deck or chance.sample(golden, len(golden))
        copies.append(deck.pop())
    out = []
    for copy, (lines, first) in enumerate(copies):
        begin = int(start + length * copy / len(copies))
        for order, (offset, host, tag, pid, text) in enumerate(lines):
            text = told_apart(renamed(text, copy, begin - first), copy, order)
            out.append((begin + offset, copy, order, host, tag, pid, text))
    out.sort(key=lambda line: line[:3])
    return out


def other(chance, when, host):
    text = chance.choice(OTHER).format(n=chance.randrange(1000, 9999), b=chance.randrange(256))
    kind = chance.random()
    if kind < 0.05:
        text += 'x' * chance.choice((2000, 70000))
    elif kind < 0.1:
        text += '\udcff\udc80\0 \x1b[31m'
    return f'{stamp(when, chance.choice(FORMS))} {host} {text}'


FORMS = ('bsd', 'iso', '5424')


def stamp(when, form):
    if form == 'bsd':
        return time.strftime('%b %e %H:%M:%S', time.localtime(when))
    return time.strftime('%Y-%m-%dT%H:%M:%S.123456+00:00', time.gmtime(when))


def line_of(when, form, host, tag, pid, text):
    if form == '5424' and tag:
        return f'<22>1 {stamp(when, form)} {host} {tag} {pid} - -  {text}'
    return f'{stamp(when, form)} {host} {tag}[{pid}]: {text}' if tag else f'{stamp(when, form)} {host} {text}'


def make(seed, count):
    """(time, line) of each line: epoch seconds, and bytes without the newline. Its days are those before today, since a
    stamp may have no year: the same seed makes the same log on each day, moved by as many."""
    chance = random.Random(seed)
    midnight = time.time() // 86400 * 86400 - 86400 * chance.randrange(1, 5)
    lines, form, step = [], chance.choice(FORMS), 0
    for when, _, _, host, tag, pid, text in mail(chance, count, midnight - 5 * 3600, 9 * 3600):
        if chance.random() < 0.0005:
            form = chance.choice(FORMS)
        if chance.random() < 0.0002:
            # Not far forward: a crash in the second of such a step, between the client's line of a mail and the next
            # one, makes two mails of one (the line that tells its beginning is not read again).
            step += chance.choice((-3600, -7, -1, 1))
        lines.append((when + step, line_of(when + step, form, host, tag, pid, text)))
        if chance.random() < 0.02:
            lines.append((when + step, other(chance, when + step, host)))
    return [(when, line.encode('utf-8', 'surrogateescape')) for when, line in lines[:count]]
