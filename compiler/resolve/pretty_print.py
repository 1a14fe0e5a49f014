# SPDX-License-Identifier: GPL-2.0-or-later
"""Values as text for people: `$$parms` and its kin, `$v$` and `$v$$`.

$$parms   -> Format("file=%p count=%p", ...)
$file$    -> Format("{.f_path={...}, .f_flags=%u}", ...)      $file$$ shows what is inside, too

Directives by type: %i signed numbers, enums and booleans, %u unsigned ones, %c char, %p pointers, quoted
text for arrays of char and pointers to it. What cannot be read makes the whole text ERROR, never an error.
"""

from __future__ import annotations

from compiler.ir import program as p
from compiler.ir.source import Span
from compiler.kernel import btf_types, type_layout
from compiler.kernel.btf_types import TypeId
from compiler.resolve.context_variables import Typed, address_of, btf_of, load, plus, variable
from compiler.resolve.print_statements import function_name
from compiler.resolve.scope import Scope
from compiler.resolve.type_names import Fault
from runtime.support.record import field, record

_MOST_VALUES = 32  # in one text; more end it with an ellipsis
_MOST_ELEMENTS = 5  # of an array


def summary(scope: Scope, what: str, span: Span) -> p.Expr:
    """`$$parms` and its kin: `name=0x1 ...`."""
    site = scope.site if what == "name" else scope.own_site
    if site is None:
        raise Fault("context-variable-in-function", f"'$${what}' is known in probes only", span)
    if not (site.function or site.system or site.variables):
        raise Fault("unknown-context-variable", f"{site.point} has no context variables", span)
    named = [v for v in site.variables.values() if site.provider or not v.name.startswith("arg")]
    named = [v for v in named if v.source != "verdict"]
    match what:
        case "vars":
            chosen = named
        case "parms":
            chosen = [v for v in named if v.source == "argument"]
        case "return":
            chosen = [v for v in named if v.source == "return"]
        case "locals":  # known to debuginfo only
            chosen = []
        case "name":
            return function_name(scope, span) if site.function else p.String(site.point, span)
        case "provider" if site.provider:
            return p.String(site.provider, span)
        case "system" if site.system:
            return p.String(site.system, span)
        case _:
            hint = "there are $$vars, $$parms, $$locals, $$return and $$name"
            raise Fault("unknown-context-variable", f"there is no '$${what}'", span, hint)
    pieces: list[str] = []
    args: list[p.Expr] = []
    for v in chosen:
        try:
            args.append(variable(scope, v.name, span).expr)
            pieces.append(f"{v.name}=%p")  # as %#x, and 0x0
        except Fault:  # in no register
            pieces.append(f"{v.name}=?")
    if not args:
        return p.String(" ".join(pieces), span)
    return p.Format(" ".join(pieces), tuple(args), span)


def describe(scope: Scope, at: Typed, dollars: int, span: Span) -> p.Expr:
    """`$v$`, or with two dollars all that is inside."""
    text = _Text(scope, dollars > 1, span)
    btf = btf_of(scope)
    found = btf.resolve(at.type_id)
    target = btf.resolve(found.target) if isinstance(found, btf_types.Pointer) else None
    if isinstance(target, btf_types.Struct | btf_types.Union | btf_types.Forward):
        address, type_id = address_of(btf, at, span)
        owner = type_layout.composite(btf, type_id)
        if owner is not None:
            at = Typed(address, owner.id, True)
    text.value(at, top=True)
    made = p.Format("".join(text.pieces), tuple(text.args), span)
    return p.Guard(made, p.String("ERROR", span), span)


@record(frozen=False)
class _Text:
    """A format under way, and its arguments."""

    scope: Scope
    deep: bool
    span: Span
    pieces: list[str] = field(default_factory=list)
    args: list[p.Expr] = field(default_factory=list)

    def value(self, at: Typed, *, top: bool = False) -> None:
        btf = btf_of(self.scope)
        found = btf.resolve(at.type_id)
        match found:
            case btf_types.Struct() | btf_types.Union():
                self._struct(at, found, shown=top or self.deep)
            case btf_types.Array():
                self._array(at, found, shown=top or self.deep)
            case btf_types.Pointer() if type_layout.is_string(btf, at.type_id):
                self._text(load(self.scope, at, self.span))
            case btf_types.Pointer():
                self._argument("%p", at)
            case btf_types.Int():
                plain = found.name == "char"
                self._argument("%c" if plain else "%i" if _signed(found) else "%u", at)
            case btf_types.Enum():
                self._argument("%i", at)
            case _:
                self.pieces.append("?")

    def _argument(self, directive: str, at: Typed) -> None:
        self.pieces.append(directive)
        self.args.append(load(self.scope, at, self.span))

    def _text(self, address: p.Expr, length: int = 0) -> None:
        """In quotes; a pointer that leads nowhere is shown as such."""
        chars = p.CharsAt(address, length, self.span)
        if length:
            self.pieces.append('"%s"')
            self.args.append(chars)
            return
        quoted = p.Format('"%s"', (chars,), self.span)
        self.pieces.append("%s")
        self.args.append(p.Guard(quoted, p.Format("%p", (address,), self.span), self.span))

    def _struct(self, at: Typed, found: btf_types.Composite, *, shown: bool) -> None:
        if not shown:
            self.pieces.append("{...}")
            return
        btf = btf_of(self.scope)
        self.pieces.append("{")
        for i, member in enumerate(type_layout.members(btf, found)):
            if i:
                self.pieces.append(", ")
            if len(self.args) >= _MOST_VALUES:
                self.pieces.append("...")
                break
            self.pieces.append(f".{member.name}=")
            self.value(self._member(at, found.id, member.name))
        self.pieces.append("}")

    def _member(self, at: Typed, owner: TypeId, name: str) -> Typed:
        place = type_layout.place(btf_of(self.scope), owner, [name])
        address = plus(at.expr, place.steps[0].offset, self.span)
        return Typed(address, place.type_id, True, place.bits)

    def _array(self, at: Typed, found: btf_types.Array, *, shown: bool) -> None:
        btf = btf_of(self.scope)
        if type_layout.is_string(btf, at.type_id) and found.count:
            self._text(at.expr, found.count)
            return
        if not shown or not found.count:
            self.pieces.append("[...]")
            return
        size = type_layout.sizeof(btf, found.element)
        self.pieces.append("[")
        for i in range(found.count):
            if i:
                self.pieces.append(", ")
            if i == _MOST_ELEMENTS or len(self.args) >= _MOST_VALUES:
                self.pieces.append("...")
                break
            self.value(Typed(plus(at.expr, i * size, self.span), found.element, True))
        self.pieces.append("]")


def _signed(found: btf_types.Int) -> bool:
    return found.signed or found.boolean
