# SPDX-License-Identifier: GPL-2.0-or-later
"""Scripts in the shapes of public collections, in a real kernel: what they print of programs is what the programs
have. The scripts are those of `tests/language/collections/`, with other paths, and without times."""

from __future__ import annotations

import shutil
from typing import Any

import pytest

from lab import Guest, Image
from tests.handlers.conftest import Case, check, run_cases
from tests.language import collections

pytest.importorskip("elftools", reason="debug information is read by pyelftools")

SERVER, CALLER, LIBRARY = (f"/tmp/cases/{n}" for n in ("server", "caller", "libmachine.so"))


def published(topic: str, title: str, *changes: tuple[str, str]) -> str:
    """A script of the collections for the programs of this guest, with some of its text replaced."""
    (found,) = (s for s in collections.read(topic) if s.title == title)
    text = found.script
    for old, new in (("/usr/bin/", "/tmp/cases/"), ("/usr/lib/", "/tmp/cases/"), *changes):
        assert old in text or old.startswith("/usr"), old
        text = text.replace(old, new)
    return text


def case(name: str, program: str, count: int, script: str, **rest: Any) -> Case:
    return Case(name, script, trigger=str(count), program=program, **rest)


CASES = [
    case(
        "requests", "server", 5,
        published(
            "server", "active requests with their pools",
            ("pid() == target()", "1"),
            ("probe begin", "probe never"),
            (' in %d us.\\n", nreqs, local_clock_us() - begin', '\\n", nreqs'),
        ),
        output='req "/index.html?", time 2.150 sec, conn reqs 1, fd 101\n    pool chunk size: 512\n'
        "    0 used, 0 large blocks of 0 bytes\n\nfound 1 active requests\n",
        until_exit=True,
    ),
    case(
        "headers", "server", 5,
        published("server", "a header of a list of parts"),
        output="host: example.org\n" * 2 * 4,  # one of five requests has none
    ),
    case(
        "connections", "server", 1,
        published("server", "connections of the cycle"),
        output="=====CONNECTIONS======\nMax connections: 8\nFree connections: 3\nUsed connections: 5\n",
        until_exit=True,
    ),
    case(
        "descriptors", "server", 3,
        published("server", "who of them uses which connection", ('"server"', f'"{SERVER}"')),
        output="101 2 0: 1\n102 2 0: 1\n103 2 0: 1\n",
    ),
    case(
        "stack of an interpreter", "caller", 1,
        published(
            "machine", "stack of an interpreter with tagged values",
            ('"C:" . usymname(cfunc)', '"C"'),
            ('function("machine_*")', 'function("none_*")?'),
        ),
        output="C\n@job.lua:11\n@job.lua:10\n",
        until_exit=True,
    ),
    case(
        "frames", "caller", 2,
        published("machine", "frames of an interpreter with text behind its header")
        + f'probe process("{CALLER}").end {{ foreach (st in stacks) println(st, " ", @count(stacks[st])) }}',
        output=";work(job.py);work(job.py) 2\n",
    ),
    case(
        "queries", "database", 3,
        published("database", "queries of a command"),
        output="42 select 1 8\n" * 2,
    ),
    case(
        "types in namespaces", "database", 2,
        published("database", "types in namespaces"),
        output="7\n8\n" * 2,
    ),
    case(
        "variables in any probe", "caller", 2,
        f"""global seen
        probe process("{CALLER}").syscall {{ if ($syscall == 1) {{
            seen["library"] = @var("the_state@machine.c", "{LIBRARY}")->global->ptr32
            seen["tag"] = @var("the_state@machine.c", "{LIBRARY}")->header->tag }} }}
        probe process("{LIBRARY}").function("machine_run") {{ seen["calls"] += @var("tag_of_caller", "{CALLER}") }}
        probe syscall.exit_group {{ if (execname() == "caller") seen["kernel"] = @var("tag_of_caller", "{CALLER}") }}
        """,
        values={"seen": {"library": 77, "tag": 8, "calls": 2 * 5, "kernel": 5}},
    ),
    case(
        "variables of another program", "server", 1,
        f"""global told, served, status
        probe process("{SERVER}").syscall {{
            served = @var("served@server.c", "{SERVER}")
            try {{ status = @var("the_state@machine.c", "{LIBRARY}")->status }} catch (message) {{ told = message }} }}""",
        values={"told": "this process does not have the file of the variable", "served": 1},
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
def results(guest: Guest, image: Image, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("cases")
    system = folder / "system"
    collections.build(system, bin="tmp/cases", lib="tmp/cases")
    for made in (system / "tmp/cases").iterdir():
        shutil.copy(made, folder)
    return run_cases(CASES, guest, image, folder, system)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: Case, results: dict[str, Any]) -> None:
    check(case, results[case.name])
