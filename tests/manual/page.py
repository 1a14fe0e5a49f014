# SPDX-License-Identifier: GPL-2.0-or-later
"""Parts of a manual page in scdoc's format, for tests that compare it with the code.

Page("# OPTIONS\\n\\n*\\\\-p* _N_\\n\\tEnd.\\n").terms("OPTIONS") -> ["-p N"]
"""

from __future__ import annotations

import re
from functools import cache

from manual import pages as pages_module

# an underscore inside of a word is none
_MARK = re.compile(r"(?<!\\)(?:\*|(?<!\w)_|_(?!\w))")
_ESCAPED = re.compile(r"\\(.)")


class Page:
    def __init__(self, source: str) -> None:
        self.source = source
        parts = re.split(r"^# (.+)\n", source, flags=re.MULTILINE)
        self.sections = dict(zip(map(plain, parts[1::2]), parts[2::2], strict=True))

    def terms(self, *sections: str) -> list[str]:
        """The terms of the definitions in these sections, of all if none is given, as a reader sees them."""
        found = []
        for name in sections or self.sections:
            blocks = re.findall(r"((?:^\S.*\n)+)\t", self.sections[name], re.MULTILINE)
            found += [term for block in blocks for term in plain(block).splitlines()]
        return found

    def literals(self) -> list[str]:
        """What stands between ```, as a reader sees it."""
        found = re.findall(r"^```\n(.*?)^```$", self.source, re.MULTILINE | re.DOTALL)
        return [text.replace("\\\\", "\\") for text in found]

    @property
    def text(self) -> str:
        """All of it without marks."""
        return plain(self.source)


def plain(text: str) -> str:
    """Without scdoc's marks: `*\\\\-p* _N_` is "-p N"."""
    return _ESCAPED.sub(r"\1", _MARK.sub("", text)).replace("++\n", "\n")


@cache
def sources() -> dict[str, str]:
    return pages_module.sources()


@cache
def pages() -> dict[str, Page]:
    return {name: Page(source) for name, source in sources().items()}


def page(name: str) -> Page:
    return pages()[name]
