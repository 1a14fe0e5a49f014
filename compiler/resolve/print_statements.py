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
from compiler.resolve.contexts import FunctionContext
from compiler.resolve.statistics_ops import buckets
from compiler.resolve.type_environment import UNKNOWN, article
from compiler.resolve.variables import key_name
from runtime.abi.manifest import ValueType
from runtime.events.printf import (
    Argument,
    Conversion,
    Directive,
    DirectiveError,
    Kind,
    Piece,
    Role,
    Star,
    arguments,
    parse,
)

_MOST_ARGUMENTS = 32  # as many as stap's print takes


def lower_print(
    ctx: FunctionContext, e: syntax.Print | syntax.Call, expected: ValueType | None = None
) -> p.Expr:
    """A print used as a value: sprint() and its like give the text, others 0 or an empty string."""
    if isinstance(e, syntax.Call) or not e.name.startswith("s"):
        printed = lower_log(ctx, e) if isinstance(e, syntax.Call) else _print(ctx, e)
        if isinstance(e, syntax.Call) and expected not in (LONG, STRING):
            return p.After(printed, p.Number(0, e.span), e.span, None)
        if expected is STRING:
            return p.After(printed, p.String("", e.span), e.span, STRING)
        return p.After(printed, p.Number(0, e.span), e.span)
    format_, args, _ = _parts(ctx, e)
    if any(isinstance(a, p.Buckets) for a in args):
        return _with_histograms(ctx, e, format_, args)
    values = tuple(a for a in args if not isinstance(a, p.Buckets))
    return p.Format(format_, values, e.span)


def _with_histograms(
    ctx: FunctionContext, e: syntax.Print, form: str, args: tuple[p.Expr | p.Buckets, ...]
) -> p.Expr:
    """Histograms among the arguments are rendered first, and then are strings like other arguments."""
    values = tuple(p.Drawing(a, e.span) if isinstance(a, p.Buckets) else a for a in args)
    return values[0] if form == "%s" else p.Format(form, values, e.span)


def lower_print_stmt(ctx: FunctionContext, e: syntax.Print) -> p.Stmt:
    """print, println, printd, printdln and printf as statements."""
    if e.name.startswith("s"):
        return p.ExprStmt(lower_print(ctx, e), e.span)
    return _print(ctx, e)


def _print(ctx: FunctionContext, e: syntax.Print) -> p.Print:
    form, args, names = _parts(ctx, e)
    shown: list[p.Expr | p.Buckets | p.Memory] = list(args)
    # a reader cannot read the kernel's memory: the bytes that %m and %M show are part of the record
    for i, needed in enumerate(arguments(parse(form)) if e.format is not None else ()):
        address = shown[i] if needed.kind is Kind.MEMORY else None
        if address is not None and not isinstance(address, p.Buckets | p.Memory):
            precision = needed.directive.precision
            length = None if precision is Star.STAR else precision or 1
            shown[i] = p.Memory(address, length, needed.directive.user_memory, address.span)
    return p.Print(form, tuple(shown), names, False, e.span)


def lower_log(ctx: FunctionContext, e: syntax.Call) -> p.Print:
    """`log(text)`: a record of its own line, with the values in `text` as fields."""
    value = ctx.typed(e.args[0], STRING)
    if isinstance(value, p.String):
        return p.Print(_escape(value.value) + "\n", (), (), True, e.span)
    if isinstance(value, p.Format):
        names = _unique([_name(None, i) for i in range(len(value.args))])
        return p.Print(value.format + "\n", value.args, names, True, e.span)
    return p.Print("%s\n", (value,), ("text",), True, e.span)


