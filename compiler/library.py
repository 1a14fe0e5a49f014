# SPDX-License-Identifier: GPL-2.0-or-later
"""The tapset: library scripts and macros that every script may use, ours and the user's.

read(("/etc/stapwatch/tapset",)) -> {"tapset/task.stp": b"function pid ...", "tapset/json.stpm": ...}

What is on the search path is one library: `.stp` files give functions, aliases and globals, `.stpm`
files give macros.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.pattern import pattern

if TYPE_CHECKING:  # reading is quick, and often all that is wanted
    from compiler.conditions import Conditions
    from compiler.preprocessor import Macro
    from compiler.syntax import Script

TAPSET = Path(__file__).parent / "tapset"
OURS = "tapset/"  # begins the names of our own files
_SUFFIXES = (".stp", ".stpm")
_VERSION = pattern(r"[0-9]+\.[0-9]")
_WORD = pattern(rb"\w+")
# Every name that a file of ours declares: a declaration begins its line, and lists nothing but
# aliases, `probe a.b = c.d = ...`, which are found by their first two parts.
_DECLARED = pattern(rb"(?m)^(?:private )?(?:function|global|@define) (\w+)")
_ALIASES = pattern(rb"(?m)^probe ([^{(]*) \+?= ")
_ALIAS = pattern(rb"(\w+)(?:\.(\w+))?[\w.]*")
_REMARK = pattern(rb"(?m)^[ \t]*#.*$")
_WILD = pattern(rb"\bprobe\b[^{\"]*(?:[*\[]|\w\?|\?[\w.])")
# Subfolders for another runtime or another machine.
_ELSEWHERE = frozenset(
    {"bpf", "dyninst", "arm", "arm64", "i386", "ia64", "mips", "powerpc", "riscv", "s390"}
)


def read(folders: Iterable[str] = (), release: str = "") -> dict[str, bytes]:
    """Every library file: name for messages -> bytes. The user's folders come after ours; one that
    is not there is empty. `release`: the kernel's, for folders of scripts for one version."""
    found = {
        f"{OURS}{path.name}": path.read_bytes()
        for path in sorted(TAPSET.iterdir())
        if path.suffix in _SUFFIXES
    }
    for folder in map(Path, folders):
        for path in sorted(folder.rglob("*.stp*")):
            inner = path.relative_to(folder).parts[:-1]
            if path.suffix in _SUFFIXES and all(_is_for(part, release) for part in inner):
                found[str(path)] = path.read_bytes()
    return found


def _is_for(part: str, release: str) -> bool:
    """Whether a library's subfolder is for this kernel: `linux` and `6.1` are, `bpf` and `5.10` not."""
    if _VERSION.match(part):
        return release == part or release.startswith((part + ".", part + "-"))
    return part not in _ELSEWHERE


def needed(tapset: Mapping[str, bytes], texts: Iterable[bytes]) -> dict[str, bytes]:
    """The files that scripts with these texts may need: the user's, and those of ours that declare a
    name which occurs in a text or in another file that is needed. Parsing the rest would take longer
    than parsing the scripts does."""
    found = {name: text for name, text in tapset.items() if not name.startswith(OURS)}
    rest = {name: text for name, text in tapset.items() if name not in found}
    declared = {name: _declared(text) for name, text in rest.items()}
    fresh = [*texts, *found.values()]
    wild = any(_WILD.search(text) for text in fresh)
    words: set[bytes] = set()
    while fresh and rest:
        words.update(*(_WORD.findall(text) for text in fresh))
        more = [name for name in rest if _is_named(declared[name], words, wild)]
        fresh = [_REMARK.sub(b"", rest[name]) for name in more]
        found.update((name, rest.pop(name)) for name in more)
    return {name: text for name, text in tapset.items() if name in found}


def _declared(text: bytes) -> tuple[frozenset[bytes], frozenset[tuple[bytes, bytes]]]:
    """Names, and what aliases begin with: (b"syscall", b"close")."""
    aliases = (_ALIAS.findall(names) for names in _ALIASES.findall(text))
    return frozenset(_DECLARED.findall(text)), frozenset(a for names in aliases for a in names)


def _is_named(
    declared: tuple[frozenset[bytes], frozenset[tuple[bytes, bytes]]], words: set[bytes], wild: bool
) -> bool:
    """`wild`: a probe point has a pattern, so that parts of names need not occur."""
    names, aliases = declared
    if not words.isdisjoint(names):
        return True
    return any((wild or a in words) and (wild or not b or b in words) for a, b in aliases)


def macros(tapset: Mapping[str, bytes], conditions: Conditions) -> dict[str, Macro]:
    """The public macros; one of the user's hides ours of that name. Raises CompileError, also for a
    macro that two of the user's files define."""
    from compiler.diagnostics import CompileError, Diagnostic, Label
    from compiler.parser import parse_macros

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
    name: str, text: bytes, conditions: Conditions, public: Mapping[str, Macro]
) -> Script:
    """One of its files. Raises CompileError."""
    from compiler.parser import parse

    return parse(text, name, conditions=conditions, library_macros=public, privileged=True)
