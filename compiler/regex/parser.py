# SPDX-License-Identifier: GPL-2.0-or-later
"""Parses POSIX extended regular expressions.

    parse("a(b|[0-9]){2}")
      -> Pattern(Cat((Bytes({a}), Repeat(Group(1, Alt((Bytes({b}), Bytes({0..9}))))), 2, 2))), groups=2)

A pattern matches bytes. `.` and `[^...]` match any byte, newlines included. A backslash makes the next
character an ordinary one, except for the classes that grep adds: \\w \\W \\s \\S. Back references are
refused. `(?:...)` is a group without a number. Closing braces, brackets and parentheses that close
nothing are ordinary characters.
Sources: IEEE 1003.1, chapter "Regular Expressions", and the patterns that stap 4.8 accepts.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeAlias

from runtime.support.record import record

MAX_REPEATS: Final = 1000
_MAX_DEPTH: Final = 100

_CLASSES: Final = {
    "alpha": (range(65, 91), range(97, 123)),
    "digit": (range(48, 58),),
    "alnum": (range(48, 58), range(65, 91), range(97, 123)),
    "upper": (range(65, 91),),
    "lower": (range(97, 123),),
    "space": (range(9, 14), range(32, 33)),
    "blank": (range(9, 10), range(32, 33)),
    "punct": (range(33, 48), range(58, 65), range(91, 97), range(123, 127)),
    "print": (range(32, 127),),
    "graph": (range(33, 127),),
    "cntrl": (range(1, 32), range(127, 128)),
    "xdigit": (range(48, 58), range(65, 71), range(97, 103)),
}
_ALL: Final = frozenset(range(1, 256))  # a NUL ends a string
_WORD: Final = frozenset(b for part in _CLASSES["alnum"] for b in part) | {ord("_")}
_SPACE: Final = frozenset(b for part in _CLASSES["space"] for b in part)
_ESCAPES: Final = {"w": _WORD, "W": _ALL - _WORD, "s": _SPACE, "S": _ALL - _SPACE}


class PatternError(ValueError):
    """An invalid pattern. `start` and `end` are the offsets in the pattern of the invalid part."""

    def __init__(self, start: int, end: int, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.start = start
        self.end = end
        self.message = message
        self.hint = hint


@record
class Bytes:
    """Matches one byte that is in `members`."""

    members: frozenset[int]


@record
class Begin:
    """`^`: matches at the start of the string."""


@record
class End:
    """`$`: matches at the end of the string."""


@record
class Cat:
    """A concatenation; with no parts, it matches the empty string."""

    parts: tuple[Node, ...]


@record
class Alt:
    """Alternatives, separated by `|`; earlier ones are preferred."""

    choices: tuple[Node, ...]


@record
class Repeat:
    """From `low` to `high` repetitions of `inner`; `high` is None if there is no limit."""

    inner: Node
    low: int
    high: int | None


@record
class Group:
    """`(...)`. Groups are numbered from 1, in the order of their opening parentheses."""

    number: int
    inner: Node


Node: TypeAlias = Bytes | Begin | End | Cat | Alt | Repeat | Group


@record
class Pattern:
    """The tree of a pattern. `groups` is the number of groups, the whole match included."""

    root: Node
    groups: int


def parse(text: str) -> Pattern:
    """Returns the tree of a pattern, in which one character stands for one byte.

    Raises PatternError.
    """
    parser = _Parser(text)
    root = parser.choices(0)
    return Pattern(root, parser.groups)


class _Parser:
    """A recursive descent parser; each method parses from `at` and moves it.

    `depth` counts the parentheses around the current position.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.groups = 1

    def choices(self, depth: int) -> Node:
        if depth > _MAX_DEPTH:
            raise PatternError(self.at - 1, self.at, "parentheses are nested too deep")
        found = [self.sequence(depth)]
        while self.text.startswith("|", self.at):
            self.at += 1
            found.append(self.sequence(depth))
        return found[0] if len(found) == 1 else Alt(tuple(found))

    def sequence(self, depth: int) -> Node:
        parts: list[Node] = []
        while self.at < len(self.text):
            char = self.text[self.at]
            if char == "|" or (char == ")" and depth):
                break
            parts.append(self.repeated(self.atom(depth)))
        return parts[0] if len(parts) == 1 else Cat(tuple(parts))

    def atom(self, depth: int) -> Node:
        start = self.at
        char = self.text[start]
        self.at += 1
        match char:
            case "(":
                return self.group(start, depth)
            case "[":
                return Bytes(self.brackets(start))
            case ".":
                return Bytes(_ALL)
            case "^":
                return Begin()
            case "$":
                return End()
            case "\\":
                return Bytes(self.escape(start))
            case "*" | "+" | "?" | "{":
                raise PatternError(
                    start,
                    self.at,
                    f"'{char}' has nothing to repeat",
                    f"write '\\\\{char}' for the character itself",
                )
        return Bytes(frozenset((ord(char),)))

    def group(self, start: int, depth: int) -> Node:
        number = None
        if self.text.startswith("?:", self.at):
            self.at += 2
        else:
            number = self.groups
            self.groups += 1
        inner = self.choices(depth + 1)
        if not self.text.startswith(")", self.at):
            raise PatternError(
                start, start + 1, "this '(' is not closed", "write '\\\\(' for a '('"
            )
        self.at += 1
        return inner if number is None else Group(number, inner)

    def escape(self, start: int) -> frozenset[int]:
        if self.at == len(self.text):
            raise PatternError(
                start,
                self.at,
                "the pattern ends with a backslash",
                "write '\\\\\\\\' for a backslash",
            )
        char = self.text[self.at]
        self.at += 1
        if char in "123456789":
            raise PatternError(
                start,
                self.at,
                f"back references such as '\\{char}' are not supported",
                "compare matched(n) after the match",
            )
        return _ESCAPES.get(char) or frozenset((ord(char),))

    # ------------------------------------------------------------ repetition

    def repeated(self, node: Node) -> Node:
        while self.at < len(self.text) and self.text[self.at] in "*+?{":
            start = self.at
            char = self.text[start]
            if isinstance(node, Begin | End) and self.text[start - 1] in "^$":  # ^*, but not (?:^)*
                raise PatternError(
                    start, start + 1, f"'{char}' has nothing to repeat: an anchor takes no text"
                )
            self.at += 1
            low, high = self.interval(start) if char == "{" else _TIMES[char]
            node = Repeat(node, low, high)
        return node

    def interval(self, start: int) -> tuple[int, int | None]:
        low = self.count(start)
        high: int | None = low
        if self.text.startswith(",", self.at):
            self.at += 1
            high = None if self.text.startswith("}", self.at) else self.count(start)
        if not self.text.startswith("}", self.at):
            raise PatternError(start, self.at, "this interval is not closed", _INTERVALS)
        self.at += 1
        if high is not None and high < low:
            raise PatternError(
                start, self.at, f"an interval from {low} to {high} is reversed", _INTERVALS
            )
        return low, high

    def count(self, start: int) -> int:
        end = self.at
        while end < len(self.text) and self.text[end] in "0123456789":
            end += 1
        if end == self.at:
            raise PatternError(
                start, max(self.at, start + 1), "an interval needs a number", _INTERVALS
            )
        digits, self.at = self.text[self.at : end], end
        if len(digits) > 9 or int(digits) > MAX_REPEATS:
            raise PatternError(
                end - len(digits),
                end,
                f"{digits} repetitions are too many",
                f"at most {MAX_REPEATS}",
            )
        return int(digits)

    # ------------------------------------------------------------ brackets

    def brackets(self, start: int) -> frozenset[int]:
        negated = self.text.startswith("^", self.at)
        self.at += negated
        members: set[int] = set()
        first = True
        while True:
            if self.at >= len(self.text):
                raise PatternError(
                    start, start + 1, "this '[' is not closed", "write '\\\\[' for a '['"
                )
            if self.text[self.at] == "]" and not first:
                self.at += 1
                break
            first = False
            members.update(self.member(start))
        return _ALL - members if negated else frozenset(members) & _ALL

    def member(self, start: int) -> Iterable[int]:
        begin = self.at
        if self.text.startswith("[:", begin):
            name = self.named(start, ":")
            if name not in _CLASSES:
                raise PatternError(
                    begin,
                    self.at,
                    f"there is no character class '{name}'",
                    "there are " + " ".join(sorted(_CLASSES)),
                )
            return {b for part in _CLASSES[name] for b in part}
        low = self.element(start)
        rest = self.text[self.at : self.at + 2]
        if len(rest) < 2 or rest[0] != "-" or rest[1] == "]":
            return (low,)
        self.at += 1
        if self.text.startswith("[:", self.at):
            raise PatternError(
                begin, self.at + 2, "a range ends with a character, not with a class"
            )
        high = self.element(start)
        if high < low:
            raise PatternError(
                begin, self.at, f"the range '{self.text[begin : self.at]}' is reversed"
            )
        return range(low, high + 1)

    def element(self, start: int) -> int:
        """A character of a bracket expression: `x`, `[.x.]` or `[=x=]`."""
        begin = self.at
        for mark in ".=":
            if self.text.startswith("[" + mark, begin):
                name = self.named(start, mark)
                if len(name) != 1:
                    raise PatternError(begin, self.at, f"there is no collating element '{name}'")
                return ord(name)
        self.at += 1
        return ord(self.text[begin])

    def named(self, start: int, mark: str) -> str:
        """The name in `[:name:]`, `[.name.]` or `[=name=]`."""
        begin = self.at + 2
        end = self.text.find(mark + "]", begin)
        if end < 0:
            raise PatternError(self.at, begin, f"'[{mark}' needs its '{mark}]'")
        self.at = end + 2
        return self.text[begin:end]


_TIMES: Final[dict[str, tuple[int, int | None]]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
_INTERVALS: Final = "intervals are {n}, {n,} and {n,m}; write '\\\\{' for a '{'"
