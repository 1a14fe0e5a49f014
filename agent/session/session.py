# SPDX-License-Identifier: GPL-2.0-or-later
"""`stapwatch run`: one script from its text to its end, in the terminal, as SystemTap's stap does it.

    stapwatch run -ve 'probe begin { log("hello") exit() }'
    -> five "Pass N:" lines on stderr, "hello" on stdout, exit status 0

`compile.py` does passes 1 to 4, `run.py` pass 5, and `report.py` writes the messages.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
import tempfile
from pathlib import Path

from agent.scripts.compile_client import Compiled, Compiler
from agent.scripts.compilers import Compilers
from agent.scripts.kernel_modules import Modules
from agent.session import background
from agent.session.compile import compile_script, save_named_module, show_output
from agent.session.options import RUN_PASS, RunOptions
from agent.session.output_file import Output, expanded
from agent.session.report import Report
from agent.session.run import Run
from agent.session.target_root import TargetRoot

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Session:
    """One command line of `run`."""

    def __init__(
        self,
        options: RunOptions,
        modules: Modules | None = None,
        compiler: Compiler | None = None,
    ) -> None:
        self._options = options
        self._modules = modules or Modules()
        self._compiler = compiler
        self._end = asyncio.Event()
        self._interrupted = False
        self._report = Report(options)
        # a closed pipe ends the run as a signal does
        self._output = Output(self._end.set, self._report.say)

    async def run(self) -> int:
        """The exit status: 0, 1 after any error, 130 if interrupted before the script ran."""
        self._report.notes(self._options.notes)
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._interrupt)
        if self._options.attach is not None:
            return await self._runner().attach(self._options.attach)
        folder = Path(tempfile.mkdtemp(prefix="stapwatch-"))
        keep = self._options.keep
        try:
            compiled = await self._compile(folder)
            if compiled is None:
                return 130 if self._interrupted else 1
            if self._options.listing is not None:
                return self._list(compiled)
            if self._options.compile.last_pass < RUN_PASS:
                keep = show_output(compiled, self._options, folder) or keep
                return 0
            if self._options.daemonizes:
                return background.daemonize(expanded(str(self._options.output)))
            return await self._execute(compiled)
        finally:
            if keep:
                self._report.say(f'Keeping temporary folder "{folder}"')
            else:
                shutil.rmtree(folder, ignore_errors=True)

    async def _compile(self, folder: Path) -> Compiled | None:
        with TargetRoot.of(self._options.target) as root:
            kept = (root.fd,) if root else ()
            compiler = self._compiler or Compiler(compilers=Compilers(keeps=kept))
            return await compile_script(
                self._options, folder, compiler, self._report, self._end, root
            )

    def _list(self, compiled: Compiled) -> int:
        """-l and the like; the exit status is 1 if the list is empty."""
        self._output.write(compiled.output.encode())
        self._output.release()
        return 0 if compiled.output else 1

    async def _execute(self, compiled: Compiled) -> int:
        """Run pass 5; returns the exit status."""
        runner = self._runner()
        save_named_module(compiled, self._options)
        if self._options.output is not None:
            try:
                self._output.to(self._options.output, self._options.rotation)
            except OSError as error:
                self._report.say(f"error: cannot write {self._options.output}: {error.strerror}")
                return 1
        return await runner.execute(compiled)

    def _runner(self) -> Run:
        return Run(self._options, self._modules, self._output, self._report, self._end)

    def _interrupt(self) -> None:
        self._interrupted = True
        self._end.set()
