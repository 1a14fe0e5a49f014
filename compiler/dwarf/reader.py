# SPDX-License-Identifier: GPL-2.0-or-later
"""One file's DWARF: its entries (DIEs) by their offsets, its line tables, and the index of its names.

    debug = Debuginfo.open(elf, "/usr/bin/x", read, cache)
    debug.entry(debug.index.functions["main"][0])      -> pyelftools' DIE

pyelftools reads the entries; it is an optional dependency, and has no types for mypy: its objects are
`Any` here and nowhere else. Offsets of entries that dwz has moved to another file continue those of the
file itself (`Debuginfo.size`).
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import site
import struct
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Final, TypeAlias

from compiler.dwarf import debug_files
from compiler.dwarf.errors import DwarfError, NoLocation
from compiler.dwarf.index import Index, make_index
from compiler.dwarf.scan import Scanner
from compiler.support import derived_cache
from compiler.support.elf import Elf, ElfError

Die: TypeAlias = Any  # elftools.dwarf.die.DIE

_SCANNED: Final = (
    ".debug_info", ".debug_abbrev", ".debug_str", ".debug_line_str", ".debug_str_offsets",
)  # fmt: skip
_ORIGINS: Final = ("DW_AT_abstract_origin", "DW_AT_specification")
_RAISED: Final = (
    LookupError, ValueError, TypeError, AttributeError, AssertionError, NotImplementedError, OSError,
    RecursionError, OverflowError, struct.error,
)  # fmt: skip
_CHAIN: Final = 8  # the longest chain of entries that complete each other


class Debuginfo:
    """`path`: the file that has the DWARF; `own`: its contents, if they are not the file's (a module that is
    packed, or not linked). Every method may raise DwarfError."""

    def __init__(
        self,
        elf: Elf,
        path: Path,
        supplement: Path | None,
        cache: Path | None,
        own: Elf | None = None,
    ) -> None:
        self.elf, self.path, self._supplement, self._cache = elf, path, supplement, cache
        self._own = own

    @classmethod
    def open(
        cls, elf: Elf, path: str, read: debug_files.Read, cache: Path | None
    ) -> Debuginfo | None:
        """The DWARF of the program `path` with the ELF file `elf`; None if there is none. `read` finds files
        of the program's system; `cache`: a folder for the index. Raises DwarfError without pyelftools."""
        try:
            found = debug_files.find(elf, path, read)
            if found is None:
                return None
            own = debug_files.open_elf(found)
            moved = debug_files.supplement(own, found, read)
        except (ElfError, OSError) as error:
            raise DwarfError(
                f"the debug information of '{path}' cannot be read: {error}"
            ) from error
        require_pyelftools()
        return cls(elf, found, moved, cache)

    @cached_property
    def index(self) -> Index:
        """From the cache, or made by a pass over all entries."""
        cached_at = self._cached_at
        stored = derived_cache.load(cached_at) if cached_at is not None else None
        index = Index.loaded(stored) if stored is not None else None
        if index is None:
            other = self._dwarf.supplementary_dwarfinfo
            own = {name: self._section(self._dwarf, name) for name in _SCANNED}
            moved = {name: self._section(other, name) for name in _SCANNED}
            index = make_index(
                Scanner(own, moved[".debug_str"]),
                Scanner(moved, first=self.size) if other else None,
            )
            if cached_at is not None:
                derived_cache.store(cached_at, index.stored())
        return index

    @cached_property
    def identity(self) -> str:
        """A name for the file's contents: its build-id, else its path, size and time."""
        own = self._own or debug_files.open_elf(self.path)
        state = (
            debug_files.build_id(own) or repr(derived_cache.signatures([str(self.path)])).encode()
        )
        size = self.path.stat().st_size  # the parts of one program have one build-id
        return hashlib.sha256(state + size.to_bytes(8, "little")).hexdigest()[:40]

    @property
    def _cached_at(self) -> Path | None:
        return self._cache / f"{self.identity}.dwarf" if self._cache is not None else None

    @cached_property
    def size(self) -> int:
        """One more than the largest offset of an entry of the file itself."""
        return len(self._section(self._dwarf, ".debug_info"))

    @cached_property
    def end(self) -> int:
        """One more than the largest offset of all entries."""
        return self.size + len(self._section(self._dwarf.supplementary_dwarfinfo, ".debug_info"))

    def entry(self, offset: int) -> Die:
        """The entry at an offset."""
        if offset >= self.size:
            moved = self._dwarf.supplementary_dwarfinfo
            return moved.get_DIE_from_refaddr(offset - self.size)
        units = self.index.units
        unit = self._dwarf.get_CU_at(units[bisect_right(units, offset) - 1])
        return unit.get_DIE_from_refaddr(offset)

    def units(self) -> Iterator[Any]:
        """The units that have code: pyelftools' CompileUnits."""
        for offset in self.index.units:
            unit = self._dwarf.get_CU_at(offset)
            if "DW_AT_stmt_list" in unit.get_top_DIE().attributes:
                yield unit

    def offset_of(self, die: Die) -> int:
        """The number by which `entry` finds it."""
        moved = die.cu.dwarfinfo is not self._dwarf
        return int(die.offset) + (self.size if moved else 0)

    def attribute(self, die: Die, name: str) -> tuple[Die, Any] | None:
        """An attribute of an entry or of those that it completes, with the entry that has it."""
        for _ in range(_CHAIN):
            found = die.attributes.get(name)
            if found is not None:
                return die, found
            link = next((origin for origin in _ORIGINS if origin in die.attributes), None)
            if link is None:
                return None
            die = die.get_DIE_from_attribute(link)
        return None

    def value(self, die: Die, name: str) -> Any:
        """An attribute's value, or None."""
        found = self.attribute(die, name)
        return found[1].value if found is not None else None

    def name(self, die: Die) -> str:
        """An entry's own name; "" if it has none."""
        found = self.value(die, "DW_AT_name")
        return found.decode(errors="replace") if isinstance(found, bytes) else ""

    def type_of(self, die: Die) -> Die | None:
        """The entry of an entry's type; None: void."""
        found = self.attribute(die, "DW_AT_type")
        return found[0].get_DIE_from_attribute("DW_AT_type") if found is not None else None

    def ranges(self, die: Die) -> tuple[tuple[int, int], ...]:
        """The addresses of an entry's code, as linked: (first, one more than last), in the file's order."""
        low = die.attributes.get("DW_AT_low_pc")
        if "DW_AT_ranges" in die.attributes:
            return tuple(self._ranges(die))
        high = die.attributes.get("DW_AT_high_pc")
        if low is None:
            return ()
        if high is None:
            return ((low.value, low.value + 1),)
        absolute = high.form in ("DW_FORM_addr", "DW_FORM_addrx")
        return ((low.value, high.value if absolute else low.value + high.value),)

    def _ranges(self, die: Die) -> Iterator[tuple[int, int]]:
        lists = self._dwarf.range_lists()
        if lists is None:
            return
        offset = die.attributes["DW_AT_ranges"].value
        if die.cu["version"] >= 5:
            found = lists.get_range_list_at_offset(offset, die.cu)
        else:
            found = lists.get_range_list_at_offset(offset)
        base = self.base(die.cu)
        for row in found:
            if hasattr(row, "base_address"):
                base = row.base_address
            elif getattr(row, "is_absolute", False):
                yield row.begin_offset, row.end_offset
            else:
                yield base + row.begin_offset, base + row.end_offset

    def base(self, unit: Any) -> int:
        """The address that a unit's lists of ranges and locations begin with."""
        found = unit.get_top_DIE().attributes.get("DW_AT_low_pc")
        return int(found.value) if found is not None else 0

    def location(self, die: Die, name: str, address: int) -> tuple[bytes, bool] | None:
        """A location expression that holds at an address, and whether it holds everywhere; None: it has none
        here. Raises KeyError if there is no such attribute at all."""
        found = self.attribute(die, name)
        if found is None:
            raise KeyError(name)
        owner, attribute = found
        if attribute.form.startswith("DW_FORM_block") or attribute.form == "DW_FORM_exprloc":
            return bytes(attribute.value), True
        lists = self._dwarf.location_lists()
        rows = lists.get_location_list_at_offset(attribute.value, owner) if lists else ()
        base = self.base(owner.cu)
        for row in rows:
            if hasattr(row, "base_address"):
                base = row.base_address
            elif hasattr(row, "loc_expr") and hasattr(row, "begin_offset"):
                start = 0 if getattr(row, "is_absolute", False) else base
                if start + row.begin_offset <= address < start + row.end_offset:
                    return bytes(row.loc_expr), False
        return None

    def indexed_address(self, unit: Any, index: int) -> int:
        """An address of a unit's table in .debug_addr."""
        return int(self._dwarf.get_addr(unit, index))

    def files(self, unit: Any) -> list[str]:
        """A unit's source files: paths, by their numbers."""
        program = self._dwarf.line_program_for_CU(unit)
        if program is None:
            return []
        header = program.header
        first = 0 if header.version >= 5 else 1
        folders = [_text(folder) for folder in header.include_directory]
        if header.version < 5:
            folders.insert(0, "")
        files = [""] * first
        for entry in header.file_entry:
            folder = folders[entry.dir_index] if entry.dir_index < len(folders) else ""
            files.append(f"{folder}/{_text(entry.name)}" if folder else _text(entry.name))
        return files

    def rows(self, unit: Any) -> list[tuple[int, int, int, bool]]:
        """A unit's line table: rows of address, file, line and whether a statement begins. The row that ends
        a sequence has line 0."""
        program = self._dwarf.line_program_for_CU(unit)
        rows = []
        for row in program.get_entries() if program is not None else ():
            state = row.state
            if state is not None:
                line = 0 if state.end_sequence else state.line
                rows.append((state.address, state.file, line, state.is_stmt))
        return rows

    def _section(self, dwarf: Any, name: str) -> bytes:
        section = getattr(dwarf, f"{name[1:]}_sec", None) if dwarf is not None else None
        if section is None:
            return b""
        section.stream.seek(0)
        data: bytes = section.stream.read()
        return data

    @cached_property
    def _dwarf(self) -> Any:
        found = _dwarf_of(self.path, self._own)
        if self._supplement is not None:
            found.supplementary_dwarfinfo = _dwarf_of(self._supplement)
        elif self._needs_supplement:
            raise DwarfError(
                f"'{self.path}' needs the file that dwz has moved a part of its entries to",
                "install the debug package that has it below /usr/lib/debug/.dwz",
            )
        return found

    @property
    def _needs_supplement(self) -> bool:
        try:
            own = self._own or debug_files.open_elf(self.path)
            return own.find(".gnu_debugaltlink") is not None
        except (ElfError, OSError):
            return False


