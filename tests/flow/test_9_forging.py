"""Mails and replies that imitate log lines: what postwake tells is what truly happened, and nothing else."""

import base64
import collections
import contextlib
import re
import socket
import socketserver
import threading

import lab
import sendmail
from flow import Skip, expect, flow
from logs import check_ledger
from test_8_sendmail import Pair

# {id}: the queue id of somebody else's mail, which lies in the queue meanwhile.
PRINTABLE = (
    'x>, relay=none, delay=0, delays=0/0/0/0, dsn=2.0.0, status=sent (250 ok)',
    'ok), status=bounced (no) status=deferred (later',
    'to=<v@victim.example>, relay=m[192.0.2.6]:25, delay=1, dsn=5.1.1, status=bounced (550 no)',
    'postfix/smtp[1]: {id}: to=<v@victim.example>, relay=none, delay=1, dsn=5.1.1, status=bounced (550)',
    '#012Nov 22 00:00:11 mx postfix/qmgr[1]: {id}: removed',
    '{id}: removed', '{id}: sender non-delivery notification: 4jX9fR4tRGz1dLRH', 'queued as {id}',
    'from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as {id}', 'forwarded as {id}',
    '; from=<f@victim.example> to=<v@victim.example> proto=ESMTP helo=<h>',
    '; from=<f@victim.example> to=<v@victim.example> proto=ESMTP helo=<h>: 5.7.1 no',
    'x from h[192.0.2.6]; from=<f@victim.example> to=<v@victim.example>: 5.7.1 no',
    ', stat=Sent (ok), stat=Sent (ok)', ', reply=250 ok, stat=Sent (ok)',
    '>, delay=00:00:01, mailer=esmtp, pri=1, relay=m. [192.0.2.6], dsn=2.0.0, stat=Sent (ok',
    '>,<v@victim.example>, delay=00:00:01, mailer=esmtp, dsn=2.0.0, stat=Sent (x), <',
    ', relay=m [192.0.2.6], reject=550 5.7.1 <v@victim.example>... no', '>... User unknown',
    ', size=9, class=0, nrcpts=9, msgid=<m2@lab.example>, relay=m [192.0.2.6]',
    ', orig_queue_id={id}', 'x, sasl_username=v, orig_queue_id={id}, orig_client=c[192.0.2.8]',
    'message repeated 9 times: [ x]', '[more]', '{{}}[]()<>',
)
# Not in addresses: what an MTA does not take there, or changes.
OTHERS = (
    'a\rNov 22 00:00:11 mx postfix/smtp[1]: {id}: to=<v@victim.example>, relay=none, status=bounced (no)',
    '\x1b[2J\x1b]0;x\x07', '\u202e\u200bRLO', '\x7f\x01\x02', '\udcc0\udcaf\udce0\udc80\udcff\udcfe', '\\000\\012\\033\\377',
    'Grüße', '=HYPERLINK("http://evil.example")', '<script>alert(1)</script>',
    'long ' + 'to=<v@victim.example>, status=bounced (550 no), ' * 20,
)


def make_hostile(sink, texts):
    """The sink answers "sent.7@…", "hard.7@…", "soft.7@…" with texts[7]; said: (outcome, address) of all RCPTs."""
    said = []

    def reply(address):
        address = re.match(r'(?:"(?:[^"\\]|\\.)*"|[^"@]*)@[^> ]*', address).group(0)  # ORCPT behind it
        match = re.match(r'(sent|hard|soft)\.(\d+)@', address)
        kind, text = (match.group(1), texts[int(match.group(2))]) if match else ('sent', 'hello')
        said.append((kind, address))
        return {'hard': f'550-5.1.1 {text}\r\n550 5.1.1 {text}', 'soft': f'450 4.2.1 {text}', 'sent': None}[kind]

    def dot(recipients, _content):
        if not recipients:
            return '554 5.5.1 no valid recipients'
        match = re.match(r'sent\.(\d+)@', recipients[0])
        return f'250 2.0.0 {texts[int(match.group(1))] if match else "Ok"}'
    sink.rcpt_reply, sink.dot_reply = reply, dot
    return said


