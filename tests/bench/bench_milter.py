"""What the milter costs a Postfix: smtp-source, a new connection for each mail, interleaved with a milter that
does the least, and with none."""

import os
import subprocess
import time

import lab
from frame import bench, cpu_of, interleaved

MAIN_CF = '''\
compatibility_level = 3.6
queue_directory = {base}/spool
data_directory = {base}/data
daemon_directory = {libexec}
command_directory = /usr/sbin
maillog_file = {base}/mail.log
maillog_file_prefixes = {base}
myhostname = mx.lab.example
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
smtp_dns_support_level = disabled
smtp_host_lookup = native
disable_dns_lookups = yes
smtpd_peername_lookup = no
enable_long_queue_ids = yes
alias_maps =
alias_database =
default_transport = discard:
smtpd_client_connection_count_limit = 0
'''
MILTER = '{{ unix:{socket}, default_action=accept, command_timeout=3s, content_timeout=10s }}'


class Postfix:
    """A port for each name: without a milter, with one that does nothing, with ours. All is discarded."""

    def __init__(self, base, names):
        self.base, self.log = base, os.path.join(base, 'mail.log')
        self.port = {name: lab.free_port() for name in names}
        for directory in ('etc', 'spool/milter', 'data'):
            os.makedirs(os.path.join(base, directory))
            os.chmod(os.path.join(base, directory), 0o755)
        lab.shutil.chown(os.path.join(base, 'data'), 'postfix')
        lab.write(f'{base}/etc/main.cf', MAIN_CF.format(base=base, libexec=lab.POSTFIX_LIBEXEC))
        services = ''.join(f'127.0.0.1:{port} inet n - n - - smtpd\n'
                           + (f"  -o {{ smtpd_milters = {MILTER.format(socket=f'milter/{name}.sock')} }}\n"
                              if name != 'none' else '')
                           for name, port in self.port.items())
        rest = [line for line in lab.MASTER_CF.splitlines() if line[:1].islower()]
        lab.write(f'{base}/etc/master.cf', services + '\n'.join(rest).replace('scan      unix  - - n - 4 smtp\n', '')
                  + '\n')

    def socket(self, name):
        return os.path.join(self.base, 'spool', 'milter', f'{name}.sock')

    def postfix(self, word):
        subprocess.run(['/usr/sbin/postfix', '-c', f'{self.base}/etc', word], env=lab.clean_environment(),
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=word != 'stop')

    def removed(self):
        """Mails that left the queue."""
        done = subprocess.run(['grep', '-c', ': removed$', self.log], stdout=subprocess.PIPE, check=False)
        return int(done.stdout or 0)


def send(postfix, name, mails, before):
    """Seconds to send the mails to a port; all have left the queue when it returns."""
    begin = time.monotonic()
    subprocess.run(['/usr/sbin/smtp-source', '-s', '8', '-m', str(mails), '-l', '2048', '-f', 'shop@lab.example',
                    '-t', 'alice@deliver.example', f"inet:127.0.0.1:{postfix.port[name]}"], check=True,
                   stdout=subprocess.DEVNULL)
    took = time.monotonic() - begin
    lab.wait_until('the queue is empty', lambda: postfix.removed() >= before + mails, 120, 0.1)
    return took


def rounds(b, postfix, daemon):
    """Medians of (seconds, CPU of postwaked) by port."""
    mails, sent = (2000, [0]) if b.full else (600, [0])

    def run(name):
        cpu = cpu_of(daemon.process.pid)
        took = send(postfix, name, mails, sent[0])
        sent[0] += mails
        lab.wait_until('the log is read', lambda: read_all(daemon, postfix), 60, 0.05)
        return took, cpu_of(daemon.process.pid) - cpu

    got = interleaved(7, {name: lambda name=name: run(name) for name in postfix.port})
    return mails, got


def read_all(daemon, postfix):
    lines = int(subprocess.run(['wc', '-l', postfix.log], stdout=subprocess.PIPE, check=True).stdout.split()[0])
    return sum(s['lines'] for s in daemon.status()['ledger']) >= lines


@bench('milter', root=True)
def milter(b):
    if not b.peer('smtp-source'):
        return
    noop, names = None, ['none', 'no-op', 'postwake']
    if not os.path.exists(b.tool('noop_milter')):
        b.skip('without a milter that does nothing: built where libmilter-dev is installed')
        names.remove('no-op')
    postfix = Postfix(b.path('postfix'), names)
    os.chmod(b.path('postfix'), 0o755)
    if 'no-op' in names:
        noop = subprocess.Popen([b.tool('noop_milter'), f"unix:{postfix.socket('no-op')}"])
    daemon = lab.Daemon(b.build, b.path('milter-daemon'), {'file': postfix.log}, postfix.socket('postwake'))
    try:
        lab.write(postfix.log, '')
        daemon.start()
        postfix.postfix('start')
        mails, got = rounds(b, postfix, daemon)
    finally:
        postfix.postfix('stop')
        daemon.stop()
        if noop:
            noop.terminate()
            noop.wait()
    rate = {name: mails / seconds for name, (seconds, _) in got.items()}
    b.row('Postfix, no milter', rate['none'], 'mails/s')
    if noop:
        b.row('Postfix, a milter that does nothing', rate['no-op'], 'mails/s', None, rate['no-op'] / rate['none'],
              'of none')
        b.row('Postfix, postwake', rate['postwake'], 'mails/s', (0.90, 0.97), rate['postwake'] / rate['no-op'],
              'of no-op')
    b.row('Postfix, postwake against no milter', rate['postwake'], 'mails/s', None, rate['postwake'] / rate['none'],
          'of none')
    b.row('milter, CPU a mail (store of its record included)', (got['postwake'][1] - got['none'][1]) / mails * 1000,
          'ms', (0.2, 0.05), high=False)
    b.row('log of a mail followed, CPU', got['none'][1] / mails * 1000, 'ms')
