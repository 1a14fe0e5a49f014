# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds a tagged NFA from the tree of a pattern, by Thompson's construction.

    build_nfa(parse("ab*"), tags=False)
      ->  states (Accept(), Split((2, 0)), Byte({b}, 1), Byte({a}, 1)), start 3

A state either reads one byte (Byte), or is passed without reading (an epsilon transition), or accepts.
The branches of a Split are in order of preference. The order in which states are reached therefore
tells which submatches win.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from compiler.regex import parser as ast
from runtime.support.exhaustive import assert_never
from runtime.support.record import record

MAX_STATES: Final = 10_000


class TooLargeError(ValueError):
    """The pattern needs more states or more work than a handler's matcher may have."""


@record
class Byte:
    """Reads one byte out of `members`."""

    members: frozenset[int]
    next: int


@record
class Split:
    """Goes on in each of `branches`, the preferred one first."""

    branches: tuple[int, ...]


@record
class Tag:
    """Stores the current position in tag `number`."""

    number: int
    next: int


@record
class AtBegin:
    """Goes on only at the start of the string."""

    next: int


@record
class AtEnd:
    """Goes on only at the end of the string."""

    next: int


@record
class Accept:
    pass


State: TypeAlias = Byte | Split | Tag | AtBegin | AtEnd | Accept


@record
class Nfa:
    """`start` is the number of the start state."""

    states: tuple[State, ...]
    start: int


def build_nfa(pattern: ast.Pattern, *, tags: bool) -> Nfa:
    """Returns the NFA of a pattern, with a Tag at each end of each group if `tags` is set.

    Tag 2n is the start of group n, tag 2n + 1 its end. The tags of group 0, the whole match, are not
    set by the NFA. Raises TooLargeError for nested repetitions that need too many states.
    """
    builder = _Builder(tags)
    start = builder.add_node(pattern.root, builder.add(Accept()))
    return Nfa(tuple(builder.states), start)


class _Builder:
    """Builds the states from the end of the pattern to its start, so that `next` is always known."""

    def __init__(self, tags: bool) -> None:
        self.tags = tags
        self.states: list[State] = []

    def add(self, state: State) -> int:
        if len(self.states) >= MAX_STATES:
            raise TooLargeError
        self.states.append(state)
        return len(self.states) - 1

    def add_node(self, node: ast.Node, after: int) -> int:
        """Adds the states that match `node` and then go on in `after`. Returns the first of them."""
        match node:
            case ast.Bytes(members):
                return self.add(Byte(members, after))
            case ast.Begin():
                return self.add(AtBegin(after))
            case ast.End():
                return self.add(AtEnd(after))
            case ast.Cat(parts):
                for part in reversed(parts):
                    after = self.add_node(part, after)
                return after
            case ast.Alt(choices):
                return self.add(Split(tuple(self.add_node(choice, after) for choice in choices)))
            case ast.Group(number, inner) if self.tags:
                end = self.add(Tag(2 * number + 1, after))
                return self.add(Tag(2 * number, self.add_node(inner, end)))
            case ast.Group(_, inner):
                return self.add_node(inner, after)
            case ast.Repeat():
                return self.add_repeat(node, after)
            case _:
                assert_never(node)

    def add_repeat(self, node: ast.Repeat, after: int) -> int:
        """Adds `low` copies of the body, then a loop or `high - low` optional copies."""
        if node.high is None:
            loop = self.add(Split(()))  # replaced below, when the number of its body is known
            body = self.add_node(node.inner, loop)
            self.states[loop] = Split((body, after))
            after = loop if not node.low else body
            copies = max(node.low - 1, 0)
        else:
            end = after
            for _ in range(node.high - node.low):
                after = self.add(Split((self.add_node(node.inner, after), end)))
            copies = node.low
        for _ in range(copies):
            after = self.add_node(node.inner, after)
        return after
