# SPDX-License-Identifier: GPL-2.0-or-later
"""Values as text for people: `$$parms` and its kin, `$v$` and `$v$$`.

$$parms   -> Format("file=%p count=%p", ...)
$$parms$  -> Format("file=%s count=%u", (<$file$>, ...))      $$parms$$ has $file$$
$file$    -> Format("{.f_path={...}, .f_flags=%u}", ...)      $file$$ shows what is inside, too

Directives by type: %i signed numbers, enums and booleans, %u unsigned ones, %c char, %p pointers, quoted
text for arrays of char and pointers to it. If something cannot be read, the whole text is ERROR.
"""

from __future__ import annotations

from compiler.ir import program as p
from compiler.ir.hooks import Tracepoint
from compiler.ir.source import Span
from compiler.kernel import btf_types, type_layout
from compiler.kernel.btf_types import TypeId
from compiler.resolve.context_variables import context_variable, function_name
from compiler.resolve.contexts import FunctionContext
from compiler.resolve.memory_path import (
    TargetError,
    TypedValue,
    address_of,
    btf_of,
    element_of,
    load,
    member_of,
)
from runtime.support.lazy_regex import pattern
from runtime.support.record import field, record

_BY_NUMBER = pattern(r"arg\d+")
_MOST_VALUES = 32  # in one text; more end it with an ellipsis
_MOST_ELEMENTS = 5  # of an array


def summary(ctx: FunctionContext, what: str, dollars: int, span: Span) -> p.Expr:
    """`$$parms` and its kin: `name=0x1 ...`; with dollars behind, each value is as `$v$` or `$v$$`."""
    site = ctx.site if what == "name" else ctx.exact_site
    if site is None:
        raise TargetError(
            "context-variable-in-function", f"'$${what}' is known in probes only", span
        )
    if not (site.function or site.system or site.variables):
        raise TargetError(
            "unknown-context-variable", f"{site.point} has no context variables", span
        )
    # $arg1 of a function is a second name of a parameter
    traced = isinstance(site.hook, Tracepoint)
    first_names = site.positional or bool(site.provider) or traced
    named = [v for v in site.variables.values() if first_names or not _BY_NUMBER.fullmatch(v.name)]
    named = [v for v in named if v.source != "verdict"]
    match what:
        case "vars":
            chosen = named
        case "parms":
            chosen = [v for v in named if v.source == "argument"]
        case "return":
            chosen = [v for v in named if v.source == "return"]
        case "locals":  # a program's, known to its DWARF
            chosen = [v for v in named if v.source == "local"]
        case "name":
            return function_name(ctx, span) if site.function else p.String(site.point, span)
        case "provider" if site.provider:
            return p.String(site.provider, span)
        case "system" if site.system or traced or site.positional:  # "" if it is not known
            return p.String(site.system, span)
        case _:
            hint = "there are $$vars, $$parms, $$locals, $$return and $$name"
            raise TargetError("unknown-context-variable", f"there is no '$${what}'", span, hint)
    pieces: list[str] = []
    args: list[p.Expr] = []
    for v in chosen:
        try:
            at = context_variable(ctx, v.name, span)
            if dollars and at.type_id != btf_types.VOID:
                args.append(describe(ctx, at, dollars, span))
                pieces.append(f"{v.name}=%s")
            else:
                args.append(load(ctx, at, span))
                pieces.append(f"{v.name}=%p")  # as %#x, and 0x0
        except TargetError as error:  # in no register, or not one number
            pieces.append(f"{v.name}={{...}}" if error.slug == "whole-struct" else f"{v.name}=?")
    if not args:
        return p.String(" ".join(pieces), span)
    return p.Format(" ".join(pieces), tuple(args), span)


def describe(ctx: FunctionContext, at: TypedValue, dollars: int, span: Span) -> p.Expr:
    """`$v$`, or with two dollars `$v$$`, which shows nested structs and arrays."""
    text = _Text(ctx, dollars > 1, span)
    btf = btf_of(ctx)
    found = btf.resolve(at.type_id)
    target = btf.resolve(found.target) if isinstance(found, btf_types.Pointer) else None
    if isinstance(target, btf_types.Struct | btf_types.Union | btf_types.Forward):
        address, type_id = address_of(btf, at, span)
        owner = type_layout.composite(btf, type_id)
        if owner is not None:
            at = TypedValue(address, owner.id, True)
    text.value(at, top=True)
    made = p.Format("".join(text.pieces), tuple(text.args), span)
    return p.Guard(made, p.String("ERROR", span), span)


@record(frozen=False)
class _Text:
    """A format under construction, and its arguments."""

    ctx: FunctionContext
    deep: bool
    span: Span
    pieces: list[str] = field(default_factory=list)
    args: list[p.Expr] = field(default_factory=list)

    def value(self, at: TypedValue, *, top: bool = False) -> None:
        btf = btf_of(self.ctx)
        found = btf.resolve(at.type_id)
        match found:
            case btf_types.Struct() | btf_types.Union():
                self._struct(at, found, shown=top or self.deep)
            case btf_types.Array():
                self._array(at, found, shown=top or self.deep)
            case btf_types.Pointer() if type_layout.is_string(btf, at.type_id):
                self._text(load(self.ctx, at, self.span), at.type_id)
            case btf_types.Pointer():
                self._argument("%p", at)
            case btf_types.Int():
                plain = found.name == "char"
                self._argument("%c" if plain else "%i" if _signed(found) else "%u", at)
            case btf_types.Enum():
                self._argument("%i", at)
            case _:
                self.pieces.append("?")

    def _argument(self, directive: str, at: TypedValue) -> None:
        self.pieces.append(directive)
        self.args.append(load(self.ctx, at, self.span))

    def _text(self, address: p.Expr, type_id: TypeId, length: int = 0) -> None:
        """Text in quotes; a pointer that cannot be read is shown as a number."""
        chars = p.CharsAt(address, length, btf_of(self.ctx).is_program(type_id), self.span)
        if length:
            self.pieces.append('"%s"')
            self.args.append(chars)
            return
        quoted = p.Format('"%s"', (chars,), self.span)
        self.pieces.append("%s")
        self.args.append(p.Guard(quoted, p.Format("%p", (address,), self.span), self.span))

    def _struct(self, at: TypedValue, found: btf_types.Composite, *, shown: bool) -> None:
        if not shown:
            self.pieces.append("{...}")
            return
        btf = btf_of(self.ctx)
        self.pieces.append("{")
        for i, one in enumerate(type_layout.members(btf, found)):
            if i:
                self.pieces.append(", ")
            if len(self.args) >= _MOST_VALUES:
                self.pieces.append("...")
                break
            self.pieces.append(f".{one.name}=")
            self.value(member_of(self.ctx, at, found.id, one.name, self.span))
        self.pieces.append("}")

    def _array(self, at: TypedValue, found: btf_types.Array, *, shown: bool) -> None:
        btf = btf_of(self.ctx)
        if type_layout.is_string(btf, at.type_id) and found.count and not at.words:
            self._text(at.expr, at.type_id, found.count)
            return
        if not shown or not found.count:
            self.pieces.append("[...]")
            return
        self.pieces.append("[")
        for i in range(found.count):
            if i:
                self.pieces.append(", ")
            if i == _MOST_ELEMENTS or len(self.args) >= _MOST_VALUES:
                self.pieces.append("...")
                break
            self.value(element_of(self.ctx, at, found.element, i, self.span))
        self.pieces.append("]")


def _signed(found: btf_types.Int) -> bool:
    return found.signed or found.boolean
