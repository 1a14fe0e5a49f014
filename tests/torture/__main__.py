# SPDX-License-Identifier: GPL-2.0-or-later
"""python -m tests.torture [--kernel 6.1] [--for MINUTES] [--soak MINUTES] [--seed N]

Prints a line for each round and a summary; ends with 1 if anything complained.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from lab import DEFAULT_KERNEL, LabError, debug_kernel
from tests.torture.driver import Torture
from tests.torture.soak import Soaked, soak


def main() -> int:
    parser = argparse.ArgumentParser(prog="torture", description="what guests survive")
    parser.add_argument("--kernel", default=DEFAULT_KERNEL, help="the lab's")
    parser.add_argument("--for", type=float, default=10, dest="minutes", metavar="MINUTES")
    parser.add_argument("--seed", type=int, default=1, help="the same one makes the same rounds")
    parser.add_argument(
        "--soak",
        type=float,
        default=10,
        metavar="MINUTES",
        help="0: none; never of the debug kernel, which takes memory itself",
    )
    options = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="stapwatch-torture-") as name:
            folder = Path(name)
            minutes = 0 if options.kernel == debug_kernel.NAME else options.soak
            tally = Torture(options.kernel, options.seed, folder / "rounds").run(options.minutes)
            soaked = soak(options.kernel, minutes, folder) if minutes else Soaked("none")
    except LabError as error:
        print(f"torture: {error}", file=sys.stderr)
        return 1
    tally.complaints += soaked.complaints
    print(f"kernel {options.kernel}, SEED={options.seed}\n{tally.table()}\nsoak: {soaked.summary}")
    return 1 if tally.complaints else 0


if __name__ == "__main__":
    sys.exit(main())
