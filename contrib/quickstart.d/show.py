"""The second half of contrib/quickstart: a private Postfix, postwaked, a dozen mails, and the answers."""

import argparse
import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from email.utils import formatdate

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'tests', 'support'))
import lab  # noqa: E402

# How the log line of each event type looks; the groups are queue id and recipient.
LOG_LINES = {
    'injection': re.compile(r'qmgr\[\d+\]: (\w+): from=<.*\(queue active\)()$'),
    'delivery': re.compile(r': (\w+): to=<(.*?)>.* status=sent '),
    'delay': re.compile(r': (\w+): to=<(.*?)>.* status=deferred '),
    'bounce': re.compile(r': (\w+): to=<(.*?)>.* status=bounced '),
    'policy_rejection': re.compile(r': (NOQUEUE|\w+): (?:milter-)?reject: .*? to=<(.*?)>'),
}
LIMIT = 1.0  # seconds from log line to found


class Clockwork:
    """Notes when each line came into the log and when a search found each event first."""

    def __init__(self, log, daemon):
        self.log, self.daemon = log, daemon
        self.lines, self.events = {}, {}  # key -> monotonic time
        self.ended = threading.Event()
        self.threads = [threading.Thread(target=t, daemon=True) for t in (self.watch_log, self.watch_events)]
        for thread in self.threads:
            thread.start()

    def watch_log(self):
        rest, file = b'', None
        while not self.ended.wait(0.002):
            if file is None and os.path.exists(self.log):
                file = open(self.log, 'rb')  # pylint: disable=consider-using-with
            data = file.read() if file else b''
            now = time.monotonic()
            *lines, rest = (rest + data).split(b'\n')
            for line in lines:
                self.note_line(line.decode('utf-8', 'replace'), now)
        if file:
            file.close()

    def note_line(self, line, now):
        for kind, pattern in LOG_LINES.items():
            match = pattern.search(line)
            if match:
                queue_id, recipient = match.groups()
                self.lines.setdefault((kind, '' if kind == 'policy_rejection' else queue_id, recipient), now)

    def watch_events(self):
        while not self.ended.wait(0.01):
            try:
                found = self.daemon.events()
            except (OSError, lab.LabError):
                continue
            now = time.monotonic()
            for event in found:
                self.events.setdefault(self.event_key(event), now)

    @staticmethod
    def event_key(event):
        kind = event['type']
        queue_id = '' if kind == 'policy_rejection' else event.get('queue_id', '')
        recipient = '' if kind == 'injection' else event.get('raw_rcpt_to', '')
        return kind, queue_id, recipient

    def latencies(self):
        """{type: [seconds]} of the events whose log line was seen."""
        return {kind: [self.events[k] - t for k, t in self.lines.items() if k[0] == kind and k in self.events]
                for kind in LOG_LINES}

    def missing(self):
        return [k for k in self.lines if k not in self.events]

    def stop(self):
        self.ended.set()
        for thread in self.threads:
            thread.join(5)


def reachable(path):
    """Whether Postfix's unprivileged processes get to `path`, and socket names below it are short enough."""
    while len(path) > 1:
        if os.path.exists(path) and not os.stat(path).st_mode & 0o001:
            return False
        path = os.path.dirname(path)
    return True


def lab_directory(wanted):
    """(directory, whether it is a temporary one to be removed at the end)."""
    directory = os.path.join(wanted, 'lab')
    if reachable(wanted) and len(directory) < 70:
        shutil.rmtree(directory, ignore_errors=True)
        os.makedirs(directory)
        return directory, False
    directory = tempfile.mkdtemp(prefix='postwake-quickstart.')
    os.chmod(directory, 0o755)
    print(f'== Postfix cannot use {wanted} (not open to its user, or too long for a socket):')
    print(f'   its files and the store are in {directory}, removed at the end')
    return directory, True


def api(campaign, tags=(), **metadata):
    """An X-MSYS-API header."""
    value = {'campaign_id': campaign, 'metadata': metadata}
    if tags:
        value['tags'] = list(tags)
    return 'X-MSYS-API: ' + json.dumps(value)


