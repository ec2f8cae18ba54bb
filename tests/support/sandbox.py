"""sandbox.py --unit FILE --uid N [--gid N] [--groups N,N] [--expose DIR]… COMMAND…: runs a command as systemd would run
a service, without systemd: each restriction of the unit is applied by the calls that systemd makes for it (systemd.exec(5)
names them). A directive that is not known here is an error, so that the unit cannot outgrow this file.

--expose: a directory that the service may write although it lies below one that is hidden or read-only: what
StateDirectory= and RuntimeDirectory= would be. COMMAND's program is opened first, and may lie anywhere.
"""

import argparse
import ctypes
import errno
import functools
import os
import resource
import stat
import subprocess
import sys

libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_PRIVATE = 0x20000, 2, 4, 8, 4096, 16384, 1 << 18
SYS_MOUNT_SETATTR, MOUNT_ATTR_RDONLY, AT_FDCWD, AT_RECURSIVE = 442, 1, -100, 0x8000
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 24, 38, 47, 4
SCMP_ALLOW, SCMP_CMP_NE, SCMP_CMP_GT, SCMP_CMP_EQ, SCMP_CMP_MASKED = 0x7fff0000, 1, 6, 4, 7
NAMESPACES = {'cgroup': 0x02000000, 'uts': 0x04000000, 'ipc': 0x08000000, 'user': 0x10000000, 'pid': 0x20000000,
              'net': 0x40000000, 'mnt': CLONE_NEWNS}
FAMILIES = {'AF_UNIX': 1, 'AF_INET': 2, 'AF_INET6': 10}
FAMILY_MAX = 46


def check(result):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


# --- the file system --------------------------------------------------------------------------------


def mount(source, target, kind=None, flags=0, options=None):
    values = [v.encode() if v is not None else None for v in (source, target, kind, options)]
    check(libc.mount(values[0], values[1], values[2], ctypes.c_ulong(flags), values[3]))


class MountAttr(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ('set', 'clear', 'propagation', 'userns')]


def read_only(path, yes=True):
    attr = MountAttr(set=MOUNT_ATTR_RDONLY) if yes else MountAttr(clear=MOUNT_ATTR_RDONLY)
    check(libc.syscall(SYS_MOUNT_SETATTR, AT_FDCWD, path.encode(), AT_RECURSIVE, ctypes.byref(attr),
                       ctypes.sizeof(attr)))


def hide(path, mode):
    if os.path.isdir(path):
        mount('tmpfs', path, 'tmpfs', MS_NOSUID | MS_NODEV, f'mode={mode}')


def hide_devices():
    """All but those that everybody has."""
    kept = {name: os.open(f'/dev/{name}', os.O_PATH) for name in ('null', 'zero', 'full', 'random', 'urandom', 'tty')}
    mount('tmpfs', '/dev', 'tmpfs', MS_NOSUID | MS_NOEXEC, 'mode=0755')
    for name, descriptor in kept.items():
        os.close(os.open(f'/dev/{name}', os.O_CREAT | os.O_WRONLY, 0o666))
        mount(f'/proc/self/fd/{descriptor}', f'/dev/{name}', flags=MS_BIND)
        os.close(descriptor)


def set_up_files(unit, expose):
    """Read-only but for `expose` and ReadWritePaths=, and without what the unit hides."""
    if unit.get('ProtectSystem') != ['strict']:
        raise SystemExit('sandbox.py: only ProtectSystem=strict is known')
    check(libc.unshare(CLONE_NEWNS))
    mount(None, '/', flags=MS_REC | MS_PRIVATE)
    paths = list(expose)
    for path in unit.get('ReadWritePaths', []):
        if os.path.exists(path.lstrip('-')):
            paths.append(path.lstrip('-'))
        elif not path.startswith('-'):
            raise SystemExit(f'sandbox.py: ReadWritePaths={path}: does not exist')
    kept = {path: os.open(path, os.O_PATH) for path in paths}
    if unit.get('ProtectHome') == ['yes']:
        for path in ('/home', '/root', '/run/user'):
            hide(path, '0000')
    if unit.get('PrivateTmp') == ['yes']:
        for path in ('/tmp', '/var/tmp'):
            hide(path, '1777')
    for path, descriptor in kept.items():
        os.makedirs(path, exist_ok=True)
        mount(f'/proc/self/fd/{descriptor}', path, flags=MS_BIND | MS_REC)
        os.close(descriptor)
    if unit.get('PrivateDevices') == ['yes']:
        hide_devices()
    read_only('/')
    for path in ['/dev', '/proc', *paths]:
        read_only(path, False)
    options = ','.join([f'hidepid={w}' for w in unit.get('ProtectProc', [])] + [f'subset={w}' for w in unit.get('ProcSubset', [])])
    if options:
        mount('proc', '/proc', 'proc', MS_NOSUID | MS_NODEV | MS_NOEXEC, options)
    if unit.get('ProtectKernelTunables') == ['yes'] and os.path.isdir('/proc/sys'):
        raise SystemExit('sandbox.py: /proc/sys is there in spite of ProcSubset=')


