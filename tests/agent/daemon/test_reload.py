# SPDX-License-Identifier: GPL-2.0-or-later
"""Reloads by `stapwatch reload`, over the real control socket: they tell the truth, in the words of the log."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.config.settings import Address
from agent.daemon.service import Service
from agent.log_messages import Message
from tests import PROJECT
from tests.agent import standin
from tests.agent.conftest import Lines, run, until
from tests.agent.daemon.test_service import PATIENCE, Agent, configure, serving
from tests.agent.standin import StandInKernel

SUCCESSFUL = "stapwatch_config_last_reload_successful"


def start_reload(path: Path, *words: str, **env: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "agent", "reload", "--config", str(path), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=PROJECT,
        env={**os.environ, **env},
    )


async def reload(path: Path, *words: str, **env: str) -> tuple[int, list[str]]:
    """The exit status, and the lines on the terminal."""

    def work() -> tuple[int, list[str]]:
        command = start_reload(path, *words, **env)
        out, err = command.communicate(timeout=PATIENCE)
        assert not (out and err)
        return command.returncode, (out + err).splitlines()

    return await asyncio.to_thread(work)


@contextmanager
def taken(host: str, port: int = 0) -> Iterator[int]:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind((host, port))
        other.listen()
        yield other.getsockname()[1]


def logged(lines: Lines, *ids: Message) -> list[str]:
    return [
        line for e in lines.entries if e.get("message_id") in ids for line in e["event"].split("\n")
    ]


def test_what_is_not_in_force_is_said_and_the_rest_is_applied(tmp_path: Path, lines: Lines) -> None:
    path = configure(tmp_path, a="ok 1", bee="ok 1", c="ok 1")
    probes = tmp_path / "probes.d"

    async def work() -> None:
        async with serving(path) as agent:
            assert await reload(path) == (0, ["ready: 3 running"])
            assert await agent.metric(SUCCESSFUL) == 1
            lines.entries.clear()
            (probes / "a.stp").write_text("ok 2")
            (probes / "bee.stp").write_text("bad")
            (probes / "c.stp").unlink()
            (probes / "dee.stp").write_text("ok 1")
            (probes / "no name.stp").write_text("ok 1")
            os.mkfifo(probes / "e.stp")
            (probes / "f.stp").symlink_to("/dev/zero")
            (probes / "refused.stp").write_text("refused")
            status, said = await reload(path)
            assert status == 1
            assert said[-1] == (
                "not all is in force: 5 problems; in force: a, dee; removed: c; "
                "not in force: bee, e, f, refused"
            )
            assert sorted(said[:-1]) == sorted(
                [
                    f"config error: {probes}/no name.stp: 'no name' is not a script name; rename it; "
                    "use letters, digits, '_', '-' and '.', at most 64",
                    "script bee does not compile: x.stp:3:5: no",
                    f"script e failed: cannot read {probes}/e.stp: is a FIFO, not a file",
                    f"script f failed: cannot read {probes}/f.stp: is a device, not a file: "
                    "it is a link to /dev/zero",
                    next(line for line in said if "the kernel refused module" in line),
                ]
            )
            assert await agent.metric(SUCCESSFUL) == 0
            assert states(agent) == {
                **dict.fromkeys(("a", "dee"), "running"), "bee": "outdated",
                **dict.fromkeys(("e", "f", "refused"), "failed"),
            }  # fmt: skip
            errors = [e for e in lines.entries if e["level"] == "error"]
            assert {line for e in errors for line in e["event"].split("\n")} == set(said)
            [compile_error, _] = [
                e for e in errors if e["message_id"] == Message.SCRIPT_COMPILE_ERROR
            ]
            assert [compile_error[k] for k in ("file", "line", "column")] == ["x.stp", 3, 5]
            for name in ("no name", "bee", "e", "f", "refused"):
                (probes / f"{name}.stp").unlink()
            assert await reload(path) == (0, ["ready: 2 running"])
            assert await agent.metric(SUCCESSFUL) == 1

    run(work())


def states(agent: Agent) -> dict[str, str]:
    return {name: s.shown.value for name, s in agent.service._supervisor.scripts.items()}


def test_a_wrong_configuration_changes_nothing(tmp_path: Path, lines: Lines) -> None:
    path = configure(tmp_path, a="ok 1")

    async def work() -> None:
        async with serving(path) as agent:
            before = list(agent.kernel.done)
            (tmp_path / "probes.d/bee.stp").write_text("ok 1")
            path.write_text(path.read_text() + "lissten: []\n")
            status, said = await reload(path)
            assert status == 1
            assert "unknown key 'lissten'; did you mean 'listen'?" in said[0]
            assert said[1:] == ["reload refused: the configuration before it stays in force"]
            assert said == logged(lines, Message.CONFIG_ERROR, Message.RELOAD_REFUSED)
            assert agent.kernel.done == before
            assert await agent.metric(SUCCESSFUL) == 0

    run(work())


def test_scripts_with_wrong_settings_run_on(tmp_path: Path, lines: Lines) -> None:
    """Also those of a folder or a drop-in that cannot be read now."""
    path = configure(tmp_path, "scripts: {bee: {text: ok 1}}", a="ok 1")
    more = tmp_path / "more.d"
    more.mkdir()
    (more / "c.stp").write_text("ok 1")
    extra = tmp_path / "conf.d/x.yaml"
    extra.parent.mkdir()
    extra.write_text("script_folders: [../probes.d, ../more.d]\n")

    async def work() -> None:
        async with serving(path) as agent:
            before = dict(agent.kernel.loaded)
            assert len(before) == 3
            good = path.read_text()
            path.write_text(good.replace("text: ok 1", "text: ok 2, guru: 7"))
            extra.write_text("script_folders: [\n")
            more.rename(tmp_path / "less.d")
            more.write_text("no folder")
            status, said = await reload(path)
            assert status == 1
            assert "; its text before this one stays in force" in said[0]
            assert "more.d: script folder cannot be read: Not a directory" in said[1]
            assert "must be true or false" in said[2]
            assert "script c failed: cannot read" in said[3]
            assert agent.kernel.loaded == before
            assert states(agent) == {"a": "running", "bee": "outdated", "c": "outdated"}
            path.write_text(good)
            more.unlink()
            (tmp_path / "less.d").rename(more)
            extra.write_text("script_folders: [../probes.d, ../more.d]\n")
            assert await reload(path) == (0, ["ready: 3 running"])
            assert agent.kernel.loaded == before

    run(work())


def test_a_wrong_script_stops_no_start(tmp_path: Path, lines: Lines) -> None:
    path = configure(
        tmp_path, "scripts: {bee: {text: ok 1, guru: 7}}", **{"a": "ok 1", "no name": ""}
    )

    async def work() -> None:
        async with serving(path) as agent:
            assert states(agent) == {"a": "running", "bee": "failed"}
            assert await agent.metric(SUCCESSFUL) == 0
            assert len(logged(lines, Message.CONFIG_ERROR)) == 2
            [summary] = logged(lines, Message.RELOAD_INCOMPLETE)
            assert summary == "not all is in force: 2 problems; in force: a; not in force: bee"

    run(work())


def test_a_doubled_metric_leaves_out_only_itself(tmp_path: Path, lines: Lines) -> None:
    scripts = "".join(
        f"  {name}: {{metrics: {{hits: {{name: same, constant_labels: {{{label}: x}}}}}}}}\n"
        for name, label in (("a", "k"), ("bee", "other"))
    )
    path = configure(tmp_path, f"scripts:\n{scripts}", a="ok 1", bee="ok 1", c="ok 1")

    async def work() -> None:
        async with serving(path) as agent:
            assert states(agent) == dict.fromkeys(("a", "bee", "c"), "running")
            status, said = await reload(path)
            assert status == 1
            assert said == [
                "script bee: metric problem: global 'hits': metric 'same' has labels k in script 'a'; "
                "declare another name",
                "not all is in force: 1 problem; unchanged: 3",
            ]
            body = (await agent.get("/metrics"))[2]
            assert b'\nsame_total{k="x"}' in body and b"stapwatch_c_hits_total" in body

    run(work())


def test_it_returns_when_the_new_set_is_in_force(tmp_path: Path, lines: Lines) -> None:
    path = configure(tmp_path, a="ok 1")
    gate = tmp_path / "gate"

    async def work() -> None:
        async with serving(path) as agent:
            (tmp_path / "probes.d/bee.stp").write_text(f"after {gate}")
            command = start_reload(path)
            await until(lambda: list(tmp_path.glob("gate.*")))  # the compiler waits
            assert command.poll() is None
            assert (await agent.get("/-/healthy"))[0] == 200
            gate.touch()
            out, err = await asyncio.to_thread(command.communicate, timeout=PATIENCE)
            assert (command.returncode, out, err) == (0, "ready: 2 running\n", "")

    run(work())


def loads(agent: Agent, script: str) -> int:
    return sum(done.startswith(f"load sw_{script}_") for done in agent.kernel.done)


def test_recompiling_goes_on_when_a_newer_reload_takes_over(tmp_path: Path, lines: Lines) -> None:
    gate = tmp_path / "gate"
    gate.touch()
    path = configure(tmp_path, a="ok 1", bee=f"after {gate}")

    async def work() -> None:
        async with serving(path) as agent:
            assert await reload(path) == (0, ["ready: 2 running"])
            assert (loads(agent, "a"), loads(agent, "bee")) == (1, 1)
            gate.unlink()
            for old in tmp_path.glob("gate.*"):
                old.unlink()
            first = start_reload(path, "--recompile")
            await until(lambda: list(tmp_path.glob("gate.*")))  # the compiler waits
            second = start_reload(path)
            await until(lambda: len(logged(lines, Message.RELOADING)) == 3)
            await asyncio.sleep(0.05)
            assert first.poll() is None and second.poll() is None
            gate.touch()
            for command in (first, second):
                out, _ = await asyncio.to_thread(command.communicate, timeout=PATIENCE)
                assert (command.returncode, out) == (0, "ready: 2 running\n")
            assert loads(agent, "bee") == 2
            before = list(agent.kernel.done)
            assert await reload(path) == (0, ["ready: 2 running"])
            assert agent.kernel.done == before

    run(work())


def test_wrong_settings_end_the_compile_of_older_ones(tmp_path: Path, lines: Lines) -> None:
    path = configure(tmp_path, "scripts: {bee: {text: ok 1}}", a="ok 1")
    good = path.read_text()

    async def work() -> None:
        async with serving(path) as agent:
            before = dict(agent.kernel.loaded)
            path.write_text(good.replace("ok 1", "hang"))
            first = start_reload(path)
            await until(lambda: len(logged(lines, Message.RELOADING)) == 1)
            path.write_text(good.replace("text: ok 1", "text: ok 2, guru: 7"))
            status, said = await reload(path)
            assert status == 1 and "must be true or false" in said[0]
            await asyncio.to_thread(first.communicate, timeout=PATIENCE)
            assert first.returncode == 1
            assert states(agent) == {"a": "running", "bee": "outdated"}
            assert agent.kernel.loaded == before

    run(work())


def test_the_first_variant_that_compiles_runs(tmp_path: Path, lines: Lines) -> None:
    variants = "[{name: new, text: bad}, {name: old, text: ok 1}, {name: never, text: hang}]"
    path = configure(tmp_path, f"scripts: {{v: {{variants: {variants}}}}}")
    good = path.read_text()

    async def work() -> None:
        async with serving(path) as agent:
            assert agent.service._supervisor.scripts["v"].variant == "old"
            assert await reload(path) == (0, ["ready: 1 running"])
            assert loads(agent, "v") == 1
            path.write_text(good.replace("text: bad", "text: ok 2"))
            assert await reload(path) == (0, ["ready: 1 running"])
            assert agent.service._supervisor.scripts["v"].variant == "new"
            path.write_text(good.replace("ok 1", "bad").replace("hang", "bad"))
            status, said = await reload(path)
            assert status == 1 and "variant old: no" in " ".join(said)
            assert agent.service._supervisor.scripts["v"].variant == "new"

    run(work())


def test_a_paused_script_that_fails_is_not_in_force(tmp_path: Path, lines: Lines) -> None:
    path = configure(tmp_path, "scripts: {a: {arm: paused}}", a="ok 1")

    async def work() -> None:
        async with serving(path) as agent:
            assert await reload(path) == (0, ["ready: 1 paused"])
            (tmp_path / "probes.d/a.stp").write_text("bad")
            status, said = await reload(path)
            assert status == 1 and said[0] == "script a does not compile: x.stp:3:5: no"
            assert states(agent) == {"a": "paused"}

    run(work())


def test_what_a_rollout_decides_is_in_force(tmp_path: Path, lines: Lines) -> None:
    """A script that waits for one with wrong settings waits; one that waits for none at all is wrong."""
    path = configure(tmp_path, a="ok 1", bee="ok 1", c="ok 1", d="ok 1")
    good = path.read_text()

    async def work() -> None:
        async with serving(path) as agent:
            rollout = "a: {percent: 0}, bee: {guru: 7}, c: {after: {script: bee, for: 1h}}"
            path.write_text(
                f"{good}scripts: {{{rollout}, d: {{after: {{script: nobody, for: 1h}}}}}}\n"
            )
            status, said = await reload(path)
            assert status == 1
            assert said[-1] == (
                "not all is in force: 2 problems; in force: c; removed: a; not in force: bee, d"
            )
            assert states(agent) == {"bee": "outdated", "c": "running", "d": "outdated"}
            path.write_text(f"{good}scripts: {{a: {{percent: 0}}}}\n")
            assert await reload(path) == (0, ["ready: 1 off, 3 running"])

    run(work())


def test_many_requests_share_few_reloads(tmp_path: Path, lines: Lines) -> None:
    """Each is answered by a reload that has read the files after it."""
    path = configure(tmp_path, a="ok 1")

    async def work() -> None:
        async with serving(path) as agent:
            agent.service.reload()
            await until(lambda: logged(lines, Message.RELOADING))
            for n in range(300):
                os.kill(os.getpid(), signal.SIGHUP)
                if n == 200:
                    (tmp_path / "probes.d/a.stp").write_text("ok 2")
                await asyncio.sleep(0)
            await until(lambda: sum(t.startswith("load sw_a") for t in agent.kernel.done) == 2)
            assert await reload(path) == (0, ["ready: 1 running"])
            assert 2 <= len(logged(lines, Message.RELOADING)) < 50

    run(work())


@pytest.mark.parametrize("wanted", ["0.0.0.0", "[::]", "localhost"])
def test_the_port_stays_and_the_address_widens(tmp_path: Path, lines: Lines, wanted: str) -> None:
    with taken("127.0.0.1") as port:
        pass
    path = configure(tmp_path, f'listen: "127.0.0.1:{port}"', a="ok 1")

    async def work() -> None:
        async with serving(path) as agent:
            good = path.read_text()
            path.write_text(good.replace("127.0.0.1", wanted))
            assert await reload(path) == (0, ["ready: 1 running"])
            bound = {str(address) for address in agent.service.addresses}
            assert f"{wanted}:{port}" in bound or f"127.0.0.1:{port}" in bound
            assert (await agent.get("/-/healthy"))[0] == 200
            path.write_text(good)
            assert await reload(path) == (0, ["ready: 1 running"])
            assert agent.service.addresses == (Address("127.0.0.1", port),)

    run(work())


def test_an_address_that_cannot_be_bound_leaves_the_one_before(
    tmp_path: Path, lines: Lines
) -> None:
    """127.0.0.1 had to be closed to try 0.0.0.0, which somebody else's 127.0.0.2 prevents."""
    with taken("127.0.0.2") as port:
        path = configure(tmp_path, f'listen: "127.0.0.1:{port}"', a="ok 1")

        async def work() -> None:
            async with serving(path) as agent:
                good = path.read_text()
                path.write_text(good.replace("127.0.0.1", "0.0.0.0"))
                (tmp_path / "probes.d/bee.stp").write_text("ok 1")
                status, said = await reload(path)
                assert status == 1
                assert said == [
                    f"listen is not in force: cannot listen on 0.0.0.0:{port}: address already in "
                    f"use; see who has it: ss -ltnp 'sport = :{port}'; still used: 127.0.0.1:{port}",
                    "not all is in force: 1 problem; in force: bee; unchanged: 1",
                ]
                assert agent.service.addresses == (Address("127.0.0.1", port),)
                assert await agent.metric(SUCCESSFUL) == 0
                path.write_text(good.replace("127.0.0.1", "0.0.0.0") + "\npublic_status: true\n")
                _, said = await reload(path)
                assert said[0].endswith(f"127.0.0.1:{port}, with the web settings before")
                path.write_text(good)
                assert await reload(path) == (0, ["ready: 2 running"])

        run(work())


