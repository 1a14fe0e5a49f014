# SPDX-License-Identifier: GPL-2.0-or-later
"""Effects analysis: what running a node or a function changes, and which errors it may end in.

can_fail(<a / b>, fallible)  -> True      has_effect(<n++>, pure) -> True      is_truth(<a > b>) -> True
"""

from __future__ import annotations

from collections.abc import Sequence

from compiler.ir import program as p
from compiler.ir.walk import Node, body_of, calls, reachable, walk
from runtime.events.printf import Kind, arguments, parse
from runtime.support.lazy_regex import pattern

_MATCH = pattern(r"\bc->match\b|\bsw_matched\b|\bsw_groups\b")


def is_truth(e: p.Expr) -> bool:
    """Whether an expression is always 0 or 1."""
    match e:
        case p.Compare() | p.Logical() | p.In() | p.Match() | p.Unary(op="!"):
            return True
        case _:
            return False


# ---------------------------------------------------------------- errors


def reads_memory(form: str) -> bool:
    """Whether a format has a %m or %M."""
    return any(a.kind is Kind.MEMORY for a in arguments(parse(form)))


def can_fail(node: Node, fallible: frozenset[str]) -> bool:
    """Whether running a node may end in a script error."""
    return any(
        _own_failure(n) or (isinstance(n, p.Call) and n.function in fallible) for n in walk(node)
    )


def _own_failure(node: Node) -> bool:
    match node:
        case p.Arithmetic(op="/" | "%", right=right):
            return not (isinstance(right, p.Number) and right.value != 0)
        case p.Assign(op="/" | "%", value=value):
            return not (isinstance(value, p.Number) and value.value != 0)
        case p.Extract(extractor="min" | "max" | "avg" | "variance"):
            return True
        case (
            p.Deref() | p.CharsAt() | p.MappedAddress() | p.Loop() | p.Foreach() | p.ForeachBucket()
        ):
            return True
        case p.Bucket() | p.Drawing() | p.Memory() | p.EmbeddedExpr(fallible=True) | p.Fail():
            return True
        case p.Store(place=p.Deref()):
            return True
        case p.Format(format=text):
            return reads_memory(text)
        case p.Print(args=args):
            return any(isinstance(a, p.Buckets) for a in args)
        case _:
            return False


def _may_overflow(node: Node) -> bool:
    """Whether a node may find an array full, which is an error in a session."""
    match node:
        case (
            p.Assign(target=p.GlobalRef(keys=keys))
            | p.Increment(target=p.GlobalRef(keys=keys))
            | p.Accumulate(target=p.GlobalRef(keys=keys))
        ):
            return bool(keys)
        case _:
            return False


def recursive_functions(functions: Sequence[p.Function]) -> frozenset[str]:
    """Functions that may be called again while a call of them is under way."""
    by_symbol = {f.symbol: f for f in functions}
    return frozenset(f.symbol for f in functions if f.symbol in reachable(body_of(f), by_symbol))


def paying_functions(functions: Sequence[p.Function]) -> frozenset[str]:
    """Functions that call functions of the script. Their statements count against MAXACTION, as those
    of loops do: a few functions that call each other often would run for ever.
    """
    scripted = {f.symbol for f in functions if f.body is not None}
    return frozenset(f.symbol for f in functions if calls(body_of(f)) & scripted)


def fallible_functions(functions: Sequence[p.Function]) -> frozenset[str]:
    """Functions that may end in a script error; recursive ones may nest too deep."""
    found = frozenset(f.symbol for f in functions if f.fallible)
    found |= recursive_functions(functions) | paying_functions(functions)
    found |= {f.symbol for f in functions if any(_may_overflow(n) for n in walk(*body_of(f)))}
    while True:
        grown = found | {f.symbol for f in functions if any(can_fail(s, found) for s in body_of(f))}
        if grown == found:
            return found
        found = grown


# ---------------------------------------------------------------- effects


def has_effect(node: Node, pure: frozenset[str]) -> bool:
    """Whether running a node does more than compute its value."""
    for n in walk(node):
        match n:
            case p.Assign() | p.Increment() | p.Accumulate() | p.Print() | p.Delete():
                return True
            case p.Next() | p.Return() | p.Fail() | p.EmbeddedExpr(pure=False) | p.Store():
                return True
            case p.Match(captures=True):
                return True
            case p.Call(function=symbol) if symbol not in pure:
                return True
    return False


def pure_functions(functions: Sequence[p.Function]) -> frozenset[str]:
    """Functions whose only effect is their result."""
    found = frozenset(f.symbol for f in functions if f.pure or f.body is not None)
    while True:
        kept = frozenset(
            f.symbol
            for f in functions
            if f.symbol in found
            and (f.body is None or not any(_has_outside_effect(s, found) for s in f.body.stmts))
        )
        if kept == found:
            return found
        found = kept


def _has_outside_effect(stmt: p.Stmt, pure: frozenset[str]) -> bool:
    """Whether a statement changes anything but the locals of its own function."""
    for n in walk(stmt):
        match n:
            case p.Assign(target=p.GlobalRef()) | p.Increment(target=p.GlobalRef()):
                return True
            case p.Accumulate() | p.Print() | p.Delete() | p.Store():
                return True
            case p.EmbeddedExpr(pure=False):
                return True
            case p.Match(captures=True) | p.Fail():
                return True
            case p.Call(function=symbol) if symbol not in pure:
                return True
    return False


def uses_match(code: str) -> bool:
    """Whether a function's C uses the last match of a regular expression."""
    return bool(_MATCH.search(code))
