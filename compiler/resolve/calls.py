# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls: which functions of a name run, and how arguments and results get their types.

f(x) -> Call("f", (LocalRef("x"),)); x has the type of f's parameter, and the call that of f's result
"""

from __future__ import annotations

from compiler.frontend.lexer import PRINT_KINDS
from compiler.ir import program as p
from compiler.ir import syntax
from compiler.ir.program import LONG, STAT, STRING
from compiler.ir.source import Span
from compiler.resolve import embedded_c, overloads, print_statements
from compiler.resolve.context_variables import lower_probe_function
from compiler.resolve.contexts import FunctionContext, Overloads
from compiler.resolve.path_expressions import propagate
from compiler.resolve.syntax_queries import PROBE_FUNCTIONS, walk
from compiler.resolve.type_environment import UNKNOWN, Symbol
from compiler.support.did_you_mean import did_you_mean
from runtime.abi.manifest import ValueType


def call(
    ctx: FunctionContext,
    e: syntax.Call,
    expected: ValueType | None,
    *,
    is_statement: bool = False,
) -> p.Expr:
    """The typed form of a call. A statement's result is not used, so it needs no type."""
    special = lower_probe_function(ctx, e)
    if special is not None:
        return special
    if ctx.unresolved and not e.args and e.name in PROBE_FUNCTIONS:
        return ctx.error_expr(e.span)
    found = overloads.choose(ctx.program, e.name, len(e.args), ctx.file)
    if found is None and _is_log(e):
        return print_statements.lower_print(ctx, e, expected)
    if found is None:
        return _unknown_function(ctx, e)
    if isinstance(found.functions[0].body, syntax.EmbeddedC):
        _check_embedded(ctx, e, found, expected, is_statement)
    if e.name in ctx.program.contextual:
        if ctx.unresolved:
            _lower_arguments(ctx, e)
            return ctx.error_expr(e.span)
        if ctx.site is not None:
            ctx.depends_on_site = True
            found = ctx.program.clone(found, ctx.site)
    found = ctx.program.add_called(found)
    overloads.learn_parameters(ctx.program, found)
    args = _arguments(ctx, e, found)
    args += overloads.hidden_arguments(ctx, found.symbols[0], e.span)
    result = _result(ctx, found.result, expected, e.span)
    return p.Call(found.symbols[0], tuple(args), result, e.span)


def _arguments(ctx: FunctionContext, e: syntax.Call, found: Overloads) -> list[p.Expr]:
    """The lowered arguments. Arguments and parameters type each other."""
    args = []
    for parameter, arg in zip(found.functions[0].parameters, e.args, strict=True):
        symbol = ("function", found.symbols[0], parameter.name)
        known = ctx.types.type_of(symbol)
        value = ctx.expr(arg, None if known is UNKNOWN else known)
        if value.type is None or value.type is STAT:
            ctx.require(value, LONG, arg.span)
        else:
            ctx.types.learn(symbol, value.type, arg.span)
            propagate(ctx, arg, symbol)
        args.append(value)
    return args


def _lower_arguments(ctx: FunctionContext, e: syntax.Call) -> None:
    """Lower the arguments of a call that itself cannot be lowered, for their types and errors."""
    for arg in e.args:
        ctx.expr(arg, None)


def _unknown_function(ctx: FunctionContext, e: syntax.Call) -> p.Expr:
    _report_unknown(ctx, e)
    for arg in e.args:
        # the function might have typed the variable: that it has no type is a consequence
        if isinstance(arg, syntax.Name):
            ctx.types.this_round.tainted.add(ctx.resolve(arg.name)[0])
        ctx.expr(arg, None)
    return ctx.error_expr(e.span)


def _is_log(e: syntax.Call) -> bool:
    """log(text) is lowered as a print, which keeps the names of its arguments."""
    return e.name == "log" and len(e.args) == 1


def check_names(ctx: FunctionContext, skipped: syntax.Stmt) -> None:
    """Report calls of unknown functions in a statement that never runs and is not lowered."""
    for node in walk(skipped):
        if isinstance(node, syntax.Call) and not ctx.unresolved:
            found = overloads.choose(ctx.program, node.name, len(node.args), ctx.file)
            special = _is_log(node) or lower_probe_function(ctx, node) is not None
            if found is None and not special:
                _report_unknown(ctx, node)


def _check_embedded(
    ctx: FunctionContext,
    e: syntax.Call,
    found: Overloads,
    expected: ValueType | None,
    is_statement: bool,
) -> None:
    """Type the result of embedded C by its callers; refuse unsafe C without guru mode."""
    f = found.functions[0]
    assert isinstance(f.body, syntax.EmbeddedC)
    c = embedded_c.inspect(f.body.code)
    if f.type is None and c.has_result:
        ctx.types.embedded_results.add(found.result)
        if expected in (LONG, STRING):
            ctx.types.learn(found.result, expected, e.span)
        elif not is_statement and found.result not in ctx.types.known:
            ctx.types.report_untyped(
                found.result,
                f"it is not known whether {e.name}() returns a number or a string",
                e.span,
                f"write it where the function begins: function {e.name}:long(...)",
            )
    if c.guru and not ctx.program.environment.guru and not ctx.in_library:
        ctx.report(
            "needs-guru-mode",
            f"{e.name}() needs guru mode",
            e.span,
            "run with -g, if you trust the script with the whole kernel",
        )


def _result(
    ctx: FunctionContext, symbol: Symbol, expected: ValueType | None, span: Span
) -> ValueType | None:
    """The type of a call. A function that returns nothing gives 0 or "" where a value is needed.

    The function's own returns come first. Only when they have typed all they can, in a CALLERS round,
    does the type that is expected here become the result's.
    """
    types = ctx.types
    if expected not in (LONG, STRING):
        is_none = symbol not in types.known and types.returns_nothing(symbol)
        return None if is_none else types.type_of(symbol)
    if symbol not in types.known and not types.callers_decide:
        types.this_round.result_requested = True
        return UNKNOWN
    types.learn(symbol, expected, span)
    return types.type_of(symbol)


def _report_unknown(ctx: FunctionContext, e: syntax.Call) -> None:
    candidates = overloads.visible(ctx.program, e.name, ctx.file)
    takes = {len(f.parameters) for f in candidates} or ({1} if e.name == "log" else set())
    if takes:
        counts = " or ".join(map(str, sorted(takes)))
        ctx.report(
            "wrong-arguments",
            f"'{e.name}' takes {counts} argument{'' if counts == '1' else 's'}, not {len(e.args)}",
            e.span,
        )
        return
    from compiler.resolve.unsupported_functions import FOREIGN, UNSUPPORTED

    if e.name in UNSUPPORTED and not ctx.program.functions.get(e.name):
        why, instead = UNSUPPORTED[e.name]
        message = f"there is no {e.name}() here: {why}"
        ctx.report_once(("function", e.name), "no-such-function", message, e.name_span, instead)
        return
    ctx.report_once(
        ("function", e.name),
        "unknown-function",
        f"there is no function '{e.name}'",
        e.name_span,
        FOREIGN.get(e.name) or did_you_mean(e.name, (*ctx.program.functions, *PRINT_KINDS)),
    )
