# SPDX-License-Identifier: GPL-2.0-or-later
"""Operators that begin with `@` and ask what the probe, the kernel or the compiler knows.

@entry($count) -> EntryValue(0)       @const("PAGE_SHIFT") -> Number(12)
"""

from __future__ import annotations

from compiler.ir import program as p
from compiler.ir import syntax
from compiler.ir.hooks import Kretprobe, Uretprobe
from compiler.ir.program import LONG, STRING
from compiler.kernel.errors import KernelFactError
from compiler.resolve import context_variables, guru_writes
from compiler.resolve.scope import Scope
from compiler.resolve.static_tests import blindly
from compiler.resolve.type_names import Fault
from runtime.abi.manifest import ValueType


def entry(scope: Scope, e: syntax.Entry) -> p.Expr:
    site = scope.site
    if scope.unplaced:
        scope.expr(e.operand, None)
        return scope.unsettled(e.span)
    if site is None or scope.in_function or not isinstance(site.hook, Kretprobe):
        hint = None
        if site is not None and isinstance(site.hook, Uretprobe):
            hint = "of a program's function: save it at the entry, as values[tid()] = $arg1"
        scope.facts.fault(
            "entry-outside-return",
            "@entry stands only in the return probe of a function of the kernel",
            e.span,
            hint,
        )
        return scope.unsettled(e.span)
    inner = Scope(scope.world, scope.key, scope.file, site, scope.lower)
    inner.in_entry = True
    inner.locals = scope.locals
    return scope.entry(inner.expr(e.operand, None), e.span)


def at(scope: Scope, e: syntax.AtCall, want: ValueType | None) -> p.Expr:
    match e.name, e.args:
        case "choose_defined", (first, second):
            chosen, other = (
                (first, second) if context_variables.is_defined(scope, first) else (second, first)
            )
            value = scope.expr(chosen, want)
            if not scope.has_context:
                known = value.type if value.type in (LONG, STRING) else None
                unused, missed = blindly(scope, lambda: scope.expr(other, known))
                if not missed and known is not None:
                    scope.require(unused, known, other.span)
            return value
        case "const" | "enum", (syntax.String(value=name), *_):
            return _constant(scope, e, name)
        case "kderef" | "uderef", (syntax.Number(value=size), address):
            where = scope.typed(address, LONG)
            if size in (1, 2, 4, 8):
                return p.Deref(where, size, False, e.name == "uderef", e.span)
            scope.facts.fault("bad-deref", "1, 2, 4 or 8 bytes can be read", e.args[0].span)
        case "probewrite", _ if scope.in_function or not (scope.has_context or _alias(scope)):
            scope.facts.fault(
                "misplaced-probewrite",
                "@probewrite stands only in probes of functions and tracepoints, and in aliases for them",
                e.span,
                "elsewhere, test a variable of your own",
            )
        case "probewrite", (syntax.Name(name=name),):
            return p.Number(int(name in scope.written), e.span)
        case "probewrite", (syntax.TargetVar(name=name),):
            return p.Number(int(f"${name}" in scope.written), e.span)
        case "kregister" | "uregister", _:
            try:
                return guru_writes.lower_register(scope, e)
            except Fault as fault:
                context_variables.report(scope, fault, e.span)
        case "perf", (syntax.String(value=name),):
            scope.facts.fault(
                "unknown-counter",
                f"no probe declares a performance counter '{name}'",
                e.span,
                "counters belong to probes of user processes; 'perf stat -p PID' counts for one",
            )
        case _:
            scope.facts.fault(
                "needs-debuginfo",
                f"@{e.name} needs the probed process's debuginfo",
                e.span,
                "read arguments with $name, or user memory with user_long(address)",
            )
    return scope.unsettled(e.span)


def _alias(scope: Scope) -> str:
    return scope.site.alias if scope.site is not None else ""


def _constant(scope: Scope, e: syntax.AtCall, name: str) -> p.Expr:
    """An enumerator by the kernel's types; @const also takes what the kernel's headers define."""
    enumerator = name.rpartition(" ")[2].rpartition(":")[2]
    try:
        return p.Number(scope.world.environment.kernel.btf.constant(enumerator), e.span)
    except KernelFactError as fault:
        if e.name == "const" and scope.world.environment.guru:
            return p.EmbeddedExpr(f"({name})", LONG, e.span, pure=True, fallible=False)
        scope.facts.fault("unknown-constant", fault.message, e.span, fault.hint)
    return scope.unsettled(e.span)
