# SPDX-License-Identifier: GPL-2.0-or-later
"""The instructions that a module's handlers execute, from the disassembly: every store and its target.

faults(Path("sw_count.ko"), Root("probe_0")) -> []    # nothing locked, nothing shared written, no trap

Each function is followed from its entry through its branches and calls, with the possible targets of every
register and stack slot. A handler owns its stack, its CPU's block (addressed by %gs) and, at a function's
entry and return, the instance of this call; a store through anything else is a fault, and so are locked
instructions, int3, and jumps that cannot be followed.
"""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

STACK, BLOCK, OWN, SHARED, AREAS, VALUE = (
    "stack",
    "block",
    "own",
    "shared",
    "areas",
    "a loaded value",
)
ALLOWED = frozenset({STACK, BLOCK, OWN})
Kinds = frozenset[str]  # possible contents of a register; empty: only 0
UNKNOWN: Kinds = frozenset({VALUE})

# Exits from a hit's path: it was skipped, a key was new, a task must be rescheduled, the stack is corrupt, or
# it is timed, by functions that change no register.
QUIET = frozenset({"sw_meter_enter", "sw_meter_leave"})
EXITS = QUIET | {
    "sw_hit_skipped",
    "sw_preempt_check",
    "sw_array_append",
    "sw_failed",
    "__stack_chk_fail",
}
# Functions of the kernel: clocks read under a sequence count, without a store.
OUTSIDE = re.compile(r"ktime_get_\w+_fast_ns")
RETURN = "__x86_return_thunk"

_PARTS = ("ax", "bx", "cx", "dx", "si", "di", "bp", "sp")
_ARGUMENTS = ("di", "si", "dx", "cx", "8", "9")
_LOST = ("ax", "cx", "dx", "si", "di", "8", "9", "10", "11")
_ONLY_READ = re.compile(r"(cmp|test|bt|call|jmp|push|nop|prefetch)[bwlq]?")
_BINARY = re.compile(r"(add|sub|or|and)[bwlq]?")
_PLAIN = re.compile(r"mov(abs)?[bwlq]?")
_FUNCTION = re.compile(r"([0-9a-f]+) <(\S+)>:")
_LINE = re.compile(r"\s+([0-9a-f]+):\t(?:(\S.*?)\s*(?:#.*)?)?")
_RELOCATION = re.compile(r"\s+[0-9a-f]+: (R_X86_64_\w+)\t(\S+)")
_MEMORY = re.compile(r"(%\w+:)?(-?0x[0-9a-f]+|-?\d+)?\(([^)]*)\)")

Place = tuple[str, int]  # section, address


@dataclass(frozen=True, slots=True)
class Instruction:
    place: Place
    text: str
    next: Place
    symbol: str = ""  # the symbol of its relocation
    addend: int = 0

    @property
    def words(self) -> tuple[str, list[str]]:
        """Mnemonic (prefixes included) and operands."""
        name, _, rest = self.text.partition(" ")
        while name in ("lock", "rep", "repz", "repnz", "data16", "cs", "notrack", "bnd"):
            more, _, rest = rest.strip().partition(" ")
            name = f"{name} {more}"
        return name, re.findall(r"(?:[^,(]|\([^)]*\))+", rest.strip().partition(" <")[0])


@dataclass(frozen=True, slots=True)
class Root:
    """A function that the kernel calls, and the targets of its arguments."""

    name: str
    arguments: tuple[Kinds, ...] = ()


@dataclass(frozen=True, slots=True)
class State:
    """Registers by their parts' names, stack slots by their distance from the entry's stack pointer."""

    registers: dict[str, Kinds]
    slots: dict[int, Kinds]
    depth: int | None  # the stack pointer's distance; None: unknown

    def join(self, other: State) -> State:
        depth = self.depth if self.depth == other.depth else None
        names = self.registers.keys() | other.registers.keys()
        both = self.slots.keys() & other.slots.keys()
        return State(
            {n: self.get(n) | other.get(n) for n in names},
            {n: self.slots[n] | other.slots[n] for n in both},
            depth,
        )

    def get(self, name: str) -> Kinds:
        return self.registers.get(name, UNKNOWN)

    def with_register(self, name: str, kinds: Kinds) -> State:
        return State({**self.registers, name: kinds}, self.slots, self.depth)

    def with_slot(self, at: int, kinds: Kinds) -> State:
        return State(self.registers, {**self.slots, at: kinds}, self.depth)

    def moved(self, by: int) -> State:
        depth = None if self.depth is None else self.depth + by
        return State(self.registers, self.slots, depth)


