# SPDX-License-Identifier: GPL-2.0-or-later
"""A compiler in a child process, asked over pipes in the protocol of compiler/protocol.py.

    worker = await Worker.start(COMMAND, memory=1024, seconds=120)
    await worker.ask(encode(Request("x", ...)), progress)  -> Response(True, "sw_x_1a2b3c4d", ...)
    await worker.close()

Starting a child costs the import of the compiler, so a child is reused while requests wait. Its
memory goes back to the system when it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import resource
import shutil
import signal
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Protocol

from agent.timeout import timeout
from compiler.protocol import ProtocolError, Response, decode_response
from runtime.reader import module_loader
from runtime.support import python_module

COMMAND = python_module.command("compiler", "-S")
MOST_REQUESTS = 64  # to one child, so that what leaks in it stays small
_LINE_LIMIT = 16 << 20  # bytes of a response
_NICE = 10
_FIRST_TO_GO = "500"  # of at most 1000, if memory is short
_KEPT = "-all,+syslog,+dac_override,+dac_read_search"
_CAP_SETPCAP = 8
_NOT_FOR_CHILDREN = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID"}

Progress = Callable[[str], None]


class WorkerError(Exception):
    """The child sent no response; the text says how it ended. `killed`: by SIGKILL, as for lack of memory."""

    def __init__(self, text: str, killed: bool = False) -> None:
        super().__init__(text)
        self.killed = killed


class AnyWorker(Protocol):
    """A compiler that answers one request at a time. `served`: the responses it has sent."""

    served: int

    @property
    def is_worn(self) -> bool:
        """Whether it should not get another request."""

    async def ask(self, request: bytes, progress: Progress) -> Response:
        """Send one encoded request. WorkerError if the compiler ends, or sends no valid response."""

    async def close(self) -> None:
        """End it once it has nothing to do."""

    async def kill(self) -> None:
        """End it now, whatever it does."""


class Worker:
    """One child. `served`: the responses it has sent."""

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
    async def start(
        cls,
        command: Sequence[str],
        memory: int,
        seconds: float,
        *,
        chroots: bool = False,
        keeps: Sequence[int] = (),
    ) -> Worker:
        """Limit the child to `memory` MiB and each request to `seconds` of CPU time. Raises OSError.

        `chroots`: it keeps its privileges, to compile in another system's root folder. `keeps`: descriptors
        that stay open in it.
        """
        if shutil.which(command[0]) is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), command[0])
        starting = asyncio.create_task(
            asyncio.create_subprocess_exec(
                *(() if chroots else _without_privileges()),
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=environment(),
                start_new_session=True,
                pass_fds=keeps,
                limit=_LINE_LIMIT,
            )
        )
        try:
            child = await asyncio.shield(starting)
        except asyncio.CancelledError:
            # asyncio leaks a child if its start is cancelled: wait for the start, then end the child.
            with contextlib.suppress(OSError):
                await cls(await starting, seconds).kill()
            raise
        worker = cls(child, seconds)
        with contextlib.suppress(OSError, ProcessLookupError):
            resource.prlimit(child.pid, resource.RLIMIT_AS, (memory << 20, memory << 20))
            resource.prlimit(child.pid, resource.RLIMIT_CORE, (0, 0))
            os.setpriority(os.PRIO_PROCESS, child.pid, _NICE)
            Path(f"/proc/{child.pid}/oom_score_adj").write_text(_FIRST_TO_GO)
        return worker

    @property
    def is_worn(self) -> bool:
        """Whether the child should not get another request."""
        return self.served >= MOST_REQUESTS or self._child.returncode is not None

    async def ask(self, request: bytes, progress: Progress) -> Response:
        """Send one encoded request. WorkerError if the child ends, or sends no valid response."""
        self._progress, self._errors = progress, []
        self._limit()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._stdin.write(request)
            await self._stdin.drain()
        try:
            line = await self._stdout.readline()
        except ValueError:
            line = b""  # a line longer than the limit
        reason = "no answer"
        try:
            response = decode_response(line)
            self.served += 1
            return response
        except ProtocolError as error:
            if line.startswith(b"{"):
                reason = f"a bad answer: {error}"
        await self.close()
        raise WorkerError(self._ending(reason), self._child.returncode == -signal.SIGKILL)

    async def close(self) -> None:
        """Close the input of the child, which ends it, and wait for that."""
        self._stdin.close()
        try:
            async with timeout(5):
                await self._child.wait()
                await self._following
        except TimeoutError:
            await self.kill()

    async def kill(self) -> None:
        """Kill the child and its process group, and close its pipes (reading to the end closes them)."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)
        await self._child.wait()
        self._stdin.close()
        with contextlib.suppress(TimeoutError, ConnectionError, ValueError):
            async with timeout(1):
                await asyncio.gather(self._stdout.read(), self._following)
                await self._stdin.wait_closed()
        self._following.cancel()

    def _limit(self) -> None:
        """Bound the CPU time of the next request: the limit counts from the child's start."""
        seconds = self._seconds * (self.served + 1)
        hard = self._seconds * MOST_REQUESTS + 5
        with contextlib.suppress(OSError, ProcessLookupError, ValueError):
            resource.prlimit(self._child.pid, resource.RLIMIT_CPU, (seconds, hard))

    def _ending(self, reason: str) -> str:
        """How the child ended. The last line of a traceback names the error; progress has it all."""
        status = self._child.returncode or 0
        if status < 0:
            text = f"was ended by signal {-status} ({signal.Signals(-status).name})"
        else:
            text = f"ended with status {status} and {reason}"
        last = next((e for e in reversed(self._errors) if e.strip()), "")
        return f"{text}: {last.strip()}" if last else text

    async def _follow(self, stream: asyncio.StreamReader) -> None:
        while True:
            try:
                data = await stream.readline()
            except ValueError:
                continue  # a line longer than the limit
            if not data:
                return
            line = data.decode("utf-8", "replace").rstrip("\n")
            self._errors.append(line)
            del self._errors[:-20]
            self._progress(line)


@cache
def _without_privileges() -> tuple[str, ...]:
    """The front of a command line that takes privileges away, as far as this machine has the tool for it.

    What root's files need stays, and the kernel's addresses. The service has a sandbox for its compilers.
    """
    tool = shutil.which("setpriv")
    if tool is None:
        return ()
    kept = ("--bounding-set", _KEPT) if module_loader.has_capability(_CAP_SETPCAP) else ()
    return (tool, "--no-new-privs", *kept)


def environment() -> dict[str, str]:
    """The environment of a child that runs this package's code."""
    env = {k: v for k, v in os.environ.items() if k not in _NOT_FOR_CHILDREN}
    here = str(Path(__file__).resolve().parents[2])
    # -S skips `site`, which takes 4 ms, so the folders that it would find are named here
    packages = [path for path in sys.path if path.endswith("-packages")]
    given = filter(None, [env.get("PYTHONPATH")])
    env["PYTHONPATH"] = os.pathsep.join([here, *given, *packages])
    env["LC_ALL"] = "C.UTF-8"
    return env
