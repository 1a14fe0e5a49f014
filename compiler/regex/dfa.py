# SPDX-License-Identifier: GPL-2.0-or-later
r"""Patterns as tables: one look at each byte, whatever the pattern.

    compile("ab", captures=False)
      -> Automaton(classes=..., rows=(.., .., (2, 3, 2, 0), (2, 3, 1, 0)), start=2, ...)

A class is a set of bytes that the pattern never tells apart; class 0 is the NUL that ends the string.
State 0 ends the run. Without captures, state 1 ends it as well: there is a match, and it is not looked
for any further; every NUL leads to one of the two. With captures the run goes on until no thread is
left, and moves keep what a match needs:

    Move(to=1, source=None)    register 1 = the position behind the byte
    Move(to=0, source=1)       register 0 = register 1
    tags[n] = ...              Transition.found: a match; its tags come from registers or the position

Registers belong to the state: after each step they are numbered anew in the order in which threads use
them, so the number of states is finite (Laurikari's tagged automata). The moves of a step happen all at
once. Threads are in order of their start, then of preference; a match cuts those that began later.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from compiler.regex.nfa import (
    Accept,
    AtBegin,
    AtEnd,
    Byte,
    Fork,
    Machine,
    Tag,
    TooLargeError,
    assemble,
)
from compiler.regex.parser import Pattern, parse
from runtime.support.record import record

MOST_CELLS: Final = 1 << 15  # states times classes: 64 KiB of table at most
_MOST_WORK: Final = 400_000  # threads looked at while the states are found

HERE: Final = -1  # as a source: the position, not a register
UNSET: Final = -2  # as a source: no position

DEAD: Final = 0
MATCHED: Final = 1


class Move(NamedTuple):
    """Register `to` becomes register `source`, or the position (HERE)."""

    to: int
    source: int


class Action(NamedTuple):
    """What a transition does. `found`: of each tag its register, HERE or UNSET; () for no match."""

    moves: tuple[Move, ...] = ()
    found: tuple[int, ...] = ()


NOTHING: Final = Action()


@record
class Automaton:
    """`classes` has the class of each byte; `rows[state][class]` is the next state, `actions` alike what
    happens on the way there. `opening` happens before the first byte. `groups` counts the whole match."""

    classes: bytes
    rows: tuple[tuple[int, ...], ...]
    actions: tuple[tuple[Action, ...], ...]
    start: int
    opening: Action
    groups: int
    registers: int
    captures: bool

    @property
    def width(self) -> int:
        return len(self.rows[0])


@lru_cache(maxsize=256)
def compile(text: str, captures: bool) -> Automaton:
    """The automaton of a pattern. PatternError; TooLargeError where its table would be out of bounds."""
    pattern = parse(text)
    machine = assemble(pattern, tags=captures)
    classes, samples = _classes(machine)
    if captures:
        return _Tagged(machine, pattern, classes, samples).build()
    return _plain(machine, pattern, classes, samples)


def _classes(machine: Machine) -> tuple[bytes, list[int]]:
    """The class of each byte, and one byte of each class."""
    sets = list({step.members for step in machine.steps if isinstance(step, Byte)})
    numbers: dict[tuple[bool, ...], int] = {}
    classes, samples = bytearray(256), [0]
    for byte in range(1, 256):
        key = tuple(byte in members for members in sets)
        if key not in numbers:
            numbers[key] = len(samples)
            samples.append(byte)
        classes[byte] = numbers[key]
    return bytes(classes), samples


# ---------------------------------------------------------------- without captures


def _plain(machine: Machine, pattern: Pattern, classes: bytes, samples: Sequence[int]) -> Automaton:
    """States are sets of threads; the first match ends the run."""
    work = 0

    def closed(starts: Sequence[int], begin: bool, end: bool) -> frozenset[int]:
        nonlocal work
        seen: set[int] = set()
        waiting = list(starts)
        while waiting:
            at = waiting.pop()
            if at in seen:
                continue
            seen.add(at)
            step = machine.steps[at]
            match step:
                case Fork(ways):
                    waiting += ways
                case Tag(_, after):
                    waiting.append(after)
                case AtBegin(after) if begin:
                    waiting.append(after)
                case AtEnd(after) if end:
                    waiting.append(after)
                case _:
                    pass
        work += len(seen)
        if work > _MOST_WORK:
            raise TooLargeError
        return frozenset(at for at in seen if isinstance(machine.steps[at], Byte | AtEnd | Accept))

    def accepts(state: frozenset[int]) -> bool:
        return any(isinstance(machine.steps[at], Accept) for at in state)

    fresh = closed([machine.first], False, False)
    # where `^` holds, the end may be as well
    empty = accepts(closed([machine.first], True, True))
    opening = closed([machine.first], True, False)
    numbers: dict[tuple[frozenset[int], bool], int] = {}
    states: list[tuple[frozenset[int], bool]] = []

    def number(state: frozenset[int], first: bool) -> int:
        if accepts(state):
            return MATCHED
        if not state:
            return DEAD
        key = (state, first)
        if key not in numbers:
            numbers[key] = len(states) + 2
            states.append(key)
            if len(states) * len(samples) > MOST_CELLS:
                raise TooLargeError
        return numbers[key]

    rows: list[tuple[int, ...]] = []
    start = number(opening, opening != fresh or empty)
    at = 0
    while at < len(states):
        state, first = states[at]
        at += 1
        ended = empty if first else accepts(closed(sorted(state), False, True))
        row = [MATCHED if ended else DEAD]
        for sample in samples[1:]:
            moved = [
                step.after
                for place in sorted(state)
                if isinstance(step := machine.steps[place], Byte) and sample in step.members
            ]
            row.append(number(closed(moved, False, False) | fresh, False))
        rows.append(tuple(row))
    width = len(samples)
    table = [(DEAD,) * width, (MATCHED,) * width, *rows]
    return _minimal(
        Automaton(
            classes,
            tuple(table),
            tuple((NOTHING,) * width for _ in table),
            start,
            NOTHING,
            pattern.groups,
            0,
            False,
        )
    )


# ---------------------------------------------------------------- with captures


class _Thread(NamedTuple):
    """`values`: of each tag a register, HERE or UNSET; tag 0 is where the thread began."""

    at: int
    values: tuple[int, ...]


class _State(NamedTuple):
    """`done`: a match was found, so no thread begins any more."""

    threads: tuple[_Thread, ...]
    done: bool
    first: bool


class _Tagged:
    def __init__(
        self, machine: Machine, pattern: Pattern, classes: bytes, samples: Sequence[int]
    ) -> None:
        self.machine = machine
        self.pattern = pattern
        self.classes = classes
        self.samples = samples
        self.begins = any(isinstance(step, AtBegin) for step in machine.steps)
        self.numbers: dict[_State, int] = {}
        self.states: list[_State] = []
        self.registers = 0
        self.work = 0

    def build(self) -> Automaton:
        blank = (HERE, *(UNSET,) * (2 * self.pattern.groups - 1))
        self.newcomer = _Thread(self.machine.first, blank)
        start, opening = self.enter(
            self.closed([self.newcomer], begin=True, end=False), False, self.begins
        )
        rows, actions = [], []
        at = 0
        while at < len(self.states):
            found = [self.step(self.states[at], sample) for sample in self.samples]
            rows.append(tuple(state for state, _ in found))
            actions.append(tuple(action for _, action in found))
            at += 1
        width = len(self.samples)
        return _minimal(
            Automaton(
                self.classes,
                ((DEAD,) * width, *rows),
                ((NOTHING,) * width, *actions),
                start,
                opening,
                self.pattern.groups,
                self.registers,
                True,
            )
        )

    def step(self, state: _State, sample: int) -> tuple[int, Action]:
        if sample == 0:
            # nothing is read, so what waited for the end goes on where it is
            threads = self.closed(state.threads, begin=state.first, end=True)
            _, action = self.enter(threads, state.done, False, last=True)
            return DEAD, action
        moved = [
            _Thread(step.after, thread.values)
            for thread in state.threads
            if isinstance(step := self.machine.steps[thread.at], Byte) and sample in step.members
        ]
        if not state.done:
            moved.append(self.newcomer)
        return self.enter(self.closed(moved, begin=False, end=False), state.done, False)

    def closed(self, threads: Sequence[_Thread], *, begin: bool, end: bool) -> list[_Thread]:
        """Threads that wait for a byte, for the end, or have matched; the preferred ones first."""
        found: list[_Thread] = []
        seen: set[int] = set()
        waiting = list(reversed(threads))
        while waiting:
            thread = waiting.pop()
            if thread.at in seen:
                continue
            seen.add(thread.at)
            match self.machine.steps[thread.at]:
                case Fork(ways):
                    waiting += [_Thread(way, thread.values) for way in reversed(ways)]
                case Tag(number, after):
                    values = list(thread.values)
                    values[number] = HERE
                    waiting.append(_Thread(after, tuple(values)))
                case AtBegin(after):
                    if begin:
                        waiting.append(_Thread(after, thread.values))
                case AtEnd(after) if end:
                    waiting.append(_Thread(after, thread.values))
                case _:
                    found.append(thread)
        self.work += len(seen)
        if self.work > _MOST_WORK:
            raise TooLargeError
        return found

    def enter(
        self, threads: list[_Thread], done: bool, first: bool, last: bool = False
    ) -> tuple[int, Action]:
        """The state that these threads make, and what happens on the way into it."""
        found: tuple[int, ...] = ()
        for thread in threads:
            if isinstance(self.machine.steps[thread.at], Accept):
                values = list(thread.values)
                values[1] = HERE
                found = tuple(values)
                # those that began later cannot win any more; those that began earlier still can
                began = [t.values[0] for t in threads]
                final = len(began) - began[::-1].index(thread.values[0])
                threads = [t for t in threads[:final] if t is not thread]
                done = True
                break
        if last:
            return DEAD, Action((), found)
        names: dict[int, int] = {}
        renamed = tuple(
            _Thread(t.at, tuple(_renamed(names, value) for value in t.values)) for t in threads
        )
        self.registers = max(self.registers, len(names))
        moves = tuple(Move(to, source) for source, to in names.items() if to != source)
        action = Action(moves, found)
        if not renamed:
            return DEAD, action
        state = _State(renamed, done, first)
        if state not in self.numbers:
            self.numbers[state] = len(self.states) + 1
            self.states.append(state)
            if len(self.states) * len(self.samples) > MOST_CELLS:
                raise TooLargeError
        return self.numbers[state], action


def _renamed(names: dict[int, int], value: int) -> int:
    return value if value == UNSET else names.setdefault(value, len(names))


# ---------------------------------------------------------------- fewer states


def _minimal(found: Automaton) -> Automaton:
    """States that behave alike become one (Moore's partition)."""
    kept = 1 if found.captures else 2  # the states that end a run stay as they are
    blocks = [min(state, kept) for state in range(len(found.rows))]
    count = 0
    while count != (count := len(set(blocks))):
        names: dict[object, int] = {}
        signatures = [
            (blocks[state], tuple(blocks[n] for n in row), found.actions[state])
            for state, row in enumerate(found.rows)
        ]
        for signature in signatures:
            names.setdefault(signature, len(names))
        blocks = [names[signature] for signature in signatures]
    first = {block: state for state, block in reversed(list(enumerate(blocks)))}
    order = sorted(first.values())
    number = {blocks[state]: i for i, state in enumerate(order)}
    return Automaton(
        found.classes,
        tuple(tuple(number[blocks[n]] for n in found.rows[state]) for state in order),
        tuple(found.actions[state] for state in order),
        number[blocks[found.start]],
        found.opening,
        found.groups,
        found.registers,
        found.captures,
    )


# ---------------------------------------------------------------- running


def search(automaton: Automaton, data: bytes) -> tuple[int, ...] | None:
    """What the generated C does: the tags of the match (two a group, -1: not part of it), () where the
    automaton keeps none; None for no match. `data` holds no NUL."""
    state = automaton.start
    registers = [-1] * automaton.registers
    tags: tuple[int, ...] | None = None

    def act(action: Action, position: int) -> None:
        nonlocal tags

        def value(source: int) -> int:
            return position if source == HERE else -1 if source == UNSET else registers[source]

        if action.found:
            tags = tuple(value(source) for source in action.found)
        for to, got in [(move.to, value(move.source)) for move in action.moves]:
            registers[to] = got

    act(automaton.opening, 0)
    stops = (DEAD,) if automaton.captures else (DEAD, MATCHED)
    at = 0
    while state not in stops:
        byte = data[at] if at < len(data) else 0
        kind = automaton.classes[byte]
        act(automaton.actions[state][kind], at + (byte != 0))
        state = automaton.rows[state][kind]
        at += 1
    if automaton.captures:
        return tags
    return () if state == MATCHED else None
