# SPDX-License-Identifier: GPL-2.0-or-later
"""SystemTap's options for which nothing has to be done here: they are accepted, and -v tells why.

stapwatch run -v --ldd x.stp  ->  note: --ldd needs nothing: symbols and types come from the running ...
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

_SYMBOLS = "symbols and types come from the running kernel and the programs themselves"
# option -> the number of its arguments ("?": after '=' only), and why it changes nothing
NEEDLESS: dict[tuple[str, ...], tuple[int | str, str]] = {
    ("-P",): (0, "arguments are read at a function's first instruction"),
    ("--prologue-searching",): ("?", "arguments are read at a function's first instruction"),
    ("-b",): (0, "output is merged by time; there are no files for each CPU"),
    ("-B",): (1, "modules are built with the kernel's own flags"),
    ("-d",): (1, _SYMBOLS),
    ("--ldd", "--all-modules"): (0, _SYMBOLS),
    ("-q",): (0, "types come from BTF; no debuginfo is read"),
    ("--download-debuginfo",): ("?", "no debuginfo is needed"),
}


class _Needless(argparse.Action):
    """Keeps a note about the option for -v."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        note = f"{option_string} needs nothing: {self.const}"
        namespace.needless = [*namespace.needless, note]


def add_arguments(run: argparse.ArgumentParser) -> None:
    """Add them, without a line in --help."""
    run.set_defaults(needless=[])
    for options, (arguments, why) in NEEDLESS.items():
        run.add_argument(
            *options,
            dest="needless",
            nargs=arguments or 0,
            action=_Needless,
            const=why,
            default=[],
            help=argparse.SUPPRESS,
        )
