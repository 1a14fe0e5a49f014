# SPDX-License-Identifier: GPL-2.0-or-later
"""What an operator asks a running agent, over its socket: status, one script's status, disarm, arm, reload."""

from __future__ import annotations

import asyncio
import io
import json
import os
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from agent.cli import main
from agent.daemon import rates
from agent.daemon.service import Service
from agent.exposition.render import Format
from runtime.abi.structs import Breach, EventKind, State
from runtime.reader.device import DeviceError
from tests import PROJECT
from tests.agent import standin
from tests.agent.conftest import Lines, run, until
from tests.agent.daemon.test_service import Agent, configure, serving
from tests.agent.pages import parsed
from tests.agent.standin import StandInDevice, StandInKernel
from tests.runtime.images import event


def command(path: Path, *words: str) -> tuple[int, str]:
    """A subcommand of an agent that runs in another thread of this process: its status and its output."""
    out = io.StringIO()
    with redirect_stdout(out), redirect_stderr(out):
        status = main.main([words[0], "--config", str(path), *words[1:]])
    return status, out.getvalue()


async def ask(path: Path, *words: str) -> tuple[int, str]:
    return await asyncio.to_thread(command, path, *words)


async def tree(path: Path, *words: str) -> dict[str, Any]:
    _, text = await ask(path, "status", "--json", *words)
    found: dict[str, Any] = json.loads(text)
    return found


def device_of(agent: Agent, script: str) -> StandInDevice:
    """That of the newest module."""
    names = [name for name in agent.kernel.loaded if name.startswith(f"sw_{script}_")]
    return agent.kernel.devices[names[-1]]


def count_hits(device: StandInDevice, lane: int, *words: int) -> None:
    """The counters of the first probe: hits, skipped, locked, errors, ns."""
    device.writer.in_lane(lane, 0, *words)


async def states(agent: Agent) -> dict[str, str]:
    """As the metrics have them."""
    families = parsed((await agent.get("/metrics"))[2], Format.TEXT)
    info = families["stapwatch_script_info"].samples
    state = [s.labels for s in families["stapwatch_script_state"].samples if s.value]
    assert {s["script"]: s["state"] for s in state}.items() <= {
        s.labels["script"]: s.labels["state"] for s in info
    }.items() | {("wrong", "failed")}
    return {s.labels["script"]: s.labels["state"] for s in info}


def test_numbers_are_those_of_the_modules(tmp_path: Path, lines: Lines) -> None:
    """Rates are measured while somebody waits; without that there are none."""
    path = configure(tmp_path, a="ok 1", z="ok 2")

    async def work() -> None:
        async with serving(path) as agent:
            device = device_of(agent, "a")
            count_hits(device, 0, 1000, 1, 2, 3, 96_000)
            plain = (await tree(path, "--seconds", "0"))["scripts"][0]
            expected = {
                "name": "a",
                "state": "running",
                "hits": 1000,
                "cost_ns": 96.0,
                "cpu_seconds": 0.000_096,
                "hits_per_second": None,
                "cpu_share": None,
                "series": 1,
                "series_limit": 200_000,
                "memory_bytes": 1 << 20,
                "lost": 3,
                "losses": {"reentrant": 1, "lock": 2, "error": 3},
                "complete": False,
                "last_error": None,
            }
            assert {key: plain[key] for key in expected} == expected
            assert plain["revision"] and plain["since"] > 0

            asked = asyncio.create_task(agent.get("/status?seconds=0.5"))
            await until(lambda: agent.service._supervisor.scripts["a"].module is not None)
            await asyncio.sleep(0)
            growing = asyncio.create_task(keep_counting(device, asked))
            _, _, body = await asked
            await growing
            a, z = json.loads(body)["scripts"]
            assert a["hits_per_second"] > 0 and a["cpu_share"] > 0
            # each hit took 100 ns, on one of the CPUs
            cpus = os.sysconf("SC_NPROCESSORS_ONLN")
            assert a["cpu_share"] == pytest.approx(a["hits_per_second"] * 100e-9 / cpus, rel=1e-3)
            assert (z["hits_per_second"], z["cpu_share"]) == (0.0, 0.0)
            assert (await agent.get("/status?seconds=x"))[0] == 400
            assert (await agent.get("/status?seconds=61"))[0] == 400

    run(work())


