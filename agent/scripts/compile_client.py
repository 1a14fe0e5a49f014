# SPDX-License-Identifier: GPL-2.0-or-later
"""Compiling from the agent: the module cache first, else a compiler in a child process.

    await Compiler(settings).compile(request(script, settings)) -> Compiled(module="sw_vfs_1a2b3c4d", ...)

Children compile because the memory of the parser and of the type reader would stay in a long-lived
agent. A child that crashes, hangs or runs out of memory costs its own script one clear error.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from time import monotonic

from agent.config.metric_schema import statistic
from agent.config.settings import CompileSettings, ScriptSettings, Settings
from agent.scripts.compile_worker import COMMAND, Progress, Worker, WorkerError
from compiler.protocol import LAST_PASS, Diagnostic, Pass, Request, Response, encode
from runtime.support.record import record, replace


@record
class Compiled:
    """A script that compiled. `seconds`: how long it took, from the request to the response."""

    module: str
    path: Path
    identity: str
    cached: bool
    seconds: float
    passes: tuple[Pass, ...] = ()
    warnings: tuple[Diagnostic, ...] = ()
    output: str = ""  # the output of an earlier last pass


class CompileError(Exception):
    """The script does not compile. `diagnostics`: the reasons, at least one."""

    def __init__(
        self,
        diagnostics: Sequence[Diagnostic],
        warnings: Sequence[Diagnostic] = (),
        passes: Sequence[Pass] = (),
    ) -> None:
        super().__init__("\n".join(map(str, diagnostics)))
        self.diagnostics = tuple(diagnostics)
        self.warnings = tuple(warnings)
        self.passes = tuple(passes)

    @property
    def summary(self) -> str:
        more = f" (and {len(self.diagnostics) - 1} more)" if len(self.diagnostics) > 1 else ""
        return f"{self.diagnostics[0].summary}{more}"


def request(script: ScriptSettings, settings: Settings) -> Request:
    """The request for a script of the agent. OSError if its file cannot be read."""
    if script.file is not None:
        with script.file.open("rb"):
            pass  # one clear error here, instead of one from the child
    statistics = {
        variable: wanted
        for variable, metric in script.metrics.items()
        if (wanted := statistic(script.name, metric)) is not None
    }
    return Request(
        name=script.name,
        source=str(script.file) if script.file is not None else None,
        text=script.text,
        args=script.args,
        globals=script.globals,
        defines=script.defines,
        guru=script.guru,
        statistics=statistics,
        capacities=script.capacities,
        output=str(settings.work_folder / "modules"),
        cache=str(settings.cache_folder),
        library=tuple(map(str, settings.library)),
    )


def fingerprint(wanted: Request) -> str:
    """A digest of the script's text and of all options that its module depends on."""
    digest = hashlib.sha256(encode(replace(wanted, output=None, cache=None)))
    if wanted.source is not None:
        digest.update(b"\0" + Path(wanted.source).read_bytes())
    return digest.hexdigest()


class Compiler:
    """Runs compilers, at most `settings.jobs` at a time. `command`: the compiler's command line.

    A child is reused while requests wait; when none waits, no child is left.
    """

    def __init__(
        self, settings: CompileSettings | None = None, command: Sequence[str] = COMMAND
    ) -> None:
        self._settings = settings = settings or CompileSettings()
        self._command = tuple(command)
        self._places = asyncio.Semaphore(settings.jobs or len(os.sched_getaffinity(0)))
        self._waiting = 0
        self._idle: list[Worker] = []

    async def compile(self, wanted: Request, progress: Progress = lambda line: None) -> Compiled:
        """Compile one script. Raises CompileError for every kind of failure."""
        started = monotonic()
        if self._command == COMMAND and (found := await asyncio.to_thread(_look_up, wanted)):
            return _compiled(found, monotonic() - started)
        self._waiting += 1
        try:
            async with self._places:
                self._waiting -= 1
                try:
                    started = monotonic()
                    response = await self._answer(encode(wanted), progress)
                    return _compiled(response, monotonic() - started)
                finally:
                    self._waiting += 1
        finally:
            self._waiting -= 1
            if not self._waiting:
                await self._end_idle()

    async def _answer(self, data: bytes, progress: Progress) -> Response:
        """Ask a child that has served before, and if that fails, a new one."""
        try:
            worker = self._idle.pop() if self._idle else await self._start()
            was_used = worker.served > 0
            try:
                return await self._ask(worker, data, progress)
            except WorkerError:
                if not was_used:
                    raise
            return await self._ask(await self._start(), data, progress)
        except WorkerError as error:
            raise _failure(
                "compiler-crash",
                f"the compiler {error}",
                "this is a defect of the compiler or a lack of memory, not of the script",
            ) from error
        except OSError as error:
            raise _failure("no-compiler", f"cannot start the compiler: {error.strerror}") from error

    async def _start(self) -> Worker:
        return await Worker.start(self._command, self._settings.memory, self._settings.timeout)

    async def _ask(self, worker: Worker, data: bytes, progress: Progress) -> Response:
        answered = False
        try:
            async with asyncio.timeout(self._settings.timeout):
                response = await worker.ask(data, progress)
            answered = True
        except TimeoutError:
            raise _failure(
                "compile-timeout",
                f"compiling took longer than {self._settings.timeout:g} s and was ended",
                "raise compile.timeout, or see what the machine is busy with",
            ) from None
        finally:
            if not answered:
                await worker.kill()
        if worker.is_worn:
            await worker.close()
        else:
            self._idle.append(worker)
        return response

    async def _end_idle(self) -> None:
        """End idle children if no request waits, which returns their memory."""
        idle, self._idle = self._idle, []
        for worker in idle:
            await worker.close()


def _look_up(wanted: Request) -> Response | None:
    """The module from the cache, or None. A child reports errors in the request."""
    if wanted.last_pass < LAST_PASS or wanted.listing is not None:
        return None
    from compiler.driver import module_cache
    from compiler.kernel.errors import KernelFactError
    from compiler.support.content_store import UnsafeCache

    try:
        return module_cache.find(wanted)
    except (UnsafeCache, KernelFactError, OSError, ValueError, KeyError):
        return None


def _compiled(response: Response, seconds: float) -> Compiled:
    if not response.ok:
        raise CompileError(response.errors, response.warnings, response.passes)
    return Compiled(
        response.module,
        Path(response.path),
        response.identity,
        response.cached,
        seconds,
        response.passes,
        response.warnings,
        response.output,
    )


def _failure(slug: str, message: str, hint: str = "") -> CompileError:
    return CompileError([Diagnostic(slug, message, hint=hint)])