class Client:
    """SMTP in bytes: no library would send what we want to."""

    def __init__(self, port):
        self.socket = socket.create_connection(('127.0.0.1', port), 60)
        self.file = self.socket.makefile('rb')
        self.reply()

    def reply(self):
        for line in iter(self.file.readline, b''):
            if line[3:4] != b'-':
                return line.decode('utf-8', 'replace')
        raise lab.LabError('the server hung up')

    def say(self, text):
        self.socket.sendall(text.encode('utf-8', 'surrogateescape') + b'\r\n')
        return self.reply()

    def mail(self, helo, sender, recipients, headers):
        """(recipients taken, recipients refused, the last reply)."""
        self.say('EHLO ' + helo)
        taken, refused = [], []
        if self.say(f'MAIL FROM:<{sender}>')[0] != '2':  # an address that it does not take
            expect('MAIL', '250', self.say(f'MAIL FROM:<s@{sender.split("@")[-1]}>')[:3])
        for recipient in recipients:
            (taken if self.say(f'RCPT TO:<{recipient}>')[0] == '2' else refused).append(recipient)
        last = ''
        if taken:
            self.say('DATA')
            last = self.say('\r\n'.join(headers) + '\r\n\r\nhello\r\n.')
        with contextlib.suppress(OSError, lab.LabError):
            self.say('QUIT')
        self.socket.close()
        return taken, refused, last


def quote(text):
    return '"' + re.sub(r'(["\\])', r'\\\1', text) + '"'


def plain(address):
    """Without quoting: each MTA does that its own way."""
    return re.sub(r'["\\]', '', address).lower()


def once(tries):
    return collections.Counter({k: 1 if k[0] == 'delay' else n for k, n in tries.items()})


def same(what, want, got):
    expect(what, ({}, {}), (dict(want - got), dict(got - want)))


class Attack:
    """All texts at all places of an MTA; what truly came of it."""

    def __init__(self, mta, sink, domain, sender_domain):
        self.mta, self.domain = mta, domain
        self.texts = [t.format(id='4jX9fR4tRGz1dLRH') for t in PRINTABLE + OTHERS]
        self.said = make_hostile(sink, self.texts)
        self.injected, self.refused = collections.Counter(), collections.Counter()
        self.sender_domain = sender_domain

    def victim(self):
        """A mail of somebody else that stays in the queue: its id goes into all texts."""
        taken, _, last = Client(self.mta.port['smtp']).mail('h.example', f's@{self.sender_domain}',
                                                            [f'soft.0@{self.domain}'], ['Subject: mine'])
        self.injected.update(map(plain, taken))
        queue_id = re.search(r'queued as (\S+)|(\S+) Message accepted', last)
        queue_id = queue_id.group(1) or queue_id.group(2)
        self.texts[:] = [t.format(id=queue_id) for t in PRINTABLE + OTHERS]
        return queue_id

    def run(self, refuse=False):
        for number, text in enumerate(self.texts):
            printable = number < len(PRINTABLE)
            recipients = [f'{kind}.{number}@{self.domain}' for kind in ('sent', 'hard', 'soft')]
            if printable:
                recipients.append(f'{quote(text)}@{self.domain}')
            sender = f'{quote(text)}@{self.sender_domain}' if printable else f's{number}@{self.sender_domain}'
            headers = [f'Subject: {number} {text}', f'Message-ID: <{text}>', f'From: {text} <s@{self.sender_domain}>']
            if refuse:
                recipients, headers = [f'refused@{self.domain}', f'header@{self.domain}'], [*headers, f'X-Refuse: {text}']
            taken, refused, last = Client(self.mta.port['smtp']).mail(text.replace('\r', ''), sender, recipients, headers)
            if last[:1] == '2':
                self.injected.update(map(plain, taken))
            else:
                refused += taken[:1]  # a content is refused in the name of one
            self.refused.update(map(plain, refused))

    def truth(self):
        """What the sink said, and the notices that came to it because of that. What is deferred may be tried again."""
        outcome = {'sent': 'delivery', 'hard': 'bounce', 'soft': 'delay'}
        return once(collections.Counter((outcome[kind], plain(address)) for kind, address in self.said))

    def check(self, daemon, log, refusals=True):
        lab.wait_until('the log is read', lambda: check_ledger(daemon.status()) >= lab.read(log).count('\n'), 20)
        got = collections.Counter((e['type'], plain(e.get('raw_rcpt_to', e.get('rcpt_to', '')))) for e in daemon.events())
        rejected = collections.Counter({a: n for (t, a), n in got.items() if t == 'policy_rejection'})
        injected = collections.Counter({a: n for (t, a), n in got.items() if t == 'injection'})
        tries = once({k: n for k, n in got.items() if k[0] not in ('injection', 'policy_rejection')})
        same('tries', self.truth(), tries)
        notices = collections.Counter(a for _, a in self.said if not a.endswith('@' + self.domain))
        same('mails', self.injected + collections.Counter({plain(a): n for a, n in notices.items()}), injected)
        if refusals:
            same('refusals', self.refused, rejected)
        expect('refused, and nobody else', {}, dict(rejected - self.refused))
        expect('the victim has but one story', 0, sum('victim' in (e.get('rcpt_to') or '').split('@')[-1]
                                                      for e in daemon.events()))


