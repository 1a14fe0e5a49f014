# SPDX-License-Identifier: GPL-2.0-or-later
"""Modules that need more memory than there is are refused, and nobody else pays for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lab import Guest, Image
from tests.handlers.conftest import Case, compile_case, run_in_guest

HUGE = "global a[13000000]\nprobe timer.s(1) { a[tid()]++ }"
AN_ELEMENT = (
    24 + 8 + 12
)  # bytes of an element of a shared array: slot, row, and most that its index takes


def half(available: int, name: str) -> str:
    """A script that needs half of what is available: one fits, two do not, and others may take a quarter."""
    capacity = available // 2 // AN_ELEMENT
    return f"global {name}[{capacity}]\nprobe timer.s(1) {{ if ({name}[1] == 2) {name}[1] = 3 }}"


@pytest.fixture(scope="module")
def result(guest: Guest, image: Image, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("memory")
    line = guest.run("grep MemAvailable /proc/meminfo").check().stdout
    available = int(line.split()[1]) << 10
    scripts = {
        "huge": HUGE,
        "one": half(available, "one"),
        "two": half(available, "two"),
        "small": "global n\nprobe timer.s(1) { n[1]++ }",
    }
    paths = {}
    for name, text in scripts.items():
        response = compile_case(Case(name, text), image, folder)
        assert response["ok"], response["errors"]
        paths[name] = f"/tmp/{response['module']}.ko"
        guest.push(Path(response["path"]), paths[name])
    plan = {
        "huge": paths["huge"],
        "pair": [paths["one"], paths["two"]],
        "small": paths["small"],
    }
    guest.push_text(json.dumps(plan), "/tmp/plan.json")
    return run_in_guest(guest, "memory.py", ["/tmp/plan.json"], folder, 600)


def test_the_loader_says_what_takes_the_memory(result: dict[str, Any]) -> None:
    assert " MiB of kernel memory on 2 CPUs, and may take " in result["refused"]
    assert " MiB for a[13000000] at <huge>:1:8; " in result["refused"]
    assert "-D MAXMAPENTRIES=1000" in result["refused"]


def test_the_kernel_refuses_without_the_loader(result: dict[str, Any]) -> None:
    assert result["status"] == 1
    assert any("KiB of memory, which is more than 3/4 of the" in line for line in result["kernel"])


def test_two_that_do_not_fit_together(result: dict[str, Any]) -> None:
    assert 1 in result["together"]


def test_nothing_is_killed(result: dict[str, Any], guest: Guest) -> None:
    assert result["alive"] == [True, True, True]
    said = guest.dmesg().lower()
    assert [x for x in ("oom", "out of memory", "killed process") if x in said] == []


def test_what_was_taken_is_given_back(result: dict[str, Any]) -> None:
    assert result["left"] == []
    assert result["alone"] == [0]
    # each try has taken hundreds; each CPU keeps some free pages, which do not count as available
    assert result["leaked"] < 64 << 20
    assert result["small"] > 0
