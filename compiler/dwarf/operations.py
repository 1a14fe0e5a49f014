# SPDX-License-Identifier: GPL-2.0-or-later
"""The operations of DWARF by their names: of location expressions (DW_OP_...), of frames (DW_CFA_...).

    FBREG -> 0x91       name_of(0x91) -> "fbreg"

Source: DWARF 5, tables 7.9 and 7.29, and the GNU operations of gcc (those that DWARF 5 has got under another
number since).
"""

from __future__ import annotations

from typing import Final

# ---------------------------------------------------------------- location expressions

ADDR: Final = 0x03
DEREF: Final = 0x06
CONST1U, CONST1S, CONST2U, CONST2S = 0x08, 0x09, 0x0A, 0x0B
CONST4U, CONST4S, CONST8U, CONST8S = 0x0C, 0x0D, 0x0E, 0x0F
CONSTU, CONSTS = 0x10, 0x11
DUP, DROP, OVER, PICK, SWAP, ROT, XDEREF = 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18
ABS, AND, DIV, MINUS, MOD, MUL, NEG, NOT = 0x19, 0x1A, 0x1B, 0x1C, 0x1D, 0x1E, 0x1F, 0x20
OR, PLUS, PLUS_UCONST, SHL, SHR, SHRA, XOR = 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27
BRA, EQ, GE, GT, LE, LT, NE, SKIP = 0x28, 0x29, 0x2A, 0x2B, 0x2C, 0x2D, 0x2E, 0x2F
LIT0, LIT31 = 0x30, 0x4F  # the number is part of the code, and so it is in those of registers
REG0, REG31 = 0x50, 0x6F
BREG0, BREG31 = 0x70, 0x8F
REGX, FBREG, BREGX, PIECE, DEREF_SIZE = 0x90, 0x91, 0x92, 0x93, 0x94
XDEREF_SIZE, NOP, PUSH_OBJECT_ADDRESS = 0x95, 0x96, 0x97
CALL2, CALL4, CALL_REF = 0x98, 0x99, 0x9A
FORM_TLS_ADDRESS, CALL_FRAME_CFA, BIT_PIECE = 0x9B, 0x9C, 0x9D
IMPLICIT_VALUE, STACK_VALUE, IMPLICIT_POINTER = 0x9E, 0x9F, 0xA0
ADDRX, CONSTX, ENTRY_VALUE, CONST_TYPE, REGVAL_TYPE = 0xA1, 0xA2, 0xA3, 0xA4, 0xA5
DEREF_TYPE, XDEREF_TYPE, CONVERT, REINTERPRET = 0xA6, 0xA7, 0xA8, 0xA9
GNU_PUSH_TLS_ADDRESS, GNU_UNINIT = 0xE0, 0xF0
GNU_IMPLICIT_POINTER, GNU_ENTRY_VALUE, GNU_CONST_TYPE = 0xF2, 0xF3, 0xF4
GNU_REGVAL_TYPE, GNU_DEREF_TYPE, GNU_CONVERT, GNU_REINTERPRET = 0xF5, 0xF6, 0xF7, 0xF9
GNU_PARAMETER_REF, GNU_ADDR_INDEX, GNU_CONST_INDEX, GNU_VARIABLE_VALUE = 0xFA, 0xFB, 0xFC, 0xFD

_NAMES: Final = {
    code: name.lower()
    for name, code in list(globals().items())
    if name.isupper() and name[0] != "_"
}


def name_of(code: int) -> str:
    """An operation's name without DW_OP_; its number if it has none here."""
    return _NAMES.get(code, f"{code:#x}")


# ---------------------------------------------------------------- call frames

# these three hold an operand in their low six bits
CFA_ADVANCE_LOC, CFA_OFFSET, CFA_RESTORE = 0x40, 0x80, 0xC0
CFA_NOP, CFA_SET_LOC = 0x00, 0x01
CFA_ADVANCE_LOC1, CFA_ADVANCE_LOC2, CFA_ADVANCE_LOC4 = 0x02, 0x03, 0x04
CFA_OFFSET_EXTENDED, CFA_RESTORE_EXTENDED, CFA_UNDEFINED, CFA_SAME_VALUE = 0x05, 0x06, 0x07, 0x08
CFA_REGISTER, CFA_REMEMBER_STATE, CFA_RESTORE_STATE = 0x09, 0x0A, 0x0B
CFA_DEF_CFA, CFA_DEF_CFA_REGISTER, CFA_DEF_CFA_OFFSET = 0x0C, 0x0D, 0x0E
CFA_DEF_CFA_EXPRESSION, CFA_EXPRESSION, CFA_OFFSET_EXTENDED_SF = 0x0F, 0x10, 0x11
CFA_DEF_CFA_SF, CFA_DEF_CFA_OFFSET_SF = 0x12, 0x13
CFA_VAL_OFFSET, CFA_VAL_OFFSET_SF, CFA_VAL_EXPRESSION = 0x14, 0x15, 0x16
CFA_GNU_ARGS_SIZE, CFA_GNU_NEGATIVE_OFFSET_EXTENDED = 0x2E, 0x2F
