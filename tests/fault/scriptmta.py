"""An MTA that is a script: it hands mails to a milter and writes their lines to a log, as Postfix would."""

import threading
import time

import milterclient


class ScriptMta:
    """accepted: queue id -> (recipients, Subject or None where the milter was not there); refused: queue ids."""

    def __init__(self, log, milter, on_failure='accept'):
        self.log, self.milter, self.on_failure = log, milter, on_failure
        self.accepted, self.refused = {}, set()
        self.lock = threading.Lock()
        self.over = False
        self.wrong = 0  # seconds that the clock of this machine is wrong by
        with open(log, 'a', encoding='utf-8'):
            pass

    def say(self, *texts):
        now = time.time() + self.wrong
        stamp = time.strftime('%Y-%m-%dT%H:%M:%S.%%06d+00:00', time.gmtime(now)) % (now % 1 * 1e6)
        with self.lock, open(self.log, 'a', encoding='utf-8') as file:
            file.write(''.join(f'{stamp} mx1 postfix/{text}\n' for text in texts))

    def accept(self, queue_id, number, recipients, subject):
        self.accepted[queue_id] = (recipients, subject)
        self.say(f'qmgr[9]: {queue_id}: from=<shop@lab.example>, size=900, nrcpt={len(recipients)} (queue active)',
                 *(f'smtp[{number}]: {queue_id}: to=<{r}>, relay=mx.example[192.0.2.9]:25, delay=0.1, delays=0.1/0/0/0, '
                   f'dsn=2.0.0, status=sent (250 2.0.0 Ok)' for r in recipients), f'qmgr[9]: {queue_id}: removed')

    def mail(self, number, pause=0):
        """pause: seconds between the end of the transaction and its lines, as a queue manager takes its time."""
        queue_id = f'{0x40000000 + number * 37:X}{number % 16:X}A'
        recipients = [f'u{number}.{i}@deliver.example' for i in range(number % 3 + 1)]
        subject = f'mail {number}'
        headers = [('From', 'Shop <shop@lab.example>'), ('Subject', subject), ('Message-ID', f'<{number}@lab.example>'),
                   ('X-MSYS-API', f'{{"campaign_id":"c{number % 5}"}}')]
        try:
            reply = milterclient.transaction(self.milter, 'shop@lab.example', recipients, headers, queue_id)
        except milterclient.Gone:
            reply = None
        time.sleep(pause)
        self.say(f'smtpd[{number}]: {queue_id}: client=client.example[192.0.2.7]',
                 f'cleanup[7]: {queue_id}: message-id=<{number}@lab.example>')
        if reply in (b'c', b'a'):
            self.accept(queue_id, number, recipients, subject)
        elif reply is None and self.on_failure == 'accept':
            self.accept(queue_id, number, recipients, None)
        else:
            self.refused.add(queue_id)
            self.say(f'cleanup[7]: {queue_id}: milter-reject: END-OF-MESSAGE from client.example[192.0.2.7]: 4.7.1 Service '
                     f'unavailable - try again later; from=<shop@lab.example> to=<{recipients[0]}> proto=ESMTP helo=<c>')

    def send(self, numbers):
        for number in numbers:
            if self.over:
                return
            time.sleep(number % 7 / 1000)
            self.mail(number)

    def wanted(self):
        """(type, queue id, recipient) of the events that there must be."""
        return {(kind, queue_id, recipient) for queue_id, (recipients, _) in self.accepted.items()
                for recipient in recipients for kind in ('injection', 'delivery')}
