# SPDX-License-Identifier: GPL-2.0-or-later
"""Small memory for a process that stays: no huge pages, no OpenSSL.

avoid_huge_pages(); leave_out_openssl()  -> 5 MB less, of 38; before anything else is imported
"""

from __future__ import annotations

import gc
import sys
from types import ModuleType
from typing import Any

_PR_SET_THP_DISABLE = 41


def avoid_huge_pages() -> None:
    """For this process and the compilers that it starts, from now on. A kernel that cannot leaves it so.

    Where the kernel backs every heap with huge pages (`always`, Debian's default), a Python process
    holds megabytes that it never asked for: 2 MiB at a time, for objects of some hundred bytes.
    """
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_THP_DISABLE, 1, 0, 0, 0)


def leave_out_openssl() -> None:
    """asyncio, hashlib and prometheus_client load OpenSSL, 6 MB, whether or not anything is encrypted.

    Here nothing is, and hashlib has the same digests in Python's own code. A Python built without that
    keeps what it has.
    """
    if hash_without_openssl():
        sys.modules.setdefault("ssl", _NoTls("ssl"))


def hash_without_openssl() -> bool:
    """Only the part of hashlib: loading OpenSSL takes longer than all that a compile hashes."""
    for name in ("_sha256", "_sha2"):  # before and since Python 3.12
        try:
            __import__(name)
        except ImportError:
            continue
        sys.modules.setdefault("_hashlib", None)  # type: ignore[arg-type]
        return True
    return False


def give_back() -> None:
    """What starting or reloading has left behind goes back to the system, where the C library can."""
    import ctypes

    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


class _NoTls(ModuleType):
    """Has every name that a library mentions, and nothing behind it."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        made = type(name, (Exception,), {})
        setattr(self, name, made)
        return made
