# SPDX-License-Identifier: GPL-2.0-or-later
"""The switches that keep everything unloaded, and what the agent says and does when one is thrown."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from agent.cli import status_table
from agent.daemon import off_switch
from agent.daemon.service import Service
from runtime.abi.structs import State
from tests.agent import standin
from tests.agent.conftest import Lines, run, until
from tests.agent.daemon.test_service import Agent, configure
from tests.agent.standin import StandInKernel


def root(folder: Path, command_line: str, file: bool = False) -> Path:
    (folder / "proc").mkdir()
    (folder / "proc/cmdline").write_text(f"{command_line}\n")
    if file:
        (folder / "etc/stapwatch").mkdir(parents=True)
        (folder / "etc/stapwatch/disabled").touch()
    return folder


@pytest.mark.parametrize(
    ("command_line", "file", "words"),
    [
        ("quiet stapwatch=off ro", False, "the kernel was booted with stapwatch=off; remove it"),
        ("quiet", True, "/etc/stapwatch/disabled exists; remove it, and reload"),
        ("quiet", False, ""),
        ("quiet nostapwatch=off stapwatch=offline", False, ""),
    ],
)
def test_reasons(tmp_path: Path, command_line: str, file: bool, words: str) -> None:
    found = off_switch.reason(root(tmp_path, command_line, file))
    assert words in found and bool(found) == bool(words)


def test_a_switch_unloads_and_loads_again_at_a_reload(tmp_path: Path, lines: Lines) -> None:
    """The agent is ready and serves its own metrics all the time."""
    path, why = configure(tmp_path, a="ok 1", z="ok 2"), [""]

    async def work() -> None:
        kernel = StandInKernel()
        service = Service(path, (), kernel, standin.compiler, lambda: why[0])
        task = asyncio.create_task(service.run())
        agent = Agent(service, kernel)
        await agent.ready()
        assert len(kernel.loaded) == 2 and await agent.metric("stapwatch_disabled") == 0
        why[0] = "/etc/stapwatch/disabled exists"
        service.reload()
        await until(lambda: not kernel.loaded)
        await until(lambda: any("ready: off" in text for text in lines.texts))
        assert (await agent.get("/-/ready"))[0] == 200
        assert await agent.metric("stapwatch_disabled") == 1
        tree = json.loads((await agent.get("/status"))[2])
        assert (tree["disabled"], tree["scripts"]) == (why[0], [])
        said = "stapwatch is off, no script is loaded: /etc/stapwatch/disabled exists"
        assert status_table.table(tree, 0) == said
        why[0] = ""
        service.reload()
        await until(lambda: len(kernel.loaded) == 2)
        service.stop()
        assert await task == 0

    run(work())


def test_modules_of_an_agent_that_died_are_unloaded(tmp_path: Path, lines: Lines) -> None:
    path = configure(tmp_path, a="ok 1")

    async def work() -> None:
        kernel = StandInKernel()
        kernel.put(standin.manifest("ok 1", "a", "[[], {}]"), State.RUNNING)
        service = Service(path, (), kernel, standin.compiler, lambda: "it is off")
        task = asyncio.create_task(service.run())
        await Agent(service, kernel).ready()
        assert kernel.loaded == {}
        service.stop()
        assert await task == 0

    run(work())
