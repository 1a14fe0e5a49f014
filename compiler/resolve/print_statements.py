# SPDX-License-Identifier: GPL-2.0-or-later
"""Printing: every print becomes a format with one directive for each argument.

println(pid(), " ", execname())  -> Print("%d %s\\n", (pid(), execname()))   [literals join the format]
sprintf("%d", x)                 -> Format("%d", (x,)), a string made in the kernel
"""

from __future__ import annotations

from compiler.frontend.literal_spans import literal_span
from compiler.ir import program as p
from compiler.ir import syntax
from compiler.ir.program import LONG, STRING
from compiler.ir.source import Span
from compiler.resolve.scope import Scope
from compiler.resolve.statistics_ops import buckets
from compiler.resolve.type_facts import UNKNOWN, article
from compiler.resolve.variables import key_name
from runtime.abi.manifest import ValueType
from runtime.events.printf import Argument, DirectiveError, Kind, Role, Star, arguments, parse


def lower_print(
    scope: Scope, e: syntax.Print | syntax.Call, want: ValueType | None = None
) -> p.Expr:
    """A printing expression: of the `s` family the text, of the others 0, or "" where a string is wanted."""
    if isinstance(e, syntax.Call) or not e.name.startswith("s"):
        printed = lower_log(scope, e) if isinstance(e, syntax.Call) else _print(scope, e)
        if isinstance(e, syntax.Call) and want not in (LONG, STRING):
            return p.After(printed, p.Number(0, e.span), e.span, None)
        if want is STRING:
            return p.After(printed, p.String("", e.span), e.span, STRING)
        return p.After(printed, p.Number(0, e.span), e.span)
    format_, args, _ = _parts(scope, e)
    if any(isinstance(a, p.Buckets) for a in args):
        return _drawing(scope, e, format_, args)
    values = tuple(a for a in args if not isinstance(a, p.Buckets))
    return p.Format(format_, values, e.span)


def _drawing(
    scope: Scope, e: syntax.Print, form: str, args: tuple[p.Expr | p.Buckets, ...]
) -> p.Expr:
    """Histograms among the arguments are drawn first, and are texts as others are."""
    values = tuple(p.Drawing(a, e.span) if isinstance(a, p.Buckets) else a for a in args)
    return values[0] if form == "%s" else p.Format(form, values, e.span)


def lower_print_stmt(scope: Scope, e: syntax.Print) -> p.Stmt:
    """print, println, printd, printdln and printf as statements."""
    if e.name.startswith("s"):
        return p.ExprStmt(lower_print(scope, e), e.span)
    return _print(scope, e)


def _print(scope: Scope, e: syntax.Print) -> p.Print:
    form, args, names = _parts(scope, e)
    shown: list[p.Expr | p.Buckets | p.Memory] = list(args)
    # a reader cannot look at the kernel's memory: what %m and %M show goes with the record
    for i, wanted in enumerate(arguments(parse(form)) if e.format is not None else ()):
        address = shown[i] if wanted.kind is Kind.MEMORY else None
        if address is not None and not isinstance(address, p.Buckets | p.Memory):
            precision = wanted.directive.precision
            length = None if precision is Star.STAR else precision or 1
            shown[i] = p.Memory(address, length, wanted.directive.user_memory, address.span)
    return p.Print(form, tuple(shown), names, False, e.span)


def lower_special(scope: Scope, e: syntax.Call) -> p.Expr | None:
    """Functions whose meaning is the probe's: pp(), pn(), probefunc()."""
    site = scope.site
    if site is None or e.args:
        return None
    match e.name:
        case "pn" if site.alias:
            scope.is_special = True
            return p.String(site.alias, e.span)
        case "pn":
            return lower_special(scope, syntax.Call("pp", (), e.name_span, e.span))
        case "pp" if site.hook.functions:
            before, _, after = site.point.partition(site.function)
            name = function_name(scope, e.span)
            return p.Format(f"{before}%s{after}", (name,), e.span)
        case "pp":
            return p.String(site.point, e.span)
        case "ppfunc" | "probefunc":
            return function_name(scope, e.span)
        case _:
            return None


def function_name(scope: Scope, span: Span) -> p.Expr:
    """The probed function's name: known when running, where it is one of a wildcard's."""
    site = scope.site
    assert site is not None
    if site.hook.functions:
        return scope.expr(syntax.Call(p.PROBED_FUNCTION, (), span, span), STRING)
    return p.String(site.function, span)


