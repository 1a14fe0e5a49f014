# SPDX-License-Identifier: GPL-2.0-or-later
"""Small memory for a process that stays: no huge pages.

Where the kernel backs every heap with huge pages (`always`, Debian's default), a Python process holds
megabytes that it never asked for: 2 MiB at a time, for objects of some hundred bytes.
"""

from __future__ import annotations

import ctypes

_PR_SET_THP_DISABLE = 41


def avoid_huge_pages() -> None:
    """For this process and the compilers that it starts, from now on. A kernel that cannot leaves it so."""
    ctypes.CDLL(None).prctl(_PR_SET_THP_DISABLE, 1, 0, 0, 0)
