# SPDX-License-Identifier: GPL-2.0-or-later
"""Probe points and variables of programs with DWARF: what is found, and what is said of the rest."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from compiler.driver import list_probes
from compiler.frontend.parser import Conditions, parse
from compiler.ir.diagnostics import CompileError, render_all
from compiler.ir.hooks import Uretprobe
from compiler.ir.program import LONG, Deref, Program, Register
from compiler.ir.walk import walk
from compiler.probes import Environment
from compiler.resolve.program import resolve
from compiler.userspace.program_files import Files
from tests import PROJECT
from tests.golden.kernel import golden_kernel

SOURCE = PROJECT / "tests/handlers/debug.c"
CPLUSPLUS = PROJECT / "tests/compiler/dwarf/members.cc"
LINE = 1 + next(i for i, s in enumerate(SOURCE.read_text().splitlines()) if "/* statement" in s)
CONDITIONS = Conditions(kernel_vr="6.1.0-golden", arch="x86_64")
PLAIN = 'process("/bin/plain")'

needs_pyelftools = pytest.mark.skipif(
    importlib.util.find_spec("elftools") is None, reason="pyelftools is not installed"
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("root")
    here = folder / "bin"
    here.mkdir()
    for name, options in {"plain": ["-g", "-O0"], "fast": ["-g", "-O2"], "bare": ["-O1"]}.items():
        subprocess.run(["gcc", *options, SOURCE, "-o", here / name], check=True, timeout=60)
    for name, options in {"members": ["-g", "-O1"], "symbols": ["-O1"]}.items():
        subprocess.run(["g++", *options, CPLUSPLUS, "-o", here / name], check=True, timeout=60)
    shutil.copy(here / "plain", here / "stripped")
    for command in (
        ("objcopy", "--only-keep-debug", "stripped", "stripped.debug"),
        ("strip", "stripped"),
        ("objcopy", "--add-gnu-debuglink=stripped.debug", "stripped"),
    ):
        subprocess.run(command, cwd=here, check=True, timeout=60)
    return folder


def environment(root: Path) -> Environment:
    return Environment(golden_kernel(), programs=Files(root))


def resolved(root: Path, script: str) -> Program:
    return resolve("x", [parse(script, "x.stp", conditions=CONDITIONS)], [], environment(root))


def refused(root: Path, script: str) -> str:
    with pytest.raises(CompileError) as error:
        resolved(root, script)
    return render_all(error.value.diagnostics)


def listed(root: Path, point: str) -> list[str]:
    script = parse(f"probe {point} {{}}", "x.stp", conditions=CONDITIONS)
    return list_probes.points(script, [], [], environment(root), variables=True)


@needs_pyelftools
@pytest.mark.parametrize(
    ("point", "wanted"),
    [
        ('{}.function("negative")', ["$number:int"]),
        ('{}.function("negative").return', ["$number:int", "$return:int"]),
        ('{}.function("next_of").return', ["$node:node_t*", "$return:node_t*"]),
        ('{}.function("mixed")', ["$pair:struct pair", "$last:int"]),
        ('{}.function("visit@debug.c")', ["$node:node_t*", "$step:short int", "$letter:unsigned char",
            "$text:char const*", "$five:int", "$six:long int", "$seven:long int", "$eight:int"]),
        (f'{{}}.statement("sum_of_squares@debug.c:{LINE}")', ["$count:int", "$sum:long int", "$i:int"]),
    ],
)  # fmt: skip
def test_variables_with_their_types(root: Path, point: str, wanted: list[str]) -> None:
    for program in ("plain", "stripped"):
        (line,) = listed(root, point.format(f'process("/bin/{program}")'))
        before, *variables = line.replace(", ", ",").replace("struct ", "struct~").replace(" int", "~int").replace(
            " char", "~char").replace(" const", "~const").split(" ")  # fmt: skip
        assert before.startswith(f'process("/bin/{program}")')
        found = [v.replace("~", " ") for v in variables]
        assert sorted(found) == sorted(w.replace("char const*", "const char*") for w in wanted), (
            line
        )


@needs_pyelftools
def test_places(root: Path) -> None:
    def count(point: str) -> int:
        probes = resolved(root, f"probe {point} {{}}").probes
        return sum(len(probe.hook.functions) or 1 for probe in probes)

    assert count(f'{PLAIN}.statement("sum_of_squares@debug.c:*")') > 4
    assert count(f'{PLAIN}.statement("*@debug.c:{LINE}")') == 1
    assert count(f'{PLAIN}.function("negative@handlers/debug.c")') == 1
    assert count(f'{PLAIN}.function("sum_of_squares@debug.c:{LINE}")') == 1
    assert count(f'{PLAIN}.statement("negative@debug.c+1")') == 1
    assert count(f'{PLAIN}.function("tripled").inline') == 1
    assert count(f'{PLAIN}.function("tripled")') == 1 == count(f'{PLAIN}.function("t*led")')
    assert count(f'{PLAIN}.function("tripled"), {PLAIN}.function("negative")') == 2
    assert count(f'{PLAIN}.function("n*@debug.c")') == 2
    assert count(f'{PLAIN}.function("added_up").label("ag*")') == 1
    assert count(f'{PLAIN}.function("main").callee("visit")') == 1
    assert count(f'{PLAIN}.function("caller").callee("tripled").inline') == 1
    assert count(f'{PLAIN}.function("main").callee("sum_*").return') == 2
    assert count('process("/bin/fast").function("main").callees') > 6
    assert count('process("/bin/fast").function("sum_down").callees.call') == 1


@needs_pyelftools
@pytest.mark.parametrize(
    ("script", "slug", "told"),
    [
        (f'{PLAIN}.function("visit") {{ println($stp) }}', "needs-debuginfo", "did you mean '$step'?"),
        (f'{PLAIN}.function("visit") {{ println($node->ta) }}', "bad-context-variable", "no member 'ta'"),
        (f'{PLAIN}.function("visit") {{ println($node->weight) }}', "bad-context-variable", "no integer"),
        (f'{PLAIN}.function("mixed") {{ println($factor) }}', "no-value-here", "no register that is known"),
        (f'{PLAIN}.function("visit").return {{ println($stp) }}', "needs-debuginfo", "did you mean '$step'?"),
        ('process("/bin/fast").function("caller") { println($before) }', "no-value-here", "optimised out here"),
        (f'{PLAIN}.statement("visit@debug.c:1") {{}}', "unknown-line", "there is code at line"),
        (f'{PLAIN}.statement("visit@other.c:1") {{}}', "unknown-program-function", "in 'other.c'"),
        (f'{PLAIN}.statement("visit") {{}}', "bad-probe-argument", "function@file:line"),
        (f'{PLAIN}.statement("visit@debug.c:x") {{}}', "bad-probe-argument", "no place in a source file"),
        (f'{PLAIN}.function("tripled").call {{}}', "unknown-program-function", "add .inline"),
        (f'{PLAIN}.function("tripled").return {{}}', "unknown-program-function", "add .inline"),
        (f'{PLAIN}.function("visit").inline {{}}', "unknown-program-function", "no inline instance"),
        (f'{PLAIN}.function("main").label("again") {{}}', "unknown-label", "it has none"),
        (f'{PLAIN}.function("added_up").label("agin") {{}}', "unknown-label", "did you mean 'again'?"),
        (f'{PLAIN}.function("man").label("x") {{}}', "unknown-program-function", "did you mean 'main'?"),
        (f'{PLAIN}.function("main").callee("vist") {{}}', "unknown-program-function", "did you mean 'visit'?"),
        (f'{PLAIN}.function("main").callees {{}}', "unknown-program-function", "calls are noted by compilers"),
        (f'{PLAIN}.function("main").callees(2) {{}}', "bad-probe-argument", "callees of callees"),
        (f'{PLAIN}.function("main").callee("visit").x {{}}', "unknown-probe-point", "component 'x'"),
        ('process("/bin/bare").function("main").callees {}', "needs-debuginfo", "no debug information"),
        ('process("/bin/stripped").function("vist") {}', "unknown-program-function", "did you mean 'visit'?"),
        ('begin { println(@cast(1, "nod", "/bin/plain")->at) }', "unknown-type", "'/bin/plain' has no type"),
        ('begin { println(@cast(1, "node", "/bin/bare")->at) }', "needs-debuginfo", "no debug information"),
    ],
)  # fmt: skip
def test_messages(root: Path, script: str, slug: str, told: str) -> None:
    text = refused(root, f"probe {script}")
    assert f"[{slug}]" in text and told in text, text


@needs_pyelftools
def test_a_programs_memory_is_not_written(root: Path) -> None:
    known = environment(root)
    guru = Environment(known.kernel, guru=True, programs=known.programs)
    script = parse(
        f'probe {PLAIN}.function("visit") {{ $node->hidden = 1 }}', "x.stp", conditions=CONDITIONS
    )
    with pytest.raises(CompileError, match="memory is not written"):
        resolve("x", [script], [], guru)


@needs_pyelftools
def test_names_that_only_the_debug_file_has(tmp_path: Path) -> None:
    """A stripped library exports a second name of a static function."""
    (tmp_path / "alias.c").write_text("""
        static int implementation(int number) { return -number; }
        int exported(int number) __attribute__((alias("implementation")));""")
    for command in (
        ("gcc", "-g", "-fPIC", "-shared", "alias.c", "-o", "alias.so"),
        ("objcopy", "--only-keep-debug", "alias.so", "alias.debug"),
        ("strip", "alias.so"),
        ("objcopy", "--add-gnu-debuglink=alias.debug", "alias.so"),
    ):
        subprocess.run(command, cwd=tmp_path, check=True, timeout=60)
    (line,) = listed(tmp_path, 'process("/alias.so").function("exported").return')
    assert "$number:int" in line and "$return:int" in line


MEMBERS = 'process("/bin/members")'


@needs_pyelftools
@pytest.mark.parametrize(
    ("function", "sites"),
    [
        ("shop::cart::fill", 2), ("cart::fill", 2), ("::shop::cart::fill", 2), ("fill", 2), ("cart::f*l", 2),
        ("shop::cart::fill@members.cc", 2), ("_ZN4shop4cart4fillEl", 1), ("shop::twice<int>", 1),
        ("shop::twice*", 1),
    ],
)  # fmt: skip
def test_members_and_namespaces(root: Path, function: str, sites: int) -> None:
    """Overloaded functions are all meant, and each has its own variables."""
    body = """if (@defined($other)) println($amount + $other->id)
        else println(@choose_defined($each, $value))"""
    probes = resolved(root, f'probe {MEMBERS}.function("{function}") {{ {body} }}').probes
    assert len(probes) == sites and len({repr(probe.body) for probe in probes}) == sites


@needs_pyelftools
def test_classes(root: Path) -> None:
    resolved(
        root,
        f"""probe {MEMBERS}.function("cart::add").return {{
        println(@cast($this, "class shop::cart")->count, @cast($this, "shop::base")->id, $this->id, $$return,
            @var("shop::cart::total"), @var("total@members.cc", "/bin/members"), $this$, $$parms$$) }}""",
    )


def test_names_are_those_of_the_source(root: Path) -> None:
    """Also where symbols tell only."""
    lines = listed(root, 'process("/bin/symbols").function("*cart*")')
    assert {line.split('"')[3] for line in lines} >= {"shop::cart::add"}
    assert not any("_ZN" in line for line in lines)
    text = refused(root, 'probe process("/bin/symbols").function("shop::cart::ad") {}')
    assert "did you mean 'shop::cart::add'" in text


@needs_pyelftools
def test_what_a_return_has_of_the_entry(root: Path) -> None:
    """Parameters are saved; one in the caller's frame by its value, a static variable by its address."""
    script = f"""probe {PLAIN}.function("visit").return {{
        println($step, $eight, $node->values[1], $total, @entry($arg2 + 1), $$parms, @var("total@debug.c")) }}"""
    (probe,) = resolved(root, script).probes
    saved = [type(e).__name__ for e in probe.entry]
    assert saved.count("Deref") == 2  # seven and eight
    assert all(e.type is LONG for e in probe.entry)
    (few,) = resolved(root, f'probe {PLAIN}.function("visit").return.maxactive(9) {{}}').probes
    assert isinstance(few.hook, Uretprobe) and few.hook.maxactive == 9
    reads = [n for s in probe.body.stmts for n in walk(s) if isinstance(n, Register)]
    assert not reads, "a register of the entry is read at the return"


