# SPDX-License-Identifier: GPL-2.0-or-later
"""Embedded C as the compiler sees it: the promises in its comments, and the globals it names.

    inspect("/* pure */ /* pragma:read:n */ STAP_RETVALUE = STAP_GLOBAL_GET_n();")
      -> Embedded(pure=True, reads=("n",), ...)

The C itself is not analysed. Without a promise, it is assumed to have effects.
"""

from __future__ import annotations

import re

from compiler.ir.source import Span
from compiler.resolve.contexts import FunctionContext
from runtime.support.lazy_regex import pattern
from runtime.support.record import record

_PRAGMA = pattern(r"/\*\s*([a-z-]+)((?::\s*\w+)*)\s*\*/")
_RESULT = pattern(r"\bSTAP_RETVALUE\b|\b__retvalue\b|\bSTAP_RETURN\s*\(\s*[^)\s]")
_FAILS = pattern(r"\bc\b|\bCONTEXT\b|\bSTAP_ERROR\b|\bk(?:read|write)\b")
_LEGACY = pattern(r"\bTHIS\s*->\s*(\w+)")
# members of SystemTap's context that ours has no memory for: they are functions of stapwatch_embedded.h, the
# last one of the generated C
_MEMBERS = pattern(r"\bCONTEXT\s*->\s*(kregs|uregs|user_mode_p|probe_point)\b")


@record
class Embedded:
    """`code` has SystemTap's oldest names, and members of its context, replaced by ours. `bound`: bytes of a
    string result."""

    code: str
    pure: bool
    guru: bool
    string: bool
    has_result: bool  # it sets STAP_RETVALUE
    fallible: bool
    bound: int | None
    reads: tuple[str, ...]  # globals, by their names in the script
    writes: tuple[str, ...]
    unwinds: bool


def inspect(code: str) -> Embedded:
    """The promises in the comments of embedded C."""
    flags: set[str] = set()
    reads: list[str] = []
    writes: list[str] = []
    bound: int | None = None
    unwinds = False
    for name, rest in _PRAGMA.findall(code):
        words = [word.strip() for word in rest.split(":")[1:]]
        match name, words:
            case "pragma", ["read", symbol]:
                reads.append(symbol)
            case "pragma", ["write", symbol]:
                writes.append(symbol)
            case "pragma", ["unwind"]:
                unwinds = True
            case "bound", [number] if number.isdigit():
                bound = int(number)
            case _:
                flags.add(name)
    return Embedded(
        _MEMBERS.sub(r"sw_\1(c)", _LEGACY.sub(_modern, code)),
        bool(flags & {"pure", "stable"}) and not writes,
        "guru" in flags,
        "string" in flags,
        _RESULT.search(code) is not None,
        _FAILS.search(code) is not None,
        bound,
        tuple(dict.fromkeys(reads)),
        tuple(dict.fromkeys(writes)),
        unwinds,
    )


def _modern(match: re.Match[str]) -> str:
    """A member of the function's frame: an argument has its name there, or, since SystemTap 2, l_NAME."""
    name = match[1]
    return "STAP_RETVALUE" if name == "__retvalue" else f"STAP_ARG_{name.removeprefix('l_')}"


def symbols(
    ctx: FunctionContext, names: tuple[str, ...], span: Span
) -> tuple[tuple[str, str], ...]:
    """(name in C, symbol) of the globals that embedded C names."""
    found = []
    for name in names:
        g = ctx.program.find_global(name, ctx.file)
        if g is None:
            ctx.report(
                "unknown-global",
                f"the C names the global '{name}', which is not declared",
                span,
                f"declare it: global {name}",
            )
        else:
            found.append((name, g.symbol))
    return tuple(found)
