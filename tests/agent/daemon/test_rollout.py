# SPDX-License-Identifier: GPL-2.0-or-later
"""The rollout in the agent: what is loaded, paused and armed as facts, times and other scripts say."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent.config import load
from agent.config.settings import CompileSettings, Settings
from agent.daemon.rollout import Rollout
from agent.daemon.supervisor import Supervisor
from agent.rollout.decide import iso
from agent.scripts.script import Script
from runtime.abi.structs import Breach, State
from runtime.reader.device import DeviceError
from runtime.support.record import replace
from tests.agent import standin
from tests.agent.conftest import Lines, run, until
from tests.agent.rollout.hosts import NOW, WEB
from tests.agent.standin import StandInDevice, StandInKernel

SKIPPED = 2 * 8  # bytes: skipped_lock in the counts of a probe


class Host:
    """A kernel, a state folder, and agents that follow one another. `now`: seconds since 1970, for decisions."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kernel = StandInKernel()
        self.now: float | None = NOW
        self.labels: dict[str, str] = {}
        self.supervisor = Supervisor(self.kernel, standin.compiler)
        self.rollout = Rollout(self.supervisor)

    def settings(self, *scripts: str) -> Settings:
        """Scripts as `name: {keys}`."""
        text = "\n".join(f"  {script}" for script in scripts)
        found = load.loads(f"script_folders: []\nscripts:\n{text}\n", str(self.folder / "x.yaml"))
        return replace(
            found,
            work_folder=self.folder / "run",
            cache_folder=self.folder / "cache",
            state_folder=self.folder / "state",
            compile=CompileSettings(timeout=30),
            host_labels=self.labels,
        )

    @contextlib.asynccontextmanager
    async def agent(self, *scripts: str) -> AsyncIterator[Rollout]:
        """An agent that has put these scripts in force. At the end it dies: its modules stay."""
        self.supervisor = Supervisor(self.kernel, standin.compiler)
        self.rollout = Rollout(
            self.supervisor,
            lambda labels: replace(WEB, labels=labels),
            lambda: time.time() if self.now is None else self.now,
        )
        following = asyncio.create_task(self.rollout.follow())
        try:
            await self.supervisor.loading.find_orphans()
            await self.rollout.apply(self.settings(*scripts))
            yield self.rollout
        finally:
            self.rollout.close()
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            await self.supervisor.arming.stop()
            for script in self.supervisor.scripts.values():
                if script.module is not None:
                    script.module.detach()
                    script.module.device.close()

    async def apply(self, *scripts: str) -> None:
        await self.rollout.apply(self.settings(*scripts))

    def script(self, name: str = "a") -> Script:
        return self.supervisor.scripts[name]

    def device(self, name: str = "a") -> StandInDevice:
        module = self.script(name).module
        assert module is not None and isinstance(module.device, StandInDevice)
        return module.device

    def states(self) -> dict[str, str]:
        """As users see them: those of scripts that are not loaded, too."""
        return {entry["name"]: entry["state"] for entry in self.rollout.status()}

    def reason(self, name: str = "a") -> str:
        [found] = [entry["reason"] for entry in self.rollout.status() if entry["name"] == name]
        return str(found)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_only_what_is_wanted_here_is_loaded(host: Host, lines: Lines) -> None:
    scripts = (
        "a: {text: ok 1, when: {labels: {tier: canary}}}",
        "b: {text: ok 1, percent: 100}",
        "c: {text: ok 1, enabled: false}",
    )

    async def work() -> None:
        async with host.agent(*scripts):
            assert host.states() == {"a": "off", "b": "running", "c": "off"}
            assert len(host.kernel.loaded) == 1
            assert host.rollout.absent() == ["off"], "what a file disables is no rollout's matter"
            why = "label 'tier' is not set, and must be 'canary'"
            assert f"script a is off on this host: {why}" in lines.texts
            host.labels = {"tier": "canary"}
            kept = host.device("b")
            await host.apply(*scripts)
            assert host.states() == {"a": "running", "b": "running", "c": "off"}
            assert host.device("b") is kept
            host.labels = {}
            await host.apply(*scripts)
            assert host.states()["a"] == "off" and "a" not in host.supervisor.scripts
        assert sum("script a is off" in text for text in lines.texts) == 2
        assert not any("script c" in text for text in lines.texts)

    run(work())


