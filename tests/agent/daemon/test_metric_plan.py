# SPDX-License-Identifier: GPL-2.0-or-later
"""The configuration of the exposition, as a service's pages show it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from agent.exposition.render import Format
from tests.agent.conftest import Lines, run
from tests.agent.daemon.test_service import Agent, configure, serving
from tests.agent.pages import samples


async def created(agent: Agent) -> dict[str, float]:
    """By the name of the script's sample."""
    _, headers, page = await agent.get("/metrics", Accept="application/openmetrics-text")
    assert headers["content-type"] == Format.OPENMETRICS.value
    return {
        name: value
        for (name, _), value in samples(page, Format.OPENMETRICS).items()
        if name.startswith("stapwatch_app_") and name.endswith("_created")
    }


def test_created_samples_follow_the_configuration(tmp_path: Path, lines: Lines) -> None:
    """The time is the module's start, which a reload does not change."""

    async def work() -> None:
        async with serving(configure(tmp_path, app="ok 1")) as agent:
            [device] = agent.kernel.devices.values()
            assert await created(agent) == {}
            for wanted in ("true", "false", "true"):
                configure(tmp_path, f"created_samples: {wanted}", app="ok 1")
                agent.service.reload()
                started = device.header().started_ns / 1e9
                expected = {started} if wanted == "true" else set()
                while set((await created(agent)).values()) != expected:
                    await asyncio.sleep(0.01)

    run(work())
