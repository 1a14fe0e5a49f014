# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs test files once for each kernel, one kernel after the other, and counts what became of the tests.

run("6.1-rt", TESTS, folder)  -> Outcome(kernel="6.1-rt", passed=187, failed=0, left_out=2, ...)
table([outcome, ...])         -> the text of a table

A kernel's run is a process of its own, which takes the kernel from LAB_KERNEL.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from lab import Image, LabError
from tests import PROJECT

# Every example compiles; every kind of hook counts exactly, modules come and go, and an agent adopts what another
# has left.
TESTS = (
    "tests/examples/test_compile.py",
    "tests/handlers",
    "tests/system/test_service.py",
    "tests/system/test_restarts.py",
)
TIMEOUT = 3600.0  # seconds for all tests on one kernel


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the tests on one kernel. `trouble`: why they did not all run; each failed test else."""

    kernel: str
    release: str = "-"
    passed: int = 0
    failed: int = 0
    left_out: int = 0
    seconds: float = 0.0
    trouble: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        """Whether tests ran, and none failed."""
        return bool(self.passed) and not self.failed and not self.trouble


def run(kernel: str, tests: Sequence[str], folder: Path, timeout: float = TIMEOUT) -> Outcome:
    """Run the tests in the guest of one kernel. Their output and report are KERNEL.log and KERNEL.xml in `folder`."""
    started = time.monotonic()
    try:
        release = Image.ensure(kernel).release
    except LabError as error:
        return Outcome(kernel, trouble=(str(error),))
    report = folder / f"{kernel}.xml"
    report.unlink(missing_ok=True)
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}"]
    with (folder / f"{kernel}.log").open("wb") as log:
        ended = ""
        try:
            environment = {**os.environ, "LAB_KERNEL": kernel}
            subprocess.run(
                [*argv, *tests],
                cwd=PROJECT,
                env=environment,
                stdout=log,
                stderr=log,
                timeout=timeout,
            )
        except subprocess.TimeoutExpired:
            ended = f"ended after {timeout:.0f} s; the tests until then are in {log.name}"
    seconds = time.monotonic() - started
    if not ended and not report.exists():
        ended = f"there is no report; see {log.name}"
    if ended:
        return Outcome(kernel, release, seconds=seconds, trouble=(ended,))
    return count(kernel, release, seconds, report)


def count(kernel: str, release: str, seconds: float, report: Path) -> Outcome:
    """Read a JUnit report. A test that passed and whose fixture then failed has failed."""
    results: dict[str, str] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        kinds = {child.tag for child in case}
        if kinds & {"failure", "error"}:
            results[name] = "failed"
        else:
            results.setdefault(name, "left out" if "skipped" in kinds else "passed")
    failed = tuple(name for name, result in results.items() if result == "failed")
    found = list(results.values())
    return Outcome(
        kernel,
        release,
        passed=found.count("passed"),
        failed=len(failed),
        left_out=found.count("left out"),
        seconds=seconds,
        trouble=failed,
    )


def table(outcomes: Sequence[Outcome]) -> str:
    """One line a kernel, and below them what went wrong."""
    heads = ("kernel", "flavour", "release", "passed", "failed", "left out", "seconds")
    rows: list[tuple[str, ...]] = [heads]
    for each in outcomes:
        series, _, flavour = each.kernel.partition("-")
        numbers = (each.passed, each.failed, each.left_out, round(each.seconds))
        rows.append((series, flavour or "-", each.release, *map(str, numbers)))
    widths = [max(len(row[i]) for row in rows) for i in range(len(heads))]
    lines = [_line(row, widths) for row in rows]
    lines += [f"{each.kernel}: {text}" for each in outcomes for text in each.trouble]
    return "\n".join(lines)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    """Text to the left, numbers to the right."""
    parts = [
        c.ljust(w) if i < 3 else c.rjust(w)
        for i, (c, w) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(parts).rstrip()
