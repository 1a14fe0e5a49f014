# SPDX-License-Identifier: GPL-2.0-or-later
"""A small memory footprint for a long-running process: no huge pages, no OpenSSL.

avoid_huge_pages(); leave_out_openssl()  -> 33 MB instead of 38; call them before other imports
"""

from __future__ import annotations

import gc
import importlib
import sys
from types import ModuleType
from typing import Any

_PR_SET_THP_DISABLE = 41


def avoid_huge_pages() -> None:
    """Disable huge pages for this process and its children. Kernels without that option ignore it.

    If the kernel backs every heap with huge pages (`always`, Debian's default), a Python process holds
    megabytes that it does not need: 2 MiB at a time, for objects of some hundred bytes.
    """
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_THP_DISABLE, 1, 0, 0, 0)


def leave_out_openssl() -> None:
    """Keep asyncio, hashlib and prometheus_client from loading OpenSSL (6 MB), which only TLS uses here.

    hashlib has the same digests in Python's own code. A Python that was built without them is not changed.
    """
    if hash_without_openssl():
        sys.modules.setdefault("ssl", _NoTls("ssl"))


def bring_back_openssl() -> None:
    """Undo `leave_out_openssl`: the first TLS listener needs it, and so does asyncio then."""
    left_out = sys.modules.get("ssl")
    if not isinstance(left_out, _NoTls):
        return
    del sys.modules["ssl"]
    real = importlib.import_module("ssl")
    users = [m for m in list(sys.modules.values()) if getattr(m, "ssl", None) is left_out]
    for module in users:
        vars(module)["ssl"] = real
    protocol = sys.modules.get("asyncio.sslproto")
    if protocol is not None:
        importlib.reload(protocol)  # it has taken exceptions of the module's, too


def hash_without_openssl() -> bool:
    """Only for hashlib: loading OpenSSL takes longer than all hashing of a compile. False: not possible."""
    for name in ("_sha256", "_sha2"):  # before and since Python 3.12
        try:
            __import__(name)
        except ImportError:
            continue
        sys.modules.setdefault("_hashlib", None)  # type: ignore[arg-type]
        return True
    return False


def trim_heap() -> None:
    """Return memory that starting or reloading has freed to the system, if the C library can."""
    import ctypes

    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


class _NoTls(ModuleType):
    """A module in which every name is an exception class without any meaning."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        made = type(name, (Exception,), {})
        setattr(self, name, made)
        return made
