# SPDX-License-Identifier: GPL-2.0-or-later
"""The processes that a run starts: the command of -c, and the commands of the script's system().

target = TargetProcess.prepare("ls -l"); ...; target.release(); await target.wait()
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

_IN_READ = "0 "  # /proc/PID/syscall of a process in read() begins with the number of the call
_PATIENCE = 1.0  # seconds


def _words(text: str) -> list[str]:
    plain = not set(text) & set("|&;<>()$`\\*?[]#~{}=%!\n")
    return shlex.split(text) if plain else ["/bin/sh", "-c", text]


def program_of(text: str) -> str | None:
    """The file that a command executes: the shell if the command uses its syntax; None if not found."""
    words = _words(text)
    return shutil.which(words[0]) if words else None


class TargetProcess:
    """The command of -c: a process that waits in read(), and executes the command when released.

    It calls only execve() in between, so all that a script counts for this process is the command's.
    """

    def __init__(self, pid: int, gate: int) -> None:
        self.pid, self._gate = pid, gate
        self._watch = os.pidfd_open(pid)
        self.status: int | None = None  # the exit status; negative: the number of the fatal signal

    @classmethod
    def prepare(cls, text: str) -> TargetProcess:
        """Fork the waiting process. OSError if the command does not exist."""
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
        _wait_for_read(pid)
        return cls(pid, gate)

    def release(self) -> None:
        """Execute the command."""
        os.write(self._gate, b"!")

    async def wait(self) -> None:
        """Wait until the process ends."""
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._watch, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(self._watch)
        self._reap(os.WNOHANG)

    async def end(self) -> None:
        """Terminate the process if it still runs, and clean up."""
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


def _wait_for_read(pid: int) -> None:
    """Wait until the process sleeps in read(): a script could count a later call."""
    deadline = time.monotonic() + _PATIENCE
    with contextlib.suppress(OSError):  # a kernel without CONFIG_HAVE_ARCH_TRACEHOOK
        while time.monotonic() < deadline:
            if Path(f"/proc/{pid}/syscall").read_text().startswith(_IN_READ):
                break
            time.sleep(0.001)


def start_for_script(text: str) -> None:
    """system(): start a shell command. Nothing waits for it, and it may outlive the run."""
    subprocess.Popen(["/bin/sh", "-c", text])
