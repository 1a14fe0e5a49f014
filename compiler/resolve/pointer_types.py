# SPDX-License-Identifier: GPL-2.0-or-later
"""Pointer types of symbols: the type that a number points to, so that `v->member` needs no @cast.

f = $file                                                        f points to a struct file
function owner() { return &@cast(address, "task_struct") }       so does the result of owner()

Variables, array elements, keys, parameters and results that are only ever given pointers to one type
keep it. A symbol that is given pointers to different types has none. Values without a pointer type
(a number, a result of unknown type) do not count.

Invariant: a symbol's entry moves from absent to one type to None, never back. Each move is a change
that asks for another round, so a program of n symbols causes at most 2n of them.
"""

from __future__ import annotations

from compiler.ir import syntax
from compiler.kernel import btf_types
from compiler.kernel.btf import Btf
from compiler.kernel.btf_types import TypeId
from compiler.resolve.contexts import FunctionContext
from compiler.resolve.memory_path import btf_of
from compiler.resolve.type_environment import Symbol


def learn(ctx: FunctionContext, symbol: Symbol, type_id: TypeId | None) -> None:
    """Record the type that a symbol points to; after a contradiction, it has none."""
    if type_id is None:
        return
    known = ctx.types.pointer_targets
    if symbol not in known:
        known[symbol] = type_id
        ctx.types.this_round.learned = True
    elif (before := known[symbol]) is not None and not same(btf_of(ctx), before, type_id):
        known[symbol] = None
        ctx.types.this_round.learned = True


def unify(ctx: FunctionContext, a: Symbol, b: Symbol) -> None:
    """Give `a` the pointer type of `b`, whose values it holds: a loop's variable, and the keys it visits."""
    learn(ctx, a, ctx.types.pointer_targets.get(b))


def symbol_of(ctx: FunctionContext, e: syntax.Expr) -> Symbol | None:
    """The symbol that holds a variable's or an element's value."""
    match e:
        case syntax.Name(name=name):
            return ctx.resolve(name)[0]
        case syntax.Index(array=array):
            found = ctx.program.find_global(array.name, ctx.file)
            return ("global", found.symbol) if found is not None else None
        case _:
            return None


def is_contradictory(ctx: FunctionContext, e: syntax.Expr) -> bool:
    """Whether a variable has no pointer type because it is given pointers to several types."""
    symbol = symbol_of(ctx, e)
    targets = ctx.types.pointer_targets
    return symbol in targets and targets[symbol] is None


def same(btf: Btf, a: TypeId, b: TypeId) -> bool:
    """Whether two types have the same members. BTF repeats some types under several ids."""
    first, second = btf.resolve(a), btf.resolve(b)
    if first.id == second.id:
        return True
    named = (btf_types.Struct, btf_types.Union, btf_types.Forward)
    return isinstance(first, named) and isinstance(second, named) and first.name == second.name
