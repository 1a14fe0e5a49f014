# SPDX-License-Identifier: GPL-2.0-or-later
"""The error of the meters: what they say about a hit, compared with the instructions that it takes, in a guest
whose clock counts them.

measure("6.1", folder) -> Section("Metered time of a hit, Linux 6.1", (Row("ftrace", "% off", 1.4, ...), ...))
"""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compiler.driver.compile import compile_script
from compiler.protocol import Request
from lab import Guest, Image, LabError, install_app
from lab.host import say
from tests.bench.rows import Row, Section

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
FOLDER = "/tmp/metering"  # in the guest
READS = 100_000
TARGET = 10.0  # %


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of hook. `work`: what makes the hits; `share`: how often, for one read; `most`: the target, %."""

    name: str
    point: str
    work: str = "reads"
    share: float = 1.0
    body: str = "n++"
    most: float | None = TARGET


KINDS = (
    Kind("tracepoint", 'kernel.trace("sys_enter")'),
    Kind("ftrace", 'kernel.function("vfs_read")'),
    # only a kprobe can change an argument
    Kind("kprobe", 'kernel.function("vfs_read")', body="n++ $count = $count"),
    Kind("kretprobe", 'kernel.function("vfs_read").return'),
    Kind("uprobe", f'process("{FOLDER}/loop.so").function("bench_stepped")', "stepped_calls", 0.2),
    # the constant of uprobes is that of the dearer kind of instruction
    Kind(
        "uprobe, emulated instruction",
        f'process("{FOLDER}/loop.so").function("bench_called")',
        "calls",
        0.2,
        most=None,
    ),
    Kind("timer", "timer.hz(5000)", "spins", 1000),
)


def measure(kernel: str, folder: Path, *, reads: int = READS) -> Section:
    image = Image.ensure(kernel)
    say(f"metering, kernel {image.release}: compiling")
    programs = folder / "programs"
    library = programs / FOLDER.lstrip("/") / "loop.so"
    library.parent.mkdir(parents=True)
    source = HERE / "guest/loop.c"
    subprocess.run(
        ["gcc", "-O2", "-g", "-shared", "-fPIC", "-pthread", "-o", library, source], check=True
    )
    made = folder / "made"
    plan = [_case(kind, image, folder, made, reads) for kind in KINDS]
    shutil.copy(library, made)
    shutil.copy(HERE / "guest/metering.py", made)
    (made / "plan.json").write_text(json.dumps(plan))
    found = _run(image, made)
    rows = tuple(_row(kernel, kind, found[kind.name]) for kind in KINDS)
    note = "Metered time of a hit against its instructions, of which the guest's clock counts one a ns."
    return Section(f"Error of the meters, Linux {kernel}", rows, (note,))


def _case(kind: Kind, image: Image, folder: Path, made: Path, reads: int) -> dict[str, Any]:
    request = Request(
        name=kind.name.replace(".", "_"),
        guru=True,
        text=f"global n probe {kind.point} {{ {kind.body} }}",
        kernel={
            "root": str(image.rootfs),
            "release": image.release,
            "programs": str(folder / "programs"),
        },
        output=str(made),
        cache=str(folder / "cache"),
    )
    response = compile_script(request, say)
    if not response.ok:
        raise LabError("\n".join(error.text for error in response.errors))
    return {
        "name": kind.name,
        "module": response.module,
        "path": f"{FOLDER}/{response.module}.ko",
        "work": kind.work,
        "count": round(reads * kind.share),
    }


def _run(image: Image, made: Path) -> dict[str, dict[str, Any]]:
    with Guest.boot(image, icount=True) as guest:
        install_app.install(guest, PROJECT)
        guest.push(made, FOLDER)
        argv = ["python3", f"{FOLDER}/metering.py", f"{FOLDER}/plan.json", f"{FOLDER}/loop.so"]
        env = {"PYTHONPATH": f"/{install_app.PREFIX}"}
        done = guest.run(argv, timeout=1800, env=env).check()
        if complaints := guest.complaints():
            raise LabError("the guest's kernel complains:\n" + "\n".join(complaints))
    say(done.stderr.strip())
    results = [json.loads(line) for line in done.stdout.splitlines()]
    return {result["name"]: result for result in results}


def _row(kernel: str, kind: Kind, found: dict[str, Any]) -> Row:
    real, metered = found["real"], found["metered"]
    figures = {"instructions": round(real, 1), "metered ns": round(metered, 1)}
    off = round(abs(metered - real) / real * 100, 1)
    return Row(f"{kind.name} (Linux {kernel})", "% off", off, figures, kind.most)
