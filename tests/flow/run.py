"""run.py --build DIR [--npm DIR/node_modules] [--sendmail DIR] [WORD…]: runs the flow tests, those whose name holds a WORD.

One line a test; the last line reads "N passed, N failed, N skipped". Needs root, for Postfix does. With PW_KEEP=1 in the
environment the directory of the run stays.
"""

import argparse
import glob
import importlib
import os
import signal
import sys
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import flow  # noqa: E402


TEST_SECONDS = 120


def too_long(_number, _frame):
    raise TimeoutError(f'the test took longer than {TEST_SECONDS} s')


def run_one(environment, sentence, function):
    started = time.monotonic()
    signal.alarm(TEST_SECONDS)
    try:
        function(environment)
        result, detail = 'ok', ''
    except flow.Skip as reason:
        result, detail = 'skipped', f': {reason}'
    except KeyboardInterrupt:
        raise
    except Exception:  # pylint: disable=broad-except
        result, detail = 'FAILED', '\n' + traceback.format_exc()
    signal.alarm(0)
    environment.end_test()
    print(f'{result}: {sentence} ({time.monotonic() - started:.1f} s){detail}', flush=True)
    return result


def no_complaints(environment):
    """Runs last: leaks are told when a daemon ends."""
    environment.stop_shared()
    found = environment.complaints()
    if found:
        raise AssertionError('\n'.join(found))


def chosen(words):
    for path in sorted(glob.glob(os.path.join(HERE, 'test_*.py'))):
        importlib.import_module(os.path.basename(path)[:-3])
    return [(s, f) for s, f in flow.TESTS if not words or any(w in s for w in words)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--build', required=True)
    parser.add_argument('--npm')
    parser.add_argument('--sendmail', help="where Sendmail's packages are unpacked")
    parser.add_argument('words', nargs='*')
    arguments = parser.parse_args()
    tests = chosen(arguments.words)
    counts = {'ok': 0, 'FAILED': 0, 'skipped': 0}
    signal.signal(signal.SIGALRM, too_long)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if os.geteuid() != 0:
        print('skipped: flow tests need root, because Postfix does')
        print(f'0 passed, 0 failed, {len(tests)} skipped')
        return 0
    environment = flow.Environment(os.path.abspath(arguments.build), arguments.npm,
                                   arguments.sendmail and os.path.abspath(arguments.sendmail))
    try:
        for sentence, function in tests + [('the sanitizers found nothing in any daemon', no_complaints)]:
            counts[run_one(environment, sentence, function)] += 1
    finally:
        environment.end()
    print(f"{counts['ok']} passed, {counts['FAILED']} failed, {counts['skipped']} skipped")
    return 1 if counts['FAILED'] else 0


if __name__ == '__main__':
    sys.exit(main())
