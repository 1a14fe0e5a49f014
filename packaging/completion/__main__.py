# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m completion FOLDER`: write the completion of every shell there."""

from __future__ import annotations

import sys
from pathlib import Path

from completion.shells import files


def main(words: list[str]) -> int:
    if len(words) != 1:
        print("usage: python -m completion FOLDER", file=sys.stderr)
        return 2
    for name, text in files().items():
        path = Path(words[0]) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
