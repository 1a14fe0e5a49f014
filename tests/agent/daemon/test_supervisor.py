# SPDX-License-Identifier: GPL-2.0-or-later
"""Reconciling: which modules are loaded, left alone, swapped and unloaded, and the state of each script."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from agent.config.settings import CompileSettings, MetricSettings, ScriptSettings, Settings
from agent.config.yaml_tree import Position
from agent.daemon.supervisor import Supervisor
from agent.exposition.render import Format
from agent.scripts.kernel_modules import Keeper
from agent.scripts.script import ScriptState
from runtime.abi.structs import State
from runtime.support.record import replace
from tests.agent import standin
from tests.agent.conftest import Lines, run, until
from tests.agent.standin import StandInDevice, StandInKernel

HERE = Position("test.yaml", 1, 1)


@pytest.fixture
def kernel() -> StandInKernel:
    return StandInKernel()


@pytest.fixture
def base(tmp_path: Path) -> Settings:
    return Settings(
        work_folder=tmp_path / "run",
        cache_folder=tmp_path / "cache",
        compile=CompileSettings(timeout=30),
    )


def wanting(base: Settings, **scripts: str) -> Settings:
    """The settings with these scripts, by name."""
    made = {name: ScriptSettings(name, HERE, text=text) for name, text in scripts.items()}
    return replace(base, scripts=made)


def states(supervisor: Supervisor) -> dict[str, str]:
    return {name: script.state.value for name, script in supervisor.scripts.items()}


def module(text: str, name: str) -> str:
    return standin.manifest(text, name, "[[], {}]").module


def new(kernel: StandInKernel) -> Supervisor:
    return Supervisor(kernel, standin.compiler)


def test_the_older_version_is_served_until_the_newer_is_armed(
    kernel: StandInKernel, base: Settings, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[str] = []

    async def work() -> None:
        supervisor = new(kernel)
        await supervisor.apply(wanting(base, a="ok 1"))
        start = StandInDevice.start

        def noting(device: StandInDevice, *limits: int) -> None:
            running = supervisor.scripts["a"].module
            served.append(running.name if running is not None else "")
            start(device, *limits)

        monkeypatch.setattr(StandInDevice, "start", noting)
        await supervisor.apply(wanting(base, a="ok 2"))
        await supervisor.stop()

    run(work())
    assert served == [module("ok 1", "a")]


def test_only_what_changed_is_swapped(kernel: StandInKernel, base: Settings, lines: Lines) -> None:
    async def work() -> None:
        supervisor = new(kernel)
        await supervisor.apply(wanting(base, a="ok 1", b="ok 1", c="ok 1"))
        assert states(supervisor) == {"a": "running", "b": "running", "c": "running"}
        assert supervisor.settled
        kernel.done.clear()
        await supervisor.apply(wanting(base, a="ok 1", b="ok 2", d="ok 1"))
        old, b, c, d = (
            module("ok 1", "b"),
            module("ok 2", "b"),
            module("ok 1", "c"),
            module("ok 1", "d"),
        )
        assert kernel.done == [
            *(f"stop {c}", f"unload {c}"),
            *(f"load {b}", f"start {b}", f"stop {old}", f"unload {old}"),
            *(f"load {d}", f"start {d}"),
        ]
        await supervisor.stop()
        assert kernel.loaded == {} and kernel.held == set()

    run(work())


def test_a_failing_version_leaves_the_old_one(
    kernel: StandInKernel, base: Settings, lines: Lines
) -> None:
    async def work() -> None:
        supervisor = new(kernel)
        await supervisor.apply(wanting(base, a="ok 1", b="ok 1", n="bad"))
        assert states(supervisor) == {"a": "running", "b": "running", "n": "failed"}
        kernel.devices[module("ok 1", "a")].count(7)
        await supervisor.apply(wanting(base, a="bad", b="ok 2", n="ok 1"))
        assert states(supervisor) == {"a": "outdated", "b": "running", "n": "running"}
        a = supervisor.scripts["a"]
        assert a.reason == "x.stp:3:5: no (and 1 more)" and a.compile_failures == 1
        assert a.module is not None and a.module.snapshot().tables[0].values == [7]
        assert supervisor.settled
        await supervisor.apply(wanting(base, a="ok 1", b="ok 2", n="ok 1"))
        assert states(supervisor)["a"] == "running" and a.reason == ""
        assert f"stop {module('ok 1', 'a')}" not in kernel.done
        await supervisor.stop()

    run(work())


def test_a_refused_module_fails_alone(kernel: StandInKernel, base: Settings, lines: Lines) -> None:
    async def work() -> None:
        supervisor = new(kernel)
        await supervisor.apply(wanting(base, refused="refused", good="ok 1"))
        assert states(supervisor) == {"refused": "failed", "good": "running"}
        assert "it is not signed" in supervisor.scripts["refused"].reason
        assert any(
            "script refused failed: the kernel refused module" in text for text in lines.texts
        )
        await supervisor.stop()

    run(work())


def test_a_missing_file_fails_alone(kernel: StandInKernel, base: Settings, lines: Lines) -> None:
    async def work() -> None:
        supervisor = new(kernel)
        scripts = {
            "gone": ScriptSettings("gone", HERE, file=Path("/nonexistent/x.stp")),
            "good": ScriptSettings("good", HERE, text="ok 1"),
        }
        await supervisor.apply(replace(base, scripts=scripts))
        assert states(supervisor) == {"gone": "failed", "good": "running"}
        assert supervisor.scripts["gone"].reason == (
            "cannot read /nonexistent/x.stp (test.yaml:1:1): no such file or directory"
        )
        await supervisor.stop()

    run(work())


def test_exit_keeps_the_values(kernel: StandInKernel, base: Settings, lines: Lines) -> None:
    async def work() -> None:
        supervisor = new(kernel)
        await supervisor.apply(wanting(base, a="ok 1"))
        device = kernel.devices[module("ok 1", "a")]
        device.count(3)
        device.say()
        device.exit()
        await until(lambda: states(supervisor) == {"a": "exited"})
        assert kernel.done[-1] == f"stop {device.name}"
        assert "hello" in lines.texts
        script = supervisor.scripts["a"]
        assert script.module is not None and script.module.snapshot().tables[0].values == [3]
        await supervisor.apply(wanting(base, a="ok 1"))
        assert states(supervisor) == {"a": "exited"}
        await supervisor.stop()
        assert kernel.loaded == {}

    run(work())


def test_lines_after_a_clock_jump_bear_the_new_time(
    kernel: StandInKernel, base: Settings, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The module's offset is that of its last sync, which no scrape need have made since the jump."""
    date = 1_700_000_000_000_000_000
    real = time.monotonic_ns
    monkeypatch.setattr(time, "time_ns", lambda: date + real())
    syncs = 0

    def sync(device: StandInDevice) -> None:
        nonlocal syncs
        syncs += 1
        device.writer.header[14] = date
        device.writer.put_header()

    monkeypatch.setattr(StandInDevice, "sync", sync)

    async def work() -> None:
        nonlocal date
        supervisor = new(kernel)
        await supervisor.apply(wanting(base, a="ok 1"))
        device = kernel.devices[module("ok 1", "a")]
        for seconds in (1_700_000_000, 1_700_003_600, -5, -5):
            date = seconds * 10**9
            before = len(lines.texts)
            device.say()
            await until(lambda: "hello" in lines.texts[before:])  # noqa: B023
        await supervisor.stop()

    run(work())
    times = [e["timestamp"] for e in lines.entries if e["event"] == "hello"]
    assert times == [
        "2023-11-14T22:13:20.000000Z",
        "2023-11-14T23:13:20.000000Z",
        "1969-12-31T23:59:55.000000Z",
        "1969-12-31T23:59:55.000000Z",
    ]
    assert syncs >= 3


