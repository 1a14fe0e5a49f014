# SPDX-License-Identifier: GPL-2.0-or-later
"""The instructions of a handler's usual path, from the disassembly of its module.

    code = Code.of(Path("sw_count.ko"), kernel.arch)
    code.path("probe_0")   -> Path(instructions=15, outside={}, loops=0)

gcc lays code out so that the likelier way falls through: what the runtime calls unlikely stands elsewhere.
So the usual path is the one on which no conditional jump is taken. Functions of the module are followed;
those of the kernel are named, and not counted. A loop is gone through once. This is an estimate: it knows
nothing of the data.
"""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from compiler.arch import Arch
from runtime.support.lazy_regex import pattern
from runtime.support.record import field, record

_COMMAND = ("objdump", "-dr", "--no-show-raw-insn")
_PATIENCE = 60.0  # seconds
_MOST = 100_000  # instructions that are followed
_DEEPEST = 20  # calls

_SECTION = pattern(r"Disassembly of section (\S+):")
_FUNCTION = pattern(r"([0-9a-f]+) <(\S+)>:")
_LINE = pattern(r"\s+([0-9a-f]+):\t(\S[^#<]*)")
_RELOCATION = pattern(r"\s+[0-9a-f]+: R_\w+_(PC32|PLT32|\w+)\t([^\s+-]+)(?:([+-])0x([0-9a-f]+))?")
_RELATIVE = 4  # bytes: a distance is counted from behind itself

_Place = tuple[str, int]  # section and offset


@record
class HitPath:
    """`outside`: the calls of functions of the kernel. `loops`: loops on the path, each of which was gone
    through once."""

    instructions: int
    outside: Mapping[str, int] = field(default_factory=dict)
    loops: int = 0


@record
class _Instruction:
    name: str
    operands: str
    next: _Place
    symbol: str = ""  # of its relocation
    distance: int = 0


class DisassemblyError(Exception):
    """The module cannot be disassembled; the text says why."""


class Code:
    """The code of one module."""

    def __init__(self, disassembly: str, return_thunk: str = "") -> None:
        """`disassembly`: what objdump prints, relocations included. `return_thunk`: Arch.return_thunk."""
        self._return_thunk = return_thunk
        self._code: dict[_Place, _Instruction] = {}
        self._functions: dict[str, _Place] = {}
        self._known: dict[_Place, HitPath] = {}
        self._read(disassembly)

    @classmethod
    def of(cls, module: Path, arch: Arch) -> Code:
        """Raises DisassemblyError."""
        try:
            done = subprocess.run(
                [*_COMMAND, str(module)], capture_output=True, text=True, timeout=_PATIENCE
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            why = error.strerror if isinstance(error, OSError) else "it takes too long"
            raise DisassemblyError(f"objdump: {why}") from error
        if done.returncode:
            raise DisassemblyError(f"objdump: {done.stderr.strip()}")
        return cls(done.stdout, arch.return_thunk)

    def has(self, function: str) -> bool:
        return function in self._functions

    def path(self, function: str) -> HitPath:
        """The usual path from a function's entry to its return. KeyError if there is no such function."""
        return self._path(self._functions[function], 0)

    def _path(self, start: _Place, depth: int) -> HitPath:
        if start not in self._known:
            self._known[start] = HitPath(0)  # of a function that calls itself
            self._known[start] = self._walk(start, depth)
        return self._known[start]

    def _walk(self, start: _Place, depth: int) -> HitPath:
        place, count, loops = start, 0, 0
        outside: Counter[str] = Counter()
        passed: set[_Place] = set()
        tests: set[_Place] = set()
        while (at := self._code.get(place)) is not None and count < _MOST:
            count += 1
            target = self._target(at, place)
            if at.name.startswith("ret") or (at.name == "jmp" and at.symbol == self._return_thunk):
                break
            if at.name == "jmp" and target is None:
                outside[at.symbol or "a jump through a register"] += 1
                break
            if at.name == "call":
                if target is None or depth == _DEEPEST:
                    outside[at.symbol or "a call through a register"] += 1
                else:
                    called = self._path(target, depth + 1)
                    count, loops = count + called.instructions, loops + called.loops
                    outside.update(called.outside)
            passed.add(place)
            is_test = at.name.startswith("j") and at.name != "jmp"
            leaves = is_test and place in tests  # of a loop with its test at the top
            loops += leaves or (is_test and target in passed)
            tests |= {place} if is_test else set()
            place = target if target is not None and (at.name == "jmp" or leaves) else at.next
        return HitPath(count, dict(outside), loops)

    def _target(self, at: _Instruction, place: _Place) -> _Place | None:
        """Where a jump or call goes; None: out of the module, or nobody knows."""
        if at.name != "call" and not at.name.startswith("j"):
            return None
        if at.symbol:
            if at.symbol.startswith("."):
                return at.symbol, at.distance
            found = self._functions.get(at.symbol)
            return None if found is None else (found[0], found[1] + at.distance)
        try:
            return place[0], int(at.operands.split()[0], 16)
        except (ValueError, IndexError):
            return None

    def _read(self, disassembly: str) -> None:
        section, found = "", list[tuple[_Place, str, str, int]]()
        for line in disassembly.splitlines():
            if match := _LINE.match(line):
                found.append(((section, int(match[1], 16)), match[2], "", 0))
            elif match := _RELOCATION.match(line):
                distance = int(match[4] or "0", 16) * (-1 if match[3] == "-" else 1)
                distance += _RELATIVE if match[1] in ("PC32", "PLT32") else 0
                found[-1] = (*found[-1][:2], match[2], distance)
            elif match := _FUNCTION.fullmatch(line):
                self._functions.setdefault(match[2], (section, int(match[1], 16)))
            elif match := _SECTION.fullmatch(line):
                section = match[1]
        for (place, text, symbol, distance), after in zip(found, [*found[1:], None], strict=True):
            name, _, operands = text.strip().partition(" ")
            follows = after[0] if after is not None else (section, -1)
            self._code[place] = _Instruction(name, operands.strip(), follows, symbol, distance)
