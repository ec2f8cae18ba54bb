"""tally.py BUILD CHECK-LOG LOG…: adds up the results of all tests; the last line of contrib/test.

Unit programs tell their tests one by one ("100%: Checks: 12, …"), the Python tests end with a line
"N passed, N failed, N skipped"; what tells neither counts as one test by its result.
"""

import glob
import os
import re
import sys

TOTAL = re.compile(r'^(\d+) passed, (\d+) failed, (\d+) skipped$', re.M)
CHECK = re.compile(r'^\d+%: Checks: (\d+), Failures: (\d+), Errors: (\d+)$', re.M)


def text_of(path):
    with open(path, encoding='utf-8', errors='replace') as file:
        return file.read()


def of_program(trs):
    """(passed, failed, skipped) of one program of `make check`."""
    result = re.search(r'^:test-result: (\w+)', text_of(trs), re.M).group(1)
    log = trs[:-len('.trs')] + '.log'
    text = text_of(log) if os.path.exists(log) else ''
    if result == 'SKIP':
        return 0, 0, 1
    counts = (0, 0, 0)
    totals, checks = TOTAL.findall(text), CHECK.findall(text)
    if totals:
        counts = tuple(map(int, totals[-1]))
    elif checks:
        run, failures, errors = (sum(int(c[i]) for c in checks) for i in range(3))
        counts = run - failures - errors, failures + errors, 0
    if result in ('FAIL', 'ERROR', 'XPASS') and counts[1] == 0:
        return counts[0], 1, counts[2]
    return counts if any(counts) else (1, 0, 0)


def main(build, check_log, *logs):
    rows = [of_program(trs) for trs in glob.glob(os.path.join(build, 'tests', '**', '*.trs'), recursive=True)]
    if not rows or not re.search(r'^# TOTAL: ', text_of(check_log), re.M):
        print('make check did not come to its end')
        rows.append((0, 1, 0))
    for log in logs:
        totals = TOTAL.findall(text_of(log))
        if not totals:
            print(f'{log}: these tests did not come to their end')
        rows.append(tuple(map(int, totals[-1])) if totals else (0, 1, 0))
    passed, failed, skipped = (sum(row[i] for row in rows) for i in range(3))
    print(f'{passed} passed, {failed} failed, {skipped} skipped')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
