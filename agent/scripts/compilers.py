# SPDX-License-Identifier: GPL-2.0-or-later
"""The compilers of this machine: the cache, and children of this process.

    here = Compilers()
    here.find(request)              -> Response(True, "sw_vfs_1a2b3c4d", ...), or None: it is not in the cache
    await here.start(settings)      -> a Worker

agent/scripts/loader_client.py asks the loader for the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from agent.config.settings import CompileSettings
from agent.scripts import module_lookup
from agent.scripts.compile_worker import COMMAND, AnyWorker, Worker
from compiler.protocol import Request, Response

if TYPE_CHECKING:
    from agent.store.stored_modules import StoredModules, Trust


class Compilers:
    """`command`: the compiler's command line. Only the usual compiler has a cache. `chroots`: children
    compile in other systems' root folders, and keep the privileges for that. `keeps`: descriptors that stay
    open in children. `stored`: modules that another
    machine has compiled, as far as `trust` goes."""

    def __init__(
        self,
        command: Sequence[str] = COMMAND,
        *,
        chroots: bool = False,
        keeps: Sequence[int] = (),
        stored: StoredModules | None = None,
        trust: Trust | None = None,
    ) -> None:
        self._command = tuple(command)
        self._chroots, self._keeps = chroots, keeps
        self._stored, self._trust = stored, trust
        self._has_cache = self._command == COMMAND

    async def start(self, settings: CompileSettings) -> AnyWorker:
        """Raises OSError."""
        return await Worker.start(
            self._command,
            settings.memory,
            settings.timeout,
            chroots=self._chroots,
            keeps=self._keeps,
        )

    def find(self, wanted: Request) -> Response | None:
        """The module from the cache, or from what was fetched of stores; else None. It blocks."""
        found = module_lookup.find(wanted) if self._has_cache else None
        if found is None and self._stored is not None and self._trust is not None:
            return self._stored.find(wanted, self._trust)
        return found

    def explained(self, wanted: Request, response: Response) -> Response:
        """A failure for lack of tools says why no store serves the script, too. It blocks."""
        if response.ok or self._stored is None or self._trust is None:
            return response
        from agent.store.stored_modules import with_absence

        stored, trust = self._stored, self._trust
        return with_absence(response, lambda: stored.absence(wanted, trust))

    def identity(self, wanted: Request) -> str:
        """The identity that the script's module has, whoever compiles it; "" if that is not known."""
        return module_lookup.identity(wanted) if self._has_cache else ""

    def drop(self, identity: str, cache_folder: Path) -> None:
        """Remove the module of this identity from the cache. It blocks."""
        if self._has_cache:
            module_lookup.drop(identity, cache_folder)

    def version(self, cache_folder: Path) -> str:
        """`Manifest.compiler` of modules that are compiled now; "" if that is not known. It blocks."""
        return module_lookup.version(cache_folder) if self._has_cache else ""
