# SPDX-License-Identifier: GPL-2.0-or-later
"""Disarms: pauses, quarantine, a person's word, changed budgets, restarts, and the total of all scripts."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from agent.config.budgets import Budgets, TotalBudgets
from agent.config.settings import CompileSettings, ScriptSettings, Settings
from agent.config.yaml_tree import Position
from agent.daemon import status_tree
from agent.daemon.self_metrics import Health, SelfMetrics
from agent.daemon.supervisor import Supervisor
from agent.scripts.module_control import for_kernel
from agent.scripts.script import Script
from agent.scripts.script_records import Record, ScriptRecords, Starting
from runtime.abi import structs
from runtime.abi.structs import Breach, State
from runtime.support.boot import boot_id
from runtime.support.record import replace
from tests.agent import standin
from tests.agent.conftest import Lines, run, until
from tests.agent.standin import StandInDevice, StandInKernel

HERE = Position("test.yaml", 1, 1)
KEY = "[[], {}]"
DEFAULT = Budgets()


class Machine:
    """A kernel, a state folder, and agents that follow one another. `now`: seconds."""

    def __init__(self, folder: Path) -> None:
        self.kernel = StandInKernel()
        self.records = ScriptRecords(folder / "state")
        self.now = 1000.0
        self.settings = Settings(
            work_folder=folder / "run",
            cache_folder=folder / "cache",
            state_folder=folder / "state",
            compile=CompileSettings(timeout=30),
        )

    def wanting(self, budgets: Budgets = DEFAULT, **scripts: str) -> Settings:
        made = {
            name: ScriptSettings(name, HERE, text=text, budgets=budgets)
            for name, text in scripts.items()
        }
        return replace(self.settings, scripts=made)

    def agent(self) -> Supervisor:
        return Supervisor(self.kernel, standin.compiler, clock=lambda: self.now)

    def device(self, supervisor: Supervisor, name: str = "a") -> StandInDevice:
        module = supervisor.scripts[name].module
        assert module is not None and isinstance(module.device, StandInDevice)
        return module.device

    def dies(self, supervisor: Supervisor) -> None:
        """The agent ends without a word; its modules stay."""
        for script in supervisor.scripts.values():
            if script.module is not None:
                script.module.detach()
                script.module.device.close()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


async def disarmed(script: Script, device: StandInDevice, why: Breach = Breach.CPU) -> None:
    """The kernel disarms a script, and the agent notices it by the event alone."""
    before = sum(script.rearming.counts.values())
    device.breach(why, 1, 61_234, 50_000)
    await until(lambda: sum(script.rearming.counts.values()) == before + 1)


def entries(lines: Lines, words: str) -> list[dict[str, object]]:
    return [entry for entry in lines.entries if words in entry["event"]]


def test_a_disarmed_script_is_armed_again(machine: Machine, lines: Lines) -> None:
    """Its values are served meanwhile, and everything says why it is disarmed."""

    async def work() -> None:
        supervisor = machine.agent()
        await supervisor.apply(machine.wanting(a="ok 1"))
        script, device = supervisor.scripts["a"], machine.device(supervisor)
        assert device.budgets == [for_kernel(Budgets())]
        assert device.budgets[0] == structs.Budgets(50_000, 100_000, 50_000_000, 0)
        device.count(7)
        await disarmed(script, device)
        assert script.shown == "disarmed" and supervisor.settled
        assert script.module is not None and script.module.snapshot().tables[0].values == [7]
        why = 'took 6.12 % of the time of all CPUs, and the budget cpu is 5 %; most of it was kernel.function("f1")'
        [entry] = entries(lines, "it is disarmed, its values stay, and it is armed again in 1 s")
        assert entry["event"].startswith(f"script a {why}")  # type: ignore[attr-defined]
        fields = ("level", "script", "budget", "probe", "value", "limit", "pause_seconds")
        assert [entry[name] for name in fields] == [
            *("warning", "a", "cpu", 'kernel.function("f1")', 61_234, 50_000, 1),
        ]
        tree = status_tree.status(Health(), True, (), supervisor.scripts, {})["scripts"][0]
        assert (tree["state"], tree["reason"]) == (
            "disarmed",
            f"it {why}; it is armed again in 1 s",
        )
        assert tree["disarmed"] == {
            "times": 1,
            "seconds": 0.0,
            "budget": "cpu",
            "probe": 'kernel.function("f1")',
            "value": 61_234,
            "limit": 50_000,
            "armed_in_seconds": 1.0,
        }
        supervisor.tick()
        machine.now += 1
        supervisor.tick()
        await until(lambda: script.shown == "running")
        assert device.header().state is State.RUNNING, "not before its hooks are attached"
        assert machine.kernel.done[-1] == f"arm {device.name}"
        assert entries(lines, "script a is armed again")
        supervisor.tick()
        assert script.shown == "running", "one disarm is noticed once"
        await supervisor.stop()

    run(work())


def test_metrics_of_disarms(machine: Machine, lines: Lines) -> None:
    async def work() -> None:
        supervisor = machine.agent()
        await supervisor.apply(machine.wanting(a="ok 1"))
        script, device = supervisor.scripts["a"], machine.device(supervisor)
        metrics = SelfMetrics(Health(), supervisor.scripts)

        def value(name: str, **labels: str) -> float | None:
            return metrics.registry.get_sample_value(name, {"script": "a", **labels})

        assert value("stapwatch_script_disarmed_total", budget="one_cpu") == 0
        await disarmed(script, device, Breach.ONE_CPU)
        machine.now += 3
        assert value("stapwatch_script_disarmed_total", budget="one_cpu") == 1
        assert value("stapwatch_script_disarmed_total", budget="cpu") == 0
        assert value("stapwatch_script_disarmed_seconds_total") == 3
        assert value("stapwatch_script_state", state="disarmed") == 1
        assert value("stapwatch_script_state", state="running") == 0
        await supervisor.stop()

    run(work())


def test_quarantine_ends_by_a_persons_word(machine: Machine, lines: Lines) -> None:
    async def work() -> None:
        supervisor = machine.agent()
        await supervisor.apply(machine.wanting(Budgets(pauses=(1,)), a="ok 1"))
        script, device = supervisor.scripts["a"], machine.device(supervisor)
        assert await supervisor.arm("a") == (False, "script a is not disarmed: it is running")
        assert await supervisor.arm("b") == (False, "there is no script 'b'; scripts: a")
        await disarmed(script, device)
        machine.now += 1
        supervisor.tick()
        await until(lambda: device.header().state is State.RUNNING)
        await disarmed(script, device)
        assert script.shown == "quarantined"
        assert script.why.endswith("it is quarantined until it changes, or: stapwatch arm a")
        assert entries(lines, "was disarmed 2 times and is quarantined, its values stay")
        await until(lambda: machine.records.load("a").quarantine)
        machine.now += 1e6
        supervisor.tick()
        await supervisor.apply(machine.wanting(Budgets(pauses=(1,)), a="ok 1"))
        assert script.shown == "quarantined" and device.header().state is State.DISARMED
        assert await supervisor.arm("a") == (True, "script a is armed")
        assert script.shown == "running" and machine.records.load("a").quarantine is None
        await disarmed(script, device)
        assert script.shown == "disarmed", "the pauses start over"
        assert await supervisor.arm("a") == (True, "script a is armed")
        await supervisor.stop()

    run(work())


def test_other_budgets_arm_it(machine: Machine, lines: Lines) -> None:
    """In force without another module; a running script gets them, too."""

    async def work() -> None:
        supervisor = machine.agent()
        before, after = Budgets(pauses=()), Budgets(cpu=200_000, pauses=())
        await supervisor.apply(machine.wanting(before, a="ok 1", b="ok 1"))
        script, device = supervisor.scripts["a"], machine.device(supervisor)
        await disarmed(script, device)
        assert script.shown == "quarantined"
        machine.kernel.done.clear()
        await supervisor.apply(machine.wanting(after, a="ok 1", b="ok 1"))
        assert machine.kernel.done == [
            f"arm {device.name}",
            f"budgets {machine.device(supervisor, 'b').name}",
        ]
        assert device.budgets[-1] == for_kernel(after) and script.shown == "running"
        assert machine.records.load("a").quarantine is None
        await supervisor.stop()

    run(work())


def test_other_pauses_or_another_total_arm_it(machine: Machine, lines: Lines) -> None:
    """The module itself does not know of them. The pauses start over."""

    async def work() -> None:
        supervisor = machine.agent()
        settings = machine.wanting(Budgets(pauses=(1,)), a="ok 1")
        await supervisor.apply(settings)
        script, device = supervisor.scripts["a"], machine.device(supervisor)
        await disarmed(script, device)
        await supervisor.apply(settings)
        assert script.shown == "disarmed", "nothing has changed"
        await supervisor.apply(replace(settings, total=TotalBudgets(cpu=1)))
        assert script.shown == "running"
        await disarmed(script, device)
        assert script.shown == "disarmed" and script.rearming.left == 1
        await supervisor.apply(machine.wanting(Budgets(pauses=(9,)), a="ok 1"))
        assert script.shown == "running"
        await disarmed(script, device)
        assert script.rearming.left == 9
        await supervisor.stop()

    run(work())


def test_another_text_arms_it(machine: Machine, lines: Lines) -> None:
    async def work() -> None:
        supervisor = machine.agent()
        await supervisor.apply(machine.wanting(Budgets(pauses=()), a="ok 1"))
        script = supervisor.scripts["a"]
        await disarmed(script, machine.device(supervisor))
        await until(lambda: machine.records.load("a").quarantine)
        await supervisor.apply(machine.wanting(Budgets(pauses=()), a="bad"))
        assert script.shown == "quarantined" and "x.stp:3:5" in script.why
        await supervisor.apply(machine.wanting(Budgets(pauses=()), a="ok 2"))
        assert script.shown == "running" and machine.records.load("a").quarantine is None
        await supervisor.stop()

    run(work())


def test_quarantine_outlives_the_agent(machine: Machine, lines: Lines) -> None:
    """After a crash of the agent the module is still there; after a stop it is not loaded."""

    async def work() -> None:
        settings = machine.wanting(Budgets(pauses=()), a="ok 1")
        first = machine.agent()
        await first.apply(settings)
        machine.device(first).count(7)
        await disarmed(first.scripts["a"], machine.device(first))
        await until(lambda: machine.records.load("a").quarantine)
        machine.dies(first)

        second = machine.agent()
        await second.loading.find_orphans()
        await second.apply(settings)
        script = second.scripts["a"]
        assert script.shown == "quarantined" and "took 6.12 %" in script.why
        assert script.module is not None and script.module.snapshot().tables[0].values == [7]
        second.tick()
        assert script.rearming.counts == {}, "it is the first agent's disarm"
        await second.stop()

        third = machine.agent()
        machine.kernel.done.clear()
        await third.apply(settings)
        script = third.scripts["a"]
        assert (script.shown, script.module, machine.kernel.done) == ("quarantined", None, [])
        assert "disarmed too often" in script.why and third.settled
        assert entries(lines, "script a is quarantined: it took 6.12 %")
        assert await third.arm("a") == (True, "script a is armed")
        assert script.shown == "running"
        await third.stop()

    run(work())


def test_a_dead_agents_pause_starts_again(machine: Machine, lines: Lines) -> None:
    async def work() -> None:
        first = machine.agent()
        await first.apply(machine.wanting(a="ok 1"))
        await disarmed(first.scripts["a"], machine.device(first))
        machine.dies(first)
        second = machine.agent()
        await second.loading.find_orphans()
        await second.apply(machine.wanting(a="ok 1"))
        script = second.scripts["a"]
        assert script.shown == "disarmed"
        machine.now += 1
        second.tick()
        await until(lambda: script.shown == "running")
        await second.stop()

    run(work())


def test_arming_that_fails_is_tried_again(
    machine: Machine, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work() -> None:
        supervisor = machine.agent()
        await supervisor.apply(machine.wanting(a="ok 1"))
        script, device = supervisor.scripts["a"], machine.device(supervisor)
        await disarmed(script, device)
        with monkeypatch.context() as patch:
            patch.setattr(StandInDevice, "arm", refuse)
            machine.now += 1
            supervisor.tick()
            await until(lambda: entries(lines, "script a is not armed again: cannot arm it"))
            assert script.shown == "disarmed" and not script.rearming.is_due
            done, text = await supervisor.arm("a")
            assert not done and "script a is disarmed" in text
        machine.now += 64
        attaching, released = threading.Event(), threading.Event()
        arm = StandInDevice.arm

        def slow(device: StandInDevice, budgets: structs.Budgets) -> None:
            attaching.set()
            released.wait(20)
            arm(device, budgets)

        with monkeypatch.context() as patch:
            patch.setattr(StandInDevice, "arm", slow)
            supervisor.tick()
            await until(attaching.is_set)
            assert (script.shown, script.why) == ("disarmed", "it is being armed again")
            released.set()
            await until(lambda: script.shown == "running")
        await supervisor.stop()

    run(work())


def refuse(device: StandInDevice, budgets: structs.Budgets) -> None:
    from runtime.reader.device import DeviceError

    raise DeviceError(5, "cannot arm it")


def take(device: StandInDevice, probe: int, ns: int) -> None:
    """Let a probe take CPU time, on the second CPU."""
    writer, width = device.writer, structs.PROBE_COUNTS.size
    at = writer.first_lane + writer.lane_stride + probe * width + width - 8
    before = int.from_bytes(writer.data[at : at + 8], "little")
    writer.data[at : at + 8] = (before + ns).to_bytes(8, "little")


def test_all_scripts_together(
    machine: Machine, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that takes most is disarmed; the others go on, even if they were not alone to blame."""
    monkeypatch.setattr("os.sysconf", lambda name: 4)
    second = 1_000_000_000

    async def work() -> None:
        supervisor = machine.agent()
        await supervisor.apply(machine.wanting(a="ok 1", b="ok 1"))
        a, b = machine.device(supervisor, "a"), machine.device(supervisor, "b")
        take(a, 0, 100 * second)  # before the first look: not known when
        supervisor.tick()
        machine.now += 1
        take(a, 0, second // 10)
        take(b, 0, second // 10)
        take(b, 1, second // 5)
        supervisor.tick()  # 10 % of 4 CPUs: just within the budget
        machine.now += 1
        take(a, 0, second // 10)
        take(b, 0, second // 10)
        take(b, 1, second // 4)
        supervisor.tick()
        script = supervisor.scripts["b"]
        await until(lambda: script.shown == "disarmed")
        assert supervisor.scripts["a"].shown == "running"
        assert script.rearming.counts == {"total.cpu": 1}
        [entry] = entries(lines, "script b took most of the 11.2 % of all CPUs' time")
        assert (entry["budget"], entry["probe"]) == ("total.cpu", 'kernel.function("f1")')
        take(b, 0, second)  # until its hooks were out
        machine.now += 1
        supervisor.tick()
        await until(lambda: script.shown == "running")
        for _ in range(2):
            machine.now += 1
            supervisor.tick()
            await until(lambda: not supervisor.arming._tasks)
        assert script.shown == "running", "what it took before is no second breach"
        await supervisor.apply(
            replace(machine.wanting(a="ok 1", b="ok 1"), total=TotalBudgets(cpu=None))
        )
        machine.now += 1
        take(a, 0, 4 * second)
        supervisor.tick()
        await supervisor.stop()
        assert supervisor.arming.problem == ""
        assert not entries(lines, "script a took")

    run(work())


def test_the_boot_guard(machine: Machine, lines: Lines) -> None:
    """The mark is there before the module is loaded, and goes after a minute or with a stop."""

    async def work() -> None:
        marks: list[Starting | None] = []
        load = machine.kernel.load

        def noting(path: Path, name: str) -> StandInDevice:
            marks.append(machine.records.load("a").starting)
            return load(path, name)  # type: ignore[return-value]

        machine.kernel.load = noting  # type: ignore[method-assign]
        name = standin.manifest("ok 1", "a", KEY).module
        first = machine.agent()
        await first.apply(machine.wanting(a="ok 1"))
        assert marks == [Starting(name, boot_id())]
        await first.stop()
        assert machine.records.load("a") == Record()

        second = machine.agent()
        await second.apply(machine.wanting(a="ok 1"))
        machine.now += 59
        second.tick()
        machine.dies(second)
        third = machine.agent()
        await third.loading.find_orphans()
        await third.apply(machine.wanting(a="ok 1"))
        assert third.scripts["a"].shown == "running", "the agent alone crashed"
        machine.now += 60
        third.tick()
        await until(lambda: machine.records.load("a") == Record(proven=name))
        await third.stop()
        await machine.agent().apply(machine.wanting(a="ok 1"))
        assert marks[2:] == [None], "it is proven"

    run(work())


def test_after_a_crash_of_the_machine(machine: Machine, lines: Lines) -> None:
    name = standin.manifest("ok 1", "a", KEY).module
    machine.records.save("a", Record(starting=Starting(name, "another boot")))

    async def work() -> None:
        supervisor = machine.agent()
        await supervisor.apply(machine.wanting(a="ok 1", b="ok 1"))
        assert [s.shown for s in supervisor.scripts.values()] == ["quarantined", "running"]
        assert not any("sw_a_" in step for step in machine.kernel.done)
        [entry] = entries(
            lines, "script a is quarantined: the machine went down before this script"
        )
        assert entry["level"] == "error" and entry["budget"] == "boot"
        assert "stapwatch arm a" in supervisor.scripts["a"].why
        await supervisor.apply(machine.wanting(a="ok 1", b="ok 1"))
        assert supervisor.scripts["a"].shown == "quarantined"
        await supervisor.apply(machine.wanting(a="ok 2", b="ok 1"))
        assert supervisor.scripts["a"].shown == "running"
        await supervisor.stop()

    run(work())


def test_a_state_folder_that_cannot_be_written(machine: Machine, lines: Lines) -> None:
    """Scripts run, and it is said once."""
    machine.settings.state_folder.write_text("not a folder")

    async def work() -> None:
        supervisor = machine.agent()
        await supervisor.apply(machine.wanting(a="ok 1", b="ok 1"))
        assert [s.shown for s in supervisor.scripts.values()] == ["running", "running"]
        assert len(entries(lines, "the state folder cannot be written")) == 1
        assert supervisor.arming.problem
        await supervisor.stop()

    run(work())
