# SPDX-License-Identifier: GPL-2.0-or-later
"""No script hooks code that the kernel copies or patches: the compiler refuses it, and so does the kernel side of
a module whose compiler did not see the kernel's addresses."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from compiler.arch.x86_64 import ARCH
from compiler.kernel.symbols import Symbols
from compiler.kernel.unsafe_text import Reason, unsafe_functions
from lab import Guest, Image
from tests.handlers.conftest import Case, compile_case, run_in_guest

PANIC = """
global n, m
probe kprobe.function("ftrace_caller") { n++ }
probe kernel.function("vfs_read") { m++ }
"""
# not refused as a whole: what can be attached is
OPTIONAL = 'global n, m\nprobe kernel.function("vfs_read") { m++ }\n'
WHY = "the kernel copies or patches its code"


@pytest.fixture(scope="module")
def table(guest: Guest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The guest's symbol table."""
    path = tmp_path_factory.mktemp("unsafe") / "kallsyms"
    guest.run("cat /proc/kallsyms >/tmp/kallsyms", timeout=120).check()
    guest.pull("/tmp/kallsyms", path)
    return path


@pytest.fixture(scope="module")
def unsafe(table: Path) -> list[str]:
    """One function of every kind: each named mark, and what stands first and last in each area."""
    symbols = Symbols.read(table)
    found = [n for n, r in unsafe_functions(symbols, ARCH).items() if r == Reason.AREA]
    marks = {name for names in ARCH.unsafe_areas for name in names}
    edges = found[:2] + found[-2:] + [n for n in found if n.startswith("__SCT__")][:2]
    chosen = {*marks.intersection(found), *edges, "ftrace_call", "text_poke_bp", "entry_SYSCALL_64"}
    assert len(chosen) > 20
    return sorted(chosen)


@pytest.fixture(scope="module")
def result(
    guest: Guest,
    image: Image,
    table: Path,
    unsafe: list[str],
    tmp_path_factory: pytest.TempPathFactory,
) -> list[dict[str, Any]]:
    """Modules made without addresses; the last is the plain one, whose trampoline is a new copy."""
    folder = tmp_path_factory.mktemp("modules")
    hidden = folder / "hidden"
    hidden.write_bytes(re.sub(rb"(?m)^[0-9a-f]+", b"0" * 16, table.read_bytes()))
    points = [
        f'kprobe.function("{name}"){suffix}?' for name in unsafe for suffix in ("", ".return")
    ]
    scripts = {
        "panic": PANIC,
        "many": OPTIONAL + "".join(f"probe {point} {{ n++ }}\n" for point in points),
        "plain": 'global m\nprobe kernel.function("vfs_read") { m++ }\n',
    }
    modules = []
    for name, script in scripts.items():
        # a cache of its own: another compile may have cached what the addresses say
        response = compile_case(Case(name, script), image, folder, hidden, cache=folder / "cache")
        assert response["ok"], response["errors"]
        modules.append(f"/tmp/{response['module']}.ko")
        guest.push(Path(response["path"]), modules[-1])
    found: list[dict[str, Any]] = run_in_guest(guest, "unsafe.py", modules, folder, 600)  # type: ignore[assignment]
    return found


def test_the_kernel_side_refuses_what_the_compiler_did_not_see(
    result: list[dict[str, Any]],
) -> None:
    panic = result[0]
    assert "ftrace_caller" in panic["failed"] and WHY in panic["failed"]
    assert panic["armed"] == [False, False]


def test_nothing_unsafe_is_attached(result: list[dict[str, Any]], unsafe: list[str]) -> None:
    many = result[1]
    assert many["failed"] == ""
    assert many["armed"] == [True, *[False] * (len(many["armed"]) - 1)]
    assert many["hits"][0] >= 100 and not any(many["hits"][1:])
    assert len(many["armed"]) > 2 * len(unsafe) - len(unsafe)


def test_the_plain_script_works(result: list[dict[str, Any]], guest: Guest) -> None:
    assert result[2]["failed"] == "" and result[2]["armed"] == [True]
    assert result[2]["hits"][0] >= 100
    assert guest.complaints() == []


def test_the_compiler_refuses_it_where_it_knows_the_kernel(
    image: Image, table: Path, tmp_path: Path
) -> None:
    text = PANIC + "# a text of its own: the module cache has the other one\n"
    response = compile_case(Case("panic", text), image, tmp_path, table)
    assert not response["ok"]
    assert [error["slug"] for error in response["errors"]] == ["unsafe-function"]
    wild = 'probe kernel.function("ftrace_*") { n++ } global n'
    response = compile_case(Case("wild", wild, optimise=False), image, tmp_path, table)
    assert response["ok"], response["errors"]
    assert any("unsafe-function" in w["slug"] for w in response["warnings"])
