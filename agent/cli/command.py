# SPDX-License-Identifier: GPL-2.0-or-later
"""The interface of a subcommand's module; `main.COMMANDS` is the table of these modules."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, Protocol, TypeAlias

from agent.session.compile_options import UsageError

__all__ = ["Command", "Parser", "Subparsers", "UsageError", "add_command", "file_error"]


class Parser(argparse.ArgumentParser):
    """Reports an error in a command line on one line, and how to list the options."""

    usage_status = 2  # the exit status for a wrong command line
    complete: Callable[[Sequence[str]], list[str]] | None = None  # applied to the words first

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        if self.complete is not None:
            args = self.complete(args)
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        hint = f"hint: '{self.prog} --help' lists the options"
        self.exit(self.usage_status, f"error: {message}\n{hint}\n")


Subparsers: TypeAlias = "argparse._SubParsersAction[Parser]"


def add_command(
    subparsers: Subparsers,
    name: str,
    help: str,
    about: str,
    examples: Sequence[tuple[str, str]],
    **options: Any,
) -> Parser:
    """Add a subcommand's parser.

    `about`: what it does, and what its exit status says. `examples`: what each is for, and a command line
    that works. `options`: those of ArgumentParser.
    """
    lines = [line for why, command in examples for line in (f"  # {why}", f"  {command}")]
    return subparsers.add_parser(
        name,
        help=help,
        description=about,
        epilog="\n".join(["examples:", *lines]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        **options,
    )


def file_error(error: OSError, other: object = "", failed: str = "") -> str:
    """The line about a file. `other`: its name if the error has none; `failed`: what could not be done.

    file_error(error, failed="cannot read") -> "error: cannot read /etc/x: no such file or directory"
    """
    name = f"{failed} {error.filename or other}".lstrip()
    return f"error: {name}: {(error.strerror or str(error)).lower()}"


class Command(Protocol):
    """The module of a subcommand has the subcommand's name."""

    USAGE_STATUS: int  # the exit status for a wrong command line

    def add_parser(self, subparsers: Subparsers) -> Parser:
        """Add the subcommand's parser."""

    def parse(self, given: argparse.Namespace) -> Any:
        """The options as a frozen record. Raises UsageError."""

    def run(self, options: Any) -> int:
        """Run the subcommand with what `parse` returned; the result is the exit status."""
