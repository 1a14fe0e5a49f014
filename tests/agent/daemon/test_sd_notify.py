# SPDX-License-Identifier: GPL-2.0-or-later
"""Messages to systemd, through a real notify socket."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.daemon.sd_notify import Notifier, watchdog_period
from tests.agent.conftest import run


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    path = str(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(path)
        listener.settimeout(30)
        yield listener


def test_messages(systemd: socket.socket) -> None:
    notifier = Notifier()
    notifier.ready("2 running\nfine")
    assert systemd.recv(999) == b"READY=1\nSTATUS=2 running fine"
    before = time.monotonic_ns() // 1000
    notifier.reloading()
    first, second, third = systemd.recv(999).decode().split("\n")
    assert (first, third) == ("RELOADING=1", "STATUS=reloading")
    name, _, value = second.partition("=")
    assert name == "MONOTONIC_USEC" and before <= int(value) <= time.monotonic_ns() // 1000
    notifier.extend(2.5)
    assert systemd.recv(999) == b"EXTEND_TIMEOUT_USEC=2500000"
    notifier.stopping()
    assert systemd.recv(999) == b"STOPPING=1\nSTATUS=stopping"


def test_watchdog_is_fed_by_the_loop(
    systemd: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "20000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))

    async def work() -> None:
        notifier = Notifier()
        notifier.start_watchdog()
        for _ in range(3):
            assert await asyncio.to_thread(systemd.recv, 999) == b"WATCHDOG=1"
        notifier.stop_watchdog()

    run(work())


def test_a_busy_systemd_does_not_hold_the_loop(
    systemd: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its queue is full: what repeats itself is dropped, and the next keep-alive arrives when there is room."""
    monkeypatch.setenv("WATCHDOG_USEC", "2000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)

    async def work() -> None:
        notifier = Notifier()
        for number in range(2000):
            notifier.status(f"{number} scripts left")
        notifier.start_watchdog()
        await asyncio.sleep(0.01)
        systemd.settimeout(0)
        with contextlib.suppress(BlockingIOError):
            while True:
                systemd.recv(999)
        systemd.settimeout(30)
        assert await asyncio.to_thread(systemd.recv, 999) == b"WATCHDOG=1"
        notifier.stop_watchdog()

    run(work())


def test_watchdog_of_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "20000000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    assert watchdog_period() == 20.0
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert watchdog_period() is None
    monkeypatch.setenv("WATCHDOG_PID", "")
    monkeypatch.setenv("WATCHDOG_USEC", "0")
    assert watchdog_period() is None


def test_without_systemd_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    Notifier().ready("fine")
