# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs of the fuzzer: a tree of its own, so that our parser and resolver are tested by it, not trusted.

Every expression has one type, "long" or "string". Names are what the script says; a body's locals need no
declaration.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tests.language.fuzz.regex import Pattern

Type = Literal["long", "string"]
Kind = Literal["long", "string", "stat"]


@dataclass(frozen=True, slots=True)
class Number:
    """`value` as written, from 0 to 2^64 - 1; `base` is 10, 16 or 8."""

    value: int
    base: int = 10


@dataclass(frozen=True, slots=True)
class Text:
    value: str


@dataclass(frozen=True, slots=True)
class Variable:
    """A local, a parameter or a scalar global."""

    name: str
    type: Type


@dataclass(frozen=True, slots=True)
class Element:
    array: str
    keys: tuple[Expr, ...]
    type: Type


@dataclass(frozen=True, slots=True)
class Unary:
    op: str
    operand: Expr


@dataclass(frozen=True, slots=True)
class Binary:
    op: str
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class Conditional:
    test: Expr
    then: Expr
    otherwise: Expr


@dataclass(frozen=True, slots=True)
class In:
    """A None key is a `*`."""

    keys: tuple[Expr | None, ...]
    array: str


@dataclass(frozen=True, slots=True)
class Extract:
    """@count, @sum, @min, @max, @avg or @variance of a statistic, an array's element if it has keys.

    `shift`: the second argument of @variance, where it is written.
    """

    what: str
    stat: str
    keys: tuple[Expr, ...]
    shift: int | None = None


@dataclass(frozen=True, slots=True)
class Histogram:
    """@hist_linear from `low` to `high` by `interval`; @hist_log where that is 0."""

    low: int = 0
    high: int = 0
    interval: int = 0


@dataclass(frozen=True, slots=True)
class Buckets:
    """A histogram of a statistic: no value of its own."""

    shape: Histogram
    stat: str
    keys: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Bucket:
    """`@hist_log(stat)[index]`"""

    buckets: Buckets
    index: Expr


@dataclass(frozen=True, slots=True)
class Draw:
    """print or println of a histogram"""

    kind: str
    buckets: Buckets


@dataclass(frozen=True, slots=True)
class Match:
    """`value =~ pattern`, or `!~`"""

    value: Expr
    pattern: Pattern
    negated: bool


@dataclass(frozen=True, slots=True)
class Call:
    function: str
    args: tuple[Expr, ...]
    type: Type


@dataclass(frozen=True, slots=True)
class Assign:
    op: str  # "=", "+=", ...
    target: Variable | Element
    value: Expr


@dataclass(frozen=True, slots=True)
class Increment:
    op: str
    prefix: bool
    target: Variable | Element


@dataclass(frozen=True, slots=True)
class Directive:
    """One of a format's: flags, width, precision, conversion, and the text before it."""

    before: str
    flags: str
    width: str
    precision: str
    conversion: str


@dataclass(frozen=True, slots=True)
class Format:
    """The arguments of printf and sprintf."""

    directives: tuple[Directive, ...]
    after: str
    args: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Print:
    """print, println, printd, printdln, or printf with a Format; "s" in front: an expression, the text."""

    kind: str
    args: tuple[Expr, ...] = ()
    delimiter: str = ""
    format: Format | None = None


Expr = (
    Number | Text | Variable | Element | Unary | Binary | Conditional | In | Extract | Call | Assign | Increment
    | Print | Bucket | Draw | Match
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Do:
    value: Expr


@dataclass(frozen=True, slots=True)
class Accumulate:
    """`stat <<< value`"""

    stat: str
    keys: tuple[Expr, ...]
    value: Expr


@dataclass(frozen=True, slots=True)
class If:
    test: Expr
    then: Stmts
    otherwise: Stmts


@dataclass(frozen=True, slots=True)
class Count:
    """A loop of `times` rounds: `for` over a counter from 0, or `while` with one that goes down."""

    counter: str
    times: int
    up: bool
    body: Stmts


@dataclass(frozen=True, slots=True)
class Foreach:
    """`sort` is a key's number, -1 for the value, or an extractor; a None in `only` is a `*`."""

    keys: tuple[Variable, ...]
    value: Variable | None
    array: str
    only: tuple[Expr | None, ...]
    sort: int | str | None
    down: bool
    limit: Expr | None
    body: Stmts


@dataclass(frozen=True, slots=True)
class EachBucket:
    """A loop over a histogram's buckets; `value`: the count of a bucket."""

    index: Variable
    value: Variable | None
    buckets: Buckets
    down: bool
    limit: Expr | None
    body: Stmts


@dataclass(frozen=True, slots=True)
class Leave:
    """break, continue or next; a function's next goes on to the next function of its name"""

    word: str


@dataclass(frozen=True, slots=True)
class Return:
    value: Expr


@dataclass(frozen=True, slots=True)
class Delete:
    """A scalar or whole array without keys; a None key is a `*`."""

    name: str
    keys: tuple[Expr | None, ...]


@dataclass(frozen=True, slots=True)
class Try:
    body: Stmts
    variable: str | None
    handler: Stmts


@dataclass(frozen=True, slots=True)
class Fail:
    """error(...)"""

    message: Expr


Stmt = (
    Do | Accumulate | If | Count | Foreach | EachBucket | Leave | Return | Delete | Try | Fail
)  # fmt: skip
Stmts = tuple[Stmt, ...]


@dataclass(frozen=True, slots=True)
class Declaration:
    """`size`: of a small array; `start`: a scalar's initial value.

    Of a statistic: the only `histogram` and the only `shift` of @variance that the program uses with it.
    """

    name: str
    keys: tuple[Type, ...]
    kind: Kind
    size: int | None = None
    start: int | str | None = None
    histogram: Histogram | None = None
    shift: int | None = None


@dataclass(frozen=True, slots=True)
class Function:
    name: str
    parameters: tuple[Variable, ...]
    type: Type
    body: Stmts
    annotated: bool
    priority: int | None = None
    code: str | None = None  # of C, in place of the body


@dataclass(frozen=True, slots=True)
class Probe:
    point: str  # begin(1), timer.ms(5), end(2)
    body: Stmts


@dataclass(frozen=True, slots=True)
class Program:
    """Timers fire `rounds` times; strings have `room` bytes, the end included (MAXSTRINGLEN).

    `lanes`: CPUs that handlers run on. Each CPU has its own @variance words, so the value is defined for one
    CPU only.
    """

    globals: tuple[Declaration, ...]
    functions: tuple[Function, ...]
    probes: tuple[Probe, ...]
    rounds: int
    room: int
    lanes: int


def type_of(e: Expr) -> Type:
    match e:
        case Text():
            return "string"
        case Variable() | Element() | Call():
            return e.type
        case Binary():
            return "string" if e.op == "." else "long"
        case Conditional():
            return type_of(e.then)
        case Assign():
            return e.target.type
        case Print() | Draw():
            return "string"
        case _:
            return "long"
