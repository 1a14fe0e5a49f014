# SPDX-License-Identifier: GPL-2.0-or-later
"""The mixin, evaluated by jsonnet: it gives what the other formats are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from agent.dashboards import files
from agent.dashboards.files import Format
from tests.agent.dashboards import exported

_jsonnet = pytest.importorskip("_jsonnet", reason="pip install jsonnet")

RUNBOOKS = "https://wiki.example.org/it's"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("mixin")
    files.write(files.make(exported.examples(), Format.MIXIN, RUNBOOKS).texts, found)
    return found


def evaluated(file: Path) -> str:
    return str(_jsonnet.evaluate_file(str(file)))


def test_dashboards_are_those_of_the_other_format(folder: Path) -> None:
    texts = files.make(exported.examples(), Format.GRAFANA, RUNBOOKS).texts
    expected = {name: json.loads(text) for name, text in texts.items()}
    assert json.loads(evaluated(folder / "dashboards.jsonnet")) == expected


@pytest.mark.parametrize("kind", ["alerts", "rules"])
def test_rules_are_those_of_the_other_format(folder: Path, kind: str) -> None:
    texts = files.make(exported.examples(), Format.RULES, RUNBOOKS).texts
    found = yaml.safe_load(json.loads(evaluated(folder / f"{kind}.jsonnet")))
    assert found == yaml.safe_load(texts[f"{kind}.yaml"])


def test_another_place_of_runbooks(folder: Path) -> None:
    text = "((import 'mixin.libsonnet') + {_config+:: {runbooks: 'https://x'}}).prometheusAlerts"
    (folder / "mine.jsonnet").write_text(text)
    groups = json.loads(evaluated(folder / "mine.jsonnet"))["groups"]
    first = groups[0]["rules"][0]["annotations"]
    assert first["runbook_url"] == "https://x#stapwatchscriptfailed"
