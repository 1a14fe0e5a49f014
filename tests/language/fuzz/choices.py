# SPDX-License-Identifier: GPL-2.0-or-later
"""The base of all program generators: numbers, names, declarations, and the scope of a position.

choices.pick(("+", "-"))  ->  "+"
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeVar

from hypothesis import strategies as st

from tests.language.fuzz import tree as t

T = TypeVar("T")

NUMBERS = (
    0,
    1,
    2,
    3,
    7,
    8,
    63,
    64,
    100,
    255,
    1 << 31,
    (1 << 32) + 5,
    (1 << 63) - 1,
    1 << 63,
    (1 << 64) - 1,
)
TEXTS = ("", "a", "b", "ab", "z", "abc", "%d", 'q"\\', "x\ty", "A1", "1", "\x01")
ARITHMETIC = ("+", "-", "*", "&", "|", "^", "+", "-")
COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")
SHIFTS = ("<<", ">>", ">>>")


@lru_cache(maxsize=256)
def _range(low: int, high: int) -> st.SearchStrategy[int]:
    return st.integers(low, high)


@dataclass(slots=True)
class Scope:
    """The names and operations that are allowed at a position in a body."""

    names: list[t.Variable]  # variables that have a value
    targets: list[t.Variable]  # locals that may change
    functions: list[t.Function]
    pure: bool = False  # a function's body that only computes
    returns: t.Type | None = None
    looping: bool = False
    iterated: set[str] = field(default_factory=set)
    globals: bool = True
    failures: int = 0  # operations that may still fail in the current expression
    hot: t.Variable | None = (
        None  # a variable that the current expression changes, and does not read
    )
    changes: int = 0  # number of changes still allowed


def longs(scope: Scope) -> list[t.Variable]:
    return [v for v in scope.targets if v.type == "long"]


class Choices(ABC):
    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.fresh = 0
        self.declared: list[t.Declaration] = []
        self.accumulated: list[t.Declaration] = []
        self.effects: list[t.Function] = []  # functions that change globals or print
        self.defined: list[t.Function] = []  # all, in the order of the script
        self.fallible: set[str] = set()
        self.groups = 0  # of the current pattern
        self.lanes = 1

    def number(self, low: int, high: int) -> int:
        return self.draw(_range(low, high))

    def pick(self, choices: Sequence[T]) -> T:
        return choices[self.number(0, len(choices) - 1)]

    def chance(self, of: int) -> bool:
        """One in `of`; shrinks to False."""
        return self.number(0, of - 1) == of - 1

    def name(self, stem: str) -> str:
        self.fresh += 1
        return f"{stem}{self.fresh}"

    def attempt(self, asked: t.Expr) -> t.Stmt:
        """Print the value, or the error if there is none."""
        message = t.Variable(self.name("m"), "string")
        caught = t.Do(t.Print("println", (message,)))
        return t.Try((t.Do(t.Print("println", (asked,))),), message.name, (caught,))

    # ------------------------------------------------------------ implemented by subclasses

    @abstractmethod
    def plain(self, scope: Scope, type_: t.Type, depth: int = 2) -> t.Expr:
        """An expression without side effect or failure."""

    @abstractmethod
    def long(self, scope: Scope, depth: int) -> t.Expr:
        """A number, with the side effect or the failure that the scope allows."""

    @abstractmethod
    def string(self, scope: Scope, depth: int) -> t.Expr:
        """A string, with the same limits."""

    @abstractmethod
    def keys(self, scope: Scope, g: t.Declaration) -> tuple[t.Expr, ...]:
        """The keys of one of the array's elements; () for a scalar."""

    @abstractmethod
    def print(self, scope: Scope) -> t.Print:
        """A statement that prints a line."""

    @abstractmethod
    def stmts(self, scope: Scope, depth: int, most: int = 4) -> t.Stmts:
        """A body of at most that many statements."""
