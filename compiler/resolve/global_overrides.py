# SPDX-License-Identifier: GPL-2.0-or-later
"""Initial values from outside the script, by `-G name=value` or the configuration.

{"limit": "0x10"} with `global limit = 3`  ->  {"limit": 16}
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from compiler.ir import program as p
from compiler.ir.diagnostics import Diagnostic
from compiler.ir.source import Source, Span, decode
from compiler.resolve.contexts import GlobalSymbol
from compiler.support.did_you_mean import did_you_mean
from runtime.support.int64 import wrapped


def initial_value(g: p.Global, value: int | str, diagnostics: list[Diagnostic]) -> int | str | None:
    """The initial value that `value` means for a global; None if it does not fit, and a diagnostic."""
    if g.type is p.STRING and not g.keys:
        return decode(str(value))
    if g.type is p.LONG and not g.keys:
        try:
            return wrapped(value if isinstance(value, int) else int(value, 0))
        except ValueError:
            _add(diagnostics, g.name, value, f"global '{g.name}' holds a number", "write a number")
            return None
    what = "an array" if g.keys else "a statistic"
    hint = "only numbers and strings take one; fill it in 'probe begin'"
    _add(diagnostics, g.name, value, f"{what} like '{g.name}' has no initial value", hint)
    return None


def unknown_globals(
    overrides: Mapping[str, int | str], known: Iterable[GlobalSymbol]
) -> list[Diagnostic]:
    """A diagnostic for each name that is not the name of a global."""
    names = {g.declared.name for g in known}
    diagnostics: list[Diagnostic] = []
    for name, value in overrides.items():
        if name not in names:
            hint = did_you_mean(name, names) or "declare it: global " + name
            _add(diagnostics, name, value, f"there is no global '{name}'", hint)
    return diagnostics


def _add(
    diagnostics: list[Diagnostic], name: str, value: int | str, message: str, hint: str
) -> None:
    text = decode(f"{name}={value}")
    span = Span(Source("<initial values>", text), 0, len(text))
    diagnostics.append(Diagnostic("bad-initial-value", message, span, hint=hint))
