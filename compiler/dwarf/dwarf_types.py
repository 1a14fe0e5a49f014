# SPDX-License-Identifier: GPL-2.0-or-later
"""A program's types, in the numbering and the records that BTF has.

    types = ProgramTypes.numbered(kernel.btf, debuginfo)
    types.find_all(Struct, "buffer")  -> (Struct(id=2150912, name="buffer", size=48, ...),)
    kernel.btf[TypeId(2150912)]       -> the same record

A type's number is the first free one of the kernel's types plus the offset of its entry, so an entry
becomes a record at its first use. References of C++ are pointers; a base class is an anonymous member, so
its members are found in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, TypeVar

from compiler.dwarf import operations
from compiler.dwarf.reader import Debuginfo, Die
from compiler.kernel import btf_types as k
from compiler.kernel.btf import Btf
from compiler.kernel.btf_types import VOID, TypeId

T = TypeVar("T", bound=k.Type)

_WORDS: Final[dict[type[Any], str]] = {
    k.Struct: "struct",
    k.Union: "union",
    k.Enum: "enum",
    k.Typedef: "typedef",
    k.Int: "base",
    k.Float: "base",
}
_POINTERS: Final = frozenset(
    ("DW_TAG_pointer_type", "DW_TAG_reference_type", "DW_TAG_rvalue_reference_type")
)
_QUALIFIERS: Final = {
    "DW_TAG_const_type": k.Qualifier.CONST,
    "DW_TAG_volatile_type": k.Qualifier.VOLATILE,
    "DW_TAG_restrict_type": k.Qualifier.RESTRICT,
    "DW_TAG_atomic_type": k.Qualifier.VOLATILE,
}
_STRUCTS: Final = frozenset(("DW_TAG_structure_type", "DW_TAG_class_type"))
_BOOLEAN, _FLOATS, _SIGNED = 2, (3, 4), (5, 6, 0x0D)
_POINTER_SIZE: Final = 8
_BY_REFERENCE: Final = 4  # DW_CC_pass_by_reference
_DEPTH: Final = 64  # the longest chain of typedefs and qualifiers that is followed


class ProgramTypes:
    """Use `numbered`: it gives the same object for the same program. `is_program`: values of these types are
    in the memory of a process."""

    is_program = True

    def __init__(self, debug: Debuginfo, first: int) -> None:
        self.debug, self._first = debug, first
        self._known: dict[TypeId, k.Type] = {}

    @classmethod
    def numbered(cls, btf: Btf, debug: Debuginfo) -> ProgramTypes:
        """The types of a program, numbered after all that the kernel's types know by now."""
        found = btf.continued(debug.identity, debug.end, lambda first: cls(debug, first))
        assert isinstance(found, cls)
        return found

    def id_of(self, die: Die | None) -> TypeId:
        """The number of a type by its entry; None: void."""
        return VOID if die is None else TypeId(self._first + self.debug.offset_of(die))

    def __getitem__(self, type_id: TypeId) -> k.Type:
        found = self._known.get(type_id)
        if found is None:
            die = self.debug.entry(type_id - self._first)
            found = self._known[type_id] = self._record(type_id, die)
        return found

    def find_all(self, kind: type[T], name: str) -> tuple[T, ...]:
        """Every indexed type of a class and name; C++ names may be qualified (`ns::buffer`)."""
        word = _WORDS.get(kind)
        offsets = self.debug.index.types.get(f"{word} {name}", ()) if word else ()
        found = (self[TypeId(self._first + offset)] for offset in offsets)
        return tuple(each for each in found if isinstance(each, kind))

    def names(self, kind: type[k.Type]) -> Iterator[str]:
        """The names of a class."""
        before = f"{_WORDS.get(kind, '?')} "
        return (n.removeprefix(before) for n in self.debug.index.types if n.startswith(before))

    def is_by_reference(self, type_id: TypeId) -> bool:
        """Whether the compiler says that values of a class are passed by their address."""
        offset = type_id - self._first
        if not 0 <= offset < self.debug.end:
            return False
        found = self.debug.value(self.debug.entry(offset), "DW_AT_calling_convention")
        return bool(found == _BY_REFERENCE)

    def _record(self, id_: TypeId, die: Die) -> k.Type:
        tag = die.tag
        if tag in _POINTERS:
            return k.Pointer(id_, self._target(die))
        if tag in _STRUCTS or tag == "DW_TAG_union_type":
            return self._composite(id_, die)
        if tag in _QUALIFIERS:
            return k.Qualified(id_, _QUALIFIERS[tag], self._target(die))
        match tag:
            case "DW_TAG_base_type":
                return self._base(id_, die)
            case "DW_TAG_typedef" | "DW_TAG_template_alias":
                return k.Typedef(id_, self.debug.name(die), self._target(die))
            case "DW_TAG_array_type":
                return self._array(id_, die)
            case "DW_TAG_enumeration_type":
                return self._enum(id_, die)
            case "DW_TAG_subroutine_type":
                params = tuple(
                    k.Param("", self._target(child))
                    for child in die.iter_children()
                    if child.tag == "DW_TAG_formal_parameter"
                )
                return k.FunctionType(id_, params, self._target(die), False)
            case "DW_TAG_ptr_to_member_type":
                return k.Int(id_, "long int", _POINTER_SIZE, True, False, 64, 0)
            case _:
                return k.Void(id_)

    def _target(self, die: Die) -> TypeId:
        return self.id_of(self.debug.type_of(die))

    def _size(self, die: Die) -> int:
        found = self.debug.value(die, "DW_AT_byte_size")
        return found if isinstance(found, int) else 0

    def _base(self, id_: TypeId, die: Die) -> k.Type:
        name, size = self.debug.name(die), self._size(die)
        encoding = self.debug.value(die, "DW_AT_encoding")
        if encoding in _FLOATS or size not in (1, 2, 4, 8):
            return k.Float(id_, name, size)
        return k.Int(id_, name, size, encoding in _SIGNED, encoding == _BOOLEAN, size * 8, 0)

    def _enum(self, id_: TypeId, die: Die) -> k.Type:
        values = tuple(
            k.Enumerator(self.debug.name(child), child.attributes["DW_AT_const_value"].value)
            for child in die.iter_children()
            if child.tag == "DW_TAG_enumerator"
        )
        signed = any(value.value < 0 for value in values)
        return k.Enum(id_, self.debug.name(die), self._size(die) or 4, signed, values)

    def _array(self, id_: TypeId, die: Die) -> k.Type:
        """Each dimension is an array of its own, numbered by the entry of its range."""
        ranges = [c for c in die.iter_children() if c.tag == "DW_TAG_subrange_type"]
        element = self._target(die)
        for child in reversed(ranges[1:]):
            inner = self.id_of(child)
            self._known[inner] = k.Array(inner, element, _count(child))
            element = inner
        return k.Array(id_, element, _count(ranges[0]) if ranges else 0)

    def _composite(self, id_: TypeId, die: Die) -> k.Type:
        name, union = self.debug.name(die), die.tag == "DW_TAG_union_type"
        if "DW_AT_declaration" in die.attributes:
            kind: type[k.Struct | k.Union] = k.Union if union else k.Struct
            return next(iter(self.find_all(kind, name)), None) or k.Forward(id_, name, union)
        members = tuple(self._members(die))
        made: type[k.Struct | k.Union] = k.Union if union else k.Struct
        return made(id_, name, self._size(die), members)

    def _members(self, die: Die) -> Iterator[k.Member]:
        for child in die.iter_children():
            attributes = child.attributes
            if child.tag == "DW_TAG_inheritance":
                offset = _offset(attributes.get("DW_AT_data_member_location"))
                if offset is not None:  # None: a virtual base class
                    yield k.Member("", self._target(child), offset * 8, 0)
            elif child.tag == "DW_TAG_member" and "DW_AT_external" not in attributes:
                offset = _offset(attributes.get("DW_AT_data_member_location"))
                if offset is not None and "DW_AT_declaration" not in attributes:
                    yield self._member(child, offset)

    def _member(self, child: Die, offset: int) -> k.Member:
        attributes, target = child.attributes, self._target(child)
        name, size = self.debug.name(child), attributes.get("DW_AT_bit_size")
        if size is None:
            return k.Member(name, target, offset * 8, 0)
        bits = attributes.get("DW_AT_data_bit_offset")
        if bits is not None:
            return k.Member(name, target, bits.value, size.value)
        # DWARF 2 and 3 count from the most significant bit of the unit that holds it
        unit = self._size(child) or self._size(self._plain(child))
        from_top = attributes["DW_AT_bit_offset"].value if "DW_AT_bit_offset" in attributes else 0
        start = offset * 8 + unit * 8 - from_top - size.value
        return k.Member(name, target, start, size.value)

    def _plain(self, die: Die) -> Die:
        """The type of a member, behind typedefs and qualifiers."""
        found: Die = self.debug.type_of(die)
        for _ in range(_DEPTH):
            if found.tag != "DW_TAG_typedef" and found.tag not in _QUALIFIERS:
                break
            found = self.debug.type_of(found)
        return found


