# SPDX-License-Identifier: GPL-2.0-or-later
"""The tapset: the library of scripts and macros, our own and the user's.

read(("/etc/stapwatch/tapset",)) -> {"tapset/functions/task.stp": b"function pid ...", ...}

All folders of the search path form one library: `.stp` files define functions, aliases and globals,
`.stpm` files define macros. An index of the names that our files declare selects the few files that
a script needs, because parsing all of them would take longer than parsing the script.
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
from runtime.support import bounded_file
from runtime.support.lazy_regex import pattern
from runtime.support.record import record

if TYPE_CHECKING:  # a cached module needs the files' digests only, and no parser
    from compiler.frontend.preprocessor import Macro
    from compiler.frontend.preprocessor_conditions import Conditions
    from compiler.ir.diagnostics import Diagnostic
    from compiler.ir.syntax import Script
    from compiler.kernel.kernel import Kernel

TAPSET = Path(__file__).parents[1] / "tapset"
OURS = "tapset/"  # the prefix of our own files' names
_SUFFIXES = (".stp", ".stpm")
_VERSION = pattern(r"[0-9]+\.[0-9]")
_WORD = pattern(rb"[A-Za-z_]\w*")
_CALLED = pattern(rb"\b([A-Za-z_]\w*)\s*\(")
_DECLARED = pattern(rb"(?m)^(?:private )?(function|global|@define) (\w+)")
_ALIASES = pattern(rb"(?m)^probe ([^{(]*) \+?= ")
_ALIAS = pattern(rb"(\w+)(?:\.(\w+))?[\w.]*")
# embedded C, comments, strings
_NO_NAMES = pattern(rb"(?s)%\{.*?%\}|/\*.*?\*/|(?:#|//)[^\n]*|\"(?:[^\"\\]|\\.)*\"")
# text that may be a probe point whose first component has a wildcard
_WILD_FIRST = pattern(rb"\bprobe\b[^{\"]*[*?][\w*?]*\s*\.\s*[A-Za-z_{]")
# Subfolders for another runtime or another architecture.
_ELSEWHERE = frozenset(
    {"bpf", "dyninst", "arm", "arm64", "i386", "ia64", "mips", "powerpc", "riscv", "s390"}
)

_ARGUMENT = pattern(rb"[$@][0-9#]")
_DIGITS = 64  # of a digest


class Tapset(Mapping[str, bytes]):
    """Every library file: name in messages -> contents. Our own files are read on first use."""

    def __init__(
        self, users: Mapping[str, bytes], ours: Mapping[str, str], index: Index | bytes
    ) -> None:
        """`index`: the cached bytes, unpacked only if more than the digest is needed."""
        self.users, self._ours, self._index = users, ours, index
        self._read: dict[str, bytes] = {}

    @property
    def index(self) -> Index:
        if isinstance(self._index, bytes):
            self._index = Index.unpacked(self._index)
        return self._index

    @property
    def digest(self) -> str:
        """The digest of our own files."""
        known = self._index
        return known[:_DIGITS].decode() if isinstance(known, bytes) else known.digest

    def __getitem__(self, name: str) -> bytes:
        if name not in self._ours:
            return self.users[name]
        if name not in self._read:
            self._read[name] = Path(self._ours[name]).read_bytes()
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        yield from self._ours
        yield from self.users

    def __len__(self) -> int:
        return len(self._ours) + len(self.users)


@record
class Index:
    """The names that our own files declare, and the files that they need.

    `declared`: for each file, (name, "(") for a function, (`syscall`, `open`) for an alias
    `syscall.open`, and (name, "") for anything else. `needs`: for each file, the other files it uses.
    `digest`: of all files' contents.
    """

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
    """The names that one of our own files declares. A declaration starts at the beginning of a line, and
    declares one name or several aliases, `probe a.b = c.d = ...`."""
    found = {(name, b"(" if kind == b"function" else b"") for kind, name in _DECLARED.findall(text)}
    for names in _ALIASES.findall(text):
        found.update(_ALIAS.findall(names))
    return sorted((name.decode(), second.decode()) for name, second in found)


def read(folders: Iterable[str] = (), release: str = "", cache_dir: Path | None = None) -> Tapset:
    """Our own library followed by the user's folders; a folder that does not exist counts as empty.

    `release`: the kernel's, which selects subfolders for one version. `cache_dir`: where the index of
    our own files is cached; None computes it.
    """
    ours = _ours()
    users = {}
    for folder in map(Path, folders):
        for path in sorted(folder.rglob("*.stp*")):
            inner = path.relative_to(folder).parts[:-1]
            if path.suffix in _SUFFIXES and all(_is_for(part, release) for part in inner):
                users[str(path)] = bounded_file.read(path)
    return Tapset(users, ours, _index(ours, cache_dir))


def _ours() -> dict[str, str]:
    folder = str(TAPSET)
    return {
        f"{OURS}{name}": f"{folder}/{name}" for name in derived_cache.files_below(folder, _SUFFIXES)
    }


@functools.cache
def _our_index() -> Index:
    return Index.of({name: Path(path).read_bytes() for name, path in _ours().items()})


def _index(ours: Mapping[str, str], cache_dir: Path | None) -> Index | bytes:
    if cache_dir is None:
        return _our_index()
    paths = [__file__, *ours.values()]
    return derived_cache.derived(cache_dir, "tapset", paths, lambda: _our_index().packed())


def _is_for(part: str, release: str) -> bool:
    """Whether a subfolder applies to this kernel: `linux` and `6.1` do, `bpf` and `5.10` do not."""
    if _VERSION.match(part):
        return release == part or release.startswith((part + ".", part + "-"))
    return part not in _ELSEWHERE


def needed(tapset: Tapset, texts: Iterable[bytes]) -> dict[str, bytes]:
    """The files that scripts with these texts may need: all of the user's, every file of ours that
    declares a name which occurs in the texts or in the user's files, and the files those need."""
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
    """The names that a text may refer to."""

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
        """Whether the text has `name.` followed by a wildcard."""
        known = self._wild.get(name)
        if known is None:
            pattern = rb"\b%b\s*\.\s*(?:\{[^}]*|[\w.]*)[*?\[]" % name.encode()
            known = self._wild[name] = re.search(pattern, self._text) is not None
        return known


