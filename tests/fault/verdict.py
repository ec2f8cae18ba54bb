"""What must hold of a store when a log was treated badly: compared with the driver's own list (badlog.py).

Lines that exist have been read; those that vanished have been read up to one of them, which the events of the lines
themselves tell (each line that was written while somebody read makes one, see sentinel()); from there on a gap tells of
them, with its file, its byte and a time that covers them. A gap that nothing explains is wrong, too.
"""

import collections
import json
import os
import re
import sqlite3
import time

import badlog
import lab

CLASSES = ('event', 'linked', 'ignored', 'known', 'unparsed', 'events')
SENTINEL = re.compile(r's\d+@sentinel\.example')
PLACE = re.compile(r' was truncated or deleted, and no rotated file holds what came behind its byte (\d+)')
WINDOW = ' was copied, and truncated or deleted: what was written in between cannot be seen'
CLOCK = re.compile(r'^the clock was set (back|forward) by (\d+) s: ')
UNSEEN = ' was rotated before anything was read of it: whether anything was deleted before '
SLOW = 'the disk of the store is slow: '


class Wrong(Exception):
    """What must hold does not."""


def sentinel(number, when):
    """A line that makes an event whatever stands around it."""
    stamp = time.strftime('%Y-%m-%dT%H:%M:%S.000000+00:00', time.gmtime(when))
    name = f's{number}@sentinel.example'
    return (f'{stamp} mx1 postfix/smtpd[{100 + number}]: NOQUEUE: reject: RCPT from unknown[192.0.2.1]: 554 5.7.1 <{name}>: '
            f'Recipient address rejected: no; from=<a@b.example> to=<{name}> proto=ESMTP helo=<c>').encode()


def is_sentinel(line, seen):
    match = SENTINEL.search(line.data.decode('utf-8', 'replace'))
    return match is not None and match.group() in seen


class Gap:
    def __init__(self, source, since, until, size, text):
        self.source, self.since, self.until, self.size, self.text = source, since, until, size, text
        place = PLACE.search(text)
        self.place = int(place.group(1)) if place else None

    def __str__(self):
        return f'gap of {self.source}, {self.since} to {self.until}, {self.size} bytes: {self.text}'


