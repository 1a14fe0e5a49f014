# SPDX-License-Identifier: GPL-2.0-or-later
"""The cost of one event: executed instructions beyond those without a probe, in a guest whose clock counts
them.

measure("6.1", folder) -> Section("One event, Debian 6.1", (Row("count calls of a function", ...), ...))

Each shape is a script of ours, a module written by hand for the same work, and the peers' scripts.
A figure counts only if the events were counted, too: all of them, in the timed window.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from compiler.arch import arch_of
from compiler.driver.compile import compile_script
from compiler.protocol import Request
from compiler.userspace.elf_program import Executable
from lab import Guest, Image, LabError, install_app
from lab.host import say
from tests import kernel_module
from tests.bench import peers
from tests.bench.compiling import kernel_files
from tests.bench.disassembly import Module, Root
from tests.bench.rows import Row, Section
from tests.bench.shapes import SAMPLES_A_SECOND, SHAPES, Shape

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
FOLDER = "/tmp/bench"  # in the guest
LIBRARY = f"{FOLDER}/loop.so"  # its loops, and the function of a program that is probed
CALLED = "bench_called"
READS = 200_000
UNIT, EMULATED = "instructions", "ns under emulation"
HAND, HOOK = "hand-written", "hook alone"


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
    build_loops(folder)
    steps = [nothing(shape, reads) for shape in shapes]
    steps += [ours(shape, image, folder, reads) for shape in shapes]
    steps += by_hand(shapes, image, folder, reads)
    if with_peers:
        steps += peers.steps(kernel, shapes, image, folder, reads)
    steps = list({each["name"]: each for each in steps}.values())
    found: dict[str, dict[str, Any]] = {}
    for cpus in sorted({each["cpus"] for each in steps}):
        found |= run(image, folder, [each for each in steps if each["cpus"] == cpus], cpus)
    costs, notes = check(steps, found)
    return section(kernel, shapes, folder, costs, notes)


def build_loops(folder: Path) -> None:
    """Build the timed loops in the folder that goes to the guest, and where the compiler looks for
    programs."""
    library = folder / Path(LIBRARY).name
    flags = ["-O2", "-shared", "-fPIC", "-pthread"]
    subprocess.run(["gcc", *flags, "-o", library, HERE / "guest/loop.c"], check=True)
    seen = folder / "programs" / LIBRARY.lstrip("/")
    seen.parent.mkdir(parents=True)
    shutil.copy(library, seen)


# -- steps --------------------------------------------------------------------------------------


def step(
    shape: Shape, name: str, kind: str, reads: int, least: int, most: int, **more: Any
) -> dict[str, Any]:
    """`least`, `most`: events that must have been counted in the timed window."""
    counted = {"events": shape.events(reads), "least": least, "most": most}
    return {"name": name, "kind": kind, **counted, **shape.loop, **more}


def nothing(shape: Shape, reads: int) -> dict[str, Any]:
    return step(shape, shape.base, "nothing", reads, 0, 0)


def bounds(shape: Shape, reads: int) -> tuple[int, int]:
    """How many events must be counted. The samples depend on the time."""
    events = shape.events(reads)
    return (1, 1 << 40) if shape.sampled else (events, events + shape.slack)


def ours(shape: Shape, image: Image, folder: Path, reads: int) -> dict[str, Any]:
    """The shape's script, compiled for the guest's kernel."""
    kernel = {"root": str(image.rootfs), "release": image.release}
    if shape.starts:  # its symbol table has the text offsets
        kernel["symbols"] = str(kernel_files(image) / "proc/kallsyms")
    if "process(" in shape.script.read_text():
        kernel["programs"] = str(folder / "programs")
    request = Request(
        name=shape.name,
        source=str(shape.script),
        kernel=kernel,
        defines=dict(shape.defines),
        output=str(folder),
        cache=str(folder.parent / "cache"),
    )
    response = compile_script(request, say)
    if not response.ok:
        raise LabError("\n".join(error.text for error in response.errors))
    made: dict[str, Any] = {
        "path": f"{FOLDER}/{response.module}.ko",
        "module": response.module,
        "table": shape.table,
    }
    return step(shape, shape.name, "script", reads, *bounds(shape, reads), **made)


def by_hand(
    shapes: Sequence[Shape], image: Image, folder: Path, reads: int
) -> Iterator[dict[str, Any]]:
    sources = (HERE / "hand").iterdir()
    built = kernel_module.build(sources, image, folder / "hand")
    library = Executable.open(folder / Path(LIBRARY).name, arch_of("x86_64"))
    (offset,) = library.functions[CALLED]
    where = [f"file={LIBRARY}", f"offset={offset}"]
    # a hook alone counts nothing; otherwise reading the number is counted as well
    wanted = {shape.hook: (shape, 0, 0) for shape in reversed(shapes)}
    for shape in reversed(shapes):
        wanted[shape.hand] = (shape, reads + 1, reads + 1 + shape.slack)
    for name in sorted(filter(None, wanted)):
        shape, least, most = wanted[name]
        path = f"{FOLDER}/hand/{built[name].name}"
        parameters = where if name.startswith("hand_user") else []
        yield step(
            shape,
            name,
            "module",
            reads,
            least,
            most,
            path=path,
            module=name,
            parameters=parameters,
        )


# -- in the guest -------------------------------------------------------------------------------


def run(
    image: Image, folder: Path, steps: list[dict[str, Any]], cpus: int
) -> dict[str, dict[str, Any]]:
    """Run steps in one guest; their results by name, each printed as it comes."""
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
            what = "failed" if result["fault"] else f"{result['ns']:.1f} ns an event"
            say(
                f"events, kernel {image.release}: {len(found)}/{len(steps)} {result['name']}: {what}"
            )

    # two processors that wait for each other count each other's instructions, if they start at all
    with Guest.boot(image, icount=cpus == 1, cpus=cpus) as guest:
        install_app.install(guest, PROJECT)
        guest.push(folder, FOLDER)
        guest.push(HERE / "guest/measure.py", f"{FOLDER}/measure.py")
        argv = ["python3", f"{FOLDER}/measure.py", f"{FOLDER}/plan.json", LIBRARY]
        env = {"PYTHONPATH": f"/{install_app.PREFIX}"}
        guest.run(argv, timeout=300 + 900 * len(steps), env=env, stream=hear).check()
        if complaints := guest.complaints():
            raise LabError("the guest's kernel complains:\n" + "\n".join(complaints))
    return found


def check(
    steps: list[dict[str, Any]], found: dict[str, dict[str, Any]]
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """The results, and what is to be said of peers that have none: their failures stop nothing.

    Raises LabError if another step failed, or did not count the events of its window.
    """
    good: dict[str, dict[str, Any]] = {}
    notes = []
    for each in steps:
        name, result = each["name"], found[each["name"]]
        fault = result["fault"] or _miscounted(each, result)
        if not fault:
            base = found[each["base"]]
            good[name] = {**result, "cost": cost(each, result, base)}
        elif each["kind"] == "command":
            notes.append(f"{name}: no figure: {fault.strip().splitlines()[-1]}")
            say(f"events: {name}:\n{fault}")
        else:
            raise LabError(f"bench step '{name}':\n{fault}\n{result.get('said', '')}")
    return good, notes


def _miscounted(each: dict[str, Any], result: dict[str, Any]) -> str:
    counted, least, most = result["counted"], each["least"], each["most"]
    return "" if least <= counted <= most else f"counted {counted} events, not {least} to {most}"


def cost(each: dict[str, Any], result: dict[str, Any], base: dict[str, Any]) -> float:
    """Instructions of one event. A sample's: those that a second has more, over its samples."""
    more: float = result["ns"] - base["ns"]
    return round(more * 1e9 / SAMPLES_A_SECOND / result["ns"] if each["sampled"] else more, 1)


