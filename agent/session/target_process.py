# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs of a session: the command of -c, and what its script's system() asks for.

command = Command.prepare("ls -l"); ...; command.release(); await command.wait()
start_for_script("date >>log")
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import time
from pathlib import Path

_READING = "0 "  # as the kernel tells of a process that sleeps in read(), by its number
_LATE = 1.0  # seconds


def _words(text: str) -> list[str]:
    plain = not set(text) & set("|&;<>()$`\\*?[]#~{}=%!\n")
    return shlex.split(text) if plain else ["/bin/sh", "-c", text]


def program_of(text: str) -> str | None:
    """The file that a command runs; None where there is none. A shell, if only a shell can tell."""
    words = _words(text)
    return shutil.which(words[0]) if words else None


class Command:
    """The command of -c: a process that waits, and becomes the command once the probes are armed.

    Between the two it does nothing but execve(), so what a script counts of it is the command's.
    """

    def __init__(self, pid: int, gate: int) -> None:
        self.pid, self._gate = pid, gate
        self._watch = os.pidfd_open(pid)
        self.status: int | None = None  # the exit status, minus a signal's number

    @classmethod
    def prepare(cls, text: str) -> Command:
        """Fork the waiting process. OSError when there is no such command."""
        words, path = _words(text), program_of(text)
        if path is None:
            raise FileNotFoundError(2, "there is no such command", words[0] if words else text)
        wait, gate = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(gate)
            try:
                if os.read(wait, 1):
                    os.execv(path, words)
            finally:
                os._exit(127)
        os.close(wait)
        _until_it_waits(pid)
        return cls(pid, gate)

    def release(self) -> None:
        os.write(self._gate, b"!")

    async def wait(self) -> None:
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._watch, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(self._watch)
        self._reap(os.WNOHANG)

    async def end(self) -> None:
        """Terminate it if it still runs, and clean up."""
        self._reap(os.WNOHANG)
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self.status is not None:
                break
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(5):
                    await self.wait()
        os.close(self._gate)
        os.close(self._watch)

    def _reap(self, how: int) -> None:
        if self.status is None:
            pid, status = os.waitpid(self.pid, how)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)


def _until_it_waits(pid: int) -> None:
    """Until it is inside its read(): a script could count the call of one that is late."""
    deadline = time.monotonic() + _LATE
    with contextlib.suppress(OSError):  # a kernel that does not tell
        while time.monotonic() < deadline:
            if Path(f"/proc/{pid}/syscall").read_text().startswith(_READING):
                break
            time.sleep(0.001)


def start_for_script(text: str) -> None:
    """Nobody waits for it; it may outlive the session."""
    subprocess.Popen(["/bin/sh", "-c", text])
