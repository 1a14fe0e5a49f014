# SPDX-License-Identifier: GPL-2.0-or-later
"""A stop is told from a restart by systemd's job for the unit, and nothing is lost where it cannot be told."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from agent.daemon import ending
from agent.daemon.ending import Ending
from agent.scripts import systemd_jobs
from tests.agent.conftest import Lines, run

JOBS = "12 other.service stop running\n13 stapwatch.service {} running\n"


@pytest.mark.parametrize(
    ("cgroup", "unit"),
    [
        ("0::/system.slice/stapwatch.service\n", "stapwatch.service"),
        ("12:cpu:/x\n1:name=systemd:/system.slice/my-agent.service\n0::/\n", "my-agent.service"),
        ("0::/user.slice/user-0.slice/session-1.scope\n", None),
        ("0::/user.slice/user-0.slice/user@0.service/app.slice/sw.service\n", None),
        ("0::/\n", None),
    ],
)
def test_unit(tmp_path: Path, cgroup: str, unit: str | None) -> None:
    (tmp_path / "cgroup").write_text(cgroup)
    assert systemd_jobs.unit(tmp_path / "cgroup") == unit
    assert systemd_jobs.unit(tmp_path / "none") is None


@pytest.mark.parametrize("kind", ["stop", "restart", "try-restart", "start"])
def test_job_type(kind: str) -> None:
    assert systemd_jobs.job_type(JOBS.format(kind), "stapwatch.service") == kind
    assert systemd_jobs.job_type(JOBS.format(kind), "stapwatch") is None
    assert systemd_jobs.job_type("No jobs running.\n", "stapwatch.service") is None


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with systemd, whose `systemctl` is a script that a test writes."""
    (tmp_path / "cgroup").write_text("0::/system.slice/stapwatch.service\n")
    monkeypatch.setattr(ending, "_CGROUP", tmp_path / "cgroup")
    monkeypatch.setattr(ending, "_SYSTEMD", tmp_path)
    monkeypatch.setattr(systemd_jobs, "_PATIENCE", 0.5)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path


def asked(systemd: Path, systemctl: str, number: int = signal.SIGTERM) -> Ending:
    command = systemd / "systemctl"
    command.write_text(f"#!/bin/sh\n{systemctl}\n")
    command.chmod(0o755)
    return run(ending.asked(number))


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("stop", Ending.STOP),
        ("restart", Ending.RESTART),
        ("try-restart", Ending.RESTART),
        ("start", Ending.RESTART),
    ],
)
def test_systemd_is_asked(systemd: Path, lines: Lines, kind: str, found: Ending) -> None:
    assert asked(systemd, f"[ $1 = list-jobs ] && echo '{JOBS.format(kind)}'") is found
    assert lines.texts == []


@pytest.mark.parametrize(
    ("systemctl", "words"),
    [
        ("echo 'No jobs running.'", "systemd has no job for stapwatch.service"),
        ("echo no bus >&2; exit 1", "systemctl list-jobs failed: no bus"),
        ("exec sleep 60", "systemd does not say whether this is a stop"),
    ],
)
def test_without_an_answer_modules_stay(
    systemd: Path, lines: Lines, systemctl: str, words: str
) -> None:
    assert asked(systemd, systemctl) is Ending.RESTART
    assert any(words in text for text in lines.texts)


def test_outside_of_systemd(systemd: Path, lines: Lines) -> None:
    """A terminal's Ctrl-C is a stop. A SIGTERM may come from any supervisor, which may start another agent."""
    (systemd / "cgroup").write_text("0::/\n")
    assert asked(systemd, "exit 1", signal.SIGINT) is Ending.STOP
    assert lines.texts == []
    assert asked(systemd, "exit 1") is Ending.RESTART
    assert any("to unload them: stapwatch unload" in text for text in lines.texts)


def test_no_systemctl(systemd: Path, lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(systemd))
    assert asyncio.run(ending.asked(signal.SIGTERM)) is Ending.RESTART
    assert any("cannot ask systemd for its jobs" in text for text in lines.texts)


def test_the_port_is_closed_at_a_stop(systemd: Path) -> None:
    command = systemd / "systemctl"
    command.write_text(f'#!/bin/sh\necho "$@" > {systemd}/asked\n')
    command.chmod(0o755)
    run(ending.close_port())
    assert (systemd / "asked").read_text() == "--no-block stop stapwatch.socket\n"