@flow('forging: a real Postfix prints hostile addresses, replies, headers and names, and nothing is told that was not')
def forging_postfix(environment):
    base = environment.directory('forging')
    postfix = lab.Postfix(base + '/postfix', retry=600)
    daemon = environment.daemon('forging', {'file': postfix.log}, postfix.milter_socket, base=base + '/postwake')
    try:
        daemon.start()
        postfix.start()
        attack = Attack(postfix, postfix.sinks['deliver'], 'deliver.example', 'lab.example')
        victim = attack.victim()
        before = daemon.wait_events(f'queue_ids={victim}', 2)
        attack.run()
        attack.run(refuse=True)
        lab.wait_until('all notices are out', lambda: quiet(postfix), 60)
        attack.check(daemon, postfix.log)
        expect("the other mail's events", before, daemon.events(f'queue_ids={victim}'))
        expect('unparsed', 0, sum(s['unparsed'] for s in daemon.status()['ledger']))
    finally:
        postfix.stop()


class AnyLogin(socketserver.StreamRequestHandler):
    """Dovecot's protocol (xsasl/xsasl_dovecot_server.c): whoever says that he is somebody is."""

    def handle(self):
        self.wfile.write(b'VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\nCOOKIE\t' + b'0' * 32 + b'\nDONE\n')
        for line in self.rfile:
            words = line.rstrip(b'\n').split(b'\t')
            if words[0] == b'AUTH':
                said = base64.b64decode(words[-1].removeprefix(b'resp='))
                self.wfile.write(b'OK\t%s\tuser=%s\n' % (words[1], said.split(b'\0')[1]))


@contextlib.contextmanager
def any_login():
    """Lines for main.cf; late-refused@… is refused by a milter, which smtpd logs with the name of the login."""
    refusing = lab.RefusingMilter()
    with socketserver.ThreadingTCPServer(('127.0.0.1', 0), AnyLogin) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield ('smtpd_sasl_auth_enable = yes\nsmtpd_sasl_type = dovecot\nsmtpd_sasl_security_options =\n'
               f'smtpd_sasl_path = inet:127.0.0.1:{server.server_address[1]}\n'
               f'smtpd_milters = inet:127.0.0.1:{refusing.port} unix:postwake/milter.sock\n')
        server.shutdown()
    refusing.stop()


def log_in_and_mail(port, number, text):
    """Says the text as name and as AUTH= of MAIL."""
    client = Client(port)
    for word, wanted in (('EHLO h.example', '250'), ('AUTH PLAIN ' + base64.b64encode(f'\0{text}\0x'.encode()).decode(), '235'),
                         (f'MAIL FROM:<m@lab.example> AUTH={quote(text)}', '250'), (f'RCPT TO:<late-refused.{number}@deliver.example>', '550'),
                         ('RCPT TO:<anybody@deliver.example>', '250'), ('DATA', '354'), ('Subject: mine\r\n\r\nhello\r\n.', '250')):
        expect(word, wanted, client.say(word)[:3])
    client.socket.close()


