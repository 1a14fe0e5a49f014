# SPDX-License-Identifier: GPL-2.0-or-later
"""Completion for fish: one `complete` line for each command, option and operand.

complete -c stapwatch -n '__fish_seen_subcommand_from check' -s m -x -d 'name of the module'
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from completion.values import Kind, kind_of, takes_value
from manual import commands

_VALUES = {
    Kind.NOTHING: "-x",
    Kind.FILE: "-r -F",
    Kind.FOLDER: "-x -a '(__fish_complete_directories)'",
    Kind.POINT: "-x -a '(__stapwatch_ask _stapwatch_points)'",
    Kind.SCRIPT: "-x -a '(__stapwatch_ask _stapwatch_script_points)'",
}
# The functions for probe points are sh's, as in other shells. An open quote may stand in front of the word.
_ASK = """function __stapwatch_ask
    set -l typed (commandline -ct | string replace -r '^[\\'"]' '')
    sh -c {points} sh $argv[1] $typed
end
"""


def text(points: str) -> str:
    """`points`: the functions of points.sh."""
    asked = quoted(f'{points}"$@"\n')
    lines = [*_commands(), *(line for name in commands.names() for line in _command(name))]
    return "\n".join([_ASK.format(points=asked), *lines, ""])


def quoted(text: str) -> str:
    """As one word of fish."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _commands() -> Iterator[str]:
    yield "complete -c stapwatch -f"
    yield "complete -c stapwatch -n __fish_use_subcommand -s V -l version -d 'the release'"
    for name, about in commands.helps().items():
        words = f"-a {name} -d {quoted(about)}"
        yield f"complete -c stapwatch -n __fish_use_subcommand {words}"


def _command(name: str) -> Iterator[str]:
    parser = commands.parser_of(name)
    where = f"complete -c stapwatch -n '__fish_seen_subcommand_from {name}'"
    for action in commands.shown_actions(parser):
        if action.option_strings:
            about = quoted(commands.expanded(parser, action))
            yield f"{where} {_names(action)} {_value(name, action)}-d {about}"
        elif kind_of(name, action) is Kind.FILE:
            yield f"{where} -F"


def _names(action: argparse.Action) -> str:
    return " ".join(
        f"-l {option[2:]}" if option.startswith("--") else f"-s {option[1:]}"
        for option in action.option_strings
    )


def _value(name: str, action: argparse.Action) -> str:
    if not takes_value(action):
        return ""
    if action.choices is not None:
        return f"-x -a {quoted(' '.join(map(str, action.choices)))} "
    return f"{_VALUES[kind_of(name, action)]} "
