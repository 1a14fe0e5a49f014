# SPDX-License-Identifier: GPL-2.0-or-later
"""Regular expressions as C: tables, and a loop that reads each byte once.

s =~ "^ab"   ->   while (state > 1)
                          state = next_0[state][classes_0[(u8)*s++]];
                  return state;
"""

from __future__ import annotations

from collections.abc import Iterable

from compiler.codegen import c_writer as cw
from compiler.codegen.c_writer import Writer
from compiler.codegen.costs import INSTRUCTIONS, STEPS
from compiler.regex import dfa
from compiler.regex.dfa import Action, Dfa, Move, compile
from runtime.support.record import record

_PLAIN = 3  # actions for SW_STEPS bytes
_STEP = 25  # instructions for a byte, with captures, beside the moves
_ASIDE = -3  # as a source: the variable `aside`, which holds one value while a cycle of moves runs


def most_groups(patterns: Iterable[tuple[str, bool]]) -> int:
    """The most groups that a capturing pattern has, the whole match included; 0 without any."""
    return max((compile(text, True).groups for text, captures in patterns if captures), default=0)


def frame(groups: int) -> str:
    """The member of each CPU's block that keeps the last match."""
    return f"struct {{ s32 tags[{2 * groups}]; char text[MAXSTRINGLEN]; }} match;"


def matcher(w: Writer, pattern: str, captures: bool, number: int) -> None:
    """The tables and the function of one pattern."""
    table = compile(pattern, captures)
    comment = cw.string(pattern).replace("*/", "*\\/").replace("/*", "/\\*")
    w.line(f"/* {comment} */")
    _classes(w, table, number)
    small = len(table.transitions) <= 256
    _table(w, f"{'u8' if small else 'u16'} next_{number}", table.transitions, table.width)
    if captures:
        _capturing(w, table, number)
    else:
        _plain(w, table, number)


def _classes(w: Writer, table: Dfa, number: int) -> None:
    """The class of each byte, ranges of one class together; 0 is the NUL's."""
    ranges: list[tuple[int, int, int]] = []
    for byte in range(1, 256):
        kind = table.classes[byte]
        if ranges and ranges[-1][2] == kind:
            ranges[-1] = (ranges[-1][0], byte, kind)
        else:
            ranges.append((byte, byte, kind))
    items = [f"[{_byte(a)}{f' ... {_byte(b)}' if b > a else ''}] = {kind}" for a, b, kind in ranges]
    with w.block(f"static const u8 classes_{number}[256] =", "};"):
        _lines(w, items)
    w.line()


def _byte(code: int) -> str:
    char = chr(code)
    return f"'{char}'" if 32 < code < 127 and char not in "'\\\\" else f"{code}"


def _table(w: Writer, head: str, rows: Iterable[tuple[int, ...]], width: int) -> None:
    with w.block(f"static const {head}[][{width}] =", "};"):
        for row in rows:
            w.line(f"{{ {', '.join(map(str, row))} }},")
    w.line()


def _lines(w: Writer, items: Iterable[str]) -> None:
    line = ""
    for item in items:
        if len(line) + len(item) > 80:
            w.line(line.rstrip())
            line = ""
        line += f"{item}, "
    w.line(line.rstrip())


def _plain(w: Writer, table: Dfa, number: int) -> None:
    w.line(f"static bool match_{number}(struct sw_context *c, const char *s)")
    with w.block(""):
        w.line(f"u32 state = {table.start}, at = 0;")
        w.line()
        with w.block("for (; state > 1; at++)"):
            w.line(f"state = next_{number}[state][classes_{number}[(u8)s[at]]];")
            w.line(f"if (state > 1 && !sw_charge_step(c, at, {_PLAIN}))")
            w.line("\tbreak;")
        w.line("return state == 1;")
    w.line()


# ---------------------------------------------------------------- with captures


@record(frozen=False)
class _Registers:
    """The registers of one pattern: those that a match is made from, and whether `aside` is needed."""

    read: set[int]
    uses_aside: bool = False

    def declaration(self) -> str:
        aside = ["aside"] if self.uses_aside else []
        return f"s32 {', '.join([f'r{r} = 0' for r in sorted(self.read)] + aside)};"


def _capturing(w: Writer, table: Dfa, number: int) -> None:
    registers = _Registers(_read_registers(table))
    cases: dict[tuple[str, ...], int] = {(): 0}
    cells = []
    for row in table.actions:
        found = []
        for kind, action in enumerate(row):
            here = "(s32)at" if kind == 0 else "(s32)at + 1"
            lines = tuple(_statements(action, here, registers))
            found.append(cases.setdefault(lines, len(cases)))
        cells.append(tuple(found))
    opening = _statements(table.initial_action, "0", registers)
    _table(w, f"{'u8' if len(cases) <= 256 else 'u16'} moves_{number}", cells, table.width)
    w.line(f"static bool match_{number}(struct area *a, const char *s)")
    with w.block(""):
        w.line("s32 *tags = a->match.tags;")
        w.line(f"u32 state = {table.start}, at;")
        if registers.read:
            w.line(registers.declaration())
        w.line()
        w.line("tags[0] = -1;")
        for line in opening:
            w.line(line)
        _capturing_loop(w, number, cases)
        w.line(
            f"return sw_matched_keep(&a->c, a->match.text, sizeof(a->match.text), s, tags, "
            f"{table.groups});"
        )
    w.line()


def _capturing_loop(w: Writer, number: int, cases: dict[tuple[str, ...], int]) -> None:
    most = max(len(lines) for lines in cases)
    steps = -(-STEPS * (_STEP + 3 * most) // INSTRUCTIONS)
    with w.block("for (at = 0; state; at++)"):
        w.line(f"u32 class = classes_{number}[(u8)s[at]];")
        w.line()
        if len(cases) > 1:
            with w.block(f"switch (moves_{number}[state][class])"):
                for lines, case in cases.items():
                    if lines:
                        w.depth -= 1
                        w.line(f"case {case}:")
                        w.depth += 1
                        for line in (*lines, "break;"):
                            w.line(line)
        w.line(f"state = next_{number}[state][class];")
        w.line(f"if (state && !sw_charge_step(&a->c, at, {steps}))")
        w.line("\tbreak;")


def _read_registers(table: Dfa) -> set[int]:
    """Registers that a match is made from, directly or through other registers."""
    actions = [table.initial_action, *(action for row in table.actions for action in row)]
    read = {source for action in actions for source in action.tags if source >= 0}
    while True:
        more = {
            move.source for a in actions for move in a.moves if move.to in read and move.source >= 0
        }
        if more <= read:
            return read
        read |= more


def _statements(action: Action, here: str, registers: _Registers) -> list[str]:
    """An action in order: the tags first, since they come from the registers as they were."""

    def value(source: int) -> str:
        match source:
            case dfa.HERE:
                return here
            case dfa.UNSET:
                return "-1"
            case _ if source == _ASIDE:
                return "aside"
        return f"r{source}"

    lines = [f"tags[{n}] = {value(source)};" for n, source in enumerate(action.tags)]
    waiting = [move for move in action.moves if move.to in registers.read]
    while waiting:
        # first a register that no other move reads; in a cycle, one value moves to `aside`
        free = next(
            (m for m in waiting if not any(o.source == m.to for o in waiting if o is not m)), None
        )
        if free is None:
            needed = waiting[0].to
            registers.uses_aside = True
            lines.append(f"aside = r{needed};")
            waiting = [Move(m.to, _ASIDE if m.source == needed else m.source) for m in waiting]
            continue
        waiting.remove(free)
        lines.append(f"r{free.to} = {value(free.source)};")
    return lines
