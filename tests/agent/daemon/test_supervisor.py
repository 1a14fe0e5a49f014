# SPDX-License-Identifier: GPL-2.0-or-later
"""Reconciling: which modules are loaded, left alone, swapped and unloaded, and the state of each script."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from agent.config.rollout_settings import RolloutSettings, Variant
from agent.config.settings import CompileSettings, MetricSettings, ScriptSettings, Settings
from agent.config.yaml_tree import Position
from agent.daemon import orphaned_modules
from agent.daemon.supervisor import Supervisor
from agent.exposition import families, planner
from agent.exposition.render import Format
from agent.scripts import adoption, compile_client
from agent.scripts.compile_client import Compiled, CompileError, Compiler
from agent.scripts.kernel_modules import Keeper
from agent.scripts.script import ScriptState
from compiler.driver import unsafe_runtimes
from compiler.protocol import Diagnostic, Request
from runtime.abi import structs
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
        state_folder=tmp_path / "state",
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


def done_to(kernel: StandInKernel, script: str) -> list[str]:
    """What was done to the modules of one script: changes of several scripts run side by side."""
    return [line for line in kernel.done if f" sw_{script}_" in line]


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

        def noting(device: StandInDevice, *limits: Any) -> None:
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
        assert done_to(kernel, "a") == []
        assert done_to(kernel, "b") == [
            *(f"load {b}", f"start {b}", f"stop {old}", f"unload {old}"),
        ]
        assert done_to(kernel, "c") == [f"stop {c}", f"unload {c}"]
        assert done_to(kernel, "d") == [f"load {d}", f"start {d}"]
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
        await supervisor.loading.find_orphans()
        kernel.devices[module("ok 1", "a")].count(41)
        await supervisor.apply(wanting(base, a="ok 1", b="ok 1", broken="bad"))
        assert states(supervisor) == {"a": "running", "b": "running", "broken": "outdated"}
        a = supervisor.scripts["a"].module
        assert a is not None and a.snapshot().tables[0].values == [41]
        old, b = module("ok 0", "b"), module("ok 1", "b")
        assert done_to(kernel, "a") == [f"budgets {module('ok 1', 'a')}"]
        assert done_to(kernel, "b") == [
            *(f"load {b}", f"start {b}", f"stop {old}", f"unload {old}"),
        ]
        assert done_to(kernel, "broken") == [f"budgets {module('ok 1', 'broken')}"]
        await supervisor.stop()
        assert set(kernel.loaded) == {session.name, left}

    run(work())


@pytest.mark.parametrize(
    ("old_state", "new_state", "what"),
    [
        (State.RUNNING, State.LOADED, "start NEW; stop OLD; unload OLD"),
        (State.RUNNING, State.STOPPED, "AGAIN; start NEW; stop OLD; unload OLD"),
        (State.RUNNING, State.RUNNING, "AGAIN; start NEW; stop OLD; unload OLD"),
        (State.EXITING, State.RUNNING, "stop OLD; unload OLD"),
        (State.STOPPED, State.RUNNING, "unload OLD"),
    ],
)
def test_an_agent_that_died_in_the_middle_of_a_swap(
    kernel: StandInKernel,
    base: Settings,
    lines: Lines,
    old_state: State,
    new_state: State,
    what: str,
) -> None:
    """The old module's values are served last, and what both may have counted counts once."""
    kernel.put(standin.manifest("ok 1", "a", "[[], {}]"), old_state)
    kernel.put(standin.manifest("ok 2", "a", "[[], {}]"), new_state)
    old, new_one = module("ok 1", "a"), module("ok 2", "a")
    if new_state is State.STOPPED:  # its start was killed
        kernel.loaded[new_one].header[11] = 0
        kernel.loaded[new_one].put_header()
    kernel.done.clear()

    async def work() -> None:
        supervisor = new(kernel)
        await supervisor.loading.find_orphans()
        kernel.devices[old].count(41)
        await supervisor.apply(wanting(base, a="ok 2"))
        await until(lambda: supervisor.scripts["a"].state is ScriptState.RUNNING)
        again = f"stop {new_one}; unload {new_one}; load {new_one}"
        if new_state is State.STOPPED:
            again = again.partition("; ")[2]
        expected = what.replace("AGAIN", again).replace("OLD", old).replace("NEW", new_one)
        assert kernel.done == expected.split("; ")
        last = supervisor.last_readings.due("")["a"]
        assert last.snapshot.tables[0].values == [41]
        await supervisor.stop()

    run(work())


