# SPDX-License-Identifier: GPL-2.0-or-later
"""Cases of this folder run in one guest: scripts are compiled on the host for the guest's kernel, natively,
then a runner in the guest loads each, triggers it, and tells what came out.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lab import DEFAULT_KERNEL, Guest, Image, install_app

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]


@dataclass(frozen=True, slots=True)
class Case:
    """A script, what triggers it, and what must come out of it.

    `values`: final globals, {name: number or text} or {name: {key or keys: value}}. `until_exit`: the script
    ends itself. `errors`: texts of script errors, in order. `limit`: errors until the module ends itself. `symbols`: the
    compiler knows where the kernel's functions are.
    `file`: the script's, as messages name it.
    """

    name: str
    script: str
    trigger: str = ""
    program: str = "trigger"  # that the trigger is for
    output: str | None = ""
    values: dict[str, Any] = field(default_factory=dict)
    errors: tuple[str, ...] = ()
    until_exit: bool = False
    limit: int | None = None
    strict: bool = False
    statistics: dict[str, Any] = field(default_factory=dict)
    defines: dict[str, str] = field(default_factory=dict)
    symbols: bool = True
    args: tuple[str, ...] = ()
    globals: dict[str, Any] = field(default_factory=dict)
    guru: bool = False
    optimise: bool = True
    file: str | None = None
    target: str = ""  # the program of the target, as the compiler is told it


@pytest.fixture(scope="session")
def image() -> Image:
    return Image.ensure(os.environ.get("LAB_KERNEL") or DEFAULT_KERNEL)


@pytest.fixture(scope="session")
def guest(image: Image) -> Iterator[Guest]:
    with Guest.boot(image) as started:
        install_app.install(started, PROJECT)
        yield started


def compile_case(
    case: Case,
    image: Image,
    folder: Path,
    symbols: Path | None = None,
    programs: Path | None = None,
) -> dict[str, Any]:
    """The compiler's response for a case, made by a process of its own as the agent does it."""
    request = {
        "name": case.name,
        "text": case.script,
        "source": case.file,
        "kernel": {
            "root": str(image.rootfs),
            "release": image.release,
            **({"symbols": str(symbols)} if symbols and case.symbols else {}),
            **({"programs": str(programs)} if programs else {}),
        },
        "output": str(folder),
        "run_mode": case.strict,
        "statistics": case.statistics,
        "defines": case.defines,
        "args": case.args,
        "globals": case.globals,
        "target": case.target,
        "guru": case.guru,
        "optimise": case.optimise,
        "export": bool(case.statistics),
    }
    done = subprocess.run(
        [sys.executable, "-P", "-m", "compiler"],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    response: dict[str, Any] = json.loads(done.stdout)
    return response


def run_cases(
    cases: list[Case], guest: Guest, image: Image, folder: Path, programs: Path | None = None
) -> dict[str, Any]:
    """Compile all cases and run them in the guest; the runner's result for each.

    `programs`: a folder with the programs that cases probe, where the guest will have them.
    """
    trigger = folder / "trigger"
    subprocess.run(["gcc", "-O1", "-static", "-o", trigger, HERE / "trigger.c"], check=True)
    modules = folder / "modules"
    modules.mkdir()
    symbols = folder / "kallsyms"
    guest.run("cat /proc/kallsyms >/tmp/kallsyms", timeout=120).check()
    guest.pull("/tmp/kallsyms", symbols)
    with ThreadPoolExecutor(2) as pool:
        made = pool.map(lambda c: compile_case(c, image, modules, symbols, programs), cases)
        responses = list(made)
    plan, results = [], {}
    for case, response in zip(cases, responses, strict=True):
        if not response["ok"]:
            results[case.name] = {"fault": "\n".join(e["text"] for e in response["errors"])}
            continue
        plan.append(
            {
                "name": case.name,
                "module": response["module"],
                "path": f"/tmp/cases/modules/{response['module']}.ko",
                "trigger": [f"/tmp/cases/{case.program}", *case.trigger.split()]
                if case.trigger
                else [],
                "until_exit": case.until_exit,
                "errors": case.limit,
            }
        )
    (folder / "plan.json").write_text(json.dumps(plan))
    guest.run(["rm", "-rf", "/tmp/cases"]).check()
    guest.push(folder, "/tmp/cases")
    guest.push(HERE / "runner.py", "/tmp/runner.py")
    argv = ["python3", "/tmp/runner.py", "/tmp/cases/plan.json", "/tmp/result.json"]
    guest.run(argv, timeout=1200, env={"PYTHONPATH": "/usr/lib/stapwatch"}).check()
    guest.pull("/tmp/result.json", folder / "result.json")
    results.update(json.loads((folder / "result.json").read_text()))
    return results


def check(case: Case, result: dict[str, Any]) -> None:
    """Exactly what the case says, and no loss."""
    assert "fault" not in result, result["fault"]
    if case.output is not None:
        assert result["output"] == case.output
    found = [text.rpartition(" at ")[0] for text in result["errors"]]
    assert found == list(case.errors)
    assert result["lanes"][1] == 0, "events were lost"
    assert result["adds_up"]
    for name, wanted in case.values.items():
        assert flat(result["tables"][name]) == wanted, name


def flat(rows: list[Any]) -> Any:
    """A scalar's value, or {key: value} with a single key for one-key arrays."""
    if len(rows) == 1 and rows[0][0] == []:
        return rows[0][1]
    return {(keys[0] if len(keys) == 1 else tuple(keys)): value for keys, value in rows}
