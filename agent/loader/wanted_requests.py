# SPDX-License-Identifier: GPL-2.0-or-later
"""The compile requests that the configuration asks for, as this process reads it.

    WantedRequests().includes(Request("vfs", source="/etc/stapwatch/probes.d/vfs.stp", ...))  -> True

A script becomes code in the kernel, so the agent's word is not enough: it must be in the files that only
root can write. They are read again when a request is not known.
"""

from __future__ import annotations

from pathlib import Path

from agent.config import drop_ins, load
from agent.config.settings import MAIN_FILE, StoreSettings
from agent.scripts import variants
from compiler.protocol import Request, encode
from compiler.support import derived_cache
from runtime.support.record import replace


class WantedRequests:
    """`config`: None for the default file."""

    def __init__(self, config: Path | None = None) -> None:
        self._config = config
        self._known: frozenset[bytes] = frozenset()
        self._stores = StoreSettings()
        self._seen: dict[str, str] = {}

    def includes(self, request: Request) -> bool:
        key = _key(request)
        if key not in self._known:
            self._known = self._read()
        return key in self._known

    def stores(self, request: Request) -> StoreSettings:
        """The stores that may serve a request: none, if the configuration does not ask for it. A key that was
        taken out of the files is not trusted from that moment on."""
        if self._files() != self._seen:
            self._known = self._read()
        return self._stores if self.includes(request) else StoreSettings()

    def _files(self) -> dict[str, str]:
        """The files of the configuration, with what tells that one has changed."""
        main = self._config or MAIN_FILE
        return derived_cache.signatures(map(str, (main, *drop_ins.files(main, []))))

    def _read(self) -> frozenset[bytes]:
        self._seen = self._files()
        try:
            settings = load.load(self._config)
        except load.ConfigError:
            return self._known  # of a wrong configuration nothing is in force
        self._stores = settings.stores
        refused = {part.script for part in settings.refused}
        scripts = [s for s in settings.scripts.values() if s.enabled and s.name not in refused]
        found = (c.request for script in scripts for c in variants.candidates(script, settings))
        return frozenset(map(_key, found))


def _key(request: Request) -> bytes:
    """What the module does. Where it is put, for which of the machine's kernels it is made, and whether an
    older one would do, is nothing that the configuration asks for."""
    plain = replace(request, output=None, cache=None, kernel=None, older=False, recompile=False)
    return encode(plain)
