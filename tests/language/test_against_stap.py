# SPDX-License-Identifier: GPL-2.0-or-later
"""Our own scripts with Debian's stap: both compilers accept the same ones, with the same types.

Scripts whose probes need a kernel are compared as far as parsing goes. Where the two are meant to differ, the
table gives the reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from compiler.ir import program as p
from compiler.ir import syntax
from compiler.ir.diagnostics import CompileError, render_all
from tests.case_file import read_cases
from tests.language import case as language
from tests.language.fuzz.text import script as text_of
from tests.language.fuzz.tree import Program
from tests.language.stap import NO_STAP, Stap, Types, Verdict
from tests.language.test_programs import COUNT, GROUP, SEED, group
from tests.language.userspace import Script, analyse, parse_script

pytestmark = [pytest.mark.host, pytest.mark.long]  # a start of stap takes a quarter of a second

GOLDEN = Path(__file__).parents[1] / "golden"
# Probe points that stap resolves with a kernel's debuginfo or headers only.
_KERNEL = re.compile(
    rb"\b(kernel|kprobe|module|process|syscall|nd_syscall|perf|netfilter)\s*[.{]|task_current|@cast"
)
_SIZE = re.compile(r"^(\w+)(?:%?\[\d+\])?%?:")

MADE = max(16, COUNT // 20)
# Script -> why stap is not asked.
LEFT_OUT = {
    "golden/syntax/too-many-probe-points": "stap works on it for minutes",
}
# Script -> why stap's verdict, or a type, is not ours.
DIFFERENT = {
    "functions/bounded": "with -u, stap 4.8 does not find a function whose caller comes first",
    "functions/private": "stap 4.8 takes the library's function before the file's private one",
    "context/enum-names": "stap 4.8 does not know @enumname",
    "macros/library": "stap finds types with debuginfo only",
    "library/quoted-to-fit": "stap finds @var with debuginfo only",
    "library/flag-names": "the functions behind our system calls' texts are ours",
    "library/wide-strings": "stap finds @var with debuginfo only",
    "library/arguments": "the table of arguments is ours",
    "library/session": "what is typed has hooks of its own here",
    "operators/arithmetic": "stap 4.8 does not know >>>",
    "probes/pn": "what uses the probe's context is a function for each probe here",
    "golden/resolve/defined": "stap 4.8 does not know @enum",
    "golden/resolve/bad-histogram": "stap takes an interval that ends before it begins",
    "golden/resolve/outside-loop": "stap finds out when it translates",
    "golden/resolve/overloads": "stap 4.8 takes the library's function before the file's private one",
    "golden/resolve/too-many-keys": "stap finds out when the C is compiled",
    "golden/resolve/too-many-parameters": "stap passes parameters in memory of its own",
    "golden/resolve/unknown-counter": "stap finds out when it translates",
    "golden/syntax/at-operators": "stap 4.8 does not know @enum",
    "golden/syntax/nesting-too-deep": "stap has no limit, and ends where its stack does",
    "golden/syntax/unterminated-comment": "to stap the rest of the file is the comment",
}


def golden() -> Iterator[tuple[str, Script]]:
    for case in read_cases(language.Case, GOLDEN):
        name = f"golden/{case.name}"
        if name not in LEFT_OUT:
            yield name, case.script()


SCRIPTS = {**{case.name: case.script() for case in language.cases()}, **dict(golden())}


@pytest.fixture(scope="module")
def verdicts() -> dict[str, Verdict]:
    stap = Stap.find()
    if stap is None:
        pytest.skip(NO_STAP)
    asked = [(script, last_pass(script)) for script in SCRIPTS.values()]
    return dict(zip(SCRIPTS, stap.judge_all(asked), strict=True))


def last_pass(script: Script) -> int:
    """The last pass that stap can run without a kernel."""
    text = script.text if isinstance(script.text, bytes) else script.text.encode()
    return 1 if _KERNEL.search(text) else 2


def our_types(script: Script) -> Types:
    """The types of the script's own definitions. Raises CompileError."""
    program = analyse(replace(script, optimise=False))
    tree = parse_script(script)
    names = {i.name for i in tree.items if isinstance(i, syntax.Global | syntax.Function)}
    globals_ = {
        f"{g.name}:{_type(g.type)}" + (f" [{', '.join(map(_type, g.keys))}]" if g.keys else "")
        for g in program.globals
    }
    functions = [
        (f"{f.name}:{_type(f.result)} ({', '.join(_pairs(f.parameters))})", _locals(f.body))
        for f in program.functions
        if f.name in names and f.code is None
    ]
    probes = [(probe.point, _locals(probe.body)) for probe in program.probes]
    return Types(frozenset(globals_), tuple(sorted(functions)), tuple(sorted(probes)))


