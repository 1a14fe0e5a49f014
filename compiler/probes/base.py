# SPDX-License-Identifier: GPL-2.0-or-later
"""The result of a probe family: probe sites, each a hook with its context variables.

kernel.function("vfs_read").return
  -> ProbeSite(Kretprobe("vfs_read"), 'kernel.function("vfs_read").return',
          variables={"return": Variable(ReturnValue, ...), "file": Variable(Argument 0, at entry)})
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal, Protocol

from compiler.ir import syntax
from compiler.ir.diagnostics import Diagnostic
from compiler.ir.hooks import Hook
from compiler.ir.options import Limits
from compiler.ir.program import Expr
from compiler.ir.source import Span
from compiler.ir.syntax import spell as spell  # probe families import it from here
from compiler.kernel.btf_types import Type, TypeId
from compiler.kernel.kernel import Kernel
from compiler.userspace.program_files import Files
from runtime.support.record import field, record


class ProbePointError(Exception):
    """A probe point that cannot be resolved; it becomes one diagnostic."""

    def __init__(self, slug: str, message: str, span: Span, hint: str | None = None) -> None:
        super().__init__(message)
        self.slug, self.message, self.span, self.hint = slug, message, span, hint


@record
class Variable:
    """A context variable: an argument (`index`), a local, the return value or a packet's verdict, with its
    type's number.

    `at_entry`: the probe fires at the function's return, so the value is saved at its entry.
    """

    name: str
    source: Literal["argument", "local", "return", "verdict"]
    index: int
    type_id: TypeId | None  # None: its type is unknown, it reads as a 64-bit number
    at_entry: bool = False
    made: Callable[[Span], Expr] | None = None  # its value, if that is not a C argument
    in_memory: bool = False  # `made` is the address of the value
    # of a struct in registers: its words of 8 bytes; None: in no register that can be read
    words: tuple[Callable[[Span], Expr] | None, ...] = ()
    missing: str = ""  # why it has no value at this probe


class Debuginfo(Protocol):
    """What a program's debug information knows about a probe in it, beside the probe's variables."""

    def why_unknown(self, name: str) -> tuple[str, str]:
        """Why there is no variable of a name: the message, and what to do."""

    def static(self, name: str, file: str) -> Variable | None:
        """A static or global variable, of a source file if one is named."""

    def type_named(self, kind: type[Type], name: str) -> Type | None:
        """A type of the program."""


@record
class Answer:
    """A context variable that is text, by the library functions that read it, set it and append to it;
    "": this access is impossible."""

    read: str = ""
    set: str = ""
    append: str = ""


class Lazy(Mapping[str, Variable]):
    """Variables that are looked up on first use: most sites of a wildcard never use theirs."""

    def __init__(self, find: Callable[[], dict[str, Variable]]) -> None:
        self._find = find
        self._found: dict[str, Variable] | None = None

    @property
    def _variables(self) -> dict[str, Variable]:
        if self._found is None:
            self._found = self._find()
        return self._found

    def __getitem__(self, name: str) -> Variable:
        return self._variables[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._variables)

    def __len__(self) -> int:
        return len(self._variables)


@record
class ProbeSite:
    """One resolved probe point. `hook.functions`: it is one of a wildcard's sites, which share a hook
    if their handlers turn out to be equal."""

    hook: Hook
    point: str
    variables: Mapping[str, Variable] = field(default_factory=dict)
    function: str = ""
    system: str = ""  # a tracepoint's
    answers: Mapping[str, Answer] = field(default_factory=dict)
    module: str = ""  # the function's module; "": the kernel proper
    provider: str = ""  # an SDT mark's
    alias: str = ""  # the alias that the script names, wildcards resolved
    optional: bool = False  # the script starts even if the hook cannot be attached
    positional: bool = False  # $arg1, $arg2, ... are all names that its arguments have
    debuginfo: Debuginfo | None = None  # a program's
    counts: Callable[[Span], Expr] | None = None  # makes a number; a hit for which it is 0 is none


@record
class Environment:
    """The inputs of resolving. The kernel's facts are read only when a probe needs them.

    `guru`: the script may use constructs that can crash the kernel. `most_functions`: the functions that the
    points of one probe may expand to. `skip_badvars`: context variables that a probe does not have are 0.
    `old_pointers`: %p pads its digits with zeros, as SystemTap 1.2 did. `optimise`: statements that nobody
    needs may be left out. Resolving fills `warnings`, and `typed_modules` with the kernel's modules whose
    types the script uses: it fits no other build of them. `debuginfo` has the debug information of programs
    by their paths, or the error that it has none.
    """

    kernel: Kernel
    guru: bool = False
    programs: Files = field(default_factory=Files)
    most_functions: int = Limits().MAXFUNCTIONS
    skip_badvars: bool = False
    old_pointers: bool = False
    optimise: bool = False
    warnings: list[Diagnostic] = field(default_factory=list)
    typed_modules: set[str] = field(default_factory=set)
    debuginfo: dict[str, object] = field(default_factory=dict)


Family = Callable[[Sequence[syntax.Component], Environment], list[ProbeSite]]


def unexpected(component: syntax.Component, allowed: Sequence[str]) -> ProbePointError:
    return ProbePointError(
        "unknown-probe-point",
        f"unknown probe point component '{component.name}'",
        component.span,
        f"one of {', '.join(allowed)} may stand here" if allowed else "nothing may follow here",
    )


def number_of(component: syntax.Component, default: int | None = None) -> int:
    """The component's numeric argument."""
    if isinstance(component.arg, int):
        return component.arg
    if component.arg is None and default is not None:
        return default
    raise ProbePointError(
        "bad-probe-argument",
        f"'{component.name}' takes a number: {component.name}(1)",
        component.span,
    )


def text_of(component: syntax.Component) -> str:
    """The component's string argument."""
    if isinstance(component.arg, str):
        return component.arg
    raise ProbePointError(
        "bad-probe-argument",
        f"'{component.name}' takes a string: {component.name}(\"name\")",
        component.span,
    )
