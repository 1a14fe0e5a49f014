# SPDX-License-Identifier: GPL-2.0-or-later
"""A sample of every item's language cases in a real kernel: the same output as in user space."""

from __future__ import annotations

from typing import Any

import pytest

from tests.handlers.conftest import Case
from tests.language import case as language

CHOSEN = [case for case in language.cases() if case.in_lab]


def handler_case(case: language.Case) -> Case:
    script = case.script()
    return Case(
        case.name,
        case.text.decode(),
        limit=script.most_errors,
        strict=script.strict,
        defines=dict(script.defines),
        args=script.args,
        globals=dict(script.globals),
        guru=script.guru,
        optimise=script.optimise,
        file=f"{script.name}.stp",
    )


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return [handler_case(case) for case in CHOSEN]


@pytest.mark.parametrize("case", CHOSEN, ids=lambda case: case.name)
def test_case(case: language.Case, results: dict[str, Any]) -> None:
    result = results[case.name]
    assert "fault" not in result, result["fault"]
    assert result["transcript"] == case.expected.read_text()
    assert result["lanes"][1] == 0, "events were lost"
