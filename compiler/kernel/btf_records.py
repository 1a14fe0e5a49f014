# SPDX-License-Identifier: GPL-2.0-or-later
"""Reading one type record of a kernel's BTF.

    RecordReader(words, text, number).read(TypeId(912), 14208) -> Struct(912, "file", 232, (...))

A record is a name, an info word (kind, flag and `vlen`, the count of entries), a third word (a size or a
type), and what follows by its kind. Format: the kernel's Documentation/bpf/btf.rst.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from compiler.kernel import btf_types as k
from compiler.kernel.btf_types import VOID, TypeId

# kind number -> the record's class
KINDS: Final[dict[int, type[k.Type]]] = {
    1: k.Int,
    2: k.Pointer,
    3: k.Array,
    4: k.Struct,
    5: k.Union,
    6: k.Enum,
    7: k.Forward,
    8: k.Typedef,
    9: k.Qualified,
    10: k.Qualified,
    11: k.Qualified,
    12: k.Function,
    13: k.FunctionType,
    14: k.Variable,
    15: k.Section,
    16: k.Float,
    17: k.DeclTag,
    18: k.TypeTag,
    19: k.Enum,
}
_QUALIFIERS: Final = {
    9: k.Qualifier.VOLATILE,
    10: k.Qualifier.CONST,
    11: k.Qualifier.RESTRICT,
}


class RecordReader:
    """`text` reads a name by its offset; `number` turns a type's number in the file into its TypeId."""

    def __init__(
        self, words: memoryview[int], text: Callable[[int], str], number: Callable[[int], TypeId]
    ) -> None:
        self._words, self._text, self._id = words, text, number

    def read(self, type_id: TypeId, at: int) -> k.Type:
        """The record that starts at that word. Raises IndexError and ValueError if it is damaged."""
        words = self._words
        info, third = words[at + 1], words[at + 2]
        kind, count, flag = info >> 24 & 0x1F, info & 0xFFFF, bool(info >> 31)
        name = self._text(words[at])
        target = self._id(third)
        at += 3
        match kind:
            case 1:
                bits = words[at]
                encoding = bits >> 24 & 0xF
                signed, boolean = bool(encoding & 1), bool(encoding & 4)
                return k.Int(type_id, name, third, signed, boolean, bits & 0xFF, bits >> 16 & 0xFF)
            case 2:
                return k.Pointer(type_id, target)
            case 3:
                return k.Array(type_id, self._id(words[at]), words[at + 2])
            case 4:
                return k.Struct(type_id, name, third, self._members(at, count, flag))
            case 5:
                return k.Union(type_id, name, third, self._members(at, count, flag))
            case 6:
                return k.Enum(type_id, name, third, flag, self._values32(at, count, flag))
            case 7:
                return k.Forward(type_id, name, flag)
            case 8:
                return k.Typedef(type_id, name, target)
            case 9 | 10 | 11:
                return k.Qualified(type_id, _QUALIFIERS[kind], target)
            case 12:
                return k.Function(type_id, name, target, k.Linkage(count))
            case 13:
                params = self._params(at, count)
                variadic = bool(params) and params[-1] == k.Param("", VOID)
                return k.FunctionType(
                    type_id, params[:-1] if variadic else params, target, variadic
                )
            case 14:
                return k.Variable(type_id, name, target, k.Linkage(words[at]))
            case 15:
                return k.Section(type_id, name, third, self._placed(at, count))
            case 16:
                return k.Float(type_id, name, third)
            case 17:
                return k.DeclTag(type_id, name, target, _signed(words[at], 32))
            case 18:
                return k.TypeTag(type_id, name, target)
            case _:  # 19; the index refuses unknown kinds
                return k.Enum(type_id, name, third, flag, self._values64(at, count, flag))

    def _members(self, at: int, count: int, packs_bits: bool) -> tuple[k.Member, ...]:
        words, text = self._words, self._text
        found = []
        for i in range(at, at + 3 * count, 3):
            where = words[i + 2]
            offset, bits = (where & 0xFFFFFF, where >> 24) if packs_bits else (where, 0)
            found.append(k.Member(text(words[i]), self._id(words[i + 1]), offset, bits))
        return tuple(found)

    def _values32(self, at: int, count: int, signed: bool) -> tuple[k.Enumerator, ...]:
        words = self._words
        return tuple(
            k.Enumerator(
                self._text(words[i]), _signed(words[i + 1], 32) if signed else words[i + 1]
            )
            for i in range(at, at + 2 * count, 2)
        )

    def _values64(self, at: int, count: int, signed: bool) -> tuple[k.Enumerator, ...]:
        words = self._words
        found = []
        for i in range(at, at + 3 * count, 3):
            value = words[i + 2] << 32 | words[i + 1]
            found.append(
                k.Enumerator(self._text(words[i]), _signed(value, 64) if signed else value)
            )
        return tuple(found)

    def _params(self, at: int, count: int) -> tuple[k.Param, ...]:
        words = self._words
        return tuple(
            k.Param(self._text(words[i]), self._id(words[i + 1]))
            for i in range(at, at + 2 * count, 2)
        )

    def _placed(self, at: int, count: int) -> tuple[k.Placed, ...]:
        words = self._words
        return tuple(
            k.Placed(self._id(words[i]), words[i + 1], words[i + 2])
            for i in range(at, at + 3 * count, 3)
        )


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> (bits - 1) else value
