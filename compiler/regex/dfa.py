# SPDX-License-Identifier: GPL-2.0-or-later
r"""Turns the NFA of a pattern into a DFA, which looks at each byte of a string once.

    compile("ab", captures=False)
      -> Dfa(classes=..., transitions=(.., .., (2, 3, 2, 0), (2, 3, 1, 0)), start=2, ...)

Byte classes: bytes that the pattern never distinguishes are one class, which keeps the table small.
Class 0 is the NUL that ends the string.

Without captures, this is the subset construction: a state is a set of NFA states. The run ends in
state DEAD or ACCEPTED, and every transition by NUL leads to one of the two, so the run never reads
past the NUL.

With captures, it is the construction of a tagged DFA (Laurikari's TDFA). A state is a list of
configurations: an NFA state, and for each tag the register that holds its value. Registers are
variables of the run; transitions carry the operations on them:

    Move(to=1, source=HERE)    register 1 = the position after the byte that was read
    Move(to=0, source=1)       register 0 = register 1
    Action.tags                a match was found: the sources of its tags, registers or the position

Invariants:
  - The configurations of a state are ordered by where they start, then by preference. A match drops
    those that start later, so the leftmost match wins. A later match from the same start replaces
    the one before, so the longest wins.
  - After each step, registers are numbered in the order in which the configurations use them. States
    that differ only in the numbers of their registers are therefore equal, and there are finitely
    many states.
  - All moves of a transition happen at once: each source is read before any register is written.
  - The run goes on until no configuration is left, in state DEAD.
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
    Nfa,
    Split,
    Tag,
    TooLargeError,
    build_nfa,
)
from compiler.regex.parser import parse
from runtime.support.record import record

MAX_CELLS: Final = 1 << 15  # states times classes: the table takes at most 64 KiB
_MAX_WORK: Final = 400_000  # NFA states visited in all epsilon closures

HERE: Final = -1  # as a source: the current position, not a register
UNSET: Final = -2  # as a source: no position

DEAD: Final = 0
ACCEPTED: Final = 1


class Move(NamedTuple):
    """Copies register `source`, or the position (HERE), to register `to`."""

    to: int
    source: int


class Action(NamedTuple):
    """The register operations of a transition.

    `tags` has the source of each tag if the transition finds a match: a register, HERE or UNSET. It
    is empty if there is no match. The tags are read before the moves.
    """

    moves: tuple[Move, ...] = ()
    tags: tuple[int, ...] = ()


NO_ACTION: Final = Action()


@record
class Dfa:
    """The table of a pattern.

    `classes` has the class of each byte. `transitions[state][class]` is the next state, and
    `actions[state][class]` the action on the way there. `initial_action` happens before the first
    byte. `groups` counts the groups, the whole match included. A state below 2 without `captures`,
    or state 0 with them, ends the run.
    """

    classes: bytes
    transitions: tuple[tuple[int, ...], ...]
    actions: tuple[tuple[Action, ...], ...]
    start: int
    initial_action: Action
    groups: int
    registers: int
    captures: bool

    @property
    def width(self) -> int:
        """The number of classes."""
        return len(self.transitions[0])


@lru_cache(maxsize=256)
def compile(text: str, captures: bool) -> Dfa:
    """Returns the minimal DFA of a pattern; with `captures`, it finds the positions of groups, too.

    Raises PatternError for an invalid pattern, and TooLargeError if the NFA or the table is too large.
    """
    pattern = parse(text)
    nfa = build_nfa(pattern, tags=captures)
    classes, samples = _byte_classes(nfa)
    if captures:
        return _minimised(_TaggedConstruction(nfa, pattern.groups, classes, samples).build())
    return _minimised(_SubsetConstruction(nfa, pattern.groups, classes, samples).build())


def _byte_classes(nfa: Nfa) -> tuple[bytes, list[int]]:
    """The class of each byte, and one byte of each class as its sample."""
    sets = list({state.members for state in nfa.states if isinstance(state, Byte)})
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


class _Subset(NamedTuple):
    """A DFA state: NFA states that wait for a byte or for the end of the string.

    `first` is set for the start state if the position of the string's start matters there.
    """

    nfa_states: frozenset[int]
    first: bool


class _SubsetConstruction:
    """Finds the states of the DFA, breadth first from the start state.

    The search is not anchored: the start state of the NFA is added to each subset, so that a match
    may begin at each position.
    """

    def __init__(self, nfa: Nfa, groups: int, classes: bytes, samples: Sequence[int]) -> None:
        self.nfa = nfa
        self.groups = groups
        self.classes = classes
        self.samples = samples
        self.numbers: dict[_Subset, int] = {}
        self.subsets: list[_Subset] = []
        self.work = 0

    def build(self) -> Dfa:
        begin = [self.nfa.start]
        self.restart = self.closure(begin, begin=False, end=False)
        # At the start of the string, `^` holds; if the string is empty, `$` holds as well.
        self.matches_empty = self.accepts(self.closure(begin, begin=True, end=True))
        opening = self.closure(begin, begin=True, end=False)
        start = self.number(_Subset(opening, opening != self.restart or self.matches_empty))
        rows: list[tuple[int, ...]] = []
        while len(rows) < len(self.subsets):
            rows.append(self.row(self.subsets[len(rows)]))
        width = len(self.samples)
        table = ((DEAD,) * width, (ACCEPTED,) * width, *rows)
        actions = tuple((NO_ACTION,) * width for _ in table)
        return Dfa(self.classes, table, actions, start, NO_ACTION, self.groups, 0, False)

    def row(self, subset: _Subset) -> tuple[int, ...]:
        """The next states of a subset, by class."""
        waiting = sorted(subset.nfa_states)
        if subset.first:
            ended = self.matches_empty
        else:
            ended = self.accepts(self.closure(waiting, begin=False, end=True))
        row = [ACCEPTED if ended else DEAD]
        for sample in self.samples[1:]:
            moved = [
                state.next
                for number in waiting
                if isinstance(state := self.nfa.states[number], Byte) and sample in state.members
            ]
            following = self.closure(moved, begin=False, end=False) | self.restart
            row.append(self.number(_Subset(following, False)))
        return tuple(row)

    def closure(self, starts: Sequence[int], *, begin: bool, end: bool) -> frozenset[int]:
        """The epsilon closure: NFA states reached without a byte, those that pass on left out.

        `begin` and `end` tell whether the position is at the start or the end of the string.
        """
        seen: set[int] = set()
        waiting = list(starts)
        while waiting:
            number = waiting.pop()
            if number in seen:
                continue
            seen.add(number)
            match self.nfa.states[number]:
                case Split(branches):
                    waiting += branches
                case Tag(_, after):
                    waiting.append(after)
                case AtBegin(after) if begin:
                    waiting.append(after)
                case AtEnd(after) if end:
                    waiting.append(after)
                case _:
                    pass
        self.work += len(seen)
        if self.work > _MAX_WORK:
            raise TooLargeError
        return frozenset(n for n in seen if isinstance(self.nfa.states[n], Byte | AtEnd | Accept))

    def accepts(self, states: frozenset[int]) -> bool:
        return any(isinstance(self.nfa.states[number], Accept) for number in states)

    def number(self, subset: _Subset) -> int:
        """The number of a DFA state, a new one if the subset is new."""
        if self.accepts(subset.nfa_states):
            return ACCEPTED
        if not subset.nfa_states:
            return DEAD
        if subset not in self.numbers:
            self.numbers[subset] = len(self.subsets) + 2
            self.subsets.append(subset)
            if len(self.subsets) * len(self.samples) > MAX_CELLS:
                raise TooLargeError
        return self.numbers[subset]


# ---------------------------------------------------------------- with captures


class _Configuration(NamedTuple):
    """An NFA state and the source of each tag: a register, HERE or UNSET.

    Tag 0 is the position where the match begins.
    """

    nfa_state: int
    tags: tuple[int, ...]


class _TaggedState(NamedTuple):
    """A DFA state. `matched`: a match was found, so no further configuration begins."""

    configurations: tuple[_Configuration, ...]
    matched: bool
    first: bool


class _TaggedConstruction:
    """Finds the states of the tagged DFA, breadth first from the start state."""

    def __init__(self, nfa: Nfa, groups: int, classes: bytes, samples: Sequence[int]) -> None:
        self.nfa = nfa
        self.groups = groups
        self.classes = classes
        self.samples = samples
        self.restart = _Configuration(nfa.start, (HERE, *(UNSET,) * (2 * groups - 1)))
        self.numbers: dict[_TaggedState, int] = {}
        self.states: list[_TaggedState] = []
        self.registers = 0
        self.work = 0

    def build(self) -> Dfa:
        opening = self.closure([self.restart], begin=True, end=False)
        begin_matters = any(isinstance(state, AtBegin) for state in self.nfa.states)
        start, initial_action = self.enter(opening, matched=False, first=begin_matters)
        rows: list[tuple[int, ...]] = []
        actions: list[tuple[Action, ...]] = []
        while len(rows) < len(self.states):
            steps = [self.step(self.states[len(rows)], sample) for sample in self.samples]
            rows.append(tuple(state for state, _ in steps))
            actions.append(tuple(action for _, action in steps))
        width = len(self.samples)
        return Dfa(
            self.classes,
            ((DEAD,) * width, *rows),
            ((NO_ACTION,) * width, *actions),
            start,
            initial_action,
            self.groups,
            self.registers,
            True,
        )

    def step(self, state: _TaggedState, sample: int) -> tuple[int, Action]:
        """The next state by the class of `sample`, and the action on the way there."""
        if sample == 0:
            # The NUL is not part of the string: configurations that wait for the end go on here.
            ended = self.closure(state.configurations, begin=state.first, end=True)
            return DEAD, Action((), self.match_tags(ended))
        moved = [
            _Configuration(nfa_state.next, c.tags)
            for c in state.configurations
            if isinstance(nfa_state := self.nfa.states[c.nfa_state], Byte)
            and sample in nfa_state.members
        ]
        if not state.matched:
            moved.append(self.restart)  # last: it starts later than all others
        following = self.closure(moved, begin=False, end=False)
        return self.enter(following, matched=state.matched, first=False)

    def closure(
        self, configurations: Sequence[_Configuration], *, begin: bool, end: bool
    ) -> list[_Configuration]:
        """The epsilon closure, in order of preference.

        The search is depth first, and the first configuration to reach an NFA state wins.
        """
        found: list[_Configuration] = []
        seen: set[int] = set()
        waiting = list(reversed(configurations))
        while waiting:
            c = waiting.pop()
            if c.nfa_state in seen:
                continue
            seen.add(c.nfa_state)
            match self.nfa.states[c.nfa_state]:
                case Split(branches):
                    waiting += [_Configuration(branch, c.tags) for branch in reversed(branches)]
                case Tag(number, after):
                    tags = list(c.tags)
                    tags[number] = HERE
                    waiting.append(_Configuration(after, tuple(tags)))
                case AtBegin(after):
                    if begin:
                        waiting.append(_Configuration(after, c.tags))
                case AtEnd(after) if end:
                    waiting.append(_Configuration(after, c.tags))
                case _:
                    found.append(c)
        self.work += len(seen)
        if self.work > _MAX_WORK:
            raise TooLargeError
        return found

    def accepting(self, configurations: Sequence[_Configuration]) -> _Configuration | None:
        """The preferred configuration that accepts."""
        for c in configurations:
            if isinstance(self.nfa.states[c.nfa_state], Accept):
                return c
        return None

    def match_tags(self, configurations: Sequence[_Configuration]) -> tuple[int, ...]:
        """The tags of the match that ends here; empty without one."""
        accepting = self.accepting(configurations)
        if accepting is None:
            return ()
        start, _, *groups = accepting.tags
        return (start, HERE, *groups)

    def enter(
        self, configurations: list[_Configuration], *, matched: bool, first: bool
    ) -> tuple[int, Action]:
        """The number of the DFA state of these configurations, and the action on the way there."""
        tags = self.match_tags(configurations)
        accepting = self.accepting(configurations)
        if accepting is not None:
            configurations = _still_possible(configurations, accepting)
            matched = True
        names: dict[int, int] = {}  # from sources to the registers of the new state
        renamed = tuple(
            _Configuration(c.nfa_state, tuple(_register(names, source) for source in c.tags))
            for c in configurations
        )
        self.registers = max(self.registers, len(names))
        moves = tuple(Move(to, source) for source, to in names.items() if to != source)
        state = _TaggedState(renamed, matched, first)
        return self.number(state) if renamed else DEAD, Action(moves, tags)

    def number(self, state: _TaggedState) -> int:
        if state not in self.numbers:
            self.numbers[state] = len(self.states) + 1
            self.states.append(state)
            if len(self.states) * len(self.samples) > MAX_CELLS:
                raise TooLargeError
        return self.numbers[state]


def _still_possible(
    configurations: list[_Configuration], accepting: _Configuration
) -> list[_Configuration]:
    """The configurations that can still give a better match than the one that accepts.

    Those that start later cannot. Those that start earlier can, as they are further to the left, and
    those that start at the same position can, as they may become longer.
    """
    starts = [c.tags[0] for c in configurations]
    end = len(starts) - starts[::-1].index(accepting.tags[0])
    return [c for c in configurations[:end] if c is not accepting]


def _register(names: dict[int, int], source: int) -> int:
    """The register of the new state that takes the value of `source`."""
    return source if source == UNSET else names.setdefault(source, len(names))


# ---------------------------------------------------------------- minimisation


def _minimised(dfa: Dfa) -> Dfa:
    """Merges equivalent states, by Moore's partition refinement.

    Two states stay in one block as long as their actions are equal and their transitions lead to
    equal blocks. DEAD and ACCEPTED keep their numbers.
    """
    final = 1 if dfa.captures else 2  # the number of states that end a run
    blocks = [min(state, final) for state in range(len(dfa.transitions))]
    count = 0
    while count != (count := len(set(blocks))):
        names: dict[object, int] = {}
        signatures = [
            (blocks[state], tuple(blocks[n] for n in row), dfa.actions[state])
            for state, row in enumerate(dfa.transitions)
        ]
        for signature in signatures:
            names.setdefault(signature, len(names))
        blocks = [names[signature] for signature in signatures]
    representatives = {block: state for state, block in reversed(list(enumerate(blocks)))}
    order = sorted(representatives.values())
    number = {blocks[state]: i for i, state in enumerate(order)}
    return Dfa(
        dfa.classes,
        tuple(tuple(number[blocks[n]] for n in dfa.transitions[state]) for state in order),
        tuple(dfa.actions[state] for state in order),
        number[blocks[dfa.start]],
        dfa.initial_action,
        dfa.groups,
        dfa.registers,
        dfa.captures,
    )
