# SPDX-License-Identifier: GPL-2.0-or-later
"""A kernel's build configuration, searched as text.

    config = Config(b'CONFIG_HZ=250\\nCONFIG_BPF=y\\n# CONFIG_KASAN is not set\\n', "/boot/config")
    config.get("CONFIG_HZ") -> "250"
    config.get("CONFIG_KASAN") -> None

Both .config and include/config/auto.conf are read; the latter leaves out what is off.
"""

from __future__ import annotations

import re
from typing import Final

from runtime.support.lazy_regex import pattern

_NAME: Final = pattern(r"CONFIG_\w+")


class Config:
    """One configuration; `source` names the file for messages."""

    def __init__(self, text: bytes, source: str) -> None:
        self.source: Final = source
        self._text = b"\n" + text + b"\n"

    def get(self, name: str) -> str | None:
        """An option's value without quotes: "y", "m", a number or a string. None if it is off."""
        if not _NAME.fullmatch(name):
            return None
        key = f"\n{name}=".encode()
        at = self._text.find(key)
        if at < 0:
            return None
        start = at + len(key)
        value = self._text[start : self._text.index(b"\n", start)].decode(errors="replace")
        if len(value) >= 2 and value[0] == value[-1] == '"':
            return re.sub(r"\\(.)", r"\1", value[1:-1])
        return value
