"""What goes wrong at the start is said in a sentence, and harms nobody else."""

import os
import socket
import stat
import subprocess

import lab
from flow import expect, expect_in, flow

WRONG = os.EX_CONFIG  # the unit does not try that again


def start_fails(daemon, status, words):
    daemon.start(ready=False)
    expect('status', status, daemon.process.wait(15))
    expect_in('message', words, daemon.log_text())
    daemon.process = None


@flow('a second daemon on the same store is refused')
def second_daemon(environment):
    first = environment.daemon('first').start()
    second = environment.daemon('second', sections={'postwake': {'store': first.store}})
    start_fails(second, 1, first.store)
    expect('the first goes on', 200, first.get('/api/v1/status')[0])


@flow('a query socket that a living server holds is left to it')
def occupied_socket(environment):
    first = environment.daemon('first').start()
    second = environment.daemon('second', sections={'query': {'socket': first.socket}})
    start_fails(second, 1, first.socket)
    expect('the first goes on', 200, first.get('/api/v1/status')[0])


@flow('sockets that a dead daemon left are replaced')
def dead_socket(environment):
    daemon = environment.daemon('dead', milter_socket=os.path.join(environment.directory('milter'), 'm.sock'))
    daemon.start()
    daemon.kill()
    expect('left behind', True, os.path.exists(daemon.socket))
    daemon.start()
    expect('answers', 200, daemon.get('/api/v1/status')[0])


@flow('a file that is no socket is never removed for one')
def no_socket(environment):
    daemon = environment.daemon('file')
    lab.write(daemon.socket, 'precious')
    start_fails(daemon, WRONG, daemon.socket)
    expect('still there', 'precious', lab.read(daemon.socket))


@flow('a milter socket that another milter holds is left to it')
def occupied_milter(environment):
    path = os.path.join(environment.directory('milter'), 'm.sock')
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(path)
        other.listen()
        start_fails(environment.daemon('second', milter_socket=path), 1, path)
        expect('still there', True, stat.S_ISSOCK(os.stat(path).st_mode))


@flow('both sockets have the mode and group that the configuration names')
def modes(environment):
    path = os.path.join(environment.directory('milter'), 'm.sock')
    daemon = environment.daemon('modes', milter_socket=path, sections={'query': {'group': 'daemon', 'mode': '0620'}}).start()
    import grp  # pylint: disable=import-outside-toplevel
    for name, group, mode in ((path, 'postfix', 0o660), (daemon.socket, 'daemon', 0o620)):
        info = os.stat(name)
        expect(name, (group, oct(mode)), (grp.getgrgid(info.st_gid).gr_name, oct(info.st_mode & 0o7777)))


@flow('a fault in the configuration names file, group and key')
def configuration(environment):
    daemon = environment.daemon('key', sections={'query': {'sokcet': '/tmp/x'}})
    start_fails(daemon, WRONG, '[query] sokcet')
    daemon = environment.daemon('value', sections={'milter': {'on_failure': 'panic'}})
    start_fails(daemon, WRONG, 'accept tempfail')


@flow('what a configuration names and is not there or cannot be is its fault, and the unit does not try it again')
def wrong_names(environment):
    directory = environment.directory('wrong')
    rules, socket_path = os.path.join(directory, 'rules'), os.path.join(directory, 'm.sock')
    lab.write(rules, 'nonsense\n')
    for n, (sections, words) in enumerate((
            ({'classify': {'bounce_rules': rules}}, f'{rules}:1'),
            ({'classify': {'reason_rules': rules + '-none'}}, 'No such file'),
            ({'postwake': {'user': 'no-such-user'}}, 'no such user'),
            ({'postwake': {'relay_domains': '/no/such/list'}}, '/no/such/list'),
            ({'milter': {'group': 'no-such-group'}}, 'no group'),
            ({'milter': {'header_map': 'X-A=nothing'}}, 'no target'),
            ({'milter': {'socket': 'inet:zero'}}, 'port'),
            ({'query': {'group': 'no-such-group'}}, 'no group'),
            ({'query': {'socket': '/tmp/' + 'x' * 200}}, 'bytes'),
            ({'access other': {'users': 'no-such-user'}}, 'no such user'),
            ({'source mail': {'file': rules, 'zone': 'Mars/Crater'}}, 'time zone'),
            ({'geoip': {'database': rules}}, 'GeoIP'),
            ({'listen': {'port': str(lab.free_port()), 'certificate': rules, 'key': rules}}, 'no certificate'))):
        daemon = environment.daemon(f'wrong-{n}', milter_socket=socket_path, sections=sections)
        start_fails(daemon, WRONG, words)
    path = os.path.join(environment.build, 'contrib', 'systemd', 'postwaked.service')
    if os.path.exists(path):
        expect_in('the unit', f'\nRestartPreventExitStatus=2 {WRONG}\n', lab.read(path))


