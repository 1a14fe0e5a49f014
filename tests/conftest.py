# SPDX-License-Identifier: GPL-2.0-or-later
"""Marks for whole folders: tests that need Debian's packages (host), and tests that need a guest (lab).

`make check` leaves both out; `make test` runs everything but tests marked as long.

Property tests use the same examples each time, so that a failure is caused by a change;
HYPOTHESIS_PROFILE=search tries new ones.
"""

from __future__ import annotations

import os
import signal
from collections import defaultdict
from pathlib import Path

import hypothesis
import pytest

pytest_plugins = ["pytester", "tests.lab_fixtures"]

# without a deadline, because other work slows the machine
hypothesis.settings.register_profile("repeatable", deadline=None, derandomize=True)
hypothesis.settings.register_profile("search", deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))

# the agent refuses configurations and scripts that a group may write
os.umask(0o022)

HERE = Path(__file__).parent
MARKS = {
    "agent/dashboards/test_dashboard_in_prometheus.py": "host",
    "agent/exposition/test_render_prometheus.py": "host",
    "agent/web/test_page_files.py": "host",
    "bench": "lab",
    "compiler/kernel": "host",
    "compiler/modbuild": "host",
    "examples": "lab",
    "handlers": "lab",
    "lab": "lab",
    "packaging/test_ansible_role.py": "host",
    "packaging/test_build_deb.py": "host",
    "packaging/test_build_rpm.py": "host",
    "packaging/test_installed_deb.py": "lab",
    "packaging/test_next_kernel_in_guest.py": "lab",
    "packaging/test_typed_manual.py": "lab",
    "system": "lab",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for folder, mark in MARKS.items():
            if item.path.is_relative_to(HERE / folder):
                item.add_marker(mark)
    # guests first: they take longest, and what is left over at the end is short
    items.sort(key=lambda item: item.get_closest_marker("lab") is None)


def pytest_configure(config: pytest.Config) -> None:
    """A run that is ended from outside still reports what it has: SIGTERM is like Ctrl-C."""
    if not hasattr(config, "workerinput"):
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        config.pluginmanager.register(FailuresAtOnce(config))


class FailuresAtOnce:
    """A line for each failure when it happens; pytest prints the details at the end."""

    def __init__(self, config: pytest.Config) -> None:
        self._plugins = config.pluginmanager

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        terminal = self._plugins.getplugin("terminalreporter")
        if report.failed and terminal:
            crash = getattr(report.longrepr, "reprcrash", None)
            reason = crash.message.partition("\n")[0] if crash else ""
            terminal.write_line(f"\nFAILED in {report.when}: {report.nodeid}: {reason}", red=True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The files that take longest, if the run asked for durations."""
    if not terminalreporter.config.option.durations:
        return
    seconds: defaultdict[str, float] = defaultdict(float)
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                seconds[report.nodeid.partition("::")[0]] += report.duration
    terminalreporter.section("slowest 25 files, of all workers")
    total = sum(seconds.values()) or 1
    for file in sorted(seconds, key=seconds.__getitem__, reverse=True)[:25]:
        terminalreporter.write_line(f"{seconds[file]:7.0f}s {seconds[file] / total:4.0%} {file}")
