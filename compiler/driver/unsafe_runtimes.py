# SPDX-License-Identifier: GPL-2.0-or-later
"""Releases whose modules must not stay in a kernel, because a later release has found a fault in them.

    reason("0.4.1+1a2b3c4d5e6f")  -> "stapwatch 0.4.1 compiled it, and 0.4.0 to 0.4.2 may ...", or ""

Modules of all other releases run on, however old they are. The agent replaces an unsafe one at once, even
one that it has adopted, and the cache no longer serves it.
"""

from __future__ import annotations

from runtime.support.record import record


@record
class UnsafeRuntime:
    """The releases from `first` on and before `fixed`. `fault` ends the sentence "its runtime ..."."""

    first: str
    fixed: str
    fault: str


UNSAFE: tuple[UnsafeRuntime, ...] = ()


def reason(compiler: str, unsafe: tuple[UnsafeRuntime, ...] | None = None) -> str:
    """Why a module of this compiler (`Manifest.compiler`) must be replaced; "" if it need not be."""
    release = compiler.partition("+")[0]
    for row in UNSAFE if unsafe is None else unsafe:
        if _number(row.first) <= _number(release) < _number(row.fixed):
            return f"it was compiled by stapwatch {release}, whose runtime {row.fault} (fixed in {row.fixed})"
    return ""


def _number(release: str) -> tuple[int, ...]:
    """For comparison; a part that is no number counts as 0."""
    return tuple(int(part) if part.isdecimal() else 0 for part in release.split("."))