# --- system calls -----------------------------------------------------------------------------------


class Compare(ctypes.Structure):
    _fields_ = [('arg', ctypes.c_uint), ('op', ctypes.c_int), ('a', ctypes.c_uint64), ('b', ctypes.c_uint64)]


class Filter:
    """A seccomp filter, loaded by load(): what no rule names gets `default` (0: it is allowed), the rest `number`."""

    def __init__(self, default, number):
        self.lib = ctypes.CDLL('libseccomp.so.2', use_errno=True)
        self.lib.seccomp_init.restype = ctypes.c_void_p
        self.context = ctypes.c_void_p(self.lib.seccomp_init(ctypes.c_uint32(self.action(default))))
        self.then = self.action(number)

    @staticmethod
    def action(number):
        return 0x00050000 | number if number else SCMP_ALLOW

    def add(self, name, *compare):
        """compare: (argument, operation, value, …) of which all must fit. Names of other machines are left out."""
        number = self.lib.seccomp_syscall_resolve_name(name.encode())
        if number < 0:
            return
        rules = (Compare * max(1, len(compare)))(*[Compare(*c) for c in compare])
        result = self.lib.seccomp_rule_add_array(self.context, ctypes.c_uint32(self.then), number, len(compare), rules)
        if result < 0:
            raise OSError(-result, f'seccomp rule for {name}: {os.strerror(-result)}')

    def load(self):
        result = self.lib.seccomp_load(self.context)
        if result < 0:
            raise OSError(-result, f'seccomp_load: {os.strerror(-result)}')


def masked(argument, bits):
    return (argument, SCMP_CMP_MASKED, bits, bits)


@functools.lru_cache(None)
def members(name):
    """The system calls of a set of systemd's, or the one call."""
    if not name.startswith('@'):
        return {name}
    text = subprocess.run(['systemd-analyze', 'syscall-filter', name], check=True, capture_output=True, text=True).stdout
    words = [line.strip() for line in text.splitlines()[1:]]
    return set().union(*(members(word) for word in words if word and not word.startswith('#')))


def allowed_calls(lines):
    """SystemCallFilter=, line by line: the first says that all others are forbidden."""
    allowed = set(members('@default'))
    for line in lines:
        calls = set().union(*(members(word) for word in line.lstrip('~').split()))
        allowed = allowed - calls if line.startswith('~') else allowed | calls
    return allowed


def no_writable_code(rules):
    for call in ('mmap', 'mmap2'):
        rules.add(call, masked(2, 2 | 4))
    for call in ('mprotect', 'pkey_mprotect'):
        rules.add(call, masked(2, 4))
    rules.add('shmat', masked(2, 0o100000))


def no_set_ids(rules):
    for bit in (stat.S_ISUID, stat.S_ISGID):
        for call, argument in (('chmod', 1), ('fchmod', 1), ('fchmodat', 2), ('mkdir', 1), ('mkdirat', 2), ('mknod', 1),
                               ('mknodat', 2), ('creat', 1)):
            rules.add(call, masked(argument, bit))
        rules.add('open', masked(1, os.O_CREAT), masked(2, bit))
        rules.add('openat', masked(2, os.O_CREAT), masked(3, bit))


def no_namespaces(rules):
    rules.add('setns')
    for bit in NAMESPACES.values():
        rules.add('unshare', masked(0, bit))
        rules.add('clone', masked(0, bit))


def no_realtime(rules):
    rules.add('sched_setscheduler', (1, SCMP_CMP_EQ, os.SCHED_FIFO, 0))
    rules.add('sched_setscheduler', (1, SCMP_CMP_EQ, os.SCHED_RR, 0))


def no_calls(*names):
    def add(rules):
        for call in set().union(*(members(name) for name in names)):
            rules.add(call)
    return add


# Directives that are a list of denied calls, each a filter of its own.
DENIED = {
    'MemoryDenyWriteExecute': no_writable_code,
    'RestrictSUIDSGID': no_set_ids,
    'RestrictNamespaces': no_namespaces,
    'RestrictRealtime': no_realtime,
    'LockPersonality': lambda rules: rules.add('personality', (0, SCMP_CMP_NE, 0, 0)),
    'ProtectKernelModules': no_calls('@module'),
    'ProtectKernelLogs': no_calls('syslog'),
    'ProtectClock': no_calls('@clock'),
    'ProtectHostname': no_calls('sethostname', 'setdomainname'),
}


