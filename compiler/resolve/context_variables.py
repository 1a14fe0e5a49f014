# SPDX-License-Identifier: GPL-2.0-or-later
"""Values that a probe gives its handler: context variables, and functions that depend on the probe.

$file               -> TypedValue(Argument(0), struct file *)       in a probe of vfs_read
@var("jiffies")     -> TypedValue(SymbolAddress("jiffies"), unsigned long, in_memory)
pp()                -> String('kernel.function("vfs_read")')
pp()                -> Format('kernel.function("%s")', (<the probed function>,))     for a wildcard
"""

from __future__ import annotations

from typing import cast

from compiler.ir import program as p
from compiler.ir import syntax
from compiler.ir.hooks import FileHook
from compiler.ir.program import STRING
from compiler.ir.source import Span
from compiler.kernel import btf_types, type_layout
from compiler.kernel.c_types import type_name
from compiler.kernel.errors import KernelFactError
from compiler.kernel.kernel import is_module_file
from compiler.probes import Variable
from compiler.probes.base import ProbeSite
from compiler.resolve.contexts import FunctionContext
from compiler.resolve.memory_path import TargetError, TypedValue, btf_of
from compiler.support.did_you_mean import did_you_mean

# A per-CPU variable that modules can reach. Others are addressed by their distance from it.
_ANCHOR = "this_cpu_off"


def context_variable(ctx: FunctionContext, name: str, span: Span) -> TypedValue:
    """`$name` of the probe; in a function, of the probe that it runs for. Raises TargetError."""
    site = ctx.exact_site
    if site is None:
        raise TargetError(
            "context-variable-in-function",
            f"'${name}' is known in probes only",
            span,
            "pass its value to the function as an argument",
        )
    found = site.variables.get(name)
    if found is None:
        return _other_variable(ctx, site, name, span)
    if found.missing:
        raise TargetError("no-value-here", f"'${name}' has no value here: {found.missing}", span)
    type_id = found.type_id if found.type_id is not None else btf_types.VOID
    if found.words and found.made is None:
        return _in_registers(ctx, found, type_id, span)
    integer = type_layout.Integer(8, False) if found.in_memory else _integer(ctx, found, span)
    return TypedValue(_value(ctx, found, integer, span), type_id, found.in_memory)


def _in_registers(
    ctx: FunctionContext, found: Variable, type_id: btf_types.TypeId, span: Span
) -> TypedValue:
    """A struct whose words are in registers."""
    if ctx.in_function:
        raise TargetError(
            "context-variable-in-function",
            f"'${found.name}' is a struct in registers, which functions cannot name",
            span,
            "pass its members to the function as arguments",
        )
    words = tuple(
        _kept(ctx, found, made(span), span) if made is not None else None for made in found.words
    )
    return TypedValue(p.Number(0, span), type_id, False, words=words)


def _integer(ctx: FunctionContext, found: Variable, span: Span) -> type_layout.Integer:
    """The size and sign with which a variable is read from its register."""
    if found.type_id is None:
        return type_layout.Integer(8, True)
    btf = btf_of(ctx)
    integer = type_layout.integer(btf, found.type_id)
    if integer is None:
        raise TargetError(
            "bad-context-variable",
            f"'${found.name}' is of type '{type_name(btf, found.type_id)}', which no register holds",
            span,
        )
    return integer


def _value(
    ctx: FunctionContext, found: Variable, integer: type_layout.Integer, span: Span
) -> p.Expr:
    if found.source == "verdict" and not ctx.program.environment.guru:
        raise TargetError(
            "write-context",
            "the verdict on a packet is known and written in guru mode only",
            span,
            "run with -g, if you trust the script with the network",
        )
    if ctx.in_function:  # its callers pass the value
        ctx.types.learn_hidden_parameter(cast(str, ctx.key[1]), found.name)
        return p.LocalRef(hidden_parameter(found.name), span)
    if found.source == "return" and found.made is None:
        return p.ReturnValue(integer.size, integer.signed, span)
    if found.made is not None:
        value = found.made(span)
    else:
        value = p.Argument(found.index, integer.size, integer.signed, span)
    return _kept(ctx, found, value, span)


def _kept(ctx: FunctionContext, found: Variable, value: p.Expr, span: Span) -> p.Expr:
    """A value that is lost at the function's return is saved at its entry."""
    is_lost_at_return = found.at_entry and not ctx.inside_entry
    return ctx.save_at_entry(value, span) if is_lost_at_return else value


def hidden_parameter(name: str) -> p.Local:
    """The parameter by which a function gets a context variable of the probe that it runs for."""
    return p.Local(f"{name}.context", p.LONG)


def _other_variable(ctx: FunctionContext, site: ProbeSite, name: str, span: Span) -> TypedValue:
    """The kernel variable that `$name` means if the probe has no such variable."""
    if isinstance(site.hook, FileHook):
        raise _unknown_in_program(site, name, span)
    if btf_of(ctx).find_all(btf_types.Variable, name):
        return _kernel_variable(ctx, name, span)
    known = [*site.answers]
    known += [v for v in site.variables if not v.startswith("arg")] or list(site.variables)
    hint = did_you_mean(name, known).replace("'", "'$", 1)
    if not hint and known:
        hint = f"it has {', '.join('$' + v for v in known)}"
        if site.function and all(v.type_id is None for v in site.variables.values()):
            where = f"module '{site.module}'" if site.module else "the kernel"
            hint = f"{where} has no type information for it: {hint}"
    call = site.function.removeprefix(ctx.program.environment.kernel.arch.syscall_prefix)
    if call != site.function:
        alias = site.alias or f"syscall.{call}"
        hint = (
            f"a system call's arguments are variables of its alias, which -L '{alias}' lists;"
            " or int_arg(1), pointer_arg(2), ..."
        )
    raise TargetError(
        "unknown-context-variable",
        f"{site.point} has no '${name}'",
        span,
        hint or "there are such variables in probes of functions and tracepoints",
    )


