# SPDX-License-Identifier: GPL-2.0-or-later
"""The syntax tree: a script as it was written, before names are resolved.

    probe timer.s(1) { n <<< x }
      -> Script(items=(Probe(points=(ProbePoint(components=(Component("timer"),
                                                            Component("s", arg=1))),),
                             body=Block((ExprStmt(Assign("<<<", Name("n"), Name("x"))),))),))

The nodes are frozen data; later passes make new trees and never change this one. Strings have one
character per byte (see `compiler.ir.source`). Macros, conditionals and script arguments are already
expanded. The last field of every node is its `span`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Literal, TypeAlias

from compiler.ir.source import Span
from runtime.support.record import record

TypeName: TypeAlias = Literal["long", "string"]

# ---------------------------------------------------------------- expressions

BinaryOp: TypeAlias = Literal[
    "||", "&&", "|", "^", "&", "==", "!=", "<", "<=", ">", ">=",
    "<<", ">>", ">>>", ".", "+", "-", "*", "/", "%",
]  # fmt: skip
UnaryOp: TypeAlias = Literal["+", "-", "!", "~"]
AssignOp: TypeAlias = Literal[
    "=", "<<<", "+=", "-=", "*=", "/=", "%=", "<<=", ">>=", ">>>=", "&=", "^=", "|=", ".=",
]  # fmt: skip
ExtractorName: TypeAlias = Literal["count", "sum", "min", "max", "avg", "variance"]
PrintName: TypeAlias = Literal[
    "print", "println", "printd", "printdln", "printf", "print_char",
    "sprint", "sprintln", "sprintd", "sprintdln", "sprintf",
]  # fmt: skip
AtName: TypeAlias = Literal[
    "const", "choose_defined", "probewrite", "perf", "kregister", "uregister", "kderef", "uderef",
    "enum", "enumname",
]  # fmt: skip


@record
class Number:
    """A literal; `value` is already wrapped to signed 64 bits."""

    value: int
    span: Span


@record
class String:
    """A literal, with escapes decoded and adjacent literals joined."""

    value: str
    span: Span


@record
class Name:
    """An identifier without `()` or `[]`: a local, a global, or a call of a function."""

    name: str
    span: Span


@record
class Wildcard:
    """`*` as a key of a slice, as in `delete a[*, 1]`; only among the keys of an Index or an In."""

    span: Span


@record
class Index:
    """`name[key, ...]`."""

    array: Name
    keys: tuple[Key, ...]
    span: Span


@record
class Call:
    """`name(arg, ...)`; `name_span` is the name alone."""

    name: str
    args: tuple[Expr, ...]
    name_span: Span
    span: Span


@record
class Unary:
    op: UnaryOp
    operand: Expr
    span: Span


@record
class Increment:
    """`++x`, `--x` (prefix) and `x++`, `x--`."""

    op: Literal["++", "--"]
    prefix: bool
    target: Expr
    span: Span


@record
class Binary:
    """Arithmetic, comparison, concatenation and the two logical operators."""

    op: BinaryOp
    left: Expr
    right: Expr
    span: Span


@record
class Match:
    """`value =~ pattern` and `value !~ pattern`; the pattern is always a literal."""

    value: Expr
    pattern: String
    negated: bool
    span: Span


@record
class In:
    """`key in array` and `[key, ...] in array`."""

    keys: tuple[Key, ...]
    array: Name
    span: Span


@record
class Conditional:
    """`test ? then : otherwise`."""

    test: Expr
    then: Expr
    otherwise: Expr
    span: Span


@record
class Assign:
    """`target op value`; the parser has checked that the target is an lvalue."""

    op: AssignOp
    target: Name | Index | TargetVar | Access | AtVar | Cast
    value: Expr
    span: Span


@record
class Extract:
    """`@count(stat)`, ..., `@variance(stat, shift)`; `args` are the arguments after `stat`."""

    extractor: ExtractorName
    stat: Expr
    args: tuple[Expr, ...]
    span: Span


@record
class Histogram:
    """`@hist_log(stat)` and `@hist_linear(stat, low, high, width)`.

    It is valid only if it is indexed (Bucket), iterated over (Foreach) or printed.
    """

    kind: Literal["log", "linear"]
    stat: Expr
    args: tuple[Expr, ...]
    span: Span


@record
class Bucket:
    """`@hist_log(stat)[index]`."""

    histogram: Histogram
    index: Expr
    span: Span


@record
class Print:
    """A printing function. Only [s]printf has a `format`, only [s]printd[ln] a `delimiter`.

    Functions whose names begin with `s` return a string, the others print. Those whose names end
    with `ln` append a newline.
    """

    name: PrintName
    format: String | None
    delimiter: String | None
    args: tuple[Expr, ...]
    name_span: Span
    span: Span


@record
class TargetVar:
    """`$name` (without the `$`), or `$$name` (`name` then begins with one `$`)."""

    name: str
    span: Span


@record
class Field:
    """`->name`."""

    name: str
    span: Span


@record
class Element:
    """`[index]` after a context variable."""

    index: Expr
    span: Span


@record
class Access:
    """A path from a base through kernel memory, its address, or its pretty-printed form.

    `$v->f[i]` is (TargetVar v, path (Field f, Element i)). `&$v->f` has `address` set. `$v$` has
    `pretty` 1, `$v$$` has 2. For a base other than a target variable, `@cast` or `@var`, the type
    is that of the pointer which the base expression is known to hold.
    """

    base: Expr
    path: tuple[Field | Element, ...]
    address: bool
    pretty: Literal[0, 1, 2]
    span: Span


@record
class Cast:
    """`@cast(operand, "type", "module")`, module optional."""

    operand: Expr
    type_name: str
    module: str | None
    span: Span


@record
class AtVar:
    """`@var("name@file", "module")`, module optional; the name is as written."""

    name: str
    module: str | None
    span: Span


@record
class Defined:
    """`@defined(expr)`."""

    operand: Expr
    span: Span


@record
class Entry:
    """`@entry(expr)`."""

    operand: Expr
    span: Span


@record
class AtCall:
    """The remaining built-in `@name(arg, ...)` operators."""

    name: AtName
    args: tuple[Expr, ...]
    name_span: Span
    span: Span


@record
class EmbeddedExpr:
    """`%{ c %}` used as an expression."""

    code: str
    span: Span


Expr: TypeAlias = (
    Number | String | Name | Index | Call | Unary | Increment | Binary | Match | In | Conditional
    | Assign | Extract | Histogram | Bucket | Print | TargetVar | Access | Cast | AtVar | Defined
    | Entry | AtCall | EmbeddedExpr
)  # fmt: skip
Key: TypeAlias = Expr | Wildcard

# ---------------------------------------------------------------- statements


@record
class Block:
    body: tuple[Stmt, ...]
    span: Span


@record
class Empty:
    span: Span


@record
class ExprStmt:
    value: Expr
    span: Span


@record
class If:
    test: Expr
    then: Stmt
    otherwise: Stmt | None
    span: Span


@record
class While:
    test: Expr
    body: Stmt
    span: Span


@record
class For:
    """`for (init; test; step) body`; each of the three may be absent."""

    init: Expr | None
    test: Expr | None
    step: Expr | None
    body: Stmt
    span: Span


@record
class Sort:
    """The sort order of a foreach: by key number `key` (from 0), or by value if `key` is None.

    `extractor` is the operator that aggregates are compared by, if one is named.
    """

    key: int | None
    extractor: ExtractorName | None
    descending: bool
    span: Span


@record
class Foreach:
    """`foreach (value = [k1, k2] in over[slice] sort limit n) body`.

    `over` is a Name or a Histogram; `slice` is empty or has one entry per key of the array.
    """

    keys: tuple[Name, ...]
    value: Name | None
    over: Name | Histogram
    slice: tuple[Key, ...]
    sort: Sort | None
    limit: Expr | None
    body: Stmt
    span: Span


@record
class Break:
    span: Span


@record
class Continue:
    span: Span


@record
class Next:
    span: Span


@record
class Return:
    value: Expr | None
    span: Span


@record
class Delete:
    """`delete` of a scalar or whole array (Name), an element or a slice (Index with Wildcards)."""

    target: Expr
    span: Span


@record
class TryCatch:
    """`try { } catch [(variable)] { }`."""

    body: Block
    variable: Name | None
    handler: Block
    span: Span


Stmt: TypeAlias = (
    Block | Empty | ExprStmt | If | While | For | Foreach | Break | Continue | Next | Return
    | Delete | TryCatch
)  # fmt: skip

# ---------------------------------------------------------------- probe points


@record
class Component:
    """One dotted part: `function("vfs_*")` is ("function", arg "vfs_*"); `s(1)` has arg 1.

    `name` keeps wildcards and braces as written. The component `{open,close}` of
    `syscall.{open,close}` has that name, and `alternatives` holds the two.
    """

    name: str
    arg: int | str | None
    alternatives: tuple[tuple[Component, ...], ...]
    span: Span


@record
class ProbePoint:
    """`a.b(1).c if (condition)`, with a final `?` (optional) or `!` (optional and sufficient)."""

    components: tuple[Component, ...]
    optional: bool
    sufficient: bool
    condition: Expr | None
    span: Span


def spell(components: Sequence[Component]) -> str:
    """Returns a probe point as text, without its suffix: `kernel.function("f").return`."""
    parts = []
    for c in components:
        match c.arg:
            case None:
                parts.append(c.name)
            case int(number):
                parts.append(f"{c.name}({number})")
            case str(text):
                parts.append(f'{c.name}("{text}")')
    return ".".join(parts)


def expand_braces(components: Sequence[Component]) -> Iterator[tuple[Component, ...]]:
    """Yields every combination of the alternatives in braces: `a.{b,c.d}` -> `a.b`, `a.c.d`."""
    choices: list[list[tuple[Component, ...]]] = []
    for c in components:
        if c.alternatives:
            choices.append([x for a in c.alternatives for x in expand_braces(a)])
        else:
            choices.append([(c,)])
    for choice in product(*choices):
        yield tuple(c for part in choice for c in part)


# ---------------------------------------------------------------- items


@record
class Global:
    """One name of a `global` declaration.

    `size` is the number of entries in `a[500]`. `wrap` is set by the `%` of `a%[10]`: a full array
    then replaces its oldest entry.
    """

    name: str
    private: bool
    size: int | None
    wrap: bool
    init: Number | String | None
    span: Span


@record
class Parameter:
    name: str
    type: TypeName | None
    span: Span


@record
class Function:
    """`[private] function name[:type] (parameters) [:priority] body`."""

    name: str
    private: bool
    type: TypeName | None
    parameters: tuple[Parameter, ...]
    priority: int | None
    body: Block | EmbeddedC
    name_span: Span
    span: Span


@record
class Probe:
    points: tuple[ProbePoint, ...]
    body: Block
    span: Span


@record
class ProbeAlias:
    """`probe name = points body` (prologue) or `probe name += points body` (epilogue).

    `after` is the second block of `probe name = points { prologue }, { epilogue }`. With several
    names (`probe a = b = points`), each is an alias of the same points and body.
    """

    names: tuple[ProbePoint, ...]
    epilogue: bool
    points: tuple[ProbePoint, ...]
    body: Block
    after: Block | None
    span: Span


@record
class EmbeddedC:
    """`%{ c %}` at file level or as the body of a function."""

    code: str
    span: Span


Item: TypeAlias = Global | Function | Probe | ProbeAlias | EmbeddedC
Node: TypeAlias = Expr | Stmt | Item


@record
class Script:
    """One parsed file, with its items in the order in which they were written."""

    name: str
    items: tuple[Item, ...]
    span: Span
