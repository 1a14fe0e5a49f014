# SPDX-License-Identifier: GPL-2.0-or-later
"""begin, end, error (each with an order of execution), keys and never."""

from collections.abc import Sequence

from compiler.ir import syntax
from compiler.ir.program import Hook, HookKind
from compiler.probes.base import Environment, Refusal, Site, number_of, spell, unexpected

_KINDS = {"begin": HookKind.BEGIN, "end": HookKind.END, "error": HookKind.ERROR}


def resolve_input(components: Sequence[syntax.Component], environment: Environment) -> list[Site]:
    """`input.char_typed`: what the library's input.char stands for."""
    del environment
    first, *rest = components
    kinds = {"char_typed": HookKind.INPUT_CHAR, "line_typed": HookKind.INPUT_LINE}
    if len(rest) != 1 or rest[0].name not in kinds:
        raise unexpected(rest[0] if rest else first, ("char", "line"))
    return [Site(Hook(kinds[rest[0].name]), spell(components))]


def resolve(components: Sequence[syntax.Component], environment: Environment) -> list[Site]:
    """`begin(10)` -> Hook(BEGIN, number=10); `never` -> no site."""
    del environment
    first, *rest = components
    if rest:
        raise unexpected(rest[0], ())
    if first.name == "never" and first.arg is None:
        return []
    if first.name not in _KINDS:
        raise Refusal("bad-probe-argument", f"'{first.name}' takes no argument", first.span)
    hook = Hook(_KINDS[first.name], number=number_of(first, default=0))
    return [Site(hook, spell(components))]
