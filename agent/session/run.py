# SPDX-License-Identifier: GPL-2.0-or-later
"""Pass 5 of a run: load the module, show what the script prints until its end, unload the module.

await Run(options, modules, output, report, end).execute(compiled) -> exit status

The run ends with exit(), a signal, the command of -c, or -T. Ending is graceful: end probes run, and
everything printed is shown.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

from agent.scripts.compile_client import Compiled
from agent.scripts.kernel_modules import Keeper, ModuleError, Modules
from agent.scripts.script import LoadedModule, Owner
from agent.scripts.turns import Turns
from agent.session.monitor import Monitor
from agent.session.options import RunOptions
from agent.session.output_file import Output
from agent.session.output_forms import JsonForm, TextForm
from agent.session.pass_timer import PassTimer
from agent.session.report import Report
from agent.session.target_process import TargetProcess, start_for_script
from agent.session.terminal_input import Keyboard
from runtime.abi.structs import EventKind, State
from runtime.events import decode as events
from runtime.events.decode import Event
from runtime.reader.device import Device
from runtime.reader.snapshot import Snapshot

_CHECK_SECONDS = 1.0


class Run(Owner):
    """One module from loading to unloading. `end`: set when the run is to end."""

    def __init__(
        self,
        options: RunOptions,
        modules: Modules,
        output: Output,
        report: Report,
        end: asyncio.Event,
    ) -> None:
        self._options, self._modules = options, modules
        self._output, self._report, self._end = output, report, end
        self._form = JsonForm() if options.form == "json" else TextForm()
        self._timer = PassTimer()
        self._errors = 0
        self._too_many_skipped = False  # more than MAXSKIPPED allows
        self._detached = False  # the module stays loaded

    async def execute(self, compiled: Compiled) -> int:
        """Load the module and run it; returns the exit status."""
        for name in await asyncio.to_thread(self._modules.reap):
            self._report.warn(f"module {name} is unloaded: the process that read it was killed")
        try:
            module = await self._open(lambda: self._modules.load(compiled.path, compiled.module))
        except ModuleError as error:
            self._report.say(f"ERROR: {error}")
            self._report.run_failed()
            return 1
        return await self._run(module, start=True)

    async def attach(self, name: str) -> int:
        """-A: read what a module has printed since -F left it, and continue with it."""
        try:
            module = await self._open(lambda: self._take(name))
        except ModuleError as error:
            self._report.say(f"ERROR: {error}")
            return 1
        return await self._run(module, start=False)

    def _take(self, name: str) -> Device:
        """Open a module that is to go when this run ends."""
        device = self._modules.open(name)
        with contextlib.suppress(ModuleError):  # an older version's has no keeper
            self._modules.keep(name, Keeper.NOBODY)
        return device

    async def _open(self, get: Callable[[], Device]) -> LoadedModule:
        device = await asyncio.to_thread(get)
        return LoadedModule(device, self, Turns())

    async def _run(self, module: LoadedModule, *, start: bool) -> int:
        """Run the module from start to unload; with -F it stays loaded."""
        try:
            target = self._prepare_target()
            return await self._follow(module, target, start=start)
        except ModuleError as error:
            self._report.say(f"ERROR: {error}")
            return 1
        except _NoTarget as error:
            self._report.say(f"error: {error}")
            return 1
        finally:
            if not self._detached:
                await self._unload(module)

    def _prepare_target(self) -> TargetProcess | None:
        """Start the process of -c, which waits until it is released. None without -c; raises _NoTarget."""
        if not self._options.command:
            return None
        try:
            return TargetProcess.prepare(self._options.command)
        except OSError as error:
            raise _NoTarget(f"cannot start '{error.filename}': {error.strerror}") from error

    async def _unload(self, module: LoadedModule) -> None:
        with contextlib.suppress(ModuleError):
            await module.stop()
        try:
            await module.unload(self._modules)
        except ModuleError as error:
            self._report.say(f"WARNING: {error}")

    async def _follow(
        self, module: LoadedModule, target: TargetProcess | None, *, start: bool
    ) -> int:
        """Start the probes, show what they print until the end, and report."""
        try:
            with self._keyboard(module) as keyboard:
                await self._start(module, target, start=start)
                if self._options.detach and not self._options.output:
                    return self._detach(module)
                if target is not None:
                    target.release()
                if keyboard is not None:
                    keyboard.listen()
                await self._wait(module, target)
            status = target.status if target is not None else None
            failure = target.failure if target is not None else None
        finally:
            if target is not None:
                await target.end()
        return await self._finish(module, status or 0, failure)

    async def _start(
        self, module: LoadedModule, target: TargetProcess | None, *, start: bool
    ) -> None:
        self._report.run_started()
        module.attach()
        try:
            if start:
                most_errors = None if self._options.tolerant else self._options.max_errors
                target_pid = target.pid if target else self._options.target
                await module.start(most_errors, target_pid, self._options.budgets)
        finally:
            # not earlier: whoever reads the begin probes' output may rely on the other probes
            self._output.release()

    def _detach(self, module: LoadedModule) -> int:
        """-F: the script runs without a reader; what it prints stays in its buffers."""
        self._modules.keep(module.name, Keeper.USER)
        module.detach()
        module.device.close()
        self._detached = True
        print(module.name)
        self._report.say(f"read it with: stapwatch run -A {module.name}")
        return 0

    async def _wait(self, module: LoadedModule, target: TargetProcess | None) -> None:
        """Wait for exit(), a signal, the target's end, or -T."""
        conditions: list[Coroutine[Any, Any, object]] = [self._end.wait(), self._watch(module)]
        if self._options.timeout is not None:
            conditions.append(asyncio.sleep(self._options.timeout))
        if target is not None:
            conditions.append(target.wait())
        tasks = [asyncio.create_task(condition) for condition in conditions]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self, module: LoadedModule) -> None:
        """Enforce MAXSKIPPED, which the kernel only counts, and serve --monitor, until cancelled. The event
        of a disarming is lost if the buffer is full."""
        loop, monitor = asyncio.get_running_loop(), Monitor(module.name)
        began, shown = loop.time(), self._options.monitor is not None
        while True:
            await asyncio.sleep(self._options.monitor or _CHECK_SECONDS)
            self._check_disarmed(module)
            shot = module.snapshot()
            self._check_skipped(shot)
            for line in monitor.lines(shot, loop.time() - began) if shown else ():
                self._report.say(line)

    def _check_disarmed(self, module: LoadedModule) -> None:
        """End the run when the module has disarmed itself."""
        if module.state is State.DISARMED:
            self._end.set()

    def _check_skipped(self, shot: Snapshot) -> None:
        """End the run when more hits than MAXSKIPPED were skipped because of a lock."""
        skipped = sum(probe.skipped_lock for probe in shot.probes)
        if self._options.tolerant or self._too_many_skipped:
            return
        if skipped > self._options.max_skipped:
            self._too_many_skipped = True
            self._report.say(f"ERROR: {skipped} hits skipped, check MAXSKIPPED")
            self._end.set()

    async def _finish(self, module: LoadedModule, status: int, failure: OSError | None) -> int:
        """Run end probes, print end-of-run globals and losses. `status`: the target's; `failure`: why its
        command was not executed."""
        with contextlib.suppress(OSError):
            module.device.sync()
        await module.stop()
        shot = module.snapshot(spread=True)
        if not module.gave_up and self._options.end_of_run_globals:
            self._output.write(self._form.globals(shot))
        if self._options.probe_times:
            self._output.write(self._form.probes(shot))
        self._output.write(self._form.end(shot))
        self._output.flush()
        wrong = self._write_stacks(shot)
        self._report.losses(shot)
        self._report.disarmed(shot)
        if failure is not None:
            command = self._options.command
            self._report.say(f"ERROR: cannot execute '{command}': {failure.strerror}")
        elif status:
            self._report.command_failed(status)
        self._check_skipped(shot)
        failed = bool(status) or (self._errors > 0 and not self._options.tolerant)
        failed = failed or wrong or self._too_many_skipped or shot.header.disarms > 0
        failed = failed or module.gave_up or bool(module.broken)
        self._report.run_completed(self._timer)
        if failed:
            self._report.run_failed()
        return int(failed)

    def _write_stacks(self, shot: Snapshot) -> bool:
        """--folded and --flame: whether a file cannot be written."""
        if not self._options.folded and not self._options.flame:
            return False
        from agent.session.stack_files import StackFileError, write

        try:
            if not write(shot, self._options):
                self._report.warn(
                    "no array is keyed by a backtrace: --folded and --flame are empty"
                )
        except StackFileError as error:
            self._report.say(f"ERROR: {error}")
            return True
        return False

    def on_exit(self, module: LoadedModule) -> None:
        self._end.set()

    def written(self, module: LoadedModule, done: Callable[[], None]) -> bool:
        self._output.flush()
        return True

    def on_event(self, module: LoadedModule, event: Event) -> None:
        time_offset = module.device.header().time_offset if self._form.dated else 0
        about = event, module.manifest, time_offset
        match event.kind:
            case EventKind.PRINT:
                self._output.write(self._form.printed(*about))
            case EventKind.ERROR:
                self._errors += 1
                self._output.write(self._form.reported(*about))
                self._output.flush()
                self._report.say(f"ERROR: {events.log_text(event, module.manifest)}")
            case EventKind.WARNING:
                self._output.write(self._form.reported(*about))
                self._output.flush()
                self._report.warn(events.log_text(event, module.manifest))
            case EventKind.COMMAND:
                command = events.text(event, module.manifest)
                self._output.after(lambda: start_for_script(command))
            case EventKind.SWITCH:
                self._output.switch()
            case EventKind.STATE:
                self._check_disarmed(module)
            case _:
                pass

    def _keyboard(self, module: LoadedModule) -> contextlib.AbstractContextManager[Keyboard | None]:
        """Standard input belongs to the script if it has input probes."""
        if any(probe.hook.startswith("input") for probe in module.manifest.probes):
            return Keyboard(module.device.press)
        return contextlib.nullcontext()


class _NoTarget(Exception):
    """The command of -c cannot be started."""
