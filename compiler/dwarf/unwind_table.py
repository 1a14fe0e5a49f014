# SPDX-License-Identifier: GPL-2.0-or-later
"""Call frames in the compact form that a module walks up stacks by.

    unwind_rows(CallFrames.of(elf, arch.unwind), arch.unwind)
      -> Rows(0x1000, [0x0, 0x1, 0x4, ...], [1, 2, 3, ...],
              [Rule(NONE), Rule(FROM_SP, 8), Rule(FROM_SP, 16, frame=FRAME_AT_CFA, frame_offset=-16), ...])

A row that does not fit this form has the rule NONE, as has an address between functions: nothing is guessed
there. The numbers are those of runtime/kernel/include/stapwatch/unwind.h.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from compiler.arch import UnwindForms
from compiler.dwarf import operations as o
from compiler.dwarf.call_frames import CallFrames, Frames, Row
from compiler.dwarf.leb128 import sleb, uleb
from compiler.support.elf import ElfError

NONE, OUTERMOST, FROM_SP, FROM_FP, SP_DEREF, FP_DEREF, PLT, SIGNAL = range(8)
FRAME_SAME, FRAME_AT_CFA, FRAME_AT_FRAME = range(3)
_MOST_RULES: Final = 0xFFFF  # their numbers have 16 bits


class Rule(NamedTuple):
    """As in C."""

    kind: int
    offset: int = 0
    add: int = 0
    frame: int = FRAME_SAME
    frame_offset: int = 0


_NONE: Final = Rule(NONE)


class Rows(NamedTuple):
    """Rows, each with the distance of its address from `start`, and the number of its rule. The last one is
    behind all code."""

    start: int
    distances: list[int]
    numbers: list[int]
    rules: list[Rule]


def unwind_rows(frames: CallFrames, forms: UnwindForms) -> Rows:
    """All rows of a file. Raises ElfError if its section is damaged."""
    functions = [frames.function(entry) for entry in frames.entries()]
    # the linker leaves entries of code that it has removed, at address 0
    functions = sorted(f for f in functions if f.start and f.start < f.end)
    start = functions[0].start if functions else 0
    if functions and functions[-1].end - start >= 1 << 32:
        raise ElfError("its code is larger than 4 GB")
    rules: dict[Rule, int] = {_NONE: 0}
    of_rows: dict[tuple[Row, bool], int] = {}
    distances: list[int] = []
    numbers: list[int] = []

    def add(address: int, number: int) -> None:
        if distances and distances[-1] == address - start:
            distances.pop()
            numbers.pop()
        if not numbers or numbers[-1] != number:
            distances.append(address - start)
            numbers.append(number)

    end = start
    for f in functions:
        if f.start < end:
            continue  # two functions cannot be at one address
        if f.start > end:
            add(end, 0)
        for address, row in _in_order(f):
            number = of_rows.get((row, f.signal))
            if number is None:
                rule = compact(row, f.signal, forms)
                if rule not in rules and len(rules) > _MOST_RULES:
                    rule = _NONE
                number = of_rows[row, f.signal] = rules.setdefault(rule, len(rules))
            add(address, number)
        end = f.end
    distances.append(end - start)
    numbers.append(0)
    return Rows(start, distances, numbers, list(rules))


def _in_order(f: Frames) -> list[tuple[int, Row]]:
    """The rows of a function whose addresses ascend, and are within it."""
    found: list[tuple[int, Row]] = []
    last = f.start - 1
    for address, row in f.rows:
        if last < address < f.end:
            found.append((address, row))
            last = address
    return found


def compact(row: Row, signal: bool, forms: UnwindForms) -> Rule:
    """One row's rule."""
    if signal:
        where = (row.expression, row.frame.expression, row.ra.expression)
        fits = where == forms.signal
        return Rule(SIGNAL) if fits else _NONE
    if row.ra.how == "undefined":
        return Rule(OUTERMOST)
    cfa = _cfa(row, forms)
    if cfa is None or row.ra.how != "offset" or row.ra.offset != forms.return_offset:
        return _NONE
    match row.frame.how:
        case "same":
            frame, frame_offset = FRAME_SAME, 0
        case "offset":
            frame, frame_offset = FRAME_AT_CFA, row.frame.offset
        case "expression":
            at = _of_register(row.frame.expression)
            if at is None or at[0] != forms.frame_pointer or at[2]:
                return _NONE
            frame, frame_offset = FRAME_AT_FRAME, at[1]
        case _:
            return _NONE
    kind, offset, plus = cfa
    if not (-(1 << 15) <= frame_offset < 1 << 15):
        return _NONE
    if not all(-(1 << 31) <= number < 1 << 31 for number in (offset, plus)):
        return _NONE
    return Rule(kind, offset, plus, frame, frame_offset)


def _cfa(row: Row, forms: UnwindForms) -> tuple[int, int, int] | None:
    """Kind, offset and what is added; None if it does not fit."""
    e = row.expression
    if not e:
        kind = {forms.stack_pointer: FROM_SP, forms.frame_pointer: FROM_FP}.get(row.register)
        return None if kind is None else (kind, row.offset, 0)
    before, after = forms.linkage
    if len(e) == len(before) + 1 + len(after) and e.startswith(before) and e.endswith(after):
        first = e[len(before)] - o.LIT0
        return (PLT, first, 0) if 0 <= first < 16 else None
    at = _of_register(e)
    if at is None or not at[2]:
        return None
    register, offset, rest = at
    if rest[0] != o.DEREF:
        return None
    plus = 0
    if len(rest) > 1:
        if rest[1] != o.PLUS_UCONST:
            return None
        try:
            plus, end = uleb(rest, 2)
        except IndexError:
            return None
        if end != len(rest):
            return None
    kind = {forms.stack_pointer: SP_DEREF, forms.frame_pointer: FP_DEREF}.get(register)
    return None if kind is None else (kind, offset, plus)


def _of_register(expression: bytes) -> tuple[int, int, bytes] | None:
    """The number of the register that an expression begins with, the offset, and the rest."""
    if not expression or not o.BREG0 <= expression[0] < o.BREG0 + 32:
        return None
    try:
        offset, end = sleb(expression, 1)
    except IndexError:
        return None
    return expression[0] - o.BREG0, offset, expression[end:]
