# SPDX-License-Identifier: GPL-2.0-or-later
"""Finds the files that are merged over the main one, in the order in which they are.

    files(Path("/etc/stapwatch/stapwatch.yaml"), diagnostics)
      -> [/usr/share/stapwatch/conf.d/tcp.yaml, /etc/stapwatch/conf.d/10-site.yaml]

Packages bring theirs in a folder of their own, which only the machine's configuration has: a package that is
removed leaves none behind, and an upgrade asks nothing. They come first, so each file of the machine can
change what they say. A file of the same name in /etc/stapwatch/conf.d replaces one as a whole.
"""

from __future__ import annotations

from pathlib import Path

from agent.config.settings import MAIN_FILE
from agent.config.yaml_tree import ConfigDiagnostic, Position

PACKAGED = Path("/usr/share/stapwatch/conf.d")


def files(
    main: Path, diagnostics: list[ConfigDiagnostic], packaged: Path | None = None
) -> list[Path]:
    """`packaged`: the packages' folder; None: the one of this machine, if `main` is its main file."""
    if packaged is None and main == MAIN_FILE:
        packaged = PACKAGED
    own = _in_folder(main.parent / "conf.d", diagnostics)
    names = {path.name for path in own}
    theirs = _in_folder(packaged, diagnostics) if packaged is not None else []
    return [*(path for path in theirs if path.name not in names), *own]


def _in_folder(folder: Path, diagnostics: list[ConfigDiagnostic]) -> list[Path]:
    try:
        return sorted((p for p in folder.iterdir() if _is_drop_in(p)), key=lambda p: p.name)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        why = f"cannot be read: {error.strerror}"
        diagnostics.append(ConfigDiagnostic(Position(str(folder)), why))
        return []


def _is_drop_in(path: Path) -> bool:
    return path.suffix == ".yaml" and not path.name.startswith(".")
