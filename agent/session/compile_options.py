# SPDX-License-Identifier: GPL-2.0-or-later
"""The options that `run` and `check` share: those of the compiler.

-D MAXACTION=5000 -G limit=3 -g
  -> CompileOptions(last_pass=4, defines={"MAXACTION": "5000"}, globals={"limit": "3"}, guru=True, ...)
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping

from compiler.protocol import LAST_PASS
from runtime.support.lazy_regex import pattern
from runtime.support.record import field, record

_MODULE = pattern(r"[a-z0-9_]{1,55}")
_DEFINE = pattern(r"[A-Za-z_][A-Za-z0-9_]*(=-?[A-Za-z0-9_]+)?")
_GLOBAL = pattern(r"[A-Za-z_][A-Za-z0-9_$]*=.*", re.DOTALL)


class UsageError(Exception):
    """The command line is wrong; the text says what, and what to write instead."""


@record
class CompileOptions:
    """`last_pass`: 1 to 4 for the compiler, 5 to run the module. `module`: None derives its name."""

    last_pass: int = LAST_PASS
    module: str | None = None
    defines: Mapping[str, str] = field(default_factory=dict)
    globals: Mapping[str, str] = field(default_factory=dict)
    library: tuple[str, ...] = ()
    guru: bool = False


def add_arguments(command: argparse.ArgumentParser, last_pass: int) -> None:
    """Add the shared options; `last_pass` is the default of -p and the highest pass it accepts."""
    command.add_argument(
        "-p",
        metavar="N",
        type=int,
        default=last_pass,
        choices=range(1, last_pass + 1),
        dest="last_pass",
        help=f"end after pass N (1 to {last_pass})",
    )
    command.add_argument("-m", metavar="NAME", dest="module", help="name of the module")
    command.add_argument(
        "-D", metavar="NAME=VALUE", action="append", default=[], dest="defines", help="set a limit"
    )
    command.add_argument(
        "-G",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        dest="globals",
        help="initial value of a global",
    )
    command.add_argument(
        "-I",
        metavar="FOLDER",
        action="append",
        default=[],
        dest="library",
        help="folder of library scripts",
    )
    command.add_argument("-g", action="store_true", dest="guru", help="guru mode: embedded C")


def parse(given: argparse.Namespace) -> CompileOptions:
    """Raises UsageError."""
    return CompileOptions(
        given.last_pass,
        _module(given.module),
        dict(map(_define, given.defines)),
        dict(map(_global, given.globals)),
        tuple(given.library),
        given.guru,
    )


def _module(text: str | None) -> str | None:
    if text is None:
        return None
    name = text.removesuffix(".ko")
    if not _MODULE.fullmatch(name):
        raise UsageError(
            f"-m {name}: a module's name is at most 55 lower-case letters, digits and '_'"
        )
    return name


def _define(text: str) -> tuple[str, str]:
    if not _DEFINE.fullmatch(text):
        raise UsageError(f"-D {text}: write NAME or NAME=VALUE")
    name, equals, value = text.partition("=")
    return name, value if equals else "1"


def _global(text: str) -> tuple[str, str]:
    if not _GLOBAL.fullmatch(text):
        raise UsageError(f"-G {text}: write NAME=VALUE")
    name, _, value = text.partition("=")
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = value[1:-1]
    return name, value
