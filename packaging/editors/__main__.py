# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m editors FOLDER`: write the files of every editor there."""

from __future__ import annotations

import sys
from pathlib import Path

from editors import textmate, vim


def main(words: list[str]) -> int:
    if len(words) != 1:
        print("usage: python -m editors FOLDER", file=sys.stderr)
        return 2
    for editor, files in (("vim", vim.files()), ("textmate", textmate.files())):
        for name, text in files.items():
            path = Path(words[0]) / editor / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
