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
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from agent.scripts.compile_client import Compiled, CompileError, Compiler, Pass, Request
from agent.scripts.kernel_modules import ModuleError, Modules
from agent.scripts.script import Running
from agent.session import background, console, final_globals
from agent.session import options as run_options
from agent.session.compile_request import compile_request
from agent.session.monitor import Monitor
from agent.session.output_file import Output, expanded
from agent.session.pass_timer import Clock, times
from agent.session.target_process import Command, start_for_script
from agent.session.terminal_input import Keyboard
from runtime.abi.structs import EventKind
from runtime.events import decode as events
from runtime.events.decode import Event
from runtime.reader.snapshot import Snapshot

_LAST_PASS = 5
_JOINTS = {2: ": ", 3: " into ", 4: " into "}  # between a pass's title and what it did
_MAX_SKIPPED = 100
_LOOK_SECONDS = 1.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Session:
    """One run. `options` as agent.cli.main parses them; `file` None: the text is in the options."""

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
        self._verbose = max(options.verbose, options.vp)
        self._errors = 0
        self._skipped = False  # more than MAXSKIPPED allows
        self._left = False  # the module goes on without us
        self._say = console.sayer(background=options.background)
        self._output = Output(self._end.set, self._say)  # at its end, as if interrupted
        self._listing = run_options.listing(options)

    async def run(self) -> int:
        """The exit status: 0, 1 after any error, 130 when interrupted before the script ran."""
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._interrupt)
        folder = Path(tempfile.mkdtemp(prefix="stapwatch-"))
        keep = self._options.keep
        try:
            if self._options.attach is not None:
                return await self._attach(self._options.attach)
            compiled = await self._compile(folder)
            if compiled is None:
                return 130 if self._interrupted else 1
            if self._listing is not None:
                return self._list(compiled)
            if keep:
                await self._keep_c(folder)
            if self._options.last_pass < _LAST_PASS:
                keep = self._show(compiled, folder) or keep
                return 0
            if self._in_background():
                return background.leave_behind(expanded(self._options.output))
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
            request = self._request(folder, last)
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
            if self._verbose:
                self._say(f"Pass {len(error.passes) + 1}: failed; see the messages above.")
            return None
        self._passes(compiled.passes)
        if not self._options.quiet:
            for warning in compiled.warnings:
                self._say(str(warning))
        if self._options.strict and compiled.warnings:
            self._say("error: there are warnings, and -W makes them errors")
            return None
        return compiled

    def _in_background(self) -> bool:
        """-F -o FILE, and this is not that background yet."""
        return bool(self._options.detach and self._options.output) and not self._options.background

    def _request(self, folder: Path, last: int) -> Request:
        return compile_request(
            self._options, self._file, self._arguments, folder, last, run_mode=True
        )

    def _list(self, compiled: Compiled) -> int:
        """-l and the like; 1 when there is nothing to list."""
        self._output.release()
        self._output.write(compiled.output.encode())
        return 0 if compiled.output else 1

    async def _keep_c(self, folder: Path) -> None:
        """The C beside the module, for -k."""
        made = await (self._compiler or Compiler()).compile(self._request(folder, 3))
        (folder / f"{made.module}.c").write_text(made.output, "utf-8")

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
        clock = Clock()
        if self._options.module:
            shutil.copy(compiled.path, f"{compiled.module}.ko")
        if self._options.output is not None:
            try:
                self._output.to(self._options.output, self._options.rotation)
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
        return await self._run(running, clock, start=True)

    async def _attach(self, module: str) -> int:
        """-A: read what a module printed since -F left it, and go on with it."""
        try:
            device = await asyncio.to_thread(self._modules.open, module)
            running = Running(device, self._on_event, lambda _: self._end.set())
        except ModuleError as error:
            self._say(f"ERROR: {error}")
            return 1
        return await self._run(running, Clock(), start=False)

    async def _run(self, running: Running, clock: Clock, *, start: bool) -> int:
        """From starting to unloading, unless it is to be left behind."""
        try:
            return await self._follow(running, clock, start=start)
        except ModuleError as error:
            self._say(f"ERROR: {error}")
            return 1
        finally:
            if not self._left:
                with contextlib.suppress(ModuleError):
                    await running.stop()
                try:
                    await running.unload(self._modules)
                except ModuleError as error:
                    self._say(f"WARNING: {error}")

    async def _follow(self, running: Running, clock: Clock, *, start: bool) -> int:
        """Start the probes, show what they print until the end, and sum up."""
        try:
            command = Command.prepare(self._options.shell) if self._options.shell else None
        except OSError as error:
            self._say(f"error: cannot start '{error.filename}': {error.strerror}")
            return 1
        try:
            target = command.pid if command is not None else self._options.target
            self._passed(f'started run of "{running.name}.ko"', clock)
            running.attach()
            with self._keyboard(running) as keyboard:
                try:
                    if start:
                        await running.start(self._most_errors(), target)
                finally:
                    # whoever reads what begin probes printed may rely on the others being armed
                    self._output.release()
                if self._options.detach and not self._options.output:
                    return self._detach(running)
                if command is not None:
                    command.release()
                if keyboard is not None:
                    keyboard.listen()
                await self._wait(command, running)
            command_failed = command is not None and bool(command.status)
        finally:
            if command is not None:
                await command.end()
        with contextlib.suppress(OSError):
            running.device.sync()
        await running.stop()
        shot = running.snapshot(spread=True)
        if not running.gave_up and self._options.display:
            self._output.write("".join(final_globals.lines(shot)).encode(errors="surrogateescape"))
        if self._verbose:
            self._say(f"Run completed in {clock.text()}.")
        self._sum_up(shot)
        if command is not None and command.status and command_failed:
            self._say(f"WARNING: {console.command_failed(command.status)}")
        self._watch(shot)
        failed = command_failed or (self._errors and not self._options.tolerant)
        return 1 if failed or self._skipped or running.gave_up or running.broken else 0

    def _detach(self, running: Running) -> int:
        """-F: the script goes on without a reader; what it prints waits in its buffers."""
        running.detach()
        running.device.close()
        self._left = True
        print(running.name)
        self._say(f"read it with: stapwatch run -A {running.name}")
        return 0

    def _most_errors(self) -> int | None:
        return None if self._options.tolerant else _limit(self._options.defines, "MAXERRORS", 0)

    def _watch(self, shot: Snapshot) -> None:
        """stap's MAXSKIPPED: hits skipped for want of a lock; one more ends the script."""
        skipped = sum(probe.skipped_lock for probe in shot.probes)
        most = _limit(self._options.defines, "MAXSKIPPED", _MAX_SKIPPED)
        if skipped > most and not self._skipped and not self._options.tolerant:
            self._skipped = True
            self._say(f"ERROR: {skipped} hits skipped, check MAXSKIPPED")
            self._end.set()

    async def _look(self, running: Running) -> None:
        """Until cancelled: watch over what the kernel only counts, and show it if asked to."""
        loop, monitor = asyncio.get_running_loop(), Monitor(running.name)
        began, shown = loop.time(), self._options.monitor is not None
        while True:
            await asyncio.sleep(self._options.monitor or _LOOK_SECONDS)
            shot = running.snapshot()
            self._watch(shot)
            for line in monitor.lines(shot, loop.time() - began) if shown else ():
                self._say(line)

    async def _wait(self, command: Command | None, running: Running) -> None:
        """Until exit(), a signal, the command's end, or -T."""
        waits: list[asyncio.Task[object]] = [
            asyncio.create_task(self._end.wait()),
            asyncio.create_task(self._look(running)),
        ]
        if self._options.timeout is not None:
            waits.append(asyncio.create_task(asyncio.sleep(self._options.timeout)))
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
                self._output.write(text.encode(errors="surrogateescape"))
            case EventKind.ERROR:
                self._errors += 1
                self._say(f"ERROR: {events.readable(text)}")
            case EventKind.WARNING if not self._options.quiet:
                self._say(f"WARNING: {events.readable(text)}")
            case EventKind.COMMAND:
                self._output.after(lambda: start_for_script(text))
            case EventKind.SWITCH:
                self._output.switch()
            case _:
                pass

    def _keyboard(self, running: Running) -> contextlib.AbstractContextManager[Keyboard | None]:
        """Standard input is the script's if it asks for keys."""
        if any(probe.hook.startswith("input") for probe in running.manifest.probes):
            return Keyboard(running.device.press)
        return contextlib.nullcontext()

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
        if self._verbose or sys.stderr.isatty():
            self._say(line)

    def _passes(self, passes: Sequence[Pass]) -> None:
        if self._verbose:
            for done in passes:
                took = times(done.user, done.system, done.real)
                joint = _JOINTS.get(done.number, " ")
                self._say(f"Pass {done.number}: {done.title}{joint}{done.summary} in {took}.")

    def _passed(self, what: str, clock: Clock) -> None:
        if self._verbose:
            self._say(f"Pass {_LAST_PASS}: {what} in {clock.text()}.")

    def _failed_pass(self, clock: Clock) -> None:
        self._passed("run failed", clock)


def _limit(defines: Sequence[str], name: str, default: int) -> int:
    """What -D says of a limit that the session keeps itself."""
    for define in reversed(defines):
        known, _, value = define.partition("=")
        if known == name and value.isdecimal():
            return int(value)
    return default