# -- rows ---------------------------------------------------------------------------------------


def section(
    kernel: str,
    shapes: Sequence[Shape],
    folder: Path,
    costs: dict[str, dict[str, Any]],
    notes: Sequence[str] = (),
) -> Section:
    rows = []
    for shape in shapes:
        others = {HAND: shape.hand, HOOK: shape.hook}
        titles = {title: name for title, name in others.items() if name}
        theirs = {title: n for title, n in peers.names(kernel, shape.name) if n in costs}
        figures = {title: costs[name]["cost"] for title, name in (titles | theirs).items()}
        if shape.recorded and kernel == "6.1":
            stap, bpftrace = shape.recorded
            figures["SystemTap 4.8 (recorded)"] = stap
            figures["bpftrace 0.17 (recorded)"] = bpftrace
        target: float | None = shape.target if kernel == "6.1" else None
        title = f"{shape.title} (Linux {kernel})"
        if shape.half and theirs and peers.all_work(kernel):
            target = half(figures[name] for name in theirs)
        unit = UNIT if shape.cpus == 1 else EMULATED
        row = Row(title, unit, costs[shape.name]["cost"], figures, target)
        rows.append(row if row.met is not False else explained(row, shape, folder))
        if shape.starts:
            rows.append(start(kernel, shape, costs, theirs))
    reads = costs[shapes[0].base]["ns"]
    note = f"Instructions over no probe; `read()` of one byte takes {reads:.0f}. One CPU under emulation."
    two = "Two CPUs under emulation have no such clock: their row is in its time, which depends on the machine."
    return Section(f"One event, Linux {kernel}", tuple(rows), (note, two, *notes))


def start(
    kernel: str, shape: Shape, costs: dict[str, dict[str, Any]], theirs: dict[str, str]
) -> Row:
    """The row of the time until a shape's probes are in place. bpftrace's has its compile in it."""
    figures = {title: round(costs[name]["started"], 3) for title, name in theirs.items()}
    target = half(figures.values()) if theirs and peers.all_work(kernel) else None
    title = f"start: {shape.title} (Linux {kernel})"
    ours = round(costs[shape.name]["started"], 3)
    return Row(title, "s, at an instruction a ns", ours, figures, target)


def half(figures: Iterable[float]) -> float:
    """Half of the better peer's figure."""
    return round(min(figures) / 2, 3)


def explained(row: Row, shape: Shape, folder: Path) -> Row:
    """A row with a breakdown of its instructions: the hook, the hand-written module's work, the rest."""
    assert row.ours is not None
    hook, expert = row.peers.get(HOOK, 0), row.peers.get(HAND, 0)
    parts = [f"the hook alone takes {hook:.0f}"]
    if expert:
        parts.append(f"the work written by hand {expert - hook:.0f}")
    parts.append(f"our work {row.ours - hook:.0f}")
    code = Module(next(folder.glob(f"sw_{shape.name.replace('-', '_')}_????????.ko")))
    for name in ("entry_0", "probe_0"):
        if name in code.functions:
            code.follow(Root(name))
    counts = ", ".join(f"{name} {count}" for name, count in code.lengths().items())
    parts.append(f"instructions in the module that a hit can reach: {counts}")
    return replace(row, note="; ".join(parts))