def filter_calls(unit):
    for name, rules in DENIED.items():
        if unit.get(name) == ['yes']:
            deny = Filter(0, errno.EPERM)
            rules(deny)
            deny.load()
    if unit.get('RestrictNamespaces') == ['yes']:  # its flags lie in memory, where a filter cannot look
        deny = Filter(0, errno.ENOSYS)
        deny.add('clone3')
        deny.load()
    families = Filter(0, errno.EAFNOSUPPORT)
    wanted = {FAMILIES[word] for word in unit['RestrictAddressFamilies'][0].split()}
    for family in set(range(FAMILY_MAX)) - wanted:
        families.add('socket', (0, SCMP_CMP_EQ, family, 0))
    families.add('socket', (0, SCMP_CMP_GT, FAMILY_MAX - 1, 0))
    families.load()
    allow = Filter(errno.EPERM, 0)
    for call in allowed_calls(unit['SystemCallFilter']):
        allow.add(call)
    allow.load()


# --- all of it --------------------------------------------------------------------------------------

APPLIED = {'ProtectSystem', 'ReadWritePaths', 'ProtectHome', 'PrivateTmp', 'PrivateDevices', 'PrivateMounts', 'ProtectProc',
           'ProcSubset', 'ProtectKernelTunables', 'NoNewPrivileges', 'CapabilityBoundingSet', 'AmbientCapabilities', 'UMask',
           'Nice', 'LimitNOFILE', 'RestrictAddressFamilies', 'SystemCallFilter', *DENIED}
NOT_APPLIED = {
    'Type': 'how it is started', 'ExecStart': 'the command line says', 'ExecReload': 'kill', 'Restart': 'not started by us',
    'RestartSec': 'not started by us', 'RestartPreventExitStatus': 'not started by us', 'TimeoutStopSec': 'not stopped by us',
    'User': '--uid', 'Group': '--gid',
    'StateDirectory': '--expose', 'StateDirectoryMode': 'made by the caller', 'RuntimeDirectory': '--expose',
    'RuntimeDirectoryMode': 'made by the caller', 'DevicePolicy': 'a cgroup; PrivateDevices leaves the same devices',
    'ProtectControlGroups': 'a part of the read-only file system', 'RemoveIPC': 'after the end',
    'KeyringMode': 'keys are not used', 'SystemCallArchitectures': 'the default of libseccomp',
    'SystemCallErrorNumber': 'EPERM is what filter_calls takes',
}


def service_of(path):
    """The lines of [Service]: name -> values."""
    unit, section = {}, None
    with open(path, encoding='utf-8') as file:
        for line in map(str.strip, file):
            if line.startswith('['):
                section = line
            elif section == '[Service]' and line and line[0] not in '#;':
                name, value = line.split('=', 1)
                unit.setdefault(name, []).append(value)
    unknown = set(unit) - APPLIED - set(NOT_APPLIED)
    if unknown:
        raise SystemExit(f'sandbox.py: {", ".join(sorted(unknown))}: not known here')
    return unit


def drop_privileges(unit, arguments):
    if unit.get('CapabilityBoundingSet') != [''] or unit.get('AmbientCapabilities') != ['']:
        raise SystemExit('sandbox.py: only empty sets of capabilities are known')
    for capability in range(64):  # as many as the kernel knows
        if libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0:
            break
    os.setgroups([int(n) for n in arguments.groups.split(',') if n])
    os.setresgid(*[arguments.gid or arguments.uid] * 3)
    os.setresuid(*[arguments.uid] * 3)
    check(libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0))
    if unit.get('NoNewPrivileges') == ['yes']:
        check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--unit', required=True)
    parser.add_argument('--uid', type=int, required=True)
    parser.add_argument('--gid', type=int)
    parser.add_argument('--groups', default='')
    parser.add_argument('--expose', action='append', default=[])
    parser.add_argument('command', nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    unit = service_of(arguments.unit)
    program = os.open(arguments.command[0], os.O_RDONLY | os.O_CLOEXEC)
    for name in ('@module', '@clock'):  # while systemd-analyze can be run
        members(name)
    allowed_calls(unit['SystemCallFilter'])
    resource.setrlimit(resource.RLIMIT_NOFILE, [int(unit['LimitNOFILE'][0])] * 2)
    os.nice(int(unit['Nice'][0]))
    os.umask(0o022)
    set_up_files(unit, arguments.expose)
    os.umask(int(unit['UMask'][0], 8))
    drop_privileges(unit, arguments)
    filter_calls(unit)
    os.execve(program, arguments.command, os.environ)


if __name__ == '__main__':
    sys.exit(main())