def macros(tapset: Mapping[str, bytes], conditions: Conditions) -> dict[str, Macro]:
    """The public macros; the user's macros hide ours of the same name. Raises CompileError, also if
    two of the user's files define one macro."""
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
    """Parse the library's scripts, in which embedded C is allowed. `public`: the public macros; None
    reads them from `tapset`. Raises CompileError."""
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
    """Parse one library file. `args`: the user's script's arguments. Raises CompileError."""
    from compiler.frontend.parser import parse

    return parse(
        text, name, conditions=conditions, args=args, library_macros=public, privileged=True
    )


@record
class ParseContext:
    """Everything besides its text that the meaning of a library file depends on."""

    kernel: Kernel
    guru: bool
    compatible: str | None
    macro_files: tuple[tuple[str, bytes], ...] = ()


@functools.lru_cache(maxsize=16)
def public_macros(context: ParseContext) -> dict[str, Macro]:
    """The public macros of the context's files. Cached; raises CompileError."""
    return macros(dict(context.macro_files), conditions(context))


@functools.lru_cache(maxsize=512)
def library_script(context: ParseContext, name: str, text: bytes, args: tuple[str, ...]) -> Script:
    """One parsed library file. Cached; raises CompileError."""
    return parse_script(name, text, conditions(context), public_macros(context), args)


def conditions(context: ParseContext) -> Conditions:
    """The facts that the conditionals of a script or a library file can test."""
    from compiler.frontend.preprocessor_conditions import Conditions

    kernel, compatible = context.kernel, context.compatible
    return Conditions(
        kernel_vr=kernel.release,
        arch=kernel.arch.name,
        guru_mode=context.guru,
        config=_LazyConfig(kernel),
        **({"systemtap_v": compatible} if compatible else {}),
    )


class _LazyConfig(dict[str, str]):
    """The kernel's configuration, read when a condition first asks for it."""

    def __init__(self, kernel: Kernel) -> None:
        super().__init__()
        self._kernel = kernel

    def __missing__(self, name: str) -> str:
        raise KeyError(name)

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]
        found = self._kernel.config.get(name)
        return found if found is not None else default

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name) is not None


def missing_folders(folders: Iterable[str]) -> list[Diagnostic]:
    """A warning for each folder of -I that does not exist."""
    from compiler.ir.diagnostics import Diagnostic
    from compiler.ir.source import Source, Span, decode

    found = []
    for folder in folders:
        if not Path(folder).is_dir():
            text = decode(folder)
            span = Span(Source("<-I>", text), 0, len(text))
            message = f"there is no folder '{folder}'"
            found.append(Diagnostic("no-library", message, span, severity="warning"))
    return found


def asks_for_arguments(text: bytes) -> bool:
    """Whether the meaning of a file may depend on the script's arguments."""
    return _ARGUMENT.search(text) is not None