def lower_log(scope: Scope, e: syntax.Call) -> p.Print:
    """`log(text)`: a line of its own."""
    value = scope.typed(e.args[0], STRING)
    if isinstance(value, p.String):
        return p.Print(_escape(value.value) + "\n", (), (), True, e.span)
    if isinstance(value, p.Format):
        names = _unique([_name(None, i) for i in range(len(value.args))])
        return p.Print(value.format + "\n", value.args, names, True, e.span)
    return p.Print("%s\n", (value,), ("text",), True, e.span)


def _parts(
    scope: Scope, e: syntax.Print
) -> tuple[str, tuple[p.Expr | p.Buckets, ...], tuple[str, ...]]:
    args: list[p.Expr | p.Buckets] = []
    names: list[str] = []
    if e.format is not None:
        return _formatted(scope, e, e.format)
    if e.name == "print_char":
        for unused in e.args[1:]:
            scope.expr(unused)
        return "%c", (scope.typed(e.args[0], LONG),), _unique([_name(e.args[0], 1)])
    pieces: list[str] = []
    for i, arg in enumerate(e.args):
        if i and e.delimiter is not None:
            pieces.append(_escape(e.delimiter.value))
        if isinstance(arg, syntax.Histogram):
            found = buckets(scope, arg)
            if found is not None:
                pieces.append("%s")
                args.append(found)
                names.append(_name(arg, len(args)))
            continue
        value = scope.expr(arg, None)
        if isinstance(value, p.String):
            pieces.append(_escape(value.value))
            continue
        if value.type is None:
            scope.require(value, LONG, arg.span)
            continue
        if value.type not in (LONG, STRING, UNKNOWN):
            scope.facts.fault(
                "type-mismatch",
                f"{article(value.type)} cannot be printed",
                arg.span,
                "print one of its extractors, such as @count(...)",
            )
            continue
        pieces.append("%s" if value.type is STRING else "%d")
        args.append(value)
        names.append(_name(arg, len(args)))
    if e.name.endswith("ln"):
        pieces.append("\n")
    return "".join(pieces), tuple(args), _unique(names)


def _formatted(
    scope: Scope, e: syntax.Print, format_: syntax.String
) -> tuple[str, tuple[p.Expr | p.Buckets, ...], tuple[str, ...]]:
    try:
        pieces = parse(format_.value)
    except DirectiveError as error:
        where = literal_span(format_, error.position, error.position + 1)
        scope.facts.fault("bad-format", error.message, where)
        return "", (), ()
    wanted = arguments(pieces)
    if len(wanted) != len(e.args):
        _report_count(scope, e, format_, wanted)
        return "", (), ()
    args = [_argument(scope, arg, want) for arg, want in zip(e.args, wanted, strict=True)]
    names = _unique([_name(arg, i + 1) for i, arg in enumerate(e.args)])
    return format_.value, tuple(args), names


def _argument(scope: Scope, e: syntax.Expr, wanted: Argument) -> p.Expr:
    want = STRING if wanted.kind is Kind.STRING else LONG
    value = scope.expr(e, want)
    if value.type in (want, UNKNOWN):
        return value
    sign = f"%{wanted.directive.conversion.value}"
    what = f"'{sign}'" if wanted.role is Role.VALUE else f"the {wanted.role.value} '*' of '{sign}'"
    found = article(value.type) if value.type else "nothing"
    hint = None
    if wanted.role is Role.VALUE and value.type in (LONG, STRING):
        hint = f"use %{'d' if value.type is LONG else 's'} for {found}"
    scope.facts.fault("type-mismatch", f"{what} takes {article(want)}, not {found}", e.span, hint)
    return value


def _report_count(
    scope: Scope, e: syntax.Print, form: syntax.String, wanted: tuple[Argument, ...]
) -> None:
    count = f"{len(wanted)} argument{'' if len(wanted) == 1 else 's'}"
    if len(e.args) > len(wanted):
        where = e.args[len(wanted)].span
        scope.facts.fault(
            "wrong-arguments", f"the format takes {count}, and this is one more", where
        )
        return
    directive = wanted[len(e.args)].directive
    where = literal_span(form, directive.position, directive.end)
    scope.facts.fault(
        "wrong-arguments",
        f"there is no argument for this: the format takes {count}, not {len(e.args)}",
        where,
    )


def _escape(text: str) -> str:
    return text.replace("%", "%%")


def _name(e: syntax.Expr | None, number: int) -> str:
    found = key_name(e) if e is not None else None
    if isinstance(e, syntax.Extract | syntax.Histogram):
        found = getattr(e, "extractor", None) or "histogram"
    return found or f"arg{number}"


def _unique(names: list[str]) -> tuple[str, ...]:
    seen: dict[str, int] = {}
    found = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        found.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return tuple(found)
