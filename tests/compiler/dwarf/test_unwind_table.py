# SPDX-License-Identifier: GPL-2.0-or-later
"""Rows in the compact form: what each row becomes, and that nothing is in between."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from compiler.dwarf.call_frames import SAME, CallFrames, Row, Saved
from compiler.dwarf.unwind_table import (
    FP_DEREF,
    FRAME_AT_CFA,
    FRAME_AT_FRAME,
    FROM_FP,
    FROM_SP,
    NONE,
    OUTERMOST,
    PLT,
    SIGNAL,
    SP_DEREF,
    Rule,
    compact,
    unwind_rows,
)
from compiler.support.elf import Elf
from tests import PROJECT
from tests.compiler.dwarf.conftest import Build
from tests.compiler.dwarf.test_call_frames import FORMS, section_of

RA = Saved("offset", -8)
LINKAGE = bytes.fromhex("77 08 80 00 3f 1a 3b 2a 33 24 22")


def saved(expression: str) -> Saved:
    return Saved("expression", 0, bytes.fromhex(expression))


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        (Row(7, 8, b"", SAME, RA), Rule(FROM_SP, 8)),
        (Row(6, 16, b"", Saved("offset", -16), RA), Rule(FROM_FP, 16, 0, FRAME_AT_CFA, -16)),
        (Row(7, 8, b"", SAME, Saved("undefined")), Rule(OUTERMOST)),
        (Row(7, 24, LINKAGE, SAME, RA), Rule(PLT, 11)),
        (Row(0, 0, bytes.fromhex("76 78 06"), saved("76 00"), RA), Rule(FP_DEREF, -8, 0, FRAME_AT_FRAME)),
        (Row(0, 0, bytes.fromhex("77 10 06 23 40"), SAME, RA), Rule(SP_DEREF, 16, 64)),
        # what does not fit
        (Row(10, 0, b"", SAME, RA), Rule(NONE)),
        (Row(7, 8, b"", SAME, Saved("offset", -16)), Rule(NONE)),
        (Row(7, 8, b"", SAME, SAME), Rule(NONE)),
        (Row(7, 8, b"", Saved("other"), RA), Rule(NONE)),
        (Row(7, 8, b"", Saved("undefined"), RA), Rule(NONE)),
        (Row(7, 8, b"", saved("77 00"), RA), Rule(NONE)),
        (Row(7, 8, b"", saved("76 00 06"), RA), Rule(NONE)),
        (Row(7, 8, b"", saved("76"), RA), Rule(NONE)),
        (Row(7, 1 << 31, b"", SAME, RA), Rule(NONE)),
        (Row(7, 8, b"", Saved("offset", -(1 << 15) - 8), RA), Rule(NONE)),
        (Row(0, 0, bytes.fromhex("77 10"), SAME, RA), Rule(NONE)),
        (Row(0, 0, bytes.fromhex("77 10 06 23"), SAME, RA), Rule(NONE)),
        (Row(0, 0, bytes.fromhex("77 10 06 23 08 22"), SAME, RA), Rule(NONE)),
        (Row(0, 0, bytes.fromhex("77 10 06 22"), SAME, RA), Rule(NONE)),
        (Row(0, 0, bytes.fromhex("77 10 22"), SAME, RA), Rule(NONE)),
        (Row(0, 0, bytes.fromhex("73 10 06"), SAME, RA), Rule(NONE)),
        (Row(0, 0, LINKAGE.replace(b"\x3b", b"\x41"), SAME, RA), Rule(NONE)),
    ],
)  # fmt: skip
def test_each_form(row: Row, rule: Rule) -> None:
    assert compact(row, signal=False, forms=FORMS) == rule


def test_the_frame_of_a_signal() -> None:
    expressions = (bytes.fromhex("77 a0 01 06"), saved("77 f8 00"), saved("77 a8 01"))
    assert compact(Row(0, 0, *expressions), signal=True, forms=FORMS) == Rule(SIGNAL)
    assert compact(Row(7, 8, b"", SAME, RA), signal=True, forms=FORMS) == Rule(NONE)


def test_rows_are_distances_with_ends() -> None:
    rows = unwind_rows(section_of(bytes.fromhex("41 0e 10 42 0e 08")), FORMS)
    assert rows.start == 0x1000
    assert rows.distances == [0, 1, 3, 0x100]
    assert [rows.rules[number].offset for number in rows.numbers] == [8, 16, 8, 0]
    assert rows.rules[rows.numbers[-1]] == Rule(NONE)


def test_locations_that_go_back_or_leave_the_function_are_left_out() -> None:
    rows = unwind_rows(
        section_of(bytes.fromhex("44 0e 10 01 02 10 00 00 0e 18 03 00 08 0e 20")), FORMS
    )
    assert rows.distances == [0, 4, 0x100]


def test_a_section_without_functions_is_an_empty_table() -> None:
    assert unwind_rows(CallFrames(bytes(4), 0), FORMS).distances == [0]


@pytest.mark.parametrize("options", [("-O2",), ("-O0", "-no-pie"), ("-O2", "-static")])
def test_a_program_has_ascending_rows_and_a_row_for_each_instruction(
    build: Build, options: tuple[str, ...]
) -> None:
    frames = CallFrames.of(Elf(build(*options).read_bytes()), FORMS)
    assert frames is not None
    table = unwind_rows(frames, FORMS)
    assert all(a < b for a, b in zip(table.distances, table.distances[1:], strict=False))
    assert len(table.numbers) == len(table.distances)
    at = dict(zip(table.distances, table.numbers, strict=True))
    for entry in frames.entries():
        function = frames.function(entry)
        for address, row in function.rows:
            number = at.get(address - table.start)
            if number is not None:  # else the row before says the same
                assert table.rules[number] == compact(row, function.signal, FORMS)


def test_numbers_are_those_of_the_runtime() -> None:
    text = Path(PROJECT / "runtime/kernel/include/stapwatch/unwind.h").read_text()
    words = re.findall(r"^\tSW_UNWIND_(\w+),", text, re.MULTILINE)
    kinds = words[: words.index("SIGNAL") + 1]
    assert [kinds.index(word) for word in ("NONE", "OUTERMOST", "SP", "FP", "SP_DEREF", "FP_DEREF",
                                           "PLT", "SIGNAL")] == [
        NONE, OUTERMOST, FROM_SP, FROM_FP, SP_DEREF, FP_DEREF, PLT, SIGNAL,
    ]  # fmt: skip
    places = words[len(kinds) :][:3]
    assert (places.index("FRAME_AT_CFA"), places.index("FRAME_AT_FRAME")) == (
        FRAME_AT_CFA,
        FRAME_AT_FRAME,
    )
