# SPDX-License-Identifier: GPL-2.0-or-later
"""Short ways to run the front end, for the tests in this folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from compiler.driver import tapset_index
from compiler.frontend.parser import CompileError, Conditions, parse
from compiler.ir import syntax as s
from compiler.ir.diagnostics import Diagnostic
from compiler.ir.syntax_printer import print_expression

KERNEL = Conditions(kernel_vr="6.1.0-13-amd64", arch="x86_64", config={"CONFIG_SMP": "y"})
GURU = Conditions(kernel_vr="6.1.0-13-amd64", arch="x86_64", guru_mode=True)


def tree(text: bytes | str, *args: str, conditions: Conditions = KERNEL) -> s.Script:
    return parse(text, "x.stp", conditions=conditions, args=args)


_parsed: dict[tuple[str, str, tuple[str, ...]], s.Script] = {}


def known(
    text: str | bytes, conditions: Conditions = KERNEL, args: tuple[str, ...] = ()
) -> list[s.Script]:
    """The library's files that a script may need, parsed. `args`: the script's."""
    given = text.encode() if isinstance(text, str) else text
    files = tapset_index.needed(tapset_index.read(), [given])
    return _all_parsed(files, conditions, args)


def everything(conditions: Conditions = KERNEL) -> list[s.Script]:
    """The whole library, parsed."""
    return _all_parsed(tapset_index.read(), conditions)


def _all_parsed(
    files: Mapping[str, bytes], conditions: Conditions, args: tuple[str, ...] = ()
) -> list[s.Script]:
    public, found = tapset_index.macros(files, conditions), []
    for name, contents in files.items():
        if name.endswith(".stp"):
            own = args if tapset_index.asks_for_arguments(contents) else ()
            key = (name, repr(conditions), own)
            if key not in _parsed:
                _parsed[key] = tapset_index.parse_script(name, contents, conditions, public, own)
            found.append(_parsed[key])
    return found


def statements(text: str, *args: str) -> tuple[s.Stmt, ...]:
    """The statements of a probe whose body is `text`."""
    [probe] = tree(f"probe begin {{ {text} }}", *args).items
    assert isinstance(probe, s.Probe)
    return probe.body.body


def expression(text: str, *args: str) -> s.Expr:
    [statement] = statements(f"_ = ({text});", *args)
    assert isinstance(statement, s.ExprStmt)
    assert isinstance(statement.value, s.Assign)
    return statement.value.value


def shape(text: str, *args: str) -> str:
    """An expression with every bracket written out."""
    return print_expression(expression(text, *args))


def faults(text: bytes | str, *args: str, conditions: Conditions = KERNEL) -> list[Diagnostic]:
    with pytest.raises(CompileError) as caught:
        tree(text, *args, conditions=conditions)
    return list(caught.value.diagnostics)


def slugs(text: bytes | str, *args: str) -> list[str]:
    return [fault.slug for fault in faults(text, *args)]


def places(found: Sequence[Diagnostic]) -> list[tuple[int, int]]:
    """Line and column of each."""
    return [fault.span.location[1:] for fault in found]
