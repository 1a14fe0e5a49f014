# SPDX-License-Identifier: GPL-2.0-or-later
"""What the value of an option or an operand can be, by the word that stands for it in --help.

kind_of("run", <-I FOLDER>)  -> Kind.FOLDER
kind_of("run", <-e SCRIPT>)  -> Kind.SCRIPT
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from enum import Enum, auto

from compiler.probes.forms import FORMS
from manual.points import library_aliases


class Kind(Enum):
    NOTHING = auto()  # nobody can guess it
    FILE = auto()
    FOLDER = auto()
    POINT = auto()  # a probe point
    SCRIPT = auto()  # the text of a script


# by --help's word; a test refuses a word that is not here
KINDS = {
    "FILE": Kind.FILE,
    "FILE [ARG...]": Kind.FILE,
    "PATH": Kind.FILE,
    "FOLDER": Kind.FOLDER,
    "STORE": Kind.FOLDER,
    **dict.fromkeys(("CERT", "FACTS", "KEY"), Kind.FILE),
    "PROBE": Kind.POINT,
    "SCRIPT": Kind.NOTHING,
    **dict.fromkeys(
        (
            "ARG",
            "HOST:PORT",
            "N",
            "NAME",
            "NAME=VALUE",
            "CMD",
            "PID",
            "SECONDS",
            "MODULE",
            "DIGITS",
        ),
        Kind.NOTHING,
    ),
    **dict.fromkeys(("MB[,N]", "MB", "RELEASE", "VERSION", "TIME", "URL"), Kind.NOTHING),
}
# SCRIPT is the name of a script of the agent's, but for these.
_SCRIPTS = {
    ("run", "text"): Kind.SCRIPT,
    ("run", "extra"): Kind.SCRIPT,
    ("explain", "script"): Kind.FILE,
    ("build", "scripts"): Kind.FILE,
}


def kind_of(command: str, action: argparse.Action) -> Kind:
    """KeyError for a word that KINDS does not have."""
    if (command, action.dest) in _SCRIPTS:
        return _SCRIPTS[command, action.dest]
    if action.nargs == 0 or action.choices is not None:
        return Kind.NOTHING
    word = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    return KINDS[word]


def takes_value(action: argparse.Action) -> bool:
    """Whether the next word is the option's. A value that may be left out stands behind '='."""
    return action.nargs not in (0, "?")


def starts() -> list[str]:
    """What a probe point begins with: `kernel.function("`, `timer.s(`, `begin`, `vfs.`.

    Each that goes on has an example, too: `kernel.function("*")`. bash closes the quote behind a word that is
    the only one.
    """
    forms = (start for form in FORMS for start in _start(form))
    names = (name for names in library_aliases().values() for name in names)
    aliases = (start for name in (*names, "syscall.open") for start in _alias(name))
    return sorted({*forms, *aliases})


def _start(form: str) -> Iterator[str]:
    front, bracket, rest = form.partition("(")
    if not bracket:
        yield form
    elif rest.startswith("string"):
        yield from (f'{front}("', f'{front}("*")')
    else:
        yield from (f"{front}(", f"{front}(1)")


def _alias(name: str) -> Iterator[str]:
    first, dot, _ = name.partition(".")
    yield from (f"{first}.", f"{first}.*") if dot else (name,)
