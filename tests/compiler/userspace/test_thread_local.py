# SPDX-License-Identifier: GPL-2.0-or-later
"""Thread-local variables of libraries, in each of the ways in which their code finds them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import cast

import pytest

from compiler.arch.x86_64 import ARCH
from compiler.ir.program import Expr, Print
from compiler.ir.walk import walk
from compiler.userspace.elf_program import Executable
from compiler.userspace.thread_local import Block, thread_local
from tests.compiler.dwarf.gdb import agrees
from tests.compiler.probes.test_program_source import needs_pyelftools, resolved

LIBRARY = """
__thread int before[5] = { 1, 2, 3, 4, 5 };
static __thread long hidden;
__thread short seen = 70;
extern __thread int of_the_program;
int counted(int more)
{
	hidden += more;
	seen += more;
	return of_the_program + seen + before[more & 3] + (int)hidden;
}
"""
PROGRAM = """
__thread int of_the_program = 9;
int counted(int more);
int main(int argc, char **argv)
{
	return counted(argc) & 1;
}
"""
MODELS = {
    "global-dynamic": True,
    "initial-exec": False,
}  # whether it is found by the module's number


@pytest.fixture(scope="module", params=[*MODELS])
def root(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "library.c").write_text(LIBRARY)
    (folder / "program.c").write_text(PROGRAM)
    model = f"-ftls-model={request.param}"
    shared = ("gcc", "-g", "-O1", model, "-fPIC", "-shared", "library.c", "-o", "libours.so")
    program = ("gcc", "-g", "program.c", "-o", "program", "-L.", "-lours", f"-Wl,-rpath,{folder}")
    for argv in (shared, program):
        subprocess.run(argv, cwd=folder, check=True, timeout=60)
    return folder


def test_where_they_are(root: Path) -> None:
    program = thread_local(Executable.open(root / "program", ARCH))
    library = thread_local(Executable.open(root / "libours.so", ARCH))
    assert program == Block(distance=4)
    assert library is not None and library.slot
    assert library.module == MODELS[next(name for name in MODELS if name in root.name)]


@needs_pyelftools
def test_values(root: Path) -> None:
    if shutil.which("gdb") is None:
        pytest.skip("gdb is not installed")
    names = ("hidden", "seen", "before[3]")
    prints = " ".join(f"println(${name})" for name in names)
    script = f'probe process("/libours.so").function("counted") {{ {prints} }}'
    (probe,) = resolved(root, script).probes
    shown = [n.args[0] for s in probe.body.stmts for n in walk(s) if isinstance(n, Print)]
    values = {
        str(i): (cast("Expr", e), name)
        for i, (e, name) in enumerate(zip(shown, names, strict=True))
    }
    assert all(agrees(root / "program", "counted", values).values())
