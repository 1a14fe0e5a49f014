# SPDX-License-Identifier: GPL-2.0-or-later
"""SystemTap's options for which nothing has to be done here: they are accepted, and -v tells why.

stapwatch run -v --ldd x.stp  ->  note: --ldd needs nothing: the libraries of the programs in use are read ...
"""

from __future__ import annotations

import argparse

from agent.session.hidden_options import Table, add_hidden

_SYMBOLS = "symbols and types come from the running kernel"
# with why an option changes nothing
NEEDLESS: Table = {
    ("-P",): (0, "arguments are read at a function's first instruction"),
    ("--prologue-searching",): ("?", "arguments are read at a function's first instruction"),
    ("-b",): (0, "output is merged by time; there are no files for each CPU"),
    ("-B",): (1, "modules are built with the kernel's own flags"),
    ("--ldd",): (0, "the libraries of the programs in use are read anyway"),
    ("--all-modules",): (0, _SYMBOLS),
    ("-q",): (0, "types come from BTF; no debuginfo is read"),
    ("--download-debuginfo",): ("?", "no debuginfo is needed"),
}


def add_arguments(run: argparse.ArgumentParser) -> None:
    """Add them; `needless` has a note for -v about each that was given."""
    run.set_defaults(needless=[])
    add_hidden(
        run,
        {options: (n, f"needs nothing: {why}") for options, (n, why) in NEEDLESS.items()},
        _note,
    )


def _note(_: argparse.ArgumentParser, namespace: argparse.Namespace, note: str) -> None:
    namespace.needless = [*namespace.needless, note]