def test_too_many_errors_is_a_failure(kernel: StandInKernel, base: Settings, lines: Lines) -> None:
    async def work() -> None:
        supervisor = new(kernel)
        await supervisor.apply(wanting(base, a="ok 1"))
        device = kernel.devices[module("ok 1", "a")]
        device.writer.header[13] = 1
        device.exit()
        await until(lambda: states(supervisor) == {"a": "failed"})
        assert "max_errors" in supervisor.scripts["a"].reason
        await supervisor.stop()

    run(work())


def test_an_end_without_an_event_is_noticed(
    kernel: StandInKernel, base: Settings, lines: Lines
) -> None:
    async def work() -> None:
        supervisor = new(kernel)
        await supervisor.apply(wanting(base, a="ok 1"))
        kernel.devices[module("ok 1", "a")].set_state(State.EXITING)
        supervisor.tick()
        await until(lambda: states(supervisor) == {"a": "exited"})
        await supervisor.stop()

    run(work())


def test_a_dead_agents_modules(kernel: StandInKernel, base: Settings, lines: Lines) -> None:
    """An orphaned module that is still wanted is adopted and keeps counting. A module with a live reader and
    one that its user left stay, the others are unloaded."""
    kernel.put(standin.manifest("ok 1", "a", "[[], {}]"), State.RUNNING)
    kernel.put(standin.manifest("ok 0", "b", "[[], {}]"), State.RUNNING)
    kernel.put(standin.manifest("ok 1", "broken", "[[], {}]"), State.RUNNING)
    kernel.put(standin.manifest("ok 1", "session"), State.RUNNING)
    kernel.put(standin.manifest("ok 1", "left"), State.RUNNING)
    session = kernel.open(standin.manifest("ok 1", "session").module)
    left = standin.manifest("ok 1", "left").module
    kernel.keep(left, Keeper.USER)

    async def work() -> None:
        supervisor = new(kernel)
        kernel.done.clear()
        await supervisor.find_orphaned_modules()
        kernel.devices[module("ok 1", "a")].count(41)
        await supervisor.apply(wanting(base, a="ok 1", b="ok 1", broken="bad"))
        assert states(supervisor) == {"a": "running", "b": "running", "broken": "outdated"}
        a = supervisor.scripts["a"].module
        assert a is not None and a.snapshot().tables[0].values == [41]
        old, b = module("ok 0", "b"), module("ok 1", "b")
        assert kernel.done == [f"load {b}", f"start {b}", f"stop {old}", f"unload {old}"]
        await supervisor.stop()
        assert set(kernel.loaded) == {session.name, left}

    run(work())


