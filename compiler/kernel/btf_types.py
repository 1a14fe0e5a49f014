# SPDX-License-Identifier: GPL-2.0-or-later
"""BTF types: the closed union of all kinds that a kernel's BTF describes.

    struct file { ...; fmode_t f_mode; }
      -> Struct(id=912, name='file', size=232, members=(..., Member('f_mode', 88, 544, 0)))

Types refer to each other by `TypeId`, the number the BTF gives them; `btf[type_id]` is its
record. The layout is documented in the kernel's Documentation/bpf/btf.rst.
"""

from __future__ import annotations

import enum
from typing import NewType

from runtime.support.record import record

TypeId = NewType("TypeId", int)
VOID = TypeId(0)


class Linkage(enum.IntEnum):
    """The linkage of a function or variable."""

    STATIC = 0
    GLOBAL = 1
    EXTERN = 2


class Qualifier(enum.Enum):
    """The value is the keyword in C."""

    CONST = "const"
    VOLATILE = "volatile"
    RESTRICT = "restrict"


@record
class Member:
    """One member as recorded: `bit_offset` is from the start of the struct that lists it.

    `bit_size` is 0 unless it is a bitfield. Anonymous members have the name ''.
    """

    name: str
    type_id: TypeId
    bit_offset: int
    bit_size: int


@record
class Enumerator:
    name: str
    value: int


@record
class Param:
    """The name is '' if the source does not name the parameter (function pointers)."""

    name: str
    type_id: TypeId


@record
class Placed:
    """A variable in a section: `offset` and `size` in bytes; `type_id` is a Variable."""

    type_id: TypeId
    offset: int
    size: int


@record
class Void:
    id: TypeId


@record
class Int:
    """`size` in bytes. `bits` and `bit_offset` differ from it only for old-style bitfields."""

    id: TypeId
    name: str
    size: int
    signed: bool
    boolean: bool
    bits: int
    bit_offset: int


@record
class Float:
    id: TypeId
    name: str
    size: int


@record
class Pointer:
    id: TypeId
    target: TypeId


@record
class Array:
    """`count` is 0 for flexible array members.

    The kernel's BTF flattens `int a[2][5]` to ten elements.
    """

    id: TypeId
    element: TypeId
    count: int


@record
class Struct:
    id: TypeId
    name: str
    size: int
    members: tuple[Member, ...]


@record
class Union:
    id: TypeId
    name: str
    size: int
    members: tuple[Member, ...]


@record
class Enum:
    """Both 32 and 64-bit enums; `size` in bytes."""

    id: TypeId
    name: str
    size: int
    signed: bool
    values: tuple[Enumerator, ...]


@record
class Forward:
    """A struct or union that is declared only: this BTF lacks its members."""

    id: TypeId
    name: str
    is_union: bool


@record
class Typedef:
    id: TypeId
    name: str
    target: TypeId


@record
class Qualified:
    id: TypeId
    qualifier: Qualifier
    target: TypeId


@record
class TypeTag:
    """An attribute such as `user`, `rcu` or `percpu`; only some compilers record them."""

    id: TypeId
    name: str
    target: TypeId


@record
class DeclTag:
    """`component` is the index of a member or parameter of `target`, or -1 for the whole."""

    id: TypeId
    name: str
    target: TypeId
    component: int


@record
class FunctionType:
    """A function's type, without its name."""

    id: TypeId
    params: tuple[Param, ...]
    ret: TypeId
    variadic: bool


@record
class Function:
    """A function of the kernel; `type_id` is a FunctionType."""

    id: TypeId
    name: str
    type_id: TypeId
    linkage: Linkage


@record
class Variable:
    id: TypeId
    name: str
    type_id: TypeId
    linkage: Linkage


@record
class Section:
    """Variables of one linker section, such as `.data..percpu`."""

    id: TypeId
    name: str
    size: int
    variables: tuple[Placed, ...]


Composite = Struct | Union
Type = (
    Void
    | Int
    | Float
    | Pointer
    | Array
    | Struct
    | Union
    | Enum
    | Forward
    | Typedef
    | Qualified
    | TypeTag
    | DeclTag
    | FunctionType
    | Function
    | Variable
    | Section
)


@record
class Prototype:
    """A named function with its parameters and its result.

    Source: BTF's record of the compiled function. gcc may have dropped or moved parameters of
    static functions (symbols ending in `.isra.0`, `.constprop.0`), which BTF does not record.
    """

    name: str
    params: tuple[Param, ...]
    ret: TypeId
    variadic: bool

    @property
    def shape(self) -> tuple[tuple[TypeId, ...], TypeId, bool]:
        """Everything but the names: equal for two prototypes that are the same to a caller."""
        return tuple(param.type_id for param in self.params), self.ret, self.variadic


@record
class PercpuVariable:
    """`offset` in bytes from the start of each CPU's area, `size` in bytes."""

    name: str
    type_id: TypeId
    offset: int
    size: int
