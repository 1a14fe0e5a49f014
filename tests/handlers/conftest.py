# SPDX-License-Identifier: GPL-2.0-or-later
"""Cases of this folder run in one guest: scripts are compiled on the host for the guest's kernel, natively,
then a runner in the guest loads each, triggers it, and reports the results.

A file declares CASES, and `test_case` checks each against the fixture `results`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from compiler.kernel import btf_types
from compiler.kernel.kernel import Kernel
from lab import Guest, Image
from runtime.support import python_module
from tests import PROJECT
from tests.lab_fixtures import project_guest

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Case:
    """A script, its trigger, and its expected results.

    `values`: final globals, {name: number or text} or {name: {key or keys: value}}. `until_exit`: the script
    ends itself. `errors`: texts of script errors, in order. `limit`: errors until the module ends itself.
    `symbols`: the compiler knows the addresses of the kernel's functions. `file`: the script's, as messages
    name it.
    """

    name: str
    script: str
    trigger: str = ""
    program: str = "trigger"  # the program that executes the trigger
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
    target: str = ""  # the target's program, for the compiler
    needs: Callable[[Kernel], bool] | None = (
        None  # what the kernel must have; else the case is left out
    )


def types_of_modules(kernel: Kernel) -> bool:
    """Modules have type information (5.11)."""
    return kernel.config.get("CONFIG_DEBUG_INFO_BTF_MODULES") == "y"


def types_of_variables(kernel: Kernel) -> bool:
    """The types of per-CPU variables are known, which depends on the tool that wrote them."""
    return bool(kernel.btf.find_all(btf_types.Variable, "this_cpu_off"))


def ftrace_gives_arguments(kernel: Kernel) -> bool:
    """ftrace calls its users with a function's arguments, and saves no other register (5.11)."""
    return "y" in (
        kernel.config.get("CONFIG_DYNAMIC_FTRACE_WITH_ARGS"),
        kernel.config.get("CONFIG_HAVE_DYNAMIC_FTRACE_WITH_ARGS"),
    )


@pytest.fixture(scope="session")
def kernel(image: Image) -> Kernel:
    """The facts of the guest's kernel."""
    return Kernel.from_root(image.rootfs, image.release)


@pytest.fixture(scope="session")
def booted(image: Image) -> Iterator[Guest]:
    """One guest for all files: an unloaded module leaves nothing behind that affects a later one."""
    with project_guest(image) as started:
        yield started


@pytest.fixture(scope="module")
def cases(request: pytest.FixtureRequest) -> list[Case]:
    """The file's CASES; a file that completes them in the guest overrides this."""
    found: list[Case] = request.module.CASES
    return found


@pytest.fixture(scope="module")
def results(
    cases: list[Case],
    guest: Guest,
    image: Image,
    trigger: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Any]:
    """The runner's report of each case, by its name. The file's cases are one run."""
    folder = tmp_path_factory.mktemp("cases")
    shutil.copy(trigger, folder / "trigger")
    return run_cases(cases, guest, image, folder)


def compile_case(
    case: Case,
    image: Image,
    folder: Path,
    symbols: Path | None = None,
    programs: Path | None = None,
    cache: Path | None = None,
) -> dict[str, Any]:
    """The compiler's response for a case, from a separate process, as in the agent."""
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
        # an emulated CPU is slow, and the machine below it busy with other tests; many modules are loaded at once
        "defines": {"MAXTIME": "0", "RINGSIZE": "262144", **case.defines},
        "args": case.args,
        "globals": case.globals,
        "target": case.target,
        "guru": case.guru,
        "optimise": case.optimise,
        "export": bool(case.statistics),
        "cache": str(cache) if cache else None,
    }
    done = subprocess.run(
        python_module.command("compiler"),
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

    `folder` holds the programs that the cases call, and is copied to the guest. `programs`: a folder with the
    programs that cases probe, at their paths in the guest.
    """
    facts = Kernel.from_root(image.rootfs, image.release)
    left_out: dict[str, Any] = {
        case.name: {"left out": case.needs.__doc__}
        for case in cases
        if case.needs and not case.needs(facts)
    }
    cases = [case for case in cases if case.name not in left_out]
    modules = folder / "modules"
    modules.mkdir()
    symbols = folder / "kallsyms"
    guest.run("cat /proc/kallsyms >/tmp/kallsyms", timeout=120).check()
    guest.pull("/tmp/kallsyms", symbols)
    with ThreadPoolExecutor(2) as pool:
        made = pool.map(lambda c: compile_case(c, image, modules, symbols, programs), cases)
        responses = list(made)
    plan, results = [], left_out
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
    results.update(run_in_guest(guest, "runner.py", ["/tmp/cases/plan.json"], folder, 1200))
    return results


def run_in_guest(
    guest: Guest, program: str, arguments: list[str], folder: Path, timeout: float
) -> dict[str, Any]:
    """Run a Python file of this folder in the guest; the JSON that it writes to its last argument.

    `folder`: where the result is stored on the host. `timeout` in seconds.
    """
    guest.push(HERE / program, f"/tmp/{program}")
    argv = ["python3", f"/tmp/{program}", *arguments, "/tmp/result.json"]
    guest.run(argv, timeout=timeout, env={"PYTHONPATH": "/usr/lib/stapwatch"}).check()
    guest.pull("/tmp/result.json", folder / "result.json")
    found: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return found


def check(case: Case, result: dict[str, Any]) -> None:
    """Check that the result is exactly the case's expectation, without loss."""
    if "left out" in result:
        pytest.skip(f"not on this kernel: {result['left out']}")
    assert "fault" not in result, result["fault"]
    if case.output is not None:
        assert result["output"] == case.output
    places = (text.partition(" (called from ")[0] for text in result["errors"])
    found = [text.rpartition(" at ")[0] for text in places]
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
