# SPDX-License-Identifier: GPL-2.0-or-later
"""Context variables, @var and @cast: paths through kernel memory, typed by BTF.

$file->f_inode->i_ino  -> Deref(Deref(Argument(0) + 32, 8) + 64, 8)
"""

from __future__ import annotations

from typing import cast

from compiler.ir import program as p
from compiler.ir import syntax
from compiler.ir.hooks import FileHook, Uretprobe
from compiler.ir.source import Span
from compiler.kernel import btf_types, type_layout
from compiler.kernel.btf import Btf
from compiler.kernel.btf_types import TypeId
from compiler.kernel.c_types import type_name
from compiler.kernel.errors import KernelFactError
from compiler.probes.base import Answer, ProbeSite
from compiler.resolve.scope import Scope
from compiler.resolve.type_names import Fault, named_type
from compiler.support.did_you_mean import did_you_mean
from runtime.support.record import record

Target = syntax.TargetVar | syntax.Access | syntax.Cast | syntax.AtVar

_ANCHOR = "this_cpu_off"  # a per-CPU variable that modules can reach: the others lie around it


@record
class Typed:
    """A value in a register, or with `in_memory` the address of one; its BTF type.

    `pointed`: the address is a pointer's value (@cast, a typed variable), so it may be indexed.
    """

    expr: p.Expr
    type_id: TypeId
    in_memory: bool
    bits: type_layout.Bits | None = None
    pointed: bool = False


def lower_target(scope: Scope, e: Target) -> p.Expr:
    """The value of a context variable or of a path from one, as a number (or, pretty, a string)."""
    try:
        return _lower(scope, e)
    except (Fault, KernelFactError) as fault:
        report(scope, fault, e.span)
    return scope.unsettled(e.span)


def answer_of(scope: Scope, e: syntax.Expr) -> Answer | None:
    """The functions that a context variable stands for."""
    if isinstance(e, syntax.TargetVar) and scope.site is not None and not scope.in_function:
        return scope.site.answers.get(e.name)
    return None


def report(scope: Scope, fault: Fault | KernelFactError, span: Span) -> None:
    """One diagnostic; what the kernel's types do not have is told where the path stands."""
    if scope.blind:
        scope.missed = True
        return
    if isinstance(fault, Fault) and fault.slug == "unknown-context-variable":
        scope.facts.missing(
            "no variable", fault.message, fault.slug, fault.message, fault.span, fault.hint
        )
    elif isinstance(fault, Fault):
        scope.facts.fault(fault.slug, fault.message, fault.span, fault.hint)
    else:
        scope.facts.fault("bad-context-variable", fault.message, span, fault.hint)


def is_defined(scope: Scope, e: syntax.Expr) -> bool:
    """Whether `@defined(e)` holds: everything the expression names is there."""
    try:
        match e:
            case syntax.TargetVar() if answer_of(scope, e) is not None:
                pass
            case syntax.TargetVar() | syntax.Access() | syntax.Cast() | syntax.AtVar():
                _lower(scope, e)
            case syntax.Call():
                return e.name in scope.world.functions
            case syntax.AtCall(name="const" | "enum", args=(syntax.String(value=name),)):
                btf_of(scope).constant(name)
            case _:
                pass
    except (Fault, KernelFactError):
        return False
    return True


def pointee_of(scope: Scope, e: Target) -> TypeId | None:
    """The type that a path's value points to; None where it is no pointer."""
    try:
        match e:
            case syntax.TargetVar(name=name) if name.startswith("$"):
                return None
            case syntax.Access(pretty=pretty) if pretty:
                return None
            case syntax.Access(address=True):
                found = place(scope, e)
                return found.type_id if found.in_memory else None
            case syntax.Cast():
                return _cast_type(scope, e)
            case _:
                found = place(scope, e)
    except (Fault, KernelFactError):
        return None
    match btf_of(scope).resolve(found.type_id):
        case btf_types.Pointer(target=target):
            return target
        case btf_types.Array(element=element) if found.in_memory:
            return element
        case _:
            return None


def _cast_type(scope: Scope, e: syntax.Cast) -> TypeId:
    module = scope.site.module if scope.site is not None else ""
    return named_type(scope.world.environment.kernel, e, module)


def btf_of(scope: Scope) -> Btf:
    return scope.world.environment.kernel.btf


def _lower(scope: Scope, e: Target) -> p.Expr:
    from compiler.resolve import pretty_print

    match e:
        case syntax.TargetVar(name=name) if name.startswith("$"):
            return pretty_print.summary(scope, name[1:], e.span)
        case syntax.Access():
            found = place(scope, e)
            if e.address:
                if not found.in_memory or found.bits is not None:
                    raise Fault("no-address", "this value has no address", e.span)
                return found.expr
            if e.pretty:
                return pretty_print.describe(scope, found, e.pretty, e.span)
            return load(scope, found, e.span)
        case syntax.Cast():
            _cast_type(scope, e)
            return scope.typed(e.operand, p.LONG)
        case _:
            return load(scope, place(scope, e), e.span)