def test_stopping_while_scripts_compile(
    kernel: StandInKernel, base: Settings, lines: Lines
) -> None:
    async def work() -> None:
        supervisor = new(kernel)
        applying = asyncio.create_task(supervisor.apply(wanting(base, a="hang", b="ok 1")))
        await until(
            lambda: supervisor.scripts and supervisor.scripts["a"].state is ScriptState.COMPILING
        )
        await supervisor.stop()
        await applying
        assert kernel.loaded == {} and supervisor.scripts == {}

    run(work())


def test_a_slow_compile_delays_nobody(
    kernel: StandInKernel, base: Settings, lines: Lines, tmp_path: Path
) -> None:
    """A reload takes over while it runs. It goes on for a script that stays, and ends for one that goes."""

    async def work() -> None:
        supervisor = new(kernel)
        gate = tmp_path / "gate"
        nonlocal base
        base = replace(base, compile=CompileSettings(jobs=4))
        scripts = {"slow": f"after {gate}", "gone": "hang", "quick": "ok 1"}
        first = asyncio.create_task(supervisor.apply(wanting(base, **scripts)))
        await until(lambda: supervisor.scripts and states(supervisor)["quick"] == "running")
        assert [f.name for f in supervisor.exposition.families] == ["stapwatch_quick_hits"]
        assert states(supervisor) == {"slow": "compiling", "gone": "compiling", "quick": "running"}
        await until(lambda: len(working(tmp_path)) == 1)
        before = working(tmp_path)
        second = asyncio.create_task(
            supervisor.apply(wanting(base, slow=f"after {gate}", quick="ok 2", later="ok 1"))
        )
        await until(lambda: states(supervisor).get("later") == "running")
        await until(lambda: "gone" not in supervisor.scripts)
        assert states(supervisor)["slow"] == "compiling"
        assert not first.done() and not second.done(), "both wait for what is wanted now"
        assert working(tmp_path) == before, "the compile of the script that stays goes on"
        gate.touch()
        await asyncio.gather(first, second)
        assert set(states(supervisor).values()) == {"running"}
        await supervisor.stop()

    run(work())


def test_another_text_ends_the_compile_of_the_older_one(
    kernel: StandInKernel, base: Settings, lines: Lines
) -> None:
    async def work() -> None:
        supervisor = new(kernel)
        first = asyncio.create_task(supervisor.apply(wanting(base, a="hang")))
        await until(lambda: supervisor.scripts and states(supervisor)["a"] == "compiling")
        await supervisor.apply(wanting(base, a="ok 1"))
        await first
        assert states(supervisor) == {"a": "running"}
        assert supervisor.scripts["a"].compile_failures == 0
        await supervisor.stop()

    run(work())


def test_a_script_that_goes_and_comes_back_at_once(
    kernel: StandInKernel, base: Settings, lines: Lines
) -> None:
    async def work() -> None:
        supervisor = new(kernel)
        await supervisor.apply(wanting(base, a="ok 1"))
        away = asyncio.create_task(supervisor.apply(wanting(base)))
        back = asyncio.create_task(supervisor.apply(wanting(base, a="ok 1")))
        again = asyncio.create_task(supervisor.apply(wanting(base, a="ok 1")))
        for task in (away, back, again):
            await task
            assert states(supervisor) == {"a": "running"}
        assert states(supervisor) == {"a": "running"}
        assert list(kernel.loaded) == [module("ok 1", "a")]
        await supervisor.stop()
        assert kernel.loaded == {}

    run(work())


def test_what_is_cached_is_loaded_before_anything_compiles(
    kernel: StandInKernel, base: Settings, lines: Lines
) -> None:
    class Cached(Compiler):
        """Finds the scripts of the name `cached...` as if they had been compiled before."""

        async def find(self, wanted: Request) -> Compiled | None:
            return await super().build(wanted) if wanted.name.startswith("cached") else None

        async def build(self, wanted: Request, progress: Any = None) -> Compiled:
            built.append([n for n in kernel.loaded if "cached" in n])
            return await super().build(wanted)

    built: list[list[str]] = []

    async def work() -> None:
        supervisor = Supervisor(kernel, lambda s: Cached(s.compile, standin.COMMAND))
        scripts = {"cold": "ok 1", "cached1": "ok 1", "cold2": "ok 2", "cached2": "ok 1"}
        await supervisor.apply(wanting(base, **scripts))
        assert len(built) == 2 and set(states(supervisor).values()) == {"running"}
        order = [line.split("_")[1] for line in kernel.done if line.startswith("load")]
        assert sorted(order[:2]) == ["cached1", "cached2"]
        await supervisor.stop()

    run(work())


