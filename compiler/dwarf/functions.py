# SPDX-License-Identifier: GPL-2.0-or-later
"""Functions of a program, the places of their code, and their source lines.

functions.named("main")              -> (Code("main", entry=0x1060, ...),)
functions.inline("helper")           -> the instances that were inlined into other functions
functions.lines(code)                -> {12: 0x1064, 13: 0x1070, ...}      first address of each line
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from compiler.dwarf.errors import DwarfError
from compiler.dwarf.reader import Debuginfo, Die
from compiler.support.globs import function_regex, glob_regex
from runtime.support.record import record

_BLOCKS: Final = ("DW_TAG_lexical_block", "DW_TAG_try_block", "DW_TAG_catch_block")
_INLINED: Final = "DW_TAG_inlined_subroutine"
_CALLS: Final = {
    "DW_TAG_call_site": "DW_AT_call_origin",
    "DW_TAG_GNU_call_site": "DW_AT_abstract_origin",
}


@record
class Code:
    """A function's code, or an inline instance of it. `offset`: its entry in the DWARF; `entry`: its first
    instruction; `ranges`: addresses as linked, each with the one after the last."""

    name: str
    offset: int
    entry: int
    ranges: tuple[tuple[int, int], ...]
    inline: bool

    def covers(self, address: int) -> bool:
        return any(first <= address < end for first, end in self.ranges)


class Functions:
    """Every method may raise DwarfError."""

    def __init__(self, debug: Debuginfo) -> None:
        self.debug = debug
        self._files: dict[int, list[str]] = {}
        self._rows: dict[int, list[tuple[int, int, int, bool]]] = {}

    def named(self, pattern: str) -> tuple[Code, ...]:
        """The functions of a name or shell pattern that have code of their own."""
        return self._all(self.debug.index.functions, pattern, inline=False)

    def inline(self, pattern: str) -> tuple[Code, ...]:
        """The inline instances of the functions of a name or shell pattern."""
        return self._all(self.debug.index.inlined, pattern, inline=True)

    def at(self, names: Iterable[str], address: int) -> Code | None:
        """The function of one of these names whose first instruction is at an address."""
        for name in names:
            for code in self._all(self.debug.index.functions, name, inline=False, plain=True):
                if code.entry == address:
                    return code
        return None

    def names(self) -> list[str]:
        """The names of all functions with code."""
        return sorted(self.debug.index.functions)

    def file(self, code: Code) -> str:
        """The path of the source file that a function is declared in; "" if it is not known."""
        found = self.debug.attribute(self.debug.entry(code.offset), "DW_AT_decl_file")
        if found is None:
            return ""
        files = self._files_of(found[0].cu)
        number = found[1].value
        return files[number] if number < len(files) else ""

    def declared_at(self, code: Code) -> int:
        """The line of its declaration; 0 if it is not known."""
        found = self.debug.value(self.debug.entry(code.offset), "DW_AT_decl_line")
        return found if isinstance(found, int) else 0

    def outer_name(self, code: Code) -> str:
        """The name of the function that an instance is inlined into; of other code its own."""
        die = self.debug.entry(code.offset)
        while die.tag == _INLINED or die.tag in _BLOCKS:
            die = die.get_parent()
        return self.debug.name(die)

    def lines(self, code: Code, file: str = "") -> dict[int, int]:
        """Line -> lowest address at which a statement of it begins, in the function's own file, or in the
        files of its unit that `file` matches."""
        die = self.debug.entry(code.offset)
        files = self._files_of(die.cu)
        wanted = file or self.file(code)
        numbers = {i for i, name in enumerate(files) if matches(name, wanted)}
        found: dict[int, int] = {}
        for address, number, line, is_statement in self._rows_of(die.cu):
            if line and is_statement and number in numbers and code.covers(address):
                found[line] = min(address, found.get(line, address))
        return dict(sorted(found.items()))

    def in_file(self, file: str) -> Iterator[Code]:
        """The functions with code in the units of a source file, or in those that include it."""
        units = list(self.debug.units())
        own = [u for u in units if matches(self.debug.name(u.get_top_DIE()), file)]
        for unit in own or units:
            if own or any(matches(name, file) for name in self._files_of(unit)):
                for die in self._subprograms(unit.get_top_DIE()):
                    code = self._code(die, self.debug.name(die), False)
                    if code is not None:
                        yield code

    def labels(self, code: Code) -> Iterator[tuple[str, int]]:
        """A function's labels, with the addresses of what follows them."""
        for die in self._inside(self.debug.entry(code.offset), _BLOCKS):
            address = die.attributes.get("DW_AT_low_pc")
            if die.tag == "DW_TAG_label" and address is not None and address.value:
                yield self.debug.name(die), address.value

    def called(self, code: Code) -> set[str]:
        """The names of the functions that a function calls, as far as the compiler has noted its calls. Those
        of C++ are the linker's."""
        found = set()
        for die in self._inside(self.debug.entry(code.offset), (*_BLOCKS, _INLINED)):
            link = _CALLS.get(die.tag)
            if link is not None and link in die.attributes:
                target = die.get_DIE_from_attribute(link)
                linkage = self.debug.value(target, "DW_AT_linkage_name")
                name = linkage.decode(errors="replace") if linkage else self.debug.name(target)
                found.add(name)
        return found

    def _inside(self, die: Die, parts: Iterable[str]) -> Iterator[Die]:
        """All that is in a function and in its parts of these tags."""
        for child in die.iter_children():
            yield child
            if child.tag in parts:
                yield from self._inside(child, parts)

    def _subprograms(self, die: Die) -> Iterator[Die]:
        for child in die.iter_children():
            if child.tag == "DW_TAG_subprogram":
                yield child
            elif child.tag == "DW_TAG_namespace":
                yield from self._subprograms(child)

    def _all(
        self, table: Mapping[str, list[int]], pattern: str, *, inline: bool, plain: bool = False
    ) -> tuple[Code, ...]:
        exact = table.get(pattern)
        if exact is not None:
            chosen = [(pattern, offset) for offset in exact]
        elif plain:
            chosen = []
        else:
            regex = re.compile(function_regex(pattern))
            # several names of one entry: the first one stands for it
            wanted = {
                offset: name
                for name in sorted(table, reverse=True)
                if regex.fullmatch(name)
                for offset in table[name]
            }
            chosen = sorted((name, offset) for offset, name in wanted.items())
        found = (self._code(self.debug.entry(offset), name, inline) for name, offset in chosen)
        return tuple(code for code in found if code is not None)

    def _code(self, die: Die, name: str, inline: bool) -> Code | None:
        ranges = tuple(r for r in self.debug.ranges(die) if r[0] < r[1])
        if not ranges or not ranges[0][0]:
            return None  # the linker has dropped it
        entry = ranges[0][0]
        given = die.attributes.get("DW_AT_entry_pc")
        if given is not None:
            absolute = given.form in ("DW_FORM_addr", "DW_FORM_addrx")
            entry = given.value if absolute else entry + given.value
        elif "DW_AT_low_pc" in die.attributes and not inline:
            entry = die.attributes["DW_AT_low_pc"].value or entry
        return Code(name, self.debug.offset_of(die), entry, ranges, inline)

    def _files_of(self, unit: Any) -> list[str]:
        if unit.cu_offset not in self._files:
            self._files[unit.cu_offset] = self.debug.files(unit)
        return self._files[unit.cu_offset]

    def _rows_of(self, unit: Any) -> list[tuple[int, int, int, bool]]:
        if unit.cu_offset not in self._rows:
            self._rows[unit.cu_offset] = self.debug.rows(unit)
        return self._rows[unit.cu_offset]


def matches(path: str, wanted: str) -> bool:
    """True if a name means a source file: it is its last components, or a shell pattern of them."""
    return path == wanted or re.fullmatch(f"(.*/)?{glob_regex(wanted)}", path) is not None


def nearest_lines(known: Mapping[int, int], line: int) -> str:
    """The lines with code around one that has none, for a message."""
    if not known:
        return ""
    before = max((n for n in known if n < line), default=None)
    after = min((n for n in known if n > line), default=None)
    around = " and ".join(str(n) for n in (before, after) if n is not None)
    return f"there is code at line {around}"


def require(found: Mapping[int, int], line: int, name: str) -> int:
    """The address of a line. Raises DwarfError, which names its neighbours."""
    if line not in found:
        raise DwarfError(f"'{name}' has no code at line {line}", nearest_lines(found, line))
    return found[line]
