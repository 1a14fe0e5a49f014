# SPDX-License-Identifier: GPL-2.0-or-later
"""Compiling: out of the cache, else in child processes, whose memory goes back.

    await Compiler(jobs=2).compile(request(script, settings)) -> Compiled(module="sw_vfs_1a2b3c4d", ...)

The parser's and the type reader's memory would stay with a long-lived agent. A child that crashes, hangs
or eats memory costs its own script one clear error.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

from agent.config.metric_schema import statistic
from agent.config.settings import CompileSettings, ScriptSettings, Settings
from agent.scripts.compile_worker import COMMAND, Progress, Worker, WorkerError
from runtime.support.record import record

_LAST_PASS = 4

Request = dict[str, Any]


@record
class Diagnostic:
    """One complaint of the compiler. `text`: rendered, with the source line and a caret."""

    slug: str
    message: str
    file: str = ""
    line: int = 0
    column: int = 0
    hint: str = ""
    text: str = ""

    def __str__(self) -> str:
        if self.text:
            return self.text
        where = f"{self.file}:{self.line}:{self.column}: " if self.file and self.line else ""
        return f"{where}error[{self.slug}]: {self.message}" + (
            f"; {self.hint}" if self.hint else ""
        )

    @property
    def summary(self) -> str:
        """One line: place, message and hint."""
        where = f"{self.file}:{self.line}:{self.column}: " if self.file and self.line else ""
        return f"{where}{self.message}" + (f"; {self.hint}" if self.hint else "")


@record
class Pass:
    """One of the five passes; times in seconds."""

    number: int
    title: str
    summary: str
    user: float
    system: float
    real: float


@record
class Compiled:
    module: str
    path: Path
    identity: str
    cached: bool
    seconds: float
    passes: tuple[Pass, ...] = ()
    warnings: tuple[Diagnostic, ...] = ()
    output: str = ""  # what an earlier last pass prints


class CompileError(Exception):
    """The script does not compile. `diagnostics`: why, at least one."""

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
    """What the compiler is asked for a script of the agent; OSError when its file cannot be read."""
    if script.file is not None:
        with script.file.open("rb"):
            pass  # one clear error here, instead of one from the child
    found = {
        variable: wanted
        for variable, metric in script.metrics.items()
        if (wanted := statistic(script.name, metric)) is not None
    }
    return {
        "source": str(script.file) if script.file is not None else None,
        "text": script.text,
        "name": script.name,
        "args": list(script.args),
        "globals": dict(script.globals),
        "defines": dict(script.defines),
        "guru": script.guru,
        "export": True,
        "statistics": found,
        "capacities": dict(script.capacities),
        "output": str(settings.work_folder / "modules"),
        "cache": str(settings.cache_folder),
        "kernel": None,
        "library": [str(folder) for folder in settings.library],
        "last_pass": 4,
        "run_mode": False,
    }


def fingerprint(wanted: Request) -> str:
    """A digest of the script's text and everything else that makes its module what it is."""
    digest = hashlib.sha256()
    options = {k: v for k, v in wanted.items() if k not in ("output", "cache")}
    digest.update(json.dumps(options, sort_keys=True).encode())
    if wanted["source"] is not None:
        digest.update(b"\0" + Path(wanted["source"]).read_bytes())
    return digest.hexdigest()


class Compiler:
    """Runs compilers, `jobs` at a time. `command` is what to execute: the real one unless given.

    A child stays while requests wait, and serves the next; nothing of it is left when none do.
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
        """Compile one script. Raises CompileError, for whatever reason it failed."""
        started = monotonic()
        if self._command == COMMAND and (found := await asyncio.to_thread(_look_up, wanted)):
            return _compiled(found, monotonic() - started)
        self._waiting += 1
        try:
            async with self._places:
                self._waiting -= 1
                try:
                    started = monotonic()
                    response = await self._answer(json.dumps(wanted).encode(), progress)
                    return _compiled(response, monotonic() - started)
                finally:
                    self._waiting += 1
        finally:
            self._waiting -= 1
            if not self._waiting:
                await self._rest()

    async def _answer(self, data: bytes, progress: Progress) -> Mapping[str, Any]:
        """From a child that has served before, or if that one fails, from one of its own."""
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

    async def _ask(self, worker: Worker, data: bytes, progress: Progress) -> Mapping[str, Any]:
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

    async def _rest(self) -> None:
        """Nothing waits: idle children end, and give their memory back."""
        idle, self._idle = self._idle, []
        for worker in idle:
            await worker.close()


def _look_up(wanted: Request) -> Mapping[str, Any] | None:
    """The module from the cache, or None; whatever is wrong, a child will tell."""
    if wanted["last_pass"] < _LAST_PASS:
        return None
    from compiler import protocol
    from compiler.driver import module_cache
    from compiler.kernel.errors import KernelFactError
    from compiler.support.content_store import UnsafeCache

    try:
        found = module_cache.find(protocol.Request.from_tree(wanted))
    except (UnsafeCache, KernelFactError, OSError, ValueError, KeyError):
        return None
    return found.to_tree() if found is not None else None


def _compiled(response: Mapping[str, Any], seconds: float) -> Compiled:
    warnings = tuple(_diagnostic(tree) for tree in response.get("warnings", ()))
    passes = tuple(_pass(tree) for tree in response.get("passes", ()))
    if not response["ok"]:
        found = [_diagnostic(tree) for tree in response.get("errors", ())]
        if not found:
            found = [Diagnostic("compiler-crash", "the compiler failed without saying why")]
        raise CompileError(found, warnings, passes)
    return Compiled(
        module=str(response.get("module") or ""),
        path=Path(response.get("path") or ""),
        identity=str(response.get("identity") or ""),
        cached=bool(response.get("cached")),
        seconds=seconds,
        passes=passes,
        warnings=warnings,
        output=str(response.get("output") or ""),
    )


def _diagnostic(tree: Mapping[str, Any]) -> Diagnostic:
    return Diagnostic(
        slug=str(tree.get("slug") or "error"),
        message=str(tree.get("message") or ""),
        file=str(tree.get("file") or ""),
        line=int(tree.get("line") or 0),
        column=int(tree.get("column") or 0),
        hint=str(tree.get("hint") or ""),
        text=str(tree.get("text") or ""),
    )


def _pass(tree: Mapping[str, Any]) -> Pass:
    return Pass(
        number=int(tree["number"]),
        title=str(tree.get("title") or ""),
        summary=str(tree.get("summary") or ""),
        user=float(tree.get("user") or 0),
        system=float(tree.get("system") or 0),
        real=float(tree.get("real") or 0),
    )


def _failure(slug: str, message: str, hint: str = "") -> CompileError:
    return CompileError([Diagnostic(slug, message, hint=hint)])
