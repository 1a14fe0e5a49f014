# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m manual FOLDER`: write every page there. Needs scdoc."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from manual.pages import write


def main(words: list[str]) -> int:
    if len(words) != 1:
        print("usage: python -m manual FOLDER", file=sys.stderr)
        return 2
    if shutil.which("scdoc") is None:
        print("error: scdoc is not installed: apt-get install scdoc", file=sys.stderr)
        return 1
    try:
        write(Path(words[0]))
    except RuntimeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
