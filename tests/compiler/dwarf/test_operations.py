# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of operations, compared with that of pyelftools."""

from __future__ import annotations

from elftools.dwarf import constants
from elftools.dwarf.dwarf_expr import DW_OP_name2opcode

from compiler.dwarf import operations


def test_numbers() -> None:
    ours = {n: code for n, code in vars(operations).items() if n.isupper() and n[0] != "_"}
    known = {name.upper().removeprefix("DW_OP_"): code for name, code in DW_OP_name2opcode.items()}
    known |= {
        name.upper().removeprefix("DW_"): code
        for name, code in vars(constants).items()
        if name.startswith("DW_CFA_")
    }
    assert {name: code for name, code in ours.items() if known.get(name, code) != code} == {}
    assert len(set(ours) & set(known)) > 100


def test_names() -> None:
    assert operations.name_of(operations.BRA) == "bra" and operations.name_of(0xFE) == "0xfe"
