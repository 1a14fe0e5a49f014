# SPDX-License-Identifier: GPL-2.0-or-later
"""Scripts in user space: the compiler's C and the runtime as normal processes under ASan and UBSan.

    with HostedRuntime.open() as hosted:
        hosted.run_script('probe begin { println(6 * 7) }').output     -> "42\\n"
        hosted.run([Script("a", ...), Script("b", ...)])               -> [Outcome, Outcome]

open() compiles the runtime once; the scripts of one `run` become one program with a process for
each of them. begin, end and error probes run by themselves; timers and function probes are fired `rounds`
times, each on the next lane. A fault of our own (a sanitizer's report, a signal, C that does not compile)
is the outcome's `fault`; errors of the script are its `diagnostics`. open(counted=True) counts the
instructions of hits instead of using sanitizers.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from compiler.analysis import full_arrays
from compiler.codegen.module import Generated, generate
from compiler.codegen.probe_table import Target
from compiler.driver import tapset_index
from compiler.driver.compile import allow_depth
from compiler.frontend.parser import Conditions, Macro, parse
from compiler.ir import syntax as s
from compiler.ir.diagnostics import CompileError, render_all
from compiler.ir.options import Limits, Options, histogram_of, with_defines
from compiler.ir.program import Program
from compiler.probes import Environment
from compiler.resolve.program import resolve
from compiler.transform.dead_code import eliminate_dead_code
from compiler.transform.entry_return_pairing import pair
from compiler.transform.merge_prints import merge_prints
from runtime.abi.manifest import Manifest, WhenFull
from runtime.abi.structs import EventKind
from runtime.events import decode as events
from runtime.reader.device import Image
from runtime.reader.snapshot import Snapshot, read
from tests.compiler.frontend.support import known
from tests.golden.kernel import SOURCE as KERNEL
from tests.golden.kernel import golden_kernel
from tests.runtime.hosted.counted import MEMORY, compile_counted, link_counted
from tests.runtime.hosted.sanitized import DIALECT, FOLDERS, SANITIZERS, gcc, sources

SECONDS = 60  # for one script to run; it is bounded by MAXACTION
CHUNK = 12  # scripts in one call of the compiler
# AddressSanitizer makes all of these checks but alignment, which no x86 needs, and they take three quarters of gcc's
# time; its own are calls, which are short
REDUNDANT = (
    "-fno-sanitize=null,object-size,nonnull-attribute,returns-nonnull-attribute,pointer-overflow,alignment",
    "--param=asan-instrumentation-with-call-threshold=0",
)
# scripts may have constants that overflow, or comparisons that are always true, and so may their C
WARNINGS = ("-Werror", "-Wno-overflow", "-Wno-div-by-zero", "-Wno-shift-count-overflow")
# each temporary has a place of its own here; in the kernel they share theirs (see MOST_FRAME)
FRAME = "-Wframe-larger-than=16384"
USER = ("batch", "script_slot", "run", "harness", "fake_kernel")


@dataclass(frozen=True, slots=True)
class Script:
    """A script with its options to compile and run; `strict` as in a session: a full array is an error."""

    name: str
    text: str | bytes
    args: tuple[str, ...] = ()
    defines: Mapping[str, str] = field(default_factory=dict)
    globals: Mapping[str, int | str] = field(default_factory=dict)
    guru: bool = False
    strict: bool = True
    optimise: bool = True
    rounds: int = 1
    lanes: int = 2
    registers: str = "1,2,3,4,5,6"
    kernel: Path = KERNEL  # the C file that it is compiled for; the runtime's must be the same
    most_errors: int | None = None
    when_full: Mapping[str, WhenFull] = field(default_factory=dict)
    statistics: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # as in a request


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a run.

    `output`: the text of prints. `transcript`: the same with script errors where they happened, a line each.
    """

    output: str = ""
    transcript: str = ""
    errors: tuple[str, ...] = ()
    snapshot: Snapshot | None = None
    diagnostics: str = ""
    fault: str = ""
    instructions: tuple[
        int, ...
    ] = ()  # for each probe, the most that a hit took, if they are counted

    def value(self, name: str) -> Any:
        """The final value of a global: a number, a text, or {key or keys: value}."""
        assert self.snapshot is not None, self.diagnostics + self.fault
        (table,) = (t for t in self.snapshot.tables if t.table.name == name)
        rows = dict(zip(table.keys, table.values, strict=True))
        if not table.table.keys:
            return rows.get((), 0)
        return {key[0] if len(key) == 1 else key: value for key, value in rows.items()}


def conditions(script: Script) -> Conditions:
    return Conditions(
        kernel_vr="6.1.0-13-amd64",
        arch="x86_64",
        guru_mode=script.guru,
        config={"CONFIG_SMP": "y", "CONFIG_HZ": "250", "CONFIG_E1000": "m"},
    )


