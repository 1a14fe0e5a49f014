# SPDX-License-Identifier: GPL-2.0-or-later
"""A kernel's types, read from its BTF.

    btf = Btf.read(Path("/sys/kernel/btf/vmlinux"))
    btf.find(Struct, "file")        -> Struct(name='file', size=232, members=(...))
    btf.function("vfs_read")        -> Prototype('vfs_read', (Param('file', 1105), ...), ret=14)
    btf.constant("PIDTYPE_TGID")    -> 1

The index (see btf_index.py) is made once for a kernel. A record becomes an object at its first use.

Source of the data: /sys/kernel/btf/vmlinux and /sys/kernel/btf/MODULE of a running kernel, or
the .BTF section of a kernel image. Format: the kernel's Documentation/bpf/btf.rst.
"""

from __future__ import annotations

import re
import struct
from bisect import bisect_left
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Final, Protocol, TypeVar, cast
from zlib import crc32

from compiler.kernel import btf_types as k
from compiler.kernel.btf_records import KINDS, RecordReader
from compiler.kernel.btf_types import VOID, TypeId
from compiler.kernel.errors import AmbiguousFunction, BadBtf, NoSuchConstant, NoSuchType
from compiler.support.did_you_mean import did_you_mean
from compiler.support.globs import glob_regex

T = TypeVar("T", bound=k.Type)

_MAGIC: Final = 0xEB9F
_PERCPU: Final = ".data..percpu"
_HEADER: Final = struct.Struct("<HBBIIIII")
_NOUNS: Final[dict[type, str]] = {
    k.Section: "section",
    k.Variable: "variable",
    k.Int: "integer type",
}
_FEW: Final = 8  # names of enumerators that are searched for one by one
_DEPTH: Final = 64  # the longest chain of typedefs and qualifiers that is followed


class OtherTypes(Protocol):
    """Types of something else than the kernel, whose numbers continue the kernel's."""

    @property
    def is_program(self) -> bool:
        """Whether values of these types are in a program's memory."""

    def __getitem__(self, type_id: TypeId) -> k.Type: ...

    def find_all(self, kind: type[T], name: str) -> tuple[T, ...]: ...


