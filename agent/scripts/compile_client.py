# SPDX-License-Identifier: GPL-2.0-or-later
"""Compiling from the agent: the module cache first, else a compiler in a child process.

    compiler = Compiler(settings)
    await compiler.compile(request(script, settings))  -> Compiled(module="sw_vfs_1a2b3c4d", ...)
    await compiler.find(request(script, settings))     -> the same from the cache, or None

Children, or compilers in a sandbox (loader_client.py), compile because the memory of the parser and of the
type reader would stay in a long-lived agent. One that crashes, hangs or runs out of memory costs its own
script one clear error.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from time import monotonic

from agent.config.metric_schema import statistic
from agent.config.settings import CompileSettings, ScriptSettings, Settings
from agent.scripts.compile_worker import COMMAND, AnyWorker, Progress, WorkerError
from agent.scripts.compilers import Compilers
from agent.timeout import timeout
from compiler.protocol import Diagnostic, Pass, Request, Response, encode
from runtime.support import bounded_file
from runtime.support.record import record, replace

# Two writes within one tick of the kernel's clock leave the same times; a file system on the network may
# have a coarser one.
_TICK_NS = 2_000_000_000
_PATIENCE = 5.0


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
    anew: str = ""  # why the module that was in the cache did not serve
    variant: str = ""  # the one that compiled, of a script with variants
    revision: str = ""  # of the script's text
    inputs: tuple[str, ...] = ()  # the files that the module probes


# Slugs of failures that may go away by themselves, and say nothing about the script.
FAILURES = frozenset(
    ("compiler-crash", "no-compiler", "compile-timeout", "build-timeout", "unsafe-cache")
)


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
    def text(self) -> str:
        """All messages, with the warnings."""
        return "\n".join(map(str, (*self.diagnostics, *self.warnings)))

    @property
    def summary(self) -> str:
        more = f" (and {len(self.diagnostics) - 1} more)" if len(self.diagnostics) > 1 else ""
        return f"{self.diagnostics[0].summary}{more}"


def request(script: ScriptSettings, settings: Settings) -> Request:
    """The request for a script of the agent."""
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
        when_full={n: m.when_full.value for n, m in script.metrics.items() if m.when_full},
        output=str(settings.work_folder / "modules"),
        cache=str(settings.cache_folder),
        library=tuple(map(str, settings.library)),
        older=True,
    )


def fingerprint(wanted: Request) -> str:
    """A digest of the script's text and of all options that its module depends on."""
    plain = replace(wanted, output=None, cache=None, older=False, recompile=False)
    digest = hashlib.sha256(encode(plain))
    if wanted.source is not None:
        digest.update(b"\0" + bounded_file.read(Path(wanted.source)))
    return digest.hexdigest()


@record
class Described:
    """A script as it was read. `file`: the file's state then; None if it may change unnoticed."""

    request: Request
    fingerprint: str
    file: tuple[int, ...] | None


def describe(
    script: ScriptSettings, settings: Settings, before: Described | None = None
) -> Described:
    """Read a script, unless it is as it was `before`. OSError if its file cannot be read."""
    if before is not None and is_as_before(script, settings, before):
        return before
    wanted = request(script, settings)
    now = time.time_ns()
    state = _file_state(wanted)  # before it is read
    return Described(
        wanted, fingerprint(wanted), state if state is None or now - state[0] > _TICK_NS else None
    )


def is_as_before(script: ScriptSettings, settings: Settings, before: Described) -> bool:
    """Whether neither the options nor the file have changed; the file is not read."""
    wanted = request(script, settings)
    if wanted != before.request:
        return False
    if wanted.source is None:
        return True
    try:
        return before.file is not None and _file_state(wanted) == before.file
    except OSError:
        return False


def _file_state(wanted: Request) -> tuple[int, ...] | None:
    """Changes whenever the file's content does; the first number is the time of its last change."""
    if wanted.source is None:
        return None
    found = Path(wanted.source).stat()
    return found.st_ctime_ns, found.st_mtime_ns, found.st_size, found.st_ino, found.st_dev