@flow('a file and the journal of one instance together are refused')
def twice(environment):
    daemon = environment.daemon('twice', {'file': '/var/log/mail.log'}, sections={'source again': {'journal': 'system'}})
    start_fails(daemon, WRONG, 'journal')


@flow('without the right to write the store the daemon says which directory')
def permission(environment):
    daemon = environment.daemon('permission', sections={'query': {'socket': '/tmp/pw-nobody.sock'}})
    for path in (daemon.base, daemon.store):
        os.chmod(path, 0o755)
    done = subprocess.run(['setpriv', '--reuid', 'nobody', '--regid', 'nogroup', '--clear-groups',
                           os.path.join(environment.build, 'postwaked'), '-c', daemon.config],
                          capture_output=True, text=True, timeout=20, check=False)
    expect('status', 1, done.returncode)
    expect_in('message', daemon.store, done.stderr)
    expect_in('why', 'ermission denied', done.stderr)


@flow('a log that does not exist yet is followed once it does')
def missing_log(environment):
    directory = environment.directory('late')
    path = os.path.join(directory, 'mail.log')
    daemon = environment.daemon('late', {'file': path}).start()
    lab.write(path, 'Nov 22 01:00:00 mx postfix/qmgr[1]: 4jX9Ts01Cnz1d9C6: removed\n')
    lab.wait_until('read', lambda: sum(s['lines'] for s in daemon.status()['ledger']) == 1, 10)


@flow('the command without arguments tells what there is')
def usage(environment):
    done = lab.run_postwake(environment.build)
    expect('status', 2, done.returncode)
    expect_in('subcommands', 'search', done.stderr)
    expect('unknown', 2, lab.run_postwake(environment.build, 'serach').returncode)


@flow('an import into a damaged day names the file, sets it aside and goes on')
def damaged_day(environment):
    store, log = environment.directory('damaged'), os.path.join(environment.directory('log'), 'mail.log')
    lab.write(log, ''.join(f'Nov 20 10:00:{n:02} mx postfix/smtp[7]: 3C{n:08X}: to=<r{n}@d.example>, '
                           'relay=mx.d.example[192.0.2.9]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, '
                           'status=sent (250 2.0.0 Ok)\n' for n in range(60)))
    expect('first import', 0, lab.run_postwake(environment.build, '-S', store, 'import', log).returncode)
    day = [name for name in os.listdir(store) if name.endswith('.db')][0]
    with open(os.path.join(store, day), 'r+b') as file:
        file.write(b'\xff' * 8192)
    done = lab.run_postwake(environment.build, '-S', store, 'import', log)
    expect(f'status ({done.stderr})', 0, done.returncode)
    expect_in('reason', 'is damaged', done.stderr)
    expect_in('which file', f'{day}.damaged-1', done.stderr)
    expect('kept', True, os.path.exists(os.path.join(store, f'{day}.damaged-1')))
    found = lab.run_postwake(environment.build, '-S', store, 'search', '--recipient', 'r59@d.example')
    expect_in('all of it is there', 'r59@d.example', found.stdout)