def send_mails(postfix):
    """A dozen mails; the sinks decide what becomes of each."""
    spring = api('spring sale', ['news'], shop='7')
    mails = [
        ('alice@deliver.example', 'Welcome aboard', [spring]),
        ('bob@deliver.example', 'Your invoice 4711', []),
        ('carol@lmtp.example', 'Minutes of the meeting', []),
        ('dave@defer.example', 'Your order has shipped', [spring]),
        ('erin@closed.example', 'Are you there?', []),
        ('frank@bounce.example', 'Reset your password', [api('account mails')]),
        ('policy.grace@deliver.example', 'Special offer', [spring]),
        ('dothard.heidi@deliver.example', 'Win a prize', []),
        (['ivan@deliver.example', 'judy@bounce.example'], 'For two of you', []),
        ('refused@deliver.example', 'This one is refused', []),
        ('kim@deliver.example', 'With a forbidden header', ['X-Refuse: yes']),
    ]
    for recipients, subject, headers in mails:
        postfix.send('shop@lab.example', recipients, subject, headers)
    postfix.send('late-refused@lab.example', 'leo@deliver.example', 'Another filter says no', port='second')
    postfix.submit('root@lab.example', ['mallory@deliver.example'], 'From a cron job')
    return len(mails) + 2


REPORT = '''Return-Path: <>
Date: {date}
From: {sender}
To: shop@lab.example
Subject: {subject}
Message-ID: <{kind}@deliver.example>
MIME-Version: 1.0
Content-Type: multipart/report; report-type={kind}; boundary="b"

--b
Content-Type: message/{kind}

{told}

--b
Content-Type: text/rfc822-headers

Message-ID: <{original}>

--b--
'''
REPORTS = {
    'out_of_band': ('alice@deliver.example', 'delivery-status', 'MAILER-DAEMON@deliver.example', 'Undelivered Mail',
                    'Reporting-MTA: dns; mx.deliver.example\n\nFinal-Recipient: rfc822; alice@deliver.example\n'
                    'Action: failed\nStatus: 5.2.2\nDiagnostic-Code: smtp; 552 5.2.2 Mailbox full'),
    'spam_complaint': ('bob@deliver.example', 'feedback-report', 'feedback@deliver.example', 'Complaint',
                       'Feedback-Type: abuse\nUser-Agent: LabFBL/1.0\nOriginal-Rcpt-To: bob@deliver.example'),
}


def send_reports(daemon):
    """What comes back later: a bounce and a complaint, given to `postwake report`. Whether both were found."""
    good = True
    for kind, (recipient, form, sender, subject, told) in REPORTS.items():
        sent = daemon.events(f'recipients={recipient}&events=delivery')
        if not sent:
            return False
        text = REPORT.format(date=formatdate(), sender=sender, subject=subject, kind=form, told=told,
                             original=sent[0]['header_message_id'])
        print(f'\n$ postwake report < {kind}.eml')
        done = daemon.postwake('report', '-v', stdin=text)
        print(done.stdout + done.stderr, end='')
        found = daemon.events(f'recipients={recipient}&events={kind}')
        good &= bool(found) and found[0].get('message_id') == sent[0]['message_id']
    run_and_show(os.path.join(daemon.build, 'postwake'), '-s', daemon.socket, 'search', '--type', 'out_of_band',
                 '--type', 'spam_complaint')
    return good


class Far:
    """A second postwaked, to which the first uploads: on a loopback port, with a key."""

    def __init__(self, build, directory):
        self.port = lab.free_port()
        self.daemon = lab.Daemon(build, os.path.join(directory, 'far'), sections={'listen': {'port': str(self.port)}})
        self.key_file = os.path.join(self.daemon.base, 'key')

    def start(self):
        """Starts it; the [upload] section for the first."""
        self.daemon.start()
        key = self.daemon.postwake('key', 'add', '--grant', 'ingest', '--name', 'quickstart').stdout
        lab.write(self.key_file, key)
        os.chmod(self.key_file, 0o600)
        return {'url': f'http://127.0.0.1:{self.port}', 'kind': 'postwake', 'key_file': self.key_file,
                'interval': '1', 'poll': '1'}


def show_upload(daemon, far):
    """What the second postwake has of the first one's events. Whether it has all that could be sent."""
    def done():
        found = daemon.get('/api/v1/uploads')[1]['results']
        looked_at = sum(found[0][k] for k in ('accepted', 'failed', 'invalid')) if found else 0
        return looked_at >= len(daemon.events())
    with contextlib.suppress(lab.LabError):
        lab.wait_until('all is uploaded', done, 20, 0.2)
    postwake = os.path.join(daemon.build, 'postwake')
    print('\nevents go to a second postwake, which says what it took:')
    run_and_show(postwake, '-s', daemon.socket, 'upload', 'status')
    run_and_show(postwake, '-s', far.socket, 'search', '--type', 'bounce')
    status = daemon.get('/api/v1/uploads')[1]['results']
    return bool(status) and status[0]['failed'] == 0 and 0 < status[0]['accepted'] <= len(far.events())


