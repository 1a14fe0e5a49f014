# SPDX-License-Identifier: GPL-2.0-or-later
"""Regular expressions that are compiled when they are first used.

    from runtime.support.lazy_regex import pattern

    _NAME = pattern(r"[a-z]\\w*")  # as re.compile(), at none of its cost
    _NAME.fullmatch("x1")

A process that compiles one script would else compile forty expressions to use ten of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from re import compile as pattern
else:

    class pattern:
        """What a compiled expression has, it gets when asked for the first of it."""

        def __init__(self, text: str | bytes, flags: int = 0) -> None:
            self._text, self._flags = text, flags

        def __getattr__(self, name: str) -> Any:
            import re

            made = re.compile(self._text, self._flags)
            for method in ("match", "fullmatch", "search", "finditer", "findall", "sub", "split"):
                setattr(self, method, getattr(made, method))
            return getattr(made, name)


__all__ = ["pattern"]
