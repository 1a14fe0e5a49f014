# SPDX-License-Identifier: GPL-2.0-or-later
"""The names in a file's DWARF, with the offsets of their entries in .debug_info.

    index.functions["main"]      -> [1234]       those that have code
    index.inlined["helper"]      -> [5678]       inline instances of a function
    index.types["struct buffer"] -> [90, ...]

C++ members and what is in namespaces stand under their plain names, their qualified ones (`ns::f`) and
their linkage names. Making the index reads all entries; it is cached by the file's identity.
"""

from __future__ import annotations

import json
from itertools import chain
from typing import Final

from compiler.dwarf import scan
from runtime.support.record import field, record

_MOST_TYPES: Final = 4  # of one name: each unit has its own record of the types that it uses
_FORMAT: Final = 2  # of the stored index


@record
class Index:
    """Offsets by name; `units`: those of all units, in order."""

    units: list[int] = field(default_factory=list)
    functions: dict[str, list[int]] = field(default_factory=dict)
    inlined: dict[str, list[int]] = field(default_factory=dict)
    variables: dict[str, list[int]] = field(default_factory=dict)
    types: dict[str, list[int]] = field(default_factory=dict)

    def stored(self) -> bytes:
        parts = (self.units, self.functions, self.inlined, self.variables, self.types)
        return json.dumps((_FORMAT, *parts), separators=(",", ":")).encode()

    @classmethod
    def loaded(cls, data: bytes) -> Index | None:
        """The index that `stored` wrote; None if another release wrote it in another format."""
        form, *parts = json.loads(data)
        return cls(*parts) if form == _FORMAT else None


def make_index(scanner: scan.Scanner, moved: scan.Scanner | None = None) -> Index:
    """`moved`: of the file that dwz has moved entries to. Raises DwarfError."""
    index = Index()
    named: dict[int, tuple[str, ...]] = {}  # functions and variables, which other entries complete
    origins: dict[int, int] = {}
    inlined: list[tuple[int, int]] = []
    code: dict[int, bool] = {}  # functions and variables with a place; whether it is a function
    scopes: list[str] = []
    for e in chain(scanner.entries(), moved.entries() if moved is not None else ()):
        del scopes[max(e.depth - 1, 0) :]
        scopes += [""] * (e.depth - 1 - len(scopes))
        name = e.name.decode(errors="replace")
        scope = "::".join(filter(None, scopes))
        qualified = f"{scope}::{name}" if scope and name else name
        scopes.append(name if e.tag == scan.NAMESPACE or e.tag in scan.STRUCTS else "")
        if not e.depth:
            scopes.clear()
        if e.tag == scan.INLINED:
            if e.origin >= 0 and e.code:
                inlined.append((e.offset, e.origin))
        elif e.tag in (scan.SUBPROGRAM, scan.VARIABLE):
            function = e.tag == scan.SUBPROGRAM
            if name:
                names = (name, qualified, e.linkage.decode(errors="replace"))
                named[e.offset] = tuple(dict.fromkeys(filter(None, names)))
            if e.origin >= 0:
                origins[e.offset] = e.origin
            if e.code if function else e.static:
                code[e.offset] = function
        elif name and not e.declaration and (word := _word(e.tag)):
            for each in {name, qualified}:
                known = index.types.setdefault(f"{word} {each}", [])
                if len(known) < _MOST_TYPES:
                    known.append(e.offset)

    def names_of(offset: int) -> tuple[str, ...]:
        found: dict[str, None] = {}
        for _ in range(
            4
        ):  # an instance of an abstract function that completes a member's declaration
            found.update(dict.fromkeys(named.get(offset, ())))
            if offset not in origins:
                break
            offset = origins[offset]
        return tuple(found)

    for offset, function in code.items():
        for each in names_of(offset):
            (index.functions if function else index.variables).setdefault(each, []).append(offset)
    for offset, origin in inlined:
        for each in names_of(origin):
            index.inlined.setdefault(each, []).append(offset)
    index.units.extend(scanner.units)
    return index


def _word(tag: int) -> str:
    """The word in front of a type's name in the index; "" if it is no type."""
    match tag:
        case scan.ENUMERATION:
            return "enum"
        case scan.TYPEDEF:
            return "typedef"
        case scan.BASE:
            return "base"
        case _:
            return scan.STRUCTS.get(tag, "")
