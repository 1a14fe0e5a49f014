# SPDX-License-Identifier: GPL-2.0-or-later
"""Which files get unwind tables, and what the C has of them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from compiler.arch import arch_of
from compiler.codegen.c_writer import Writer
from compiler.codegen.unwind_tables import MOST_FILES, UnwindTable, write
from compiler.driver import unwind_tables
from compiler.driver.unwind_tables import tables_of
from compiler.ir import hooks
from compiler.ir import program as p
from compiler.ir.source import Source, Span
from compiler.userspace.elf_program import Executable
from compiler.userspace.program_files import Files
from runtime.support import python_module
from tests import PROJECT

ARCH = arch_of("x86_64")
BASH = "/bin/bash"


def names(tables: tuple[UnwindTable, ...]) -> list[str]:
    return [Path(table.path).name for table in tables]


@pytest.fixture
def alone(tmp_path: Path) -> Path:
    """A program without libraries, and without a build-id."""
    source, made = tmp_path / "alone.c", tmp_path / "alone"
    source.write_text("int main(void) { return 0; }\n")
    argv: list[str | Path] = ["gcc", "-static", "-Wl,--build-id=none", source, "-o", made]
    subprocess.run(argv, check=True, timeout=60)
    return made


def test_programs_come_with_their_libraries_each_once() -> None:
    tables, missing = tables_of([BASH, "/usr/bin/bash"], Files(), ARCH)
    assert missing == []
    found = names(tables)
    assert found[0] == "bash"
    assert len(set(found)) == len(found)
    assert any(name.startswith("libc") for name in found)
    assert any(name.startswith("ld-") for name in found)


def test_a_table_has_what_shows_the_file_in_memory() -> None:
    (table, *_), _ = tables_of([BASH], Files(), ARCH)
    notes = subprocess.run(["readelf", "-nW", BASH], check=True, capture_output=True, text=True)
    assert f"Build ID: {table.build_id.hex()}" in notes.stdout
    shown = subprocess.run(["readelf", "-lW", BASH], check=True, capture_output=True, text=True)
    segments = {
        kind: int(address, 16)
        for kind, address in re.findall(r"^  (\w+) +0x\w+ 0x(\w+)", shown.stdout, re.MULTILINE)
    }
    assert (table.headers, table.dynamic) == (segments["PHDR"], segments["DYNAMIC"])
    entries = subprocess.run(["readelf", "-dW", BASH], check=True, capture_output=True, text=True)
    tags = re.findall(r"^ 0x\w+ \((\w+)\)", entries.stdout, re.MULTILINE)
    assert table.debug == table.dynamic + 16 * tags.index("DEBUG") + 8
    executable = Executable.open(Path(BASH), ARCH)
    at = executable.data.find(table.build_id)
    assert table.build_id_at == at, "the first segment is linked to 0"


def test_files_without_tables_are_told(alone: Path, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\n")
    tables, missing = tables_of([str(alone), str(script), "/not/there"], Files(), ARCH)
    assert tables == ()
    assert [path for path, _ in missing] == [str(alone), str(script), "/not/there"]
    assert missing[0][1] == "it has no .eh_frame, or no build-id"


def test_tables_have_a_most(monkeypatch: pytest.MonkeyPatch) -> None:
    all_of_them, _ = tables_of([BASH], Files(), ARCH)
    monkeypatch.setattr(unwind_tables, "_MOST_ROWS", len(all_of_them[0].rows.distances))
    tables, missing = tables_of([BASH], Files(), ARCH)
    assert names(tables) == ["bash"]
    assert {why for _, why in missing} == {"the tables of the other files fill the module"}
    assert len(missing) == len(all_of_them) - 1


def program_of(*found: hooks.Hook) -> p.Program:
    span = Span(Source("x.stp", "probe x {}"), 0, 5)
    probes = [SimpleNamespace(hook=hook, span=span) for hook in found]
    return cast(p.Program, SimpleNamespace(probes=probes))


def test_files_of_probes_of_the_target_and_named_ones(alone: Path) -> None:
    binary = Executable.open(Path(BASH), ARCH).binary(BASH)
    filters = hooks.ProcessFilter(BASH, 0, False)
    program = program_of(
        hooks.Uprobe("main", filters, binary), hooks.Profile(), hooks.Uprobe("f", filters, binary)
    )
    python = str(Path(sys.executable).resolve())
    files = Files(target=python)
    tables, warnings = unwind_tables.unwind_tables(program, ["sh", str(alone)], files, ARCH)
    assert names(tables)[0] == "bash"
    assert Path(python).name in names(tables)
    assert "dash" in names(tables) or "sh" in names(tables)
    (warning,) = warnings
    assert (warning.slug, warning.severity) == ("no-unwind-table", "warning")
    assert str(alone) in warning.message


def test_the_c_has_each_table(tmp_path: Path) -> None:
    tables, _ = tables_of([BASH], Files(), ARCH)
    w = Writer()
    write(w, tables)
    text = w.text("x.c")
    assert text.count("static const u32 unwind_pcs_") == len(tables) <= MOST_FILES
    (numbers,) = re.findall(r"unwind_numbers_0\[\] = \{([^}]*)\}", text)
    assert [int(n) for n in numbers.split(",") if n.strip()] == tables[0].rows.numbers


@pytest.mark.parametrize(
    ("body", "walks"), [("println(execname())", False), ("println(ustack(1))", True)]
)
def test_only_a_script_that_walks_has_tables(body: str, walks: bool, tmp_path: Path) -> None:
    """And no other one reads a program, or imports what reads it."""
    script = f'probe process("{BASH}").begin {{ {body} }}'
    argv = [*python_module.command("agent"), "run", "-p3", "--disable-cache", "-e", script]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "PYTHONPROFILEIMPORTTIME": "1"}
    done = subprocess.run(argv, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    assert (".unwind = unwind," in done.stdout) is walks
    if not walks:
        assert "compiler.dwarf" not in done.stderr