@cache
def _macros() -> dict[str, Macro]:
    return tapset_index.macros(tapset_index.read(), conditions(Script("", "")))


def parse_script(script: Script) -> s.Script:
    """Pass 1. Raises CompileError."""
    return parse(
        script.text,
        f"{script.name}.stp",
        conditions=conditions(script),
        args=script.args,
        library_macros=_macros(),
    )


def analyse(script: Script) -> Program:
    """Passes 1 and 2. Raises CompileError."""
    tree = parse_script(script)
    environment = Environment(golden_kernel(script.kernel), script.guru, optimise=script.optimise)
    text = script.text.encode() if isinstance(script.text, str) else script.text
    given = b" ".join([text, *(arg.encode() for arg in script.args)])
    files = known(given, conditions(Script("", "")), script.args)
    program = resolve(script.name, [tree], files, environment, dict(script.globals))
    return eliminate_dead_code(program) if script.optimise else program


def translate(script: Script) -> Generated:
    """Passes 1 to 3. Raises CompileError."""
    allow_depth()
    # sanitizers and other tests take time, too, which is not the scripts'
    defined = with_defines(Limits(MAXTIME=0), script.defines)
    program = analyse(script)
    if script.optimise:
        program = pair(program)
        limits = defined.limits
        program = merge_prints(program, limits.MAXSTRINGLEN, limits.RINGSIZE)
    options = Options(
        defined.limits,
        strict=script.strict,
        defines=defined.macros,
        when_full=script.when_full,
        histograms={name: histogram_of(tree) for name, tree in script.statistics.items()},
    )
    if mistakes := full_arrays.check(program, options):
        raise CompileError(mistakes)
    return generate(program, Target("sw_script", "0" * 64, "6.1.0-golden", bytes(20), "0"), options)


class HostedRuntime:
    """A folder with the compiled runtime, where scripts are compiled and run."""

    def __init__(
        self, folder: Path, workers: int = 2, kernel: Path = KERNEL, counted: bool = False
    ) -> None:
        self._folder = folder
        self._counted = counted
        self._kernel = kernel
        self._workers = workers
        self._runs = 0
        self._runtime: list[Path] | None = None

    @classmethod
    @contextmanager
    def open(
        cls, workers: int = 2, kernel: Path = KERNEL, counted: bool = False
    ) -> Iterator[HostedRuntime]:
        with tempfile.TemporaryDirectory(prefix="stapwatch-language-") as name:
            yield cls(Path(name), workers, kernel, counted)

    def run_script(self, text: str | bytes, **options: Any) -> Outcome:
        """One script; `options` are Script's."""
        return self.run([Script(options.pop("name", "x"), text, **options)])[0]

    def run(self, scripts: Sequence[Script]) -> list[Outcome]:
        """Each script's outcome, in order."""
        self._runs += 1
        folder = self._folder / f"run{self._runs}"
        folder.mkdir()
        outcomes: dict[int, Outcome] = {}
        made: dict[int, Generated] = {}
        for number, script in enumerate(scripts):
            try:
                made[number] = translate(script)
            except CompileError as error:
                outcomes[number] = Outcome(diagnostics=render_all(error.diagnostics) + "\n")
        for number, complaint in self._compile(made, folder).items():
            outcomes[number] = Outcome(fault=complaint)
            del made[number]
        if made:
            program = self._link(list(made), folder)
            statuses = _execute(program, {n: scripts[n] for n in made}, folder)
            for number, status in statuses.items():
                outcomes[number] = _outcome(folder, number, status, made[number].manifest)
        return [outcomes[number] for number in range(len(scripts))]

    def _compile(self, made: Mapping[int, Generated], folder: Path) -> dict[int, str]:
        """Compile each script to an object. Returns gcc's messages for those that it rejects."""
        for number, one in made.items():
            _write(folder, number, one)
        numbers = list(made)
        chunks = [numbers[i : i + CHUNK] for i in range(0, len(numbers), CHUNK)]
        with ThreadPoolExecutor(self._workers) as pool:
            compile_some = _compile_counted if self._counted else _compile_some
            refused = pool.map(lambda chunk: _compile_chunk(compile_some, folder, chunk), chunks)
            return {number: text for found in refused for number, text in found.items()}

    def _link(self, numbers: Sequence[int], folder: Path) -> Path:
        rows = "\n".join(f"extern const struct sw_script script_{n};" for n in numbers)
        table = ", ".join(f"[{n}] = &script_{n}" for n in numbers)
        text = f'#include "batch.h"\n\n{rows}\n\n'
        text += f"const struct sw_script *const batch_scripts[] = {{ {table} }};\n"
        (folder / "table.c").write_text(text)
        objects = [folder / f"script_{n}.o" for n in numbers]
        program = folder / "batch"
        # a script finds the golden kernel's variables as it finds a real kernel's
        objects += [*self._runtime_objects(), self._kernel_object()]
        if self._counted:
            table_object = folder / "table.o"
            gcc("-c", folder / "table.c", "-o", table_object, sanitize=False)
            link_counted([table_object, *objects], program)
        else:
            gcc("-rdynamic", folder / "table.c", *objects, "-o", program)
        return program

    def _kernel_object(self) -> Path:
        made = self._folder / "kernel.o"
        if not made.exists():
            command = ["gcc", "-O1", "-c", "-w", "-o", str(made), str(self._kernel)]
            subprocess.run(command, check=True, timeout=60)
        return made

    def _runtime_objects(self) -> list[Path]:
        if self._runtime is None:
            folder = self._folder / "runtime"
            folder.mkdir()
            # what stands for the kernel is not counted
            counted = [*sources(), MEMORY] if self._counted else []
            others = [path for path in sources(*USER) if path not in counted]
            complaint = compile_counted(counted, folder)
            assert not complaint, complaint
            for path in others:
                output = folder / f"{path.stem}.o"
                gcc("-g", "-O1", "-c", path, "-o", output, sanitize=not self._counted)
            self._runtime = [folder / f"{path.stem}.o" for path in (*counted, *others)]
        return self._runtime


