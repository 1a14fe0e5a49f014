# SPDX-License-Identifier: GPL-2.0-or-later
"""pp() in a handler that functions of a wildcard share: the probe point, with the function's name."""

from __future__ import annotations

import subprocess
from pathlib import Path

from compiler.frontend.parser import Conditions, parse
from compiler.ir import program as p
from compiler.ir.walk import walk
from compiler.probes import Environment
from compiler.resolve.program import resolve
from compiler.userspace.program_files import Files
from tests.compiler.frontend.support import known
from tests.golden.kernel import golden_kernel

CONDITIONS = Conditions(kernel_vr="6.1.0", arch="x86_64")
SCRIPT = 'probe process("/opt/spin/program").function("sp*") { println(pp()) }'


def test_a_path_that_holds_the_functions_name(tmp_path: Path) -> None:
    source = "int spin(int n) { return n + 1; } int main(int n) { return spin(n); }"
    program = tmp_path / "opt/spin/program"
    program.parent.mkdir(parents=True)
    command = ["gcc", "-O0", "-x", "c", "-o", str(program), "-"]
    subprocess.run(command, input=source.encode(), check=True)
    environment = Environment(golden_kernel(), programs=Files(tmp_path))
    script = parse(SCRIPT, "x.stp", conditions=CONDITIONS)
    [probe] = resolve("x", [script], known(SCRIPT, CONDITIONS), environment).probes
    [text] = [n.format for n in walk(*probe.body.stmts) if isinstance(n, p.Format)]
    assert text == 'process("/opt/spin/program").function("%s")'
