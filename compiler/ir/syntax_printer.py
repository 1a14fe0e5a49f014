# SPDX-License-Identifier: GPL-2.0-or-later
"""Prints a syntax tree as text in one normal form, for `-p1` and for tests.

    probe  begin{a=1+2*b if(a)exit()}
      ->  probe begin {
            a = (1 + (2 * b));
            if (a)
              exit();
          }

The text has parentheses around every operation and a semicolon after every statement, so it shows
how the parser read the script. It is itself a valid script, with the same tree.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from compiler.ir import syntax as s
from runtime.support.exhaustive import assert_never

_ESCAPES = {"\n": "\\n", "\t": "\\t", "\r": "\\r", '"': '\\"', "\\": "\\\\"}


def print_script(script: s.Script) -> str:
    """Returns the text of a script, with a final newline."""
    return "".join(print_item(item) + "\n" for item in script.items)


def print_item(item: s.Item) -> str:
    """Returns the text of one item, without a final newline."""
    return "\n".join(_item(item))


def print_expression(expr: s.Expr) -> str:
    """Returns an expression on one line."""
    return _expr(expr)


def print_point(point: s.ProbePoint) -> str:
    """Returns a probe point with its suffix and condition."""
    text = ".".join(_component(component) for component in point.components)
    text += "?" * point.optional + "!" * point.sufficient
    return text if point.condition is None else f"{text} if ({_bare(point.condition)})"


def quote(text: str) -> str:
    """Returns the string literal whose value is `text`."""
    out = []
    for character in text:
        if character in _ESCAPES:
            out.append(_ESCAPES[character])
        elif " " <= character <= "~":
            out.append(character)
        else:
            out.append(f"\\{ord(character):03o}")
    return '"' + "".join(out) + '"'


def _item(item: s.Item) -> list[str]:
    match item:
        case s.Global():
            return [_global(item)]
        case s.Function():
            return _function(item)
        case s.Probe(points=points, body=body):
            return _braced(f"probe {_points(points)}", body)
        case s.ProbeAlias(names=names, epilogue=epilogue, points=points, body=body, after=after):
            sign = " += " if epilogue else " = "
            head = "".join(print_point(name) + sign for name in names)
            lines = _braced(f"probe {head}{_points(points)}", body)
            return lines if after is None else [*lines[:-1], *_braced("},", after)]
        case s.EmbeddedC(code=code):
            return [f"%{{{code}%}}"]
        case _:
            assert_never(item)


def _points(points: Iterable[s.ProbePoint]) -> str:
    return ", ".join(print_point(point) for point in points)


def _component(component: s.Component) -> str:
    if component.alternatives:
        inner = (".".join(map(_component, path)) for path in component.alternatives)
        return "{" + ", ".join(inner) + "}"
    match component.arg:
        case None:
            return component.name
        case int(number):
            return f"{component.name}({number})"
        case str(text):
            return f"{component.name}({quote(text)})"


def _global(item: s.Global) -> str:
    text = ("private global " if item.private else "global ") + item.name + "%" * item.wrap
    if item.size is not None:
        text += f"[{item.size}]"
    match item.init:
        case s.Number(value=value):
            text += f" = {value}"
        case s.String(value=string):
            text += f" = {quote(string)}"
    return text


def _function(item: s.Function) -> list[str]:
    head = "private function " if item.private else "function "
    parameters = ", ".join(p.name + (f":{p.type}" if p.type else "") for p in item.parameters)
    head += item.name + (f":{item.type}" if item.type else "") + f"({parameters})"
    if item.priority is not None:
        head += f":{item.priority}"
    if isinstance(item.body, s.EmbeddedC):
        return [f"{head} %{{{item.body.code}%}}"]
    return _braced(head, item.body)


# ---------------------------------------------------------------- statements


def _braced(head: str, block: s.Block) -> list[str]:
    """A block after `head`, with its opening brace on the same line."""
    if head:
        head += " "
    if not block.body:
        return [head + "{}"]
    return [head + "{", *_indented(block.body), "}"]


def _indented(body: Sequence[s.Stmt]) -> list[str]:
    return ["  " + line for statement in body for line in _stmt(statement)]


def _under(head: str, body: s.Stmt) -> list[str]:
    """A statement that `head` controls: a block after it, or any other indented below it."""
    if isinstance(body, s.Block):
        return _braced(head, body)
    return [head, *_indented((body,))]


def _stmt(stmt: s.Stmt) -> list[str]:
    match stmt:
        case s.Block():
            return _braced("", stmt)
        case s.Empty():
            return [";"]
        case s.ExprStmt(value=value):
            return [_bare(value) + ";"]
        case s.If(test=test, then=then, otherwise=otherwise):
            return _if(f"if ({_bare(test)})", then, otherwise)
        case s.While(test=test, body=body):
            return _under(f"while ({_bare(test)})", body)
        case s.For(init=init, test=test, step=step, body=body):
            parts = "; ".join("" if e is None else _bare(e) for e in (init, test, step))
            return _under(f"for ({parts})", body)
        case s.Foreach():
            return _under(_foreach(stmt), stmt.body)
        case s.Break():
            return ["break;"]
        case s.Continue():
            return ["continue;"]
        case s.Next():
            return ["next;"]
        case s.Return(value=result):
            return ["return;" if result is None else f"return {_bare(result)};"]
        case s.Delete(target=target):
            return [f"delete {_bare(target)};"]
        case s.TryCatch(body=body, variable=variable, handler=handler):
            name = "" if variable is None else f" ({variable.name})"
            lines = _braced("try", body)
            return [*lines[:-1], *_braced(f"{lines[-1]} catch{name}", handler)]
        case _:
            assert_never(stmt)


def _if(head: str, then: s.Stmt, otherwise: s.Stmt | None) -> list[str]:
    lines = _under(head, then)
    while otherwise is not None:
        # Print a chain of `else if` on one level, without recursion.
        if isinstance(otherwise, s.If):
            head, then, following = (
                f"else if ({_bare(otherwise.test)})",
                otherwise.then,
                otherwise.otherwise,
            )
        else:
            head, then, following = "else", otherwise, None
        if lines[-1] == "}":
            head = "} " + head
            lines.pop()
        lines += _under(head, then)
        otherwise = following
    return lines


def _foreach(stmt: s.Foreach) -> str:
    sign = "" if stmt.sort is None else "-" if stmt.sort.descending else "+"
    chosen = None if stmt.sort is None else stmt.sort.key
    keys = ", ".join(
        key.name + (sign if number == chosen else "") for number, key in enumerate(stmt.keys)
    )
    value = f"{stmt.value.name} = " if stmt.value else ""
    over = _expr(stmt.over)
    if stmt.slice:
        over += f"[{_list(stmt.slice)}]"
    if stmt.sort is not None and chosen is None:
        over += f" @{stmt.sort.extractor} {sign}" if stmt.sort.extractor else f" {sign}"
    limit = f" limit {_expr(stmt.limit)}" if stmt.limit else ""
    return f"foreach ({value}[{keys}] in {over}{limit})"


# ---------------------------------------------------------------- expressions


def _bare(expr: s.Expr) -> str:
    """An expression without the parentheses around the whole of it."""
    if isinstance(expr, s.Assign):
        return f"{_expr(expr.target)} {expr.op} {_bare(expr.value)}"
    text = _expr(expr)
    match expr:
        case s.Binary() | s.Match() | s.In() | s.Conditional() | s.Increment():
            return text[1:-1]
    return text


def _list(exprs: Iterable[s.Key]) -> str:
    return ", ".join("*" if isinstance(e, s.Wildcard) else _bare(e) for e in exprs)


def _expr(expr: s.Expr) -> str:
    match expr:
        case s.Number(value=value):
            return str(value if value >= 0 else value + (1 << 64))
        case s.String(value=text):
            return quote(text)
        case s.Name(name=name):
            return name
        case s.Index(array=array, keys=keys):
            return f"{array.name}[{_list(keys)}]"
        case s.Call(name=name, args=args):
            return f"{name}({_list(args)})"
        case s.Unary(op=op, operand=operand):
            # `- -x` would read as `--x`
            gap = " " if isinstance(operand, s.Unary | s.Increment) else ""
            return f"{op}{gap}{_expr(operand)}"
        case s.Increment(op=op, prefix=prefix, target=target):
            return f"({op}{_expr(target)})" if prefix else f"({_expr(target)}{op})"
        case s.Binary(op=op, left=left, right=right):
            return f"({_expr(left)} {op} {_expr(right)})"
        case s.Match(value=value, pattern=pattern, negated=negated):
            return f"({_expr(value)} {'!~' if negated else '=~'} {quote(pattern.value)})"
        case s.In(keys=keys, array=array):
            return f"([{_list(keys)}] in {array.name})"
        case s.Conditional(test=test, then=then, otherwise=otherwise):
            return f"({_expr(test)} ? {_expr(then)} : {_expr(otherwise)})"
        case s.Assign(op=op, target=target, value=value):
            return f"({_expr(target)} {op} {_expr(value)})"
        case s.Extract(extractor=name, stat=stat, args=args):
            return f"@{name}({_arguments(stat, args)})"
        case s.Histogram(kind=kind, stat=stat, args=args):
            return f"@hist_{kind}({_arguments(stat, args)})"
        case s.Bucket(histogram=histogram, index=index):
            return f"{_expr(histogram)}[{_bare(index)}]"
        case s.Print():
            return _print(expr)
        case s.TargetVar(name=name):
            return f"${name}"
        case s.Access():
            return _access(expr)
        case s.Cast(operand=operand, type_name=type_name, module=module):
            tail = "" if module is None else f", {quote(module)}"
            return f"@cast({_bare(operand)}, {quote(type_name)}{tail})"
        case s.AtVar(name=name, module=module):
            tail = "" if module is None else f", {quote(module)}"
            return f"@var({quote(name)}{tail})"
        case s.Defined(operand=operand):
            return f"@defined({_bare(operand)})"
        case s.Entry(operand=operand):
            return f"@entry({_bare(operand)})"
        case s.AtCall(name=name, args=args):
            return f"@{name}({', '.join(_signed(a) for a in args)})"
        case s.EmbeddedExpr(code=code):
            return f"%{{{code}%}}"
        case _:
            assert_never(expr)


def _signed(expr: s.Expr) -> str:
    """An argument for which the grammar takes a signed number, not an expression."""
    return str(expr.value) if isinstance(expr, s.Number) else _bare(expr)


def _arguments(stat: s.Expr, args: Sequence[s.Expr]) -> str:
    return ", ".join([_bare(stat), *(_signed(argument) for argument in args)])


def _print(expr: s.Print) -> str:
    first = [quote(p.value) for p in (expr.format, expr.delimiter) if p is not None]
    return f"{expr.name}({', '.join([*first, *(_bare(a) for a in expr.args)])})"


def _access(expr: s.Access) -> str:
    base = _expr(expr.base)
    if not isinstance(expr.base, s.TargetVar | s.Cast | s.AtVar) and base[0] != "(":
        base = f"({base})"
    for step in expr.path:
        base += f"->{step.name}" if isinstance(step, s.Field) else f"[{_bare(step.index)}]"
    base += "$" * expr.pretty
    return f"(&{base})" if expr.address else base
