# SPDX-License-Identifier: GPL-2.0-or-later
"""The text of one value, formatted by a printf directive.

shown(Directive("", "0", "5", "", "d"), "5", -42)  ->  "-0042"
"""

from __future__ import annotations

from tests.language.fuzz import tree as t
from tests.language.fuzz.values import Value, number


def shown(d: t.Directive, width: str, value: Value) -> str:
    """One value as SystemTap's printf does it: as in C, but 0 and # also apply with a precision, and to 0."""
    room = int(width or 0)
    flag = d.flags or ("0" if width.startswith("0") and d.width != "*" else "")
    if d.conversion == "s":
        said = str(value)[: int(d.precision[1:])] if d.precision else str(value)
        return said.ljust(room) if flag == "-" else said.rjust(room)
    if d.conversion == "c":
        said = chr(number(value))
        return said.ljust(room) if flag == "-" else said.rjust(room)
    signed = d.conversion in "di"
    size = abs(number(value)) if signed else number(value) % (1 << 64)
    body = format(size, "d" if d.conversion in "diu" else d.conversion)
    if d.precision:
        body = body.zfill(int(d.precision[1:]))
    head = ""
    if signed:
        head = "-" if number(value) < 0 else flag if flag in ("+", " ") else ""
    elif flag == "#":
        head = {"x": "0x", "X": "0X", "o": "0", "u": ""}[d.conversion]
    if flag == "0":
        body = body.zfill(room - len(head))
    return (head + body).ljust(room) if flag == "-" else (head + body).rjust(room)
