"""The daemon as a service: the unit's restrictions, applied without systemd, leave milter, follower and query working."""

import grp
import os
import pwd
import re
import shutil
import subprocess
import sys
import time

import lab
from flow import Skip, expect, expect_in, flow

SUPPORT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support')
CONTRIB = os.path.join(SUPPORT, '..', '..', 'contrib', 'systemd')
SANDBOX = os.path.join(SUPPORT, 'sandbox.py')
# The user postwake of this test, the group adm, and somebody else.
POSTWAKE, ADM, OTHER = 61011, 62011, 61012


def need(*programs):
    for program in programs:
        if shutil.which(program) is None:
            raise Skip(f'{program} is not installed')


def unit(environment):
    path = os.path.join(environment.build, 'contrib', 'systemd', 'postwaked.service')
    if not os.path.exists(path):
        raise Skip('built without systemd')
    return path


@flow('service: systemd finds the unit exposed by less than 2.0')
def exposed(environment):
    need('systemd-analyze')
    done = subprocess.run(['systemd-analyze', 'security', '--no-pager', '--offline=true', '--threshold=20', unit(environment)],
                          capture_output=True, text=True, check=False)
    if 'unrecognized option' in done.stderr:
        raise Skip('systemd-analyze is too old to look at a file')
    level = re.search(r'Overall exposure level for \S+: ([\d.]+)', done.stdout)
    expect(f'it says a level ({done.stderr})', True, level is not None)
    expect(f'{level.group(1)} is under 2.0', (True, 0), (float(level.group(1)) < 2, done.returncode))


@flow('service: user, groups and the directory of the milter come from sysusers and tmpfiles')
def users(environment):
    need('systemd-sysusers', 'systemd-tmpfiles')
    root = environment.directory('root')
    lab.write(os.path.join(root, 'etc', 'group'), 'adm:x:4:\nsystemd-journal:x:101:\npostfix:x:102:\n')
    lab.write(os.path.join(root, 'etc', 'passwd'), 'root:x:0:0::/root:/bin/sh\n')
    for tool, name in (('sysusers', 'sysusers.d'), ('tmpfiles', 'tmpfiles.d')):
        words = [f'systemd-{tool}', f'--root={root}', os.path.join(CONTRIB, name, 'postwake.conf')]
        done = subprocess.run(words + (['--create'] if tool == 'tmpfiles' else []), capture_output=True, text=True, check=False)
        expect(f'{tool} ({done.stderr})', 0, done.returncode)
    groups = {line.split(':')[0]: line.strip().split(':') for line in lab.read(os.path.join(root, 'etc', 'group')).splitlines()}
    expect('the groups of postwake', ['adm', 'systemd-journal'], sorted(n for n, g in groups.items() if 'postwake' in g[3]))
    account = next(l for l in lab.read(os.path.join(root, 'etc', 'passwd')).splitlines() if l.startswith('postwake:')).split(':')
    expect('no shell', True, account[6].endswith('nologin'))
    made = os.stat(os.path.join(root, 'var', 'spool', 'postfix', 'postwake'))
    expect('the directory', (0o42750, int(account[2]), 102), (made.st_mode, made.st_uid, made.st_gid))


def owned(path, mode, uid=POSTWAKE, gid=POSTWAKE):
    os.makedirs(path, exist_ok=True)
    os.chown(path, uid, gid)
    os.chmod(path, mode)
    return path


def sandboxed(environment, *exposed):
    """Words in front of a command that is to run as the service would."""
    need('systemd-analyze')
    words = [sys.executable, '-B', SANDBOX, '--unit', unit(environment), '--uid', str(POSTWAKE), '--groups', str(ADM)]
    for path in exposed:
        words += ['--expose', path]
    probe = subprocess.run(words + ['/bin/true'], capture_output=True, text=True, check=False)
    if 'PermissionError' in probe.stderr or 'libseccomp.so.2: cannot open' in probe.stderr:
        raise Skip(f'namespaces or filters are not ours to make: {probe.stderr.splitlines()[-1]}')
    expect(f'the sandbox ({probe.stderr})', 0, probe.returncode)
    return words