def test_socket_and_folders_move(tmp_path: Path, lines: Lines) -> None:
    path = configure(tmp_path, a="ok 1")

    async def work() -> None:
        async with serving(path) as agent:
            old, new = tmp_path / "run/control.sock", tmp_path / "new/control.sock"
            path.write_text(
                path.read_text()
                .replace("work_folder: run", "work_folder: new")
                .replace("cache_folder: cache", "cache_folder: stapwatch.yaml")
            )
            status, said = await reload(path)
            assert status == 3, "without systemd's MAINPID, nothing leads to the old socket"
            status, said = await reload(path, MAINPID=str(os.getpid()))
            assert status == 1
            assert said == [
                f"cache_folder is not in force: {path}: file exists; the unit lists its writable "
                f"folders in ReadWritePaths=; still used: {tmp_path}/cache",
                "not all is in force: 1 problem; unchanged: 1",
            ]
            assert new.is_socket() and not old.exists()
            assert (await agent.get("/-/healthy"))[0] == 200
            path.write_text(path.read_text().replace("stapwatch.yaml", "cache"))
            (tmp_path / "probes.d/a.stp").write_text("ok 2")
            assert await reload(path) == (0, ["ready: 1 running"])
            assert list((tmp_path / "new/modules").parent.iterdir())
        assert not new.exists()

    run(work())