class Btf:
    """The types of one kernel, or of one of its modules on top of the kernel's (`base`).

    Not thread-safe: look-ups fill caches.
    """

    def __init__(
        self,
        data: bytes,
        base: Btf | None = None,
        name: str = "vmlinux",
        index: bytes | None = None,
    ) -> None:
        """`data` is a whole BTF blob; that of a module needs the kernel's as `base`. Raises BadBtf.

        `index` is the `index` of another Btf of the same blob: making it takes 0.2 s.
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
            from compiler.kernel.btf_index import make_index  # once for a kernel

            index = make_index(self._words, self._name, name)
        self.index: Final = index
        third = len(index) // 3
        columns = (memoryview(index)[n : n + third].cast("I") for n in range(0, 3 * third, third))
        self._starts, self._hashes, self._order = columns if third else (memoryview(b""),) * 3
        # In its file, a module's types are numbered after the kernel's. Here they are numbered after
        # those of the modules read before, so that each number names one type.
        self._first = base._free if base else 1
        self._moved = self._first - len(base) if base else 0
        self._free: int = len(self)
        self._modules: list[Btf] = []
        self._others: dict[
            str, tuple[int, int, OtherTypes]
        ] = {}  # first number, and one past the last
        if base is not None:
            base._free = len(self)
            base._modules.append(self)
        self._records = RecordReader(self._words, self._text, self._id)
        self._types: dict[int, k.Type] = {0: k.Void(VOID)}
        self._named: dict[str, tuple[TypeId, ...]] = {}
        self._constants: dict[str, tuple[tuple[int, k.Enum], ...]] = {}

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
        """One more than the highest number of its own types."""
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
            other = self._other(type_id)
            if other is not None:
                return other[type_id]
            if not 0 < type_id < len(self):
                raise BadBtf(f"type number {type_id} of '{self.name}' does not exist")
            try:
                found = self._records.read(type_id, self._starts[type_id - self._first])
            except (IndexError, ValueError) as error:
                raise BadBtf(f"type number {type_id} of '{self.name}' is damaged") from error
            self._types[type_id] = found
        return found

    def find_all(self, kind: type[T], name: str) -> tuple[T, ...]:
        """Every type of a class (`Struct`, `Function`, ...) and name, those of a module first.

        Names repeat: static functions, and structs that differ between files of the kernel.
        """
        types = (self[type_id] for type_id in self._ids(name))
        found = tuple(t for t in types if isinstance(t, kind))
        return found + self.base.find_all(kind, name) if self.base else found

    def continued(self, key: str, count: int, make: Callable[[int], OtherTypes]) -> OtherTypes:
        """Types that `make` makes for their first number, of which there are `count`; once for each key."""
        if key not in self._others:
            first = self._free
            self._free += count
            self._others[key] = first, self._free, make(first)
        return self._others[key][2]

    def is_program(self, type_id: TypeId) -> bool:
        """Whether a type is one of a program, so that its values are in the program's memory."""
        other = self._other(type_id)
        return other is not None and other.is_program

    def definitions(self, declared: k.Forward) -> tuple[k.Composite, ...]:
        """The structs or unions that a declaration may mean, among the types that it belongs to."""
        kind: type[k.Composite] = k.Union if declared.is_union else k.Struct
        return (self._other(declared.id) or self).find_all(kind, declared.name)

    def _other(self, type_id: TypeId) -> OtherTypes | None:
        for first, end, types in self._others.values():
            if first <= type_id < end:
                return types
        return None

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
        """Names of a class that match a shell pattern, in the BTF's order, repeats included."""
        if self.base is not None:
            yield from self.base.names(kind, pattern)
        match = re.compile(glob_regex(pattern)).fullmatch
        wanted = {number for number, row in KINDS.items() if row is kind}
        words = self._words
        for start in self._starts:
            if words[start + 1] >> 24 & 0x1F in wanted:
                name = self._text(words[start])
                if name and match(name):
                    yield name

    def resolve(self, type_id: TypeId) -> k.Type:
        """The type behind typedefs, const, volatile, restrict and type tags."""
        for _ in range(_DEPTH):
            match found := self[type_id]:
                case k.Typedef() | k.Qualified() | k.TypeTag():
                    type_id = found.target
                case _:
                    return found
        raise BadBtf(f"type number {type_id} of '{self.name}' refers to itself")

    def constants(self, name: str) -> tuple[tuple[int, k.Enum], ...]:
        """Every enumerator of that name: its value and its enum.

        A search takes some milliseconds, and a list of all names as long as ten of them.
        """
        if name not in self._constants:
            few = len(self._constants) < _FEW
            own = self._search_constants(name) if few else self._enumerators.get(name, [])
            self._constants[name] = tuple(own) + (self.base.constants(name) if self.base else ())
        return self._constants[name]

    def _search_constants(self, name: str) -> list[tuple[int, k.Enum]]:
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
        return found

    @cached_property
    def _enumerators(self) -> dict[str, list[tuple[int, k.Enum]]]:
        """By name, without the base's."""
        found: dict[str, list[tuple[int, k.Enum]]] = {}
        for owner in self._enums():
            for value in owner.values:
                same = found.setdefault(value.name, [])
                if (value.value, owner) not in same:
                    same.append((value.value, owner))
        return found

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

        If functions of one name differ only in the names of their parameters, this is the first;
        `functions` returns all.
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
        """A per-CPU variable. Raises NoSuchType.

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
        """The offsets of a whole name in the string section (and the base's)."""
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
        for owner in self._enums():
            yield from (value.name for value in owner.values)

    def _enums(self) -> Iterator[k.Enum]:
        for index, start in enumerate(self._starts):
            if self._words[start + 1] >> 24 & 0x1F in (6, 19):
                owner = self[TypeId(self._first + index)]
                if isinstance(owner, k.Enum):
                    yield owner

    def _prototype(self, function: k.Function) -> k.Prototype:
        shape = self[function.type_id]
        if not isinstance(shape, k.FunctionType):
            raise BadBtf(f"function '{function.name}' of '{self.name}' has no function type")
        return k.Prototype(function.name, shape.params, shape.ret, shape.variadic)

    def _id(self, number: int) -> TypeId:
        """The number that this object gives to a type, by its number in the file."""
        moved = self._moved if self.base is not None and number >= len(self.base) else 0
        return TypeId(number + moved)
