# SPDX-License-Identifier: GPL-2.0-or-later
"""The program: a script whose every name, type and probe point is resolved.

    global n; probe kernel.function("vfs_read") { n++ }
      -> Program(globals=(Global("n", LONG, ...),),
                 probes=(Probe(hook=Ftrace("vfs_read"), body=(ExprStmt(Increment(...)),)),))

Data only, frozen. Context variables have become arguments and reads of kernel memory, aliases have been
expanded, every expression has a type. Code generation reports no user error.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from compiler.ir.hooks import Hook
from compiler.ir.source import Span
from runtime.abi.manifest import Histogram, ValueType
from runtime.support.record import record

LONG = ValueType.LONG
STRING = ValueType.STRING
STAT = ValueType.STAT

# ---------------------------------------------------------------- symbols


@record
class Local:
    """A scalar variable of one handler or function; zero or "" at first."""

    name: str
    type: ValueType


@record
class Global:
    name: str
    type: ValueType  # of the scalar, or of an array's values
    keys: tuple[ValueType, ...]  # empty: a scalar
    size: int | None  # elements, as declared
    wrap: bool
    init: int | str | None
    span: Span
    key_names: tuple[str, ...] = ()  # best guess from how it is indexed


# Globals that C uses: each the name it uses and the symbol.
Touched: TypeAlias = tuple[tuple[str, str], ...]


@record
class Function:
    """A script function, or one whose body is C (`code`); `symbol` is unique in the program."""

    symbol: str
    name: str
    parameters: tuple[Local, ...]
    result: ValueType | None  # None: it returns nothing
    body: Body | None
    code: str | None
    pure: bool  # no effect but its result
    fallible: bool  # may end with an error
    bound: int | None  # bytes of a string result, if fewer than MAXSTRINGLEN
    library: bool
    span: Span
    reads: Touched = ()  # by `code`
    writes: Touched = ()
    unwinds: bool = False  # `code` walks up the stacks of programs


# ---------------------------------------------------------------- expressions

ArithmeticOp: TypeAlias = Literal["|", "^", "&", "<<", ">>", ">>>", "+", "-", "*", "/", "%"]
CompareOp: TypeAlias = Literal["==", "!=", "<", "<=", ">", ">="]


@record
class Number:
    value: int
    span: Span
    type: ValueType = LONG


@record
class String:
    value: str
    span: Span
    type: ValueType = STRING


@record
class LocalRef:
    local: Local
    span: Span

    @property
    def type(self) -> ValueType:
        return self.local.type


@record
class GlobalRef:
    """A scalar global, or with `keys` an element of an array."""

    name: str
    keys: tuple[Expr, ...]
    type: ValueType
    span: Span


@record
class In:
    """Whether an array has an element. None among the keys stands for `*`."""

    name: str
    keys: tuple[Expr | None, ...]
    span: Span
    type: ValueType = LONG


@record
class Arithmetic:
    op: ArithmeticOp
    left: Expr
    right: Expr
    span: Span
    type: ValueType = LONG


@record
class Unary:
    op: Literal["-", "~", "!"]
    operand: Expr
    span: Span
    type: ValueType = LONG


@record
class Compare:
    op: CompareOp
    left: Expr
    right: Expr
    span: Span
    type: ValueType = LONG


@record
class Match:
    """`value =~ pattern`, or `!~`; `captures`: matched() may read the submatches."""

    value: Expr
    pattern: str
    negated: bool
    captures: bool
    span: Span
    type: ValueType = LONG


@record
class Logical:
    op: Literal["&&", "||"]
    left: Expr
    right: Expr
    span: Span
    type: ValueType = LONG


@record
class Concat:
    left: Expr
    right: Expr
    span: Span
    type: ValueType = STRING


@record
class Conditional:
    test: Expr
    then: Expr
    otherwise: Expr
    type: ValueType
    span: Span


Lvalue: TypeAlias = "LocalRef | GlobalRef"


@record
class Assign:
    """`target = value`, or `target op= value`; the value is the new one."""

    op: ArithmeticOp | Literal["."] | None
    target: Lvalue
    value: Expr
    type: ValueType
    span: Span


@record
class Increment:
    """Adds `step` (1 or -1); gives the value before, or after with `prefix`."""

    step: int
    prefix: bool
    target: Lvalue
    span: Span
    type: ValueType = LONG


@record
class Call:
    function: str  # its symbol
    args: tuple[Expr, ...]
    type: ValueType | None
    span: Span


@record
class Extract:
    """`@count(stat)` and so on; `shift` only for variance."""

    extractor: Literal["count", "sum", "min", "max", "avg", "variance"]
    stat: GlobalRef
    shift: int
    span: Span
    type: ValueType = LONG


@record
class Buckets:
    """A histogram of a statistic; appears in `Bucket`, `Drawing`, `ForeachBucket` and `Print` only."""

    histogram: Histogram
    stat: GlobalRef
    span: Span


@record
class Bucket:
    buckets: Buckets
    index: Expr
    span: Span
    type: ValueType = LONG


@record
class Drawing:
    """A histogram as text, made in the kernel."""

    buckets: Buckets
    span: Span
    type: ValueType = STRING


@record
class Format:
    """sprintf: a string made in the kernel."""

    format: str
    args: tuple[Expr, ...]
    span: Span
    type: ValueType = STRING


@record
class Argument:
    """Integer argument `index` of the probed function or tracepoint, `size` bytes."""

    index: int
    size: int
    signed: bool
    span: Span
    type: ValueType = LONG


@record
class ReturnValue:
    size: int
    signed: bool
    span: Span
    type: ValueType = LONG


@record
class Deref:
    """An integer of `size` bytes at a kernel (or user) address; a bad address is an error."""

    address: Expr
    size: int
    signed: bool
    user: bool
    span: Span
    type: ValueType = LONG


@record
class CharsAt:
    """The string in a char array of at most `length` bytes (0: of any length) at a kernel (or user)
    address."""

    address: Expr
    length: int
    user: bool
    span: Span
    type: ValueType = STRING


@record
class EntryValue:
    """The value that `@entry(expr)` saved at the function's entry; an index into the probe's `entry`."""

    index: int
    type: ValueType
    span: Span


@record
class After:
    """A print or `<<<` used as a value: first the statement, then the value."""

    statement: Print | Accumulate
    value: Expr
    span: Span
    type: ValueType | None = LONG


@record
class Register:
    """A register at the probed location, by the name of its field in `struct sw_regs`.

    `compat`: in a system call of a 32-bit program it is the low half of this register; "": the same.
    """

    name: str
    span: Span
    compat: str = ""
    type: ValueType = LONG


@record
class CallerRegister:
    """A register of the process whose system call's entry function is probed, `size` bytes of it."""

    name: str
    size: int
    signed: bool
    span: Span
    type: ValueType = LONG


