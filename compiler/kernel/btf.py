# SPDX-License-Identifier: GPL-2.0-or-later
"""A kernel's types, read from its BTF.

    btf = Btf.read(Path("/sys/kernel/btf/vmlinux"))
    btf.find(Struct, "file")        -> Struct(name='file', size=232, members=(...))
    btf.function("vfs_read")        -> Prototype('vfs_read', (Param('file', 1105), ...), ret=14)
    btf.constant("PIDTYPE_TGID")    -> 1

The index is three columns: where each record starts (types are numbered by position), and the
types in the order of their names' hashes, with the hashes. It is made once for a kernel. Records
become objects when asked for.

Source of the data: /sys/kernel/btf/vmlinux and /sys/kernel/btf/MODULE of a running kernel, or
the .BTF section of a kernel image. Format: the kernel's Documentation/bpf/btf.rst.
"""

from __future__ import annotations

import re
import struct
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Final, TypeVar, cast
from zlib import crc32

from compiler.kernel import btf_types as k
from compiler.kernel.btf_types import VOID, TypeId
from compiler.kernel.errors import AmbiguousFunction, BadBtf, NoSuchConstant, NoSuchType
from compiler.support.did_you_mean import did_you_mean
from compiler.support.globs import glob_regex

T = TypeVar("T", bound=k.Type)

_MAGIC: Final = 0xEB9F
_PERCPU: Final = ".data..percpu"
_HEADER: Final = struct.Struct("<HBBIIIII")
# kind number -> (words of a record, words for each of its `vlen` entries, the record's class)
_KINDS: Final[dict[int, tuple[int, int, type[k.Type]]]] = {
    1: (4, 0, k.Int),
    2: (3, 0, k.Pointer),
    3: (6, 0, k.Array),
    4: (3, 3, k.Struct),
    5: (3, 3, k.Union),
    6: (3, 2, k.Enum),
    7: (3, 0, k.Forward),
    8: (3, 0, k.Typedef),
    9: (3, 0, k.Qualified),
    10: (3, 0, k.Qualified),
    11: (3, 0, k.Qualified),
    12: (3, 0, k.Function),  # vlen holds the linkage
    13: (3, 2, k.FunctionType),
    14: (4, 0, k.Variable),
    15: (3, 3, k.Section),
    16: (3, 0, k.Float),
    17: (4, 0, k.DeclTag),
    18: (3, 0, k.TypeTag),
    19: (3, 3, k.Enum),
}
_QUALIFIERS: Final = {
    9: k.Qualifier.VOLATILE,
    10: k.Qualifier.CONST,
    11: k.Qualifier.RESTRICT,
}
_NOUNS: Final[dict[type, str]] = {
    k.Section: "section",
    k.Variable: "variable",
    k.Int: "integer type",
}
_DEPTH: Final = 64  # longest chain of typedefs and qualifiers believed


class _Steps(dict[int, int]):
    """Words from one record to the next, by the record's info word; filled as values turn up."""

    def __missing__(self, info: int) -> int:
        known = _KINDS.get(info >> 24 & 0x1F)
        if known is None:
            raise BadBtf(
                f"type information of an unknown kind, {info >> 24 & 0x1F}",
                "the kernel is newer than this program",
            )
        fixed, each, _ = known
        self[info] = size = fixed + each * (info & 0xFFFF)
        return size


