# SPDX-License-Identifier: GPL-2.0-or-later
"""Operators that begin with `@` and ask for a property of the probe, the kernel or the compiler.

@entry($count) -> EntryValue(0)       @const("PAGE_SHIFT") -> Number(12)
"""

from __future__ import annotations

from compiler.ir import program as p
from compiler.ir import syntax
from compiler.ir.hooks import Kretprobe, Uretprobe
from compiler.ir.program import LONG, STRING
from compiler.kernel.errors import KernelFactError
from compiler.resolve.contexts import FunctionContext
from compiler.resolve.memory_path import TargetError
from compiler.resolve.path_expressions import is_defined, report
from runtime.abi.manifest import ValueType


def lower_entry(ctx: FunctionContext, e: syntax.Entry) -> p.Expr:
    """`@entry(e)` in a return probe: e as it was when the function was called."""
    site = ctx.site
    if ctx.unresolved:
        ctx.expr(e.operand, None)
        return ctx.error_expr(e.span)
    if site is None or ctx.in_function or not isinstance(site.hook, Kretprobe | Uretprobe):
        ctx.report(
            "entry-outside-return", "@entry stands only in the return probe of a function", e.span
        )
        return ctx.error_expr(e.span)
    inner = FunctionContext(ctx.program, ctx.key, ctx.file, site, ctx.lower)
    inner.inside_entry = True
    inner.locals = ctx.locals
    return ctx.save_at_entry(inner.expr(e.operand, None), e.span)


def lower_at_call(ctx: FunctionContext, e: syntax.AtCall, expected: ValueType | None) -> p.Expr:
    """The value of an operator that looks like a call: @const("..."), @kderef(8, address), ..."""
    match e.name, e.args:
        case "choose_defined", (first, second):
            return _choose_defined(ctx, first, second, expected)
        case "const" | "enum", (syntax.String(value=name), *_):
            return _constant(ctx, e, name)
        case "enumname", _:
            from compiler.resolve import enum_names  # few scripts need it

            return enum_names.lower(ctx, e)
        case "kderef" | "uderef", (syntax.Number(value=size), address):
            where = ctx.typed(address, LONG)
            if size in (1, 2, 4, 8):
                return p.Deref(where, size, False, e.name == "uderef", e.span)
            ctx.report("bad-deref", "1, 2, 4 or 8 bytes can be read", e.args[0].span)
        case "probewrite", _ if ctx.in_function or not (ctx.has_probe_context or _alias(ctx)):
            ctx.report(
                "misplaced-probewrite",
                "@probewrite stands only in probes of functions and tracepoints, and in aliases for them",
                e.span,
                "elsewhere, test a variable of your own",
            )
        case "probewrite", (syntax.Name(name=name),):
            return p.Number(int(name in ctx.written_names), e.span)
        case "probewrite", (syntax.TargetVar(name=name),):
            return p.Number(int(f"${name}" in ctx.written_names), e.span)
        case "kregister" | "uregister", _:
            return _register(ctx, e)
        case _:
            _report_unavailable(ctx, e)
    return ctx.error_expr(e.span)


def _choose_defined(
    ctx: FunctionContext, first: syntax.Expr, second: syntax.Expr, expected: ValueType | None
) -> p.Expr:
    """The first operand if the probe has it, else the second; both have one type."""
    chosen, other = (first, second) if is_defined(ctx, first) else (second, first)
    value = ctx.expr(chosen, expected)
    if not ctx.has_probe_context:
        known = value.type if value.type in (LONG, STRING) else None
        unused, lacks_context = ctx.speculate(lambda: ctx.expr(other, known))
        if not lacks_context and known is not None:
            ctx.require(unused, known, other.span)
    return value


def _register(ctx: FunctionContext, e: syntax.AtCall) -> p.Expr:
    from compiler.resolve.guru_writes import lower_register  # few scripts need it

    try:
        return lower_register(ctx, e)
    except TargetError as error:
        report(ctx, error, e.span)
    return ctx.error_expr(e.span)


def _report_unavailable(ctx: FunctionContext, e: syntax.AtCall) -> None:
    match e.name, e.args:
        case "perf", (syntax.String(value=name),):
            ctx.report(
                "unknown-counter",
                f"no probe declares a performance counter '{name}'",
                e.span,
                "counters belong to probes of user processes; 'perf stat -p PID' counts for one",
            )
        case _:
            ctx.report(
                "needs-debuginfo",
                f"@{e.name} needs the probed process's debuginfo",
                e.span,
                "read arguments with $name, or user memory with user_long(address)",
            )


def _alias(ctx: FunctionContext) -> str:
    return ctx.site.alias if ctx.site is not None else ""


def _constant(ctx: FunctionContext, e: syntax.AtCall, name: str) -> p.Expr:
    """An enumerator by the kernel's types; @const also takes what the kernel's headers define."""
    enumerator = name.rpartition(" ")[2].rpartition(":")[2]
    from_headers = e.name == "const" and ctx.program.environment.guru
    try:
        btf = ctx.program.environment.kernel.btf
        # a search for similar names takes long, and only an error shows them
        if btf.constants(enumerator) or not (from_headers or ctx.speculative):
            return p.Number(btf.constant(enumerator), e.span)
    except KernelFactError as error:
        if not (from_headers or ctx.speculative):
            ctx.report("unknown-constant", error.message, e.span, error.hint)
            return ctx.error_expr(e.span)
    if from_headers:
        return p.EmbeddedExpr(f"({name})", LONG, e.span, pure=True, fallible=False)
    ctx.lacks_context = True  # the branch that this kernel does not take
    return ctx.error_expr(e.span)
