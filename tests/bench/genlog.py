#!/usr/bin/python3
"""Deterministic Postfix log: genlog.py MESSAGES [SEED] [DAYS] > mail.log

The mix of a small provider: 5.98 lines a message, mostly delivered at once, some deferred once or
twice, some bounced, some refused at RCPT. Long queue ids; BSD stamps; sorted by time.
"""
import heapq
import random
import sys
import time

NODE = "mx1"
B52 = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz"
B51 = B52[:-1]
MX = [("gmail-smtp-in.l.example", "192.0.2.26"), ("mx00.example.net", "192.0.2.71"),
      ("mail.example.org", "198.51.100.9"), ("mta5.am0.example", "203.0.113.77")]
DOMAINS = [f"d{i}.example" for i in range(400)]
DEFER = ["host {mx}[{ip}] said: 451 4.7.1 <{to}>: Recipient address rejected: Greylisted, see http://postgrey.example/help/{dom}.html (in reply to RCPT TO command)",
         "connect to {mx}[{ip}]:25: Connection timed out",
         "host {mx}[{ip}] refused to talk to me: 421 4.7.0 {mx} too many connections from your IP"]
BOUNCE = ["host {mx}[{ip}] said: 550 5.1.1 <{to}>: Recipient address rejected: User unknown in virtual mailbox table (in reply to RCPT TO command)",
          "host {mx}[{ip}] said: 552 5.2.2 <{to}>: user is over quota (in reply to RCPT TO command)",
          "host {mx}[{ip}] said: 550 5.7.1 MAIL REFUSED - IP (203.0.113.5) is in black list (in reply to MAIL FROM command)"]


def number(value, digits, alphabet):
    text = ""
    while value or len(text) < digits:
        value, rest = divmod(value, len(alphabet))
        text = alphabet[rest] + text
    return text


def queue_id(rng, when):
    seconds = int(when)
    return (number(seconds, 6, B52) + number(int((when - seconds) * 1e6), 4, B52) + "z" +
            number(rng.randrange(1 << 24), 4, B51))


def message(rng, when, n):
    """Yields (time, tag, text) of one message."""
    pid = 1000 + n % 400
    user = f"user{rng.randrange(50000)}"
    dom = DOMAINS[min(int(rng.paretovariate(1.1)) - 1, 399)]
    to, mx = f"{user}@{dom}", rng.choice(MX)
    sender = f"news{rng.randrange(200)}@shop{rng.randrange(60)}.example"
    client = f"192.0.2.{rng.randrange(250)}"
    yield when, f"postfix/smtpd[{pid}]", f"connect from unknown[{client}]"
    if rng.random() < 0.03:
        yield (when, f"postfix/smtpd[{pid}]", f"NOQUEUE: reject: RCPT from unknown[{client}]: 554 5.7.1 "
               f"Service unavailable; Client host [{client}] blocked using zen.example; "
               f"from=<{sender}> to=<{to}> proto=ESMTP helo=<h{n % 97}.example>")
        yield when, f"postfix/smtpd[{pid}]", f"disconnect from unknown[{client}] ehlo=1 mail=1 rcpt=0/1 quit=1 commands=3/4"
        return
    qid = queue_id(rng, when)
    size = rng.randrange(900, 90000)
    yield when, f"postfix/smtpd[{pid}]", f"{qid}: client=unknown[{client}]"
    yield when, f"postfix/cleanup[{pid + 1}]", f"{qid}: message-id=<{n}.{rng.randrange(1 << 40):x}@shop.example>"
    yield when, "postfix/qmgr[801]", f"{qid}: from=<{sender}>, size={size}, nrcpt=1 (queue active)"
    yield when, f"postfix/smtpd[{pid}]", f"disconnect from unknown[{client}] ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5"
    start = when
    facts = dict(mx=mx[0], ip=mx[1], to=to, dom=dom)
    for _ in range(rng.choice((0, 0, 0, 0, 0, 0, 0, 0, 1, 2))):
        when += rng.uniform(0.5, 3)
        yield (when, f"postfix/smtp[{pid + 2}]", f"{qid}: to=<{to}>, relay={mx[0]}[{mx[1]}]:25, delay={when - start:.2g}, "
               f"delays=0.01/0.02/0.3/0.2, dsn=4.7.1, status=deferred ({rng.choice(DEFER).format(**facts)})")
        when += rng.uniform(300, 900)
        yield when, "postfix/qmgr[801]", f"{qid}: from=<{sender}>, size={size}, nrcpt=1 (queue active)"
    when += rng.uniform(0.2, 3)
    bad = rng.random() < 0.06
    text = rng.choice(BOUNCE).format(**facts) if bad else f"250 2.0.0 Ok: queued as {rng.randrange(1 << 40):X}"
    yield (when, f"postfix/smtp[{pid + 2}]", f"{qid}: to=<{to}>, relay={mx[0]}[{mx[1]}]:25, delay={when - start:.2g}, "
           f"delays=0.01/0.02/0.3/0.2, dsn={'5.1.1' if bad else '2.0.0'}, status={'bounced' if bad else 'sent'} ({text})")
    if bad:
        child = queue_id(rng, when)
        yield when, f"postfix/bounce[{pid + 3}]", f"{qid}: sender non-delivery notification: {child}"
    yield when, "postfix/qmgr[801]", f"{qid}: removed"


def main():
    messages = int(sys.argv[1])
    rng = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    days = float(sys.argv[3]) if len(sys.argv) > 3 else 1
    end = time.time() // 86400 * 86400 - 86400
    begin = end - days * 86400
    pending, serial, out = [], 0, sys.stdout
    stamp_at, stamp = None, ""
    for n in range(messages):
        when = begin + (n + rng.random()) * days * 86400 / messages
        while pending and pending[0][0] <= when:
            line = heapq.heappop(pending)
            if int(line[0]) != stamp_at:
                stamp_at = int(line[0])
                t = time.localtime(stamp_at)
                stamp = time.strftime("%b ", t) + f"{t.tm_mday:2d}" + time.strftime(" %H:%M:%S ", t) + NODE + " "
            out.write(f"{stamp}{line[2]}: {line[3]}\n")
        for at, tag, text in message(rng, when, n):
            serial += 1
            heapq.heappush(pending, (at, serial, tag, text))
    while pending:
        at, _, tag, text = heapq.heappop(pending)
        t = time.localtime(int(at))
        out.write(time.strftime("%b ", t) + f"{t.tm_mday:2d}" + time.strftime(" %H:%M:%S ", t) + f"{NODE} {tag}: {text}\n")


main()
