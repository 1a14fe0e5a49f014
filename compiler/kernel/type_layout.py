# SPDX-License-Identifier: GPL-2.0-or-later
"""Sizes of types, and the steps from a pointer to a member, computed from BTF.

    place(btf, <struct file *>, ["f_path", "dentry", "d_name", "name"])
      -> Place(steps=(Step(offset=152, deref=False), Step(offset=40, deref=True)), ...)

The steps start at a value `v`: a pointer to a struct, or the address of a struct. A step adds its offset; a
step with `deref` first loads the pointer at the address so far. Here: `a = v + 152; a = *(void **)a + 40`,
and the member is at `a`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from compiler.kernel import btf_types as k
from compiler.kernel.btf import Btf
from compiler.kernel.btf_types import TypeId
from compiler.kernel.c_types import type_name
from compiler.kernel.errors import BadBtf, NoSuchMember
from compiler.support.did_you_mean import did_you_mean
from runtime.support.record import record

POINTER_SIZE = 8  # 64-bit kernels only
_DEPTH = 64  # the deepest nesting of anonymous structs and arrays that is followed


@record
class Integer:
    """The type of a value that fits a register: `size` in bytes; pointers are unsigned."""

    size: int
    signed: bool


@record
class Step:
    offset: int
    deref: bool


@record
class Bits:
    """A bitfield: `width` bits of `(u >> shift)`, where `u` is the little-endian number of `unit` bytes at
    the member's address."""

    shift: int
    width: int
    unit: int


@record
class Place:
    """The steps to a member (see the module's docstring), its type, and its bits if it is a bitfield."""

    steps: tuple[Step, ...]
    type_id: TypeId
    bits: Bits | None


def sizeof(btf: Btf, type_id: TypeId) -> int:
    """In bytes, as C's sizeof. Raises BadBtf for what has no size (void, functions, forwards)."""
    count = 1
    for _ in range(_DEPTH):
        match found := btf.resolve(type_id):
            case k.Int() | k.Float() | k.Struct() | k.Union() | k.Enum() | k.Section():
                return count * found.size
            case k.Pointer():
                return count * POINTER_SIZE
            case k.Array():
                count *= found.count
                type_id = found.element
            case k.Variable():
                type_id = found.type_id
            case _:
                break
    raise BadBtf(f"type '{type_name(btf, type_id)}' has no size")


def integer(btf: Btf, type_id: TypeId) -> Integer | None:
    """Size and sign of an integer, enum, boolean or pointer type; None for anything else."""
    match found := btf.resolve(type_id):
        case k.Int() | k.Enum():
            return Integer(found.size, found.signed)
        case k.Pointer():
            return Integer(POINTER_SIZE, False)
        case _:
            return None


def is_string(btf: Btf, type_id: TypeId) -> bool:
    """Whether a type is a pointer to, or an array of, plain `char`."""
    match found := btf.resolve(type_id):
        case k.Pointer():
            element = btf.resolve(found.target)
        case k.Array():
            element = btf.resolve(found.element)
        case _:
            return False
    return isinstance(element, k.Int) and element.size == 1 and element.name == "char"


def composite(btf: Btf, type_id: TypeId) -> k.Composite | None:
    """The struct or union that a type is or points to, or None.

    If the type is only declared (`struct x;`), the definition is looked up by name.
    """
    match found := _pointee(btf, type_id):
        case k.Struct() | k.Union():
            return found
        case k.Forward():
            return next(iter(btf.definitions(found)), None)
        case _:
            return None


def members(btf: Btf, of: k.Composite) -> tuple[k.Member, ...]:
    """Named members in order, those of anonymous members included, offsets from the outermost."""
    return tuple(_flatten(btf, of, 0, 0))


def member(btf: Btf, of: k.Composite, name: str) -> k.Member:
    """One of `members` by name. Raises NoSuchMember with near misses."""
    found = _search(btf, of, name, 0, 0)
    if found is not None:
        return found
    spelled = type_name(btf, of.id)
    raise NoSuchMember(
        f"'{spelled}' has no member '{name}'",
        did_you_mean(name, (m.name for m in _flatten(btf, of, 0, 0)))
        or f"it has {_list(m.name for m in _flatten(btf, of, 0, 0))}",
    )


