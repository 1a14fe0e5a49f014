# SPDX-License-Identifier: GPL-2.0-or-later
"""The tapset: library scripts and macros that every script may use, ours and the user's.

read(("/etc/stapwatch/tapset",)) -> {"tapset/functions/task.stp": b"function pid ...", ...}

What is on the search path is one library: `.stp` files give functions, aliases and globals, `.stpm`
files give macros.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from compiler.support import derived_cache
from compiler.support.content_store import digest_of
from runtime.support.lazy_regex import pattern
from runtime.support.record import record

if TYPE_CHECKING:  # reading is quick, and often all that is wanted
    from compiler.frontend.preprocessor import Macro
    from compiler.frontend.preprocessor_conditions import Conditions
    from compiler.ir.syntax import Script

TAPSET = Path(__file__).parents[1] / "tapset"
OURS = "tapset/"  # begins the names of our own files
_SUFFIXES = (".stp", ".stpm")
_VERSION = pattern(r"[0-9]+\.[0-9]")
_WORD = pattern(rb"[A-Za-z_]\w*")
_CALLED = pattern(rb"\b([A-Za-z_]\w*+)\s*+\(")
_DECLARED = pattern(rb"(?m)^(?:private )?(function|global|@define) (\w+)")
_ALIASES = pattern(rb"(?m)^probe ([^{(]*) \+?= ")
_ALIAS = pattern(rb"(\w+)(?:\.(\w+))?[\w.]*")
# embedded C, comments, strings
_NO_NAMES = pattern(rb"(?s)%\{.*?%\}|/\*.*?\*/|(?:#|//)[^\n]*|\"(?:[^\"\\]|\\.)*\"")
# a probe point whose first part has a wildcard, or what looks like one
_WILD_FIRST = pattern(rb"\bprobe\b[^{\"]*[*?][\w*?]*\s*\.\s*[A-Za-z_{]")
# Subfolders for another runtime or another machine.
_ELSEWHERE = frozenset(
    {"bpf", "dyninst", "arm", "arm64", "i386", "ia64", "mips", "powerpc", "riscv", "s390"}
)

_ARGUMENT = pattern(rb"[$@][0-9#]")
_DIGITS = 64  # of a digest


class Tapset(Mapping[str, bytes]):
    """Every library file: name for messages -> contents, of ours read when first asked for."""

    def __init__(
        self, users: Mapping[str, bytes], ours: Mapping[str, Path], index: Index | bytes
    ) -> None:
        """`index`: packed, as it is kept, for whoever looks at its digest only."""
        self.users, self._ours, self._index = users, ours, index
        self._read: dict[str, bytes] = {}

    @property
    def index(self) -> Index:
        if isinstance(self._index, bytes):
            self._index = Index.unpacked(self._index)
        return self._index

    @property
    def digest(self) -> str:
        """Of our files."""
        known = self._index
        return known[:_DIGITS].decode() if isinstance(known, bytes) else known.digest

    def __getitem__(self, name: str) -> bytes:
        if name not in self._ours:
            return self.users[name]
        if name not in self._read:
            self._read[name] = self._ours[name].read_bytes()
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        yield from self._ours
        yield from self.users

    def __len__(self) -> int:
        return len(self._ours) + len(self.users)


@record
class Index:
    """Of our files: what each declares, as (name, "("), of an alias (`syscall`, `open`), of what is
    no function (name, ""); the others that it needs; and a digest of all."""

    declared: Mapping[str, Sequence[Sequence[str]]]
    needs: Mapping[str, Sequence[str]]
    digest: str

    @classmethod
    def of(cls, files: Mapping[str, bytes]) -> Index:
        names = {name: declared(text) for name, text in files.items()}
        needs = {}
        for name, text in files.items():
            use = _Use(_NO_NAMES.sub(b" ", text))
            needs[name] = [n for n, each in names.items() if n != name and use.has_any(each)]
        return cls(names, needs, digest_of(sorted(files.items())))

    def packed(self) -> bytes:
        return self.digest.encode() + json.dumps([self.declared, self.needs]).encode()

    @classmethod
    def unpacked(cls, data: bytes) -> Index:
        names, needs = json.loads(data[_DIGITS:])
        return cls(names, needs, data[:_DIGITS].decode())


def declared(text: bytes) -> list[tuple[str, str]]:
    """What a file of ours declares. A declaration begins its line, and is of one name or of several
    aliases, `probe a.b = c.d = ...`."""
    found = {(name, b"(" if kind == b"function" else b"") for kind, name in _DECLARED.findall(text)}
    for names in _ALIASES.findall(text):
        found.update(_ALIAS.findall(names))
    return sorted((name.decode(), second.decode()) for name, second in found)


def read(folders: Iterable[str] = (), release: str = "", keep: Path | None = None) -> Tapset:
    """The user's folders come after ours; one that is not there is empty. `release`: the kernel's,
    for folders of scripts for one version. `keep`: where the index of ours is kept."""
    ours = _ours()
    users = {}
    for folder in map(Path, folders):
        for path in sorted(folder.rglob("*.stp*")):
            inner = path.relative_to(folder).parts[:-1]
            if path.suffix in _SUFFIXES and all(_is_for(part, release) for part in inner):
                users[str(path)] = path.read_bytes()
    return Tapset(users, ours, _index(ours, keep))


def _ours() -> dict[str, Path]:
    found = sorted(path for path in TAPSET.glob("*/*.stp*") if path.suffix in _SUFFIXES)
    return {f"{OURS}{path.relative_to(TAPSET)}": path for path in found}


@functools.cache
def _our_index() -> Index:
    return Index.of({name: path.read_bytes() for name, path in _ours().items()})


def _index(ours: Mapping[str, Path], keep: Path | None) -> Index | bytes:
    if keep is None:
        return _our_index()
    paths = [Path(__file__), *ours.values()]
    return derived_cache.derived(keep, "tapset", paths, lambda: _our_index().packed())


def _is_for(part: str, release: str) -> bool:
    """Whether a library's subfolder is for this kernel: `linux` and `6.1` are, `bpf` and `5.10` not."""
    if _VERSION.match(part):
        return release == part or release.startswith((part + ".", part + "-"))
    return part not in _ELSEWHERE