def place(scope: Scope, e: syntax.Expr) -> Typed:
    """Where a path leads, with its type. Raises Fault and KernelFactError."""
    match e:
        case syntax.TargetVar():
            return variable(scope, e.name, e.span)
        case syntax.Cast():
            operand = scope.typed(e.operand, p.LONG)
            return Typed(operand, _cast_type(scope, e), True, pointed=True)
        case syntax.AtVar():
            return _at_var(scope, e)
        case syntax.Access():
            base = place(scope, e.base)
            if e.path:
                _require_type(base, e.base.span)
            return _follow(scope, base, e.path)
        case _:
            from compiler.resolve.pointer_types import disagree, pointee

            value = scope.typed(e, p.LONG)
            type_id = pointee(scope, e)
            if type_id is None:
                raise Fault(
                    "no-type",
                    "this is given pointers to different types"
                    if disagree(scope, e)
                    else "the type behind this pointer is not known",
                    e.span,
                    'name it: @cast(pointer, "task_struct")->member',
                )
            return Typed(value, type_id, True, pointed=True)


def variable(scope: Scope, name: str, span: Span) -> Typed:
    """`$name` of the probe; in a function, of the probe that it runs for."""
    site = scope.own_site
    if site is None:
        raise Fault(
            "context-variable-in-function",
            f"'${name}' is known in probes only",
            span,
            "pass its value to the function as an argument",
        )
    found = site.variables.get(name)
    if found is None and isinstance(site.hook, FileHook):
        raise _unknown_in_program(site, name, span)
    if found is None:
        known = [*site.answers]
        known += [v for v in site.variables if not v.startswith("arg")] or list(site.variables)
        if btf_of(scope).find_all(btf_types.Variable, name):
            return _kernel_variable(scope, name, span)
        hint = did_you_mean(name, known).replace("'", "'$", 1) or (
            f"it has {', '.join('$' + v for v in known)}"
            if known
            else "there are such variables in probes of functions and tracepoints"
        )
        raise Fault("unknown-context-variable", f"{site.point} has no '${name}'", span, hint)
    btf = btf_of(scope)
    type_id = found.type_id
    integer = (
        type_layout.integer(btf, type_id) if type_id is not None else type_layout.Integer(8, True)
    )
    if integer is None:
        assert type_id is not None
        raise Fault(
            "bad-context-variable",
            f"'${name}' is of type '{type_name(btf, type_id)}', which no register holds",
            span,
        )
    value: p.Expr
    if found.source == "verdict" and not scope.world.environment.guru:
        raise Fault(
            "write-context",
            "the verdict on a packet is known and written in guru mode only",
            span,
            "run with -g, if you trust the script with the network",
        )
    if scope.in_function:
        symbol = cast(str, scope.key[1])
        scope.facts.learn_hidden(symbol, name)
        value = p.LocalRef(hidden_local(name), span)
    elif found.made is not None:
        value = found.made(span)
    elif found.source == "return":
        value = p.ReturnValue(integer.size, integer.signed, span)
    else:
        value = p.Argument(found.index, integer.size, integer.signed, span)
        if found.at_entry and not scope.in_entry:
            value = scope.entry(value, span)
    return Typed(value, type_id if type_id is not None else btf_types.VOID, False)


def _unknown_in_program(site: ProbeSite, name: str, span: Span) -> Fault:
    if site.provider:
        has = ", ".join(f"${v}" for v in site.variables)
        hint = f"it has {has}" if has else "this mark has no arguments that can be read"
        return Fault("unknown-context-variable", f"{site.point} has no '${name}'", span, hint)
    return Fault(
        "needs-debuginfo",
        f"'${name}' is known to the program's debuginfo only",
        span,
        "a return probe has $return"
        if isinstance(site.hook, Uretprobe)
        else "arguments are long_arg(1), pointer_arg(2), ..., or $arg1, $arg2, ...",
    )


def hidden_local(name: str) -> p.Local:
    """The parameter by which a function gets a context variable of the probe that it runs for."""
    return p.Local(f"__context_{name}", p.LONG)


def _at_var(scope: Scope, e: syntax.AtVar) -> Typed:
    """`@var("name@file", "module")`: a variable of the probe, else of the kernel."""
    name, _, file = e.name.partition("@")
    if e.module not in (None, "kernel", "vmlinux"):
        raise Fault(
            "needs-debuginfo",
            f"variables of '{e.module}' are known to its debuginfo only",
            e.span,
            "only the kernel's own variables can be found without it",
        )
    site = scope.own_site
    if not file and e.module is None and site and name in site.variables:
        return variable(scope, name, e.span)
    return _kernel_variable(scope, name, e.span)


def _kernel_variable(scope: Scope, name: str, span: Span) -> Typed:
    """A per-CPU variable of the kernel, or another one whose address its symbol table has."""
    btf = btf_of(scope)
    known = btf.find_all(btf_types.Variable, name)
    try:
        mine = btf.percpu(name)
        distance = mine.offset - btf.percpu(_ANCHOR).offset
        return Typed(p.PercpuAddress(distance, span), mine.type_id, True)
    except KernelFactError:
        pass
    address = p.SymbolAddress(name, span)
    if known:
        return Typed(address, known[0].type_id, True)
    try:
        if not scope.world.environment.kernel.symbols.find(name):
            raise Fault(
                "unknown-variable",
                f"the kernel has no variable '{name}'",
                span,
                did_you_mean(name, btf.names(btf_types.Variable)),
            )
    except KernelFactError:
        pass  # no table to look into: the module will tell when it is loaded
    return Typed(address, btf_types.VOID, True)