@needs_pyelftools
def test_types_of_the_program_come_first(root: Path) -> None:
    program = resolved(
        root, f'probe {PLAIN}.function("visit") {{ println(@cast($arg1, "pair")->b) }}'
    )
    (read,) = (n for s in program.probes[0].body.stmts for n in walk(s) if isinstance(n, Deref))
    assert read.user and read.size == 4


def test_without_pyelftools(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    text = refused(root, f'probe {PLAIN}.function("visit") {{ println($step) }}')
    assert "[needs-debuginfo]" in text and "apt install python3-pyelftools" in text
    resolved(root, f'probe {PLAIN}.function("visit") {{ println($arg2) }}')


def test_nothing_is_read_before_it_is_needed(root: Path) -> None:
    """A script that names registers only does not import the room, but for what looks for debug files."""
    script = f"""
import sys
from pathlib import Path
from tests.compiler.probes.test_program_source import resolved
for name, point in {{"plain": ".call", "fast": ".return", "bare": ""}}.items():
    resolved(Path({str(root)!r}), f'probe process("/bin/{{name}}").function("visit"){{point}} {{{{ println($arg2) }}}}')
found = {{name for name in sys.modules if name.startswith(("compiler.dwarf", "elftools"))}}
sys.exit(" ".join(found - {{"compiler.dwarf", "compiler.dwarf.debug_files"}}) or None)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
