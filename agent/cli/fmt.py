# SPDX-License-Identifier: GPL-2.0-or-later
"""`stapwatch fmt FILE...`: lay scripts out in one style.

stapwatch fmt --check probes.d/*.stp  ->  probes.d/vfs.stp, and exit status 1
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from agent.cli.command import Parser, Subparsers, add_command, file_error
from runtime.support.record import record

USAGE_STATUS = 2
_STDIN = "-"
_ABOUT = """\
Format scripts: indentation by tabs, one statement a line, `{` behind what it belongs to,
blanks around operators. Only blanks and ends of lines change, so a script means what it
meant, and a running one is not replaced when its file is formatted. Comments stay.
Conditionals, definitions of macros and embedded C are kept as they are.

The files are changed in place. - reads from the standard input and writes to the standard
output; so does fmt without files.

exit status:
  0  the files are formatted now or, with --check, were before
  1  with --check: some are not, and are named; or a file cannot be read, written or formatted
"""
_EXAMPLES = (
    ("before a commit", "stapwatch fmt probes.d/*.stp"),
    ("in a check of commits", "stapwatch fmt --check --diff probes.d/*.stp"),
    ("in an editor", "stapwatch fmt - <vfs.stp"),
)


@record
class FmtOptions:
    check: bool
    diff: bool
    files: tuple[str, ...]


def add_parser(subparsers: Subparsers) -> Parser:
    command = add_command(subparsers, "fmt", "format scripts", _ABOUT, _EXAMPLES)
    command.add_argument(
        "--check", action="store_true", help="change nothing, and name the files that would change"
    )
    command.add_argument(
        "--diff", action="store_true", help="change nothing, and show what would change"
    )
    command.add_argument(
        "files", nargs="*", metavar="FILE", help="a script; - is the standard input"
    )
    return command


def parse(given: argparse.Namespace) -> FmtOptions:
    return FmtOptions(given.check, given.diff, tuple(given.files) or (_STDIN,))


def run(options: FmtOptions) -> int:
    """Format each file. 1: one cannot be formatted, or is not formatted yet and --check asks for it."""
    return max(_format(file, options) for file in options.files)


def _format(file: str, options: FmtOptions) -> int:
    from compiler.formatting.format import FormatError, format_script
    from compiler.ir.diagnostics import CompileError

    name = "<stdin>" if file == _STDIN else file
    try:
        before = sys.stdin.buffer.read() if file == _STDIN else Path(file).read_bytes()
        after = format_script(before, name)
        if options.diff:
            _print(_difference(before, after, name))
        elif not options.check:
            _write(file, before, after)
    except (CompileError, FormatError) as error:
        print(error if isinstance(error, CompileError) else f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(file_error(error, name), file=sys.stderr)
        return 1
    if before == after or not options.check:
        return 0
    if not options.diff:
        print(name)
    return 1


def _difference(before: bytes, after: bytes, name: str) -> bytes:
    import difflib

    found = difflib.diff_bytes(
        difflib.unified_diff,
        before.splitlines(keepends=True),
        after.splitlines(keepends=True),
        name.encode(errors="surrogateescape"),
        name.encode(errors="surrogateescape") + b" (formatted)",
    )
    return b"".join(line if line[-1:] == b"\n" else line + b"\n" for line in found)


def _write(file: str, before: bytes, after: bytes) -> None:
    if file == _STDIN:
        _print(after)
    elif before != after:
        from runtime.support import whole_file

        whole_file.rewrite(Path(file).resolve(), after)


def _print(text: bytes) -> None:
    sys.stdout.flush()
    sys.stdout.buffer.write(text)
    sys.stdout.buffer.flush()
