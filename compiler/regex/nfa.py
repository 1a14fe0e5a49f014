# SPDX-License-Identifier: GPL-2.0-or-later
"""A pattern as a machine of many threads: what the automaton is determined from.

    assemble(parse("ab*"), tags=False)  ->  [Byte({a}, 1), Fork((2, 3)), Byte({b}, 1), Accept()]

Each step names where its thread goes on. Of a Fork the first way is preferred, so the order of threads
tells which submatches win.
"""

from __future__ import annotations

from typing import Final, TypeAlias, assert_never

from compiler.regex import parser as ast
from runtime.support.record import record

MOST_STEPS: Final = 10_000


class TooLargeError(ValueError):
    """The pattern needs more steps, states or work than a handler's matcher may have."""


@record
class Byte:
    members: frozenset[int]
    after: int


@record
class Fork:
    ways: tuple[int, ...]


@record
class Tag:
    """The position goes into tag `number`."""

    number: int
    after: int


@record
class AtBegin:
    after: int


@record
class AtEnd:
    after: int


@record
class Accept:
    pass


Step: TypeAlias = Byte | Fork | Tag | AtBegin | AtEnd | Accept


@record
class Machine:
    """`first` is where a thread begins."""

    steps: tuple[Step, ...]
    first: int


def assemble(pattern: ast.Pattern, *, tags: bool) -> Machine:
    """The steps of a pattern. Tag 2n is where group n begins, 2n + 1 where it ends; group 0's are not set
    here. TooLargeError for repetitions of repetitions that make too many."""
    maker = _Maker(tags)
    first = maker.node(pattern.root, maker.add(Accept()))
    return Machine(tuple(maker.steps), first)


class _Maker:
    """Steps are made from the end of the pattern to its start."""

    def __init__(self, tags: bool) -> None:
        self.tags = tags
        self.steps: list[Step] = []

    def add(self, step: Step) -> int:
        if len(self.steps) >= MOST_STEPS:
            raise TooLargeError
        self.steps.append(step)
        return len(self.steps) - 1

    def node(self, node: ast.Node, after: int) -> int:
        """Where a thread starts that goes through `node` and then on to `after`."""
        match node:
            case ast.Bytes(members):
                return self.add(Byte(members, after))
            case ast.Begin():
                return self.add(AtBegin(after))
            case ast.End():
                return self.add(AtEnd(after))
            case ast.Cat(parts):
                for part in reversed(parts):
                    after = self.node(part, after)
                return after
            case ast.Alt(choices):
                return self.add(Fork(tuple(self.node(choice, after) for choice in choices)))
            case ast.Group(number, inner) if self.tags:
                end = self.add(Tag(2 * number + 1, after))
                return self.add(Tag(2 * number, self.node(inner, end)))
            case ast.Group(_, inner):
                return self.node(inner, after)
            case ast.Repeat():
                return self.repeat(node, after)
            case _:
                assert_never(node)

    def repeat(self, node: ast.Repeat, after: int) -> int:
        if node.high is None:
            loop = self.add(Fork(()))  # its ways are known when its body is
            body = self.node(node.inner, loop)
            self.steps[loop] = Fork((body, after))
            after = loop if not node.low else body
            more = max(node.low - 1, 0)
        else:
            end = after
            for _ in range(node.high - node.low):
                after = self.add(Fork((self.node(node.inner, after), end)))
            more = node.low
        for _ in range(more):
            after = self.node(node.inner, after)
        return after
