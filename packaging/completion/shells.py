# SPDX-License-Identifier: GPL-2.0-or-later
"""The completion of each shell.

files() -> {"bash/stapwatch": "...", "zsh/_stapwatch": "...", "fish/stapwatch.fish": "..."}
"""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import Any

import shtab

from agent.cli import main
from completion import fish
from completion.values import Kind, kind_of, starts, takes_value
from manual import commands

_POINTS = Path(__file__).with_name("points.sh")
# What shtab calls for a value of a kind.
_FUNCTIONS: dict[Kind, Any] = {
    Kind.FILE: shtab.FILE,
    Kind.FOLDER: shtab.DIRECTORY,
    Kind.POINT: {"bash": "_stapwatch_bash_point", "zsh": "_stapwatch_zsh_point"},
    Kind.SCRIPT: {"bash": "_stapwatch_bash_script", "zsh": "_stapwatch_zsh_script"},
}
# A word that is quoted has its open quote in front.
_BASH = """_stapwatch_bash_point() { _stapwatch_points "${1#[\\'\\"]}"; }
_stapwatch_bash_script() { _stapwatch_script_points "${1#[\\'\\"]}"; }
"""
_ZSH = """_stapwatch_zsh_add() { local found=(${(f)"$($1 "${(Q)PREFIX}")"}); compadd -S '' -a found }
_stapwatch_zsh_point() { _stapwatch_zsh_add _stapwatch_points }
_stapwatch_zsh_script() { _stapwatch_zsh_add _stapwatch_script_points }
"""


def files() -> dict[str, str]:
    """By the name of the file below the folder that the shell's package looks in."""
    shared = points()
    return {
        "bash/stapwatch": shtab.complete(_parser(), "bash", preamble=f"{shared}\n{_BASH}"),
        "zsh/_stapwatch": shtab.complete(_parser(), "zsh", preamble=f"{shared}\n{_ZSH}"),
        "fish/stapwatch.fish": fish.text(shared),
    }


def points() -> str:
    """The functions for probe points, in sh's language, which bash and zsh share."""
    return _POINTS.read_text().replace("@STARTS@", shlex.join(starts()))


def _parser() -> argparse.ArgumentParser:
    """The parser of all commands, as shtab wants it."""
    top = main.parser()
    for name, about in commands.helps().items():
        command = commands.subparsers_of(top).choices[name]
        command.description = about  # it is shown behind the command's name
        for action in command._actions:
            _prepare(name, action)
    return top


def _prepare(name: str, action: argparse.Action) -> None:
    if action.help is argparse.SUPPRESS:
        return
    if action.option_strings and not takes_value(action):
        action.nargs, action.choices = 0, None
    function = _FUNCTIONS.get(kind_of(name, action))
    if function is not None:
        _any(action).complete = function


def _any(action: argparse.Action) -> Any:
    """shtab's own attribute has no place in argparse's types."""
    return action