def _follow(scope: Scope, start: Typed, path: tuple[syntax.Field | syntax.Element, ...]) -> Typed:
    btf = scope.world.environment.kernel.btf
    at = start
    for step in path:
        if at.bits is not None:
            raise Fault("bad-context-variable", "a bitfield has no members", step.span)
        match step:
            case syntax.Field():
                at = _field(btf, at, step)
            case syntax.Element():
                at = _element(scope, btf, at, step)
    return at


def address_of(btf: Btf, at: Typed, span: Span) -> tuple[p.Expr, TypeId]:
    """The address of what a value is or points to, and that thing's type."""
    match found := btf.resolve(at.type_id):
        case btf_types.Pointer():
            expr = p.Deref(at.expr, 8, False, False, span) if at.in_memory else at.expr
            return expr, found.target
        case _ if at.in_memory:
            return at.expr, at.type_id
        case _:
            raise Fault(
                "not-a-pointer",
                f"'{type_name(btf, at.type_id)}' is no pointer and has no members",
                span,
            )


def _field(btf: Btf, at: Typed, step: syntax.Field) -> Typed:
    address, target = address_of(btf, at, step.span)
    owner = type_layout.composite(btf, target)
    if owner is None:
        raise Fault(
            "not-a-struct",
            f"'{type_name(btf, target)}' has no member '{step.name}'",
            step.span,
        )
    place = type_layout.place(btf, owner.id, [step.name])
    return Typed(plus(address, place.steps[0].offset, step.span), place.type_id, True, place.bits)


def _element(scope: Scope, btf: Btf, at: Typed, step: syntax.Element) -> Typed:
    found = btf.resolve(at.type_id)
    if isinstance(found, btf_types.Array) and at.in_memory:
        address, element = at.expr, found.element
    elif at.pointed:
        address, element = at.expr, at.type_id
    elif not isinstance(found, btf_types.Pointer):
        raise Fault(
            "not-a-pointer",
            f"'{type_name(btf, at.type_id)}' is neither an array nor a pointer",
            step.span,
        )
    else:
        address, element = address_of(btf, at, step.span)
    size = type_layout.sizeof(btf, element)
    index = scope.typed(step.index, p.LONG)
    if isinstance(index, p.Number):
        return Typed(plus(address, index.value * size, step.span), element, True)
    scaled = p.Arithmetic("*", index, p.Number(size, step.span), step.span)
    return Typed(p.Arithmetic("+", address, scaled, step.span), element, True)


def plus(address: p.Expr, offset: int, span: Span) -> p.Expr:
    return p.Arithmetic("+", address, p.Number(offset, span), span) if offset else address


def _require_type(at: Typed, span: Span) -> None:
    """Of a kernel's variable that only the symbol table knows, nothing but the address is known."""
    if at.type_id == btf_types.VOID and isinstance(at.expr, p.SymbolAddress):
        name = at.expr.name
        raise Fault(
            "needs-debuginfo",
            f"the type of the kernel's variable '{name}' is known to debuginfo only",
            span,
            f'name its type: @cast(&@var("{name}"), "type")->member, or read its address with &',
        )


def load(scope: Scope, at: Typed, span: Span) -> p.Expr:
    """The number at a place. Raises Fault for what is no number."""
    if not at.in_memory:
        return at.expr
    btf = btf_of(scope)
    if at.bits is not None:
        unit = p.Deref(at.expr, at.bits.unit, False, False, span)
        return extract_bits(scope, at, at.bits, unit, span)
    integer = type_layout.integer(btf, at.type_id)
    if integer is not None:
        return p.Deref(at.expr, integer.size, integer.signed, False, span)
    found = btf.resolve(at.type_id)
    if isinstance(found, btf_types.Array):
        return at.expr  # an array is its address, as in C
    _require_type(at, span)
    raise Fault(
        "whole-struct",
        f"'{type_name(btf, at.type_id)}' is read as a whole",
        span,
        "name one of its members, or its address with &",
    )


def extract_bits(
    scope: Scope, at: Typed, bits: type_layout.Bits, unit: p.Expr, span: Span
) -> p.Expr:
    """The value of a bitfield, from the value of the unit that holds it."""
    shifted = p.Arithmetic(">>>", unit, p.Number(bits.shift, span), span)
    value = p.Arithmetic("&", shifted, p.Number((1 << bits.width) - 1, span), span)
    kind = type_layout.integer(btf_of(scope), at.type_id)
    if kind is None or not kind.signed:
        return value
    up = p.Number(64 - bits.width, span)
    return p.Arithmetic(">>", p.Arithmetic("<<", value, up, span), up, span)
