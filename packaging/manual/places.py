# SPDX-License-Identifier: GPL-2.0-or-later
"""The places in the hand-written texts, and what fills them.

filled("over {{default budgets.cpu}}") -> "over 5 %"
"""

from __future__ import annotations

import re
from collections.abc import Callable

from manual import commands, defaults, functions, macros, metrics, missing, points
from manual.scd import escape

_PLACE = re.compile(r"\{\{(\w+)((?: [\w.]+)*)\}\}\n?")

# Those that fill a line or more of their own.
_BLOCKS: dict[str, Callable[..., str]] = {
    "commands": commands.summaries,
    "exit_status": commands.exit_status,
    "functions": functions.render,
    "macros": macros.render,
    "missing_functions": missing.functions,
    "missing_options": missing.options,
    "needless_options": missing.needless,
    "missing_points": missing.points,
    "metrics": metrics.render,
    "losses": metrics.reasons,
    "forms": points.render_forms,
    "aliases": points.render_aliases,
    "system_calls": points.render_system_calls,
}
_WORDS: dict[str, Callable[..., str]] = {
    "default": defaults.default,
    "limit": defaults.limit,
}
PLACES = (*_BLOCKS, *_WORDS)


def filled(text: str) -> str:
    """KeyError for a place that nothing fills."""
    return _PLACE.sub(_fill, text)


def _fill(match: re.Match[str]) -> str:
    name, words = match[1], match[2].split()
    if name in _BLOCKS:
        return _BLOCKS[name](*words)
    end = "\n" if match[0].endswith("\n") else ""
    return escape(_WORDS[name](*words)) + end