def test_from_and_until_come_by_themselves(host: Host, lines: Lines) -> None:
    """No reload, and no file is read for it."""
    host.now = None
    start, end = time.time() + 0.7, time.time() + 2.2
    times = [
        time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(t)) + f"{t % 1:.6f}"[1:] + "Z"
        for t in (start, end)
    ]
    (host.folder / "a.stp").write_text("ok 1")

    async def work() -> None:
        async with host.agent(f"a: {{file: a.stp, from: {times[0]!r}, until: {times[1]!r}}}"):
            if time.time() < start:
                assert host.states() == {"a": "waiting"}
                assert host.reason().startswith(f"it starts at {iso(start)}, in ")
            (host.folder / "a.stp").write_text("ok 2")
            await until(lambda: host.states() == {"a": "running"})
            assert time.time() >= start
            await until(lambda: host.states() == {"a": "off"})
            assert time.time() >= end
            await until(lambda: not host.kernel.loaded)

    run(work())


AFTER = ("a: {text: ok 1, after: {script: b, for: 500ms}}", "b: {text: ok 1}")


def test_a_script_starts_once_another_has_run_well(host: Host, lines: Lines) -> None:
    async def work() -> None:
        started = time.monotonic()
        async with host.agent(*AFTER):
            assert host.states() == {"a": "waiting", "b": "running"}
            assert host.reason().startswith(
                "waits for 'b' to run 0 s without losses or breaches; it"
            )
            await until(lambda: host.states()["a"] == "running")
            assert time.monotonic() - started >= 0.5
            # it need not wait again: not while it runs, and not for the next agent
            await host.apply(*AFTER)
            assert host.states()["a"] == "running"
        async with host.agent(*AFTER):
            assert host.states()["a"] == "running"
            await host.apply("a: {text: ok 2, after: {script: b, for: 1h}}", AFTER[1])
            assert host.states()["a"] == "waiting", "another text"
            await host.supervisor.stop()

    run(work())


@pytest.mark.parametrize("what", ["breach", "loss", "failure"])
def test_a_script_that_does_not_run_well_holds_back_the_other(
    host: Host, lines: Lines, what: str
) -> None:
    async def work() -> None:
        async with host.agent(AFTER[0].replace("500ms", "1s"), AFTER[1]):
            device = host.device("b")
            if what == "breach":
                device.breach(Breach.CPU, 1, 61_234, 50_000)
                await until(lambda: host.script("b").shown == "disarmed")
                device.set_state(State.RUNNING)
                host.script("b").rearming.armed()
            elif what == "loss":
                device.writer.in_lane(0, device.manifest().probe_counts + SKIPPED, 3)
            else:
                device.exit()
                await until(lambda: host.states()["b"] == "exited")
            started = time.monotonic()
            if what == "failure":
                await asyncio.sleep(1.3)  # longer than it would wait
                assert host.states()["a"] == "waiting"
            else:
                await until(lambda: host.states()["a"] == "running")
                assert time.monotonic() - started >= 1.0, "it counts from where the loss was found"
            await host.supervisor.stop()

    run(work())


PAUSED = "a: {text: ok 1, arm: paused}"


def test_a_paused_script_is_loaded_and_never_started(host: Host, lines: Lines) -> None:
    """Until a person arms it; and that holds for the next agent, and until the text changes."""

    async def work() -> None:
        async with host.agent(PAUSED):
            assert host.states() == {"a": "paused"} and host.supervisor.settled
            assert host.script().why == "to arm it: stapwatch arm a"
            assert len(host.kernel.loaded) == 1 and host.device().budgets == []
            assert not [done for done in host.kernel.done if done.startswith("start")]
            assert host.supervisor.arming.problem == ""
            assert await host.supervisor.arm("a") == (True, "script a is armed")
            assert host.states() == {"a": "running"} and len(host.device().budgets) == 1
            kept = host.device()
            await host.apply(PAUSED)
            assert host.states() == {"a": "running"} and host.device() is kept
        async with host.agent(PAUSED):
            assert host.states() == {"a": "running"}
            await host.apply(PAUSED.replace("ok 1", "ok 2"))
            assert host.states() == {"a": "paused"} and host.device().budgets == []
            await host.apply("a: {text: ok 2}")
            assert host.states() == {"a": "running"} and len(host.device().budgets) == 1
            await host.supervisor.stop()
        assert host.kernel.loaded == {}

    run(work())


