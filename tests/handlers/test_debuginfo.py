# SPDX-License-Identifier: GPL-2.0-or-later
"""Variables, types and lines of programs by their debug information, in a real kernel. The program is built
without and with optimisation, for a fixed address and for any, and with its debug information in another
file; what probes see of it is the same, and what the program says itself."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lab import Guest, Image
from tests import PROJECT
from tests.handlers.conftest import HERE, Case, check, run_cases

pytest.importorskip("elftools", reason="debug information is read by pyelftools")

SOURCE = HERE / "debug.c"
LINE = 1 + next(i for i, s in enumerate(SOURCE.read_text().splitlines()) if "/* statement" in s)
BUILDS = {
    "plain": ("-O0", "-static", "-no-pie"),
    "optimised": ("-O2", "-static"),
    "movable": ("-O2", "-static-pie"),
    "split": ("-O1", "-static-pie"),
    "old": ("-O2", "-static", "-gdwarf-3"),
    "untracked": ("-O1", "-static", "-fno-var-tracking"),
}
COUNT = 4
TOTAL = 1000 - sum(range(1, COUNT))  # at the last call


def cases_of(build: str) -> list[Case]:
    path = f"/tmp/cases/{build}"
    mine = f'process("{path}")'
    case = {"program": build, "trigger": str(COUNT)}
    steps = range(1, COUNT + 1)
    return [
        Case(
            f"{build}: parameters and members",
            f"""global n, m, seen, total
            probe {mine}.function("visit") {{
                n[$step, $letter, user_string($text), $five, $six, $seven, $eight]++
                m[$node->at->x, $node->at->flags, $node->at->depth, user_string($node->at->name),
                  $node->next->u->number, $node->values[2], $node->color, $node->hidden, $node->grid[1][2]]++
                p = $node->next
                seen["static"] += &$first == $node && $first->values[1] == 20 && $second->u->number == p->u->number
                seen["cast"] += @cast($node, "node_t")->u->bytes[1] == 2
                    && @cast(&$first, "struct node", "{path}")->values[0] == 10
                seen["argument"] += $arg1 == $node && @defined($node->at->x) && !@defined($node->no) && !@defined($no)
                total = $total
                if ($step == -1) {{ println($node->at$) println($node->u$$) println($text$) println($first->grid$$) }} }}
            """,
            output='{.x=-9, .flags=5, .depth=-7, .name="point"}\n{.number=513, .bytes=[1, 2, 0, 0, 0, ...]}\n'
            '"text"\n[[1, 2, 3], [4, 5, -6]]\n',
            values={
                "n": {(-i, 65 + i, "text", 5, 1 << 40, -7, -8): 1 for i in steps},
                "m": {(-9, 5, -7, "point", -77, 4000000000, -3, 11, -6): COUNT},
                "seen": {"static": COUNT, "cast": COUNT, "argument": COUNT},
                "total": TOTAL,
            },
            **case,  # type: ignore[arg-type]
        ),
        Case(
            f"{build}: returns, lines and inline instances",
            f"""global n, squares, last
            probe {mine}.function("next_of").return {{ n["next"] = $return->u->number }}
            probe {mine}.function("negative@debug.c").return {{ n["negative"] = $return }}
            probe {mine}.function("copy_of").return {{ n["copy"] = $return->hidden }}
            probe {mine}.function("mixed") {{ last = $last }}
            probe {mine}.function("tripled").inline {{ n["inline"] += @defined($number) ? $number == {COUNT + 100} : 1 }}
            probe {mine}.function("trip*") {{ n["also"]++ }}
            probe {mine}.statement("sum_of_squares@debug.c:{LINE}") {{ squares[$i, $sum]++ }}""",
            values={
                "n": {"next": -77, "negative": -COUNT, "copy": 11, "inline": 1, "also": 1},
                "last": 17,
                "squares": {(i, sum(j * j for j in range(i))): 1 for i in steps},
            },
            **case,  # type: ignore[arg-type]
        ),
        Case(
            f"{build}: what a return has of its call",
            f"""global back, sums, names, total, threads
            probe {mine}.function("visit").return {{
                back[$step, $letter, user_string($text), $five, $eight, $node->values[1], @entry($step - 1)]++
                total = $total }}
            probe {mine}.function("visit") {{ threads["entry", $in_thread, $zero_in_thread]++ }}
            probe {mine}.function("visit").return {{ threads["return", $in_thread, $zero_in_thread]++ }}
            probe {mine}.function("sum_down").return {{ sums[$number, $return]++ }}
            probe {mine}.function("*_of").return {{ names[ppfunc(), @entry(ppfunc())]++ }}""",
            values={
                "back": {(-i, 65 + i, "text", 5, -8, 20, -i - 1): 1 for i in steps},
                "total": TOTAL - COUNT,
                "threads": {
                    (at, 7 - before, before): 1
                    for i in steps
                    for at, before in (("entry", i * (i - 1) // 2), ("return", i * (i + 1) // 2))
                },
                "sums": {(i, i * (i + 1) // 2): 1 for i in range(COUNT + 1)},
                "names": {("copy_of", "copy_of"): 1, ("next_of", "next_of"): 1},
            },
            **case,  # type: ignore[arg-type]
        ),
        Case(
            f"{build}: structs in registers",
            f"""global n, back
            probe {mine}.function("widened") {{ n[$pair->a, $pair->b, $wide->big, $wide->low, $wide->high, $wide->bit]++ }}
            probe {mine}.function("widened").return {{
                back[$return->big, $return->low, $return->high, $return->bit, $pair->b, $wide->low]++ }}
            probe {mine}.function("doubled").return {{ back[$return->a, $return->b, $pair->a, 0, 0, 0]++; println($return$, $$parms$) }}
            probe {mine}.function("mixed") {{ n[$pair->a, $pair->b, 0, 0, 0, 0]++ }}""",
            output="{.a=8, .b=-10}pair={.a=4, .b=-5}\n",
            values={
                "n": {(2, -3, 100, 20, -7, 5): 1, (2, 3, 0, 0, 0, 0): 1},
                "back": {(102, 17, -7, 5, -3, 20): 1, (8, -10, 4, 0, 0, 0): 1},
            },
            **case,  # type: ignore[arg-type]
        ),
        Case(
            f"{build}: calls and labels",
            f"""global calls, turns
            probe {mine}.function("main").callee("sum_down") {{ calls["main", $number]++ }}
            probe {mine}.function("sum_down").callee("sum_down") {{ calls["itself", $number]++ }}
            probe {mine}.function("sum_down").callee("sum_d*").return {{ calls["back", $number]++ }}
            probe {mine}.function("caller").callee("tripled") {{ calls["inline", 0]++ }}
            probe {mine}.function("negative").callee("sum_down") {{ calls["never", 0]++ }}
            probe {mine}.function("added_up").label("again") {{ turns++ }}""",
            values={
                "calls": {("main", COUNT): 1, ("inline", 0): 1}
                | {(where, i): 1 for i in range(COUNT) for where in ("itself", "back")},
                "turns": COUNT,
            },
            **case,  # type: ignore[arg-type]
        ),
    ]


MEMBERS = PROJECT / "tests/compiler/dwarf/members.cc"
OBJECTS = {"members": ("-O0", "-static", "-no-pie"), "fast-members": ("-O2", "-static-pie")}


def case_of_objects(build: str) -> Case:
    mine = f'process("/tmp/cases/{build}")'
    return Case(
        f"{build}: members of classes",
        f"""global n, back, fills, names
        probe {mine}.function("cart::add") {{
            n[$this->id, $amount, $other->id, $this->count, @var("shop::cart::total")]++ }}
        probe {mine}.function("shop::cart::add").return {{ back[$return, $amount, @var("shop::cart::total")]++ }}
        probe {mine}.function("fill") {{ fills[probefunc(), @choose_defined($other->id, $each)]++ }}
        probe {mine}.function("shop::*") {{ if (probefunc() =~ "fill|twice") names[probefunc()]++ }}""",
        values={
            "n": {(41, 7, 3, 4, 9): 1},
            "back": {(10, 7, 16): 1},
            "fills": {("fill", 5): 1, ("fill", 3): 1},
            "names": {"shop::cart::fill": 2, "shop::twice<int>": 1},
        },
        program=build,
        trigger="1",
    )


# without tracking, gcc says nothing of parameters that it takes to pieces
CASES = [
    case
    for build in BUILDS
    for case in cases_of(build)
    if case.name != "untracked: structs in registers"
]
CASES += [case_of_objects(build) for build in OBJECTS]


@pytest.fixture(scope="module")
def results(guest: Guest, image: Image, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("cases")
    system = folder / "system"
    there = system / "tmp/cases"
    there.mkdir(parents=True)
    for name, options in BUILDS.items():
        subprocess.run(["gcc", SOURCE, "-g", *options, "-o", folder / name], check=True)
    for name, options in OBJECTS.items():
        subprocess.run(["g++", MEMBERS, "-g", *options, "-o", folder / name], check=True)
    split(folder / "split", system)
    for name in (*BUILDS, *OBJECTS):
        shutil.copy(folder / name, there)
    return run_cases(CASES, guest, image, folder, system)


def split(program: Path, system: Path) -> None:
    """Move a program's debug information to where debug packages have it."""
    notes = subprocess.run(["readelf", "-n", program], check=True, capture_output=True, text=True)
    build_id = notes.stdout.partition("Build ID: ")[2].split()[0]
    debug = system / f"usr/lib/debug/.build-id/{build_id[:2]}/{build_id[2:]}.debug"
    debug.parent.mkdir(parents=True)
    subprocess.run(["objcopy", "--only-keep-debug", program, debug], check=True)
    subprocess.run(["strip", program], check=True)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: Case, results: dict[str, Any]) -> None:
    check(case, results[case.name])
