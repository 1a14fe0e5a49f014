# SPDX-License-Identifier: GPL-2.0-or-later
"""A corpus of two thousand small scripts of the whole language: we accept those that stap 5.6 accepts.

corpus/TOPIC.txt has one script a line. `+` begins those that stap accepts, `-` those that it rejects, `>` those that
5.6 accepts and 4.8 does not, `<` the opposite:

    + println(1)                                  the body of a begin probe, if there is no probe
    - -g function f() %{ %} probe begin { g() }   -g: guru mode, -Gn=5: a global's value
    + ARGS(5 "a b") println($1, @2)               arguments of the script; a newline is written as U+23CE

    # differs: REASON
    + break                                       up to the next empty line ours is the opposite, on purpose

`python -m tests.language.test_corpus --update` asks both for all of them again.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from compiler.driver.compile import allow_depth
from compiler.ir.diagnostics import CompileError, render_all
from tests.language.stap import NO_NEWEST, NO_STAP, Stap
from tests.language.test_against_stap import differences
from tests.language.userspace import Script, analyse

FOLDER = Path(__file__).parent / "corpus"
TOPICS = sorted(path.stem for path in FOLDER.glob("*.txt"))
EVERY = 40  # one of so many is judged by stap again, and its types compared
_ARGS = re.compile(r"ARGS\((.*?)\) ")
_GLOBAL = re.compile(r"-G(\w+)=(\S+) ")
_ITEM = re.compile(r"\b(probe|function|global)\b")


@dataclass(frozen=True, slots=True)
class Line:
    number: int
    accepted: bool  # by stap 5.6
    by_older: bool  # by stap 4.8
    differs: str  # the reason for the opposite verdict; "" if ours is the same
    text: str

    @property
    def script(self) -> Script:
        text, guru = self.text, False
        args: tuple[str, ...] = ()
        globals_: dict[str, int | str] = {}
        if text.startswith("-g "):
            guru, text = True, text[3:]
        if (found := _ARGS.match(text)) is not None:
            args, text = tuple(shlex.split(found[1])), text[found.end() :]
        while (found := _GLOBAL.match(text)) is not None:
            number = re.fullmatch(r"-?\d+", found[2])
            globals_[found[1]] = int(found[2]) if number else found[2]
            text = text[found.end() :]
        text = text.replace("\u23ce", "\n")
        if not _ITEM.search(text):
            text = f"probe begin {{ {text} }}"
        return Script("x", text, args=args, guru=guru, globals=globals_)


def lines(topic: str) -> Iterator[Line]:
    differs = ""
    text = (FOLDER / f"{topic}.txt").read_text()
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("# differs: "):
            differs = line.removeprefix("# differs: ")
        elif not line:
            differs = ""
        else:
            yield Line(number, line[0] in "+>", line[0] in "+<", differs, line[2:])


def complaint(script: Script) -> str:
    """Our diagnostics for a script; "" if we accept it."""
    try:
        analyse(replace(script, optimise=False))
    except CompileError as error:
        return render_all(error.diagnostics)
    return ""


@pytest.mark.parametrize("topic", TOPICS)
def test_topic(topic: str) -> None:
    allow_depth()
    wrong = []
    for line in lines(topic):
        said = complaint(line.script)
        if (said == "") is not (line.accepted is not bool(line.differs)):
            stap = "takes" if line.accepted else "refuses"
            wrong.append(f"{topic}.txt:{line.number}: stap {stap} {line.text}\n{said}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.host
@pytest.mark.parametrize("topic", TOPICS)
@pytest.mark.parametrize("newest", [False, True])
def test_stap_says_so(newest: bool, topic: str) -> None:
    """stap's verdicts and types of a sample match the corpus and ours."""
    stap = Stap.newest() if newest else Stap.find()
    if stap is None:
        pytest.skip(NO_NEWEST if newest else NO_STAP)
    asked = [line for line in list(lines(topic))[::EVERY] if not line.differs]
    verdicts = stap.judge_all([(line.script, 2) for line in asked])
    for line, verdict in zip(asked, verdicts, strict=True):
        assert verdict.accepted is (line.accepted if newest else line.by_older), line.text
        if not newest and line.accepted is line.by_older:  # 5.6 writes types in another form
            found = differences(line.script, verdict)
            assert not found, "\n".join([line.text, *found])


_MARKS = {(True, True): "+", (False, False): "-", (False, True): ">", (True, False): "<"}


def main() -> None:
    older, newest = Stap.find(), Stap.newest()
    if older is None or newest is None or sys.argv[1:] != ["--update"]:
        sys.exit(NO_STAP if older is None else NO_NEWEST if newest is None else __doc__)
    for topic in TOPICS:
        path = FOLDER / f"{topic}.txt"
        rows = path.read_text().splitlines()
        known = list(lines(topic))
        asked = [(line.script, 2) for line in known]
        found = zip(known, older.judge_all(asked), newest.judge_all(asked), strict=True)
        for line, old, new in found:
            rows[line.number - 1] = f"{_MARKS[old.accepted, new.accepted]} {line.text}"
        path.write_text("\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
