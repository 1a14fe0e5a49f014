# SPDX-License-Identifier: GPL-2.0-or-later
"""The demonstration from its command line: its output, its pages, and that nothing remains when it ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from lab.live_table import LiveTable, duration
from tests import PROJECT
from tests.agent.pages import fetched
from tests.lab.test_lab import process_is_gone, wait_for

KERNEL = os.environ.get("LAB_KERNEL") or "6.1"


def demo(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "lab.demo", "--kernel", KERNEL, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=PROJECT,
        env={**os.environ, "PYTHONPATH": "packaging", "COLUMNS": "100"},
        start_new_session=True,
    )


@pytest.fixture
def running() -> Iterator[list[subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def test_serves_until_its_time_is_up(running: list[subprocess.Popen[str]]) -> None:
    process = demo("--for", "12")
    running.append(process)
    assert process.stdout is not None
    url = process.stdout.readline().split()[0]
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", url)
    table = [process.stdout.readline() for _ in range(4)]
    assert table[0].split() == ["series", "total", "/s", "mean", "99%"]
    assert b"/page/main.js" in fetched(url).body
    page = fetched(f"{url}metrics").body.decode()
    assert "\nstapwatch_vfs_latency_seconds_bucket{" in page
    assert "\nstapwatch_context_switches_total{" in page
    output, errors = process.communicate(timeout=400)
    assert process.returncode == 0, errors
    assert output.count("series ") == 1  # the second table, after ten seconds
    assert re.search(r"^vfs_latency_seconds\{.*ext4.*\} +\d+ +\d+\.\d .*s +<", output, re.M), output
    assert re.search(r"^\[lab\] not on this machine: .*lab instead", errors, re.M)
    assert re.search(r"^\[lab\] compiling scripts: \d+ of \d+ done", errors, re.M)


@pytest.mark.long
def test_serves_until_interrupted(running: list[subprocess.Popen[str]]) -> None:
    process = demo()
    running.append(process)
    assert process.stdout is not None
    url = process.stdout.readline().split()[0]
    started = children(process.pid)
    assert started
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 0
    for pid in started:
        wait_for(partial(process_is_gone, pid), f"the end of process {pid}")
    with pytest.raises(urllib.error.URLError):
        fetched(url, 5)


def test_termination_while_it_starts(running: list[subprocess.Popen[str]]) -> None:
    process = demo()
    running.append(process)
    assert process.stderr is not None
    for line in process.stderr:
        if "starting the agent" in line:
            break
    started = children(process.pid)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 130
    for pid in started:
        wait_for(partial(process_is_gone, pid), f"the end of process {pid}")


PAGE = """\
# TYPE stapwatch_io_seconds histogram
stapwatch_io_seconds_bucket{device="vda",le="0.001"} %d
stapwatch_io_seconds_bucket{device="vda",le="+Inf"} %d
stapwatch_io_seconds_sum{device="vda"} %f
stapwatch_io_seconds_count{device="vda"} %d
# TYPE stapwatch_calls_total counter
stapwatch_calls_total %d
# TYPE other_total counter
other_total 7
"""


def test_table() -> None:
    table = LiveTable({"stapwatch_io", "stapwatch_calls"})
    now = time.monotonic()
    table.update(PAGE % (9, 10, 0.005, 10, 100), now)
    assert [line.split() for line in table.lines(80)] == [
        ["series", "total", "/s", "mean", "99%"],
        ["calls", "100"],
        ["io_seconds{device=vda}", "10", "500", "us", "<inf"],
    ]
    table.update(PAGE % (1000, 1000, 0.5, 1000, 120), now + 10)
    assert [line.split() for line in table.lines(80)][1:] == [
        ["calls", "120", "2.0"],
        ["io_seconds{device=vda}", "1000", "99.0", "500", "us", "<1", "ms"],
    ]
    assert all(len(line) <= 80 for line in table.lines(80))


def test_durations() -> None:
    assert [duration(v) for v in (0, 2.5e-7, 0.00003, 0.25, 12.0)] == [
        "0 s",
        "250 ns",
        "30 us",
        "250 ms",
        "12 s",
    ]