async def keep_counting(device: StandInDevice, until_done: asyncio.Task[Any]) -> None:
    hits = 1000
    while not until_done.done():
        hits += 10
        count_hits(device, 0, hits, 1, 2, 3, 96_000 + (hits - 1000) * 100)
        await asyncio.sleep(0.001)


def test_one_script_in_full(tmp_path: Path, lines: Lines) -> None:
    path = configure(tmp_path, a="ok 1", z="ok 2")

    async def work() -> None:
        async with serving(path) as agent:
            device = device_of(agent, "a")
            count_hits(device, 0, 10, 0, 0, 0, 1000)
            error = event(EventKind.ERROR, error_text("division by 0"), site=0xFFFFFFFF, probe=1)
            os.write(device.write_end, error * 3)
            script = agent.service._supervisor.scripts["a"]
            await until(lambda: script.log.errors.newest_first())
            found = await tree(path, "a", "--seconds", "0.01")
            [a] = found["scripts"]
            assert a["last_error"]["text"] == "division by 0" == a["recent_errors"][0]["text"]
            assert (a["last_error"]["count"], a["last_error"]["module"]) == (3, a["module"])
            [metric] = a["metrics"]
            assert (metric["global"], metric["family"], metric["type"], metric["series"]) == (
                *("hits", "stapwatch_a_hits", "counter", 1),
            )
            assert [h["hits"] for h in a["hooks"]] == [10, 0]
            assert [h["cost_ns"] for h in a["hooks"]] == [100.0, None]
            assert [h["hits_per_second"] for h in a["hooks"]] == [0.0, 0.0]
            assert a["budgets"]["cpu_share"] == 0.05
            assert {loss["reason"] for loss in a["losses_by_reason"]} >= {"missed", "log_rate"}
            status, text = await ask(path, "status", "a")
            assert status == 0 and text.startswith("script a: running for ")
            assert "stapwatch_a_hits" in text and 'kernel.function("f0")' in text
            assert "3 times  division by 0" in text
            assert await ask(path, "status", "c") == (
                *(1, "error: there is no script 'c'; scripts: a, z\n"),
            )

    run(work())


def error_text(text: str) -> bytes:
    from tests.runtime.images import encoded

    return encoded(text)


def test_disarm_holds_until_a_person_arms(tmp_path: Path, lines: Lines) -> None:
    """Over a reload with another text, and in the next agent; values are served, and no reload fails."""
    path = configure(tmp_path, a="ok 1", z="ok 2")
    kernel = StandInKernel()

    async def first() -> None:
        async with an_agent(path, kernel, lambda s: s.stop(15)) as agent:
            device = device_of(agent, "a")
            device.count(7)
            expected = "script a is disarmed, until: stapwatch arm a\n"
            assert await ask(path, "disarm", "a") == (0, expected)
            assert device.header().state is State.DISARMED
            assert await ask(path, "disarm", "a") == (0, expected), "again"
            assert await agent.metric("stapwatch_a_hits_total") == 7
            assert await states(agent) == {"a": "disarmed_by_operator", "z": "running"}
            told = [text for text in lines.texts if "disarmed by the operator" in text]
            assert told[0] == (
                "script a is disarmed by the operator, its values stay, until: stapwatch arm a"
            )
            status, text = await ask(path, "status", "--seconds", "0")
            assert status == 0 and "it was disarmed by the operator" in text
            _, plan = await ask(path, "plan")
            assert "disarmed by the operator; to arm it: stapwatch arm a" in plan
            configure(tmp_path, a="ok 3", z="ok 2")
            status, text = await ask(path, "reload")
            assert status == 0, text
            assert device_of(agent, "a").header().state is State.LOADED
            assert (await states(agent))["a"] == "disarmed_by_operator"
            assert (await ask(path, "disarm", "c"))[0] == 1

    async def second() -> None:
        async with an_agent(path, kernel, lambda s: s.stop(2)) as agent:
            assert (await states(agent))["a"] == "disarmed_by_operator"
            device = device_of(agent, "a")
            assert device.header().state is not State.RUNNING
            assert await ask(path, "arm", "a") == (0, "script a is armed\n")
            assert device.header().state is State.RUNNING
            status, text = await ask(path, "reload")
            assert status == 0, text
            assert await states(agent) == {"a": "running", "z": "running"}

    run(first())
    run(second())


