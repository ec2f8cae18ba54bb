"""milter_torture.py --build DIR [--seeds N] [--first SEED] [--messages N] [--jobs N] [--self-test]: kills the daemon under
its milter.

An MTA that is a script hands mails to the milter and writes their lines to a log, while the daemon is killed and stopped
at random. With on_failure = tempfail each mail that was accepted must have its injections, deliveries and headers, once.
With accept too, but for the headers: a mail without them must be counted as milter_missed. What was not accepted must not
be there, each event has the id that an import of the log gives it, and the store is whole. --self-test: breaks what a seed
has left, in each way that must be found. The last line reads "N passed, N failed, N skipped".
"""

import argparse
import collections
import concurrent.futures
import json
import os
import random
import re
import shutil
import sqlite3
import sys
import tempfile
import threading
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'support'))
import lab  # noqa: E402
import scriptmta  # noqa: E402
from damages import damaged, drop_event, sql  # noqa: E402
from verdict import Wrong, check_store, read_events  # noqa: E402


class Ordeal:
    """One seed: a daemon with its milter, the MTA, and what the MTA did."""

    def __init__(self, build, seed, messages, on_failure):
        self.chance = random.Random(seed)
        self.messages, self.on_failure = messages, on_failure
        self.base = tempfile.mkdtemp(prefix=f'pw-milter-{seed}.')
        self.log, self.milter = os.path.join(self.base, 'mail.log'), os.path.join(self.base, 'milter.sock')
        self.daemon = lab.Daemon(build, os.path.join(self.base, 'postwake'), {'file': self.log}, self.milter,
                                 {'milter': {'on_failure': on_failure, 'group': None}})
        self.mta = scriptmta.ScriptMta(self.log, self.milter, on_failure)

    # --- the daemon's bad day ---

    def run(self):
        self.daemon.start()
        self.mta.mail(0, pause=0.5)  # what has no milter is not missed by it: that there is one must have been seen
        lab.wait_until('the first mail is found', lambda: len(self.found()) >= 2, 10)
        # And kept: the control file, which holds what was learned of the log, is committed behind the events.
        lab.wait_until('its lines are counted', self.read, 10)
        numbers = list(range(1, self.messages))
        senders = [threading.Thread(target=self.mta.send, args=(numbers[i::4],)) for i in range(4)]
        for sender in senders:
            sender.start()
        try:
            while any(sender.is_alive() for sender in senders):
                time.sleep(self.chance.random() * 0.4)
                if self.chance.random() < 0.75:
                    self.daemon.kill()
                else:
                    lab.wait_until('postwaked answers', self.daemon.ready, 15)
                    self.daemon.stop()
                time.sleep(self.chance.random() * 0.1)
                self.daemon.start(ready=self.chance.random() < 0.5)
        finally:
            self.mta.over = True
            for sender in senders:
                sender.join()
        self.judge()

    def read(self):
        """Whether the ledger has all lines of the log."""
        return sum(s['lines'] for s in self.daemon.status()['ledger']) >= lab.read(self.log).count('\n')

    def judge(self):
        lab.wait_until('postwaked answers', self.daemon.ready, 15)
        lab.wait_until('the log is read', self.read, 60)
        lab.wait_until('all is committed', lambda: len(self.found()) >= len(self.mta.wanted()), 20)
        time.sleep(0.3)
        if self.daemon.stop(60) != 0:
            raise Wrong(f'SIGTERM: {self.daemon.log_text()[-1000:]}')
        self.judge_store(self.daemon.store)

    def found(self):
        return self.daemon.events('events=injection,delivery')

    def judge_store(self, store):
        check_store(self.daemon.build, store)
        events = self.events(store)
        mails = [e for e in events if e['type'] in ('injection', 'delivery')]
        want, got = self.mta.wanted(), [(e['type'], e['queue_id'], e['rcpt_to']) for e in mails]
        if len(got) != len(set(got)) or set(got) != want:
            raise Wrong(f'lost {list(want - set(got))[:3]}, invented {list(set(got) - want)[:3]}, '
                        f'{len(got) - len(set(got))} twice')
        self.judge_headers(mails, store)
        self.judge_identity(events)

    def events(self, store):
        return [json.loads(event) for event in read_events(self.daemon.build, store).elements()]

    def judge_headers(self, mails, store):
        without = set()
        for event in mails:
            subject = self.mta.accepted[event['queue_id']][1]
            if 'subject' not in event:
                without.add(event['queue_id'])
            elif subject is not None and event['subject'] != subject:
                raise Wrong(f"{event['queue_id']} has the subject of another mail: {event['subject']}")
        if self.on_failure == 'tempfail' and without:
            raise Wrong(f'accepted, and yet without headers: {sorted(without)[:5]}')
        with sqlite3.connect(os.path.join(store, 'control.sqlite')) as db:
            counted = db.execute("SELECT ifnull(sum(value), 0) FROM counter WHERE name = 'milter_missed'").fetchone()[0]
        db.close()
        if counted != len(without):
            raise Wrong(f'{len(without)} mails without headers and milter_missed is {counted}')

    def judge_identity(self, events):
        """Each event has the id that it has where nothing was disturbed: the log, read by itself."""
        with tempfile.TemporaryDirectory(dir=self.base) as clean:
            done = lab.run_postwake(self.daemon.build, '-S', clean, 'import', '-q', self.log, timeout=300)
            if done.returncode != 0:
                raise Wrong(f'import: {done.stderr}')
            want, got = (collections.Counter((e['event_id'], e['type'], e['message_id'], e['rcpt_to']) for e in some)
                         for some in (self.events(clean), events))
        if want != got:
            raise Wrong(f'other ids than those of an import: {list(got - want)[:3]} instead of {list(want - got)[:3]}')

    def end(self, keep):
        self.daemon.kill()
        if not keep:
            shutil.rmtree(self.base, ignore_errors=True)