def test_a_module_that_comes_later_is_loaded_when_told(
    kernel: StandInKernel, base: Settings, lines: Lines
) -> None:
    """Without a compiler: what `stapwatch sync` has fetched is looked for by name, and nothing is compiled."""
    there: set[str] = set()
    built: list[str] = []

    class Stored(Compiler):
        async def find(self, wanted: Request) -> Compiled | None:
            return await super().build(wanted) if wanted.name in there else None

        async def build(self, wanted: Request, progress: Any = None) -> Compiled:
            built.append(wanted.name)
            raise CompileError([Diagnostic("no-headers", "no headers here")])

    async def work() -> None:
        supervisor = Supervisor(kernel, lambda s: Stored(s.compile, standin.COMMAND))
        there.add("refused")
        await supervisor.apply(wanting(base, a="ok 1", b="ok 2", refused="refused"))
        there.add("a")
        assert await supervisor.look_again() == (
            False,
            "loaded now: a; still without a module: b",
        )
        assert states(supervisor) == {"a": "running", "b": "failed", "refused": "failed"}
        assert len(lines.texts) == len(set(lines.texts)), (
            "what the kernel refuses is not tried again"
        )
        assert await supervisor.look_again() == (False, "still without a module: b")
        assert sorted(built) == ["a", "b"], "nothing is compiled once more"
        there.add("b")
        assert await supervisor.look_again() == (True, "loaded now: b")
        assert await supervisor.look_again() == (True, "no script waits for a module")
        await supervisor.stop()

    run(work())
    assert "modules have become available, and run: a" in lines.texts


