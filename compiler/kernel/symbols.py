# SPDX-License-Identifier: GPL-2.0-or-later
"""Names and addresses in the kernel, from the text of kallsyms, which is searched and never indexed.

    symbols = Symbols.read(Path("/proc/kallsyms"))
    symbols.find("vfs_read")         -> (Symbol('vfs_read', 0xffffffff8131f0a0, 'T', ''),)
    symbols.functions("vfs_rea*")    -> [Symbol('vfs_read', ...), Symbol('vfs_readv', ...)]
    symbols.find("xfs_file_open")    -> (Symbol(..., module='xfs'),)

Sources: /proc/kallsyms, a copy of it, or a System.map. tracefs lists the functions that ftrace can hook
(available_filter_functions), debugfs those that kprobes refuse (kprobes/blacklist). If one of these files is
missing, its set is None, not empty.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from compiler.kernel.errors import AddressesHidden, NoSuchSymbol, NoSymbols
from compiler.support import given_files
from compiler.support.did_you_mean import did_you_mean
from compiler.support.globs import glob_regex
from runtime.support.lazy_regex import pattern
from runtime.support.record import record

KALLSYMS: Final = Path("/proc/kallsyms")
TRACEFS: Final = (Path("/sys/kernel/tracing"), Path("/sys/kernel/debug/tracing"))
KPROBE_BLACKLIST: Final = Path("/sys/kernel/debug/kprobes/blacklist")

_FUNCTION_KINDS: Final = frozenset("tTwW")
_FEWEST: Final = 100  # lines of the smallest believable table; packages ship one-line placeholders
_LINE: Final = rb"^([0-9a-f]+) (%b) (%b)(?:[ \t]+\[([^\]\n]+)\])?$"


@record
class Symbol:
    """`kind` is nm's letter (a capital is global); `module` is '' for the kernel proper."""

    name: str
    address: int
    kind: str
    module: str

    @property
    def is_function(self) -> bool:
        return self.kind in _FUNCTION_KINDS


class Symbols:
    """A symbol table. The first look-up of a name scans the table (3 ms for 10 MB); results are cached."""

    def __init__(self, data: bytes, source: str) -> None:
        """`data` has lines `address kind name [module]`. Raises NoSymbols."""
        if data.count(b"\n", 0, 64 * _FEWEST) < _FEWEST:
            raise NoSymbols(
                f"{source} holds no symbols",
                "distributions ship a placeholder for System.map; copy the target's /proc/kallsyms",
            )
        self.source: Final = source
        self._data = data if data.endswith(b"\n") else data + b"\n"
        self._found: dict[str, tuple[Symbol, ...]] = {}

    @classmethod
    def read(cls, path: Path = KALLSYMS) -> Symbols:
        """Read a table. Raises NoSymbols."""
        try:
            return cls(given_files.read(path), str(path))
        except OSError as error:
            raise NoSymbols(f"cannot read symbols from {path}: {error.strerror}") from error

    @property
    def has_addresses(self) -> bool:
        """False if the kernel shows zeros, as it does to unprivileged readers."""
        return any(int(line.split()[0], 16) for line in self._sample())

    def find(self, name: str) -> tuple[Symbol, ...]:
        """Every symbol of a name; static functions may share one. May be empty."""
        known = self._found.get(name)
        if known is None:
            known = self._found[name] = tuple(self._lines(name))
        return known

    def function(self, name: str) -> Symbol:
        """The first function of a name. Raises NoSuchSymbol with near misses."""
        for symbol in self.find(name):
            if symbol.is_function:
                return symbol
        raise NoSuchSymbol(
            f"no function '{name}' in {self.source}", did_you_mean(name, self.function_names())
        )

    def address(self, name: str) -> int:
        """The address of the first symbol of a name. Raises NoSuchSymbol, or AddressesHidden if all are 0."""
        found = self.find(name)
        if not found:
            raise NoSuchSymbol(
                f"no symbol '{name}' in {self.source}", did_you_mean(name, self.names())
            )
        if found[0].address == 0 and not self.has_addresses:
            raise AddressesHidden(
                f"{self.source} hides the kernel's addresses",
                "read it as root, with kernel.kptr_restrict at 0 or 1",
            )
        return found[0].address

    def functions(self, pattern: str, module: str | None = None) -> list[Symbol]:
        """Functions whose name matches a shell pattern, in the table's order.

        `module` selects the functions of one module; '' those of the kernel proper; None all.
        """
        found = (s for s in map(_symbol, self._scan(pattern)))
        return [s for s in found if module is None or s.module == module]

    def modules(self) -> set[str]:
        """The modules that the table has symbols of."""
        return {m[1].decode() for m in re.finditer(rb"\t\[([^\]\n]+)\]$", self._data, re.M)}

    def names(self) -> Iterator[str]:
        """Every name, repeats included."""
        for match in re.finditer(rb"^\S+ \S (\S+)", self._data, re.M):
            yield match[1].decode()

    def function_names(self) -> Iterator[str]:
        for match in re.finditer(rb"^\S+ [tTwW] (\S+)", self._data, re.M):
            yield match[1].decode()

    def _lines(self, name: str) -> Iterator[Symbol]:
        """Lines of exactly one name, by memory search."""
        needle = f" {name}".encode()
        data = self._data
        at = data.find(needle)
        while at >= 0:
            end = at + len(needle)
            if data[end : end + 1] in (b"\n", b"\t", b" "):
                start = data.rfind(b"\n", 0, at) + 1
                match = _SYMBOL.match(data[start : data.index(b"\n", end)])
                if match and match[3] == needle[1:]:
                    yield _symbol(match)
            at = data.find(needle, end)

    def _scan(self, pattern: str) -> Iterator[re.Match[bytes]]:
        line = _LINE % (b"[tTwW]", glob_regex(pattern).encode())
        return re.finditer(line, self._data, re.M)

    def _sample(self) -> list[bytes]:
        """Lines from the middle: the first symbols of some kernels lie at 0 in per-CPU space."""
        middle = len(self._data) // 2
        return self._data[middle : middle + 8192].split(b"\n")[1:-1]


@record
class Hookable:
    """The functions that the running kernel lets tracers hook; None if the kernel does not list them.

    `traced`: functions that ftrace can hook; `refused`: functions that kprobes refuse.
    """

    traced: frozenset[str] | None
    refused: frozenset[str] | None

    @classmethod
    def read(
        cls, tracefs: tuple[Path, ...] = TRACEFS, blacklist: Path = KPROBE_BLACKLIST
    ) -> Hookable:
        """Source: tracefs' available_filter_functions and debugfs' kprobes/blacklist."""
        traced = None
        for mount in tracefs:
            text = _optional(mount / "available_filter_functions")
            if text is not None:
                traced = frozenset(line.split()[0].decode() for line in text.splitlines() if line)
                break
        text = _optional(blacklist)
        refused = None
        if text is not None:
            rows = (line.split() for line in text.splitlines())
            refused = frozenset(row[1].decode() for row in rows if len(row) > 1)
        return cls(traced, refused)


_SYMBOL: Final = pattern(_LINE % (rb"\S", rb"\S+"))


def _symbol(match: re.Match[bytes]) -> Symbol:
    address, kind, name, module = match.groups(b"")
    return Symbol(name.decode(), int(address, 16), kind.decode(), module.decode())


def _optional(path: Path) -> bytes | None:
    try:
        return given_files.read(path)
    except OSError:
        return None
