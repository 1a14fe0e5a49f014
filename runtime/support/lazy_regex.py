# SPDX-License-Identifier: GPL-2.0-or-later
"""Regular expressions that are compiled at their first use.

    from runtime.support.lazy_regex import pattern

    _NAME = pattern(r"[a-z]\\w*")  # as re.compile(), but without its cost
    _NAME.fullmatch("x1")

Otherwise a process that compiles one script would compile forty expressions and use ten.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from re import compile as pattern
else:

    class pattern:
        """Compiles the expression at its first use, and copies the methods of the compiled one."""

        def __init__(self, text: str | bytes, flags: int = 0) -> None:
            self._text, self._flags = text, flags

        def __getattr__(self, name: str) -> Any:
            import re

            made = re.compile(self._text, self._flags)
            for method in ("match", "fullmatch", "search", "finditer", "findall", "sub", "split"):
                setattr(self, method, getattr(made, method))
            return getattr(made, name)


__all__ = ["pattern"]