def test_a_log_that_is_not_there(
    tmp_path: Path, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.log_sinks.JOURNAL", f"{tmp_path}/journal")
    path = configure(tmp_path, a="ok 1")

    async def work() -> None:
        async with serving(path):
            path.write_text(path.read_text() + "log: {format: journald}\n")
            assert await reload(path) == (
                1,
                [
                    f"log.format is not in force: there is no journal at {tmp_path}/journal; still used: auto",
                    "not all is in force: 1 problem; unchanged: 1",
                ],
            )

    run(work())


def test_a_defect_ends_the_agent(
    tmp_path: Path, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one, started by systemd, adopts the modules; an agent that no longer reloads is worse."""
    path = configure(tmp_path, a="ok 1")

    async def work() -> None:
        service = Service(path, (), StandInKernel(), standin.compiler)
        task = asyncio.create_task(service.run())
        await until(lambda: logged(lines, Message.READY))
        monkeypatch.setattr("agent.daemon.outcome.outcomes", None)
        status, _ = await reload(path)
        assert status in (1, 3)
        assert await task == 1
        [entry] = [e for e in lines.entries if e.get("message_id") == Message.AGENT_FAILED]
        assert "'NoneType' object is not callable" in entry["exception"]

    run(work())


def test_a_stop_ends_a_reload(tmp_path: Path, lines: Lines) -> None:
    path = configure(tmp_path, a="ok 1")

    async def work() -> None:
        async with serving(path) as agent:
            (tmp_path / "probes.d/bee.stp").write_text("hang")
            command = start_reload(path)
            await until(lambda: states(agent).get("bee") == "compiling")
            agent.service.stop()
            _, err = await asyncio.to_thread(command.communicate, timeout=PATIENCE)
            assert command.returncode in (1, 3), err
            assert err

    run(work())


def test_no_agent(tmp_path: Path) -> None:
    path = configure(tmp_path)
    status, said = run(reload(path))
    assert status == 3
    assert said[1] == "hint: is it running? systemctl status stapwatch"
