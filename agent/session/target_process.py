# SPDX-License-Identifier: GPL-2.0-or-later
"""The processes that a run starts: the command of -c, and the commands of the script's system().

target = TargetProcess.prepare("ls -l"); ...; target.release(); await target.wait()
start_for_script("date >>log")
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import shlex
import shutil
import signal
import subprocess

from agent.timeout import timeout

_IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)


def _words(text: str) -> list[str]:
    plain = not set(text) & set("|&;<>()$`\\*?[]#~{}=%!\n")
    return shlex.split(text) if plain else ["/bin/sh", "-c", text]


def program_of(text: str) -> str | None:
    """The file that a command executes: the shell if the command uses its syntax; None if not found."""
    words = _words(text)
    return shutil.which(words[0]) if words else None


class TargetProcess:
    """The command of -c: a process that is stopped, and executes the command when released.

    It has left the system call in which it stopped itself, and calls only execve() when it goes on. So all
    that a script counts for this process is the command's.
    """

    def __init__(self, pid: int, gate: int, answer: int) -> None:
        self.pid, self._gate, self._answer = pid, gate, answer
        self.failure: OSError | None = None  # the command was not executed
        self._watch = os.pidfd_open(pid)
        self.status: int | None = None  # the exit status; negative: the number of the fatal signal

    @classmethod
    def prepare(cls, text: str) -> TargetProcess:
        """Fork the process, and wait until it is stopped. OSError if the command does not exist."""
        words, path = _words(text), program_of(text)
        if path is None:
            raise FileNotFoundError(2, "there is no such command", words[0] if words else text)
        fate, gate = os.pipe()
        answer, question = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(gate)
            try:
                _stop_and_execute(path, words, fate)
            except OSError as error:
                os.write(question, str(error.errno).encode())
            finally:
                os._exit(127)
        os.close(fate)
        os.close(question)
        os.waitid(os.P_PID, pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        return cls(pid, gate, answer)

    def release(self) -> None:
        """Execute the command."""
        os.kill(self.pid, signal.SIGCONT)

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
                os.kill(self.pid, signal.SIGCONT)  # a stopped process does not end by SIGTERM
            with contextlib.suppress(TimeoutError):
                async with timeout(5):
                    await self.wait()
        os.close(self._gate)
        os.close(self._answer)
        os.close(self._watch)

    def _reap(self, how: int) -> None:
        if self.status is None:
            pid, status = os.waitpid(self.pid, how)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
                if number := os.read(
                    self._answer, 16
                ):  # the pipe is closed by the command's execve()
                    self.failure = OSError(int(number), os.strerror(int(number)))


def _stop_and_execute(path: str, words: list[str], fate: int) -> None:
    """In the new process. `fate`: a pipe that closes when the run dies, which then kills this process.

    As with posix_spawnp(), a file that the kernel cannot execute is a script of the shell. Raises OSError.
    """
    signal.set_wakeup_fd(-1)  # it is the run's
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)) or number in _IGNORED_BY_PYTHON:
            signal.signal(number, signal.SIG_DFL)
    fcntl.fcntl(fate, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(fate, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(fate, fcntl.F_SETFL, os.O_ASYNC)
    with contextlib.suppress(OSError):
        os.execv("", words)  # the memory that the call needs is there afterwards
    os.kill(os.getpid(), signal.SIGSTOP)
    try:
        os.execv(path, words)
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            raise
        os.execv("/bin/sh", ["/bin/sh", path, *words[1:]])


def start_for_script(text: str) -> None:
    """system(): start a shell command. Nothing waits for it, and it may outlive the run."""
    subprocess.Popen(["/bin/sh", "-c", text])