PROBE = r'''
import ctypes, errno, mmap, os, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
def attempt(function, *arguments):
    try:
        result = function(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]
    if isinstance(result, int) and result < 0:
        return errno.errorcode[ctypes.get_errno()]
    return 'done'
for name, function, arguments in (
        ('write etc', os.open, ('/etc/postwake-probe', os.O_CREAT | os.O_WRONLY)),
        ('write usr', os.open, ('/usr/postwake-probe', os.O_CREAT | os.O_WRONLY)),
        ('home', os.listdir, ('/home',)), ('root', os.listdir, ('/root',)),
        ('disks', os.open, ('/dev/mem', os.O_RDONLY)),
        ('other processes', os.stat, ('/proc/1',)), ('kernel', os.stat, ('/proc/kcore',)),
        ('become root', os.setuid, (0,)), ('groups', os.setgroups, ([0],)),
        ('code', mmap.mmap, (-1, 4096, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)),
        ('namespace', libc.unshare, (0x10000000,)), ('trace', libc.ptrace, (0, 0, 0, 0)),
        ('netlink', socket.socket, (socket.AF_NETLINK, socket.SOCK_RAW)),
        ('packets', socket.socket, (socket.AF_PACKET, socket.SOCK_RAW)),
        ('mount', libc.mount, (b'none', b'/tmp', b'tmpfs', 0, None)), ('set-uid', os.chmod, (sys.argv[1], 0o4755)),
        ('real time', os.sched_setscheduler, (0, os.SCHED_FIFO, os.sched_param(1))),
        ('its directory', os.open, (sys.argv[1] + '/probe', os.O_CREAT | os.O_WRONLY))):
    print(name, attempt(function, *arguments))
'''


@flow('service: in the sandbox of the tests the restrictions of the unit hold')
def holds(environment):
    mine = owned(environment.directory('mine'), 0o700)
    done = subprocess.run([*sandboxed(environment, mine), '/usr/bin/python3', '-c', PROBE, mine],
                          capture_output=True, text=True, check=False)
    got = dict(line.rsplit(' ', 1) for line in done.stdout.splitlines())
    expect(f'what it may ({done.stderr})', {
        'write etc': 'EROFS', 'write usr': 'EROFS', 'home': 'EACCES', 'root': 'EACCES', 'disks': 'ENOENT',
        'other processes': 'ENOENT', 'kernel': 'ENOENT', 'become root': 'EPERM', 'groups': 'EPERM', 'code': 'EPERM',
        'namespace': 'EPERM', 'trace': 'EPERM', 'netlink': 'EAFNOSUPPORT', 'packets': 'EAFNOSUPPORT', 'mount': 'EPERM',
        'set-uid': 'EPERM', 'real time': 'EPERM', 'its directory': 'done'}, got)


