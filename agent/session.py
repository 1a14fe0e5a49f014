# SPDX-License-Identifier: GPL-2.0-or-later
"""`stapwatch run`: one script from text to its end, in the terminal, as stap does it.

    stapwatch run -ve 'probe begin { log("hello") exit() }'
    -> five "Pass N:" lines on stderr, "hello" on stdout, exit status 0

Ctrl-C ends it gracefully: end probes run and everything printed is shown.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import resource
import shlex
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from agent.compile_options import compile_request
from agent.compiling import Compiled, CompileError, Compiler, Pass
from agent.modules import ModuleError, Modules
from agent.script import Running
from runtime import event as events
from runtime.abi import EventKind
from runtime.event import Event
from runtime.snapshot import Snapshot

_LAST_PASS = 5
_JOINTS = {2: ": ", 3: " into ", 4: " into "}  # between a pass's title and what it did
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Session:
    """One run. `options` as agent.cli parses them; `file` None: the text is in the options."""

    def __init__(
        self,
        options: argparse.Namespace,
        file: str | None,
        arguments: Sequence[str],
        modules: Modules | None = None,
        compiler: Compiler | None = None,
    ) -> None:
        self._options, self._file, self._arguments = options, file, arguments
        self._modules = modules or Modules()
        self._compiler = compiler
        self._end = asyncio.Event()
        self._interrupted = False
        self._errors = 0
        self._output = 1
        self._held: list[bytes] | None = []  # output until the probes are armed; None: they are

    async def run(self) -> int:
        """The exit status: 0, 1 after any error, 130 when interrupted before the script ran."""
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._interrupt)
        folder = Path(tempfile.mkdtemp(prefix="stapwatch-"))
        keep = self._options.keep
        try:
            compiled = await self._compile(folder)
            if compiled is None:
                return 130 if self._interrupted else 1
            if self._options.last_pass < _LAST_PASS:
                keep = self._show(compiled, folder) or keep
                return 0
            return await self._execute(compiled)
        finally:
            if keep:
                self._say(f'Keeping temporary folder "{folder}"')
            else:
                shutil.rmtree(folder, ignore_errors=True)

    async def _compile(self, folder: Path) -> Compiled | None:
        """Passes 1 to 4; None: it failed, or Ctrl-C came first."""
        last = min(self._options.last_pass, _LAST_PASS - 1)
        try:
            request = compile_request(
                self._options, self._file, self._arguments, folder, last, run_mode=True
            )
        except OSError as error:
            self._say(f"error: cannot read the script: {(error.strerror or '').lower()}")
            return None
        if self._file not in (None, "-"):
            try:
                with Path(self._file or "").open("rb"):
                    pass
            except OSError as error:
                self._say(f"error: cannot read {self._file}: {(error.strerror or '').lower()}")
                return None
        compiler = self._compiler or Compiler()
        work = asyncio.create_task(compiler.compile(request, self._progress))
        end = asyncio.create_task(self._end.wait())
        await asyncio.wait([work, end], return_when=asyncio.FIRST_COMPLETED)
        end.cancel()
        if not work.done():
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            return None
        try:
            compiled = work.result()
        except CompileError as error:
            self._passes(error.passes)
            for diagnostic in (*error.diagnostics, *error.warnings):
                self._say(str(diagnostic))
            if self._options.verbose:
                self._say(f"Pass {len(error.passes) + 1}: failed; see the messages above.")
            return None
        self._passes(compiled.passes)
        if not self._options.quiet:
            for warning in compiled.warnings:
                self._say(str(warning))
        return compiled

    def _show(self, compiled: Compiled, folder: Path) -> bool:
        """What an earlier last pass leaves; True: the folder is to be kept."""
        if self._options.last_pass < 4:
            print(compiled.output, end="" if compiled.output.endswith("\n") else "\n")
            return False
        path = compiled.path
        if self._options.module:
            path = Path(shutil.copy(path, f"{compiled.module}.ko"))
        print(path)
        return self._options.module is None and path.is_relative_to(folder)

    async def _execute(self, compiled: Compiled) -> int:
        """Pass 5."""
        clock = _Clock()
        if self._options.output is not None:
            try:
                self._output = os.open(
                    self._options.output,
                    os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC,
                    0o644,
                )
            except OSError as error:
                self._say(f"error: cannot write {self._options.output}: {error.strerror}")
                return 1
        try:
            device = await asyncio.to_thread(self._modules.load, compiled.path, compiled.module)
            running = Running(device, self._on_event, lambda _: self._end.set())
        except ModuleError as error:
            self._say(f"ERROR: {error}")
            self._failed_pass(clock)
            return 1
        try:
            return await self._follow(running, clock)
        except ModuleError as error:
            self._say(f"ERROR: {error}")
            return 1
        finally:
            with contextlib.suppress(ModuleError):
                await running.stop()
            try:
                await running.unload(self._modules)
            except ModuleError as error:
                self._say(f"WARNING: {error}")

    async def _follow(self, running: Running, clock: _Clock) -> int:
        """Start the probes, show what they print until the end, and sum up."""
        try:
            command = _Command.prepare(self._options.shell) if self._options.shell else None
        except OSError as error:
            self._say(f"error: cannot start '{error.filename}': {error.strerror}")
            return 1
        try:
            target = command.pid if command is not None else self._options.target
            self._passed(f'started run of "{running.name}.ko"', clock)
            running.attach()
            try:
                await running.start(_max_errors(self._options.defines), target)
            finally:
                self._release()
            if command is not None:
                command.release()
            await self._wait(command)
        finally:
            if command is not None:
                await command.end()
        with contextlib.suppress(OSError):
            running.device.sync()
        await running.stop()
        shot = running.snapshot()
        if self._options.verbose:
            self._say(f"Run completed in {clock.text()}.")
        self._sum_up(shot)
        if command is not None and command.status:
            self._say(f"WARNING: the command ended with status {command.status}")
        return 1 if self._errors or running.gave_up or running.broken else 0

    async def _wait(self, command: _Command | None) -> None:
        """Until exit(), a signal, or the command's end."""
        waits: list[asyncio.Task[object]] = [asyncio.create_task(self._end.wait())]
        if command is not None:
            waits.append(asyncio.create_task(command.wait()))
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)

    def _on_event(self, running: Running, event: Event) -> None:
        text = events.text(event, running.manifest)
        match event.kind:
            case EventKind.PRINT:
                if running.manifest.prints[event.site].log and not text.endswith("\n"):
                    text += "\n"
                self._write(text.encode(errors="surrogateescape"))
            case EventKind.ERROR:
                self._errors += 1
                self._say(f"ERROR: {events.readable(text)}")
            case EventKind.WARNING if not self._options.quiet:
                self._say(f"WARNING: {events.readable(text)}")
            case _:
                pass

    def _release(self) -> None:
        """Whoever reads what begin probes printed may rely on the other probes being armed."""
        held, self._held = self._held or [], None
        self._write(b"".join(held))

    def _write(self, data: bytes) -> None:
        if self._held is not None:
            self._held.append(data)
            return
        try:
            while data:
                data = data[os.write(self._output, data) :]
        except BrokenPipeError:
            self._end.set()  # `stapwatch run ... | head`: end as if interrupted

    def _sum_up(self, shot: Snapshot) -> None:
        """Say what was lost: a script's numbers are not to be trusted blindly."""
        if self._options.quiet:
            return
        for probe in shot.probes:
            if probe.error:
                why = os.strerror(abs(probe.error))
                self._say(f"WARNING: probe {probe.probe.point} could not be placed: {why}")
        losses = {
            "hits skipped inside another handler": sum(p.skipped_reentrant for p in shot.probes),
            "hits skipped because a table stayed locked": sum(p.skipped_lock for p in shot.probes),
            "hits missed by the kernel": sum(p.missed for p in shot.probes),
            "events lost because the buffer was full": shot.lanes.events_lost,
            "updates lost because an array was full": sum(t.dropped for t in shot.tables),
        }
        for what, count in losses.items():
            if count:
                self._say(f"WARNING: {count} {what}")

    def _interrupt(self) -> None:
        self._interrupted = True
        self._end.set()

    def _progress(self, line: str) -> None:
        if self._options.verbose or sys.stderr.isatty():
            self._say(line)

    def _passes(self, passes: Sequence[Pass]) -> None:
        if self._options.verbose:
            for done in passes:
                times = _times(done.user, done.system, done.real)
                joint = _JOINTS.get(done.number, " ")
                self._say(f"Pass {done.number}: {done.title}{joint}{done.summary} in {times}.")

    def _passed(self, what: str, clock: _Clock) -> None:
        if self._options.verbose:
            self._say(f"Pass {_LAST_PASS}: {what} in {clock.text()}.")

    def _failed_pass(self, clock: _Clock) -> None:
        self._passed("run failed", clock)

    @staticmethod
    def _say(text: str) -> None:
        with contextlib.suppress(BrokenPipeError):
            print(text, file=sys.stderr, flush=True)


