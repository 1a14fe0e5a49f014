# SPDX-License-Identifier: GPL-2.0-or-later
"""Context variables and @cast: paths through kernel memory, typed by BTF.

$file->f_inode->i_ino  -> Deref(Deref(Argument(0) + 32, 8) + 64, 8)
"""

from __future__ import annotations

from compiler import program as p
from compiler import syntax
from compiler.kernel import kinds, layout
from compiler.kernel.btf import Btf
from compiler.kernel.faults import KernelFactError
from compiler.kernel.kinds import TypeId
from compiler.kernel.nearby import did_you_mean
from compiler.kernel.spelling import type_name
from compiler.resolve.scope import Scope
from compiler.source import Span
from runtime.record import dataclass


@dataclass(frozen=True, slots=True)
class Typed:
    """A value in a register, or with `in_memory` the address of one; its BTF type."""

    expr: p.Expr
    type_id: TypeId
    in_memory: bool
    bits: layout.Bits | None = None


class _Fault(Exception):
    def __init__(self, slug: str, message: str, span: Span, hint: str = "") -> None:
        self.slug, self.message, self.span, self.hint = slug, message, span, hint


def lower_target(
    scope: Scope, e: syntax.TargetVar | syntax.Access | syntax.Cast | syntax.AtVar
) -> p.Expr:
    """The value of a context variable or of a path from one, as a number (or, pretty, a string)."""
    try:
        return _lower(scope, e)
    except _Fault as fault:
        scope.facts.fault(fault.slug, fault.message, fault.span, fault.hint)
    except KernelFactError as fault:
        scope.facts.fault("bad-context-variable", fault.message, e.span, fault.hint)
    return p.Number(0, e.span)


def is_defined(scope: Scope, e: syntax.Expr) -> bool:
    """Whether `@defined(e)` holds: everything the expression names is there."""
    try:
        match e:
            case syntax.TargetVar() | syntax.Access() | syntax.Cast() | syntax.AtVar():
                _lower(scope, e)
            case syntax.Call():
                return e.name in scope.world.functions
            case _:
                pass
    except (_Fault, KernelFactError):
        return False
    return True


def _lower(
    scope: Scope, e: syntax.TargetVar | syntax.Access | syntax.Cast | syntax.AtVar
) -> p.Expr:
    match e:
        case syntax.TargetVar(name=name) if name.startswith("$"):
            return _summary(scope, name[1:], e.span)
        case syntax.Access():
            found = _follow(scope, _base(scope, e.base), e.path)
            if e.address:
                if not found.in_memory:
                    raise _Fault("no-address", "this value has no address", e.span)
                return found.expr
            if e.pretty:
                return _pretty(scope, found, e.pretty, e.span)
            return _load(scope, found, e.span)
        case _:
            typed = _base(scope, e)
            return _load(scope, typed, e.span)


def _base(scope: Scope, e: syntax.Expr) -> Typed:
    match e:
        case syntax.TargetVar():
            return _variable(scope, e.name, e.span)
        case syntax.Cast():
            operand = scope.typed(e.operand, p.LONG)
            return Typed(operand, _cast_type(scope, e), True)
        case syntax.Access():
            return _follow(scope, _base(scope, e.base), e.path)
        case _:
            raise _Fault(
                "no-type",
                "the type behind this pointer is not known",
                e.span,
                'name it: @cast(pointer, "task_struct")->member',
            )


