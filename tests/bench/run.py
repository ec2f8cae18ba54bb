#!/usr/bin/python3
"""run.py [--build DIR] [--full] [--json FILE] [NAME…]: the benchmarks; README.md tells what they mean.

Each makes its own data, runs the peers that are installed beside postwake in the same run, interleaved,
and adds rows to one table: figure, ratio to the peer, must / aim, what was reached.
"""

import argparse
import importlib
import os
import sys
import time
import traceback

import frame

MODULES = ('bench_log', 'bench_daemon', 'bench_milter', 'bench_upload',
           'bench_programs')


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--build', default='.')
    parser.add_argument('--full', action='store_true', help='10 million events (half an hour)')
    parser.add_argument('--json', default='bench.json')
    parser.add_argument('names', nargs='*')
    options = parser.parse_args()
    for module in MODULES:
        importlib.import_module(module)
    unknown = set(options.names) - {name for name, _, _ in frame.BENCHES}
    if unknown:
        parser.error(f"no benchmark {' '.join(unknown)}; there are {' '.join(n for n, _, _ in frame.BENCHES)}")
    bench = frame.Bench(options.build, options.full)
    start = time.monotonic()
    try:
        for name, root, function in frame.BENCHES:
            if options.names and name not in options.names:
                continue
            if root and os.geteuid() != 0:
                bench.skip(f'{name}: only root can start a private Postfix')
                continue
            print(f'-- {name} ({time.monotonic() - start:.0f} s)', flush=True)
            try:
                function(bench)
            except Exception as error:  # the others' rows are not lost by it
                traceback.print_exc()
                bench.fail(f'{name}: {error}')
    finally:
        bench.end()
    print(f'\n{frame.machine()}; {time.monotonic() - start:.0f} s\n')
    for row in bench.rows:
        print(bench.line(row))
    for why in bench.missing:
        print(f'SKIPPED {why}')
    for why in bench.failed:
        print(f'FAILED {why}')
    bench.save(options.json)
    return 1 if bench.failed else 0


if __name__ == '__main__':
    sys.exit(main())