class KernelTypes(ProgramTypes):
    """The types of the kernel or of a module. A struct that `btf` knows, the module's or the kernel's, is
    that of BTF, so it is one type however a value of it was found."""

    is_program = False

    def __init__(self, debug: Debuginfo, first: int, btf: Btf) -> None:
        super().__init__(debug, first)
        self._btf = btf

    def id_of(self, die: Die | None) -> TypeId:
        if die is not None and (die.tag in _STRUCTS or die.tag == "DW_TAG_union_type"):
            kind: type[k.Struct | k.Union] = k.Union if die.tag == "DW_TAG_union_type" else k.Struct
            name = self.debug.name(die)
            known = self._btf.find_all(kind, name) if name else ()
            if len(known) == 1 and self._size(die) in (0, known[0].size):  # 0: a declaration
                return known[0].id
        return super().id_of(die)


def _count(subrange: Die) -> int:
    """The elements of a dimension; 0: not known."""
    attributes = subrange.attributes
    for name, more in (("DW_AT_count", 0), ("DW_AT_upper_bound", 1)):
        found = attributes.get(name)
        if found is not None and found.form.startswith(("DW_FORM_data", "DW_FORM_udata")):
            return int(found.value) + more
        if found is not None and found.form in ("DW_FORM_sdata", "DW_FORM_implicit_const"):
            return max(int(found.value) + more, 0)
    return 0


def _offset(attribute: Any) -> int | None:
    """A member's distance in bytes; 0 without an attribute, as in unions; None if it must be computed."""
    if attribute is None:
        return 0
    if isinstance(attribute.value, int):
        return attribute.value
    operation, *operand = attribute.value
    if operation not in (operations.PLUS_UCONST, operations.CONSTU):
        return None
    value = 0
    for i, byte in enumerate(operand):
        value |= (byte & 0x7F) << 7 * i
    return value
