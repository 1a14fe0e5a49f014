# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls: which functions of a name run, and what arguments and results tell each other.

f(x) -> Call("f", (LocalRef("x"),)); x is of the type of f's parameter, the call of its result's
"""

from __future__ import annotations

from compiler.frontend.lexer import PRINT_KINDS
from compiler.ir import program as p
from compiler.ir import syntax
from compiler.ir.program import LONG, STAT, STRING
from compiler.ir.source import Span
from compiler.resolve import embedded_c, overloads, pointer_types, print_statements
from compiler.resolve.scope import Overloads, Scope
from compiler.resolve.syntax_queries import OF_THE_PROBE, walk
from compiler.resolve.type_facts import UNKNOWN
from compiler.support.did_you_mean import did_you_mean
from runtime.abi.manifest import ValueType


def call(
    scope: Scope, e: syntax.Call, want: ValueType | None, *, is_statement: bool = False
) -> p.Expr:
    """What a call runs and gives; nobody looks at what a statement gives."""
    special = print_statements.lower_special(scope, e)
    if special is not None:
        return special
    if scope.unplaced and not e.args and e.name in OF_THE_PROBE:
        return scope.unsettled(e.span)
    found = overloads.choose(scope.world, e.name, len(e.args), scope.file)
    if found is None and _is_log(e):
        return print_statements.lower_print(scope, e, want)
    if found is None:
        _report_unknown(scope, e)
        for arg in e.args:
            if isinstance(arg, syntax.Name):  # what it lacks, the function might have told
                scope.facts.clouded.add(scope.variable(arg.name)[0])
            scope.expr(arg, None)
        return scope.unsettled(e.span)
    if isinstance(found.functions[0].body, syntax.EmbeddedC):
        _check_embedded(scope, e, found, want, is_statement)
    if scope.unplaced and e.name in scope.world.contextual:
        for arg in e.args:
            scope.expr(arg, None)
        return scope.unsettled(e.span)
    site = scope.site
    if site is not None and e.name in scope.world.contextual:
        scope.is_special = True
        found = scope.world.clone(found, site)
    found = scope.world.want(found)
    overloads.learn_parameters(scope.world, found)
    symbol = found.symbols[0]
    args = []
    for parameter, arg in zip(found.functions[0].parameters, e.args, strict=True):
        fact = ("function", symbol, parameter.name)
        known = scope.facts.type_of(fact)
        value = scope.expr(arg, None if known is UNKNOWN else known)
        if value.type is None or value.type is STAT:
            scope.require(value, LONG, arg.span)
        else:
            scope.facts.learn(fact, value.type, arg.span)
            pointer_types.flow(scope, arg, fact)
        args.append(value)
    args += overloads.hidden_arguments(scope, symbol, e.span)
    return p.Call(symbol, tuple(args), _result(scope, found.result, want, e.span), e.span)


def _is_log(e: syntax.Call) -> bool:
    """The library's line of its own: no function, so that it keeps the names of what it prints."""
    return e.name == "log" and len(e.args) == 1


def check_names(scope: Scope, unreached: syntax.Stmt) -> None:
    """Of statements that never run and tell nothing: whether there are the functions that they call."""
    for node in walk(unreached):
        if isinstance(node, syntax.Call) and not scope.unplaced:
            found = overloads.choose(scope.world, node.name, len(node.args), scope.file)
            special = _is_log(node) or print_statements.lower_special(scope, node) is not None
            if found is None and not special:
                _report_unknown(scope, node)


def _check_embedded(
    scope: Scope, e: syntax.Call, found: Overloads, want: ValueType | None, is_statement: bool
) -> None:
    """C does not tell the type of its result: callers do. What is unsafe is for guru mode."""
    f = found.functions[0]
    assert isinstance(f.body, syntax.EmbeddedC)
    c = embedded_c.inspect(f.body.code)
    if f.type is None and c.gives:
        scope.facts.valued.add(found.result)
        if want in (LONG, STRING):
            scope.facts.learn(found.result, want, e.span)
        elif not is_statement and found.result not in scope.facts.types:
            scope.facts.suspect(
                found.result,
                f"nothing tells whether {e.name}() gives a number or a string",
                e.span,
                f"write it where the function begins: function {e.name}:long(...)",
            )
    library = scope.file in scope.world.library_files
    if c.guru and not scope.world.environment.guru and not library:
        scope.facts.fault(
            "needs-guru-mode",
            f"{e.name}() needs guru mode",
            e.span,
            "run with -g, if you trust the script with the whole kernel",
        )


def _result(
    scope: Scope, fact: tuple[str, ...], want: ValueType | None, span: Span
) -> ValueType | None:
    """What a call gives. A function that returns nothing gives 0 or "" where a value is wanted."""
    facts = scope.facts
    if fact not in facts.types:
        if want in (LONG, STRING) and not facts.wanting:
            facts.wanted = True
            return UNKNOWN
        if want not in (LONG, STRING):
            return None if facts.gives_nothing(fact) else facts.type_of(fact)
    if want in (LONG, STRING):
        facts.learn(fact, want, span)
    return facts.type_of(fact)


def _report_unknown(scope: Scope, e: syntax.Call) -> None:
    candidates = overloads.visible(scope.world, e.name, scope.file)
    takes = {len(f.parameters) for f in candidates} or ({1} if e.name == "log" else set())
    if takes:
        counts = " or ".join(map(str, sorted(takes)))
        scope.facts.fault(
            "wrong-arguments",
            f"'{e.name}' takes {counts} argument{'' if counts == '1' else 's'}, not {len(e.args)}",
            e.span,
        )
        return
    from compiler.resolve.unsupported_functions import ABSENT, FOREIGN

    if e.name in ABSENT and not scope.world.functions.get(e.name):
        why, instead = ABSENT[e.name]
        message = f"there is no {e.name}() here: {why}"
        scope.facts.missing(
            "no function", e.name, "no-such-function", message, e.name_span, instead
        )
        return
    scope.facts.missing(
        "no function",
        e.name,
        "unknown-function",
        f"there is no function '{e.name}'",
        e.name_span,
        FOREIGN.get(e.name) or did_you_mean(e.name, (*scope.world.functions, *PRINT_KINDS)),
    )
