# SPDX-License-Identifier: GPL-2.0-or-later
"""Statements without a use, left out before types are checked.

probe begin { a = 1; a = "x"; println(2) }  ->  probe begin { println(2) }, and a warning for `a`

SystemTap leaves them out before it infers types, so a script may give a variable that nobody reads both a
number and a text. Here, they are left out only if a script's types contradict each other with them: then
this file decides whether they do without. Names are checked in any case.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from compiler.ir import syntax
from compiler.ir.diagnostics import Diagnostic
from compiler.probes import FAMILIES
from compiler.resolve.syntax_queries import walk
from runtime.support.record import replace

# What a contradiction of types is reported as.
TYPE_ERRORS = frozenset({"type-mismatch", "unresolved-type", "no-value"})
_PURE = (
    syntax.Number
    | syntax.String
    | syntax.Name
    | syntax.Index
    | syntax.Unary
    | syntax.Binary
    | syntax.In
    | syntax.Conditional
    | syntax.TargetVar
    | syntax.Access
    | syntax.Field
    | syntax.Element
    | syntax.Cast
    | syntax.AtVar
    | syntax.Defined
)


def without_unused_statements(
    scripts: Sequence[syntax.Script], globals_: Collection[str]
) -> tuple[list[syntax.Script], list[Diagnostic]]:
    """The scripts without them, and a warning for each variable; `globals_` are names of globals."""
    warnings: list[Diagnostic] = []
    found = [
        replace(script, items=tuple(_item(item, globals_, warnings) for item in script.items))
        for script in scripts
    ]
    return found, warnings


def _item(item: syntax.Item, globals_: Collection[str], warnings: list[Diagnostic]) -> syntax.Item:
    """A probe or function. Bodies of aliases, and of their probes, share their variables: they are kept."""
    match item:
        case syntax.Function(body=syntax.Block() as body):
            return replace(item, body=_trimmed(body, globals_, warnings))
        case syntax.Probe(points=points, body=body) if all(
            point.components[0].name in FAMILIES for point in points
        ):
            return replace(item, body=_trimmed(body, globals_, warnings))
        case _:
            return item


def _trimmed(
    body: syntax.Block, globals_: Collection[str], warnings: list[Diagnostic]
) -> syntax.Block:
    """Again until nothing is left out: a variable may be read by what was left out only."""
    while True:
        trimmer = _Trimmer({*globals_, *_read_names(body)})
        smaller = trimmer.block(body)
        warnings += trimmer.warnings
        if smaller == body:
            return body
        body = smaller


def _read_names(body: syntax.Block) -> set[str]:
    """Variables whose values are used, or that are changed by other statements than `name = ...`."""
    found: set[str] = set()
    assigned: set[int] = set()
    for node in walk(body):
        match node:
            case syntax.ExprStmt(value=syntax.Assign(op="=", target=syntax.Name() as target)):
                assigned.add(id(target))
            case syntax.Name(name=name) if id(node) not in assigned:
                found.add(name)
            case _:
                pass
    return found


class _Trimmer:
    """`used` are the names of variables whose assignments stay."""

    def __init__(self, used: Collection[str]) -> None:
        self.used = used
        self.warnings: list[Diagnostic] = []

    def block(self, block: syntax.Block) -> syntax.Block:
        return replace(
            block, body=tuple(s for one in block.body if (s := self.stmt(one)) is not None)
        )

    def stmt(self, s: syntax.Stmt) -> syntax.Stmt | None:
        """The statement without its unused parts; None if nothing of it is left."""
        match s:
            case syntax.Block():
                return self.block(s)
            case syntax.ExprStmt(
                value=syntax.Assign(op="=", target=syntax.Name(name=name, span=span), value=value)
            ) if name not in self.used:
                message = f"'{name}' is set but never read"
                self.warnings.append(Diagnostic("unused-local", message, span, severity="warning"))
                return self.stmt(syntax.ExprStmt(value, value.span))
            case syntax.ExprStmt(value=value) if _is_pure(value):
                return None
            case syntax.If(test=test, then=then, otherwise=otherwise):
                kept = self.stmt(then)
                other = self.stmt(otherwise) if otherwise is not None else None
                if _is_empty(kept) and _is_empty(other) and _is_pure(test):
                    return None
                return replace(s, then=kept or syntax.Empty(then.span), otherwise=other)
            case syntax.While() | syntax.For() | syntax.Foreach():
                return replace(s, body=self.stmt(s.body) or syntax.Empty(s.body.span))
            case syntax.TryCatch():
                return replace(s, body=self.block(s.body), handler=self.block(s.handler))
            case _:
                return s


def _is_empty(s: syntax.Stmt | None) -> bool:
    return s is None or isinstance(s, syntax.Empty) or (isinstance(s, syntax.Block) and not s.body)


def _is_pure(e: syntax.Expr) -> bool:
    """Whether an expression has no effect; its errors count for none, as nobody wants its value."""
    return all(isinstance(node, _PURE) for node in walk(e))