def test_a_paused_script_that_cannot_be_started(
    host: Host, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(device: StandInDevice, *limits: object) -> None:
        device.writer.header[12] = State.STOPPED
        device.writer.put_header()
        raise DeviceError(errno.ENOENT, "no such function")

    async def work() -> None:
        async with host.agent(PAUSED):
            monkeypatch.setattr(StandInDevice, "start", refuse)
            done, text = await host.supervisor.arm("a")
            assert not done and text.startswith("script a is ")
            assert "script a is not armed: no such function" in lines.texts
            host.supervisor.tick()
            await until(lambda: host.script().reason)
            assert host.script().reason == "it cannot be started: no such function"
            await host.supervisor.stop()

    run(work())


def test_what_was_never_armed_has_not_proven_itself(host: Host, lines: Lines) -> None:
    """A crash of the machine says nothing about it, and a minute neither."""
    record = host.folder / "state/scripts/a.json"

    async def work() -> None:
        async with host.agent(PAUSED):
            await until(lambda: not record.exists() or '"starting": null' in record.read_text())
            await host.supervisor.arm("a")
            assert '"starting": {' in record.read_text()
            await host.supervisor.stop()

    run(work())


def test_a_running_script_is_paused_by_the_configuration(host: Host, lines: Lines) -> None:
    """Its values stay, and neither a pause's end nor another agent arms it again."""

    async def work() -> None:
        async with host.agent("a: {text: ok 1}"):
            host.device().count(7)
            await host.apply(PAUSED)
            assert host.states() == {"a": "paused"}
            assert "script a is paused, its values stay" in lines.texts
            assert sum(host.script().rearming.counts.values()) == 0, "no breach"
            module = host.script().module
            assert module is not None and module.snapshot().tables[0].values == [7]
            host.supervisor.tick()
            await host.apply(PAUSED)
            assert host.device().state is State.DISARMED
        async with host.agent(PAUSED):
            assert host.states() == {"a": "paused"}
            host.supervisor.tick()
            assert host.device().state is State.DISARMED
            assert await host.supervisor.arm("a") == (True, "script a is armed")
            assert host.states() == {"a": "running"}
            module = host.script().module
            assert module is not None and module.snapshot().tables[0].values == [7]
            await host.supervisor.stop()

    run(work())


def test_variants(host: Host, lines: Lines) -> None:
    """The first that compiles runs; a better one replaces it as soon as it compiles."""
    (host.folder / "new.stp").write_text("bad")
    (host.folder / "old.stp").write_text("ok old")

    async def work() -> None:
        async with host.agent("a: {variants: [new.stp, old.stp]}"):
            [entry] = host.rollout.status()
            assert (entry["state"], entry["variant"]) == ("running", "old")
            revision = entry["revision"]
            assert not [e for e in lines.entries if e["level"] == "error"]
            (host.folder / "new.stp").write_text("ok new")
            await host.apply("a: {variants: [new.stp, old.stp]}")
            [entry] = host.rollout.status()
            assert (entry["state"], entry["variant"]) == ("running", "new")
            assert entry["revision"] != revision
            await host.supervisor.stop()

    run(work())


def test_a_quarantine_ends_with_the_text_and_not_with_the_kernel(host: Host, lines: Lines) -> None:
    """A module of the same text for another kernel has another identity."""
    off = "a: {text: %s, args: [%s], budgets: {pauses: off}}"

    async def work() -> None:
        async with host.agent(off % ("ok 1", "x")):
            host.device().breach(Breach.CPU, 1, 61_234, 50_000)
            await until(lambda: host.states() == {"a": "quarantined"})
            await host.supervisor.arming.stop()
            await host.supervisor.stop()
        async with host.agent(off % ("ok 1", "y")):
            assert host.states() == {"a": "quarantined"} and host.kernel.loaded == {}
            await host.apply(off % ("ok 2", "y"))
            assert host.states() == {"a": "running"}
            await host.supervisor.stop()

    run(work())


def test_what_the_page_says(host: Host, lines: Lines) -> None:
    host.labels = {"tier": "canary"}

    async def work() -> None:
        async with host.agent("a: {text: ok 1, percent: 100}", "b: {text: ok 1, percent: 0}"):
            script, facts, kernel = host.rollout.metrics()
            assert [s.labels["release"] for s in kernel.samples] == [
                facts.samples[0].labels["kernel"]
            ]
            assert [(s.labels, s.value) for s in script.samples] == [
                ({"script": "a", "revision": "c57b302165cb", "cohort": "100%", "variant": "", "state": "running", "file": ""}, 1),
                ({"script": "b", "revision": "c57b302165cb", "cohort": "rest", "variant": "", "state": "off", "file": ""}, 1),
            ]  # fmt: skip
            [sample] = facts.samples
            assert sample.labels["label_tier"] == "canary" and sample.labels["cpus"] == "4"
            assert "machine_id" not in sample.labels
            await host.supervisor.stop()

    run(work())


def test_a_slow_compile_delays_no_other_decision(host: Host, lines: Lines) -> None:
    """The times of other scripts are kept."""
    host.now = None

    async def work() -> None:
        start = iso(int(time.time()) + 2)
        async with host.agent("a: {text: ok 1}"):
            slow = asyncio.create_task(
                host.apply("a: {text: hang}", f"b: {{text: ok 1, from: {start!r}}}")
            )
            await until(lambda: host.rollout.decisions.get("b"))
            await until(lambda: host.rollout.decisions["b"].is_loaded)
            assert not slow.done()
            slow.cancel()
            await host.supervisor.stop()
            await asyncio.gather(slow, return_exceptions=True)

    run(work())