class Service:
    """Postfix, and a postwaked that runs as the unit would run it: its own user, a log of the group adm, a milter
    socket in a directory that gives it to the group postfix."""

    def __init__(self, environment):
        base = environment.directory('service')
        self.postfix = lab.Postfix(os.path.join(base, 'postfix'), retry=2)
        try:
            self.state = owned(os.path.join(base, 'state'), 0o700)
            self.run = owned(os.path.join(base, 'run'), 0o755)
            self.milter = owned(os.path.dirname(self.postfix.milter_socket), 0o2750, gid=grp.getgrnam('postfix').gr_gid)
            lab.write(self.postfix.log, '')
            os.chown(self.postfix.log, 0, ADM)
            os.chmod(self.postfix.log, 0o640)
            logs = os.path.dirname(self.postfix.log)
            certificate, key = lab.self_signed_certificate(os.path.join(base, 'tls'))
            os.chown(key, POSTWAKE, POSTWAKE)
            self.port = lab.free_port()
            self.daemon = environment.daemon('service', {'file': self.postfix.log}, self.postfix.milter_socket, {
                'postwake': {'store': os.path.join(self.state, 'store')},
                'query': {'socket': os.path.join(self.run, 'query.sock'), 'mode': '0666'},
                'listen': {'port': str(self.port), 'certificate': certificate, 'key': key},
                'access other': {'users': str(OTHER), 'domains': 'bounce.example'}},
                base=owned(os.path.join(base, 'postwake'), 0o755))
            self.daemon.socket = os.path.join(self.run, 'query.sock')
            # It reads its configuration, its certificate and the log; they lie where its /tmp would be.
            self.daemon.wrapper = sandboxed(environment, self.state, self.run, self.milter, logs, self.daemon.base,
                                            os.path.dirname(key))
            # The leak checker traces, which the filter forbids.
            self.daemon.environment = {'ASAN_OPTIONS': os.environ.get('ASAN_OPTIONS', '') + ':detect_leaks=0'}
        except BaseException:
            self.stop()
            raise

    def send(self, recipient, subject):
        """One mail and its last event, found by what only the log, and what only the milter tells."""
        self.postfix.send('shop@lab.example', recipient, subject=subject)
        found = self.daemon.wait_events(f'recipients={recipient}&events=delivery,bounce')
        expect('what the milter saw', subject, found[0]['subject'])
        return found[0]

    def ids(self):
        text = lab.read(f'/proc/{self.daemon.process.pid}/status')
        return {name: re.search(rf'^{name}:\s+(.*)$', text, re.M).group(1).split() for name in (
            'Uid', 'Gid', 'Groups', 'CapEff', 'CapBnd', 'NoNewPrivs', 'Seccomp')}

    def stop(self):
        self.postfix.stop()


@flow('service: milter, follower, query and restart work as a user without rights, in the sandbox of the unit')
def works(environment):
    service = Service(environment)
    try:
        service.daemon.start()
        service.postfix.start()
        expect('who it is', {
            'Uid': [str(POSTWAKE)] * 4, 'Gid': [str(POSTWAKE)] * 4, 'Groups': [str(ADM)], 'CapEff': ['0' * 16],
            'CapBnd': ['0' * 16], 'NoNewPrivs': ['1'], 'Seccomp': ['2']}, service.ids())
        expect('a delivery', 'delivery', service.send('anna@deliver.example', 'Before')['type'])
        bounce = service.send('ben@bounce.example', 'No such user')
        expect('a bounce and its class', ('bounce', '10'), (bounce['type'], str(bounce['bounce_class'])))
        others = subprocess.run(['setpriv', f'--reuid={OTHER}', f'--regid={OTHER}', '--clear-groups', 'curl', '-sS',
                                 '--unix-socket', service.daemon.socket,
                                 'http://localhost/api/v1/message-events?from=2000-01-01T00:00&events=delivery,bounce'],
                                capture_output=True, text=True, check=True).stdout
        expect('another user sees its part', (True, False), ('ben@bounce' in others, 'anna@deliver' in others))
        remote(service)
        expect('status 0', 0, service.daemon.stop())
        expect('no socket is left', [], os.listdir(service.run))
        service.postfix.send('shop@lab.example', 'clara@deliver.example', subject='While it is away')
        service.postfix.wait_log(r'clara@.*status=sent')
        service.daemon.start()
        service.daemon.wait_events('recipients=clara@deliver.example&events=delivery')
        expect('again', 'delivery', service.send('dora@deliver.example', 'After')['type'])
        expect('its files are its own', {(POSTWAKE, 0o600)}, modes(os.path.join(service.state, 'store')))
        service.daemon.stop()
        expect('nothing failed', [], [line for line in service.daemon.log_text().splitlines()
                                      if re.search(r'not permitted|Permission denied|cannot|Read-only', line)])
    finally:
        service.stop()


