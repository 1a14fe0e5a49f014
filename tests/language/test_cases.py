# SPDX-License-Identifier: GPL-2.0-or-later
"""The language's cases in user space, under sanitizers, each with exactly the expected output.

`python -m tests.language.test_cases --update [CASE ...]` writes the expected files: read the diff.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.case_file import main
from tests.language.case import ITEMS, Case, cases
from tests.language.userspace import HostedRuntime, Outcome

ALL = cases()


def shown(outcome: Outcome) -> str:
    return outcome.fault or outcome.diagnostics or outcome.transcript


def run(chosen: Sequence[Case]) -> dict[str, str]:
    with HostedRuntime.open() as hosted:
        outcomes = hosted.run([case.script() for case in chosen])
    return {case.name: shown(o) for case, o in zip(chosen, outcomes, strict=True)}


@pytest.fixture(scope="module")
def results() -> dict[str, str]:
    return run(ALL)


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_case(case: Case, results: dict[str, str]) -> None:
    assert results[case.name] == case.expected.read_text(encoding="utf-8", errors="surrogateescape")


@pytest.mark.parametrize("item", ITEMS)
def test_every_item_has_cases_here_and_in_the_lab(item: str) -> None:
    of_item = [case for case in ALL if case.item == item]
    assert len(of_item) >= 2
    assert any(case.in_lab for case in of_item)


def expectations(chosen: Sequence[Case]) -> list[tuple[Path, str]]:
    texts = run(chosen)
    return [(case.expected, texts[case.name]) for case in chosen]


if __name__ == "__main__":
    sys.exit(main("tests.language.test_cases", ALL, expectations))
