# SPDX-License-Identifier: GPL-2.0-or-later
"""`stapwatch compiler`: what stapwatch-compile@.service runs. It compiles for the loader, in a sandbox."""

from __future__ import annotations

import argparse
import os
import socket
import stat
import sys

from agent.cli.command import Parser, Subparsers, add_command
from runtime.support.record import record

USAGE_STATUS = 2
_ABOUT = """\
Compile scripts for the loader without any privilege or network. systemd starts one for each of
its connections (stapwatch-compile.socket), and it ends with the connection.

exit status:
  0  the loader wants nothing more
  1  the loader speaks another protocol
  2  the command line is wrong, or systemd has not started it
"""
_EXAMPLES = (("what stapwatch-compile@.service runs", "stapwatch compiler"),)


@record
class CompilerOptions:
    """It has none."""


def add_parser(subparsers: Subparsers) -> Parser:
    return add_command(
        subparsers,
        "compiler",
        "compile scripts for the loader (stapwatch-compile@.service)",
        _ABOUT,
        _EXAMPLES,
    )


def parse(given: argparse.Namespace) -> CompilerOptions:
    return CompilerOptions()


def run(options: CompilerOptions) -> int:
    """0: the loader wants nothing more; 1: it speaks another protocol; 2: systemd has not started it."""
    if not stat.S_ISSOCK(os.fstat(0).st_mode):
        print("error: systemd starts it: systemctl start stapwatch-compile.socket", file=sys.stderr)
        return USAGE_STATUS
    from compiler.__main__ import serve_socket

    serve_socket(socket.socket(fileno=0))
    return 0
