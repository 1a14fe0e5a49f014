# SPDX-License-Identifier: GPL-2.0-or-later
"""The cost of a new probe family: one Python file, one C file, one word of the enum, one row of the table.

A toy family is added to a copy of the tree by these changes alone, then a script that uses it is compiled and
run in user space.
"""

from __future__ import annotations

import filecmp
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from compiler.ir.hooks import Hook
from tests import PROJECT

PARTS = ("compiler", "runtime", "tests")
HEADER = "runtime/kernel/include/stapwatch/script.h"
TABLE = "compiler/probes/__init__.py"

FAMILY = '''
"""toy(N): fires when the toy called N does."""

from compiler.ir.hooks import PLAIN, Hook
from compiler.probes.base import ProbeSite, number_of, spell, unexpected
from runtime.support.record import record

FORMS = ("toy(number)",)


@record
class Toy(Hook):
    word = "TOY"
    handler = PLAIN

    symbol: str


def resolve(components, environment):
    toy, *rest = components
    if rest:
        raise unexpected(rest[0], ())
    return [ProbeSite(Toy(f"toy {number_of(toy)}"), spell(components))]
'''
C_FILE = """
#include "probes/hook.h"

static int toy_hook_attach(struct sw_attachment *a)
{
	return 0;
}

const struct sw_hook_ops sw_toy_ops = {
	.attach = toy_hook_attach,
};
"""
SCRIPT = "global hits probe toy(7) { hits++; println(pp(), hits) } probe begin { println(0) }"
RUN = f"""
import json
from compiler.driver.list_probes import probe_types
from tests.language.userspace import HostedRuntime, Script, translate

with HostedRuntime.open() as hosted:
    ran = hosted.run_script({SCRIPT!r}, rounds=2)
hooks = [probe.hook for probe in translate(Script("x", {SCRIPT!r})).manifest.probes]
print(json.dumps([ran.output, ran.fault, ran.diagnostics, hooks, "toy(number)" in probe_types()]))
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for part in PARTS:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(PROJECT / part, tmp_path / part, ignore=ignored)
    return tmp_path


def insert(path: Path, behind: str, line: str) -> None:
    """Insert a line after the line that contains this text."""
    lines = path.read_text().splitlines(keepends=True)
    (at,) = (i for i, text in enumerate(lines) if behind in text)
    lines.insert(at + 1, line)
    path.write_text("".join(lines))


def touched(tree: Path) -> dict[str, int]:
    """The files that differ from ours, with the number of lines added."""
    found = {}
    for path in sorted(path for part in PARTS for path in (tree / part).rglob("*")):
        name = str(path.relative_to(tree))
        ours = PROJECT / name
        if path.is_file() and not (ours.exists() and filecmp.cmp(path, ours, shallow=False)):
            before = ours.read_text().count("\n") if ours.exists() else 0
            found[name] = path.read_text().count("\n") - before
    return found


def test_a_family_is_two_files_and_two_rows(tree: Path) -> None:
    (tree / "compiler/probes/toy.py").write_text(FAMILY)
    (tree / "runtime/kernel/probes/toy_probe.c").write_text(C_FILE)
    insert(tree / HEADER, "row(PROCESS,", "\trow(TOY, PLAIN, sw_toy_ops) \\\n")
    insert(tree / TABLE, '"perf": ', '    "toy": _family("toy"),\n')

    assert touched(tree) == {
        "compiler/probes/toy.py": FAMILY.count("\n"),
        "runtime/kernel/probes/toy_probe.c": C_FILE.count("\n"),
        HEADER: 1,
        TABLE: 1,
    }
    done = subprocess.run(
        [sys.executable, "-c", RUN], cwd=tree, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    output = "0\ntoy(7)1\ntoy(7)2\n"
    assert json.loads(done.stdout) == [output, "", "", ["toy", "begin"], True]


def kinds(cls: type[Hook] = Hook) -> Iterator[type[Hook]]:
    for kind in cls.__subclasses__():
        if "word" in vars(kind):
            yield kind
        yield from kinds(kind)


def test_both_sides_have_the_same_kinds() -> None:
    rows = re.findall(r"^\trow\((\w+), (\w+), (\w+)\)", (PROJECT / HEADER).read_text(), re.M)
    assert sorted((word, handler) for word, handler, _ in rows) == sorted(
        (kind.word, kind.handler.word) for kind in kinds()
    )
    sources = [path.read_text() for path in (PROJECT / "runtime/kernel/probes").glob("*.c")]
    for ops in {ops for _, _, ops in rows}:
        assert sum(f"const struct sw_hook_ops {ops} =" in text for text in sources) == 1, ops
