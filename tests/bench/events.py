# SPDX-License-Identifier: GPL-2.0-or-later
"""The cost of one event: executed instructions beyond those without a probe, in a guest whose clock counts
them.

measure("6.1", folder) -> Section("One event, Debian 6.1", (Row("count calls of a function", ...), ...))

Each shape is a script of ours, a module written by hand for the same work, and the peers' scripts.
A figure counts only if the events were counted, too: all of them, in the timed window.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from compiler.driver.compile import compile_script
from compiler.protocol import Request
from lab import Guest, Image, LabError, install_app
from lab.host import say
from tests.bench import hand, peers
from tests.bench.disassembly import Module, Root
from tests.bench.rows import Row, Section

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
GOLDEN = PROJECT / "tests/golden/codegen"
FOLDER = "/tmp/bench"  # in the guest
READS = 200_000
UNIT = "instructions"
HAND, HOOK = "hand-written", "hook alone"


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of work. `table`: the table that counts it, None for printed records. `target`: for Debian
    6.1.

    `recorded`: figures of 6.1 that were measured with peers which no longer build or run there.
    """

    name: str
    title: str
    script: Path
    table: str | None
    target: int | None
    hand: str = ""
    hook: str = ""
    recorded: tuple[int, int] | None = None  # SystemTap 4.8, bpftrace 0.17
    defines: tuple[tuple[str, str], ...] = ()
    slack: int = 0  # events of reading the tables themselves, which may allocate memory


SHAPES = (
    Shape(
        "count",
        "count calls of a kernel function",
        GOLDEN / "count.stp",
        "reads",
        100,
        "hand_count",
        "hand_function",
        (484, 446),
    ),
    Shape(
        "key",
        "count by execname",
        GOLDEN / "count-by-key.stp",
        "reads",
        190,
        "hand_key",
        "hand_function",
        (841, 961),
    ),
    Shape(
        "histogram",
        "histogram of an argument",
        GOLDEN / "histogram.stp",
        "size",
        130,
        "hand_histogram",
        "hand_function",
        (598, 828),
    ),
    Shape(
        "latency",
        "latency from entry to return, by thread, into a histogram",
        GOLDEN / "latency.stp",
        "latency",
        600,
        "hand_latency",
        "hand_return",
        (1810, 2535),
    ),
    Shape(
        "latency-map",
        "the same, written with an array: start[tid()]",
        HERE / "scripts/latency-map.stp",
        "latency",
        None,
        "",
        "hand_return",
    ),
    Shape(
        "sys-enter",
        "count every system call at sys_enter",
        HERE / "scripts/sys-enter.stp",
        "calls",
        75,
        "hand_enter",
        "hand_tracepoint",
        (380, 968),
        slack=20,
    ),
    Shape(
        "printf",
        "printf of four arguments into the event ring",
        HERE / "scripts/printf.stp",
        None,
        400,
        "",
        "hand_function",
        defines=(("RINGSIZE", str(64 << 20)),),
    ),
)


def measure(
    kernel: str,
    folder: Path,
    *,
    with_peers: bool = True,
    reads: int = READS,
    shapes: Sequence[Shape] = SHAPES,
) -> Section:
    """The event table of one kernel; raises LabError when a step fails or counts wrongly."""
    image = Image.ensure(kernel, peers.packages(kernel) if with_peers else ())
    say(f"events, kernel {image.release}: compiling")
    folder.mkdir(parents=True)
    library = folder / "loop.so"
    subprocess.run(
        ["gcc", "-O2", "-shared", "-fPIC", "-o", library, HERE / "guest/loop.c"], check=True
    )
    steps = [step("nothing", "nothing", reads, 0, 0)]
    steps += [ours(shape, image, folder, reads) for shape in shapes]
    steps += by_hand(shapes, image, folder, reads)
    steps.append(step("nothing again", "nothing", reads, 0, 0))
    if with_peers:
        steps += peers.steps(kernel, [shape.name for shape in shapes], image, folder, reads)
    found = run(image, folder, steps)
    costs = section(kernel, shapes, check(steps, found))
    modules = {each["name"]: Path(each["path"]).name for each in steps if each["kind"] == "script"}
    rows = tuple(
        row if row.met is not False else explained(row, folder / modules[shape.name])
        for row, shape in zip(costs.rows, shapes, strict=True)
    )
    return replace(costs, rows=rows)


# -- steps --------------------------------------------------------------------------------------


def step(name: str, kind: str, reads: int, least: int, most: int, **more: Any) -> dict[str, Any]:
    """`least`, `most`: events that must have been counted in the timed window."""
    return {"name": name, "kind": kind, "reads": reads, "least": least, "most": most, **more}