def wait_for_all(clockwork, postfix):
    """Until the log is quiet, every line's event was found, and each type was seen."""
    def settled():
        kinds = {k[0] for k in clockwork.lines}
        return kinds == set(LOG_LINES) and not clockwork.missing() and postfix.log_text() == before[0]

    before = ['']
    end = time.monotonic() + 20
    while time.monotonic() < end:
        before[0] = postfix.log_text()
        time.sleep(0.7)
        if settled():
            return


def run_and_show(*words):
    print('\n$ ' + shlex.join(words))
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    text = done.stdout
    if words[0] == 'curl':
        try:
            text = json.dumps(json.loads(text), indent=2, ensure_ascii=False) + '\n'
        except ValueError:
            pass
    print(text + done.stderr, end='', flush=True)
    return done.returncode


def show_answers(daemon):
    postwake = [os.path.join(daemon.build, 'postwake'), '-s', daemon.socket]
    url = 'http://localhost/api/v1/message-events'
    run_and_show(*postwake, 'search')
    run_and_show('curl', '-sS', '--unix-socket', daemon.socket, f'{url}?recipients=frank@bounce.example&events=bounce')
    run_and_show('curl', '-sS', '--unix-socket', daemon.socket,
                 f'{url}?campaign_ids=spring%20sale&events=delay,bounce&per_page=1')
    run_and_show(*postwake, 'search', '--type', 'bounce', '--type', 'delay', '--type', 'policy_rejection')
    story = daemon.events('recipients=dave@defer.example')
    if story:
        run_and_show(*postwake, 'show', story[0]['message_id'], '--proof')
    run_and_show(*postwake, 'status')


def report(clockwork):
    """Prints what was found how fast; whether that is all that must be."""
    good = True
    print('\nfrom log line to found by a search:')
    for kind, seconds in clockwork.latencies().items():
        ok = bool(seconds) and max(seconds) < LIMIT
        good &= ok
        worst = f'slowest {max(seconds) * 1000:.0f} ms' if seconds else 'NOT FOUND'
        print(f"  {kind:17s} {len(seconds):3d} found, {worst}{'' if ok or not seconds else ' (TOO SLOW)'}")
    for kind, queue_id, recipient in clockwork.missing():
        good = False
        print(f'  not found: {kind} {queue_id} {recipient}')
    return good


def where(daemon, far, postfix):
    print(f'''
where things are:
  programs       {daemon.build}/postwaked, {daemon.build}/postwake
  configuration  {daemon.config}
  store          {daemon.store}
  query socket   {daemon.socket}
  second one     {far.base} (query socket: {far.socket})
  daemon's log   {daemon.log}
  Postfix        {postfix.base} (log: {postfix.log}; SMTP on 127.0.0.1:{postfix.port['smtp']})''', flush=True)


def run(arguments, directory):
    postfix = lab.Postfix(os.path.join(directory, 'postfix'), retry=30)
    far = Far(arguments.build, directory)
    daemon = lab.Daemon(arguments.build, os.path.join(directory, 'postwake'), {'file': postfix.log},
                        postfix.milter_socket,
                        {'milter': {'postfix_config': postfix.etc, 'check_postfix': 'yes'}})
    clockwork = None
    try:
        daemon.settings['upload far'] = far.start()
        daemon.write_config()
        daemon.start()
        clockwork = Clockwork(postfix.log, daemon)
        postfix.start()
        print(f'== Postfix and postwaked run; {send_mails(postfix)} mails sent', flush=True)
        wait_for_all(clockwork, postfix)
        show_answers(daemon)
        reported = send_reports(daemon)
        uploaded = show_upload(daemon, far.daemon)
        good = report(clockwork) and reported and uploaded
        where(daemon, far.daemon, postfix)
        if not arguments.once:
            print('\ntry:  ' + shlex.join([f'{daemon.build}/postwake', '-s', daemon.socket, 'search', '--help']))
            print('Ctrl-C ends it all.', flush=True)
            signal.pause()
        return 0 if good else 1
    except KeyboardInterrupt:
        return 130 if arguments.once else 0
    finally:
        print('== stopping', flush=True)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if clockwork:
            clockwork.stop()
        postfix.stop()
        daemon.stop()
        far.daemon.stop()


def interrupt(_number, _frame):
    raise KeyboardInterrupt


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--build', required=True)
    parser.add_argument('--dir', required=True)
    parser.add_argument('--once', action='store_true')
    arguments = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    directory, temporary = lab_directory(arguments.dir)
    try:
        return run(arguments, directory)
    except lab.LabError as error:
        print(f'quickstart: {error}', file=sys.stderr)
        return 1
    finally:
        if temporary:
            shutil.rmtree(directory, ignore_errors=True)


if __name__ == '__main__':
    sys.exit(main())
