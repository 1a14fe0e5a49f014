# SPDX-License-Identifier: GPL-2.0-or-later
"""What can go wrong between C text and a module, as one exception.

    raise BuildError("no-headers", "no kernel headers for 6.1.0-56-amd64",
                     "apt install linux-headers-6.1.0-56-amd64")

A script's author never causes one, except with embedded C: wrong generated C is our mistake.
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
    "sign-failed",
    "build-timeout",
    "unsafe-cache",
]


class BuildError(Exception):
    """`slug` names the kind, `hint` says what to do (or is empty).

    `output` is what the failing tool printed; `log` the file that keeps it, once there is one.
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
