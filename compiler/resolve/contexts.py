# SPDX-License-Identifier: GPL-2.0-or-later
"""The contexts in which a body is lowered: its own (FunctionContext), and the program's (ProgramContext).

ctx.resolve("n")         -> (("global", "n"), GlobalSymbol("n", ...)), or a local's symbol and None
ctx.typed(e, LONG)       -> the typed form of e, which must be a number
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from compiler.ir import program as p
from compiler.ir import syntax
from compiler.ir.source import Span
from compiler.probes import Environment, ProbeSite
from compiler.resolve.type_environment import UNKNOWN, Symbol, TypeEnvironment, article
from runtime.abi.manifest import Histogram, ValueType
from runtime.support.record import field, fields, is_record, record

_T = TypeVar("_T")

LIBRARY = "<library>"  # stands for all files of the library, as "" does for all of the script's


@record
class GlobalSymbol:
    """A declared global; private globals of a file have a symbol of their own."""

    symbol: str
    declared: syntax.Global


@record
class Overloads:
    """The functions that one call may run, in order: `next` in one of them runs the next one.

    They have the same number of parameters and the same type of result.
    """

    functions: tuple[syntax.Function, ...]
    symbols: tuple[str, ...]

    @property
    def result(self) -> Symbol:
        """The symbol of their result. It ends in the script's own name, which messages show."""
        return ("result", self.symbols[0], self.functions[0].name)


@record(frozen=False)
class ProgramContext:
    """The state that all bodies share during one round.

    `types` lives through all rounds, and so do the tables of declarations. Tables of what is used
    start empty in each round, because a round may find that less is used than the one before.
    """

    types: TypeEnvironment
    environment: Environment
    globals: dict[tuple[str, str], GlobalSymbol]  # by (file, "" or LIBRARY, and name)
    functions: dict[str, list[syntax.Function]]  # by name: the user's, then the library's
    library_files: frozenset[str]
    script_globals: frozenset[str]  # names of the globals that the script declares
    contextual: frozenset[str]  # names of functions that use context variables
    # by (symbol, alias, probe point): the symbol of that function's clone for the probe point
    clones: dict[tuple[str, str, str], str]
    clone_sites: dict[str, ProbeSite]  # by the clone's symbol
    # below: what this round uses
    histograms: dict[str, list[Histogram]] = field(default_factory=dict)  # by global
    variance_shifts: dict[str, int] = field(default_factory=dict)  # by global
    used_globals: dict[str, GlobalSymbol] = field(default_factory=dict)  # by symbol
    called: dict[str, Overloads] = field(default_factory=dict)  # by symbol of the first function
    called_by_name: dict[str, list[Overloads]] = field(default_factory=dict)
    has_foreach: bool = False

    def clone(self, found: Overloads, site: ProbeSite) -> Overloads:
        """Contextual functions as they run for a probe point."""
        symbols = []
        for original in found.symbols:
            key = (original, site.alias, site.point)
            symbol = self.clones.setdefault(key, f"{original}__at{len(self.clones)}")
            self.clone_sites[symbol] = site
            symbols.append(symbol)
        return Overloads(found.functions, tuple(symbols))

    def add_called(self, found: Overloads) -> Overloads:
        """Note that a body calls these functions. Returns the same object for every call."""
        known = self.called.get(found.symbols[0])
        if known is None:
            known = self.called[found.symbols[0]] = found
            self.called_by_name.setdefault(found.functions[0].name, []).append(found)
        return known

    def find_global(self, name: str, file: str) -> GlobalSymbol | None:
        """The global that a name means in a file, noted as used. The library sees none of the script's."""
        scopes = (file, LIBRARY) if file in self.library_files else (file, "", LIBRARY)
        found = next((g for s in scopes if (g := self.globals.get((s, name))) is not None), None)
        if found is not None:
            self.used_globals[found.symbol] = found
        return found


