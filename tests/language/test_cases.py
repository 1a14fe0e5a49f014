# SPDX-License-Identifier: GPL-2.0-or-later
"""The language's cases in user space, under sanitizers, each with exactly the output beside it.

`python -m tests.language.test_cases --update [CASE ...]` writes the expected files: read the diff.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import pytest

from tests.language.case import ITEMS, Case, cases
from tests.language.userspace import Outcome, Workshop

ALL = cases()


def shown(outcome: Outcome) -> str:
    return outcome.fault or outcome.diagnostics or outcome.transcript


def run(chosen: Sequence[Case]) -> dict[str, str]:
    with Workshop.open() as workshop:
        outcomes = workshop.run([case.script() for case in chosen])
    return {case.name: shown(o) for case, o in zip(chosen, outcomes, strict=True)}


@pytest.fixture(scope="module")
def results() -> dict[str, str]:
    return run(ALL)


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_case(case: Case, results: dict[str, str]) -> None:
    assert results[case.name] == case.expected.read_text(encoding="utf-8", errors="surrogateescape")


@pytest.mark.parametrize("item", ITEMS)
def test_every_item_has_cases_here_and_in_the_lab(item: str) -> None:
    of_item = [case for case in ALL if case.path.parent.name == item]
    assert len(of_item) >= 2
    assert any(case.in_lab for case in of_item)


def update(wanted: Sequence[str]) -> int:
    chosen = [case for case in ALL if not wanted or any(word in case.name for word in wanted)]
    changed = 0
    for case, text in zip(chosen, run(chosen).values(), strict=True):
        data = text.encode(errors="surrogateescape")
        if not case.expected.exists() or case.expected.read_bytes() != data:
            case.expected.write_bytes(data)
            print(case.name)
            changed += 1
    print(f"{changed} files changed")
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] != ["--update"]:
        sys.exit("usage: python -m tests.language.test_cases --update [CASE ...]")
    sys.exit(update(sys.argv[2:]))