@flow("forging: names of logins and AUTH= that imitate fields make no mail a part of another's, and no refusal of another")
def forging_login(environment):
    base = environment.directory('login')
    with any_login() as main:
        postfix = lab.Postfix(base + '/postfix', retry=600, main=main)
        daemon = environment.daemon('login', {'file': postfix.log}, postfix.milter_socket, base=base + '/postwake')
        try:
            daemon.start()
            postfix.start()
            attack = Attack(postfix, postfix.sinks['deliver'], 'deliver.example', 'lab.example')
            victim = attack.victim()
            before = daemon.wait_events(f'queue_ids={victim}', 2)
            texts = attack.texts[:len(PRINTABLE)]
            for number, text in enumerate(texts):
                log_in_and_mail(postfix.port['smtp'], number, text)
            lab.wait_until('all is delivered', lambda: quiet(postfix), 60)
            lab.wait_until('the log is read', lambda: check_ledger(daemon.status()) >= postfix.log_text().count('\n'), 20)
            expect("the other mail's events", before, daemon.events(f'queue_ids={victim}'))
            own = collections.Counter((e['type'], e.get('rcpt_to')) for e in daemon.events() if e not in before)
            wanted = collections.Counter({(kind, 'anybody@deliver.example'): len(texts) for kind in ('injection', 'delivery')})
            wanted.update(('policy_rejection', f'late-refused.{number}@deliver.example') for number in range(len(texts)))
            # Where the name of a login holds the end of a refusal, too, whose that is cannot be told.
            unsure = own.pop(('policy_rejection', None), 0)
            expect('nothing else', {}, dict(own - wanted))
            expect('what is told of nobody', unsure, (wanted - own).total())
        finally:
            postfix.stop()


@flow('forging: a Postfix that logs addresses without their quotes is told to be a risk')
def unquoted(environment):
    base = environment.directory('unquoted')
    for form, warned in (('internal', True), ('external', False)):
        lab.write(f'{base}/{form}/main.cf', f'compatibility_level = 3.6\ninfo_log_address_format = {form}\n')
        daemon = environment.daemon(form, milter_socket=f'{base}/{form}/m.sock', sections={
            'milter': {'check_postfix': 'yes', 'postfix_config': f'{base}/{form}'}}).start()
        expect('a clean stop', 0, daemon.stop())  # which waits for postconf
        expect(form, warned, 'info_log_address_format' in daemon.log_text())


def quiet(postfix):
    """Whether the queue holds only what is deferred, and the log has not grown."""
    size = len(postfix.log_text())
    done = postfix.command('postqueue', '-p', check=False)
    return not re.search(r'^\w+\*', done.stdout, re.M) and len(postfix.log_text()) == size


@flow('forging: a real Sendmail prints hostile addresses, replies and headers, and nothing is told that was not')
def forging_sendmail(environment):
    reason = sendmail.why_not(environment.sendmail)
    if reason:
        raise Skip(reason)
    both = Pair(environment)
    try:
        attack = Attack(both.sendmail, both.sendmail.sink, 'py.example', 'pz.example')
        victim = attack.victim()
        before = both.daemon.wait_events(f'queue_ids={victim}', 2)
        attack.run()
        lab.wait_until('all is tried', lambda: len({a for _, a in attack.said}) >= len(attack.injected), 60)
        both.sendmail.process.terminate()
        lab.wait_until('the last tries are over', lambda: settled(both), 60, 1)
        attack.check(both.daemon, both.sendmail.log, refusals=False)
        expect("the other mail's first events", before, both.daemon.events(f'queue_ids={victim}')[-len(before):])
    finally:
        both.stop()


def settled(both, seen={}):  # pylint: disable=dangerous-default-value
    size = len(both.sendmail.log_text())
    same, seen['size'] = size == seen.get('size'), size
    return same
