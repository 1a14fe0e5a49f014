# SPDX-License-Identifier: GPL-2.0-or-later
"""`stapwatch install`: the files of a script that becomes one of the service's, or an error and no change."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from agent.cli import main
from agent.config import load
from agent.config.settings import CompileSettings
from agent.scripts.compile_client import Compiler
from agent.session import installation
from runtime.abi.manifest import Manifest
from tests.agent import standin
from tests.agent.conftest import Lines, run
from tests.agent.daemon.test_service import configure, serving

DROP_IN = """\
# The metrics of io.stp, as 'stapwatch install' has found them. They may be changed: stapwatch.yaml(5).
scripts:
  io:
    args: ["5"]
    metrics:
      calls:
        name: stapwatch_io_calls
        type: counter
        help: "Global 'calls' of script 'io'."
        labels: [process]
      depth:
        name: stapwatch_io_depth
        type: gauge
        help: "Global 'depth' of script 'io'."
      hits:
        name: stapwatch_io_hits
        type: counter
        help: "Global 'hits' of script 'io'."
      sizes:
        name: stapwatch_io_sizes
        type: histogram
        help: "Global 'sizes' of script 'io'."
        labels: [device]
"""


@pytest.fixture(autouse=True)
def compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    def made(settings: CompileSettings) -> Compiler:
        return Compiler(settings, standin.COMMAND)

    def manifest_of(module: Path) -> Manifest:
        return Manifest.from_json(module.read_text())

    monkeypatch.setattr(installation, "Compiler", made)
    monkeypatch.setattr(installation, "manifest_of", manifest_of)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = configure(tmp_path, "control_socket: run/control.sock")
    (tmp_path / "io.stp").write_text("ok tables")
    return path


def install(config: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    status = main.main(["install", "--config", str(config), *words])
    done = capsys.readouterr()
    return status, done.out, done.err


def files(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.suffix in (".stp", ".yaml")}


def test_without_an_agent(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = config.parent
    before = files(folder)
    script = str(folder / "io.stp")
    status, out, _ = install(config, capsys, "--dry-run", script, "5")
    assert status == 0
    assert f"would write {folder}/conf.d/io.yaml:\n{DROP_IN}" in out
    assert files(folder) == before
    status, out, _ = install(config, capsys, script, "5")
    assert status == 0
    probe, drop_in = folder / "probes.d/io.stp", folder / "conf.d/io.yaml"
    assert probe.read_text() == "ok tables"
    assert drop_in.read_text() == DROP_IN
    assert {p.stat().st_mode & 0o7777 for p in (probe, drop_in)} == {0o644}
    assert drop_in.parent.stat().st_mode & 0o7777 == 0o755
    lines = out.splitlines()
    assert lines[:2] == [f"installed {probe}", f"installed {drop_in}"]
    assert "no agent runs" in lines[2]
    assert "series: stapwatch_io_calls (counter) by process" in lines
    assert "page: /metrics at 127.0.0.1:0" in lines
    assert lines[-1] == f"undo: rm {probe} {drop_in} && stapwatch reload"
    found = load.load(config)
    assert not found.refused
    assert found.scripts["io"].args == ("5",)
    assert found.scripts["io"].metrics["calls"].labels == ("process",)


def test_what_is_there_already(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = config.parent / "io.stp"
    probe = config.parent / "probes.d/io.stp"
    assert install(config, capsys, str(script))[0] == 0
    assert install(config, capsys, str(script))[0] == 0  # nothing would change
    script.write_text("ok")
    status, _, err = install(config, capsys, str(script))
    assert status == 1
    assert f"{probe} and " in err
    assert "would be overwritten\nhint: --force replaces it" in err
    assert probe.read_text() == "ok tables"
    status, out, _ = install(config, capsys, "--force", str(script))
    assert status == 0
    assert f"replaced {probe}\n" in out
    assert "undo" not in out
    assert probe.read_text() == "ok"


def test_a_running_agent(tmp_path: Path, lines: Lines, capsys: pytest.CaptureFixture[str]) -> None:
    path = configure(tmp_path, "control_socket: run/control.sock", a="ok a")
    script = tmp_path / "io.stp"
    script.write_text("ok tables")

    async def work() -> None:
        async with serving(path) as agent:
            status, out, _ = await asyncio.to_thread(
                install, path, capsys, "--name", "disk", str(script)
            )
            assert status == 0
            assert "ready: 2 running" in out
            assert "series: stapwatch_disk_hits (counter)" in out
            _, _, body = await agent.get("/metrics")
            assert b"stapwatch_disk_hits_total" in body

    run(work())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["bad.stp"], "error[syntax]: no"),
        (["none.stp"], "none.stp: no such file or directory"),
        (["--name", "a/b", "io.stp"], "'a/b' cannot be a script's name"),
        (["--name", "other", "io.stp"], "there is a script 'other' already: "),
    ],
)
def test_what_is_not_installed(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = configure(tmp_path, "scripts: {other: {text: ok}}")
    (tmp_path / "bad.stp").write_text("bad")
    (tmp_path / "io.stp").write_text("ok tables")
    before = files(tmp_path)
    *given, name = words
    status, out, err = install(path, capsys, *given, str(tmp_path / name))
    assert (status, out) == (1, "")
    assert message in err
    assert files(tmp_path) == before


def test_files_that_others_could_change(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (config.parent / "probes.d").chmod(0o777)
    status, _, err = install(config, capsys, str(config.parent / "io.stp"))
    assert status == 1
    assert "the agent would refuse " in err
    assert "chmod g-w,o-w" in err
    assert not (config.parent / "probes.d/io.stp").exists()


def test_a_configuration_that_would_be_wrong(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was written is taken back."""
    before = files(config.parent)
    monkeypatch.setattr(installation, "_HEAD", "scripts:\n  {name}:\n    nosuch: 1\n")
    status, _, err = install(config, capsys, str(config.parent / "io.stp"))
    assert status == 1
    assert "the configuration would refuse the script: " in err
    assert files(config.parent) == before