def _variable(scope: Scope, name: str, span: Span) -> Typed:
    site = scope.own_site
    if site is None:
        raise _Fault(
            "context-variable-in-function",
            f"'${name}' is known in probes only",
            span,
            "give its value to the function as an argument",
        )
    variable = site.variables.get(name)
    if variable is None:
        known = [v for v in site.variables if not v.startswith("arg")] or list(site.variables)
        hint = did_you_mean(name, known).replace("'", "'$", 1) or (
            f"it has {', '.join('$' + v for v in known)}" if known else ""
        )
        raise _Fault("unknown-context-variable", f"{site.point} has no '${name}'", span, hint)
    btf = scope.world.environment.kernel.btf
    type_id = variable.type_id
    integer = layout.integer(btf, type_id) if type_id is not None else layout.Integer(8, True)
    if integer is None:
        assert type_id is not None
        raise _Fault(
            "bad-context-variable",
            f"'${name}' is of type '{type_name(btf, type_id)}', which no register holds",
            span,
        )
    value: p.Expr
    if variable.source == "return":
        value = p.ReturnValue(integer.size, integer.signed, span)
    else:
        value = p.Argument(variable.index, integer.size, integer.signed, span)
        if variable.at_entry and not scope.in_entry:
            value = scope.entry(value, span)
    return Typed(value, type_id if type_id is not None else kinds.VOID, False)


def _cast_type(scope: Scope, e: syntax.Cast) -> TypeId:
    btf = scope.world.environment.kernel.btf
    name = e.type_name.removesuffix("*").strip()
    wanted: tuple[type[kinds.Struct] | type[kinds.Union] | type[kinds.Typedef], ...]
    if name.startswith("struct "):
        name, wanted = name.removeprefix("struct ").strip(), (kinds.Struct,)
    elif name.startswith("union "):
        name, wanted = name.removeprefix("union ").strip(), (kinds.Union,)
    else:
        wanted = (kinds.Struct, kinds.Typedef, kinds.Union)
    for kind in wanted:
        found = btf.find_all(kind, name)
        if found:
            return found[0].id
    raise _Fault(
        "unknown-type",
        f"the kernel has no type '{e.type_name}'",
        e.span,
        did_you_mean(name, btf.names(kinds.Struct)),
    )


def _follow(scope: Scope, start: Typed, path: tuple[syntax.Field | syntax.Element, ...]) -> Typed:
    btf = scope.world.environment.kernel.btf
    at = start
    for step in path:
        if at.bits is not None:
            raise _Fault("bad-context-variable", "a bitfield has no members", step.span)
        match step:
            case syntax.Field():
                at = _field(btf, at, step)
            case syntax.Element():
                at = _element(scope, btf, at, step)
    return at


def _address(btf: Btf, at: Typed, span: Span) -> tuple[p.Expr, TypeId]:
    """The address of what a value is or points to, and that thing's type."""
    match found := btf.resolve(at.type_id):
        case kinds.Pointer():
            expr = p.Deref(at.expr, 8, False, False, span) if at.in_memory else at.expr
            return expr, found.target
        case _ if at.in_memory:
            return at.expr, at.type_id
        case _:
            raise _Fault(
                "not-a-pointer",
                f"'{type_name(btf, at.type_id)}' is no pointer and has no members",
                span,
            )


def _field(btf: Btf, at: Typed, step: syntax.Field) -> Typed:
    address, target = _address(btf, at, step.span)
    owner = layout.composite(btf, target)
    if owner is None:
        raise _Fault(
            "not-a-struct",
            f"'{type_name(btf, target)}' has no member '{step.name}'",
            step.span,
        )
    place = layout.place(btf, owner.id, [step.name])
    return Typed(_plus(address, place.steps[0].offset, step.span), place.type_id, True, place.bits)


def _element(scope: Scope, btf: Btf, at: Typed, step: syntax.Element) -> Typed:
    found = btf.resolve(at.type_id)
    if isinstance(found, kinds.Array) and at.in_memory:
        address, element = at.expr, found.element
    else:
        address, element = _address(btf, at, step.span)
    size = layout.sizeof(btf, element)
    index = scope.typed(step.index, p.LONG)
    if isinstance(index, p.Number):
        return Typed(_plus(address, index.value * size, step.span), element, True)
    scaled = p.Arithmetic("*", index, p.Number(size, step.span), step.span)
    return Typed(p.Arithmetic("+", address, scaled, step.span), element, True)


def _plus(address: p.Expr, offset: int, span: Span) -> p.Expr:
    return p.Arithmetic("+", address, p.Number(offset, span), span) if offset else address