def test_disarm_in_every_state(tmp_path: Path, lines: Lines) -> None:
    """A pause of a budget does not end it, and `arm` ends all of it at once; a script that fails stays off."""
    path = configure(tmp_path, "budgets: {pauses: [10ms]}", a="ok 1", bad="bad", q="ok 2")

    async def work() -> None:
        async with serving(path) as agent:
            scripts, device = agent.service._supervisor.scripts, device_of(agent, "a")
            device.breach(Breach.CPU, 1, 61_234, 50_000)
            assert (await ask(path, "disarm", "a"))[0] == 0
            await until(lambda: scripts["a"].shown == "disarmed_by_operator")
            for _ in range(3):
                agent.service._supervisor.tick()
            assert device.header().state is State.DISARMED, "its pause is over"
            assert (await ask(path, "arm", "a"))[0] == 0
            assert (device.header().state, scripts["a"].shown) == (State.RUNNING, "running")

            quarantined = device_of(agent, "q")
            for _ in range(2):
                quarantined.breach(Breach.CPU, 1, 61_234, 50_000)
                await until(lambda: scripts["q"].shown in ("disarmed", "quarantined"))
                await until(lambda: scripts["q"].shown in ("running", "quarantined"))
            assert scripts["q"].shown == "quarantined"
            assert (await ask(path, "disarm", "q"))[0] == 0
            assert (await ask(path, "arm", "q"))[0] == 0
            assert scripts["q"].shown == "running" and not scripts["q"].settings.held

            assert (await ask(path, "disarm", "bad"))[0] == 0
            configure(tmp_path, "budgets: {pauses: [10ms]}", a="ok 1", bad="ok 3", q="ok 2")
            assert (await ask(path, "reload"))[0] == 0
            assert scripts["bad"].shown == "disarmed_by_operator"
            assert device_of(agent, "bad").header().state is State.LOADED
            assert (await ask(path, "arm", "bad"))[0] == 0
            assert device_of(agent, "bad").header().state is State.RUNNING
            device.exit()
            await until(lambda: scripts["a"].shown == "exited")
            status, text = await ask(path, "disarm", "a")
            assert (status, text.startswith("error: script a has ended by itself")) == (1, True)

    run(work())