@record
class ThreadPointer:
    """Where the thread that was hit has its thread-local variables."""

    span: Span
    type: ValueType = LONG


@record
class Verdict:
    """The verdict on the packet that a netfilter probe has hit."""

    span: Span
    type: ValueType = LONG


@record
class SymbolAddress:
    """The address of a kernel variable; looked up when the module is loaded."""

    name: str
    span: Span
    type: ValueType = LONG


@record
class PercpuAddress:
    """This CPU's instance of a per-CPU variable, `distance` bytes after that of `this_cpu_off`."""

    distance: int
    span: Span
    type: ValueType = LONG


@record
class MappedAddress:
    """Where the current process has a place of a program or library; an error if it does not have that file.

    A file is known by its last name and its `size`. Programs: `from_end` bytes after the end of the code.
    Libraries: `from_start` bytes after their first mapping.
    """

    file: str
    size: int
    from_start: int
    from_end: int
    span: Span
    type: ValueType = LONG


@record
class Store:
    """Guru mode: writes an integer to kernel memory, a register or a packet's verdict; gives the
    value written."""

    place: Deref | Register | CallerRegister | Verdict
    value: Expr
    span: Span
    type: ValueType = LONG


@record
class Guard:
    """A string; `fallback` if computing it ends in an error, which is then discarded."""

    value: Expr
    fallback: Expr
    span: Span
    type: ValueType = STRING


