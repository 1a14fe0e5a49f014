# SPDX-License-Identifier: GPL-2.0-or-later
"""Everything that a reader of docs/manual/ and docs/fleet.md may copy is right: scripts compile, commands and
options exist, configurations load, and Prometheus takes the queries."""

from __future__ import annotations

import re
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from agent.cli import main
from agent.config import host_labels, load
from agent.scripts.script import ScriptState
from manual import metrics
from tests import PROJECT
from tests.agent.cli.test_command import commands
from tests.language.userspace import Script, translate
from tests.manual import chapters
from tests.manual.chapters import FOLDER, Block

# Languages of blocks that nothing here can run.
SHOWN_ONLY = {"bpftrace", "c"}
# Programs of others in the examples of commands.
OTHERS = {
    "apt",
    "chgrp",
    "chmod",
    "curl",
    "grep",
    "journalctl",
    "ls",
    "mkdir",
    "mmdebstrap",
    "rm",
    "rsync",
    "systemctl",
    "touch",
}
# What tests/system/test_fleet.py types.
TYPED = {
    *("sh builder", "sh registry", "sh builder host", "sh builder publish", "sh host start"),
    *("sh prometheus", "sh builder all", "sh host reload", "sh builder next", "sh host next"),
    *("sh builder back", "yaml registry"),
}


def blocks(*languages: str) -> list[object]:
    return [pytest.param(block, id=block.place) for block in chapters.blocks(*languages)]


@pytest.mark.parametrize("block", blocks())
def test_every_block_has_a_language_that_is_checked(block: Block) -> None:
    assert block.language in {
        "stp",
        "sh",
        "sh skip",
        "text",
        "yaml",
        "yaml host",
        "yaml prometheus",
        "yaml grafana",
        "promql",
        *SHOWN_ONLY,
        *TYPED,
    }


@pytest.mark.parametrize("block", blocks("stp"))
def test_scripts_compile(block: Block) -> None:
    translate(Script("x", block.text))


@pytest.mark.parametrize("block", blocks("sh", "sh skip"))
def test_commands_exist(block: Block) -> None:
    for line in block.text.splitlines():
        names = {part.split()[0] for part in re.split(r"[|;&]+(?=(?:[^']*'[^']*')*[^']*$)", line)}
        assert names <= {"stapwatch", *OTHERS}, line
        for words in commands(line):
            main.parse(words)
            for script in [word for before, word in pairwise(words) if before == "-e"]:
                translate(Script("x", script))


@pytest.mark.parametrize("block", blocks("sh", "sh skip"))
def test_what_nobody_types_here_has_a_reason(block: Block) -> None:
    """tests/packaging/test_typed_manual.py types the others."""
    assert bool(block.reason) == (block.language == "sh skip")


def test_a_fleet_is_typed() -> None:
    """All of it, by the lab's test."""
    found = [block.values[0].language for block in blocks(*TYPED)]  # type: ignore[attr-defined]
    assert sorted(found) == sorted(TYPED)
    text = (PROJECT / "tests/system/test_fleet.py").read_text()
    used = {" ".join(pair) for pair in re.findall(r'typed\("(\w+)", "([\w ]+)"\)', text)}
    assert used == {*TYPED, "yaml prometheus"}


@pytest.mark.parametrize("block", blocks("yaml"))
def test_configurations_load(block: Block, tmp_path: Path) -> None:
    """The scripts that a block has no text for are in a folder."""
    given = yaml.safe_load(block.text)
    for name, script in given.get("scripts", {}).items():
        if not {"file", "text", "variants"} & script.keys():
            (tmp_path / f"{name}.stp").write_text(
                "global threshold, reads, calls\nprobe begin { }\n"
            )
    for text in re.findall(r"(?s)text: [|']\s*(.*?)(?:\n\n|'|\Z)", block.text):
        translate(Script("x", text))
    settings = load.loads(f"script_folders: [{tmp_path}]\n{block.text}")
    assert settings.scripts.keys() == given.get("scripts", {}).keys()


@pytest.mark.parametrize("block", blocks("yaml host"))
def test_labels_of_a_host(block: Block, tmp_path: Path) -> None:
    (tmp_path / host_labels.FILE).write_text(block.text)
    wrong: list[object] = []
    assert host_labels.load(tmp_path, wrong)  # type: ignore[arg-type]
    assert wrong == []


@pytest.mark.host
@pytest.mark.parametrize("block", blocks("yaml prometheus"))
def test_configurations_of_prometheus(block: Block, tmp_path: Path) -> None:
    file = tmp_path / "prometheus.yml"
    file.write_text(block.text.replace("/usr/share/stapwatch/dashboards/rules", str(tmp_path)))
    done = subprocess.run(["promtool", "check", "config", file], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_one_sees_is_what_is_said() -> None:
    text = (FOLDER / "troubleshooting.md").read_text()
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| ")]
    states = [word for row in rows if "state `" in row for word in re.findall(r"`(\w+)`", row)]
    assert len(states) >= 6 and set(states) <= {state.value for state in ScriptState}
    said = [part for row in rows for part in re.findall(r"`([^`]+?) ?\.\.\.`", row)]
    files = [p.read_text() for top in ("agent", "compiler") for p in (PROJECT / top).rglob("*.py")]
    assert len(said) >= 3
    assert [part for part in said if not any(part in file for file in files)] == []


@pytest.mark.host
@pytest.mark.parametrize("block", blocks("promql"))
def test_queries(block: Block, tmp_path: Path) -> None:
    """promtool takes each, and all families in it are the agent's."""
    lines = block.text.splitlines()
    rules = [{"alert": f"query{n}", "expr": line} for n, line in enumerate(lines)]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "x", "rules": rules}]}))
    done = subprocess.run(["promtool", "check", "rules", file], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    known = {metrics.shown_name(family) for family in metrics.families()}
    assert set(re.findall(r"\bstapwatch_\w+", block.text)) <= known


def test_every_link_leads_somewhere() -> None:
    for path in FOLDER.glob("*.md"):
        for target in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
            assert (path.parent / target).exists(), f"{path.name}: {target}"
        assert path.name == "README.md" or f"]({path.name})" in (FOLDER / "README.md").read_text()
