# SPDX-License-Identifier: GPL-2.0-or-later
"""A script's next step: keep its module, load another one, or report why there is none.

    preparations = Preparations(make_compiler)
    await preparations.prepare(script, Goal(wanted, settings), change)
      -> Prepared(fingerprint, keep=True)                 it runs as it is wanted
      -> Prepared(fingerprint, compiled=Compiled(...))    from the cache, or compiled
      -> Prepared(failure=CompileError(...))

All look-ups in the cache come before the first compile. A compile that an older change has started goes
on if the newer one wants the same, and ends if it wants another one or none.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterable, Mapping
from functools import partial
from time import monotonic
from typing import Any

from agent.config.settings import ScriptSettings, Settings
from agent.daemon import script_reports
from agent.daemon.changes import Change, LookUps, Shared, Superseded
from agent.log_sinks import log
from agent.scripts import adoption, variants
from agent.scripts.compile_client import Compiled, CompileError, Compiler
from agent.scripts.compile_worker import Progress
from agent.scripts.script import Script, ScriptState
from compiler.protocol import Request, encode
from runtime.support.record import record, replace


@record
class Goal:
    """What the configuration wants of a script. `recompile`: even if it is unchanged."""

    wanted: ScriptSettings
    settings: Settings
    recompile: bool = False


@record
class Prepared:
    """At most one of `compiled`, `keep` and `failure` is set."""

    fingerprint: str = ""
    compiled: Compiled | None = None
    keep: bool = False
    variant: str = ""  # of the module that is kept
    anew: bool = False  # replace even a module that does the same
    failure: CompileError | str = ""
    seconds: float = 0.0  # until the failure


class Preparations:
    """Prepares scripts side by side."""

    def __init__(self, make_compiler: Callable[[Settings], Compiler]) -> None:
        self._make_compiler = make_compiler
        self._compiler: tuple[tuple[object, ...], Compiler] | None = None
        self._compiles: Shared[Compiled] = Shared()
        self._look_ups = LookUps()

    async def prepare(self, script: Script, goal: Goal, change: Change) -> Prepared:
        """Read one script, and compile it unless it is running unchanged or cached."""
        compiler = self._compiler_for(goal.settings)
        fault = "" if script.module is None else adoption.fault(script.module)
        if fault:
            script_reports.unsafe(script.name, fault)
        anew = goal.recompile or bool(fault)
        way = _Way(self, compiler, goal.recompile, change)
        try:
            with way.looking_up:
                way.looking_up.enter_context(self._look_ups.one())
                read = partial(variants.read, goal.wanted, goal.settings, script.described)
                seen = await change.wait(asyncio.to_thread(read))
                if not anew:
                    variant = await change.wait(adoption.current(script, seen, compiler))
                    if variant is not None:
                        script.described = seen
                        return Prepared(seen.fingerprint, keep=True, variant=variant)
                if script.module is None:
                    script.enter(ScriptState.COMPILING)
                way.fingerprint = seen.fingerprint
                compiled = await variants.compile_first(
                    way, seen.candidates, lambda line: log().debug(line, script=script.name)
                )
        except OSError as error:
            return Prepared(failure=script_reports.unreadable(goal.wanted, error))
        except CompileError as error:
            return Prepared(failure=error, seconds=monotonic() - way.started)
        script.described = seen
        return Prepared(seen.fingerprint, compiled, anew=anew)

    async def is_there(self, wanted: ScriptSettings, settings: Settings) -> bool:
        """Whether a module of the script is cached, or was fetched of a store. Nothing is compiled."""
        compiler = self._compiler_for(settings)
        try:
            candidates = await asyncio.to_thread(variants.candidates, wanted, settings)
        except OSError:
            return False
        return any([await compiler.find(one.request) is not None for one in candidates])

    async def version(self, settings: Settings) -> str:
        """`Manifest.compiler` of modules that are compiled now; "" if that is not known."""
        return await self._compiler_for(settings).version(settings.cache_folder)

    def _compiler_for(self, settings: Settings) -> Compiler:
        """The same one for all reloads with the same settings, so that they share its limit of children."""
        kind = settings.compile, settings.stores
        if self._compiler is None or self._compiler[0] != kind:
            self._compiler = kind, self._make_compiler(settings)
        return self._compiler[1]


class _Way:
    """One change's way through the cache and the compiler, for each of a script's variants in turn.

    A compile of the same text and options is joined. An older change's other one ends.
    """

    def __init__(
        self, parent: Preparations, compiler: Compiler, recompile: bool, change: Change
    ) -> None:
        self._compiles, self._look_ups = parent._compiles, parent._look_ups
        self._compiler, self._recompile, self._change = compiler, recompile, change
        self.looking_up = contextlib.ExitStack()  # until the first look-up has ended
        self.fingerprint = ""  # of the script
        self.started = monotonic()

    async def find(self, wanted: Request) -> Compiled | None:
        return await self._change.wait(self._compiler.find(wanted))

    async def compile(self, wanted: Request, progress: Progress) -> Compiled:
        request, change = replace(wanted, recompile=self._recompile), self._change
        found = await change.wait(self._compiler.find(request))
        self.looking_up.close()
        if found is not None:
            return found
        await change.wait(self._look_ups.over())
        self.started = monotonic()
        if change.superseded:
            raise Superseded

        def build() -> Coroutine[Any, Any, Compiled]:
            return self._compiler.build(request, progress)

        compiling = self._compiles.join((self.fingerprint, encode(request)), build)
        change.take_over()
        return await change.wait(compiling)


def unchanged_scripts(
    scripts: Iterable[Script], wanted: Mapping[str, ScriptSettings], settings: Settings
) -> set[str]:
    """The scripts that run and are as they were. Their files are not read. It blocks."""
    return {
        script.name
        for script in scripts
        if script.name in wanted
        and (seen := script.described) is not None
        and script.runs(seen.fingerprint)
        and variants.is_as_before(wanted[script.name], settings, seen)
    }