def require_pyelftools() -> None:
    """Compilers run without the folders of installed packages (-S), which take time to find."""
    if importlib.util.find_spec("elftools") is None:
        site.main()
        importlib.invalidate_caches()
    if importlib.util.find_spec("elftools") is None:
        raise DwarfError(
            "debug information is read by pyelftools, which is not installed",
            "apt install python3-pyelftools, or pip install pyelftools",
        )


@contextmanager
def damage_reported(path: Path | str) -> Iterator[None]:
    """Raise DwarfError for what pyelftools raises where the DWARF is damaged, or of a kind that it does not
    know."""
    try:
        yield
    except (DwarfError, NoLocation):
        raise
    except _RAISED as error:
        raise DwarfError(
            f"the debug information of '{path}' is damaged ({type(error).__name__})"
        ) from error
    except Exception as error:
        if not type(error).__module__.startswith("elftools."):
            raise
        raise DwarfError(f"the debug information of '{path}' is damaged: {error}") from error


def _dwarf_of(path: Path, own: Elf | None = None) -> Any:
    from elftools.elf.elffile import ELFFile

    with damage_reported(path):
        # read as it is needed: a kernel's file has a gigabyte
        stream = path.open("rb") if own is None else io.BytesIO(own.data)
        return ELFFile(stream).get_dwarf_info(False, follow_links=False)


def _text(name: Any) -> str:
    return name.decode(errors="replace") if isinstance(name, bytes) else str(name)
