# SPDX-License-Identifier: GPL-2.0-or-later
"""Scripts that were not written for this compiler: every example of Debian's systemtap-doc parses."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from compiler.driver import tapset_index
from compiler.frontend.parser import CompileError, Conditions, Macro, parse

pytestmark = pytest.mark.host

EXAMPLES = Path("/usr/share/systemtap/examples")
CONDITIONS = Conditions("6.1.0-13-amd64", "x86_64", guru_mode=True, config={"CONFIG_SMP": "y"})
# The arguments that the examples take: none, numbers, probe points, functions of a module, a mix of these.
ARGUMENTS: tuple[tuple[str, ...], ...] = (
    (),
    ("1", "2", "3", "4", "5", "6", "7", "8"),
    ("begin",) * 8,
    ("begin", "end", "3"),
    ("pid()", "tid()", "@avg", "begin"),
)
# A page to fill in, not a script: its body is literally `{...}`.
TEMPLATES = {"security-bandaid-template.stp"}


@cache
def macros() -> dict[str, Macro]:
    return tapset_index.macros(tapset_index.read(), CONDITIONS)


def mistakes(text: bytes, name: str, arguments: tuple[str, ...]) -> str:
    try:
        parse(text, name, conditions=CONDITIONS, args=arguments, library_macros=macros())
    except CompileError as error:
        return str(error)
    return ""


def test_every_example_parses() -> None:
    examples = sorted(EXAMPLES.rglob("*.stp"))
    assert len(examples) > 150, "Debian's package systemtap-doc is not installed"
    refused = {}
    for example in examples:
        text = example.read_bytes()
        tries = [mistakes(text, example.name, arguments) for arguments in ARGUMENTS]
        if all(tries):
            refused[example.name] = tries[0]
    assert set(refused) == TEMPLATES, "\n\n".join(refused.values())
