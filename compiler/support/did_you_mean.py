# SPDX-License-Identifier: GPL-2.0-or-later
"""Suggestions for misspelled names, for error messages.

    near("task_strcut", names) -> ["task_struct"]
    did_you_mean("task_strcut", names) -> "did you mean 'task_struct'?"

A kernel has over 50,000 function names, for which difflib alone takes seconds. So a comparison of pairs of
adjacent letters makes a short list first.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

_SHORTLIST = 60


def near(name: str, names: Iterable[str], limit: int = 3) -> list[str]:
    """Up to `limit` of `names` that `name` may be a misspelling of, the closest first."""
    pairs = set(pairwise(name))
    letters = sorted(name)
    slack = max(2, len(name) // 3)
    scored: dict[str, int] = {}
    for other in names:
        if other == name or abs(len(other) - len(name)) > slack or other in scored:
            continue
        common = len(pairs.intersection(pairwise(other)))
        if 2 * common >= len(pairs) - 1 or (len(name) == len(other) and sorted(other) == letters):
            scored[other] = 2 * common - len(other)
    # imported after an error only
    import difflib
    from heapq import nlargest

    shortlist = nlargest(_SHORTLIST, scored, key=scored.__getitem__)
    return difflib.get_close_matches(name, shortlist, n=limit, cutoff=0.7)


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """A hint with the closest names, or an empty string if no name is close."""
    found = [f"'{other}'" for other in near(name, names)]
    if not found:
        return ""
    return f"did you mean {' or '.join(found)}?"