def test_a_disarm_that_fails_says_so(
    tmp_path: Path, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = configure(tmp_path, a="ok 1")

    def no(device: StandInDevice) -> None:
        raise DeviceError(5, "cannot disarm module sw_a: Input/output error")

    async def work() -> None:
        async with serving(path):
            monkeypatch.setattr(StandInDevice, "disarm", no)
            assert await ask(path, "disarm", "a") == (
                *(1, "error: script a is not disarmed: it is running; the log says why\n"),
            )
            assert any("Input/output error" in text for text in lines.texts)

    run(work())


def test_a_script_that_compiles_is_not_armed_after_it(tmp_path: Path, lines: Lines) -> None:
    """The word comes while its first module is being compiled."""
    gate = tmp_path / "gate"
    path = configure(tmp_path, a=f"after {gate}")

    async def work() -> None:
        kernel = StandInKernel()
        service = Service(path, (), kernel, standin.compiler)
        task = asyncio.create_task(service.run())
        scripts = service._supervisor.scripts
        await until(lambda: "a" in scripts and scripts["a"].shown == "compiling")
        assert (await ask(path, "disarm", "a"))[0] == 0
        gate.touch()
        await until(lambda: scripts["a"].shown == "disarmed_by_operator")
        assert kernel.devices[next(iter(kernel.loaded))].header().state is not State.RUNNING
        service.stop()
        assert await task == 0

    run(work())


def test_rates_of_a_module_that_is_replaced(tmp_path: Path, lines: Lines) -> None:
    """There are none: the counters are others."""
    path = configure(tmp_path, a="ok 1", z="ok 2")

    async def work() -> None:
        async with serving(path) as agent:
            scripts = agent.service._supervisor.scripts

            async def replace_it(seconds: float) -> None:
                before = scripts["a"].module
                configure(tmp_path, a="ok 3", z="ok 2")
                agent.service.reload()
                await until(lambda: scripts["a"].module is not before)

            assert set(await rates.measure(scripts, 1, replace_it)) == {"z"}
            assert set(await rates.measure(scripts, 0.01)) == {"a", "z"}

    run(work())


class an_agent:
    """An agent on a kernel that outlives it. `end`: how it is asked to end."""

    def __init__(self, path: Path, kernel: StandInKernel, end: Callable[[Service], object]) -> None:
        self.service = Service(path, (), kernel, standin.compiler)
        self.kernel, self.end = kernel, end

    async def __aenter__(self) -> Agent:
        self.task = asyncio.create_task(self.service.run())
        agent = Agent(self.service, self.kernel)
        await agent.ready()
        return agent

    async def __aexit__(self, *_: object) -> None:
        self.end(self.service)
        assert await self.task == 0


def test_what_is_refused_has_a_row(tmp_path: Path, lines: Lines) -> None:
    """A script whose settings are wrong is not decided about, and a rollout's query must see it."""
    path = configure(tmp_path, "scripts: {a: {colour: red}}", a="ok 1", z="ok 2")

    async def work() -> None:
        async with serving(path) as agent:
            families = parsed((await agent.get("/metrics"))[2], Format.TEXT)
            info = families["stapwatch_script_info"].samples
            assert {s.labels["script"]: s.labels["state"] for s in info} == {
                "a": "refused",
                "z": "running",
            }
            files = {s.labels["script"]: Path(s.labels["file"]).name for s in info}
            assert files == {"a": "", "z": "z.stp"}

    run(work())


def test_every_name_is_documented(tmp_path: Path, lines: Lines) -> None:
    """docs/status.md explains the names that programs read, and no others."""
    path = configure(tmp_path, "modules: ['file:///srv/store']", a="ok tables")

    async def work() -> None:
        async with serving(path) as agent:
            device = device_of(agent, "a")
            device.say()
            os.write(
                device.write_end, event(EventKind.ERROR, error_text("no"), site=0xFFFFFFFF, probe=1)
            )
            script = agent.service._supervisor.scripts["a"]
            await until(lambda: script.log.errors.newest_first())
            found = await tree(path, "a", "--seconds", "0.01")
            await until(lambda: script.log.recent.after(0))
            parts = "/status?script=a&parts=values,text,lines"
            long = json.loads((await agent.get(parts))[2])
            names = {*names_of(found), *names_of(long)} - {"error"}
            documented = documented_names()
            assert names - documented == set()
            assert documented - names <= set(MAY_LACK)

    run(work())


MAY_LACK = ("error", "function", "errno", "reason", "reentrant")


def names_of(value: Any) -> list[str]:
    if isinstance(value, list):
        return [name for item in value for name in names_of(item)]
    if not isinstance(value, dict):
        return []
    found = []
    for name, inner in value.items():
        found += [name, *([] if name == "losses" else names_of(inner))]
    return found


def documented_names() -> set[str]:
    found = set()
    for line in (PROJECT / "docs/status.md").read_text().splitlines():
        if line.startswith("| `"):
            found |= {part.strip(" `") for part in line.split("|")[1].split(",")}
    return found
