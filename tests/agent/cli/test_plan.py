# SPDX-License-Identifier: GPL-2.0-or-later
"""`stapwatch plan` as a command: beside a running agent, for another host, and for a fleet."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from agent.cli import main
from agent.config import drop_ins
from agent.scripts.script_records import Quarantine, Record, ScriptRecords
from tests.agent.conftest import Lines, run, until
from tests.agent.daemon.test_service import configure, serving

FACTS = "host: web-1\nmachine_id: m1\nkernel: 6.1.0\nlabels: {tier: canary}\n"
ROLLOUT = """
scripts:
  a: {when: {labels: {tier: canary}}}
  b: {percent: 30, arm: paused}
"""


def plan(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    status = main.main(["plan", *words])
    done = capsys.readouterr()
    return status, done.out, done.err


def rows(text: str) -> list[str]:
    """The lines of the scripts."""
    return text.split("\n\n")[1].splitlines()


def test_beside_a_running_agent(
    tmp_path: Path, lines: Lines, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the plan says is what the reload then does."""
    path = configure(tmp_path, a="ok 1", b="ok 1", c="ok 1")

    async def asked(*words: str) -> list[str]:
        status, out, err = await asyncio.to_thread(plan, capsys, "--config", str(tmp_path), *words)
        assert (status, err) == (0, "")
        assert f"{os.uname().nodename}: kernel {os.uname().release}" in out
        assert "compared with the running agent" in out
        return rows(out)

    async def work() -> None:
        async with serving(path) as agent:
            await agent.ready()
            assert await asked() == [f"  {name}  unchanged" for name in "abc"]
            text = "\nscripts: {b: {arm: paused}, c: {from: 2100-01-01T00:00Z}}\n"
            configure(tmp_path, text, a="ok 2", b="ok 1", c="ok 1", d="ok 1")
            planned = await asked()
            modules = set(agent.kernel.loaded)
            assert [row[:12].split() for row in planned] == [
                ["~", "a", "swap"],
                ["~", "b", "pause"],
                ["-", "c", "unload"],
                ["+", "d", "load"],
            ]
            assert planned[0].endswith("swap    its text changes, c57b302165cb -> 946ba1d122ab")
            assert (await asked("--at", "2100-01-01T00:00Z"))[2].split() == ["c", "unchanged"]
            assert set(agent.kernel.loaded) == modules, "a plan changes nothing"
            agent.service.reload()
            ready = "ready: 1 paused, 2 running, 1 waiting"
            await until(lambda: any(text.startswith(ready) for text in lines.texts))
            assert [row.split()[:2] for row in await asked()] == [
                ["a", "unchanged"],
                ["b", "unchanged,"],
                ["c", "waits"],
                ["d", "unchanged"],
            ]

    run(work())


