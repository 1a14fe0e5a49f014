# SPDX-License-Identifier: GPL-2.0-or-later
"""What is known so far about the types of a program's symbols.

facts.learn(("global", "n"), LONG, span)    the symbol is a number
facts.learn(("global", "n"), STRING, span)  a conflict: reported in the last round, with both places
"""

from __future__ import annotations

from typing import Final, TypeAlias, cast

from compiler.ir.diagnostics import Diagnostic
from compiler.ir.program import LONG
from compiler.ir.source import Span
from compiler.kernel.btf_types import TypeId
from runtime.abi.manifest import ValueType
from runtime.support.lazy_regex import pattern
from runtime.support.record import field, record

_MOST_KEYS = 9
_NUMBERED = pattern(r"__(at)?\d+_*$")

Symbol: TypeAlias = tuple[str | int, ...]

# The type of what no round has settled yet; never in a finished program.
UNKNOWN: Final = cast(ValueType, "unknown")


@record(frozen=False)
class Facts:
    """Types, number of keys and guesses of key names, by symbol; grows from round to round."""

    types: dict[Symbol, tuple[ValueType, Span]] = field(default_factory=dict)
    arity: dict[str, tuple[int, Span]] = field(default_factory=dict)
    key_names: dict[tuple[str, int], str] = field(default_factory=dict)
    valued: set[Symbol] = field(default_factory=set)  # results that embedded C gives
    # results of which some `return` gives a value of no known type: seen in this round, and before
    returned: set[Symbol] = field(default_factory=set)
    returning: frozenset[Symbol] = frozenset()
    # symbols that were given a value of which no type is known, likewise
    clouded: set[Symbol] = field(default_factory=set)
    clouded_before: frozenset[Symbol] = frozenset()
    # what numbers are pointers to, where all that is assigned agrees; None where it does not
    pointees: dict[Symbol, TypeId | None] = field(default_factory=dict)
    # context variables that a function uses; its callers pass their values
    hidden: dict[str, tuple[str, ...]] = field(default_factory=dict)
    captures: bool = False  # some function asks what a regular expression has matched
    contradicted: set[Symbol] = field(default_factory=set)  # reported
    reported: set[Symbol] = field(default_factory=set)  # that they have no type, or are not there
    changed: bool = False
    wanted: bool = False  # a call's surroundings want a type of a function that told none
    wanting: bool = False  # after what functions tell themselves: callers tell it
    final: bool = False
    undecided: bool = False  # the last round met a symbol without a type
    assumed: bool = False  # such are numbers: nothing asks for them
    faults: list[Diagnostic] = field(default_factory=list)
    spared: Diagnostic | None = None  # the first mistake that seemed to follow from another

    def begin_round(self) -> None:
        self.changed = self.wanted = self.undecided = False
        self.returned, self.clouded = set(), set()

    def end_round(self) -> bool:
        """Whether the round has learned something. What it has seen is kept for the next one to look at."""
        learned = self.changed or self.returned != self.returning
        self.returning, self.clouded_before = frozenset(self.returned), frozenset(self.clouded)
        return learned

    def type_of(self, symbol: Symbol) -> ValueType:
        """The symbol's type, as far as it is known."""
        known = self.types.get(symbol)
        if known is not None:
            return known[0]
        self.undecided = True
        return LONG if self.assumed else UNKNOWN

    def gives_nothing(self, result: Symbol) -> bool:
        """Whether no `return` of a function has a value, and nobody wants one."""
        seen = result in self.returning or result in self.returned
        return not (seen or result in self.types or result in self.valued)

    def learn(self, symbol: Symbol, type_: ValueType, span: Span) -> None:
        """Note a symbol's type, or report that it contradicts what is known."""
        if type_ is UNKNOWN:
            self.clouded.add(symbol)
            return
        known = self.types.get(symbol)
        if known is None:
            self.types[symbol] = (type_, span)
            self.changed = True
        elif known[0] != type_ and symbol not in self.contradicted:
            if self.final:  # one message for a symbol, however often it is used
                self.contradicted.add(symbol)
            name = next((part for part in reversed(symbol) if isinstance(part, str)), "?")
            if symbol[0] == "result":  # of one of several functions of that name
                name = _NUMBERED.sub("", name)
            _, line, column = known[1].location
            self.fault(
                "type-mismatch",
                f"'{name}' is used as {article(type_)} here and as {article(known[0])} elsewhere",
                span,
                f"it became {article(known[0])} at {known[1].location[0]}:{line}:{column}",
            )

    def learn_hidden(self, function: str, variable: str) -> None:
        """Note that a function uses a context variable of the probe that it runs for."""
        known = self.hidden.get(function, ())
        if variable not in known:
            self.hidden[function] = (*known, variable)
            self.changed = True

    def learn_arity(self, name: str, arity: int, span: Span) -> None:
        """Note how many keys a global has; 0 for a scalar."""
        if arity > _MOST_KEYS:
            self.missing(
                "keys",
                name,
                "too-many-keys",
                f"'{name}' has {arity} keys, and an array has at most {_MOST_KEYS}",
                span,
                'join some: sprintf("%d,%s", ...)',
            )
        known = self.arity.get(name)
        if known is None:
            self.arity[name] = (arity, span)
            self.changed = True
        elif known[0] != arity:
            file, line, column = known[1].location
            self.fault(
                "arity-mismatch",
                f"'{name}' has {_keys(arity)} here and {_keys(known[0])} elsewhere",
                span,
                f"compare {file}:{line}:{column}",
            )

    def suspect(self, symbol: Symbol, message: str, span: Span, hint: str) -> None:
        """Report once that nothing tells a symbol's type, unless what it is given has no type either."""
        if not self.final or symbol in self.reported:
            return
        self.reported.add(symbol)
        if symbol in self.clouded_before:
            fault = Diagnostic("unresolved-type", message, span, hint=hint)
            self.spared = self.spared or fault
        else:
            self.fault("unresolved-type", message, span, hint)

    def missing(self, kind: str, name: str, slug: str, message: str, span: Span, hint: str) -> None:
        """Report once that there is nothing of a name."""
        if self.final and (kind, name) not in self.reported:
            self.reported.add((kind, name))
            self.fault(slug, message, span, hint)

    def fault(self, slug: str, message: str, span: Span, hint: str | None = None) -> None:
        """Report a mistake; before the last round it may only be that too little is known."""
        if self.final and not any(f.slug == slug and f.span == span for f in self.faults):
            self.faults.append(Diagnostic(slug, message, span, hint=hint or None))


def article(type_: ValueType) -> str:
    """`a number`, `a string`, `a statistic`."""
    return {"long": "a number", "string": "a string", "stat": "a statistic"}.get(type_, type_)


def _keys(arity: int) -> str:
    return {0: "no keys", 1: "1 key"}.get(arity, f"{arity} keys")
