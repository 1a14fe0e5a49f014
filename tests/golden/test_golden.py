# SPDX-License-Identifier: GPL-2.0-or-later
"""Golden cases: `x.stp` beside what one stage of the compiler makes of it; the suffix says which.

    syntax/operators.stp  +  syntax/operators.ast   the tree in its normal form
    syntax/bad-number.stp +  syntax/bad-number.err  the diagnostics of a script that is refused
    resolve/types.stp     +  resolve/types.ir       the program: globals, functions, probes, with types
    codegen/count.stp     +  codegen/count.c        the C, without its tables

A case may begin with lines `// guru` (embedded C is allowed), `// args: 3 "two words"`, and
`// functions: 2` (MAXFUNCTIONS).

`python -m tests.golden.test_golden --update [CASE ...]` rewrites the expected files (all, or those
whose path contains a CASE), and makes the one that belongs to a new .stp. Read the diff.

To add a stage: a function from Case to text, and its suffix in STAGES.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from compiler.codegen.module import generate
from compiler.codegen.probe_table import Target
from compiler.frontend.parser import Conditions, parse
from compiler.ir import program_printer
from compiler.ir.diagnostics import SLUGS, CompileError, render_all
from compiler.ir.options import Limits, Options
from compiler.ir.program import Program
from compiler.ir.syntax import Script
from compiler.ir.syntax_printer import print_script
from compiler.probes import Environment
from compiler.resolve.program import resolve
from compiler.transform.dead_code import eliminate_dead_code
from compiler.transform.entry_return_pairing import pair
from tests.case_file import CaseFile, main, read_cases
from tests.compiler.frontend.support import everything, known
from tests.golden.kernel import golden_kernel
from tests.golden.programs import golden_programs


@dataclass(frozen=True, slots=True)
class Case(CaseFile):
    """One script, taken as far as a stage needs it."""

    @property
    def conditions(self) -> Conditions:
        return Conditions(
            kernel_vr="6.1.0-13-amd64",
            arch="x86_64",
            guru_mode=self.option("guru") is not None,
            config={"CONFIG_SMP": "y", "CONFIG_HZ": "250", "CONFIG_E1000": "m"},
        )

    def parse(self) -> Script:
        return parse(self.text, self.path.name, conditions=self.conditions, args=self.words("args"))

    def resolve(self) -> Program:
        """As the passes do: with the library's files that are needed, after a mistake with all."""
        try:
            return self._resolved(known(self.text, self.conditions))
        except CompileError:
            return self._resolved(everything(self.conditions))

    def _resolved(self, files: list[Script]) -> Program:
        guru = self.conditions.guru_mode
        most = int(self.option("functions") or Limits().MAXFUNCTIONS)
        environment = Environment(golden_kernel(), guru, golden_programs(), most)
        return eliminate_dead_code(resolve(self.path.stem, [self.parse()], files, environment))


def print_tree(case: Case) -> str:
    return print_script(case.parse())


def print_errors(case: Case) -> str:
    """Runs the stages that can refuse a script, in order, up to the first that does."""
    try:
        for stage in (case.parse, case.resolve):
            stage()
    except CompileError as error:
        return render_all(error.diagnostics) + "\n"
    return "accepted\n"


def print_program(case: Case) -> str:
    return program_printer.program(case.resolve())


def print_c(case: Case) -> str:
    """From the first struct to the handlers; the tables behind them look alike in every module."""
    target = Target(case.path.stem.replace("-", "_"), "0" * 64, "6.1.0-golden", bytes(20), "0")
    text = generate(pair(case.resolve()), target, Options()).c_text
    return text.partition("static const struct sw_probe probes[]")[0].rstrip() + "\n"


STAGES: dict[str, Callable[[Case], str]] = {
    ".ast": print_tree,
    ".err": print_errors,
    ".ir": print_program,
    ".c": print_c,
}
# What `--update` makes for a new script of a folder, if the script is not refused.
NEW = {"syntax": ".ast", "resolve": ".ir", "codegen": ".c"}


CASES = read_cases(Case, Path(__file__).resolve().parent)


def expected(case: Case) -> list[Path]:
    paths = (case.path.with_suffix(suffix) for suffix in STAGES)
    return [path for path in paths if path.exists()]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_golden(case: Case) -> None:
    paths = expected(case)
    assert paths, f"{case.name} has no expected file: run with --update and review it"
    for path in paths:
        assert STAGES[path.suffix](case) == path.read_text(encoding="utf-8"), path.name


@pytest.mark.parametrize(
    "case", [c for c in CASES if c.path.with_suffix(".ast").exists()], ids=lambda c: c.name
)
def test_the_normal_form_is_a_script_of_the_same_tree(case: Case) -> None:
    printed = print_tree(case)
    again = parse(printed.encode("latin-1"), case.path.name, conditions=case.conditions)
    assert print_script(again) == printed


@pytest.mark.parametrize("slug", SLUGS)
def test_every_slug_has_a_case_of_its_name(slug: str) -> None:
    path = Path(__file__).parent / "syntax" / f"{slug}.err"
    assert path.exists()
    assert f"[{slug}]" in path.read_text(encoding="utf-8")


def expectations(cases: Sequence[Case]) -> Iterator[tuple[Path, str]]:
    """What each case gives now; a script that is new gets the file of its folder's stage."""
    for case in cases:
        paths = expected(case)
        if not paths and print_errors(case) != "accepted\n":
            paths = [case.path.with_suffix(".err")]
        elif not paths and case.item in NEW:
            paths = [case.path.with_suffix(NEW[case.item])]
        for path in paths:
            yield path, STAGES[path.suffix](case)


if __name__ == "__main__":
    sys.exit(main("tests.golden.test_golden", CASES, expectations))
