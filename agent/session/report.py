# SPDX-License-Identifier: GPL-2.0-or-later
"""The messages of a run: passes, diagnostics, and at the end what was lost.

report.passes(compiled.passes)  -> "Pass 1: parsed user script and 2 library scripts in 10usr/..." with -v
report.losses(shot)             -> "WARNING: Number of errors: 0, skipped probes: 3"
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable, Iterator

from agent.scripts.compile_client import Compiled, CompileError
from agent.session import console, semantic_errors
from agent.session.options import RUN_PASS, RunOptions
from agent.session.pass_timer import PassTimer, times
from compiler.protocol import Pass
from runtime.abi.structs import MILLION, WAITING, Breach
from runtime.reader.snapshot import Snapshot

_FAILED = {1: "parse", 2: "analysis", 3: "translation", 4: "compilation"}
_JOINTS = {2: ": ", 3: " into ", 4: " into "}  # between a pass's title and its summary


class Report:
    """Writes the messages that the options ask for. `say` writes one text in any case."""

    def __init__(self, options: RunOptions) -> None:
        self.say = console.sayer(background=options.background)
        self._verbose, self._quiet = bool(options.verbose), options.quiet
        self._catalogue = options.error_catalogue

    def warn(self, text: str) -> None:
        """Write a warning, unless -w is given."""
        if not self._quiet:
            self.say(f"WARNING: {text}")

    def progress(self, line: str) -> None:
        if self._verbose or sys.stderr.isatty():
            self.say(line)

    def passes(self, passes: Iterable[Pass]) -> None:
        """Write the compiler's passes, with -v."""
        for done in passes if self._verbose else ():
            took = times(done.user, done.system, done.real)
            joint = _JOINTS.get(done.number, " ")
            self.say(f"Pass {done.number}: {done.title}{joint}{done.summary} in {took}.")

    def notes(self, notes: Iterable[str]) -> None:
        """Write what options did nothing, with -v."""
        for note in notes if self._verbose else ():
            self.say(f"note: {note}")

    def run_started(self) -> None:
        """Write the first line of the last pass in SystemTap's words, with -v."""
        if self._verbose:
            self.say(f"Pass {RUN_PASS}: starting run.")

    def run_completed(self, timer: PassTimer) -> None:
        """Write the second one, with -v."""
        if self._verbose:
            self.say(f"Pass {RUN_PASS}: run completed in {timer.text()}.")

    def run_failed(self) -> None:
        """Write the last line of a run whose exit status is not 0, with -v."""
        if self._verbose:
            self.say(f"Pass {RUN_PASS}: run failed.")

    def compiled(self, compiled: Compiled) -> None:
        """Write the passes and warnings of a script that compiled."""
        self.passes(compiled.passes)
        for warning in () if self._quiet else compiled.warnings:
            self.say(str(warning))

    def not_compiled(self, error: CompileError) -> None:
        self.passes(error.passes)
        for diagnostic in (*error.diagnostics, *error.warnings):
            self.say(str(diagnostic))
        number = len(error.passes) + 1
        if self._catalogue and number == 2:
            for line in semantic_errors.catalogue(error.diagnostics):
                self.say(line)
        if self._verbose:
            self.say(f"Pass {number}: {_FAILED.get(number, 'compilation')} failed.")

    def command_failed(self, status: int) -> None:
        """Report how the command of -c ended, in SystemTap's words; a negative status is a signal."""
        if status < 0:
            how = f"signal {-status} ({signal.strsignal(-status)})"
        else:
            how = f"status {status}"
        self.say(f"WARNING: Child process exited with {how}")

    def losses(self, shot: Snapshot) -> None:
        """Warn about everything that makes the script's numbers incomplete."""
        for probe in shot.probes:
            if probe.error and probe.error != WAITING:  # reported when it happened
                why = os.strerror(abs(probe.error))
                self.warn(f"probe {probe.probe.point} could not be attached: {why}")
        for text in _losses(shot):
            self.warn(text)

    def disarmed(self, shot: Snapshot) -> None:
        """Report the budget that ended the run, if one did."""
        header = shot.header
        if not header.disarms:
            return
        probe = "the script"
        if header.breach_probe < len(shot.probes):
            probe = f"probe {shot.probes[header.breach_probe].probe.point}"
        if header.breach is Breach.ONE_CPU:
            self.say(
                f"ERROR: overload: {_percent(header.breach_value)} of a CPU's time within a second, most of "
                f"it in {probe}; the limit is {_percent(header.breach_limit)}"
            )
            self.say(
                "change it with -DSTP_OVERLOAD_THRESHOLD=CYCLES, or switch it off: -DSTP_NO_OVERLOAD"
            )
        else:
            self.say(f"ERROR: {probe} was disarmed")


def _percent(ppm: int) -> str:
    return f"{ppm * 100 / MILLION:.4g}%"


def _losses(shot: Snapshot) -> Iterator[str]:
    """Name the losses of a run, in SystemTap's words where it has some."""
    reentrant = sum(p.skipped_reentrant for p in shot.probes)
    locked = sum(p.skipped_lock for p in shot.probes)
    missed = sum(p.missed for p in shot.probes)
    errors = sum(p.errors for p in shot.probes)
    if errors or reentrant or locked or missed:
        yield f"Number of errors: {errors}, skipped probes: {reentrant + locked + missed}"
    for why, count in (
        ("reentrancy: they hit inside another handler", reentrant),
        ("a lock timeout: a table stayed locked", locked),
        ("missed hits, which the kernel did not report", missed),
    ):
        if count:
            yield f"Skipped due to {why}: {count}"
    if lost := shot.lanes.events_lost:
        yield f"There were {lost} transport failures."
        yield f"{lost} prints found the output buffer full; -s MB makes it larger"
    if dropped := sum(t.dropped for t in shot.tables):
        yield f"{dropped} updates lost because an array was full"