def ours(shape: Shape, image: Image, folder: Path, reads: int) -> dict[str, Any]:
    """The shape's script, compiled for the guest's kernel."""
    request = Request(
        name=shape.name,
        source=str(shape.script),
        kernel={"root": str(image.rootfs), "release": image.release},
        defines=dict(shape.defines),
        output=str(folder),
        cache=str(folder.parent / "cache"),
    )
    response = compile_script(request, say)
    if not response.ok:
        raise LabError("\n".join(error.text for error in response.errors))
    made = {"path": f"{FOLDER}/{response.module}.ko", "module": response.module}
    most = reads + shape.slack
    return step(shape.name, "script", reads, reads, most, table=shape.table, **made)


def by_hand(
    shapes: Sequence[Shape], image: Image, folder: Path, reads: int
) -> Iterator[dict[str, Any]]:
    built = hand.build(image, folder / "hand")
    # a hook alone counts nothing; otherwise reading the number is counted as well
    counted = {shape.hook: (0, 0) for shape in shapes}
    counted |= {shape.hand: (reads + 1, reads + 1 + shape.slack) for shape in shapes}
    for name in sorted(filter(None, counted)):
        path = f"{FOLDER}/hand/{built[name].name}"
        yield step(name, "module", reads, *counted[name], path=path, module=name)


# -- in the guest -------------------------------------------------------------------------------


def run(image: Image, folder: Path, steps: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Run all steps in one guest; their results by name, each printed as it comes."""
    (folder / "plan.json").write_text(json.dumps(steps))
    found: dict[str, dict[str, Any]] = {}
    rest = b""

    def hear(stream: int, data: bytes) -> None:
        nonlocal rest
        if stream != 1:
            return
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            result = json.loads(line)
            found[result["name"]] = result
            what = "failed" if result["fault"] else f"{result['ns']:.1f} ns a read"
            say(
                f"events, kernel {image.release}: {len(found)}/{len(steps)} {result['name']}: {what}"
            )

    with Guest.boot(image, icount=True) as guest:
        install_app.install(guest, PROJECT)
        guest.push(folder, FOLDER)
        guest.push(HERE / "guest/measure.py", f"{FOLDER}/measure.py")
        argv = ["python3", f"{FOLDER}/measure.py", f"{FOLDER}/plan.json", f"{FOLDER}/loop.so"]
        env = {"PYTHONPATH": f"/{install_app.PREFIX}"}
        guest.run(argv, timeout=300 + 900 * len(steps), env=env, stream=hear).check()
        if complaints := guest.complaints():
            raise LabError("the guest's kernel complains:\n" + "\n".join(complaints))
    return found


def check(
    steps: list[dict[str, Any]], found: dict[str, dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """The results. Raises LabError if a step failed or did not count the events of its window."""
    for each in steps:
        result = found[each["name"]]
        if result["fault"]:
            raise LabError(f"bench step '{each['name']}' failed in the guest:\n{result['fault']}")
        counted = result["counted"]
        if not each["least"] <= counted <= each["most"]:
            wanted = f"{each['least']} to {each['most']}"
            said = result.get("said", "")
            raise LabError(f"'{each['name']}' counted {counted} events, not {wanted}\n{said}")
    return found


# -- rows ---------------------------------------------------------------------------------------


def explained(row: Row, module: Path) -> Row:
    """A row with a breakdown of its instructions: the hook, the hand-written module's work, the rest."""
    assert row.ours is not None
    hook, expert = row.peers.get(HOOK, 0), row.peers.get(HAND, 0)
    parts = [f"the hook alone takes {hook:.0f}"]
    if expert:
        parts.append(f"the work written by hand {expert - hook:.0f}, ours {row.ours - hook:.0f}")
    code = Module(module)
    for name in ("entry_0", "probe_0"):
        if name in code.functions:
            code.follow(Root(name))
    counts = ", ".join(f"{name} {count}" for name, count in code.lengths().items())
    parts.append(f"instructions in the module that a hit can reach: {counts}")
    return replace(row, note="; ".join(parts))


def section(kernel: str, shapes: Sequence[Shape], found: dict[str, dict[str, Any]]) -> Section:
    base = (found["nothing"]["ns"] + found["nothing again"]["ns"]) / 2

    def cost(name: str) -> float:
        return float(round(found[name]["ns"] - base, 1))

    rows = []
    for shape in shapes:
        others = {HAND: shape.hand, HOOK: shape.hook}
        figures = {title: cost(name) for title, name in others.items() if name}
        figures |= {
            title: cost(name) for title, name in peers.names(kernel, shape.name) if name in found
        }
        if shape.recorded and kernel == "6.1":
            stap, bpftrace = shape.recorded
            figures["SystemTap 4.8 (recorded)"] = stap
            figures["bpftrace 0.17 (recorded)"] = bpftrace
        target = shape.target if kernel == "6.1" else None
        title = f"{shape.title} (Linux {kernel})"
        rows.append(Row(title, UNIT, cost(shape.name), figures, target))
    note = f"Instructions over no probe of `read()` of one byte, which takes {base:.0f}; one CPU under emulation."
    return Section(f"One event, Linux {kernel}", tuple(rows), (note,))
