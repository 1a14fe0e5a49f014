# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m completion FOLDER`: write the completion of every shell there."""

from __future__ import annotations

import sys
from pathlib import Path

import shtab

from completion.shells import files

# Debian's oldest, 1.5.5, offers no subcommands in bash.
_OLDEST = (1, 7)


def main(words: list[str]) -> int:
    if len(words) != 1:
        print("usage: python -m completion FOLDER", file=sys.stderr)
        return 2
    release = tuple(int(part) for part in shtab.__version__.split(".")[:2])
    if release < _OLDEST:
        least = ".".join(map(str, _OLDEST))
        print(f"error: shtab {shtab.__version__} is too old: it takes {least}", file=sys.stderr)
        return 1
    for name, text in files().items():
        path = Path(words[0]) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
