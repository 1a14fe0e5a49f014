# SPDX-License-Identifier: GPL-2.0-or-later
"""A program as a script, with every bracket written, or with the fewest that the language needs.

Binary("+", a, Binary("*", b, c))  ->  (a + (b * c))   or   a + b * c
"""

from __future__ import annotations

from runtime.support.exhaustive import assert_never
from tests.language.fuzz import tree as t
from tests.language.fuzz.regex import pattern_text

# From the language reference, tightest last: SystemTap's order, not C's.
_LEVELS = (
    ("=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>=", ".="), ("?:",), ("||",), ("&&",), ("|",),
    ("^",), ("&",), ("in",), ("<", "<=", ">", ">=", "==", "!="), ("<<", ">>", ">>>"), (".",), ("+", "-"),
    ("*", "/", "%"), ("unary",), ("primary",),
)  # fmt: skip
_LEVEL = {op: number for number, ops in enumerate(_LEVELS) for op in ops}
_ASSIGN, _CONDITIONAL, _IN, _UNARY, _PRIMARY = map(
    _LEVEL.__getitem__, ("=", "?:", "in", "unary", "primary")
)


def script(program: t.Program, *, brackets: bool) -> str:
    return _Writer(brackets).program(program)


def literal(text: str) -> str:
    escapes = {"\n": "\\n", "\t": "\\t", '"': '\\"', "\\": "\\\\", "\x01": "\\001"}
    return '"' + "".join(escapes.get(c, c) for c in text) + '"'


def format_text(form: t.Format) -> str:
    """The format string itself."""
    pieces = [
        d.before.replace("%", "%%") + f"%{d.flags}{d.width}{d.precision}{d.conversion}"
        for d in form.directives
    ]
    return "".join(pieces) + form.after.replace("%", "%%")


