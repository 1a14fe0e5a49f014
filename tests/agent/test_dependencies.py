# SPDX-License-Identifier: GPL-2.0-or-later
"""The package asks for no newer library than Debian 12 has."""

from __future__ import annotations

from pathlib import Path

import tomli

PROJECT = Path(__file__).parents[2]
DEBIAN_12 = {
    "prometheus_client": "0.16.0",
    "lark": "1.1.5",
    "sdnotify": "0.3.1",
    "pyyaml": "6.0",
    "structlog": "22.3.0",
}


def version(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(".")))


def test_debian_12_has_every_dependency() -> None:
    with (PROJECT / "pyproject.toml").open("rb") as file:
        asked = tomli.load(file)["project"]["dependencies"]
    floors = dict(text.split(">=") for text in asked)
    assert floors.keys() == DEBIAN_12.keys()
    for name, floor in floors.items():
        assert version(floor) <= version(DEBIAN_12[name]), name