class Verdict:
    """base: where there is room for a clean store. steps: by how much the clock was wrong, one after another."""

    def __init__(self, build, log, store, base, steps):
        self.build, self.log, self.store, self.base, self.steps = build, log, store, base, steps
        self.uncounted = []  # lines whose events were kept: the daemon was killed before it counted them

    def judge(self):
        """The number of lines that vanished unread."""
        if self.log.listed() != self.log.really():
            raise Wrong('the files do not hold what the driver wrote')
        self.check_store()
        got = read_events(self.build, self.store)
        seen = set(SENTINEL.findall('\n'.join(got)))
        for destruction in self.log.destructions:
            destruction.unread = self.unread(destruction, seen)
        self.judge_gaps(self.gaps())
        counted, read = self.sequences()
        want, events = self.clean('read', read)
        if self.uncounted:
            want = self.clean('counted', counted)[0]
        ledger = self.ledger(self.store, self.log.path)
        if ledger not in self.less(want):
            raise Wrong(f'the ledger says {dict(zip(CLASSES, ledger))}, and not {dict(zip(CLASSES, want))}')
        compare(events, got)
        return sum(len(d.unread) for d in self.log.destructions)

    # --- what was read ---

    def unread(self, destruction, seen):
        """(offset, line) of those that nobody read."""
        lines = [(offset, line) for offset, line in destruction.lines if offset >= destruction.known]
        last = max((i for i, (_, line) in enumerate(lines) if is_sentinel(line, seen)), default=-1)
        if destruction.down and not destruction.killed and last >= 0:
            raise Wrong(f'{destruction}: lines were read that nobody could read')
        return lines[last + 1:]

    def sequences(self):
        """The lines that the ledger must have, and those that must have made their events."""
        lost = {id(line) for d in self.log.destructions for _, line in d.unread}
        uncounted = {id(line) for line in self.uncounted}
        counted, read = [], []
        for entry in self.log.order:
            if isinstance(entry, badlog.Line) and id(entry) not in lost:
                read.append(entry)
                if id(entry) not in uncounted:
                    counted.append(entry)
        return counted, read

    # --- gaps ---

    def gaps(self):
        with sqlite3.connect(os.path.join(self.store, 'control.sqlite')) as db:
            rows = db.execute('SELECT CAST(source AS TEXT), since, until, bytes, CAST(text AS TEXT) FROM gap ORDER BY id').fetchall()
        db.close()
        return [Gap(*row) for row in rows]

    def judge_gaps(self, gaps):
        waiting = [gap for gap in gaps if not self.of_machine(gap)]
        if waiting and waiting[0].since == waiting[0].size == 0 and UNSEEN in waiting[0].text:
            waiting = waiting[1:]  # the daemon was killed before it had read anything
        for destruction in self.log.destructions:
            if waiting and self.tells(waiting[0], destruction):
                self.judge_span(waiting[0], destruction)
                self.judge_bytes(waiting.pop(0), destruction)
            elif (destruction.unread or destruction.torn) and not destruction.blurred:
                raise Wrong(f'{destruction}: {len(destruction.unread)} lines vanished unread, and no gap tells so; the next: '
                            f'{waiting[0] if waiting else None}')
        if waiting:
            raise Wrong(f'nothing explains the {waiting[0]}; there was ' + '; '.join(
                f'{d}, unread from {self.first_unread(d)}' for d in self.log.destructions))

    def of_machine(self, gap):
        """The daemon's clock and its disk, not the log."""
        match = CLOCK.match(gap.text)
        if gap.source == 'postwaked' and match:
            step = int(match.group(2)) * (-1 if match.group(1) == 'back' else 1)
            if not any(abs(b - a - step) <= 30 for i, a in enumerate(self.steps) for b in self.steps[i + 1:]):
                raise Wrong(f'nobody set the clock so: {gap}')
            return True
        return gap.source == 'postwaked' and gap.text.startswith(SLOW)

    def tells(self, gap, destruction):
        """Whether it can be the gap of this destruction."""
        if gap.source != self.log.path or not gap.text.startswith(self.log.path + ' '):
            return False
        if destruction.copy and not (destruction.blurred and gap.place is not None):
            before = self.neighbours(destruction)[0]
            return gap.text == self.log.path + WINDOW and (before is None or abs(gap.since - before) <= 1000)
        end = self.first_unread(destruction)
        return gap.place is not None and (destruction.known if destruction.killed else end) <= gap.place <= end

    def first_unread(self, destruction):
        """Its byte; where all was read, the end."""
        if destruction.unread:
            return destruction.unread[0][0]
        if destruction.lines:
            offset, line = destruction.lines[-1]
            return offset + len(line.data) + 1
        return 0

    def neighbours(self, destruction):
        """Times of the last line read before it and of the first one after it."""
        lost = {id(line) for d in self.log.destructions for _, line in d.unread}
        def first(entries):
            return next((e.time for e in entries if isinstance(e, badlog.Line) and id(e) not in lost), None)
        order = self.log.order
        return first(order[i] for i in range(destruction.place - 1, -1, -1)), first(order[i] for i in range(destruction.place, len(order)))

    def judge_span(self, gap, destruction):
        before, after = self.neighbours(destruction)
        times = [line.time for _, line in destruction.unread if line.time is not None]
        where = f'{destruction}, whose lines are of {times[:1]} to {times[-1:]}, between {before} and {after}: {gap}'
        if not destruction.killed and before is not None and abs(gap.since - before) > 1000:
            raise Wrong(f'a gap begins where the last line was not: {where}')
        if gap.until < gap.since - 1000:
            raise Wrong(f'a gap ends before it begins: {where}')
        ordered = [before or 0, *times, after or gap.until]
        if after is None or after < gap.since:
            ordered = ordered[:-1]  # what comes then says nothing of what is behind the end
        elif abs(gap.until - after) > 1000:
            raise Wrong(f'a gap ends where the next line is not: {where}')
        if ordered == sorted(ordered) and times and (gap.since > times[0] + 1000 or gap.until < times[-1] - 1000):
            raise Wrong(f'a gap does not cover what vanished: {where}')

    def judge_bytes(self, gap, destruction):
        """What lay in the file when it went is not to be known; bytes are told where there perhaps were none."""
        if gap.size != (0 if gap.place is None else -1):
            raise Wrong(f'{destruction}: these bytes cannot be known: {gap}')
        if gap.place is not None:
            end = self.first_unread(destruction)
            self.uncounted += [line for offset, line in destruction.lines if gap.place <= offset < end]

    # --- ledger, events, files ---

    def less(self, want):
        """The counts that there may be: no gap tells which lines between copy and truncation were not counted when the
        daemon was killed. Each of them makes one event."""
        most = sum(len(d.lines) - len(d.unread) for d in self.log.destructions if d.killed and not d.down and d.copy)
        return [(want[0] - n, *want[1:-1], want[-1] - n) for n in range(most + 1)]

    def ledger(self, store, source):
        with sqlite3.connect(os.path.join(store, 'control.sqlite')) as db:
            rows = db.execute(f'SELECT {", ".join(CLASSES)} FROM ledger WHERE CAST(source AS TEXT) = ?', (source,)).fetchall()
            others = db.execute('SELECT count(*) FROM ledger').fetchone()[0]
        db.close()
        if others != 1:
            raise Wrong(f'{others} sources in the ledger')
        return rows[0]

    def clean(self, name, lines):
        """Ledger and events of a clean import."""
        store, whole = os.path.join(self.base, name), os.path.join(self.base, f'{name}.log')
        with open(whole, 'wb') as file:
            file.write(b''.join(line.data + b'\n' for line in lines))
        done = lab.run_postwake(self.build, '-S', store, 'import', '-q', whole, timeout=900)
        if done.returncode != 0:
            raise Wrong(f'import: {done.stderr}')
        return self.ledger(store, whole), read_events(self.build, store)

    def check_store(self):
        check_store(self.build, self.store)
        days = [name for name in os.listdir(self.store) if name.endswith('.db')]
        if len(days) < 2:
            raise Wrong(f'midnight has passed, and there are the days {days} only')


