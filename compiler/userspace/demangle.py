# SPDX-License-Identifier: GPL-2.0-or-later
"""Names of C++ and Rust functions as their source has them.

    demangled(["_ZN4shop4cart3addEiRNS_4baseE", "main"]) -> {"_ZN4shop...": "shop::cart::add"}

binutils' c++filt knows the schemes of both languages, and is there where modules are compiled. Without it the
names stay as they are. Parameters are left out, and so are Rust's hashes: a script names a function, and
overloaded ones are all meant. Names of C and Go need nothing.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from typing import Final

from runtime.support.lazy_regex import pattern

_MANGLED: Final = ("_Z", "_R")
# what compilers append to parts and copies of a function, which are other functions
_COPY: Final = pattern(r"(?:\.(?:cold|part|isra|constprop|lto_priv|llvm|localalias)[.\d]*)+$")
_HASHES: Final = re.compile(r"\[[0-9a-f]+\]|::h[0-9a-f]{16}$")
_PATIENCE: Final = 30  # s


def demangled(symbols: Iterable[str]) -> dict[str, str]:
    """The names of those symbols that have another one."""
    parts = {}
    for symbol in symbols:
        if symbol.startswith(_MANGLED):
            copy = _COPY.search(symbol)
            parts[symbol] = (symbol[: copy.start()], copy[0]) if copy else (symbol, "")
    if not parts:
        return {}
    try:
        done = subprocess.run(
            ["c++filt", "-p"],
            input="".join(f"{plain}\n" for plain, _ in parts.values()),
            capture_output=True, text=True, timeout=_PATIENCE, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return {}
    found = zip(parts.items(), done.stdout.split("\n"), strict=False)
    return {
        symbol: _HASHES.sub("", name) + copy
        for (symbol, (plain, copy)), name in found
        if name != plain
    }
