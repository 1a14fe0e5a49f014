# SPDX-License-Identifier: GPL-2.0-or-later
"""Compiling in child processes: one request in, one response out, and the memory goes back.

    await Compiler(jobs=2).compile(request(script, settings)) -> Compiled(module="sw_vfs_1a2b3c4d", ...)

The parser's and the type reader's memory would stay with a long-lived agent. A child that crashes, hangs
or eats memory costs its own script one clear error.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import resource
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from agent.metric_schema import statistic
from agent.settings import CompileSettings, ScriptSettings, Settings

COMMAND = (sys.executable, "-P", "-m", "compiler")
_LINE_LIMIT = 1 << 20
_NOT_FOR_CHILDREN = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID"}

Request = dict[str, Any]
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class Pass:
    """One of the five passes; times in seconds."""

    number: int
    title: str
    summary: str
    user: float
    system: float
    real: float


@dataclass(frozen=True, slots=True)
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
    """Runs compilers, `jobs` at a time. `command` is what to execute: the real one unless given."""

    def __init__(
        self, settings: CompileSettings | None = None, command: Sequence[str] = COMMAND
    ) -> None:
        self._settings = settings = settings or CompileSettings()
        self._command = tuple(command)
        self._places = asyncio.Semaphore(settings.jobs or len(os.sched_getaffinity(0)))

    async def compile(self, wanted: Request, progress: Progress = lambda line: None) -> Compiled:
        """Compile one script. Raises CompileError, for whatever reason it failed."""
        async with self._places:
            started = monotonic()
            response = await self._run(json.dumps(wanted).encode(), progress)
            return _compiled(response, monotonic() - started)

    async def _run(self, data: bytes, progress: Progress) -> Mapping[str, Any]:
        try:
            child = await self._start()
        except OSError as error:
            raise _failure("no-compiler", f"cannot start the compiler: {error.strerror}") from error
        self._limit(child.pid)
        assert child.stdin and child.stdout and child.stderr
        errors: list[str] = []
        try:
            async with asyncio.timeout(self._settings.timeout):
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    child.stdin.write(data)
                    await child.stdin.drain()
                    child.stdin.close()
                output, _ = await asyncio.gather(
                    child.stdout.read(), _follow(child.stderr, errors, progress)
                )
                status = await child.wait()
        except TimeoutError:
            raise _failure(
                "compile-timeout",
                f"compiling took longer than {self._settings.timeout:g} s and was ended",
                "raise compile.timeout, or see what the machine is busy with",
            ) from None
        finally:
            if child.returncode is None:
                await _kill(child)
        return _response(output, status, errors)

    async def _start(self) -> asyncio.subprocess.Process:
        starting = asyncio.create_task(
            asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=environment(),
                start_new_session=True,
                limit=_LINE_LIMIT,
            )
        )
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            # asyncio leaks a child that is cancelled while it starts: let it start, then end it.
            with contextlib.suppress(OSError):
                await _kill(await starting)
            raise

    def _limit(self, pid: int) -> None:
        """Bound the child before it gets its request, and let everything else go first."""
        memory = self._settings.memory << 20
        seconds = int(self._settings.timeout) + 1
        with contextlib.suppress(OSError, ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_AS, (memory, memory))
            resource.prlimit(pid, resource.RLIMIT_CPU, (seconds, seconds + 5))
            resource.prlimit(pid, resource.RLIMIT_CORE, (0, 0))


async def _kill(child: asyncio.subprocess.Process) -> None:
    """End the child and what it started, and close its pipes (reading to the end closes them)."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    await child.wait()
    assert child.stdin and child.stdout and child.stderr
    child.stdin.close()
    with contextlib.suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(1):
            await asyncio.gather(child.stdout.read(), child.stderr.read())
            await child.stdin.wait_closed()


async def _follow(stream: asyncio.StreamReader, errors: list[str], progress: Progress) -> None:
    while True:
        try:
            data = await stream.readline()
        except ValueError:
            continue  # a line without end: dropped
        if not data:
            return
        line = data.decode("utf-8", "replace").rstrip("\n")
        errors.append(line)
        del errors[:-20]
        progress(line)


def environment() -> dict[str, str]:
    env = {k: v for k, v in os.environ.items() if k not in _NOT_FOR_CHILDREN}
    here = str(Path(__file__).resolve().parent.parent)
    env["PYTHONPATH"] = os.pathsep.join([here, *filter(None, [env.get("PYTHONPATH")])])
    env["LC_ALL"] = "C.UTF-8"
    return env


def _response(output: bytes, status: int, errors: list[str]) -> Mapping[str, Any]:
    try:
        response = json.loads(output)
        if isinstance(response, dict) and isinstance(response.get("ok"), bool):
            return response
    except ValueError:
        pass
    if status < 0:
        how = f"was ended by signal {-status} ({signal.Signals(-status).name})"
    else:
        how = f"ended with status {status} and no answer"
    # The last line of a traceback names the error; the whole goes to the debug log as progress.
    last = next((line for line in reversed(errors) if line.strip()), "")
    raise _failure(
        "compiler-crash",
        f"the compiler {how}" + (f": {last.strip()}" if last else ""),
        "this is a defect of the compiler or a lack of memory, not of the script",
    )


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
