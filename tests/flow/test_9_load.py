"""A live Postfix under load: what it says it queued, delivered, deferred, bounced and rejected is what postwake answers."""

import collections
import contextlib
import os
import re
import shutil
import subprocess
import time

import lab
from flow import Skip, expect, flow
from logs import check_ledger

# Messages, recipient; an address with a number before its "@" is another each time (smtp-source -N).
STREAMS = ((900, 'u@deliver.example'), (250, 'u@defer.example'), (250, 'u@bounce.example'), (300, 'u@refuse.example'),
           (100, 'u@closed.example'))
REFUSE = 'smtpd_sender_restrictions = check_recipient_access inline:{ { refuse.example = 554 5.7.1 no } }\n'
OUTCOMES = {'sent': 'delivery', 'deferred': 'delay', 'bounced': 'bounce'}


def told_by_postfix(log):
    """Counter of (type, queue id, recipient) by patterns of our own, which share nothing with postwake's rules."""
    told = collections.Counter()
    for line in lab.read(log).splitlines():
        if attempt := re.search(r'\]: (\w+): to=<([^>]*)>, .*?, status=(sent|deferred|bounced) ', line):
            told[OUTCOMES[attempt[3]], attempt[1], attempt[2]] += 1
            told['injection', attempt[1], attempt[2]] = 1
        elif refusal := re.search(r'\]: NOQUEUE: reject: RCPT .* to=<([^>]*)> ', line):
            told['policy_rejection', '', refusal[1]] += 1
    return told


def by_type(told):
    return collections.Counter(kind for kind, *_ in told.elements())


def told_by_pflogsumm(log):
    done = subprocess.run(['pflogsumm', '--zero-fill', log], capture_output=True, text=True, check=True, errors='replace')
    totals = {name: int(count) for count, name in re.findall(r'^ +(\d+) +(delivered|bounced|rejected)\b', done.stdout, re.M)}
    totals['deferrals'] = int(re.search(r'\(\s*(\d+)\s+deferrals\)', done.stdout)[1])
    return totals


def total(daemon, kind):
    """As the API answers it, not as we count."""
    status, answer, _ = daemon.get(f'/api/v1/message-events?from=2000-01-01T00:00&per_page=1&events={kind}')
    expect(f'{kind}: {answer}', 200, status)
    return answer['total_count']


def send_all(postfix):
    """Mails accepted and refused a second."""
    started = time.monotonic()
    senders = [subprocess.Popen([program(), '-A', '-N', '-s', '5', '-m', str(count), '-S', 'load', '-f', 'shop@lab.example', '-t',
                                 recipient, f"inet:127.0.0.1:{postfix.port['smtp']}"],
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for count, recipient in STREAMS]
    for sender in senders:
        sender.wait(100)
    return sum(count for count, _ in STREAMS) / (time.monotonic() - started)


def program():
    found = shutil.which('smtp-source', path='/usr/sbin:/usr/bin:/usr/lib/postfix/sbin')
    if not found:
        raise Skip('no smtp-source')
    return found


@contextlib.contextmanager
def loaded(environment):
    program()
    base = environment.directory('load')
    # What is deferred is tried once: the log must come to an end.
    postfix = lab.Postfix(os.path.join(base, 'postfix'), retry=3000, main=REFUSE)
    daemon = environment.daemon('load', {'file': postfix.log}, postfix.milter_socket, base=os.path.join(base, 'postwake'))
    try:
        daemon.start()
        postfix.start()
        yield postfix, daemon
    finally:
        postfix.stop()


def tried(postfix):
    """Whether each accepted mail was tried, that is: nothing is in the active queue, nor comes in."""
    done = postfix.command('postqueue', '-j')
    return not re.search(r'"queue_name": "(active|incoming|maildrop)"', done.stdout)


@flow('under load: hundreds of mails a second, and Postfix, pflogsumm and postwake tell the same of all and of each')
def load(environment):
    with loaded(environment) as (postfix, daemon):
        rate = send_all(postfix)
        lab.wait_until('all is tried', lambda: tried(postfix), 60, 0.5)
        lab.wait_until('the log is read', lambda: check_ledger(daemon.status()) == lab.read(postfix.log).count('\n'), 30, 0.2)
        told, events = told_by_postfix(postfix.log), daemon.events()
        totals = by_type(told)
        print(f'    {rate:.0f} mails a second; {dict(totals)}')
        for kind in ('injection', 'delivery', 'delay', 'bounce', 'policy_rejection'):
            expect(f'the total of {kind}', totals[kind], total(daemon, kind))
        got = collections.Counter((e['type'], e.get('queue_id', ''), e['raw_rcpt_to']) for e in events)
        expect('of each mail', ({}, {}), (dict(told - got), dict(got - told)))
        expect('nothing else', sum(told.values()), len(events))
        # The bounces' notices are no mails of the load; the rest has what the milter saw.
        sent = [e for e in events if e['type'] == 'injection' and e.get('msg_from')]
        expect('seen by the milter', {'load'}, {e.get('subject') for e in sent})
        expect('of all streams', sum(n for n, a in STREAMS if 'refuse' not in a), len(sent))
        if shutil.which('pflogsumm'):
            expect('pflogsumm', {'delivered': totals['delivery'], 'deferrals': totals['delay'], 'bounced': totals['bounce'],
                                 'rejected': totals['policy_rejection']}, told_by_pflogsumm(postfix.log))
