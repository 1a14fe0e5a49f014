# SPDX-License-Identifier: GPL-2.0-or-later
"""Labels of the host: beside the main file, checked as strictly, and reported with everything else."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.config import load
from agent.config.load import ConfigError


@pytest.fixture
def main(tmp_path: Path) -> Path:
    path = tmp_path / "stapwatch.yaml"
    path.write_text("script_folders: []\n")
    return path


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        (None, {}),
        ("", {}),
        ("labels: {}", {}),
        ("labels: {tier: canary, rack: 12, spare: no}", {"tier": "canary", "rack": "12", "spare": "no"}),
    ],
)  # fmt: skip
def test_labels(main: Path, text: str | None, labels: dict[str, str]) -> None:
    if text is not None:
        (main.parent / "host.yaml").write_text(text)
    assert load.load(main).host_labels == labels


def test_all_mistakes_at_once(main: Path) -> None:
    main.write_text("script_folders: []\nlog: {level: loud}\n")
    host = main.parent / "host.yaml"
    host.write_text("labels: {a-b: x, tier: [x]}\nhost: web-1\n")
    with pytest.raises(ConfigError) as caught:
        load.load(main)
    assert str(caught.value).splitlines() == [
        f"config error: {host}:1:10: 'a-b' cannot be a name in labels",
        f"config error: {host}:1:24: must be text or a number, not a list",
        f"config error: {host}:2:1: unknown key 'host'; known here: labels",
        f"config error: {main}:2:14: unknown value 'loud'; known here: critical, debug, error, info, warning",
    ]