def test_a_folder_stands_for_etc(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its scripts are those of its own probes.d, and packages bring theirs as they do there."""
    packaged = tmp_path / "packaged"
    packaged.mkdir()
    monkeypatch.setattr(drop_ins, "PACKAGED", packaged)
    (packaged / "more.yaml").write_text("scripts: {more: {text: ok 1}}\n")
    new = tmp_path / "new"
    (new / "probes.d").mkdir(parents=True)
    (new / "probes.d/a.stp").write_text("ok 1")
    (new / "stapwatch.yaml").write_text(
        "scripts: {a: {enabled: true}, b: {file: /etc/stapwatch/probes.d/a.stp}}\n"
        f"control_socket: {tmp_path}/none.sock\nstate_folder: {tmp_path}/state\n"
    )
    status, out, err = plan(capsys, "--config", str(new))
    assert (status, err) == (0, "")
    assert rows(out) == ["+ a     load", "+ b     load", "+ more  load"]


def test_without_an_agent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the last one has remembered holds for the next start."""
    text = "\nscripts: {a: {arm: paused}, b: {arm: paused}, d: {after: {script: a, for: 1h}}}\n"
    configure(tmp_path, text, a="ok 1", b="ok 1", c="ok 1", d="ok 1")
    records, revision = ScriptRecords(tmp_path / "state"), "c57b302165cb"
    records.save("a", Record(armed=revision))
    records.save("b", Record(armed="of another text"))
    records.save("c", Record(quarantine=Quarantine("i", "", "cpu", "too much"), revision=revision))
    records.save("d", Record(passed=revision))
    status, out, _ = plan(capsys, "--config", str(tmp_path))
    assert status == 0
    assert (
        f"compared with nothing, because no agent answers at {tmp_path}/run/control.sock: " in out
    )
    assert rows(out) == [
        "+ a  load",
        "+ b  load, paused  'arm' is paused; to arm it: stapwatch arm b",
        "  c  quarantined   quarantined here until its text changes: too much",
        "+ d  load",
    ]


def test_for_another_host(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configure(tmp_path, ROLLOUT, a="ok 1", b="ok 1")
    facts = tmp_path / "web.yaml"
    facts.write_text(FACTS)
    words = ("--config", str(tmp_path / "stapwatch.yaml"), "--host-facts", str(facts))
    status, out, err = plan(capsys, *words, "--at", "2026-12-24T18:00Z")
    assert (status, err) == (0, "")
    assert out.splitlines() == [
        "web-1: kernel 6.1.0, 1 CPU, tier=canary",
        "at 2026-12-24T18:00Z, compared with nothing",
        "",
        "+ a  load  'when' holds",
        "  b  off   this host is at 76.708763 of 100, not below 30 %",
        "",
        "1 to load, 1 off here",
    ]


def test_facts_of_this_host_are_facts_of_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What --facts prints on one host answers on another one as here, and as one of a fleet."""
    configure(tmp_path, ROLLOUT, a="ok 1", b="ok 1")
    (tmp_path / "host.yaml").write_text("labels: {tier: canary}\n")
    status, text, err = plan(capsys, "--config", str(tmp_path), "--facts")
    assert (status, err) == (0, "") and text.startswith(f"host: {os.uname().nodename}\n")
    facts = tmp_path / "facts.d"
    facts.mkdir()
    (facts / "here.yaml").write_text(text)
    (facts / "web.yaml").write_text(FACTS)
    _, here, _ = plan(capsys, "--config", str(tmp_path))
    _, there, _ = plan(capsys, "--config", str(tmp_path), "--host-facts", str(facts / "here.yaml"))
    assert "no agent answers at" in here and rows(here) == rows(there)
    status, fleet, err = plan(capsys, "--config", str(tmp_path), "--fleet", str(facts))
    assert (status, err) == (0, "")
    assert fleet.splitlines()[0].startswith("2 scripts on 2 hosts at ")
    assert rows(fleet)[1].split()[:6] == ["a", "c57b302165cb", "2", "2", "0", "0"]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--at", "tomorrow"], "error: --at: 'tomorrow' is not a time; write it as 2026-12-24T18:00Z\n"),
        (["--at", "2026-12-24"], "error: --at: '2026-12-24' has no time zone; end it with Z for UTC"),
        (["--facts", "--fleet", "x"], "error: argument --fleet: not allowed with argument --facts"),
        (["--config", "/none.yaml"], "config error: /none.yaml: cannot be read"),
    ],
)  # fmt: skip
def test_wrong_use(capsys: pytest.CaptureFixture[str], words: list[str], text: str) -> None:
    try:
        status = main.main(["plan", *words])
    except SystemExit as end:
        assert isinstance(end.code, int)
        status = end.code
    assert status == 2
    assert text in capsys.readouterr().err


def test_wrong_facts_and_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configure(tmp_path, "\nscripts: {a: {file: none.stp}}\n")
    facts = tmp_path / "web.yaml"
    facts.write_text("host: a\ncpu: 4\n")
    status, _, err = plan(capsys, "--config", str(tmp_path), "--host-facts", str(facts))
    assert status == 2 and f"{facts}:2:1: unknown key 'cpu'; did you mean 'cpus'?" in err
    facts.write_text(FACTS)
    status, out, _ = plan(capsys, "--config", str(tmp_path), "--host-facts", str(facts))
    assert status == 1
    assert rows(out) == [f"! a  fails  cannot read {tmp_path}/none.stp: no such file or directory"]
    (tmp_path / "host.yaml").write_text("lables: {}\n")
    status, _, err = plan(capsys, "--config", str(tmp_path), "--facts")
    assert status == 2 and "host.yaml:1:1: unknown key 'lables'; did you mean 'labels'?" in err