def test_a_reload_of_many_unchanged_scripts(
    kernel: StandInKernel,
    base: Settings,
    lines: Lines,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """No file is read, nothing is looked up, and all is planned once."""
    files = [tmp_path / f"s{n}.stp" for n in range(200)]
    for file in files:
        file.write_text("ok 1")
        os.utime(file, (1, 1))
    count = Counter[str]()

    def counting(name: str, original: Any) -> Any:
        def called(*args: Any, **options: Any) -> Any:
            count[name] += 1
            return original(*args, **options)

        return called

    class Ready(Compiler):
        """Has them all in its cache: a module each."""

        async def find(self, wanted: Request) -> Compiled | None:
            made = standin.manifest("ok 1", wanted.name)
            path = tmp_path / f"{made.module}.ko"
            path.write_text(made.to_json())
            return Compiled(made.module, path, made.identity, True, 0.0)

    async def work() -> None:
        supervisor = Supervisor(kernel, lambda s: Ready(s.compile, standin.COMMAND))
        scripts = {f.stem: ScriptSettings(f.stem, HERE, file=f) for f in files}
        settings = replace(base, scripts=scripts)
        monkeypatch.setattr(compile_client, "_TICK_NS", 0)
        monkeypatch.setattr(planner, "plan", counting("plans", families.plan))
        await supervisor.apply(settings)
        assert count["plans"] == 1 and len(kernel.loaded) == 200
        for name in ("fingerprint", "describe"):
            monkeypatch.setattr(compile_client, name, counting(name, getattr(compile_client, name)))
        monkeypatch.setattr(Ready, "find", counting("look-ups", Ready.find))
        files[7].write_text("ok 1 ")
        await supervisor.apply(replace(settings))
        assert count == {"plans": 2, "describe": 1, "fingerprint": 1, "look-ups": 1}
        assert [n for n, s in supervisor.scripts.items() if s.state != "running"] == []
        await supervisor.stop()

    run(work())


def test_a_killed_compiler_is_asked_again(
    kernel: StandInKernel, base: Settings, lines: Lines, tmp_path: Path
) -> None:
    async def work() -> None:
        supervisor = new(kernel)
        gate = tmp_path / "gate"
        applying = asyncio.create_task(supervisor.apply(wanting(base, a=f"after {gate}")))
        await until(lambda: working(tmp_path))
        gate.touch()
        os.kill(working(tmp_path)[0], signal.SIGKILL)
        await applying
        assert states(supervisor) == {"a": "running"}
        await supervisor.stop()

    run(work())


def working(folder: Path) -> list[int]:
    """The processes that compile a script `after FOLDER/gate`."""
    return [int(p.name.rpartition(".")[2]) for p in folder.glob("gate.*")]


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


# -- one agent after another ----------------------------------------------------------------------


class Followed:
    """Agents that follow one another on one kernel, each of a release of its own."""

    def __init__(self, kernel: StandInKernel) -> None:
        self.kernel = kernel
        self.compiler = standin.KnowingCompiler(Settings(compile=CompileSettings(timeout=30)))

    def agent(self, release: str = "2.0+aa") -> Supervisor:
        self.compiler.release = release
        self.compiler.compiles.clear()
        self.kernel.done.clear()
        return Supervisor(self.kernel, lambda settings: self.compiler)


def served(supervisor: Supervisor) -> dict[str, list[Any]]:
    """The first table's values of each script that the page has."""
    found = {}
    for name, script in supervisor.scripts.items():
        if script.module is not None:
            found[name] = list(script.module.snapshot().tables[0].values)
    return found


def put(kernel: StandInKernel, text: str, name: str, compiler: str = "2.0+aa") -> str:
    found = replace(standin.manifest(text, name, "[[], {}]"), compiler=compiler)
    kernel.put(found, State.RUNNING)
    return found.module


def test_a_restart_loses_nothing(kernel: StandInKernel, base: Settings, lines: Lines) -> None:
    """The second agent serves the first one's modules before it looks at any script, and loads none."""
    followed = Followed(kernel)
    settings = wanting(base, a="ok 1", b="ok 1")

    async def work() -> None:
        first = followed.agent()
        await first.apply(settings)
        for name, value in (("a", 41), ("b", 7)):
            kernel.devices[module("ok 1", name)].count(value)
        loaded = dict(kernel.loaded)
        kernel.done.clear()
        await first.leave()
        assert kernel.done == [] and kernel.held == set() and first.scripts == {}
        kernel.devices[module("ok 1", "a")].count(42)  # nobody reads, and it goes on

        second = followed.agent()
        await second.adopt(settings)
        assert served(second) == {"a": [42], "b": [7]}
        assert {family.script for f in second.exposition.families for family in f.members} == {
            "a",
            "b",
        }
        await second.apply(settings)
        assert followed.compiler.compiles == [] and kernel.loaded == loaded
        assert states(second) == {"a": "running", "b": "running"}
        assert not any(step.startswith(("load", "start", "stop")) for step in kernel.done)
        await second.apply(settings)
        assert followed.compiler.compiles == []
        await second.stop()
        assert kernel.loaded == {}

    run(work())


def test_lines_that_were_not_complete_are_the_next_agents(
    kernel: StandInKernel, base: Settings, lines: Lines
) -> None:
    followed = Followed(kernel)

    async def work() -> None:
        first = followed.agent()
        await first.apply(wanting(base, a="ok 1"))
        device = kernel.devices[module("ok 1", "a")]
        device.say()
        await until(lambda: "hello" in lines.texts)
        await first.leave()
        assert lines.texts.count("hello") == 1
        assert kernel.consumed[-1] == structs.NO_TIME

    run(work())


def test_leaving_while_scripts_compile(kernel: StandInKernel, base: Settings, lines: Lines) -> None:
    followed = Followed(kernel)

    async def work() -> None:
        name = put(kernel, "ok 1", "b")
        supervisor = followed.agent()
        await supervisor.adopt(wanting(base, a="hang", b="ok 1"))
        applying = asyncio.create_task(supervisor.apply(wanting(base, a="hang", b="ok 1")))
        await until(lambda: supervisor.scripts["a"].state is ScriptState.COMPILING)
        await supervisor.leave()
        await applying
        assert set(kernel.loaded) == {name} and kernel.held == set()

    run(work())


def test_an_adopted_variant_stays(kernel: StandInKernel, base: Settings, lines: Lines) -> None:
    """The agent before has found out which one compiles."""
    followed = Followed(kernel)
    variants = (Variant("new", text="bad"), Variant("old", text="ok 1"))

    async def work() -> None:
        name = put(kernel, "ok 1", "a")
        supervisor = followed.agent()
        rollout = RolloutSettings(variants=variants)
        settings = replace(
            base, scripts={"a": ScriptSettings("a", HERE, text="x", rollout=rollout)}
        )
        await supervisor.adopt(settings)
        await supervisor.apply(settings)
        assert followed.compiler.compiles == [] and set(kernel.loaded) == {name}
        assert supervisor.scripts["a"].variant == "old"
        await supervisor.stop()

    run(work())


@pytest.mark.parametrize("release", ["3.0+bb", "1.0+cc"], ids=["upgrade", "downgrade"])
def test_another_release_adopts_what_runs(
    kernel: StandInKernel, base: Settings, lines: Lines, release: str
) -> None:
    followed = Followed(kernel)

    async def work() -> None:
        kept, changed = put(kernel, "ok 1", "a"), put(kernel, "ok 1", "b")
        supervisor = followed.agent(release)
        settings = wanting(base, a="ok 1", b="ok 2")
        await supervisor.adopt(settings)
        await supervisor.apply(settings)
        assert followed.compiler.compiles == ["b"]
        assert kept in kernel.loaded and changed not in kernel.loaded
        a = supervisor.scripts["a"].module
        assert a is not None and adoption.older(a, supervisor.compiler)
        assert not adoption.older(a, "2.0+aa") and not adoption.older(a, "")
        await supervisor.apply(settings, recompile=True)
        assert followed.compiler.compiles == ["b", "a anew", "b anew"]
        assert kept not in kernel.loaded and len(kernel.loaded) == 2
        assert states(supervisor) == {"a": "running", "b": "running"}
        done = [
            step.split()[0] for step in kernel.done if f"sw_a_{kept[5:]}" in step or "sw_a_" in step
        ]
        assert done[-4:] == ["load", "start", "stop", "unload"], "make before break"
        await supervisor.stop()

    run(work())


def test_an_unsafe_releases_module_is_replaced_at_once(
    kernel: StandInKernel, base: Settings, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = unsafe_runtimes.UnsafeRuntime("1.0", "1.5", "may hang a CPU")
    monkeypatch.setattr(unsafe_runtimes, "UNSAFE", (row,))
    followed = Followed(kernel)

    async def work() -> None:
        unsafe, safe = put(kernel, "ok 1", "a", "1.4.9+aa"), put(kernel, "ok 1", "b", "1.5")
        # the cache's module of the same identity is another compiler's, with another name
        monkeypatch.setattr(followed.compiler, "build", partial(renamed, followed.compiler))
        supervisor = followed.agent()
        settings = wanting(base, a="ok 1", b="ok 1")
        await supervisor.adopt(settings)
        await supervisor.apply(settings)
        assert unsafe not in kernel.loaded and safe in kernel.loaded
        [text] = [text for text in lines.texts if "is replaced" in text]
        assert text == (
            f"script a is replaced: module {unsafe}: it was compiled by stapwatch 1.4.9, whose runtime "
            "may hang a CPU (fixed in 1.5)"
        )
        await supervisor.stop()

    async def renamed(compiler: standin.KnowingCompiler, wanted: Request, progress: Any) -> Any:
        return await standin.KnowingCompiler.build(
            compiler, replace(wanted, recompile=True), progress
        )

    run(work())


def test_what_no_agent_follows_is_unloaded(
    kernel: StandInKernel, base: Settings, lines: Lines
) -> None:
    """Of scripts that the configuration knows and of others; but not what a process reads or its user left."""
    first, second = put(kernel, "ok 1", "a"), put(kernel, "ok 1", "b")
    read, left = put(kernel, "ok 1", "session"), put(kernel, "ok 1", "left")
    held = kernel.open(read)
    kernel.keep(left, Keeper.USER)
    kernel.done.clear()
    settings = wanting(base, a="ok 2")
    assert run(orphaned_modules.unload(settings, kernel)) == ["a", "b"]
    assert kernel.done == [
        f"{what} {name}" for name in (first, second) for what in ("stop", "unload")
    ]
    assert set(kernel.loaded) == {read, left}
    held.close()
    assert "script b was removed" in lines.texts
