# SPDX-License-Identifier: GPL-2.0-or-later
"""Case files: a script next to the file of its expected result, with options in its first lines.

    FOLDER/item/name.stp      // args: 3 "two words"
                              // guru
                              probe begin { exit() }

A suite defines the expected result of a case; `main` is its command line, which rewrites the expected files.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar


@dataclass(frozen=True, slots=True)
class CaseFile:
    """One script. `folder` is the suite's, which the case's name is relative to."""

    folder: Path
    path: Path
    text: bytes

    @property
    def name(self) -> str:
        """Its path without suffix, e.g. statements/foreach."""
        return self.path.relative_to(self.folder).with_suffix("").as_posix()

    @property
    def item(self) -> str:
        return self.path.parent.name

    def option(self, name: str) -> str | None:
        """The text after `// name` or `// name:` in the first lines of the case; None without it."""
        for line in self.text.decode("utf-8", "replace").splitlines():
            if not line.startswith("// "):
                break
            word, _, rest = line[3:].partition(" ")
            if word.rstrip(":") == name:
                return rest.strip()
        return None

    def words(self, name: str) -> list[str]:
        """An option's words, as a shell splits them."""
        return shlex.split(self.option(name) or "")

    def pairs(self, name: str) -> dict[str, str]:
        """An option's words NAME=VALUE."""
        return dict(word.split("=", 1) for word in self.words(name))


Case = TypeVar("Case", bound=CaseFile)


def read_cases(kind: type[Case], folder: Path) -> list[Case]:
    return [kind(folder, path, path.read_bytes()) for path in sorted(folder.glob("*/*.stp"))]


def main(
    module: str,
    cases: Sequence[Case],
    expectations: Callable[[Sequence[Case]], Iterable[tuple[Path, str]]],
) -> int:
    """`python -m MODULE --update [CASE ...]`: write the expected files of all cases, or of those named.

    `expectations`: yields each expected file of some cases with its contents. A case is named by any part
    of its name. Prints the files that changed; returns the exit status.
    """
    if sys.argv[1:2] != ["--update"]:
        print(f"usage: python -m {module} --update [CASE ...]", file=sys.stderr)
        return 2
    wanted = sys.argv[2:]
    chosen = [case for case in cases if not wanted or any(word in case.name for word in wanted)]
    changed = [path for path, text in expectations(chosen) if write_if_new(path, text)]
    for path in changed:
        print(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
    print(f"{len(changed)} files changed")
    return 0


def write_if_new(path: Path, text: str) -> bool:
    """Write a file. Returns whether it had another text, or did not exist."""
    data = text.encode("utf-8", "surrogateescape")
    if path.exists() and path.read_bytes() == data:
        return False
    path.write_bytes(data)
    return True
