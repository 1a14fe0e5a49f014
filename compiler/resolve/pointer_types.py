# SPDX-License-Identifier: GPL-2.0-or-later
"""What a number points to, so that `v->member` needs no @cast: the type follows a value on its way.

    f = $file            f points to a struct file
    function owner() { return &@cast(address, "task_struct") }        so does what owner() gives

Variables, array elements, keys, parameters and results that are only ever given pointers to one type
keep it; two types that differ, and nothing is known. What is assigned without a type does not count.
"""

from __future__ import annotations

from compiler.ir import syntax
from compiler.kernel import btf_types
from compiler.kernel.btf import Btf
from compiler.kernel.btf_types import TypeId
from compiler.resolve import context_variables
from compiler.resolve.scope import Scope
from compiler.resolve.type_facts import Symbol


def pointee(scope: Scope, e: syntax.Expr) -> TypeId | None:
    """The type behind an expression's value, if it is known to be a pointer."""
    match e:
        case syntax.Name() | syntax.Index():
            symbol = symbol_of(scope, e)
            return scope.facts.pointees.get(symbol) if symbol is not None else None
        case syntax.Call():
            # each overload has a result of its own; they count if they agree
            known = {
                scope.facts.pointees.get(found.result)
                for found in scope.world.wanted_names.get(e.name, ())
                if len(found.functions[0].parameters) == len(e.args)
            }
            return known.pop() if len(known) == 1 else None
        case syntax.Conditional():
            then, otherwise = pointee(scope, e.then), pointee(scope, e.otherwise)
            if then is not None and otherwise is not None:
                return then if same(_btf(scope), then, otherwise) else None
            return then if then is not None else otherwise
        case syntax.Assign(op="=", value=value):
            return pointee(scope, value)
        case syntax.Entry(operand=operand):
            return pointee(scope, operand)
        case syntax.AtCall(name="choose_defined", args=(first, second)):
            return pointee(scope, first if context_variables.is_defined(scope, first) else second)
        case syntax.TargetVar() | syntax.Access() | syntax.Cast() | syntax.AtVar():
            return context_variables.pointee_of(scope, e)
        case _:
            return None


def flow(scope: Scope, value: syntax.Expr, symbol: Symbol | None) -> None:
    """A value is given to a symbol."""
    if symbol is not None:
        learn(scope, symbol, pointee(scope, value))


def learn(scope: Scope, symbol: Symbol, type_id: TypeId | None) -> None:
    """Note what a symbol points to; from a contradiction on, nothing."""
    if type_id is None:
        return
    known = scope.facts.pointees
    if symbol not in known:
        known[symbol] = type_id
        scope.facts.changed = True
    elif (before := known[symbol]) is not None and not same(_btf(scope), before, type_id):
        known[symbol] = None
        scope.facts.changed = True


def exchange(scope: Scope, a: Symbol, b: Symbol) -> None:
    """Two symbols hold the same values, as a loop's variable and the keys it visits."""
    learn(scope, a, scope.facts.pointees.get(b))


def symbol_of(scope: Scope, e: syntax.Expr) -> Symbol | None:
    """The symbol that holds a variable's or an element's value."""
    match e:
        case syntax.Name(name=name):
            return scope.variable(name)[0]
        case syntax.Index(array=array):
            found = scope.world.find_global(array.name, scope.file)
            return ("global", found.symbol) if found is not None else None
        case _:
            return None


def disagree(scope: Scope, e: syntax.Expr) -> bool:
    """Whether a variable's type is unknown because it is given several."""
    symbol = symbol_of(scope, e)
    return symbol in scope.facts.pointees and scope.facts.pointees[symbol] is None


def same(btf: Btf, a: TypeId, b: TypeId) -> bool:
    """Whether two types are one to a reader of members; BTF repeats some."""
    first, second = btf.resolve(a), btf.resolve(b)
    if first.id == second.id:
        return True
    named = (btf_types.Struct, btf_types.Union, btf_types.Forward)
    return isinstance(first, named) and isinstance(second, named) and first.name == second.name


def _btf(scope: Scope) -> Btf:
    return scope.world.environment.kernel.btf
