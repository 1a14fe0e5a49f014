# SPDX-License-Identifier: GPL-2.0-or-later
"""A compiler in a child process: requests go in as lines of JSON, answers come out as lines.

    worker = await Worker.start(COMMAND, memory=1024, seconds=120)
    await worker.ask(b'{"name": "x", ...}', progress)  -> {"ok": true, "module": "sw_x_1a2b3c4d", ...}
    await worker.close()

A child costs what its imports cost, so it is worth keeping for as long as there are requests. What
it holds of memory goes back when it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

COMMAND = (sys.executable, "-P", "-S", "-m", "compiler")
MOST_REQUESTS = 64  # of one child: what leaks in it stays small
_LINE_LIMIT = 16 << 20  # bytes of an answer
_NOT_FOR_CHILDREN = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID"}

Progress = Callable[[str], None]


class WorkerError(Exception):
    """The child gave no answer; the text says how it ended."""


class Worker:
    """One child. `served`: answers it has given."""

    def __init__(self, child: asyncio.subprocess.Process, seconds: float) -> None:
        self.served = 0
        self._child = child
        self._seconds = int(seconds) + 1
        self._progress: Progress = lambda line: None
        self._errors: list[str] = []
        assert child.stdin and child.stdout and child.stderr
        self._stdin, self._stdout = child.stdin, child.stdout
        self._following = asyncio.create_task(self._follow(child.stderr))

    @classmethod
    async def start(cls, command: Sequence[str], memory: int, seconds: float) -> Worker:
        """`memory` in MiB bounds the child, `seconds` of CPU each of its requests. OSError."""
        starting = asyncio.create_task(
            asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=environment(),
                start_new_session=True,
                limit=_LINE_LIMIT,
            )
        )
        try:
            child = await asyncio.shield(starting)
        except asyncio.CancelledError:
            # asyncio leaks a child that is cancelled while it starts: let it start, then end it.
            with contextlib.suppress(OSError):
                await cls(await starting, seconds).kill()
            raise
        worker = cls(child, seconds)
        with contextlib.suppress(OSError, ProcessLookupError):
            resource.prlimit(child.pid, resource.RLIMIT_AS, (memory << 20, memory << 20))
            resource.prlimit(child.pid, resource.RLIMIT_CORE, (0, 0))
        return worker

    @property
    def is_worn(self) -> bool:
        """Whether it is better not asked again."""
        return self.served >= MOST_REQUESTS or self._child.returncode is not None

    async def ask(self, data: bytes, progress: Progress) -> Mapping[str, Any]:
        """One request, one answer; WorkerError when the child ends without one."""
        self._progress, self._errors = progress, []
        self._limit()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._stdin.write(data + b"\n")
            await self._stdin.drain()
        try:
            line = await self._stdout.readline()
        except ValueError:
            line = b""  # an answer without end
        with contextlib.suppress(ValueError):
            response = json.loads(line)
            if isinstance(response, dict) and isinstance(response.get("ok"), bool):
                self.served += 1
                return response
        await self.close()
        status = self._child.returncode or 0
        # The last line of a traceback names the error; the whole goes to the debug log as progress.
        last = next((e for e in reversed(self._errors) if e.strip()), "")
        raise WorkerError(_ending(status) + (f": {last.strip()}" if last else ""))

    async def close(self) -> None:
        """Let the child end, which it does when its input does."""
        self._stdin.close()
        try:
            async with asyncio.timeout(5):
                await self._child.wait()
                await self._following
        except TimeoutError:
            await self.kill()

    async def kill(self) -> None:
        """End the child and what it started, and close its pipes (reading to the end closes them)."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)
        await self._child.wait()
        self._stdin.close()
        with contextlib.suppress(TimeoutError, ConnectionError, ValueError):
            async with asyncio.timeout(1):
                await asyncio.gather(self._stdout.read(), self._following)
                await self._stdin.wait_closed()
        self._following.cancel()

    def _limit(self) -> None:
        """Bound the CPU time of the next request: the limit counts from the child's start."""
        seconds = self._seconds * (self.served + 1)
        hard = self._seconds * MOST_REQUESTS + 5
        with contextlib.suppress(OSError, ProcessLookupError, ValueError):
            resource.prlimit(self._child.pid, resource.RLIMIT_CPU, (seconds, hard))

    async def _follow(self, stream: asyncio.StreamReader) -> None:
        while True:
            try:
                data = await stream.readline()
            except ValueError:
                continue  # a line without end: dropped
            if not data:
                return
            line = data.decode("utf-8", "replace").rstrip("\n")
            self._errors.append(line)
            del self._errors[:-20]
            self._progress(line)


def _ending(status: int) -> str:
    if status < 0:
        return f"was ended by signal {-status} ({signal.Signals(-status).name})"
    return f"ended with status {status} and no answer"


def environment() -> dict[str, str]:
    env = {k: v for k, v in os.environ.items() if k not in _NOT_FOR_CHILDREN}
    here = str(Path(__file__).resolve().parents[2])
    # without `site`, which takes 4 ms, what it would have found is named
    packages = [path for path in sys.path if path.endswith("-packages")]
    given = filter(None, [env.get("PYTHONPATH")])
    env["PYTHONPATH"] = os.pathsep.join([here, *given, *packages])
    env["LC_ALL"] = "C.UTF-8"
    return env
