# SPDX-License-Identifier: GPL-2.0-or-later
"""Pieces of one line are one record, unless the later one must not be computed earlier."""

from __future__ import annotations

import pytest

from compiler.frontend.parser import Conditions, parse
from compiler.ir import program as p
from compiler.ir.walk import walk
from compiler.probes import Environment
from compiler.resolve.program import resolve
from compiler.transform.dead_code import eliminate_dead_code
from compiler.transform.merge_prints import merge_prints
from tests.compiler.frontend.support import known
from tests.golden.kernel import golden_kernel

CONDITIONS = Conditions(kernel_vr="6.1.0", arch="x86_64", guru_mode=True)
SCRIPT = """\
global n, a
function says() { print("said") return 1 }
function two() { return 2 }
"""


def prints(body: str, longest: int = 64, ring: int = 1 << 18) -> list[p.Print]:
    text = f"{SCRIPT} probe timer.s(1) {{ n++ a[n] = 1 {body} }}"
    script = parse(text, "x.stp", conditions=CONDITIONS)
    library = known(text, CONDITIONS)
    program = resolve("x", [script], library, Environment(golden_kernel()))
    merged = merge_prints(eliminate_dead_code(program), longest, ring)
    return [n for n in walk(*merged.probes[0].body.stmts) if isinstance(n, p.Print)]


@pytest.mark.parametrize(
    ("body", "formats"),
    [
        ('printf("%d ", n) print(execname()) println(".")', ["%d %s.\n"]),
        ('println("a") println("b")', ["a\n", "b\n"]),
        ('print("a") println("b") print("c") print_char(10)', ["ab\n", "c%c"]),
        ('if (n) { print("a") print("b") } else print("c") print("d")', ["ab", "c", "d"]),
        ("for (i = 0; i < 3; i++) { print(i) print(i) }", ["%d%d"]),
        ('print("a") n = 3 print(n)', ["a", "%d"]),
        ('print("a") print(two())', ["a%d"]),
        ('print("a") print(says())', ["a", "%d"]),
        ('print("a") print(n++)', ["a", "%d"]),
        ('print("a") print(1 / n)', ["a", "%d"]),
        ('print("a") log("b")', ["a", "b\n"]),
        ('printf("%%") printf("%5d", n)', ["%%%5d"]),
    ],
)
def test_what_is_merged(body: str, formats: list[str]) -> None:
    assert [s.format for s in prints(body)] == formats


def test_fields_keep_names_of_their_own() -> None:
    (found,) = prints("print(n) print(n) print(pid())")
    assert found.names == ("n", "n_2", "pid")


def test_a_record_fits_into_the_ring() -> None:
    body = "print(execname()) print(execname()) print(execname())"
    assert [s.format for s in prints(body, longest=512)] == ["%s%s%s"]
    assert [s.format for s in prints(body, longest=512, ring=4096)] == ["%s"] * 3