def _write(folder: Path, number: int, made: Generated) -> None:
    """Write the script's C under its own names, followed by its manifest."""
    manifest = folder / f"{number}.json"
    manifest.write_text(made.manifest.to_json())
    symbol = f"manifest_{number}"
    (folder / f"script_{number}.c").write_text(
        f"#define sw_script script_{number}\n"
        f"#define sw_manifest {symbol}\n"
        f"#define sw_manifest_end {symbol}_end\n"
        f"{made.c_text}\n"
        f'__asm__(".section .rodata\\n.globl {symbol}, {symbol}_end\\n"\n'
        f'\t"{symbol}: .incbin \\"{manifest}\\"\\n{symbol}_end: .byte 0\\n.previous");\n'
    )


def _compile_chunk(
    compile_some: Callable[[Path, Sequence[int]], str], folder: Path, numbers: Sequence[int]
) -> dict[int, str]:
    """Compile all at once; if that fails, one by one, to find the faulty one."""
    if compile_some(folder, numbers) == "":
        return {}
    complaints = {number: compile_some(folder, [number]) for number in numbers}
    return {number: text for number, text in complaints.items() if text}


def _compile_counted(folder: Path, numbers: Sequence[int]) -> str:
    return compile_counted([folder / f"script_{number}.c" for number in numbers], folder)


def _compile_some(folder: Path, numbers: Sequence[int]) -> str:
    # -O0: half the time of -O1, and the sanitizers see more
    includes = [f"-I{path}" for path in FOLDERS]
    names = [f"script_{number}.c" for number in numbers]
    done = subprocess.run(
        [
            "gcc",
            "-O0",
            *DIALECT,
            *WARNINGS,
            FRAME,
            *SANITIZERS,
            *REDUNDANT,
            *includes,
            "-c",
            *names,
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )
    return "" if done.returncode == 0 else done.stderr or "gcc failed"


def _execute(program: Path, scripts: Mapping[int, Script], folder: Path) -> dict[int, int]:
    """Run all. Returns wait()'s status of each."""
    plan = ""
    for number, script in scripts.items():
        words = [str(number), f"{number}.stderr", "-e", f"{number}.events", "-i", f"{number}.image"]
        words += ["-c", f"{number}.counts"]
        words += ["-n", str(script.rounds), "-l", str(script.lanes), "-r", script.registers]
        if script.most_errors is not None:
            words += ["-E", str(script.most_errors)]
        plan += " ".join(words) + "\n"
    environment = {
        **os.environ,
        "ASAN_OPTIONS": "detect_leaks=0",
        "UBSAN_OPTIONS": "print_stacktrace=1",
    }
    done = subprocess.run(
        [program, str(SECONDS)],
        input=plan,
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment,
        timeout=SECONDS * (len(scripts) + 1),
    )
    assert done.returncode == 0, done.stderr
    return dict(zip(scripts, map(int, done.stdout.split()), strict=True))


def _outcome(folder: Path, number: int, status: int, manifest: Manifest) -> Outcome:
    said = (folder / f"{number}.stderr").read_text(errors="replace")
    if status or said:
        return Outcome(fault=f"the process ended with {os.waitstatus_to_exitcode(status)}\n{said}")
    found = events.decode((folder / f"{number}.events").read_bytes(), manifest)
    with Image((folder / f"{number}.image").read_bytes()) as image:
        snapshot = read(image)
    return Outcome(
        output="".join(events.text(e, manifest) for e in found if e.kind is EventKind.PRINT),
        transcript=events.transcript(found, manifest),
        errors=tuple(events.text(e, manifest) for e in found if e.kind is EventKind.ERROR),
        snapshot=snapshot,
        instructions=tuple(map(int, (folder / f"{number}.counts").read_text().split())),
    )