def needed(tapset: Tapset, texts: Iterable[bytes]) -> dict[str, bytes]:
    """The files that scripts with these texts may need: the user's, those of ours that declare a
    name which occurs in one of all these, and what they need. Parsing the rest would take longer
    than parsing the scripts does."""
    from compiler.ir.program import PROBED_FUNCTION
    from compiler.probes import NEEDED

    index = tapset.index
    text = b"\n".join([*texts, *tapset.users.values()])
    unwritten = [PROBED_FUNCTION]
    for family, functions in NEEDED.items():
        unwritten += functions if family.encode() in text else ()
    use = _Use(text + b"".join(b"\n%b()" % name.encode() for name in unwritten))
    fresh = [name for name, names in index.declared.items() if use.has_any(names)]
    found = set(tapset.users)
    while fresh:
        name = fresh.pop()
        if name not in found:
            found.add(name)
            fresh += index.needs[name]
    return {name: tapset[name] for name in tapset if name in found}


class _Use:
    """The names that a text may use."""

    def __init__(self, text: bytes) -> None:
        self._text = text
        self._words = {word.decode() for word in _WORD.findall(text)}
        self._called = {word.decode() for word in _CALLED.findall(text)}
        self._any = _WILD_FIRST.search(text) is not None
        self._wild: dict[str, bool] = {}

    def has_any(self, names: Iterable[Sequence[str]]) -> bool:
        return any(self._has(*each) for each in names)

    def _has(self, name: str, second: str) -> bool:
        if second == "(":
            return name in self._called
        if second and self._any:
            return True
        if name not in self._words:
            return False
        return not second or second in self._words or self._is_wild(name)

    def _is_wild(self, name: str) -> bool:
        """Whether `name.` is followed by a wildcard somewhere."""
        known = self._wild.get(name)
        if known is None:
            pattern = rb"\b%b\s*\.\s*(?:\{[^}]*|[\w.]*)[*?\[]" % name.encode()
            known = self._wild[name] = re.search(pattern, self._text) is not None
        return known


def macros(tapset: Mapping[str, bytes], conditions: Conditions) -> dict[str, Macro]:
    """The public macros; one of the user's hides ours of that name. Raises CompileError, also for a
    macro that two of the user's files define."""
    from compiler.frontend.parser import parse_macros
    from compiler.ir.diagnostics import CompileError, Diagnostic, Label

    known: dict[str, Macro] = {}
    for name, text in tapset.items():
        if not name.endswith(".stpm"):
            continue
        for macro in parse_macros(text, name, conditions=conditions, library_macros=known).values():
            first = known.get(macro.name)
            if first is not None and not first.span.source.name.startswith(OURS):
                raise CompileError(
                    [
                        Diagnostic(
                            "duplicate-macro",
                            f"macro '@{macro.name}' is defined twice in the library",
                            macro.span,
                            labels=(Label(first.span, "first defined here"),),
                            hint="remove one of them, or rename it",
                        )
                    ]
                )
            known[macro.name] = macro
    return known


def parse_all(
    tapset: Mapping[str, bytes],
    conditions: Conditions,
    public: Mapping[str, Macro] | None = None,
) -> list[Script]:
    """Parse the library's scripts; embedded C is allowed there. `public`: its macros, where they are
    known already. Raises CompileError."""
    if public is None:
        public = macros(tapset, conditions)
    return [
        parse_script(name, text, conditions, public)
        for name, text in tapset.items()
        if name.endswith(".stp")
    ]


def parse_script(
    name: str,
    text: bytes,
    conditions: Conditions,
    public: Mapping[str, Macro],
    args: Sequence[str] = (),
) -> Script:
    """One of its files. `args`: the script's. Raises CompileError."""
    from compiler.frontend.parser import parse

    return parse(
        text, name, conditions=conditions, args=args, library_macros=public, privileged=True
    )


def asks_for_arguments(text: bytes) -> bool:
    """Whether what a file means may depend on the script's arguments."""
    return _ARGUMENT.search(text) is not None
