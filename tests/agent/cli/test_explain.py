# SPDX-License-Identifier: GPL-2.0-or-later
"""`stapwatch explain`: which script is meant, and what is said if it cannot be explained."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.cli import explain, main
from agent.cli.explain import ExplainOptions
from agent.config import load
from compiler.protocol import Request


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "p").mkdir()
    (tmp_path / "p/a.stp").write_text("probe begin {")
    path = tmp_path / "c.yaml"
    path.write_text(
        "script_folders: [p]\nwork_folder: run\ncache_folder: cache\n"
        "scripts: {a: {defines: {MAXACTION: 5}, metrics: {n: {name: calls}}}}\n"
    )
    return path


def requests(config: Path, *words: str) -> list[Request]:
    _, options = main.parse(["explain", "--config", str(config), *words])
    assert isinstance(options, ExplainOptions)
    settings = load.load(config)
    script = explain._configured(options.script, settings)
    found = explain._candidates(options, script, settings, Path("/out"))
    return [candidate.request for candidate in found]


def test_a_script_of_the_configuration(config: Path) -> None:
    """By its file or by its name; the command line changes it."""
    file = config.parent / "p/a.stp"
    for word in (str(file), "a"):
        [found] = requests(config, "-D", "MAXMAPENTRIES=7", word)
        assert (found.source, found.explain, found.output) == (str(file), True, "/out")
        assert found.defines == {"MAXACTION": "5", "MAXMAPENTRIES": "7"}
    other = config.parent / "other.stp"
    other.write_text("probe begin {}")
    [found] = requests(config, str(other))
    assert (found.source, found.defines, found.explain) == (str(other), {}, True)


def test_what_cannot_be_explained(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def failed(*words: str) -> tuple[int, str]:
        status = main.main(["explain", *words])
        done = capsys.readouterr()
        assert done.out == ""
        return status, done.err

    assert failed("--config", str(config), "nosuch") == (
        1,
        "error: cannot read nosuch: no such file or directory\n"
        "hint: scripts of the configuration: a\n",
    )
    status, text = failed("--config", str(config), "a")
    assert status == 1 and "a.stp:1:" in text and "error[" in text
    status, text = failed("--config", "/nonexistent.yaml", "a")
    assert status == 2 and "cannot be read" in text
