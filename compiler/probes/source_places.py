# SPDX-License-Identifier: GPL-2.0-or-later
"""Places in source files, as probe points name them, and the code that is there.

place_of(<function("f@x.c:12")>)     -> Place("f", "x.c", 12, every=False, relative=False)
lines_of(functions, place, ...)      -> [(Code("f", ...), 0x1151)]
"""

from __future__ import annotations

import re
from typing import Final

from compiler.dwarf.errors import DwarfError
from compiler.dwarf.functions import Code, Functions, matches, require
from compiler.ir import syntax
from compiler.probes.base import ProbePointError, text_of
from compiler.support.did_you_mean import did_you_mean
from compiler.support.globs import function_regex, is_glob
from runtime.support.record import record, replace

_WRITTEN: Final = 'write it as "function@file:line", "function@file:*" or "*@file:line"'


@record
class Place:
    """`f@file:12`. `line`: 0: none; `every`: `:*`; `relative`: it counts from f's first line."""

    function: str
    file: str
    line: int
    every: bool
    relative: bool


def is_in(known: Functions, code: Code, place: Place) -> bool:
    """Whether a function is declared in the file, and has the line if one is named."""
    if not place.file:
        return True
    if not matches(known.file(code), place.file):
        return False
    line = place.line
    if not line or place.relative or line == known.declared_at(code):
        return True
    lines = known.lines(code)
    return bool(lines) and min(lines) <= line <= max(lines)


def place_of(component: syntax.Component) -> Place:
    name, at, rest = text_of(component).partition("@")
    file, sign, line = rest.partition(":")
    if not sign and re.search(r"\+\d+$", rest):
        file, sign, line = rest.rpartition("+")
    if (at and not file) or (sign and not (line.isdigit() or line == "*")) or not name:
        raise ProbePointError(
            "bad-probe-argument",
            f"'{text_of(component)}' is no place in a source file",
            component.span,
            _WRITTEN,
        )
    return Place(name, file, int(line) if line.isdigit() else 0, line == "*", sign == "+")


def statement_of(component: syntax.Component) -> Place:
    """The place that `statement("f@x.c:12")` names, with its file and line. Raises ProbePointError."""
    place = place_of(component)
    if not place.file or not (place.line or place.every or place.relative):
        raise ProbePointError(
            "bad-probe-argument", "a statement is named by its line", component.span, _WRITTEN
        )
    return place


def lines_of(
    known: Functions, place: Place, component: syntax.Component, owner: str
) -> list[tuple[Code, int]]:
    """Code with the addresses of the lines that are meant. `owner`: what has the code, for messages. Raises
    ProbePointError."""
    wild = is_glob(place.function)
    regex = re.compile(function_regex(place.function))
    if wild:
        chosen = [code for code in known.in_file(place.file) if regex.fullmatch(code.name)]
    else:
        named = (*known.named(place.function), *known.inline(place.function))
        chosen = [code for code in named if is_in(known, code, replace(place, line=0))]
    if not chosen and not wild:
        raise ProbePointError(
            "unknown-program-function",
            f"{owner} has no function '{place.function}' in '{place.file}'",
            component.span,
            did_you_mean(place.function, known.names()),
        )
    found: list[tuple[Code, int]] = []
    lines: dict[int, int] = {}
    for code in chosen:
        here = known.lines(code, place.file)
        lines |= here
        line = place.line + (known.declared_at(code) if place.relative else 0)
        if place.every:
            found += ((code, address) for address in here.values())
        elif line in here:
            found.append((code, here[line]))
    if not found:
        wanted = place.line + (known.declared_at(chosen[0]) if place.relative and chosen else 0)
        try:
            require(dict(sorted(lines.items())), wanted, text_of(component))
        except DwarfError as error:
            raise ProbePointError(
                "unknown-line", error.message, component.span, error.hint or _sources(known, place)
            ) from error
    return found


def _sources(known: Functions, place: Place) -> str:
    return f"no function has code of '{place.file}': files are named by the ends of their paths"