def test_stopping_while_scripts_compile(
    kernel: StandInKernel, base: Settings, lines: Lines
) -> None:
    async def work() -> None:
        import asyncio

        supervisor = new(kernel)
        applying = asyncio.create_task(supervisor.apply(wanting(base, a="hang", b="ok 1")))
        await until(
            lambda: supervisor.scripts and supervisor.scripts["a"].state is ScriptState.COMPILING
        )
        await supervisor.stop()
        await applying
        assert kernel.loaded == {} and supervisor.scripts == {}

    run(work())


def test_metrics_follow_the_configuration(
    kernel: StandInKernel, base: Settings, lines: Lines
) -> None:
    """A new name needs no new module; a wrong variable is reported as a problem."""

    async def work() -> None:
        supervisor = new(kernel)
        await supervisor.apply(wanting(base, a="ok 1"))
        first = supervisor.exposition
        assert [family.name for family in first.families] == ["stapwatch_a_hits"]
        await supervisor.apply(wanting(base, a="ok 1"))
        assert supervisor.exposition is first, "cached templates stay"
        metrics = {
            "hits": MetricSettings("hits", HERE, name="calls"),
            "hitz": MetricSettings("hitz", HERE),
        }
        settings = wanting(base, a="ok 1")
        named = replace(settings.scripts["a"], metrics=metrics)
        kernel.done.clear()
        await supervisor.apply(replace(settings, scripts={"a": named}))
        assert kernel.done == []
        assert [family.name for family in supervisor.exposition.families] == ["calls"]
        assert "did you mean 'hits'?" in supervisor.scripts["a"].problems[0]
        running = supervisor.scripts["a"].module
        assert running is not None
        values = running.snapshot().tables[0]
        page = b"".join(supervisor.exposition.render(lambda member: values, Format.TEXT))
        assert b"calls_total 0\n" in page
        await supervisor.stop()

    run(work())


def test_disabled_scripts_do_not_run(kernel: StandInKernel, base: Settings, lines: Lines) -> None:
    async def work() -> None:
        supervisor = new(kernel)
        await supervisor.apply(wanting(base, a="ok 1"))
        settings = wanting(base, a="ok 1")
        off = replace(settings.scripts["a"], enabled=False)
        await supervisor.apply(replace(settings, scripts={"a": off}))
        assert supervisor.scripts == {} and kernel.loaded == {}
        await supervisor.stop()

    run(work())