def _parts(
    ctx: FunctionContext, e: syntax.Print
) -> tuple[str, tuple[p.Expr | p.Buckets, ...], tuple[str, ...]]:
    args: list[p.Expr | p.Buckets] = []
    names: list[str] = []
    if len(e.args) > _MOST_ARGUMENTS:
        message = f"{e.name}() takes at most {_MOST_ARGUMENTS} arguments, and this is one more"
        ctx.report("wrong-arguments", message, e.args[_MOST_ARGUMENTS].span, "print in two steps")
    if e.format is not None:
        return _formatted(ctx, e, e.format)
    if e.name == "print_char":
        for unused in e.args[1:]:
            ctx.expr(unused)
        return "%c", (ctx.typed(e.args[0], LONG),), _unique([_name(e.args[0], 1)])
    pieces: list[str] = []
    for i, arg in enumerate(e.args):
        if i and e.delimiter is not None:
            pieces.append(_escape(e.delimiter.value))
        if isinstance(arg, syntax.Histogram):
            found = buckets(ctx, arg)
            if found is not None:
                pieces.append("%s")
                args.append(found)
                names.append(_name(arg, len(args)))
            continue
        value = ctx.expr(arg, None)
        if isinstance(value, p.String):
            pieces.append(_escape(value.value))
            continue
        if value.type is None:
            ctx.require(value, LONG, arg.span)
            continue
        if value.type not in (LONG, STRING, UNKNOWN):
            ctx.report(
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
    ctx: FunctionContext, e: syntax.Print, format_: syntax.String
) -> tuple[str, tuple[p.Expr | p.Buckets, ...], tuple[str, ...]]:
    try:
        pieces = parse(format_.value)
    except DirectiveError as error:
        where = literal_span(format_, error.position, error.position + 1)
        ctx.report("bad-format", error.message, where)
        return "", (), ()
    needed = arguments(pieces)
    if len(needed) != len(e.args):
        _report_count(ctx, e, format_, needed)
        return "", (), ()
    args = [_argument(ctx, arg, expected) for arg, expected in zip(e.args, needed, strict=True)]
    names = _unique([_name(arg, i + 1) for i, arg in enumerate(e.args)])
    form = format_.value
    if ctx.program.environment.old_pointers:
        form = _with_old_pointers(form, pieces)
    return form, tuple(args), names


def _with_old_pointers(form: str, pieces: tuple[Piece, ...]) -> str:
    """`%p` -> `%18.16p`: SystemTap 1.2 showed all digits of a pointer, or as many as a width has room for."""
    for piece in reversed(pieces):
        if isinstance(piece, Directive) and piece.conversion is Conversion.POINTER:
            width = 18 if piece.width is None else piece.width
            if isinstance(width, int):
                shown = f"%{piece.flag}{width}.{max(0, min(width - 2, 16))}p"
                form = form[: piece.position] + shown + form[piece.end :]
    return form


def _argument(ctx: FunctionContext, e: syntax.Expr, needed: Argument) -> p.Expr:
    expected = STRING if needed.kind is Kind.STRING else LONG
    value = ctx.expr(e, expected)
    if value.type in (expected, UNKNOWN):
        return value
    sign = f"%{needed.directive.conversion.value}"
    what = f"'{sign}'" if needed.role is Role.VALUE else f"the {needed.role.value} '*' of '{sign}'"
    found = article(value.type) if value.type else "nothing"
    hint = None
    if needed.role is Role.VALUE and value.type in (LONG, STRING):
        hint = f"use %{'d' if value.type is LONG else 's'} for {found}"
    ctx.report("type-mismatch", f"{what} takes {article(expected)}, not {found}", e.span, hint)
    return value


def _report_count(
    ctx: FunctionContext, e: syntax.Print, form: syntax.String, needed: tuple[Argument, ...]
) -> None:
    count = f"{len(needed)} argument{'' if len(needed) == 1 else 's'}"
    if len(e.args) > len(needed):
        where = e.args[len(needed)].span
        ctx.report("wrong-arguments", f"the format takes {count}, and this is one more", where)
        return
    directive = needed[len(e.args)].directive
    where = literal_span(form, directive.position, directive.end)
    ctx.report(
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
