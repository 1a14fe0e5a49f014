# SPDX-License-Identifier: GPL-2.0-or-later
"""The type environment: what inference knows about the symbols of a program, and its diagnostics.

types.learn(("global", "n"), LONG, span)    the symbol is a number
types.learn(("global", "n"), STRING, span)  a conflict: reported with both locations

A symbol is a tuple that names whatever has a type: ("global", symbol), ("key", symbol, index),
("function", symbol, parameter or local), ("probe", index, local), ("result", symbol, name).

Invariants that inference (inference.py) builds on:

* The environment only grows. A type or an arity, once learned, never changes; a later contradiction
  is a diagnostic, not an update. A pointer type moves only from absent to one type to None.
* Every growth sets `this_round.learned`. A round that does not set it saw the same environment as
  the round before, so another such round would compute the same again.
* Diagnostics are dropped before the reporting rounds. Until then a missing type may be one that a
  later round learns, and a message about it would be wrong.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, TypeAlias, cast

from compiler.ir.diagnostics import Diagnostic
from compiler.ir.program import LONG
from compiler.ir.source import Span
from compiler.kernel.btf_types import TypeId
from runtime.abi.manifest import ValueType
from runtime.support.record import field, record

_MOST_KEYS = 9

Symbol: TypeAlias = tuple[str | int, ...]

# The type of an expression that no round has typed yet; never in a finished program.
UNKNOWN: Final = cast(ValueType, "unknown")


class Round(Enum):
    """The purpose of one pass over all bodies; inference.py runs them in this order."""

    # Types flow from literals, operators, library functions and returned values.
    PROPAGATE = 1
    # PROPAGATE has learned all it can; now a call also types the result of a function whose body
    # does not: in `n + f()`, f returns a number.
    CALLERS = 2
    # Nothing is left to learn: the same walk again, with diagnostics.
    REPORT = 3
    # REPORT found symbols without a type and no error. Nothing depends on their type: they are numbers.
    DEFAULT = 4


@record(frozen=False)
class RoundResult:
    """The findings of one round."""

    learned: bool = False  # the environment has grown
    result_requested: bool = False  # a caller could type a function's result, in a CALLERS round
    met_untyped: bool = False  # a symbol without a type was read
    # results of functions of which a `return` has a value of unknown type
    untyped_results: set[Symbol] = field(default_factory=set)
    # symbols that were given a value of unknown type
    tainted: set[Symbol] = field(default_factory=set)


@record(frozen=False)
class Reports:
    """Diagnostics of the reporting rounds, each once."""

    enabled: bool = False
    diagnostics: list[Diagnostic] = field(default_factory=list)
    # the first diagnostic that is probably a consequence of another one; shown if it is the only one
    deferred: Diagnostic | None = None
    _subjects: set[object] = field(default_factory=set)

    def report(self, slug: str, message: str, span: Span, hint: str | None = None) -> None:
        """Add a diagnostic, unless the same slug was reported for the same span."""
        if self.enabled and not any(d.slug == slug and d.span == span for d in self.diagnostics):
            self.diagnostics.append(Diagnostic(slug, message, span, hint=hint or None))

    def first(self, subject: object) -> bool:
        """Whether diagnostics are reported now, and this is the first one about `subject`."""
        if not self.enabled or subject in self._subjects:
            return False
        self._subjects.add(subject)
        return True


@record(frozen=False)
class TypeEnvironment:
    """Types, arities and pointer types by symbol. It grows from round to round."""

    # by symbol: its type, and where that was learned
    known: dict[Symbol, tuple[ValueType, Span]] = field(default_factory=dict)
    # by symbol of a global: how many keys it has (0: a scalar), and where that was learned
    arity: dict[str, tuple[int, Span]] = field(default_factory=dict)
    # likely names of keys, for labels of metrics: by symbol of a global and index of the key
    key_names: dict[tuple[str, int], str] = field(default_factory=dict)
    # the type that a number points to; None: values given to the symbol point to different types
    pointer_targets: dict[Symbol, TypeId | None] = field(default_factory=dict)
    # by symbol of a function: the context variables that it uses, which its callers pass
    hidden_parameters: dict[str, tuple[str, ...]] = field(default_factory=dict)
    embedded_results: set[Symbol] = field(default_factory=set)  # results that embedded C sets
    captures: bool = False  # some function reads what a regular expression has matched
    reports: Reports = field(default_factory=Reports)
    round: Round = Round.PROPAGATE
    this_round: RoundResult = field(default_factory=RoundResult)
    last_round: RoundResult = field(default_factory=RoundResult)  # the last before REPORT at most

    def begin_round(self, kind: Round) -> None:
        """Start a round with an empty result."""
        if not self.is_reporting:  # DEFAULT compares with what REPORT compared with
            self.last_round = self.this_round
        self.round, self.this_round = kind, RoundResult()
        self.reports.enabled = self.is_reporting

    def has_learned(self) -> bool:
        """Whether this round gave the next one something new to look at."""
        mine, before = self.this_round, self.last_round
        return mine.learned or mine.untyped_results != before.untyped_results

    @property
    def is_reporting(self) -> bool:
        """Whether types are final and diagnostics are reported."""
        return self.round in (Round.REPORT, Round.DEFAULT)

    @property
    def callers_decide(self) -> bool:
        """Whether a call may type the result of a function that has no type of its own."""
        return self.round is not Round.PROPAGATE

    def type_of(self, symbol: Symbol) -> ValueType:
        """The symbol's type, or UNKNOWN; in the DEFAULT round, a number."""
        known = self.known.get(symbol)
        if known is not None:
            return known[0]
        self.this_round.met_untyped = True
        return LONG if self.round is Round.DEFAULT else UNKNOWN

    def returns_nothing(self, result: Symbol) -> bool:
        """Whether no `return` of a function has a value, and no caller needs one."""
        if result in self.known or result in self.embedded_results:
            return False
        rounds = (self.this_round, self.last_round)
        return not any(result in seen.untyped_results for seen in rounds)

    def learn(self, symbol: Symbol, type_: ValueType, span: Span) -> None:
        """Record a symbol's type, or report that it contradicts the known one."""
        if type_ is UNKNOWN:
            self.this_round.tainted.add(symbol)
            return
        known = self.known.get(symbol)
        if known is None:
            self.known[symbol] = (type_, span)
            self.this_round.learned = True
        elif known[0] != type_ and self.reports.first(("contradiction", symbol)):
            self._report_contradiction(symbol, type_, known, span)

    def _report_contradiction(
        self, symbol: Symbol, type_: ValueType, known: tuple[ValueType, Span], span: Span
    ) -> None:
        name = next((part for part in reversed(symbol) if isinstance(part, str)), "?")
        file, line, column = known[1].location
        self.reports.report(
            "type-mismatch",
            f"'{name}' is used as {article(type_)} here and as {article(known[0])} elsewhere",
            span,
            f"it became {article(known[0])} at {file}:{line}:{column}",
        )

    def learn_hidden_parameter(self, function: str, variable: str) -> None:
        """Record that a function uses a context variable of the probe that it runs for."""
        known = self.hidden_parameters.get(function, ())
        if variable not in known:
            self.hidden_parameters[function] = (*known, variable)
            self.this_round.learned = True

    def learn_captures(self) -> None:
        """Record that a function reads what a regular expression has matched."""
        if not self.captures:
            self.captures = self.this_round.learned = True

    def learn_arity(self, name: str, arity: int, span: Span) -> None:
        """Record how many keys a global has; 0 for a scalar."""
        if arity > _MOST_KEYS and self.reports.first(("keys", name)):
            self.reports.report(
                "too-many-keys",
                f"'{name}' has {arity} keys, and an array has at most {_MOST_KEYS}",
                span,
                'join some: sprintf("%d,%s", ...)',
            )
        known = self.arity.get(name)
        if known is None:
            self.arity[name] = (arity, span)
            self.this_round.learned = True
        elif known[0] != arity:
            file, line, column = known[1].location
            self.reports.report(
                "arity-mismatch",
                f"'{name}' has {_keys(arity)} here and {_keys(known[0])} elsewhere",
                span,
                f"compare {file}:{line}:{column}",
            )

    def report_untyped(self, symbol: Symbol, message: str, span: Span, hint: str) -> None:
        """Report once that a symbol has no type.

        If the symbol was given a value that has no type either, the missing type follows from that
        value's own diagnostic: this one is deferred, and shown only if there is no other.
        """
        if not self.reports.first(("untyped", symbol)):
            return
        if symbol in self.last_round.tainted:
            diagnostic = Diagnostic("unresolved-type", message, span, hint=hint)
            self.reports.deferred = self.reports.deferred or diagnostic
        else:
            self.reports.report("unresolved-type", message, span, hint)


def article(type_: ValueType) -> str:
    """The type with its article: `a number`, `a string`, `a statistic`."""
    return {"long": "a number", "string": "a string", "stat": "a statistic"}.get(type_, type_)


def _keys(arity: int) -> str:
    return {0: "no keys", 1: "1 key"}.get(arity, f"{arity} keys")
