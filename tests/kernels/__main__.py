# SPDX-License-Identifier: GPL-2.0-or-later
"""python -m tests.kernels [--tests FILE]... [KERNEL...]

Runs the tests on each kernel, all of the lab's by default, and prints a table. A kernel that fails does not keep
the next one from its turn. Ends with 1 if a test failed, or a kernel ran none.
"""

from __future__ import annotations

import argparse
import sys

from lab import KERNELS
from lab.host import say
from tests import PROJECT
from tests.kernels.run import TESTS, run, table

OUTPUT = PROJECT / "build/kernels"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="kernels", description="the handlers' tests on all kernels"
    )
    parser.add_argument("kernels", nargs="*", metavar="KERNEL", help=", ".join(KERNELS))
    parser.add_argument("--tests", action="append", help=f"instead of {', '.join(TESTS)}")
    options = parser.parse_args()
    OUTPUT.mkdir(parents=True, exist_ok=True)
    outcomes = []
    for kernel in options.kernels or KERNELS:
        say(f"kernel {kernel}")
        outcomes.append(run(kernel, options.tests or TESTS, OUTPUT))
        print(table(outcomes[-1:]), flush=True)
    print(f"\n{table(outcomes)}")
    return 0 if all(each.good for each in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