@record
class EmbeddedExpr:
    """C as an expression; `reads` and `writes` as in Function."""

    code: str
    type: ValueType
    span: Span
    pure: bool = False
    fallible: bool = True
    reads: Touched = ()
    writes: Touched = ()


Expr: TypeAlias = (
    Number | String | LocalRef | GlobalRef | In | Arithmetic | Unary | Compare | Match | Logical
    | Concat | Conditional | Assign | Increment | Call | Extract | Bucket | Drawing | Format | Argument
    | ReturnValue | Deref | CharsAt | EntryValue | Register | CallerRegister
    | ThreadPointer | Verdict | SymbolAddress | PercpuAddress | MappedAddress | Store
    | Guard | After | EmbeddedExpr
)  # fmt: skip

# ---------------------------------------------------------------- statements


@record
class ExprStmt:
    value: Expr
    span: Span


@record
class Accumulate:
    """`target <<< value`."""

    target: GlobalRef
    value: Expr
    span: Span


@record
class If:
    test: Expr
    then: Stmts
    otherwise: Stmts
    span: Span


@record
class Loop:
    """`while (test) body` with `step` run after each iteration, `continue`d ones included."""

    test: Expr
    step: Expr | None
    body: Stmts
    span: Span


@record
class Sort:
    """Order by key number `key`, or by the value (through `extractor`) when it is None."""

    key: int | None
    extractor: Literal["count", "sum", "min", "max", "avg", "variance"] | None
    descending: bool


@record
class Foreach:
    keys: tuple[Local, ...]
    value: Local | None  # a number or a string; a statistic has no value variable
    name: str
    slice: tuple[Expr | None, ...]  # empty, or one for each key; None is `*`
    sort: Sort | None
    limit: Expr | None
    body: Stmts
    span: Span


@record
class ForeachBucket:
    index: Local
    value: Local | None
    buckets: Buckets
    descending: bool
    limit: Expr | None
    body: Stmts
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
class Fail:
    """A script error: `next` in a function that has no further overload."""

    message: str
    span: Span


@record
class Delete:
    """A scalar or a whole array (no keys), an element, or with None among the keys a slice."""

    name: str
    keys: tuple[Expr | None, ...]
    span: Span


@record
class Try:
    body: Stmts
    variable: Local | None
    handler: Stmts
    span: Span


@record
class Memory:
    """The memory that %m and %M show: `length` bytes at an address; None: the argument before is the length.

    Appears among the arguments of `Print` only; a bad address is an error.
    """

    address: Expr
    length: int | None
    user: bool
    span: Span
    type: ValueType = STRING


@record
class Print:
    """Writes one event record; the format has one directive for each argument."""

    format: str
    args: tuple[Expr | Buckets | Memory, ...]
    names: tuple[str, ...]  # of the structured fields
    log: bool
    span: Span


Stmt: TypeAlias = (
    ExprStmt | Accumulate | If | Loop | Foreach | ForeachBucket | Break | Continue | Next | Return
    | Fail | Delete | Try | Print
)  # fmt: skip
Stmts: TypeAlias = tuple[Stmt, ...]

# ---------------------------------------------------------------- probes


@record
class Body:
    locals: tuple[Local, ...]
    stmts: Stmts


PROBED_FUNCTION = "__probed_function"  # of the tapset: the name of the function that was hit


# The owner of a body: a probe by its index in the program, a function by its symbol.
BodyId: TypeAlias = "tuple[Literal['probe'], int] | tuple[Literal['function'], str]"


@record
class Probe:
    hook: Hook
    point: str  # as resolved
    written: str  # as in the script
    condition: Expr | None
    entry: tuple[Expr, ...]  # saved at entry, for EntryValue
    body: Body
    span: Span
    # the same number in a PairedEntry and in the return probe whose entry handler counts its hits
    pair: int | None = None
    optional: bool = False  # `?`: the script starts even if the hook cannot be attached


@record
class Program:
    name: str
    globals: tuple[Global, ...]
    functions: tuple[Function, ...]
    probes: tuple[Probe, ...]
    embedded: tuple[tuple[str, Span], ...]  # C at file level
