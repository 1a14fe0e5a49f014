# SPDX-License-Identifier: GPL-2.0-or-later
"""Lines, inline instances and locals of a module by its debug information, in a real kernel: what probes see is
what the module computes, each time."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from compiler.kernel import btf_types
from compiler.kernel.kernel import Kernel
from lab import Guest, Image
from tests import kernel_module
from tests.handlers.conftest import HERE, Case, check, run_cases

pytest.importorskip("elftools", reason="debug information is read by pyelftools")

SOURCE = HERE / "lines.c"
LINE = {
    mark: 1 + next(i for i, s in enumerate(SOURCE.read_text().splitlines()) if f"/* {mark}" in s)
    for mark in ("area", "turn", "end")
}
MODULE = 'module("/tmp/cases/lines.ko")'
TRIGGER = """#!/bin/sh
case $1 in
again) rmmod lines && insmod /tmp/lines.ko ;;
*) echo "$1" >/sys/module/lines/parameters/run ;;
esac
"""
COUNT = 5
TURNS = range(1, COUNT + 1)
AREAS = {i: 40 * i * (i + 1) // 2 for i in TURNS}  # of all turns until this one


def has_types_as_built(kernel: Kernel) -> bool:
    """The types of a module that is built outside of the kernel stay as they are when it is loaded (until 6.10)."""
    return not kernel.btf.find_all(btf_types.Function, "btf_relocate")


def at(function: str, mark: str) -> str:
    return f'{MODULE}.statement("{function}@lines.c:{LINE[mark]}")'


CASES = [
    Case(
        "locals at lines",
        f"""global turns, ends, members
        probe {at("lines_turns", "turn")} {{ turns[$i, $total, $buffer[$i]]++
            members[$shape->side, $shape->color, $shape->depth, kernel_string($shape->name), $shape->next->side]++ }}
        probe {at("lines_turns", "end")} {{ ends[$total, $shape->next->depth, @defined($no)]++ }}""",
        str(COUNT),
        values={
            "turns": {(i, AREAS[i], 97 + i): 1 for i in TURNS},
            "members": {(40, 2, 9, "large", -3): COUNT},
            "ends": {(AREAS[COUNT] - 6, 17, 0): 1},
        },
        needs=has_types_as_built,
    ),
    Case(
        "inline instances",
        f"""global calls
        probe {MODULE}.function("lines_area").inline {{ calls[$factor, $shape->side, $shape->depth, ppfunc()]++ }}""",
        str(COUNT),
        values={
            "calls": {
                **{(i, 40, 9, "lines_area"): 1 for i in TURNS},
                (2, -3, 17, "lines_area"): 1,
            }
        },
        needs=has_types_as_built,
    ),
    Case(
        "every line of a function",
        f"""global hits
        probe {MODULE}.statement("lines_turns@lines.c:*") {{ hits[pp()]++ }}""",
        str(COUNT),
        needs=has_types_as_built,
    ),
    Case(
        "functions of a file",
        f"""global hits
        probe {MODULE}.function("lines_*@lines.c") {{ hits[tokenize(ppfunc(), ".")]++ }}""",
        str(COUNT),
        # the compiler may have made a variant of a function; nothing is attached behind the last one's end
        values={"hits": {"lines_run": 1, "lines_turns": 1}},
    ),
    Case(
        "a module that is loaded again",
        f"""global turns
        probe {at("lines_turns", "turn")} {{ turns[$i, $total]++ }}""",
        "again",
        values={"turns": {(i, AREAS[i]): 1 for i in (1, 2)}},
        output=None,
        needs=has_types_as_built,
    ),
]


@pytest.fixture(scope="module")
def results(guest: Guest, image: Image, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("cases")
    built = kernel_module.build([SOURCE], image, folder / "built")["lines"]
    system = folder / "system"
    there = Path(system, "tmp/cases/lines.ko")
    there.parent.mkdir(parents=True)
    shutil.copy(built, there)
    (folder / "trigger").write_text(TRIGGER)
    (folder / "trigger").chmod(0o755)
    guest.push(built, "/tmp/lines.ko")
    guest.run("insmod /tmp/lines.ko").check()
    try:
        return run_cases(CASES, guest, image, folder, system)
    finally:
        guest.run("rmmod lines")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: Case, results: dict[str, Any]) -> None:
    check(case, results[case.name])
