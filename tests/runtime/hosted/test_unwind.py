# SPDX-License-Identifier: GPL-2.0-or-later
"""The walk by unwind tables: right at each instruction, and safe with any table and stack."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from compiler.arch import arch_of
from compiler.codegen.c_writer import Writer
from compiler.codegen.unwind_tables import MOST_FILES, write
from compiler.driver.unwind_tables import tables_of
from compiler.userspace.program_files import Files
from tests.runtime.hosted.sanitized import DIALECT, FOLDERS, RUNTIME, gcc

HERE = Path(__file__).parent
ARCH = arch_of("x86_64")
SLOT = RUNTIME / "hosted/script_slot.c"
UNWIND = RUNTIME / "kernel/lib/unwind.c"
SAMPLES = 8_000


def stepping(made: Path, *options: str) -> Path:
    program = made / "steps"
    source = HERE / "unwind_steps.c"
    gcc(*options, source, UNWIND, SLOT, "-rdynamic", "-o", program, sanitize=False)
    return program


def tables_in_c(made: Path, program: Path) -> Path:
    """The program's tables, and its libraries', as a library."""
    tables, warnings = tables_of([str(program)], Files(), ARCH)
    assert warnings == []
    assert len(tables) >= 3  # the program, the C library, the dynamic linker
    w = Writer()
    w.line("#include <stapwatch.h>")
    write(w, tables)
    w.line("const struct sw_unwind_table *const tables = unwind;")
    w.line(f"const u32 nr_tables = {len(tables)};")
    source, library = made / "tables.c", made / "tables.so"
    source.write_text(w.text("tables.c"))
    includes = [f"-I{folder}" for folder in FOLDERS]
    argv: list[str | Path] = ["gcc", *DIALECT, *includes, "-shared", "-fPIC", source, "-o", library]
    subprocess.run(argv, check=True, timeout=60)
    return library


@pytest.mark.parametrize(
    "options",
    [
        ("-O2", "-fomit-frame-pointer", "-DALIGNED=64", "-Wl,-z,lazy"),
        ("-O1", "-fno-omit-frame-pointer", "-DALIGNED=8", "-no-pie"),
    ],
    ids=["without frame pointers", "with them"],
)
def test_each_instruction_has_the_callers_that_backtrace_finds(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    program = stepping(tmp_path, *options)
    tables = tables_in_c(tmp_path, program)
    argv: list[str | Path] = [program, tables, str(SAMPLES)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    samples, equal, cut = map(int, done.stdout.split())
    assert samples >= SAMPLES
    assert equal + cut == samples
    # in the dynamic linker's first look-up of a function, of which a frame is in another register
    assert 0 < cut < 1000


@pytest.fixture(scope="module")
def fuzzer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("unwind") / "any"
    gcc("-g", "-O1", HERE / "unwind_any.c", UNWIND, SLOT, "-o", made)
    return made


@pytest.mark.parametrize("seed", range(4))
def test_no_table_and_no_stack_does_harm(fuzzer: Path, seed: int) -> None:
    """Walks stay within their memory and their actions; the stack pointer goes up but for signals."""
    argv: list[str | Path] = [fuzzer, str(seed), "5000"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    deepest, paid_out, found, _, *ends = map(int, done.stdout.split())
    # the cases are worth their time: files are found, some walks are deep, and all ends are met
    assert deepest > 8
    assert found > 1000
    assert paid_out > 100
    assert all(ends)  # the first one would be a walk that never ends


def test_the_runtime_has_space_for_as_many_files_as_the_compiler_uses() -> None:
    header = (RUNTIME / "kernel/include/stapwatch/unwind.h").read_text()
    assert f"#define SW_UNWIND_MOST_FILES {MOST_FILES}\n" in header