class Module:
    """A module's code; `followed`, `executed` and `stores` record the analysed code."""

    def __init__(self, path: Path) -> None:
        argv = ["objdump", "-dr", "--no-show-raw-insn", str(path)]
        text = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
        self.code: dict[Place, Instruction] = {}
        self.functions: dict[str, Place] = {}
        self.followed: set[str] = set()
        self.executed: set[Place] = set()
        self.stores: dict[Place, Kinds] = {}
        self._faults: dict[str, None] = {}
        self._results: dict[tuple[Place, tuple[Kinds, ...]], Kinds] = {}
        self._read(text)

    def _read(self, text: str) -> None:
        section, found = "", list[tuple[Place, str, str, int]]()
        for line in text.splitlines():
            if line.startswith("Disassembly of section "):
                section = line.removeprefix("Disassembly of section ").rstrip(":")
            elif match := _FUNCTION.fullmatch(line):
                self.functions.setdefault(match[2], (section, int(match[1], 16)))
            elif match := _RELOCATION.match(line):
                symbol, sign, addend = re.fullmatch(
                    r"(.*?)(?:([+-])0x([0-9a-f]+))?", match[2]
                ).groups()  # type: ignore[union-attr]
                number = int(addend, 16) * (-1 if sign == "-" else 1) if addend else 0
                place, words, _, _ = found[-1]
                if "PC32" in match[1] or "PLT32" in match[1]:
                    number += 4  # counted from the end of the four bytes
                found[-1] = (place, words, symbol, number)
            elif (match := _LINE.fullmatch(line)) and match[2]:
                found.append(((section, int(match[1], 16)), match[2], "", 0))
        for (place, words, symbol, addend), after in zip(found, [*found[1:], None], strict=True):
            follows = after[0] if after is not None else (place[0], -1)
            self.code[place] = Instruction(place, words, follows, symbol, addend)

    def lengths(self) -> dict[str, int]:
        """The number of distinct instructions that were followed, by function."""
        names = (self._name(place).partition("+")[0] for place in self.executed)
        return dict(Counter(names).most_common())

    # -- following ------------------------------------------------------------------------------

    def follow(self, root: Root) -> list[str]:
        """The faults of a root and of all functions that it calls."""
        if root.name not in self.functions:
            raise ValueError(f"no function {root.name}")
        self._faults = {}
        self._results = {}
        self._function(self.functions[root.name], root.arguments)
        return list(self._faults)

    def _fault(self, at: Instruction, what: str) -> None:
        self._faults[f"{self._name(at.place)}: {at.text}: {what}"] = None

    def _name(self, place: Place) -> str:
        before = [
            (at, name) for name, at in self.functions.items() if at[0] == place[0] and at <= place
        ]
        (_, start), name = max(before)
        return f"{name}+{place[1] - start:#x}"

    def _function(self, start: Place, arguments: tuple[Kinds, ...]) -> Kinds:
        """The kinds that a function may return; a function whose analysis is in progress returns a value."""
        known = self._results.get((start, arguments))
        if known is not None:
            return known
        self._results[start, arguments] = UNKNOWN
        self.followed.add(self._name(start).partition("+")[0])
        registers = dict(zip(_ARGUMENTS, arguments, strict=False)) | {"sp": frozenset({STACK})}
        states = {start: State(registers, {}, 0)}
        todo, returned = [start], frozenset[str]()
        while todo:
            place = todo.pop()
            self.executed.add(place)
            if place not in self.code:
                self._faults[f"{self._name(place)}: the code ends"] = None
                continue
            for after, state in self._step(self.code[place], states[place]):
                if after is None:
                    returned |= state.get("ax")
                    continue
                joined = states[after].join(state) if after in states else state
                if states.get(after) != joined:
                    states[after] = joined
                    todo.append(after)
        self._results[start, arguments] = returned
        return returned

    def _step(self, at: Instruction, state: State) -> Iterator[tuple[Place | None, State]]:
        """The successors of an instruction with their states; None stands for the return."""
        name, operands = at.words
        if name in ("ret", "retq", "repz ret") or (name == "jmp" and at.symbol == RETURN):
            yield None, state
        elif name == "int3":
            self._fault(at, "a trap")
        elif name.startswith("ud2"):
            return
        elif name in ("call", "callq"):
            called = self._call(at, operands, state)
            if called is not None:
                yield at.next, called
        elif name.startswith("j"):
            if name not in ("jmp", "jmpq"):
                yield at.next, state
            target = self._target(at, operands)
            if isinstance(target, str):
                after = self._outside(at, target, state)
                if after is not None:
                    yield None, after
            elif target is not None:
                yield target, state
        else:
            yield at.next, self._effect(at, name, operands, state)

    def _call(self, at: Instruction, operands: list[str], state: State) -> State | None:
        target = self._target(at, operands)
        if target is None:
            return None
        if isinstance(target, str):
            return self._outside(at, target, state)
        arguments = tuple(state.get(name) for name in _ARGUMENTS)
        return _after_call(state, self._function(target, arguments))

    def _outside(self, at: Instruction, name: str, state: State) -> State | None:
        """The state after a function that is not followed; None where the hit's path ends."""
        if name in QUIET:
            return state
        if name in EXITS:
            # the code after it is not on a hit's path either, but leaves what the hit has entered
            return None if name == "__stack_chk_fail" else _after_call(state, frozenset())
        if not OUTSIDE.fullmatch(name):
            self._fault(at, f"calls {name}, which is not known to be harmless")
        return _after_call(state, UNKNOWN)

    def _target(self, at: Instruction, operands: list[str]) -> Place | str | None:
        """A position in the code, the name of a function that is not followed, or None with a fault."""
        if at.symbol:
            if at.symbol in EXITS or at.symbol not in self.functions:
                if at.symbol.startswith(".text"):
                    return self._exit_at((at.symbol, at.addend))
                return at.symbol
            section, start = self.functions[at.symbol]
            return (section, start + at.addend)
        if operands and re.fullmatch(r"[0-9a-f]+", operands[0]):
            return self._exit_at((at.place[0], int(operands[0], 16)))
        self._fault(at, "a jump that cannot be followed")
        return None

    def _exit_at(self, place: Place) -> Place | str:
        return next((name for name in EXITS if self.functions.get(name) == place), place)

    # -- effects --------------------------------------------------------------------------------

    def _effect(self, at: Instruction, name: str, operands: list[str], state: State) -> State:
        memory = [operand for operand in operands if _is_memory(operand)]
        if "lock " in name or (name.startswith("xchg") and memory):
            self._fault(at, "locked")
        if name.startswith("push"):
            state = state.moved(-8)
            return (
                state
                if state.depth is None
                else state.with_slot(state.depth, self._read_operand(at, operands[0], state))
            )
        if name.startswith("pop"):
            kinds = UNKNOWN if state.depth is None else state.slots.get(state.depth, UNKNOWN)
            return state.with_register(_register(operands[0]), kinds).moved(8)
        if re.search(r"\b(stos|movs)[bwlq]?$", name) and (memory or not operands):
            if not state.get("di") <= ALLOWED:
                self._fault(at, f"stores through {_told(state.get('di'))}")
            return state.with_register("cx", UNKNOWN)
        if re.fullmatch(r"i?(mul|div)[bwlq]?", name) and len(operands) == 1:
            return state.with_register("ax", UNKNOWN).with_register("dx", UNKNOWN)
        if name.startswith(("xchg", "xadd")):
            for operand in operands:
                if operand.startswith("%") and not _is_memory(operand):
                    state = state.with_register(_register(operand), UNKNOWN)
        if not operands or _ONLY_READ.fullmatch(name):
            return state
        last = operands[-1]
        if _is_memory(last):
            return self._store(at, name, operands, state)
        if not last.startswith("%"):
            return state
        target = _register(last)
        if target == "sp":
            return self._stack_moves(at, name, operands, state)
        return state.with_register(target, self._result(at, name, operands, state))

    def _store(self, at: Instruction, name: str, operands: list[str], state: State) -> State:
        last = operands[-1]
        if last.startswith("%gs:"):
            return state
        kinds = self.stores[at.place] = self._address(at, last, state)
        if not kinds <= ALLOWED:
            self._fault(at, f"stores through {_told(kinds)}")
        slot = self._slot(last, state)
        if slot is None:
            return state
        plain = _PLAIN.fullmatch(name) and len(operands) == 2
        return state.with_slot(
            slot, self._read_operand(at, operands[0], state) if plain else UNKNOWN
        )

    def _stack_moves(self, at: Instruction, name: str, operands: list[str], state: State) -> State:
        if operands[0].startswith("$") and (found := re.fullmatch(r"(add|sub)q?", name)):
            number = int(operands[0][1:], 16)
            return state.moved(number if found[1] == "add" else -number)
        if name.startswith("and"):  # aligned: values pushed earlier are read through %rbp only
            return state
        kinds = self._result(at, name, operands, state)
        if kinds != {STACK}:
            self._fault(at, "moves the stack elsewhere")
        return State(state.registers, {}, None)

    def _result(self, at: Instruction, name: str, operands: list[str], state: State) -> Kinds:
        """The contents of an instruction's last operand, a register, after it."""
        first, last = operands[0], operands[-1]
        if name.startswith("lea"):
            return self._address(at, first, state)
        if name.startswith("xor") and first == last:
            return frozenset()
        if _PLAIN.fullmatch(name):
            return self._read_operand(at, first, state)
        if name.startswith("cmov"):
            return self._read_operand(at, first, state) | state.get(_register(last))
        if _BINARY.fullmatch(name):
            return _sum(self._read_operand(at, first, state), state.get(_register(last)))
        return UNKNOWN

    def _read_operand(self, at: Instruction, operand: str, state: State) -> Kinds:
        if operand.startswith("$"):
            if at.symbol:
                return frozenset({SHARED})  # the address of an object of the module
            return frozenset() if operand in ("$0x0", "$0") else UNKNOWN
        if operand.startswith("%gs:"):
            base = self._address(at, operand, state)
            return frozenset({BLOCK}) if AREAS in base or at.symbol == "sw_areas" else UNKNOWN
        if _is_memory(operand):
            if "(%rip)" in operand:
                return {"sw_areas": frozenset({AREAS}), "sw_shared": frozenset({SHARED})}.get(
                    at.symbol, UNKNOWN
                )
            slot = self._slot(operand, state)
            return UNKNOWN if slot is None else state.slots.get(slot, UNKNOWN)
        return state.get(_register(operand))

    def _address(self, at: Instruction, operand: str, state: State) -> Kinds:
        """The possible targets of a memory operand's address."""
        match = _MEMORY.fullmatch(operand)
        if match is None or "%rip" in match[3]:
            return frozenset({SHARED})  # an absolute address, or the module's own data
        names = [part for part in match[3].split(",")[:2] if part.startswith("%")]
        kinds = state.get(_register(names[0])) if names else frozenset[str]()
        for name in names[1:]:
            kinds = _sum(kinds, state.get(_register(name)))
        return _sum(kinds, frozenset({SHARED})) if at.symbol else kinds

    @staticmethod
    def _slot(operand: str, state: State) -> int | None:
        match = _MEMORY.fullmatch(operand)
        if match is None or match[3] != "%rsp" or state.depth is None:
            return None
        return state.depth + int(match[2] or "0", 16)


