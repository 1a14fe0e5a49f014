# SPDX-License-Identifier: GPL-2.0-or-later
"""The error of this room: everything that can go wrong between C text and a module.

    raise BuildError("no-headers", "no kernel headers for 6.1.0-56", "apt install linux-headers-6.1.0-56")

A script can cause one only by embedded C: wrong generated C is an error of the compiler.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

Slug = Literal[
    "bad-module-name",
    "no-headers",
    "no-tool",
    "no-compiler",
    "compile-failed",
    "link-failed",
    "unknown-symbol",
    "build-timeout",
]


class BuildError(Exception):
    """`slug` names the kind; `hint` says what to do, or is empty.

    `output` is the text that the failing tool printed; `log` is the file that holds it, if it was stored.
    """

    def __init__(
        self,
        slug: Slug,
        message: str,
        hint: str = "",
        *,
        output: str = "",
        log: Path | None = None,
    ) -> None:
        text = f"{message}: {hint}" if hint else message
        super().__init__(f"{text} (see {log})" if log else text)
        self.slug: Slug = slug
        self.message = message
        self.hint = hint
        self.output = output
        self.log = log
