# SPDX-License-Identifier: GPL-2.0-or-later
"""Generated programs have the output of a reference evaluator, in user space under sanitizers.

    FUZZ_PROGRAMS=10000 FUZZ_SEED=7 pytest tests/language/test_programs.py        (make fuzz)

Programs are made in groups, a seed each, and compiled many at once. A group with a failure is made again, one
program after the other, so that hypothesis can shrink it; the script is printed then.
"""

from __future__ import annotations

import difflib
import itertools
import os
import re
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from compiler.ir.syntax_printer import print_script
from tests.language.fuzz.evaluate import evaluate
from tests.language.fuzz.make import programs
from tests.language.fuzz.text import script
from tests.language.fuzz.tree import Program
from tests.language.fuzz.values import TooLong
from tests.language.userspace import HostedRuntime, Script, parse_script

COUNT = int(os.environ.get("FUZZ_PROGRAMS", "120"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))
GROUP = 8  # hypothesis varies its earlier examples when it generates many
BATCH = 5  # groups compiled at once
PART = 50  # groups of one test
TRIES = 150  # of programs while one is shrunk
# of an error, whose text may have lines, and the calls that led there
_PLACE = re.compile(r" at p\.stp:\d+:\d+(?: \((called from [^\n]*)\))?$", re.MULTILINE)
_CALLER = re.compile(r"called from identifier '(\w+)' at p\.stp:\d+:\d+")


@pytest.fixture(scope="module")
def hosted() -> Iterator[HostedRuntime]:
    with HostedRuntime.open() as found:
        yield found


def group(number: int) -> list[Program]:
    """The programs of one seed."""
    made: list[Program] = []

    @seed(number)
    @settings(
        max_examples=GROUP,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(programs())
    def collect(program: Program) -> None:
        made.append(program)

    collect()
    return made


def faults(found: list[Program], hosted: HostedRuntime) -> list[str]:
    """The fault of each program; "" for a correct one, and for one that runs too long or has a pattern with
    too large a table."""
    wanted: dict[int, str] = {}
    scripts: dict[int, Script] = {}
    for i, program in enumerate(found):
        try:
            wanted[i] = evaluate(program)
        except TooLong:
            continue
        limits = {"MAXSTRINGLEN": str(program.room), "MAXACTION": "100000"}
        text = script(program, brackets=False)
        scripts[i] = Script(
            "p",
            text,
            rounds=program.rounds,
            lanes=program.lanes,
            defines=limits,
            guru=any(f.code for f in program.functions),
        )
    told = [""] * len(found)
    for i, outcome in zip(scripts, hosted.run(list(scripts.values())), strict=True):
        if "error[regex-too-large]" in outcome.diagnostics:
            continue
        got = outcome.fault or outcome.diagnostics or _PLACE.sub(_callers, outcome.transcript)
        if got != wanted[i]:
            lines = difflib.unified_diff(
                wanted[i].splitlines(), got.splitlines(), "wanted", "got", n=1
            )
            told[i] = f"{scripts[i].text!s}\n" + "\n".join(line.rstrip("\n") for line in lines)
    return told


def _callers(found: re.Match[str]) -> str:
    """As the evaluator tells them."""
    names = (name for name, _ in itertools.groupby(_CALLER.findall(found[1] or "")))
    return "".join(f" <- {name}" for name in names)


def shrink(number: int, hosted: HostedRuntime) -> None:
    """Makes a group again and fails with its smallest wrong program."""
    known: dict[Program, str] = {}

    @seed(number)
    @settings(
        max_examples=GROUP,
        phases=[Phase.generate, Phase.shrink],
        database=None,
        deadline=None,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(programs())
    def check(program: Program) -> None:
        if program not in known:
            known[program] = faults([program], hosted)[0] if len(known) < TRIES else ""
        if known[program]:
            raise AssertionError(f"seed {number}, MAXSTRINGLEN {program.room}\n{known[program]}")

    smallest = ""
    try:
        check()
    except AssertionError as error:
        smallest = str(error)
    if smallest:  # not above: the script, and not the tree as hypothesis shows it
        pytest.fail(smallest, pytrace=False)


def parts(count: int) -> list[range]:
    """The seeds of so many programs, in parts that processes can share and whose ends show progress."""
    first = SEED * 1_000_000
    groups = range(first, first + (count + GROUP - 1) // GROUP)
    return [groups[start : start + PART] for start in range(0, len(groups), PART)]


@pytest.mark.parametrize("groups", parts(COUNT), ids=str)
def test_programs_do_what_the_language_says(hosted: HostedRuntime, groups: range) -> None:
    for start in range(0, len(groups), BATCH):
        numbers = list(groups[start : start + BATCH])
        made = [(number, program) for number in numbers for program in group(number)]
        told = faults([program for _, program in made], hosted)
        for (number, _), fault in zip(made, told, strict=True):
            if fault:
                shrink(number, hosted)
                pytest.fail(f"seed {number}, as it was made first\n{fault}")


@settings(max_examples=40, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(programs())
def test_brackets_that_precedence_makes_needless_change_nothing(program: Program) -> None:
    texts = [script(program, brackets=brackets) for brackets in (False, True)]
    few, many = (print_script(parse_script(Script("p", text, guru=True))) for text in texts)
    assert few == many
