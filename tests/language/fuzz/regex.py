# SPDX-License-Identifier: GPL-2.0-or-later
"""Regular expressions of the fuzzer, matched by trying all alternatives.

search(Repeat(One("a", frozenset("a")), 1, None), "baa")  ->  (1, 3)

The leftmost match counts, and among those the longest. Among the ways to split it, the first counts where
earlier alternatives and more repetitions come first; a group keeps its last text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from runtime.support.exhaustive import assert_never
from tests.language.fuzz.values import TooLong

Groups = dict[int, tuple[int, int]]

MOST_WAYS = 3000  # steps of one match


@dataclass(frozen=True, slots=True)
class One:
    """One character of these, or of all others; `text` as the pattern writes it."""

    text: str
    members: frozenset[str]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Begin:
    pass


@dataclass(frozen=True, slots=True)
class End:
    pass


@dataclass(frozen=True, slots=True)
class Sequence:
    parts: tuple[Pattern, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    choices: tuple[Pattern, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    inner: Pattern
    low: int
    high: int | None


@dataclass(frozen=True, slots=True)
class Group:
    """Counted by its opening bracket; None: `(?:...)`."""

    number: int | None
    inner: Pattern


Pattern = One | Begin | End | Sequence | Choice | Repeat | Group


def pattern_text(p: Pattern) -> str:
    """The pattern as in a script's literal, without the literal's own escapes."""
    match p:
        case One():
            return p.text
        case Begin():
            return "^"
        case End():
            return "$"
        case Sequence():
            return "".join(
                f"(?:{pattern_text(part)})" if isinstance(part, Choice) else pattern_text(part)
                for part in p.parts
            )
        case Choice():
            return "|".join(map(pattern_text, p.choices))
        case Repeat():
            inner = pattern_text(p.inner)
            if not isinstance(p.inner, One | Group):
                inner = f"(?:{inner})"
            signs = {(0, None): "*", (1, None): "+", (0, 1): "?"}
            high = "" if p.high is None else str(p.high)
            count = str(p.low) if p.low == p.high else f"{p.low},{high}"
            return inner + signs.get((p.low, p.high), "{" + count + "}")
        case Group():
            return ("(?:" if p.number is None else "(") + pattern_text(p.inner) + ")"
        case _:
            assert_never(p)


def count_groups(p: Pattern) -> int:
    """The number of groups, the whole match included."""
    match p:
        case Sequence(parts) | Choice(parts):
            return 1 + sum(count_groups(part) - 1 for part in parts)
        case Repeat(inner):
            return count_groups(inner)
        case Group(number, inner):
            return count_groups(inner) + (number is not None)
        case _:
            return 1


def is_plain(p: Pattern) -> bool:
    """Whether nothing is repeated that may be empty: the number of empty iterations is not defined."""
    match p:
        case Sequence(parts) | Choice(parts):
            return all(map(is_plain, parts))
        case Repeat(inner):
            return is_plain(inner) and not may_be_empty(inner)
        case Group(_, inner):
            return is_plain(inner)
        case _:
            return True


def may_be_empty(p: Pattern) -> bool:
    match p:
        case Sequence(parts):
            return all(map(may_be_empty, parts))
        case Choice(choices):
            return any(map(may_be_empty, choices))
        case Repeat(inner):
            return p.low == 0 or may_be_empty(inner)
        case Group(_, inner):
            return may_be_empty(inner)
        case One():
            return False
        case _:
            return True


def search(p: Pattern, text: str) -> tuple[int, int] | None:
    """Start and end of the match."""
    for start in range(len(text) + 1):
        found = _ends(p, text, start)
        if found:
            return start, max(found)
    return None


def groups(p: Pattern, text: str, start: int, end: int) -> Groups:
    """The part of the match of each group; no entry for a group that took no part. Raises TooLong."""
    walk = _Walk(text)
    return next(found for at, found in walk.ways(p, start, {}) if at == end)


def _fits(p: One, text: str, at: int) -> bool:
    return at < len(text) and (text[at] in p.members) != p.negated


def _ends(p: Pattern, text: str, at: int) -> set[int]:
    """Every position where a match from `at` may end."""
    match p:
        case One():
            return {at + 1} if _fits(p, text, at) else set()
        case Begin():
            return {at} if at == 0 else set()
        case End():
            return {at} if at == len(text) else set()
        case Sequence(parts):
            found = {at}
            for part in parts:
                found = {end for begin in found for end in _ends(part, text, begin)}
            return found
        case Choice(choices):
            return {end for choice in choices for end in _ends(choice, text, at)}
        case Group(_, inner):
            return _ends(inner, text, at)
        case Repeat(inner, low, high):
            # more iterations than there are characters match nothing new
            most = low + len(text) + 1 if high is None else high
            found, reached = {at}, {at} if low == 0 else set()
            for n in range(1, most + 1):
                found = {end for begin in found for end in _ends(inner, text, begin)}
                if n >= low:
                    reached |= found
            return reached
        case _:
            assert_never(p)


class _Walk:
    def __init__(self, text: str) -> None:
        self.text = text
        self.steps = 0

    def ways(self, p: Pattern, at: int, found: Groups) -> Iterator[tuple[int, Groups]]:
        """Every way to match from `at`, the preferred ones first: where it ends, and the groups."""
        self.steps += 1
        if self.steps > MOST_WAYS:
            raise TooLong
        match p:
            case One() | Begin() | End():
                yield from ((end, found) for end in _ends(p, self.text, at))
            case Sequence(parts):
                yield from self.sequence(parts, at, found)
            case Choice(choices):
                for choice in choices:
                    yield from self.ways(choice, at, found)
            case Group(number, inner):
                for end, inside in self.ways(inner, at, found):
                    yield end, inside if number is None else {**inside, number: (at, end)}
            case Repeat():
                yield from self.repeat(p, 0, at, found)
            case _:
                assert_never(p)

    def sequence(
        self, parts: tuple[Pattern, ...], at: int, found: Groups
    ) -> Iterator[tuple[int, Groups]]:
        if not parts:
            yield at, found
            return
        for end, inside in self.ways(parts[0], at, found):
            yield from self.sequence(parts[1:], end, inside)

    def repeat(self, p: Repeat, done: int, at: int, found: Groups) -> Iterator[tuple[int, Groups]]:
        if p.high is None or done < p.high:
            for end, inside in self.ways(p.inner, at, found):
                if end > at or done < p.low:
                    yield from self.repeat(p, done + 1, end, inside)
        if done >= p.low:
            yield at, found
