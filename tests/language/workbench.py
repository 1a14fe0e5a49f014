# SPDX-License-Identifier: GPL-2.0-or-later
"""Scripts compiled and run in a normal process, under AddressSanitizer and UndefinedBehaviorSanitizer.

    run('probe begin { println(1 + 1) }')  -> Ran(output="2\n", errors=())

The compiler's C goes unchanged onto the runtime's user-space side; what a reader of the module would
get is decoded by the reader's own code. Probes but phases fire `rounds` times, on one lane after the other.
"""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from compiler import library
from compiler.codegen.module import Generated, Target, generate
from compiler.diagnostics import CompileError
from compiler.family import Environment
from compiler.optimise import optimise
from compiler.options import Options
from compiler.parser import Conditions, parse
from compiler.resolve.analysis import resolve
from compiler.syntax import Script
from runtime import event as events
from runtime.abi import EventKind
from tests.golden.kernel import SOURCE, golden_kernel
from tests.runtime.sanitized import FLAGS, RUNTIME, SANITIZERS, SHARED, WARNINGS

_USER = ("main", "world", "process")
_FOLDERS = [f"-I{RUNTIME / name}" for name in ("include", "src", "user")]
_MANIFEST = (
    'asm(".globl sw_manifest, sw_manifest_end\\nsw_manifest: .byte 0\\nsw_manifest_end:");\n'
)
_CONDITIONS = Conditions(kernel_vr="6.1.0-13-amd64", arch="x86_64", guru_mode=True)
_SAID = (EventKind.PRINT, EventKind.ERROR)


@dataclass(frozen=True, slots=True)
class Ran:
    """What a script printed, and the texts of its errors, in order, without their places."""

    output: str
    errors: tuple[str, ...] = ()


@cache
def _tapset() -> list[Script]:
    return library.parse_all(library.read(), _CONDITIONS)


@cache
def _runtime() -> Path:
    """The runtime's user-space side as an archive, built once."""
    folder = Path(tempfile.mkdtemp(prefix="stapwatch-runtime-"))
    sources = [RUNTIME / "src" / f"{name}.c" for name in SHARED]
    sources += [RUNTIME / "user" / f"{name}.c" for name in _USER]
    command = ["gcc", *FLAGS, *WARNINGS, *SANITIZERS, *_FOLDERS, "-c", *map(str, sources)]
    subprocess.run(command, check=True, timeout=240, cwd=folder)
    objects = sorted(map(str, folder.glob("*.o")))
    subprocess.run(["ar", "rcs", folder / "runtime.a", *objects], check=True, timeout=60)
    return folder / "runtime.a"


@cache
def _kernel() -> Path:
    """The golden kernel's variables, which a script finds as it finds a real kernel's."""
    made = Path(tempfile.mkdtemp(prefix="stapwatch-kernel-")) / "kernel.o"
    subprocess.run(["gcc", "-O1", "-c", "-w", "-o", str(made), str(SOURCE)], check=True, timeout=60)
    return made


def compile_text(text: str, options: Options | None = None, *, optimised: bool = True) -> Generated:
    """A script's C and manifest, for the golden kernel. CompileError for the user's mistakes."""
    script = parse(text, "x.stp", conditions=_CONDITIONS)
    program = resolve("x", [script], _tapset(), Environment(golden_kernel(), guru=True))
    if optimised:
        program = optimise(program)
    target = Target("sw_x", "0" * 64, "6.1.0-golden", bytes(20), "0")
    return generate(program, target, options or Options(export=False, strict=True))


def refusal(text: str) -> list[str]:
    """The slugs of what is wrong with a script; [] for a good one."""
    try:
        compile_text(text)
    except CompileError as error:
        return [d.slug for d in error.diagnostics]
    return []


def run(
    text: str,
    *,
    options: Options | None = None,
    rounds: int = 0,
    lanes: int = 2,
    registers: str = "",
    optimised: bool = True,
) -> Ran:
    """Compile a script, run it to its end and decode what it wrote."""
    generated = compile_text(text, options, optimised=optimised)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "script.c").write_text(generated.c_text + _MANIFEST, encoding="latin-1")
        program = folder / "script"
        command = ["gcc", *FLAGS, *WARNINGS, *SANITIZERS, *_FOLDERS, "-o", str(program)]
        made = subprocess.run(
            [*command, "-rdynamic", str(folder / "script.c"), str(_kernel()), str(_runtime())],
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert made.returncode == 0, made.stderr + generated.c_text
        argv: list[str | Path] = [
            program,
            "-n",
            str(rounds),
            "-l",
            str(lanes),
            "-e",
            folder / "events",
        ]
        if registers:
            argv += ["-r", registers]
        ran = subprocess.run(argv, capture_output=True, text=True, timeout=60)
        assert ran.returncode == 0, ran.stderr + generated.c_text
        found = events.decode((folder / "events").read_bytes(), generated.manifest)
    said = [(e.kind, events.text(e, generated.manifest)) for e in found if e.kind in _SAID]
    return Ran(
        "".join(text for kind, text in said if kind is EventKind.PRINT),
        tuple(text.rpartition(" at ")[0] for kind, text in said if kind is EventKind.ERROR),
    )