def faults(path: Path, *roots: Root) -> list[str]:
    """The faults of all roots, each with its position. Raises ValueError for a root that does not exist."""
    module = Module(path)
    return [fault for root in roots for fault in module.follow(root)]


def _after_call(state: State, result: Kinds) -> State:
    registers = {**state.registers, **dict.fromkeys(_LOST, UNKNOWN), "ax": result}
    return State(registers, state.slots, state.depth)


def _sum(one: Kinds, other: Kinds) -> Kinds:
    """The sum of a pointer and a number has the pointer's target; the sum of two pointers is no pointer."""
    found = set()
    for a in one or UNKNOWN:
        for b in other or UNKNOWN:
            found.add(a if b == VALUE else b if a == VALUE else VALUE)
    return frozenset(found)


def _is_memory(operand: str) -> bool:
    return "(" in operand or operand.startswith(("%gs:", "%ds:", "%es:"))


def _register(operand: str) -> str:
    """%rax, %eax, %ax, %al -> ax; %r8d -> 8."""
    name = operand.lstrip("*%")
    if match := re.fullmatch(r"r(\d+)[dwb]?", name):
        return match[1]
    name = name.removeprefix("r").removeprefix("e")
    for part in _PARTS:
        if name in (part, f"{part}l", f"{part[0]}l", f"{part[0]}h") and not (
            len(name) == 2 and name[1] in "lh" and part[1] != "x"
        ):
            return part
    return name


def _told(kinds: Kinds) -> str:
    return " or ".join(sorted(kinds - ALLOWED))
