# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernels of a fleet, from what Prometheus answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agent.prebuilt import fleet_facts
from agent.prebuilt.fleet_facts import FleetFactsError, FleetKernel


def answer(*series: tuple[dict[str, str], str]) -> dict[str, Any]:
    """As /api/v1/query writes it."""
    result = [{"metric": labels, "value": [1764520000.1, value]} for labels, value in series]
    return {"status": "success", "data": {"resultType": "vector", "result": result}}


def read(tmp_path: Path, tree: object) -> list[FleetKernel]:
    (tmp_path / "facts.json").write_text(json.dumps(tree))
    return fleet_facts.read(tmp_path / "facts.json")


def host(name: str, kernel: str) -> tuple[dict[str, str], str]:
    family = {"__name__": "stapwatch_host_info", "instance": name, "host": name, "cpus": "4"}
    return {**family, "kernel": kernel, "arch": "x86_64"}, "1"


def test_one_series_is_one_host(tmp_path: Path) -> None:
    found = read(tmp_path, answer(host("a", "6.1"), host("b", "6.12"), host("c", "6.12")))
    assert found == [FleetKernel("6.12", "x86_64", 2), FleetKernel("6.1", "x86_64", 1)]


def kernel(build_id: str, value: str, **more: str) -> tuple[dict[str, str], str]:
    return {**more, "release": "6.1", "build_id": build_id, "arch": "x86_64"}, value


def test_builds_of_one_release_are_two_kernels(tmp_path: Path) -> None:
    """Of the family itself, and of a count by its labels."""
    wanted = [FleetKernel("6.1", "x86_64", 2, "bb"), FleetKernel("6.1", "x86_64", 1, "aa")]
    family = {"__name__": "stapwatch_kernel_info"}
    each = [kernel(id, "1", instance=str(n), **family) for n, id in enumerate(("aa", "bb", "bb"))]
    assert read(tmp_path, answer(*each)) == wanted
    assert read(tmp_path, answer(kernel("aa", "1"), kernel("bb", "2"))) == wanted


def test_a_count_says_how_many(tmp_path: Path) -> None:
    tree = answer(({"kernel": "6.1", "arch": "x86_64"}, "1200"), ({"kernel": "6.12"}, "7"))
    wanted = [FleetKernel("6.1", "x86_64", 1200), FleetKernel("6.12", "", 7)]
    assert read(tmp_path, tree) == wanted
    assert read(tmp_path, tree["data"]) == read(tmp_path, tree["data"]["result"]) == wanted


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        ({"status": "error", "error": "parse error at char 5"}, "parse error at char 5"),
        (answer(({"instance": "a"}, "1")), r"no series .* has the label 'release'; ask for it: "),
        ({"listen": []}, "is not Prometheus' answer"),
    ],
)
def test_what_is_no_answer(tmp_path: Path, tree: object, words: str) -> None:
    with pytest.raises(FleetFactsError, match=words):
        read(tmp_path, tree)
    (tmp_path / "facts.json").write_text("<html>")
    with pytest.raises(FleetFactsError, match="is not JSON"):
        fleet_facts.read(tmp_path / "facts.json")