def read_events(build, store):
    """Lines of NDJSON, each as often as it is there."""
    done = lab.run_postwake(build, '-S', store, 'search', '--ndjson', '--limit', '0', timeout=900)
    if done.returncode == 2:
        raise Wrong(f'search: {done.stderr}')
    return collections.Counter(done.stdout.splitlines())


def check_store(build, store):
    """By SQLite and by postwake."""
    for name in os.listdir(store):
        if name.endswith(('.db', '.sqlite')):
            with sqlite3.connect(os.path.join(store, name)) as db:
                found = db.execute('PRAGMA integrity_check').fetchall()
            db.close()
            if found != [('ok',)]:
                raise Wrong(f'{name}: {found[:3]}')
    done = lab.run_postwake(build, '-S', store, 'check', timeout=900)
    if done.returncode != 0:
        raise Wrong(f'postwake check: {done.stdout[-1000:]}{done.stderr[-1000:]}')


def compare(want, got):
    """Counters of read_events."""
    lost, invented = want - got, got - want
    if not lost and not invented:
        return
    text = [f'{sum(lost.values())} events lost, {sum(invented.values())} invented or different']
    by_id = {json.loads(e)['event_id']: json.loads(e) for e in invented}
    for line in list(lost)[:3]:
        event = json.loads(line)
        twin = by_id.get(event['event_id'])
        if twin:
            text.append(f"  differs {event['event_id']}: " + str({k: (event.get(k), twin.get(k)) for k in {*event, *twin}
                                                                  if event.get(k) != twin.get(k)}))
        else:
            text.append(f'  lost {line[:600]}')
    text += [f'  invented {line[:600]}' for line in list(invented)[:3] if not lost]
    raise Wrong('\n'.join(text))