class Compiler:
    """Runs compilers, at most `settings.jobs` at a time. `compilers`: which; without them, children of the
    command line `command`.

    A child is reused while requests wait; when none waits, no child is left. A compile that takes longer
    than `patience` seconds steps aside: another one may begin beside it, unless `jobs` have done so already.
    """

    def __init__(
        self,
        settings: CompileSettings | None = None,
        command: Sequence[str] = COMMAND,
        patience: float = _PATIENCE,
        compilers: Compilers | None = None,
    ) -> None:
        self._settings = settings = settings or CompileSettings()
        self._compilers = compilers or Compilers(command)
        self._jobs = settings.jobs or len(os.sched_getaffinity(0))
        self._places = asyncio.Semaphore(self._jobs)
        self._aside = 0  # compiles that have given their place to another
        self._overdue: dict[Callable[[], None], None] = {}  # those that would, and cannot yet
        self._patience = patience
        self._waiting = 0
        self._idle: list[AnyWorker] = []

    async def compile(self, wanted: Request, progress: Progress = lambda line: None) -> Compiled:
        """Compile one script. Raises CompileError for every kind of failure."""
        return await self.find(wanted) or await self.build(wanted, progress)

    async def find(self, wanted: Request) -> Compiled | None:
        """The module from the cache, or None."""
        started = monotonic()
        found = await asyncio.to_thread(self._compilers.find, wanted)
        return _compiled(found, monotonic() - started) if found is not None else None

    async def build(self, wanted: Request, progress: Progress = lambda line: None) -> Compiled:
        """Compile one script in a child."""
        self._waiting += 1
        try:
            async with self._place():
                self._waiting -= 1
                try:
                    started = monotonic()
                    response = await self._answer(encode(wanted), progress)
                    response = await self._explained(wanted, response)
                    return _compiled(response, monotonic() - started)
                finally:
                    self._waiting += 1
        finally:
            self._waiting -= 1
            if not self._waiting:
                await self._end_idle()

    async def _explained(self, wanted: Request, response: Response) -> Response:
        if response.ok:
            return response
        return await asyncio.to_thread(self._compilers.explained, wanted, response)

    @contextlib.asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        """A place among the compiles that run at a time."""
        is_aside = False

        def step_aside() -> None:
            nonlocal is_aside
            if self._aside < self._jobs:
                is_aside = True
                self._aside += 1
                self._places.release()
            else:
                self._overdue[step_aside] = None

        await self._places.acquire()
        timer = asyncio.get_running_loop().call_later(self._patience, step_aside)
        try:
            yield
        finally:
            timer.cancel()
            self._overdue.pop(step_aside, None)
            if is_aside:
                self._aside -= 1
                if self._overdue:
                    self._overdue.popitem()[0]()
            else:
                self._places.release()

    async def identity(self, wanted: Request) -> str:
        """The identity that the script's module has, whoever compiles it; "" if that is not known."""
        return await asyncio.to_thread(self._compilers.identity, wanted)

    async def drop(self, identity: str, cache_folder: Path) -> None:
        """Remove the module of this identity from the cache, if it is there. Raises OSError."""
        await asyncio.to_thread(self._compilers.drop, identity, cache_folder)

    async def version(self, cache_folder: Path) -> str:
        """`Manifest.compiler` of modules that are compiled now; "" if that is not known."""
        return await asyncio.to_thread(self._compilers.version, cache_folder)

    async def _answer(self, data: bytes, progress: Progress) -> Response:
        """Ask a child that has served before, and if that fails or the child was killed, a new one."""
        try:
            worker = self._idle.pop() if self._idle else await self._compilers.start(self._settings)
            was_used = worker.served > 0
            try:
                return await self._ask(worker, data, progress)
            except WorkerError as error:
                if not (was_used or error.killed):
                    raise
                progress(f"the compiler {error}; it is tried again")
            return await self._ask(await self._compilers.start(self._settings), data, progress)
        except WorkerError as error:
            raise _failure(
                "compiler-crash",
                f"the compiler {error}",
                "this is a defect of the compiler, or a lack of memory or of disk space, not of the script",
            ) from error
        except OSError as error:
            raise _failure("no-compiler", f"cannot start the compiler: {error.strerror}") from error

    async def _ask(self, worker: AnyWorker, data: bytes, progress: Progress) -> Response:
        answered = False
        try:
            async with timeout(self._settings.timeout):
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
        response.anew,
        inputs=response.inputs,
    )


def _failure(slug: str, message: str, hint: str = "") -> CompileError:
    return CompileError([Diagnostic(slug, message, hint=hint)])