class _Writer:
    def __init__(self, brackets: bool) -> None:
        self.brackets = brackets

    # ------------------------------------------------------------ expressions

    def inside(self, e: t.Expr, level: int) -> str:
        """The expression at a position that needs at least this level."""
        text, own = self.leveled(e)
        return f"({text})" if own < level or (self.brackets and own < _PRIMARY) else text

    def value(self, e: t.Expr) -> str:
        """The expression at a position where any expression is allowed."""
        return self.inside(e, _ASSIGN)

    def leveled(self, e: t.Expr) -> tuple[str, int]:
        match e:
            case t.Number():
                return {10: f"{e.value}", 16: f"0x{e.value:x}", 8: f"0{e.value:o}"}[
                    e.base
                ], _PRIMARY
            case t.Text():
                return literal(e.value), _PRIMARY
            case t.Variable():
                return e.name, _PRIMARY
            case t.Element():
                return f"{e.array}[{self.list(e.keys)}]", _PRIMARY
            case t.Unary():
                operand = self.inside(e.operand, _UNARY)
                # as two tokens: `- -x`, not `--x`; `!~` is one too
                return e.op + (" " if operand[0] in "+-~" else "") + operand, _UNARY
            case t.Binary():
                level = _LEVEL[e.op]
                left, right = self.inside(e.left, level), self.inside(e.right, level + 1)
                return f"{left} {e.op} {right}", level
            case t.Conditional():
                test, then = (
                    self.inside(e.test, _CONDITIONAL + 1),
                    self.inside(e.then, _CONDITIONAL),
                )
                return f"{test} ? {then} : {self.inside(e.otherwise, _CONDITIONAL)}", _CONDITIONAL
            case t.In():
                if len(e.keys) == 1 and e.keys[0] is not None:
                    return f"{self.inside(e.keys[0], _IN + 1)} in {e.array}", _IN
                # stap needs brackets around a key that compares
                keys = ("*" if k is None else self.inside(k, _LEVEL["<<"]) for k in e.keys)
                return f"[{', '.join(keys)}] in {e.array}", _IN
            case t.Extract():
                shift = "" if e.shift is None else f", {e.shift}"
                return f"@{e.what}({self.place(e.stat, e.keys)}{shift})", _PRIMARY
            case t.Bucket():
                return f"{self.buckets(e.buckets)}[{self.value(e.index)}]", _PRIMARY
            case t.Draw():
                return f"{e.kind}({self.buckets(e.buckets)})", _PRIMARY
            case t.Match():
                left = self.inside(e.value, _LEVEL["<<"])
                op = "!~" if e.negated else "=~"
                return (
                    f"{left} {op} {literal(pattern_text(e.pattern))}",
                    _IN,
                )  # it cannot be chained with other comparisons
            case t.Call():
                return f"{e.function}({self.list(e.args)})", _PRIMARY
            case t.Assign():
                return f"{self.value(e.target)} {e.op} {self.inside(e.value, _ASSIGN)}", _ASSIGN
            case t.Increment():
                target = self.value(e.target)
                return (f"{e.op}{target}", _UNARY) if e.prefix else (f"{target}{e.op}", _UNARY + 1)
            case t.Print():
                return self.print(e), _PRIMARY
            case _:
                assert_never(e)

    def list(self, values: tuple[t.Expr, ...]) -> str:
        return ", ".join(self.value(v) for v in values)

    def keys(self, keys: tuple[t.Expr | None, ...]) -> str:
        return ", ".join("*" if key is None else self.value(key) for key in keys)

    def buckets(self, b: t.Buckets) -> str:
        place = self.place(b.stat, b.keys)
        if not b.shape.interval:
            return f"@hist_log({place})"
        return f"@hist_linear({place}, {b.shape.low}, {b.shape.high}, {b.shape.interval})"

    def place(self, name: str, keys: tuple[t.Expr | None, ...]) -> str:
        return f"{name}[{self.keys(keys)}]" if keys else name

    def print(self, e: t.Print) -> str:
        args = [self.value(a) for a in e.args]
        if e.format is not None:
            args = [literal(format_text(e.format)), *(self.value(a) for a in e.format.args)]
        elif e.kind.endswith(("printd", "printdln")):
            args = [literal(e.delimiter), *args]
        return f"{e.kind}({', '.join(args)})"

    # ------------------------------------------------------------ statements

    def block(self, stmts: t.Stmts) -> str:
        return "{ " + self.stmts(stmts) + " }"

    def stmts(self, stmts: t.Stmts) -> str:
        """One statement a line; with few brackets also without the semicolons that are optional before a
        word."""
        lines = [self.stmt(s) for s in stmts]
        for i, line in enumerate(lines[:-1]):
            if not self.brackets and line.endswith(");") and lines[i + 1][:1].isalpha():
                lines[i] = line[:-1]
        return "\n".join(lines)

    def stmt(self, s: t.Stmt) -> str:
        match s:
            case t.Do():
                return f"{self.value(s.value)};"
            case t.Accumulate():
                return f"{self.place(s.stat, s.keys)} <<< {self.inside(s.value, _ASSIGN)};"
            case t.If():
                text = f"if ({self.value(s.test)}) {self.block(s.then)}"
                return text + (f" else {self.block(s.otherwise)}" if s.otherwise else "")
            case t.Count(counter=n):
                if s.up:
                    return f"for ({n} = 0; {n} < {s.times}; {n}++) {self.block(s.body)}"
                return f"{n} = {s.times}; while ({n} > 0) {{ {n}--; {self.stmts(s.body)} }}"
            case t.Foreach():
                return self.foreach(s)
            case t.EachBucket():
                return self.each_bucket(s)
            case t.Leave():
                return f"{s.word};"
            case t.Return():
                return f"return {self.value(s.value)};"
            case t.Delete():
                return f"delete {self.place(s.name, s.keys)};"
            case t.Try():
                caught = f" ({s.variable})" if s.variable else ""
                return f"try {self.block(s.body)} catch{caught} {self.block(s.handler)}"
            case t.Fail():
                return f"error({self.value(s.message)});"
            case _:
                assert_never(s)

    def foreach(self, s: t.Foreach) -> str:
        sign = "-" if s.down else "+"
        names = [k.name + (sign if s.sort == i else "") for i, k in enumerate(s.keys)]
        keys = names[0] if len(names) == 1 else f"[{', '.join(names)}]"
        value = f"{s.value.name} = " if s.value else ""
        array = self.place(s.array, s.only)
        if s.sort == -1:
            array += sign
        elif isinstance(s.sort, str):
            array += f" @{s.sort}{sign}"
        limit = f" limit {self.value(s.limit)}" if s.limit is not None else ""
        return f"foreach ({value}{keys} in {array}{limit}) {self.block(s.body)}"

    def each_bucket(self, s: t.EachBucket) -> str:
        value = f"{s.value.name} = " if s.value else ""
        limit = f" limit {self.value(s.limit)}" if s.limit is not None else ""
        head = f"{value}{s.index.name}{'-' if s.down else ''} in {self.buckets(s.buckets)}{limit}"
        return f"foreach ({head}) {self.block(s.body)}"

    # ------------------------------------------------------------ items

    def program(self, program: t.Program) -> str:
        items = [self.declaration(g) for g in program.globals]
        items += [self.function(f) for f in program.functions]
        items += [f"probe {p.point} {self.block(p.body)}" for p in program.probes]
        return "\n".join(items) + "\n"

    def function(self, f: t.Function) -> str:
        kinds = [f"{p.name}:{p.type}" if f.annotated else p.name for p in f.parameters]
        result = f":{f.type}" if f.annotated else ""
        priority = "" if f.priority is None else f":{f.priority}"
        body = self.block(f.body) if f.code is None else f"%{{ {f.code} %}}"
        return f"function {f.name}{result}({', '.join(kinds)}){priority} {body}"

    def declaration(self, g: t.Declaration) -> str:
        size = f"[{g.size}]" if g.size is not None else ""
        start = ""
        if g.start is not None:
            start = f" = {g.start if isinstance(g.start, int) else literal(g.start)}"
        return f"global {g.name}{size}{start}"
