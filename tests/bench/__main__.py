# SPDX-License-Identifier: GPL-2.0-or-later
"""python -m tests.bench [--only events|metering|compile|scrape] [--kernel 6.1|7.2] [--no-peers] [--readme]

Prints the table, and writes build/bench.json and build/bench.md.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from lab import DEFAULT_KERNEL, Image, LabError
from tests.bench import compiling, events, metering, scraping
from tests.bench.rows import Section, to_json, to_markdown, with_tables

PROJECT = Path(__file__).parents[2]
PARTS = ("events", "metering", "compile", "scrape")
KERNELS = ("6.1", "7.2")


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench", description="what everything costs")
    parser.add_argument("--only", choices=PARTS, action="append", help="this part of it")
    parser.add_argument("--kernel", choices=KERNELS, action="append", help="events of this kernel")
    parser.add_argument("--no-peers", action="store_true", help="ours and hand-written only")
    parser.add_argument("--readme", action="store_true", help="put the tables into README.md")
    parser.add_argument("--reads", type=int, default=events.READS, help="events a measurement")
    options = parser.parse_args()
    parts = options.only or PARTS
    sections: list[Section] = []
    try:
        with tempfile.TemporaryDirectory(prefix="stapwatch-bench-") as name:
            folder = Path(name)
            if "events" in parts:
                for kernel in options.kernel or KERNELS:
                    place = folder / f"events-{kernel}"
                    sections.append(
                        events.measure(
                            kernel, place, with_peers=not options.no_peers, reads=options.reads
                        )
                    )
            if "metering" in parts:
                for kernel in options.kernel or KERNELS:
                    sections.append(metering.measure(kernel, folder / f"metering-{kernel}"))
            if "compile" in parts:
                sections.append(compiling.measure(folder / "compile"))
            if "scrape" in parts:
                sections.append(scraping.measure(Image.ensure(DEFAULT_KERNEL)))
    except LabError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    build = PROJECT / "build"
    build.mkdir(exist_ok=True)
    (build / "bench.json").write_text(to_json(sections))
    (build / "bench.md").write_text(to_markdown(sections))
    if options.readme:
        readme = PROJECT / "README.md"
        readme.write_text(with_tables(readme.read_text(), to_markdown(sections)))
    print(to_markdown(sections))
    return 0


if __name__ == "__main__":
    sys.exit(main())