def modes(store):
    return {(s.st_uid, s.st_mode & 0o777) for s in (
        os.stat(os.path.join(store, n)) for n in os.listdir(store)) if (s.st_mode & 0o170000) == 0o100000}


def remote(service):
    """A key, and what it shows over TLS."""
    key = service.daemon.postwake('key', 'add').stdout.strip()
    answer = subprocess.run(['curl', '-sSk', '-H', f'Authorization: {key}', f'https://127.0.0.1:{service.port}'
                             '/api/v1/message-events?from=2000-01-01T00:00&recipients=anna@deliver.example'],
                            capture_output=True, text=True, check=False)
    expect_in(f'over TLS ({answer.stderr})', 'anna@deliver.example', answer.stdout)


# --- without systemd --------------------------------------------------------------------------------


@flow('service: started by root, the daemon becomes its user for good, and inherits nothing')
def becomes(environment):
    nobody = pwd.getpwnam('nobody')
    base = environment.directory('becomes')
    for name in ('store', 'run'):
        owned(os.path.join(base, name), 0o700, nobody.pw_uid, nobody.pw_gid)
    daemon = environment.daemon('becomes', base=base, sections={
        'postwake': {'user': 'nobody'}, 'query': {'socket': os.path.join(base, 'run', 'query.sock')}})
    daemon.socket = os.path.join(base, 'run', 'query.sock')
    secret = os.open(os.path.join(base, 'secret'), os.O_CREAT | os.O_RDWR, 0o600)
    os.set_inheritable(secret, True)
    daemon.identity = {'pass_fds': (secret,)}
    daemon.start()
    status = lab.read(f'/proc/{daemon.process.pid}/status')
    for name, wanted in (('Uid', [str(nobody.pw_uid)] * 4), ('Gid', [str(nobody.pw_gid)] * 4), ('CapEff', ['0' * 16]),
                         ('CapPrm', ['0' * 16]), ('NoNewPrivs', ['1'])):
        expect(name, wanted, re.search(rf'^{name}:\s+(.*)$', status, re.M).group(1).split())
    opened = {os.path.realpath(f'/proc/{daemon.process.pid}/fd/{n}') for n in os.listdir(f'/proc/{daemon.process.pid}/fd')}
    expect('it has no descriptor of ours', False, os.path.join(base, 'secret') in opened)
    os.close(secret)
    expect('its files', {(nobody.pw_uid, 0o600)}, modes(daemon.store))
    expect('no warning', False, 'running as root' in daemon.log_text())
    expect('its exit', 0, daemon.stop())


@flow('service: a user that it cannot become is told, and nothing is opened')
def cannot(environment):
    base = environment.directory('cannot')
    daemon = environment.daemon('cannot', base=base, sections={'postwake': {'user': 'nobody-of-this-name'}})
    daemon.start(ready=False)
    expect('its status', os.EX_CONFIG, daemon.process.wait(20))
    expect_in('its log', 'user = nobody-of-this-name: there is no such user', daemon.log_text())
    daemon.settings['postwake']['user'] = 'daemon'
    daemon.write_config()
    for path in (base, daemon.store):
        os.chown(path, OTHER, OTHER)
    daemon.identity = {'user': OTHER, 'group': OTHER, 'extra_groups': []}
    daemon.start(ready=False)
    expect('its status', 1, daemon.process.wait(20))
    expect_in('its log', 'user = daemon: cannot become that user', daemon.log_text())
    expect('no store', [], os.listdir(daemon.store))


@flow('service: as root it runs, and says that it need not')
def as_root(environment):
    daemon = environment.daemon('root').start()
    expect_in('its log', 'running as root, which postwaked does not need', daemon.log_text())
    started = time.monotonic()
    expect('its exit', 0, daemon.stop())
    expect('at once', True, time.monotonic() - started < 5)
