# SPDX-License-Identifier: GPL-2.0-or-later
"""The page of a subcommand, from its parser: what it does, its options, exit status and examples.

page("check")  ->  "stapwatch-check(1)\\n\\n# NAME\\n\\nstapwatch-check - compile without loading ..."
"""

from __future__ import annotations

import argparse
import re

from agent.cli import main
from agent.cli.command import Parser, Subparsers
from manual.scd import bold, definition, escape, literal, prose, underlined

_EXIT = "exit status:\n"
_EXAMPLES = "examples:\n"
_DEFAULT_GROUPS = ("positional arguments", "options")
_STATUS_ROW = re.compile(r"^  (\d+)  (.+(?:\n {4,}\S.*)*)", re.MULTILINE)


def names() -> tuple[str, ...]:
    return main.COMMANDS


def summaries() -> str:
    """The subcommands with what each does, for stapwatch(1)."""
    return "\n".join(
        definition(f"*stapwatch-{escape(name)}*(1)", prose(_sentence(about)))
        for name, about in helps().items()
    )


def helps() -> dict[str, str]:
    """What each does, in a few words."""
    return {
        action.dest: action.help or "" for action in subparsers_of(main.parser())._choices_actions
    }


def exit_status() -> str:
    """The exit status of all subcommands, for stapwatch(1)."""
    return _statuses(main.parser().epilog or "")


def page(name: str, more: str = "") -> str:
    """`more`: further sections, which stand before the examples."""
    command = parser_of(name)
    about, _, status = (command.description or "").partition(_EXIT)
    parts = [
        f"stapwatch-{name}(1)\n\n# NAME\n\nstapwatch-{name} - {escape(helps()[name])}\n",
        f"# SYNOPSIS\n\n{_synopsis(name, command)}\n",
        f"# DESCRIPTION\n\n{_paragraphs(about)}",
        f"# OPTIONS\n\n{options(command)}",
        more,
        f"# EXIT STATUS\n\n{_statuses(status)}",
        f"# EXAMPLES\n\n{_examples(command.epilog or '')}",
        "# SEE ALSO\n\n*stapwatch*(1), *stapwatch.yaml*(5), *stapwatch-language*(7)\n",
    ]
    return "\n".join(part for part in parts if part)


def parser_of(name: str) -> Parser:
    found: Parser = subparsers_of(main.parser()).choices[name]
    return found


def options(command: argparse.ArgumentParser) -> str:
    """Options and operands in the order of --help, under its headings."""
    parts = []
    for group in command._action_groups:
        actions = _shown(group)
        if actions and group.title not in _DEFAULT_GROUPS:
            parts.append(f"## {group.title}\n")
        parts += [
            definition(term(action), prose(_sentence(expanded(command, action))))
            for action in actions
        ]
    return "\n".join(parts)


def shown_actions(command: argparse.ArgumentParser) -> list[argparse.Action]:
    """The options and operands that --help shows."""
    return [action for group in command._action_groups for action in _shown(group)]


def _shown(group: argparse._ArgumentGroup) -> list[argparse.Action]:
    return [action for action in group._group_actions if action.help is not argparse.SUPPRESS]


def term(action: argparse.Action) -> str:
    """`*-T* _SECONDS_`."""
    value = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    if not action.option_strings:
        return underlined(value)
    if action.nargs == 0:
        return ", ".join(map(bold, action.option_strings))
    if action.choices is not None and action.metavar is None:
        value = "|".join(map(str, action.choices))
    value = f"[{underlined(value)}]" if action.nargs == "?" else underlined(value)
    return ", ".join(f"{bold(option)} {value}" for option in action.option_strings)


def expanded(command: argparse.ArgumentParser, action: argparse.Action) -> str:
    """The help with its values filled in."""
    return command._get_formatter()._expand_help(action) if action.help else ""


def subparsers_of(top: Parser) -> Subparsers:
    return next(a for a in top._actions if isinstance(a, argparse._SubParsersAction))


def _synopsis(name: str, command: Parser) -> str:
    operands = [
        f"[{underlined(_word(action))}]"
        if action.nargs in ("?", "*")
        else underlined(_word(action))
        for action in shown_actions(command)
        if not action.option_strings
    ]
    return " ".join([f"*stapwatch {name}*", "[_OPTION_...]", *operands])


def _word(action: argparse.Action) -> str:
    word = action.metavar if isinstance(action.metavar, str) else action.dest
    return f"{word}..." if action.nargs == "+" else word


def _sentence(text: str) -> str:
    """A help text begins in lower case and has no full stop."""
    return f"{text[:1].upper()}{text[1:]}." if text else "See above."


def _paragraphs(text: str) -> str:
    found = (" ".join(part.split()) for part in text.strip().split("\n\n"))
    return "\n\n".join(map(prose, found)) + "\n"


def _statuses(text: str) -> str:
    rows = _STATUS_ROW.findall(text)
    return "\n".join(
        definition(bold(status), prose(_sentence(" ".join(meaning.split()))))
        for status, meaning in rows
    )


def _examples(epilog: str) -> str:
    _, _, lines = epilog.partition(_EXAMPLES)
    found = re.findall(r"^  # (.+)\n  (.+)$", lines, re.MULTILINE)
    return "\n".join(f"{prose(_colon(why))}\n\n{literal(command)}" for why, command in found)


def _colon(why: str) -> str:
    text = f"{why[:1].upper()}{why[1:]}"
    return text if text.endswith("?") else f"{text}:"
