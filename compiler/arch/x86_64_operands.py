# SPDX-License-Identifier: GPL-2.0-or-later
"""Locations of a mark's arguments, as the assembler of x86-64 writes them (AT&T syntax).

operands("-4@%eax 8@-16(%rbp) 2@$5")
  -> (Operand(4, True, register="ax"), Operand(8, False, base="bp", number=-16, memory=True),
      Operand(2, False, number=5))
"""

from __future__ import annotations

from compiler.arch import Operand
from runtime.support.lazy_regex import pattern

_SIZED = pattern(r"(?:(-?)([1248])(f?)@)?(.+)")
_MEMORY = pattern(
    r"(?P<number>[-+]?(?:0x[0-9a-fA-F]+|\d+))?"
    r"(?P<symbol>\+?[A-Za-z_.$][\w.$@]*)?(?P<more>[-+]\d+)?"
    r"\((?:%(?P<base>\w+))?(?:,%(?P<index>\w+)(?:,(?P<scale>[1248]))?)?\)"
)
_PLAIN = ("ax", "bx", "cx", "dx", "si", "di", "bp", "sp", "ip")
_HIGH = {"ah": "ax", "bh": "bx", "ch": "cx", "dh": "dx"}


def operands(text: str) -> tuple[Operand | None, ...]:
    """One for each argument; None for one that cannot be read (a floating-point number)."""
    return tuple(_operand(word) for word in text.split())


def _operand(word: str) -> Operand | None:
    match = _SIZED.fullmatch(word)
    if match is None or match[3]:
        return None
    sign, digits, _, location = match.groups()
    size = int(digits) if digits else 8
    signed = sign == "-" or digits is None
    if location.startswith("$"):
        try:
            return Operand(size, signed, number=int(location[1:], 0))
        except ValueError:
            return None
    if location.startswith("%"):
        name = location[1:]
        if name in _HIGH:
            return Operand(size, signed, base=_HIGH[name], shift=8)
        register = _register(name)
        return Operand(size, signed, base=register) if register else None
    return _memory(location, size, signed)


def _memory(location: str, size: int, signed: bool) -> Operand | None:
    found = _MEMORY.fullmatch(location)
    if found is None:
        return None
    base = _register(found["base"]) if found["base"] else ""
    index = _register(found["index"]) if found["index"] else ""
    symbol = (found["symbol"] or "").lstrip("+")
    if base is None or index is None or (base == "ip") != bool(symbol):
        return None
    number = int(found["number"] or "0", 0) + int(found["more"] or "0")
    scale = int(found["scale"] or "1")
    return Operand(size, signed, True, base, index, scale, number, symbol)


def _register(name: str) -> str | None:
    """The 64-bit register that a register is, or is part of."""
    if name.startswith("r") and name[1:].rstrip("dwb").isdigit():
        return "r" + name[1:].rstrip("dwb")
    if name.endswith("l") and name[:-1] in ("a", "b", "c", "d"):
        return f"{name[0]}x"
    if name.endswith("l") and name[:-1] in _PLAIN:
        return name[:-1]
    plain = name[1:] if len(name) == 3 and name[0] in "re" else name
    return plain if plain in _PLAIN else None