def _type(found: object) -> str:
    return {"None": "unknown", "stat": "stats"}.get(str(found), str(found))


def _pairs(found: tuple[p.Local, ...]) -> list[str]:
    return [f"{x.name}:{x.type}" for x in found]


def _locals(body: p.Body | None) -> frozenset[str]:
    """The script's locals, without the compiler's own: t.1, ...."""
    return frozenset(x for x in _pairs(body.locals if body else ()) if "." not in x)


def differences(script: Script, verdict: Verdict) -> list[str]:
    """The differences between the two compilers."""
    refused = ""
    try:
        if last_pass(script) == 1:
            parse_script(script)
        else:
            ours = our_types(script)
    except CompileError as error:
        refused = render_all(error.diagnostics)
    if (refused == "") != verdict.accepted:
        return [f"stap {'takes' if verdict.accepted else 'refuses'} it", verdict.complaint, refused]
    if refused or last_pass(script) == 1:
        return []
    theirs = verdict.types
    found = []
    their_globals = {_SIZE.sub(r"\1:", line) for line in theirs.globals}
    own = {g for g in ours.globals if not g.startswith("__")}  # the others are our library's
    found += [f"global {g} is not stap's" for g in sorted(own - their_globals)]
    found += _unmatched("function", ours.functions, theirs.functions)
    found += _unmatched("probe", ours.probes, theirs.probes)
    return found + ([verdict.output] if found else [])


def _unmatched(
    what: str,
    ours: tuple[tuple[str, frozenset[str]], ...],
    theirs: tuple[tuple[str, frozenset[str]], ...],
) -> list[str]:
    """Our rows that stap does not have; it has more, such as end probes that print globals."""
    left = list(theirs)
    found = []
    for row in ours:
        if row in left:
            left.remove(row)
        else:
            found.append(f"{what} {row[0]} with locals {sorted(row[1])} is not stap's")
    return found


@pytest.mark.parametrize("name", SCRIPTS)
def test_script(name: str, verdicts: dict[str, Verdict]) -> None:
    found = differences(SCRIPTS[name], verdicts[name])
    if name in DIFFERENT:
        assert found, f"no difference any more: {DIFFERENT[name]}"
    else:
        assert not found, "\n".join(found)


def test_every_explanation_is_of_a_script() -> None:
    assert set(DIFFERENT) <= set(SCRIPTS)


_CRASH = "Assertion `"  # of stap itself, which cannot compile some of our regular expressions


def made_up() -> list[Program]:
    """Programs of the fuzzer in the language of stap 4.8, which has no >>>."""
    groups = range(SEED * 1_000_000, SEED * 1_000_000 + MADE // GROUP)
    made = [program for number in groups for program in group(number)]
    return [program for program in made if ">>>" not in text_of(program, brackets=False)]


def test_made_up_programs() -> None:
    """stap accepts the fuzzer's programs and infers our types."""
    stap = Stap.find()
    if stap is None:
        pytest.skip(NO_STAP)
    scripts = [Script("p", text_of(program, brackets=False)) for program in made_up()]
    verdicts = stap.judge_all([(script, 2) for script in scripts])
    judged = [(s, v) for s, v in zip(scripts, verdicts, strict=True) if _CRASH not in v.complaint]
    assert len(judged) > len(scripts) * 3 // 4
    for script, verdict in judged:
        found = differences(script, verdict)
        assert not found, "\n".join([str(script.text), *found])


def test_the_fuzzer_knows_the_precedence_of_operators() -> None:
    """With the fewest brackets and with all, stap sees the same tree."""
    stap = Stap.find()
    if stap is None:
        pytest.skip(NO_STAP)
    made = made_up()
    trees = []
    for brackets in (False, True):
        scripts = [Script("p", text_of(program, brackets=brackets), guru=True) for program in made]
        found = stap.judge_all([(script, 1) for script in scripts])
        trees.append(
            [verdict.output.partition("# file")[2].partition("\n")[2] for verdict in found]
        )
    for few, many in zip(*trees, strict=True):
        assert few
        assert few == many
