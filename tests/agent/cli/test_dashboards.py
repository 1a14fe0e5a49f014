# SPDX-License-Identifier: GPL-2.0-or-later
"""`stapwatch dashboards`, as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from agent.cli import main
from tests.agent.dashboards import exported

CONFIG = """\
script_folders: []
scripts:
  opens:
    text: 'global opens probe begin { opens[execname()]++ }'
    metrics: {opens: {alert: {above: 5, name: ManyOpens}}}
  idle: {text: 'global idle probe begin { idle++ }', enabled: false}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "stapwatch.yaml").write_text(CONFIG)
    return tmp_path / "stapwatch.yaml"


def run(config: Path, *words: str) -> int:
    return main.main(
        ["dashboards", "--config", str(config), "-o", str(config.parent / "x"), *words]
    )


def made(config: Path) -> set[str]:
    folder = config.parent / "x"
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.host
def test_scripts_are_compiled_and_those_that_are_disabled_left_out(config: Path) -> None:
    assert run(config) == 0
    assert made(config) == {
        *("stapwatch-agent.json", "stapwatch-fleet.json", "stapwatch-script-opens.json")
    }
    text = (config.parent / "x/stapwatch-script-opens.json").read_text()
    assert (
        "sum by (execname) (rate(stapwatch_opens_opens_total{"
        in json.loads(text)["panels"][7]["targets"][0]["expr"]
    )
    assert run(config, "--all") == 0 and "stapwatch-script-idle.json" in made(config)


@pytest.mark.host
def test_tables_are_what_another_machine_needs(config: Path, tmp_path: Path) -> None:
    assert run(config, "--format", "tables") == 0
    tables = config.parent / "x/tables.json"
    broken = tmp_path / "other.yaml"
    broken.write_text(CONFIG.replace("begin", 'kernel.function("nosuch_function")'))
    assert run(broken, "--format", "rules", "--tables", str(tables), "--runbooks", "https://x") == 0
    rules = [
        r
        for g in yaml.safe_load((tmp_path / "x/alerts.yaml").read_text())["groups"]
        for r in g["rules"]
    ]
    assert rules[-1]["alert"] == "ManyOpens"
    assert rules[-1]["annotations"]["runbook_url"] == "https://x#alerts-of-your-own-metrics"
    assert rules[0]["annotations"]["runbook_url"] == "https://x#stapwatchscriptfailed"


def test_a_script_without_tables_fails_alone(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tables = ["--tables", str(exported.TABLES)]
    assert run(config, *tables, "--format", "mixin") == 1
    said = capsys.readouterr()
    assert said.err == f"error: {exported.TABLES} has no script 'opens'\n"
    assert "dashboards/stapwatch-agent.json" in made(config) and "mixin.libsonnet" in made(config)
    assert run(config, *tables, "nosuch") == 1
    assert capsys.readouterr().err == "error: no script 'nosuch'\n"


def test_a_folder_stands_for_etc(tmp_path: Path) -> None:
    etc = tmp_path / "etc"
    (etc / "probes.d").mkdir(parents=True)
    (etc / "stapwatch.yaml").write_text("")
    (etc / "probes.d/vfs_latency.stp").write_text("probe begin { }")
    words = ["dashboards", "--config", str(etc), "--tables", str(exported.TABLES)]
    assert main.main([*words, "-o", str(tmp_path / "x")]) == 0
    assert (tmp_path / "x/stapwatch-script-vfs_latency.json").exists()


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["--tables", "/nonexistent"], 1, "error: /nonexistent: no such file or directory"),
        (["--tables", __file__], 2, "has no tables of scripts"),
        (["--config", "/nonexistent"], 2, "/nonexistent"),
        (["-o", "/dev/null/x", "--tables", str(exported.TABLES)], 1, "error: /dev/null/x: not a"),
    ],
)
def test_what_cannot_be(
    words: list[str], status: int, said: str, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(config, *words) == status
    assert said in capsys.readouterr().err


def test_wrong_words(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main.main(["dashboards", "--format", "html"])
    assert end.value.code == 2 and "invalid choice: 'html'" in capsys.readouterr().err


def test_what_is_not_exported_as_declared_is_a_warning(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text(
        "script_folders: []\nscripts: {tcp: {text: x, metrics: {nosuch: {help: x}, incoming: {alert: "
        "{above: 1, of: p99}}}}}\n"
    )
    assert run(config, "--tables", str(exported.TABLES)) == 0
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and "no global 'nosuch' to export in script 'tcp'" in lines[0]
    assert "an alert for a counter is of rate" in lines[1]
    assert all(line.startswith("warning: ") for line in lines)