def _unknown_in_program(site: ProbeSite, name: str, span: Span) -> TargetError:
    if site.provider:
        has = ", ".join(f"${v}" for v in site.variables)
        hint = f"it has {has}" if has else "this mark has no arguments that can be read"
        return TargetError("unknown-context-variable", f"{site.point} has no '${name}'", span, hint)
    if site.debuginfo is None:
        message, hint = f"'${name}' is not known here", "it is in probes of functions and lines"
    else:
        message, hint = site.debuginfo.why_unknown(name)
    return TargetError("needs-debuginfo", message, span, hint)


def variable_by_name(ctx: FunctionContext, e: syntax.AtVar) -> TypedValue:
    """`@var("name@file", "module")`: a variable of the probe, else of the kernel."""
    name, _, file = e.name.partition("@")
    found = _program_variable(ctx, e, name, file)
    if found is not None:
        return found
    if e.module is not None and "/" in e.module and not is_module_file(e.module):
        return _variable_elsewhere(ctx, e, name, file)
    if e.module not in (None, "kernel", "vmlinux"):
        raise TargetError(
            "needs-debuginfo",
            f"variables of '{e.module}' are known to its debuginfo only",
            e.span,
            "only the kernel's own variables can be found without it",
        )
    site = ctx.exact_site
    if not file and e.module is None and site and name in site.variables:
        return context_variable(ctx, name, e.span)
    return _kernel_variable(ctx, name, e.span)


def _program_variable(
    ctx: FunctionContext, e: syntax.AtVar, name: str, file: str
) -> TypedValue | None:
    """The variable of the program that is probed; None if it is not about that."""
    site = ctx.exact_site
    hook = site.hook if site is not None else None
    if site is None or not isinstance(hook, FileHook) or site.debuginfo is None:
        return None
    if e.module is not None and hook.binary.path not in ctx.program.environment.programs.find(
        e.module
    ):
        return None
    found = site.debuginfo.static(name, file)
    if found is None:
        if e.module is None:
            return None
        message, hint = site.debuginfo.why_unknown(name)
        raise TargetError("needs-debuginfo", message, e.span, hint)
    if found.missing:
        raise TargetError("no-value-here", f"'{name}' has no value here: {found.missing}", e.span)
    type_id = found.type_id if found.type_id is not None else btf_types.VOID
    assert found.made is not None
    return TypedValue(_kept(ctx, found, found.made(e.span), e.span), type_id, found.in_memory)


def _variable_elsewhere(ctx: FunctionContext, e: syntax.AtVar, name: str, file: str) -> TypedValue:
    """The variable of a program or library that the current process may have."""
    from compiler.probes import program_types  # few scripts name variables of programs

    assert e.module is not None
    try:
        found = program_types.static_of(ctx.program.environment, e.module, name, file)
    except program_types.NoTypes as error:
        raise TargetError("needs-debuginfo", error.message, e.span, error.hint) from error
    if found.value is None:
        raise TargetError("no-value-here", f"'{name}' has no value here: {found.missing}", e.span)
    return TypedValue(found.value(e.span), found.type_id, found.in_memory)


def _kernel_variable(ctx: FunctionContext, name: str, span: Span) -> TypedValue:
    """A per-CPU variable of the kernel, or another one whose address its symbol table has."""
    btf = btf_of(ctx)
    known = btf.find_all(btf_types.Variable, name)
    try:
        mine = btf.percpu(name)
        distance = mine.offset - btf.percpu(_ANCHOR).offset
        return TypedValue(p.PercpuAddress(distance, span), mine.type_id, True)
    except KernelFactError:
        pass  # not a per-CPU variable
    address = p.SymbolAddress(name, span)
    if known:
        return TypedValue(address, known[0].type_id, True)
    _require_symbol(ctx, name, span)
    return TypedValue(address, btf_types.VOID, True)


def _require_symbol(ctx: FunctionContext, name: str, span: Span) -> None:
    try:
        if ctx.program.environment.kernel.symbols.find(name):
            return
    except KernelFactError:
        return  # there is no symbol table to read: loading the module will show
    raise TargetError(
        "unknown-variable",
        f"the kernel has no variable '{name}'",
        span,
        did_you_mean(name, btf_of(ctx).names(btf_types.Variable)),
    )


# ---------------------------------------------------------------- functions of the probe


def lower_probe_function(ctx: FunctionContext, e: syntax.Call) -> p.Expr | None:
    """The value of such a call; None for calls of other functions."""
    site = ctx.site
    if site is None or e.args:
        return None
    match e.name:
        case "pn" if site.alias:
            ctx.depends_on_site = True
            return p.String(site.alias, e.span)
        case "pn":
            return lower_probe_function(ctx, syntax.Call("pp", (), e.name_span, e.span))
        case "pp" if site.hook.functions:
            # the last quoted text: a program's path may hold the function's name, too
            before, _, after = site.point.rpartition(f'"{site.function}"')
            name = function_name(ctx, e.span)
            return p.Format(f'{before}"%s"{after}', (name,), e.span)
        case "pp":
            return p.String(site.point, e.span)
        case "ppfunc" | "probefunc":
            return function_name(ctx, e.span)
        case _:
            return None


def function_name(ctx: FunctionContext, span: Span) -> p.Expr:
    """The probed function's name. In a wildcard's shared handler, it is read when the probe fires."""
    site = ctx.site
    assert site is not None
    if site.hook.functions:
        return ctx.expr(syntax.Call(p.PROBED_FUNCTION, (), span, span), STRING)
    return p.String(site.function, span)