class Btf:
    """The types of one kernel, or of one of its modules on top of the kernel's (`base`).

    Not for concurrent use by threads: look-ups fill caches.
    """

    def __init__(
        self,
        data: bytes,
        base: Btf | None = None,
        name: str = "vmlinux",
        index: bytes | None = None,
    ) -> None:
        """`data` is a whole BTF blob. Raises BadBtf. A module's needs the kernel's as `base`.

        `index` is what another Btf of the same blob had as `index`: making it takes 0.2 s.
        """
        self.name: Final = name
        self.base: Final = base
        self.data: Final = data
        if len(data) < _HEADER.size:
            raise BadBtf(f"the type information of '{name}' is cut short")
        magic, version, _, header, type_at, type_size, text_at, text_size = _HEADER.unpack_from(
            data
        )
        if magic != _MAGIC or version != 1:
            raise BadBtf(
                f"'{name}' does not hold type information (BTF) of this machine's byte order"
            )
        end = max(header + type_at + type_size, header + text_at + text_size)
        if end > len(data) or type_size % 4 or header < _HEADER.size:
            raise BadBtf(f"the type information of '{name}' is cut short")
        self._type_at = header + type_at
        self._type_end = self._type_at + type_size
        self._text_at = header + text_at
        self._text_end = self._text_at + text_size
        self._text_base: int = base._text_size if base else 0
        self._text_size: int = self._text_base + text_size
        if text_size and data[self._text_end - 1] != 0:
            raise BadBtf(f"the names of '{name}' are cut short")
        self._words = memoryview(data)[self._type_at : self._type_end].cast("I")
        if index is None:
            starts = _starts(self._words, name)
            names = (self._name(self._words[at]) for at in starts)
            by_hash = sorted((crc32(name) << 32) + n for n, name in enumerate(names))
            hashes, order = array("I"), array("I")
            for each in by_hash:
                hashes.append(each >> 32)
                order.append(each & 0xFFFFFFFF)
            index = starts.tobytes() + hashes.tobytes() + order.tobytes()
        self.index: Final = index
        third = len(index) // 3
        columns = (memoryview(index)[n : n + third].cast("I") for n in range(0, 3 * third, third))
        self._starts, self._hashes, self._order = columns if third else (memoryview(b""),) * 3
        # a module's own types begin in the file where the kernel's end, here where those of the
        # modules before it do: the kernel's numbers lead to all of them
        self._first = base._free if base else 1
        self._moved = self._first - len(base) if base else 0
        self._free: int = len(self)
        self._modules: list[Btf] = []
        if base is not None:
            base._free = len(self)
            base._modules.append(self)
        self._types: dict[int, k.Type] = {0: k.Void(VOID)}
        self._named: dict[str, tuple[TypeId, ...]] = {}

    @classmethod
    def read(cls, path: Path, base: Btf | None = None, index: bytes | None = None) -> Btf:
        """Open a BTF file (not an ELF file: see `image.py`). Raises BadBtf, also if unreadable."""
        try:
            data = path.read_bytes()
        except OSError as error:
            raise BadBtf(
                f"cannot read type information from {path}: {error.strerror}",
                "the kernel needs CONFIG_DEBUG_INFO_BTF=y",
            ) from error
        return cls(data, base, path.name, index)

    def __len__(self) -> int:
        """One more than the highest type number of its own."""
        return self._first + len(self._starts)

    def __getitem__(self, type_id: TypeId) -> k.Type:
        """The record of a type number."""
        found = self._types.get(type_id)
        if found is None:
            if self.base is not None and type_id < self._first:
                return self.base[type_id]
            for module in self._modules:
                if module._first <= type_id < len(module):
                    return module[type_id]
            if not 0 < type_id < len(self):
                raise BadBtf(f"type number {type_id} of '{self.name}' does not exist")
            try:
                found = self._decode(type_id)
            except (IndexError, ValueError) as error:
                raise BadBtf(f"type number {type_id} of '{self.name}' is damaged") from error
            self._types[type_id] = found
        return found

    def find_all(self, kind: type[T], name: str) -> tuple[T, ...]:
        """Every type of a class (`Struct`, `Function`, ...) and name, a module's own first.

        Names repeat: static functions, and structs that differ between files of the kernel.
        """
        types = (self[type_id] for type_id in self._ids(name))
        found = tuple(t for t in types if isinstance(t, kind))
        return found + self.base.find_all(kind, name) if self.base else found

    def find(self, kind: type[T], name: str) -> T:
        """The first type of a class and name. Raises NoSuchType with near misses."""
        found = self.find_all(kind, name)
        if not found:
            noun = _NOUNS.get(kind, kind.__name__.lower())
            raise NoSuchType(
                f"no {noun} '{name}' in the types of '{self.name}'",
                did_you_mean(name, self.names(kind)),
            )
        return found[0]

    def names(self, kind: type[T], pattern: str = "*") -> Iterator[str]:
        """Names of a class that fit a shell pattern, in the BTF's order, repeats included."""
        if self.base is not None:
            yield from self.base.names(kind, pattern)
        match = re.compile(glob_regex(pattern)).fullmatch
        wanted = {number for number, row in _KINDS.items() if row[2] is kind}
        words = self._words
        for start in self._starts:
            if words[start + 1] >> 24 & 0x1F in wanted:
                name = self._text(words[start])
                if name and match(name):
                    yield name

    def resolve(self, type_id: TypeId) -> k.Type:
        """What a type is behind typedefs, const, volatile, restrict and type tags."""
        for _ in range(_DEPTH):
            match found := self[type_id]:
                case k.Typedef() | k.Qualified() | k.TypeTag():
                    type_id = found.target
                case _:
                    return found
        raise BadBtf(f"type number {type_id} of '{self.name}' refers to itself")

    def constants(self, name: str) -> tuple[tuple[int, k.Enum], ...]:
        """Every enumerator of that name: its value and its enum."""
        found: list[tuple[int, k.Enum]] = []
        for offset in self._text_offsets(name):
            key = offset.to_bytes(4, "little")
            at = self.data.find(key, self._type_at, self._type_end)
            while at >= 0:
                owner = self._owner(at - self._type_at)
                if isinstance(owner, k.Enum):
                    hits = [(v.value, owner) for v in owner.values if v.name == name]
                    found += [hit for hit in hits if hit not in found]
                at = self.data.find(key, at + 1, self._type_end)
        return tuple(found) + (self.base.constants(name) if self.base else ())

    def constant(self, name: str) -> int:
        """An enumerator's value; the first where several enums have it. Raises NoSuchConstant."""
        found = self.constants(name)
        if not found:
            raise NoSuchConstant(
                f"no enum constant '{name}' in the types of '{self.name}'",
                did_you_mean(name, self._constant_names())
                or "macros (#define) leave no trace in the kernel's types",
            )
        return found[0][0]

    def functions(self, name: str) -> tuple[k.Prototype, ...]:
        """The prototypes of every function of that name; several static ones may share it."""
        return tuple(self._prototype(f) for f in self.find_all(k.Function, name))

    def function(self, name: str) -> k.Prototype:
        """The prototype of a function. Raises NoSuchType, or AmbiguousFunction if types differ.

        Where functions of one name differ only in what they call their parameters, the first is
        taken; `functions` has them all.
        """
        first = self._prototype(self.find(k.Function, name))
        others = self.functions(name)
        if any(other.shape != first.shape for other in others):
            raise AmbiguousFunction(
                f"{len(others)} functions of '{self.name}' are named '{name}'"
                " and take different parameters",
                "probe a function that calls it, or one that it calls",
            )
        return first

    def percpu(self, name: str) -> k.PercpuVariable:
        """A variable that each CPU has its own copy of. Raises NoSuchType.

        Source: BTF's `.data..percpu` section, which lists variables whose type is known.
        """
        for variable in self.find_all(k.Variable, name):
            placed = self._percpu.get(variable.id)
            if placed is not None:
                return k.PercpuVariable(name, variable.type_id, placed.offset, placed.size)
        known = (cast(k.Variable, self[i]).name for i in self._percpu)
        raise NoSuchType(
            f"no per-CPU variable '{name}' in the types of '{self.name}'",
            did_you_mean(name, known),
        )

    @cached_property
    def _percpu(self) -> dict[TypeId, k.Placed]:
        sections = self.find_all(k.Section, _PERCPU)
        return {placed.type_id: placed for section in sections for placed in section.variables}

    def _ids(self, name: str) -> tuple[TypeId, ...]:
        """Numbers of this BTF's own types of that name."""
        known = self._named.get(name)
        if known is None:
            text = name.encode("utf-8", "surrogateescape")
            wanted = crc32(text)
            found: list[TypeId] = []
            for at in range(bisect_left(self._hashes, wanted), len(self._hashes)):
                if self._hashes[at] != wanted:
                    break
                number = self._order[at]
                if text and self._name(self._words[self._starts[number]]) == text:
                    found.append(TypeId(self._first + number))
            self._named[name] = known = tuple(sorted(found))
        return known

    def _text_offsets(self, name: str) -> list[int]:
        """Where a whole name is in the string section (and the base's)."""
        found = self.base._text_offsets(name) if self.base else []
        text = name.encode("utf-8", "surrogateescape")
        if not text or b"\0" in text:
            return []
        if self.data.startswith(text + b"\0", self._text_at, self._text_end):
            found.append(self._text_base)  # only a module's section starts without a NUL
        needle = b"\0" + text + b"\0"
        at = self.data.find(needle, self._text_at, self._text_end)
        while at >= 0:
            found.append(at + 1 - self._text_at + self._text_base)
            at = self.data.find(needle, at + 1, self._text_end)
        return found

    def _text(self, offset: int) -> str:
        return self._name(offset).decode("utf-8", "surrogateescape")

    def _name(self, offset: int) -> bytes:
        if self.base is not None and offset < self._text_base:
            return self.base._name(offset)
        start = self._text_at + offset - self._text_base
        if not self._text_at <= start < self._text_end:
            if offset == 0:
                return b""
            raise BadBtf(f"a name of '{self.name}' is out of bounds")
        return self.data[start : self.data.index(0, start)]

    def _owner(self, byte: int) -> k.Type:
        """The type whose record covers a byte of the type section."""
        low, high = 0, len(self._starts)
        while high - low > 1:
            middle = (low + high) // 2
            if self._starts[middle] * 4 <= byte:
                low = middle
            else:
                high = middle
        return self[TypeId(self._first + low)]

    def _constant_names(self) -> Iterator[str]:
        if self.base is not None:
            yield from self.base._constant_names()
        for index, start in enumerate(self._starts):
            if self._words[start + 1] >> 24 & 0x1F in (6, 19):
                owner = self[TypeId(self._first + index)]
                if isinstance(owner, k.Enum):
                    yield from (value.name for value in owner.values)

    def _prototype(self, function: k.Function) -> k.Prototype:
        shape = self[function.type_id]
        if not isinstance(shape, k.FunctionType):
            raise BadBtf(f"function '{function.name}' of '{self.name}' has no function type")
        return k.Prototype(function.name, shape.params, shape.ret, shape.variadic)

    def _decode(self, type_id: TypeId) -> k.Type:
        words = self._words
        at = self._starts[type_id - self._first]
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
            case _:  # 19; the walk in `_starts` refuses the unknown
                return k.Enum(type_id, name, third, flag, self._values64(at, count, flag))

    def _id(self, number: int) -> TypeId:
        """The number here of what the file has another number for."""
        moved = self._moved if self.base is not None and number >= len(self.base) else 0
        return TypeId(number + moved)

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


def _starts(words: memoryview[int], name: str) -> array[int]:
    """Where each record begins, in words; entry 0 is type number 1."""
    starts = array("I")
    append, steps = starts.append, _Steps()
    at, end = 0, len(words)
    try:
        while at < end:
            append(at)
            at += steps[words[at + 1]]
    except IndexError as error:
        raise BadBtf(f"the types of '{name}' are cut short") from error
    if at != end:
        raise BadBtf(f"the types of '{name}' are cut short")
    return starts


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> (bits - 1) else value