class _Command:
    """The command of -c: a process that waits, and becomes the command once the probes are armed.

    Between the two it does nothing but execve(), so what a script counts of it is the command's.
    """

    def __init__(self, pid: int, gate: int) -> None:
        self.pid, self._gate = pid, gate
        self._watch = os.pidfd_open(pid)
        self.status: int | None = None  # the exit status, minus a signal's number

    @classmethod
    def prepare(cls, text: str) -> _Command:
        """Fork the waiting process. OSError when there is no such command."""
        plain = not set(text) & set("|&;<>()$`\\*?[]#~{}=%!\n")
        words = shlex.split(text) if plain else ["/bin/sh", "-c", text]
        path = shutil.which(words[0]) if words else None
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


class _Clock:
    """User, system and real time of this process since its making."""

    def __init__(self) -> None:
        self._usage = resource.getrusage(resource.RUSAGE_SELF)
        self._real = time.monotonic()

    def text(self) -> str:
        now = resource.getrusage(resource.RUSAGE_SELF)
        user, system = now.ru_utime - self._usage.ru_utime, now.ru_stime - self._usage.ru_stime
        return _times(user, system, time.monotonic() - self._real)


def _times(user: float, system: float, real: float) -> str:
    return f"{round(user * 1000)}usr/{round(system * 1000)}sys/{round(real * 1000)}real ms"


def _max_errors(defines: Sequence[str]) -> int:
    """stap's MAXERRORS: errors that are tolerated; one more ends the script."""
    for define in defines:
        name, _, value = define.partition("=")
        if name == "MAXERRORS" and value.isdecimal():
            return int(value)
    return 0