def place(btf: Btf, start: TypeId, path: Sequence[str | int]) -> Place:
    """Follow member names and constant indexes from a pointer to, or an address of, `start`.

    `.` and `->` are the same here, as in the script language. Indexing a pointer loads it first, indexing
    an array does not. Raises NoSuchMember.
    """
    steps = [Step(0, False)]
    type_id, bits = start, None
    for count, key in enumerate(path):
        found = btf.resolve(type_id)
        if isinstance(found, k.Pointer) and count > 0:
            steps.append(Step(0, True))
        if isinstance(key, int):
            type_id, bits = _element(btf, type_id, key), None
            offset = key * sizeof(btf, type_id)
        else:
            hit = member(btf, _owner(btf, type_id, key), key)
            type_id = hit.type_id
            offset, bits = _byte_offset(hit, sizeof(btf, type_id) if hit.bit_size else 0)
        steps[-1] = Step(steps[-1].offset + offset, steps[-1].deref)
    return Place(tuple(steps), type_id, bits)


def _element(btf: Btf, type_id: TypeId, index: int) -> TypeId:
    match found := btf.resolve(type_id):
        case k.Array():
            return found.element
        case k.Pointer():
            return found.target
        case _:
            raise NoSuchMember(
                f"'{type_name(btf, type_id)}' has no element [{index}]",
                "only arrays and pointers have elements",
            )


def _owner(btf: Btf, type_id: TypeId, name: str) -> k.Composite:
    found = composite(btf, type_id)
    if found is None:
        spelled = type_name(btf, type_id)
        raise NoSuchMember(
            f"'{spelled}' has no member '{name}'",
            "only structs, unions and pointers to them have members"
            if not isinstance(_pointee(btf, type_id), k.Forward)
            else "the kernel's types do not define it",
        )
    return found


def _pointee(btf: Btf, type_id: TypeId) -> k.Type:
    found = btf.resolve(type_id)
    return btf.resolve(found.target) if isinstance(found, k.Pointer) else found


def _flatten(btf: Btf, of: k.Composite, base: int, depth: int) -> Iterator[k.Member]:
    for raw in of.members:
        inner = _anonymous(btf, raw, depth)
        if inner is not None:
            yield from _flatten(btf, inner, base + raw.bit_offset, depth + 1)
        elif raw.name:
            yield _normal(btf, raw, base)


def _search(btf: Btf, of: k.Composite, name: str, base: int, depth: int) -> k.Member | None:
    for raw in of.members:
        if raw.name == name:
            return _normal(btf, raw, base)
        inner = _anonymous(btf, raw, depth)
        if inner is not None:
            found = _search(btf, inner, name, base + raw.bit_offset, depth + 1)
            if found is not None:
                return found
    return None


def _anonymous(btf: Btf, raw: k.Member, depth: int) -> k.Composite | None:
    if raw.name or depth > _DEPTH:
        return None
    found = btf.resolve(raw.type_id)
    return found if isinstance(found, k.Struct | k.Union) else None


def _normal(btf: Btf, raw: k.Member, base: int) -> k.Member:
    """A member at its absolute offset. Older encoders store a bitfield's size in its type."""
    offset, bits = base + raw.bit_offset, raw.bit_size
    if bits == 0:
        kind = btf.resolve(raw.type_id)
        if isinstance(kind, k.Int) and kind.bits != kind.size * 8:
            offset, bits = offset + kind.bit_offset, kind.bits
    return k.Member(raw.name, raw.type_id, offset, bits)


def _byte_offset(hit: k.Member, size: int) -> tuple[int, Bits | None]:
    """Byte offset and bits: of the declared type's own unit, or of bytes in a packed struct."""
    if hit.bit_size == 0:
        return hit.bit_offset // 8, None
    offset, shift = divmod(hit.bit_offset, size * 8)
    if shift + hit.bit_size <= size * 8:
        return offset * size, Bits(shift, hit.bit_size, size)
    offset, shift = divmod(hit.bit_offset, 8)
    for unit in (1, 2, 4, 8):
        if shift + hit.bit_size <= unit * 8:
            return offset, Bits(shift, hit.bit_size, unit)
    raise NoSuchMember(f"bitfield '{hit.name}' straddles nine bytes, which cannot be read")


def _list(names: Iterator[str], limit: int = 8) -> str:
    known = list(names)
    more = ", ..." if len(known) > limit else ""
    return ", ".join(f"'{name}'" for name in known[:limit]) + more if known else "none"