def _load(scope: Scope, at: Typed, span: Span) -> p.Expr:
    if not at.in_memory:
        return at.expr
    btf = scope.world.environment.kernel.btf
    if at.bits is not None:
        unit = p.Deref(at.expr, at.bits.unit, False, False, span)
        shifted = p.Arithmetic(">>>", unit, p.Number(at.bits.shift, span), span)
        mask = p.Number((1 << at.bits.width) - 1, span)
        return p.Arithmetic("&", shifted, mask, span)
    integer = layout.integer(btf, at.type_id)
    if integer is not None:
        return p.Deref(at.expr, integer.size, integer.signed, False, span)
    if isinstance(btf.resolve(at.type_id), kinds.Array):
        return at.expr  # an array is its address, as in C
    raise _Fault(
        "whole-struct",
        f"'{type_name(btf, at.type_id)}' is read as a whole",
        span,
        "name one of its members, or its address with &",
    )


def _summary(scope: Scope, what: str, span: Span) -> p.Expr:
    """`$$parms` and its kin: `name=0x1 ...`."""
    site = scope.own_site if what != "name" else scope.site
    if site is None:
        raise _Fault("context-variable-in-function", f"'$${what}' is known in probes only", span)
    named = [v for v in site.variables.values() if not v.name.startswith("arg")]
    match what:
        case "vars":
            chosen = named
        case "parms":
            chosen = [v for v in named if v.source == "argument"]
        case "return":
            chosen = [v for v in named if v.source == "return"]
        case "locals":
            chosen = []
        case "name":
            from compiler.resolve.printing import function_name

            return function_name(scope, span)
        case _:
            raise _Fault("unknown-context-variable", f"there is no '$${what}'", span)
    args = tuple(_variable(scope, v.name, span).expr for v in chosen)
    return p.Format(" ".join(f"{v.name}=%#x" for v in chosen), args, span)


def _pretty(scope: Scope, at: Typed, depth: int, span: Span) -> p.Expr:
    """`$v$`: text for people. Strings read as text, structs as {.member=value, ...}."""
    btf = scope.world.environment.kernel.btf
    if layout.is_string(btf, at.type_id):
        found = btf.resolve(at.type_id)
        if isinstance(found, kinds.Array):
            return p.CharsAt(at.expr, found.count, span)
        return p.CharsAt(_load(scope, at, span), 0, span)
    pieces: list[str] = []
    args: list[p.Expr] = []
    _describe(scope, at, depth, span, pieces, args, top=True)
    return p.Format("".join(pieces), tuple(args), span)


def _describe(
    scope: Scope,
    at: Typed,
    depth: int,
    span: Span,
    pieces: list[str],
    args: list[p.Expr],
    *,
    top: bool,
) -> None:
    btf = scope.world.environment.kernel.btf
    found = btf.resolve(at.type_id)
    target = btf.resolve(found.target) if isinstance(found, kinds.Pointer) else None
    if top and isinstance(target, kinds.Struct | kinds.Union):
        address, type_id = _address(btf, at, span)
        at, found = Typed(address, type_id, True), btf.resolve(type_id)
    if isinstance(found, kinds.Struct | kinds.Union) and at.in_memory:
        if depth <= 0:
            pieces.append("{...}")
            return
        pieces.append("{")
        for i, member in enumerate(layout.members(btf, found)):
            if len(args) >= 32:
                pieces.append(", ...")
                break
            pieces.append(f"{', ' if i else ''}.{member.name}=")
            place = layout.place(btf, found.id, [member.name])
            inner = Typed(
                _plus(at.expr, place.steps[0].offset, span), place.type_id, True, place.bits
            )
            _describe(scope, inner, depth - 1, span, pieces, args, top=False)
        pieces.append("}")
        return
    if isinstance(found, kinds.Array):
        if layout.is_string(btf, at.type_id):
            pieces.append('"%s"')
            args.append(p.CharsAt(at.expr, found.count, span))
        else:
            pieces.append("[...]")
        return
    integer = layout.integer(btf, at.type_id)
    if integer is None:
        pieces.append("?")
        return
    pieces.append("%p" if isinstance(found, kinds.Pointer) else "%i")
    args.append(_load(scope, at, span))
