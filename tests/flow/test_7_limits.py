"""What the daemon keeps within bounds, and what it warns of."""

import os
import pwd
import subprocess
import time

import lab
from flow import expect, expect_in, flow
from logs import lines_of, log, put, recently, today, wait_read

DAY = 86400


def store_of(environment, name, *starts):
    """A store with one log of about 2 MB of events for each start."""
    base = environment.directory(name)
    daemon = os.path.join(base, 'postwake')
    for number, start in enumerate(starts):
        path = os.path.join(base, f'{number}.log')
        put(path, log(start, 'iso', copies=10))
        done = lab.run_postwake(environment.build, '-S', os.path.join(daemon, 'store'), 'import', path)
        expect(f'import ({done.stderr})', 0, done.returncode)
    return base


def size_of(days):
    return sum(day['bytes'] for day in days)


@flow('max_size drops the oldest days first and says so')
def drops_oldest(environment):
    noon = int(time.time()) // DAY * DAY - DAY // 2
    base = store_of(environment, 'size', noon - 2 * DAY, noon - DAY, noon)
    daemon = environment.daemon('size', base=os.path.join(base, 'postwake'))
    daemon.start()
    days = daemon.status()['days']
    daemon.stop()
    expect('days before', 3, len(days))
    most = size_of(days[1:]) // (1024 * 1024) + 1
    daemon.settings['postwake']['max_size'] = str(most)
    daemon.write_config()
    daemon.start()
    lab.wait_until('the oldest day is gone',
                   lambda: [d['day'] for d in daemon.status()['days']] == [d['day'] for d in days[1:]], 10)
    expect_in('said', 'dropped the oldest days', daemon.log_text())
    daemon.stop()


@flow('where today alone is over max_size the logs wait, and go on when there is room')
def holds_sources(environment):
    base = store_of(environment, 'today', today())
    path, text = os.path.join(base, 'mail.log'), log(recently() + 1800)
    put(path, text)
    daemon = environment.daemon('today', {'file': path}, base=os.path.join(base, 'postwake'),
                                sections={'postwake': {'max_size': '1'}})
    daemon.start()
    lab.wait_until('the cause is said', lambda: 'today alone is larger' in daemon.log_text(), 10)
    before = lines_of(daemon)
    time.sleep(1.5)
    expect('nothing is read', before, lines_of(daemon))
    expect_in('the status', 'TROUBLE    max_size = 1 MB: today alone is larger', daemon.postwake('status').stdout)
    daemon.stop()
    daemon.settings['postwake']['max_size'] = None
    daemon.write_config()
    daemon.start()
    wait_read(daemon, text.count('\n'))
    expect('no trouble is left', None, daemon.status().get('store_full'))
    daemon.stop()


@flow('postwaked warns when Postfix would answer mail with 451 while it is away')
def warns(environment):
    etc = environment.directory('postfix-etc')
    lab.write(os.path.join(etc, 'master.cf'), '')
    directory = environment.directory('warns')
    socket = os.path.join(directory, 'milter.sock')
    for number, (milters, default, wanted) in enumerate((
            (f'unix:{socket}', 'tempfail', True),
            (f'{{ unix:{socket}, command_timeout=3s }}', 'tempfail', True),
            (f'{{ unix:{socket}, default_action=accept }}', 'tempfail', False),
            (f'unix:{socket}', 'accept', False),
            ('unix:/var/other.sock', 'tempfail', False))):
        lab.write(os.path.join(etc, 'main.cf'),
                  f'compatibility_level = 3.6\nsmtpd_milters = {milters}\nmilter_default_action = {default}\n')
        daemon = environment.daemon(f'warns{number}', milter_socket=socket,
                                    sections={'milter': {'check_postfix': 'yes', 'postfix_config': etc}})
        daemon.start()
        lab.wait_until('it is ready', lambda: 'is ready' in daemon.log_text(), 10)
        time.sleep(0.5)
        daemon.stop()
        expect(f'warning for {milters}, {default}', wanted, 'will answer mail with 451' in daemon.log_text())


@flow('an import by root leaves the store to the user whose directory it is')
def owner(environment):
    base = environment.directory('owner')
    store, path = os.path.join(base, 'postwake', 'store'), os.path.join(base, 'mail.log')
    put(path, log(recently(), 'iso'))
    daemon = environment.daemon('owner', base=os.path.join(base, 'postwake'))
    for name in (base, daemon.base):
        os.chmod(name, 0o755)
    nobody = pwd.getpwnam('nobody')
    os.chown(store, nobody.pw_uid, nobody.pw_gid)
    expect('import', 0, lab.run_postwake(environment.build, '-S', store, 'import', path).returncode)
    expect('owners', {nobody.pw_uid}, {os.stat(os.path.join(store, name)).st_uid for name in os.listdir(store)})
    done = subprocess.run(['setpriv', '--reuid', 'nobody', '--regid', str(nobody.pw_gid), '--clear-groups',
                           os.path.join(environment.build, 'postwake'), '-S', store, 'prune', '--keep-days', '0'],
                          capture_output=True, text=True, timeout=20, check=False)
    expect_in('the owner may write', 'dropped', done.stdout + done.stderr)
