# SPDX-License-Identifier: GPL-2.0-or-later
"""Constant folding, and removal of what constants decide: branches never taken, statements never reached.

    if (2 * 3 > 5) n++ else m++      ->  n++
    return 1; n++                    ->  return 1

Values are computed as at run time: 64 bits that wrap, shifts modulo 64. A division by 0 stays, because it
is a script error at run time.
"""

from __future__ import annotations

from typing import Any

from compiler.analysis.effects import is_truth
from compiler.ir import program as p
from compiler.ir.walk import map_children
from runtime.support.int64 import wrapped
from runtime.support.record import replace

_LONGEST = 100  # bytes of joined literals; this pass does not know MAXSTRINGLEN
_ENDS = (p.Return, p.Next, p.Break, p.Continue, p.Fail)


def fold(program: p.Program) -> p.Program:
    """The program with its constants folded."""
    functions = (
        replace(f, body=replace(f.body, stmts=stmts(f.body.stmts))) if f.body is not None else f
        for f in program.functions
    )
    probes = (
        replace(
            probe,
            body=replace(probe.body, stmts=stmts(probe.body.stmts)),
            condition=folded(probe.condition) if probe.condition is not None else None,
        )
        for probe in program.probes
    )
    return replace(program, functions=tuple(functions), probes=tuple(probes))


def stmts(body: p.Stmts) -> p.Stmts:
    """Folded statements, up to the first that leaves the block."""
    found: list[p.Stmt] = []
    for s in body:
        found += _stmt(s)
        if found and isinstance(found[-1], _ENDS):
            break
    return tuple(found)


def _stmt(s: p.Stmt) -> p.Stmts:
    inside = map_children(s, folded, stmts)
    match inside:
        case p.If(test=p.Number(value=value), then=then, otherwise=otherwise):
            return then if value else otherwise
        case p.Loop(test=p.Number(value=0)):
            return ()
        case _:
            return (inside,)


def folded(e: Any) -> Any:
    """A folded expression; the same object if nothing in it is constant."""
    inside = map_children(e, folded, stmts)
    match inside:
        case p.Arithmetic(op=op, left=p.Number(value=a), right=p.Number(value=b), span=span):
            if op in ("/", "%") and b == 0:
                return inside
            return p.Number(wrapped(_arithmetic(op, a, b)), span)
        case p.Unary(op=op, operand=p.Number(value=a), span=span):
            return p.Number(wrapped({"-": -a, "~": ~a, "!": int(not a)}[op]), span)
        case p.Compare(op=op, left=p.Number(value=a), right=p.Number(value=b), span=span):
            return p.Number(int(_compare(op, a, b)), span)
        case p.Compare(op=op, left=p.String(value=a), right=p.String(value=b), span=span):
            return p.Number(int(_compare(op, _text(a), _text(b))), span)
        case p.Logical():
            return _logical(inside)
        case p.Conditional(test=p.Number(value=value), then=then, otherwise=otherwise):
            return then if value else otherwise
        case p.Concat(left=p.String(value=a), right=p.String(value=b), span=span):
            return p.String(_text(a) + b, span) if len(a) + len(b) <= _LONGEST else inside
        case _:
            return inside


def _logical(e: p.Logical) -> p.Expr:
    """`0 && x` is 0 and `1 || x` is 1, without x; otherwise the result is whether x is true."""
    if not isinstance(e.left, p.Number):
        return e
    if bool(e.left.value) is (e.op == "||"):
        return p.Number(int(e.op == "||"), e.span)
    if isinstance(e.right, p.Number):
        return p.Number(int(e.right.value != 0), e.span)
    if is_truth(e.right):
        return e.right
    return p.Compare("!=", e.right, p.Number(0, e.span), e.span)


def _arithmetic(op: p.ArithmeticOp, a: int, b: int) -> int:
    match op:
        case "+":
            return a + b
        case "-":
            return a - b
        case "*":
            return a * b
        case "/":
            return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
        case "%":
            return abs(a) % abs(b) * (-1 if a < 0 else 1)
        case "&":
            return a & b
        case "|":
            return a | b
        case "^":
            return a ^ b
        case "<<":
            return a << (b & 63)
        case ">>":
            return a >> (b & 63)
        case ">>>":
            return (a & (1 << 64) - 1) >> (b & 63)


def _compare(op: p.CompareOp, a: Any, b: Any) -> bool:
    match op:
        case "==":
            return bool(a == b)
        case "!=":
            return bool(a != b)
        case "<":
            return bool(a < b)
        case "<=":
            return bool(a <= b)
        case ">":
            return bool(a > b)
        case ">=":
            return bool(a >= b)


def _text(value: str) -> str:
    """A literal as C sees it: up to its first NUL."""
    return value.partition("\0")[0]
