"""The frame of the flow tests: @flow('a sentence') registers a test, which gets the environment.

A test fails by an exception (expect() raises one that shows both sides) and is skipped by Skip(reason).
"""

import glob
import os
import re
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
import lab  # noqa: E402

TESTS = []


class Skip(Exception):
    """This test cannot run here; the text says why."""


def flow(sentence):
    def register(function):
        TESTS.append((sentence, function))
        return function
    return register


def expect(what, want, got):
    if want != got:
        raise AssertionError(f'{what}:\n    want {want!r}\n    got  {got!r}')


def expect_in(what, part, whole):
    if part not in whole:
        raise AssertionError(f'{what}:\n    want {part!r}\n    in   {whole!r}')


class Environment:
    """Where the programs are, directories that vanish at the end, and what runs until then."""

    def __init__(self, build, npm, sendmail=None):
        self.build, self.npm, self.sendmail = build, npm, sendmail
        self.base = tempfile.mkdtemp(prefix='pw-flow.')
        os.chmod(self.base, 0o755)  # Postfix's processes run as its own user
        self.running, self.shared, self.number = [], {}, 0

    def directory(self, name):
        self.number += 1
        path = os.path.join(self.base, f'{self.number}-{name}')
        os.makedirs(path)
        return path

    def daemon(self, name, source=None, milter_socket=None, sections=None, base=None):
        """A daemon that ends with the test; not started yet."""
        daemon = lab.Daemon(self.build, base or self.directory(name), source, milter_socket, sections)
        self.running.append(daemon)
        return daemon

    def once(self, name, make):
        """What several tests share: made by the first, stopped at the very end."""
        if name not in self.shared:
            try:
                self.shared[name] = make()
            except Exception as error:
                self.shared[name] = error
                raise
        if isinstance(self.shared[name], Exception):
            raise lab.LabError(f'{name} could not be made, see the first test that needed it')
        return self.shared[name]

    def complaints(self):
        """What sanitizers said in the logs of all daemons so far."""
        found = []
        for path in glob.glob(os.path.join(self.base, '**', 'postwaked.log'), recursive=True):
            text = lab.read(path)
            match = re.search(r'(ERROR|WARNING): \w+Sanitizer|runtime error:|ERROR SUMMARY: [1-9]', text)
            if match:
                found.append(f'{path}:\n{text[match.start():][:3000]}')
        return found

    def end_test(self):
        for daemon in self.running:
            daemon.kill()
        self.running = []

    def stop_shared(self):
        for thing in self.shared.values():
            if hasattr(thing, 'stop'):
                thing.stop()
        self.shared = {}

    def end(self):
        self.end_test()
        self.stop_shared()
        if os.environ.get('PW_KEEP'):
            print(f'kept: {self.base}')
        else:
            shutil.rmtree(self.base, ignore_errors=True)
