# SPDX-License-Identifier: GPL-2.0-or-later
"""Each subcommand's --help teaches: it says what the subcommand does, and its examples can be typed."""

from __future__ import annotations

import re
import shlex

import pytest

from agent.cli import main

_LATER_WORDS = {"|", "&&", ";"}


def shown(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as end:
        main.main([command, "--help"])
    assert end.value.code == 0
    return capsys.readouterr().out


def examples(text: str) -> list[tuple[str, str]]:
    """What each example is for, and its command line."""
    _, _, lines = text.partition("\nexamples:\n")
    return re.findall(r"^  # (.+)\n  (.+)$", lines, re.MULTILINE)


def commands(line: str) -> list[list[str]]:
    """The command lines of stapwatch in one of the shell, without what is redirected."""
    found: list[list[str]] = [[]]
    for word in shlex.split(line):
        if word in _LATER_WORDS:
            found.append([])
        elif not word.startswith(">"):
            found[-1].append(word)
    return [words[1:] for words in found if words and words[0] == "stapwatch"]


@pytest.mark.parametrize("command", main.COMMANDS)
def test_help_teaches(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(command, capsys)
    about = text.split("\n\n")[1]
    assert len(about) > 80 and about[0].isupper(), "it says what the subcommand does"
    assert "exit status:\n" in text
    assert max(map(len, text.splitlines())) <= 100
    found = examples(text)
    lines = [words for _, line in found for words in commands(line)]
    assert any(words[0] == command for words in lines), "an example of the subcommand itself"
    for words in lines:
        module, _ = main.parse(words)
        assert module.__name__ == f"agent.cli.{words[0]}"  # type: ignore[attr-defined]


def test_wrong_command_lines_of_the_new_ones(capsys: pytest.CaptureFixture[str]) -> None:
    for words, text in (
        (["status", "--seconds", "61"], "--seconds is a number from 0 to 60"),
        (["status", "--seconds", "nan"], "--seconds is a number from 0 to 60"),
        (["explain", "-p2", "x.stp"], "-p: an explanation needs all passes"),
        (["disarm"], "the following arguments are required: SCRIPT"),
    ):
        with pytest.raises(SystemExit) as end:
            main.main(words)
        assert end.value.code == 2
        assert text in capsys.readouterr().err