# --- whether the judge sees what is wrong ---


def other_subject(ordeal, _store):
    queue_id, (recipients, _) = next((q, a) for q, a in ordeal.mta.accepted.items() if a[1])
    ordeal.mta.accepted[queue_id] = recipients, 'another'


def missed_too_much(_ordeal, store):
    sql('control.sqlite', "INSERT INTO counter (name, value) VALUES ('milter_missed', 1) "
        'ON CONFLICT DO UPDATE SET value = value + 1')(store)


def other_log(ordeal, _store):
    """In which everything happened a minute later."""
    text = lab.read(ordeal.log)
    lab.write(ordeal.log, re.sub(r'T(\d\d):(\d\d)', lambda m: f'T{m.group(1)}:{(int(m.group(2)) + 1) % 60:02d}', text))


# The log comes last: it is not mended.
DAMAGES = {
    'an event is gone': lambda _ordeal, store: drop_event(store),
    'a mail was lost': lambda ordeal, _store: ordeal.mta.accepted.update(F00=(['nobody@deliver.example'], 'lost')),
    'a mail was invented': lambda ordeal, _store: ordeal.mta.accepted.pop(next(iter(ordeal.mta.accepted))),
    'a subject is that of another mail': other_subject,
    'a mail without headers is not counted': missed_too_much,
    'the ids are others': other_log,
}


def self_test(build):
    """Names of the damages that were not found."""
    ordeal, blind = Ordeal(build, 2, 100, 'accept'), []
    ordeal.run()
    right = dict(ordeal.mta.accepted)
    for name, damage in DAMAGES.items():
        ordeal.mta.accepted = dict(right)
        with damaged(ordeal.daemon.store, lambda store, damage=damage: damage(ordeal, store)) as store:
            try:
                ordeal.judge_store(store)
                blind.append(name)
            except Wrong:
                pass
    ordeal.end(keep=False)
    return blind


def run_seed(build, seed, messages):
    ordeal = Ordeal(build, seed, messages, 'tempfail' if seed % 2 else 'accept')
    try:
        ordeal.run()
        ordeal.end(keep=False)
        return True, f'{ordeal.on_failure}: {len(ordeal.mta.accepted)} accepted, {len(ordeal.mta.refused)} refused'
    except Exception as error:  # pylint: disable=broad-except
        ordeal.end(keep=True)
        text = str(error) if isinstance(error, Wrong) else traceback.format_exc()
        return False, f'{ordeal.on_failure}: {text}\n  kept: {ordeal.base}'


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--build', required=True)
    parser.add_argument('--seeds', type=int, default=10)
    parser.add_argument('--first', type=int, default=1)
    parser.add_argument('--messages', type=int, default=600)
    parser.add_argument('--jobs', type=int, default=2)
    parser.add_argument('--self-test', action='store_true')
    options = parser.parse_args()
    blind = self_test(options.build) if options.self_test else []
    for name in blind:
        print(f'FAILED: the judge does not see that {name}', flush=True)
    failed = int(len(blind) > 0)
    with concurrent.futures.ProcessPoolExecutor(options.jobs) as pool:
        futures = {pool.submit(run_seed, options.build, seed, options.messages): seed
                   for seed in range(options.first, options.first + options.seeds)}
        for future in concurrent.futures.as_completed(futures):
            fine, text = future.result()
            failed += not fine
            print(f'{"ok" if fine else "FAILED"}: seed {futures[future]}: {text}', flush=True)
    print(f'{options.seeds + options.self_test - failed} passed, {failed} failed, 0 skipped')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