@record(frozen=False)
class FunctionContext:
    """One probe handler or function while its body is lowered.

    `lower` is expressions.lower. Every file of this package lowers subexpressions; calling it
    through the context keeps imports pointing one way.
    """

    program: ProgramContext
    key: Symbol  # ("probe", 0) or ("function", symbol): the symbols of its locals begin with it
    file: str
    site: ProbeSite | None  # None in functions other than clones
    lower: Callable[[FunctionContext, syntax.Expr, ValueType | None], p.Expr]
    parameters: tuple[str, ...] = ()
    overloads: Overloads | None = None  # None in probes
    locals: dict[str, p.Local] = field(default_factory=dict)
    saved_parameters: dict[str, p.Local] = field(default_factory=dict)  # as the caller passed them
    entry_values: list[p.Expr] = field(default_factory=list)  # saved at the function's entry
    inside_entry: bool = False  # in the operand of @entry
    written_names: frozenset[str] = frozenset()  # variables that the probe's own body assigns to
    loop_depth: int = 0
    temporaries: int = 0
    # The probe point is unresolved, so nothing is known about its context variables and aliases.
    unresolved: bool = False
    # Code that cannot run is lowered for its types. If it names something that the probe does not
    # have, `lacks_context` is set instead of reporting it.
    speculative: bool = False
    lacks_context: bool = False
    # The body depends on this particular site, so the functions of a wildcard may need different handlers.
    depends_on_site: bool = False

    @property
    def exact_site(self) -> ProbeSite | None:
        """`site`, for a property that differs between the functions of a wildcard."""
        self.depends_on_site = True
        return self.site

    @property
    def in_library(self) -> bool:
        return self.file in self.program.library_files

    @property
    def has_probe_context(self) -> bool:
        """Whether there may be context variables; the library's code may run for any probe."""
        if self.in_library or self.unresolved:
            return True
        site = self.site
        return site is not None and bool(site.function or site.system or site.variables)

    @property
    def in_function(self) -> bool:
        return self.overloads is not None

    @property
    def result(self) -> Symbol | None:
        """The symbol of the function's result."""
        return self.overloads.result if self.overloads is not None else None

    @property
    def types(self) -> TypeEnvironment:
        return self.program.types

    def expr(self, e: syntax.Expr, expected: ValueType | None = None) -> p.Expr:
        """Lower an expression; `expected` is the type that its use needs, if that is known."""
        return self.lower(self, e, expected)

    def typed(self, e: syntax.Expr, expected: ValueType) -> p.Expr:
        """Lower an expression that must have this type."""
        found = self.lower(self, e, expected)
        self.require(found, expected, e.span)
        return found

    def require(self, found: p.Expr, expected: ValueType, span: Span) -> None:
        """Report an expression that has another type, or no value."""
        if found.type is None:
            self.report(
                "no-value",
                "this function returns no value",
                span,
                "call it as a statement; or let it return something: return 0",
            )
        elif found.type is not UNKNOWN and found.type != expected:
            message = f"{article(expected)} is needed here, not {article(found.type)}"
            self.report("type-mismatch", message, span)

    def error_expr(self, span: Span) -> p.Number:
        """Replaces an expression that has an error. It has no type, so nothing else is reported for it."""
        return p.Number(0, span, UNKNOWN)

    def report(self, slug: str, message: str, span: Span, hint: str | None = None) -> None:
        """Report an error; dropped in the rounds before types are final."""
        self.types.reports.report(slug, message, span, hint)

    def report_once(
        self, subject: tuple[str, str], slug: str, message: str, span: Span, hint: str
    ) -> None:
        """Report an error, unless another one about the same (kind, name) was reported."""
        if self.types.reports.first(subject):
            self.report(slug, message, span, hint)

    def speculate(self, lower: Callable[[], _T]) -> tuple[_T, bool]:
        """Lower code that cannot run; also returns whether it names what this probe does not have."""
        before = self.speculative, self.lacks_context
        self.speculative, self.lacks_context = True, False
        found = lower()
        lacks_context = self.lacks_context
        self.speculative, self.lacks_context = before
        return found, lacks_context

    def resolve(self, name: str) -> tuple[Symbol, GlobalSymbol | None]:
        """The symbol of a variable, and the global if it is one."""
        own = self.local_name(name)
        is_local = own in self.parameters or own in self.locals
        found = None if is_local else self.program.find_global(name, self.file)
        return (("global", found.symbol) if found is not None else (*self.key, own)), found

    def local_name(self, name: str) -> str:
        """The name in `locals`. A library file's local has another one than a global of the script.

        An alias's body and the body of the script's probe share their locals, but `n` in the script
        is the global that it declares, whatever the library calls its own variables.
        """
        hidden = self.in_library and name in self.program.script_globals
        return f"{name}.library" if hidden and name not in self.parameters else name

    def local(self, name: str) -> p.Local:
        """The local of that name, declared by its first use."""
        own = self.local_name(name)
        found = p.Local(own, self.types.type_of((*self.key, own)))
        self.locals[own] = found
        return found

    def temporary(self, type_: ValueType) -> p.Local:
        """A local that no script can name, as its name has a dot."""
        self.temporaries += 1
        found = p.Local(f"t.{self.temporaries}", type_)
        self.locals[found.name] = found
        return found

    def save_at_entry(self, value: p.Expr, span: Span) -> p.Expr:
        """Save a value at the function's entry; equal values are saved once."""
        for i, known in enumerate(self.entry_values):
            if _same(known, value):
                return p.EntryValue(i, value.type or p.LONG, span)
        self.entry_values.append(value)
        return p.EntryValue(len(self.entry_values) - 1, value.type or p.LONG, span)


def _same(a: object, b: object) -> bool:
    """Whether two values are equal, wherever they stand in the script; those with effects are not."""
    if isinstance(a, p.Assign | p.Increment | p.Call | p.EmbeddedExpr):
        return a == b
    if type(a) is type(b) and is_record(a):
        names = (f.name for f in fields(a) if f.name != "span")
        return all(_same(getattr(a, name), getattr(b, name)) for name in names)
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(map(_same, a, b))
    return a == b
