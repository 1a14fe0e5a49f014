# SPDX-License-Identifier: GPL-2.0-or-later
"""The surroundings of one body: its locals, its probe site, and the program it belongs to."""

from __future__ import annotations

from collections.abc import Callable

from compiler.ir import program as p
from compiler.ir import syntax
from compiler.ir.source import Span
from compiler.probes import Environment, ProbeSite
from compiler.resolve.type_facts import UNKNOWN, Facts, Symbol, article
from runtime.abi.manifest import Histogram, ValueType
from runtime.support.record import field, record


@record
class GlobalSymbol:
    """A declared global; private ones of a file have a symbol of their own."""

    symbol: str
    declared: syntax.Global


@record
class Overloads:
    """Functions that one call may run: each goes on to the next of them by `next`.

    They have one number of parameters and one type of result.
    """

    functions: tuple[syntax.Function, ...]
    symbols: tuple[str, ...]

    @property
    def result(self) -> tuple[str, ...]:
        """The fact of what they return."""
        return ("result", self.symbols[0])


@record(frozen=False)
class World:
    """All that bodies share while one round runs."""

    facts: Facts
    environment: Environment
    globals: dict[tuple[str, str], GlobalSymbol]  # (file or "", name)
    functions: dict[str, list[syntax.Function]]  # by name: the user's, then the library's
    library_files: frozenset[str]
    histograms: dict[str, list[Histogram]]  # by global: those that the script asks for
    shifts: dict[str, int] = field(default_factory=dict)  # by global: its variance's bit shift
    used_globals: dict[str, GlobalSymbol] = field(default_factory=dict)
    wanted_functions: dict[str, Overloads] = field(default_factory=dict)  # by the first's symbol
    wanted_names: dict[str, list[Overloads]] = field(default_factory=dict)  # the same, by name
    # functions that use context variables: a clone for each probe point, with the point's symbols
    contextual: frozenset[str] = frozenset()
    clones: dict[tuple[str, str], str] = field(default_factory=dict)
    sites: dict[str, ProbeSite] = field(default_factory=dict)

    def clone(self, found: Overloads, site: ProbeSite) -> Overloads:
        """Contextual functions as they run for a probe point."""
        names = []
        for symbol in found.symbols:
            known = self.clones.setdefault(
                (symbol, f"{site.alias} {site.point}"), f"{symbol}__at{len(self.clones)}"
            )
            self.sites[known] = site
            names.append(known)
        return Overloads(found.functions, tuple(names))

    def want(self, found: Overloads) -> Overloads:
        """Functions that something calls; the same object each time."""
        known = self.wanted_functions.get(found.symbols[0])
        if known is None:
            known = self.wanted_functions[found.symbols[0]] = found
            self.wanted_names.setdefault(found.functions[0].name, []).append(found)
        return known

    def find_global(self, name: str, file: str) -> GlobalSymbol | None:
        found = self.globals.get((file, name)) or self.globals.get(("", name))
        if found is not None:
            self.used_globals[found.symbol] = found
        return found


@record(frozen=False)
class Scope:
    """One body that is being lowered. `key` makes its locals' facts its own."""

    world: World
    key: tuple[str | int, ...]
    file: str
    site: ProbeSite | None  # None in functions but those that use context variables
    lower: Callable[[Scope, syntax.Expr, ValueType | None], p.Expr]
    parameters: tuple[str, ...] = ()
    result: tuple[str | int, ...] | None = None  # the fact of a function's result
    overloads: Overloads | None = None  # those that `next` in a function goes on to
    locals: dict[str, p.Local] = field(default_factory=dict)
    assigned: set[str] = field(default_factory=set)
    saved: dict[str, p.Local] = field(default_factory=dict)  # parameters as they were given
    entries: list[p.Expr] = field(default_factory=list)
    in_entry: bool = False
    written: frozenset[str] = frozenset()  # variables that the probe's own body assigns to
    loops: int = 0
    temporaries: int = 0
    blind: bool = False  # what cannot run: that the context lacks something is only noted, here:
    missed: bool = False
    unplaced: bool = (
        False  # a probe of no known place: what its context and aliases have is unknown
    )
    is_special: bool = False  # the body depends on the very site, not only on its kind

    @property
    def own_site(self) -> ProbeSite | None:
        """`site`, for what may differ between the functions of a wildcard."""
        self.is_special = True
        return self.site

    @property
    def has_context(self) -> bool:
        """Whether there may be context variables; the library's code may run for any probe."""
        if self.file in self.world.library_files or self.unplaced:
            return True
        site = self.site
        return site is not None and bool(site.function or site.system or site.variables)

    @property
    def in_function(self) -> bool:
        return self.result is not None

    @property
    def facts(self) -> Facts:
        return self.world.facts

    def expr(self, e: syntax.Expr, want: ValueType | None = None) -> p.Expr:
        """Lower an expression; `want` is the type its surroundings need, if they know."""
        return self.lower(self, e, want)

    def typed(self, e: syntax.Expr, want: ValueType) -> p.Expr:
        """Lower an expression that must have this type."""
        found = self.lower(self, e, want)
        self.require(found, want, e.span)
        return found

    def require(self, found: p.Expr, want: ValueType, span: Span) -> None:
        if found.type is None:
            self.facts.fault(
                "no-value",
                "this function returns no value",
                span,
                "call it as a statement; or let it return something: return 0",
            )
        elif found.type is not UNKNOWN and found.type != want:
            self.facts.fault(
                "type-mismatch", f"{article(want)} is needed here, not {article(found.type)}", span
            )

    def unsettled(self, span: Span) -> p.Number:
        """Stands for what has been reported: of no type, so that nothing else is said of it."""
        return p.Number(0, span, UNKNOWN)

    def variable(self, name: str) -> tuple[Symbol, GlobalSymbol | None]:
        """What a variable's name means here: the fact of its type, and the global if it is one."""
        is_local = name in self.parameters or name in self.locals
        found = None if is_local else self.world.find_global(name, self.file)
        return (("global", found.symbol) if found is not None else (*self.key, name)), found

    def local(self, name: str) -> p.Local:
        """The local of that name, declared by its first use."""
        found = p.Local(name, self.facts.type_of((*self.key, name)))
        self.locals[name] = found
        return found

    def temporary(self, type_: ValueType) -> p.Local:
        """A local that no script can name."""
        self.temporaries += 1
        found = p.Local(f"__t{self.temporaries}", type_)
        self.locals[found.name] = found
        return found

    def entry(self, value: p.Expr, span: Span) -> p.Expr:
        """Save a value at the function's entry; equal ones are saved once."""
        for i, known in enumerate(self.entries):
            if _same(known, value):
                return p.EntryValue(i, value.type or p.LONG, span)
        self.entries.append(value)
        return p.EntryValue(len(self.entries) - 1, value.type or p.LONG, span)


def _same(a: p.Expr, b: p.Expr) -> bool:
    match a, b:
        case p.Argument(), p.Argument():
            return (a.index, a.size, a.signed) == (b.index, b.size, b.signed)
        case _:
            return a == b
