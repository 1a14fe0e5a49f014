# SPDX-License-Identifier: GPL-2.0-or-later
"""SystemTap's options that `run` knows without doing what they ask: tables of them, without a line in --help.

add_hidden(parser, {("-B",): (1, "modules are built with the kernel's own flags")}, action)
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

# options -> the number of their arguments ("?": after '=' only), and a text about them
Table: TypeAlias = Mapping[tuple[str, ...], tuple[int | str, str]]
Met: TypeAlias = Callable[[argparse.ArgumentParser, argparse.Namespace, str], None]


def add_hidden(run: argparse.ArgumentParser, table: Table, met: Met) -> None:
    """Add a table's options. `met` gets the option with its text: "--ldd TEXT"."""

    class Hidden(argparse.Action):
        def __call__(
            self,
            parser: argparse.ArgumentParser,
            namespace: argparse.Namespace,
            values: str | Sequence[Any] | None,
            option_string: str | None = None,
        ) -> None:
            met(parser, namespace, f"{option_string} {self.const}")

    for options, (arguments, text) in table.items():
        run.add_argument(
            *options,
            dest=argparse.SUPPRESS,
            nargs=arguments or 0,
            action=Hidden,
            const=text,
            default=argparse.SUPPRESS,
            help=argparse.SUPPRESS,
        )
