# SPDX-License-Identifier: GPL-2.0-or-later
"""Variables of programs that a script names by their path, in probes that are not in them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from compiler.frontend.parser import Conditions, parse
from compiler.ir.diagnostics import CompileError, render_all
from compiler.ir.program import Deref, MappedAddress, Program, Register
from compiler.ir.walk import Node, walk
from compiler.probes import Environment
from compiler.resolve.program import resolve
from compiler.userspace.program_files import Files
from tests import PROJECT
from tests.golden.kernel import golden_kernel

pytest.importorskip("elftools", reason="debug information is read by pyelftools")

SOURCE = PROJECT / "tests/handlers/debug.c"
BUILDS = {"movable": ("-g", "-pie"), "fixed": ("-g", "-no-pie"), "bare": ()}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("root")
    (folder / "bin").mkdir()
    for name, options in BUILDS.items():
        subprocess.run(["gcc", *options, SOURCE, "-o", folder / "bin" / name], check=True)
    return folder


def resolved(root: Path, script: str) -> Program:
    tree = parse(script, "x.stp", conditions=Conditions(kernel_vr="6.1.0-golden", arch="x86_64"))
    return resolve("x", [tree], [], Environment(golden_kernel(), programs=Files(root)))


def refused(root: Path, script: str) -> str:
    with pytest.raises(CompileError) as error:
        resolved(root, script)
    return render_all(error.value.diagnostics)


def nodes_of(program: Program) -> list[Node]:
    return [n for probe in program.probes for s in probe.body.stmts for n in walk(s)]


def linked(program: Path) -> tuple[int, int]:
    """The addresses of `total` and of the end of the code, as nm and readelf have them."""
    names = subprocess.run(["nm", program], capture_output=True, text=True, check=True).stdout
    (total,) = (int(line.split()[0], 16) for line in names.splitlines() if line.endswith(" total"))
    segments = subprocess.run(
        ["readelf", "-lW", program], capture_output=True, text=True, check=True
    ).stdout
    (code,) = (w for w in map(str.split, segments.splitlines()) if w[:1] == ["LOAD"] and "E" in w)
    return total, int(code[2], 16) + int(code[4], 16)


@pytest.mark.parametrize("build", ["movable", "fixed"])
@pytest.mark.parametrize("probe", ["timer.profile", 'process("/bin/bare").function("main")'])
def test_where_a_variable_is(root: Path, build: str, probe: str) -> None:
    program = root / "bin" / build
    total, end = linked(program)
    script = f'probe {probe} {{ println(@var("total@debug.c", "/bin/{build}")) }}'
    nodes = nodes_of(resolved(root, script))
    (place,) = (n for n in nodes if isinstance(n, MappedAddress))
    assert (place.file, place.size) == (build, program.stat().st_size)
    assert place.from_end == total - end
    assert place.from_start == total - (0x400000 if build == "fixed" else 0)
    (read,) = (n for n in nodes if isinstance(n, Deref))
    assert read.user
    assert (read.size, read.signed) == (8, True)


def test_marks_know_types_and_variables_of_their_program(root: Path) -> None:
    source = PROJECT / "tests/language/collections/server.c"
    subprocess.run(["gcc", "-g", "-O2", source, "-o", root / "bin/server"], check=True)
    program = resolved(
        root,
        """probe process("/bin/server").mark("request__startup") {
            println(@cast($arg1, "request_t")->status, @var("served@server.c")) }""",
    )
    status, served = (n for n in nodes_of(program) if isinstance(n, Deref))
    assert (status.size, status.signed, status.user) == (2, True, True)
    assert (served.size, served.signed, served.user) == (8, False, True)
    # the variable is so far from the mark as it was linked
    assert [n.name for n in walk(served) if isinstance(n, Register)] == ["ip"]


def test_functions_name_them_too(root: Path) -> None:
    script = 'function f() { return @var("first", "/bin/movable")->values[1] } probe begin { println(f()) }'
    assert resolved(root, script).functions


@pytest.mark.parametrize(
    ("path", "name", "told"),
    [
        ("/bin/none", "total", "no file '/bin/none' is there"),
        ("/bin/bare", "total", "'/bin/bare' has no debug information"),
        ("/bin/movable", "totel", "'/bin/movable' has no variable 'totel'"),
        ("/bin/movable", "totel", "did you mean 'total'?"),
        ("/bin/movable", "total@other.c", "'/bin/movable' has no variable 'total' of other.c"),
    ],
)
def test_what_is_not_there(root: Path, path: str, name: str, told: str) -> None:
    assert told in refused(root, f'probe begin {{ println(@var("{name}", "{path}")) }}')


def test_defined_asks_for_it(root: Path) -> None:
    there, gone = (f'@defined(@var("{name}", "/bin/movable"))' for name in ("total", "totel"))
    program = resolved(root, f"probe begin {{ println({there}, {gone}) }}")
    assert not [n for n in nodes_of(program) if isinstance(n, MappedAddress)]
