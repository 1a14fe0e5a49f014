# SPDX-License-Identifier: GPL-2.0-or-later
"""The options of `stapwatch run`: stap's, with its names and meanings.

stap's options that have no sense here are known too: each says why, and what to use instead.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Sequence
from typing import Any

from agent.session.output_file import Rotation
from runtime.support.lazy_regex import pattern

_MODULE = pattern(r"[a-z0-9_]{1,55}")
_DEFINE = pattern(r"[A-Za-z_][A-Za-z0-9_]*(=-?[A-Za-z0-9_]+)?")
_GLOBAL = pattern(r"[A-Za-z_][A-Za-z0-9_$]*=.*", re.DOTALL)
_MOST_MEGABYTES = 4095

_SERVER = "scripts are compiled here; 'stapwatch build' makes modules for other kernels"
_SYMBOLS = "symbols and types come from the running kernel itself; leave it out"
_KERNEL_ONLY = "handlers run in the kernel only"
_HERE = "run stapwatch on the other machine, or its agent there"
# option -> how many words follow it ("?": with '=' only), and what to do instead
_UNSUPPORTED: dict[tuple[str, ...], tuple[int | str, str]] = {
    ("-P", "--prologue-searching"): ("?", "arguments are read at a function's first instruction"),
    ("-b",): (0, "output is merged by time; there are no files for each CPU"),
    ("-i", "--interactive"): (0, "write a file and run it, or use -e"),
    ("-t",): (0, "the hits of each probe are shown by --monitor and by 'stapwatch status'"),
    ("-B",): (1, "modules are built with the kernel's own flags"),
    ("-a",): (1, "compile on a machine of that architecture"),
    ("-R",): (1, "the runtime is part of stapwatch"),
    ("-d",): (1, _SYMBOLS),
    ("--ldd", "--all-modules"): (0, _SYMBOLS),
    ("--download-debuginfo",): ("?", "no debuginfo is needed"),
    ("-q",): (0, "types come from BTF; no debuginfo is read"),
    ("--skip-badvars",): (0, "use @defined($name) or @choose_defined($name, 0)"),
    ("--use-server", "--use-server-on-error", "--list-servers", "--trust-servers"): ("?", _SERVER),
    ("--remote",): (1, _HERE),
    ("--remote-prefix",): (0, _HERE),
    ("--dyninst", "--bpf"): (0, _KERNEL_ONLY),
    ("--unprivileged",): (0, "loading a module needs root"),
    ("--sysenv",): (1, "set the variable itself"),
    ("--modinfo",): (1, "the module describes itself already"),
    ("--sign-module",): ("?", "the key is named in the configuration"),
    ("--save-uprobes",): (0, "the kernel has uprobes of its own"),
    ("--target-namespaces",): (1, "pid() and tid() are those of the first namespace"),
    ("--example",): (0, "give the path of the script"),
    ("--check-version",): (0, "--compatible VERSION sets what conditionals see"),
    ("--rlimit-as", "--rlimit-cpu", "--rlimit-nproc", "--rlimit-stack", "--rlimit-fsize"): (
        1,
        "the compiler's limits are in the configuration: compile.memory and compile.timeout",
    ),
}


class _Unsupported(argparse.Action):
    """Ends with a message that names the option and what to do instead."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        parser.error(f"{option_string} is not supported: {self.const}")


def add(run: argparse.ArgumentParser) -> None:
    """Everything that `check` does not share."""
    what = run.add_argument_group("what to run")
    what.add_argument("-e", metavar="SCRIPT", dest="text", help="the script's text itself")
    what.add_argument(
        "-E",
        metavar="SCRIPT",
        action="append",
        default=[],
        dest="extra",
        help="a further script; may be repeated",
    )
    what.add_argument("-c", metavar="CMD", dest="shell", help="run CMD, and end when it ends")
    what.add_argument("-x", metavar="PID", type=int, default=0, dest="target", help="target()")
    what.add_argument(
        "-T",
        metavar="SECONDS",
        type=_seconds,
        dest="timeout",
        help="end after this time",
    )
    what.add_argument(
        "-F",
        action="store_true",
        dest="detach",
        help="leave the script running: with -o in the background, else without a reader",
    )
    what.add_argument(
        "--in-background", action="store_true", dest="background", help=argparse.SUPPRESS
    )
    what.add_argument(
        "-A", metavar="MODULE", dest="attach", help="read a module that -F has left running"
    )
    output = run.add_argument_group("what to say")
    output.add_argument(
        "-v", action="count", default=0, dest="verbose", help="say more; may be repeated"
    )
    output.add_argument(
        "--vp", metavar="DIGITS", type=_verbose, default=0, help="-v for some passes"
    )
    output.add_argument(
        "-o",
        metavar="FILE",
        dest="output",
        help="write output to FILE; %%Y and the like as in date",
    )
    output.add_argument(
        "-S",
        metavar="MB[,N]",
        type=_rotation,
        dest="rotation",
        help="with -o: go on in FILE.1, FILE.2, ... when FILE.0 is full; keep the last N",
    )
    output.add_argument("-k", action="store_true", dest="keep", help="keep the temporary folder")
    output.add_argument("-w", action="store_true", dest="quiet", help="no warnings")
    output.add_argument("-W", action="store_true", dest="strict", help="warnings are errors")
    output.add_argument(
        "-s",
        metavar="MB",
        type=_megabytes,
        dest="buffer",
        help="size of each CPU's output buffer (default 0.25)",
    )
    output.add_argument(
        "--monitor",
        metavar="SECONDS",
        nargs="?",
        const=1.0,
        type=_seconds,
        help="show hits and losses on standard error, every second or so",
    )
    output.add_argument(
        "--no-global-var-display",
        action="store_false",
        dest="display",
        help="do not print globals that no handler reads at the end",
    )
    output.add_argument(
        "--color", "--colour", nargs="?", choices=("never", "always", "auto"), help="of messages"
    )
    lists = run.add_argument_group("listing instead of running")
    lists.add_argument("-l", metavar="PROBE", dest="points", help="list matching probe points")
    lists.add_argument(
        "-L", metavar="PROBE", dest="variables", help="list them with their variables"
    )
    for option, text in (
        ("functions", "the functions of the library"),
        ("probe-types", "the forms of probe points"),
        ("probe-aliases", "the aliases of the library"),
    ):
        lists.add_argument(f"--dump-{option}", action="store_true", help=f"list {text}")
    compiling = run.add_argument_group("compiling")
    compiling.add_argument("-u", action="store_false", dest="optimise", help="do not optimise")
    compiling.add_argument(
        "-r", metavar="RELEASE", dest="release", help="compile for this kernel, without running"
    )
    compiling.add_argument(
        "--sysroot", metavar="FOLDER", default="/", help="where -r looks for the kernel"
    )
    compiling.add_argument(
        "--compatible", metavar="VERSION", help="systemtap_v, as conditionals see it"
    )
    compiling.add_argument(
        "--suppress-time-limits",
        action="store_true",
        dest="unlimited",
        help="no MAXACTION and no MAXTRYLOCK (needs -g)",
    )
    compiling.add_argument(
        "--suppress-handler-errors",
        action="store_true",
        dest="tolerant",
        help="errors of handlers are only counted",
    )
    compiling.add_argument(
        "--disable-cache", "--poison-cache", action="store_true", help="compile anew"
    )
    compiling.add_argument("--runtime", choices=("kernel",), help="only the kernel's")
    compiling.add_argument("--privilege", choices=("stapdev",), help="only stapdev")
    for options, (words, instead) in _UNSUPPORTED.items():
        run.add_argument(
            *options, nargs=words or 0, action=_Unsupported, const=instead, help=argparse.SUPPRESS
        )


def complete(arguments: Sequence[str]) -> list[str]:
    """`--monitor x.stp` -> `--monitor=1 x.stp`: options with optional values take them with '=' only."""
    whole = list(arguments)
    for place, word in enumerate(whole):
        if word == "--monitor":
            whole[place] = "--monitor=1"
        elif word in ("--color", "--colour"):
            whole[place] += "=always"
        elif word == "--":
            break
    return whole


def mistake(options: argparse.Namespace) -> str | None:
    """What is wrong with options that are each right for themselves."""
    if options.shell and options.target:
        return "-c and -x exclude each other: both say what target() is"
    if options.unlimited and not options.guru:
        return "--suppress-time-limits needs guru mode: -g"
    if options.detach and options.shell and options.output is None:
        return "-F without -o reads nothing, so it cannot wait for -c"
    if options.release and options.last_pass > 4 and options.release != os.uname().release:
        options.last_pass = 4
    if options.rotation and options.output is None:
        return "-S rotates the file of -o: give one"
    if options.points and options.variables:
        return "-l and -L exclude each other"
    return shared_mistake(options)


def shared_mistake(options: argparse.Namespace) -> str | None:
    """The same for the options of `check`."""
    if options.module is not None:
        options.module = options.module.removesuffix(".ko")
        if not _MODULE.fullmatch(options.module):
            return (
                f"-m {options.module}: a module's name is at most 55 lower-case letters,"
                " digits and '_'"
            )
    for define in options.defines:
        if not _DEFINE.fullmatch(define):
            return f"-D {define}: write NAME or NAME=VALUE"
    for value in options.globals:
        if not _GLOBAL.fullmatch(value):
            return f"-G {value}: write NAME=VALUE"
    return None


def listing(options: argparse.Namespace) -> str | None:
    """Which list is wanted instead of a run."""
    if options.points is not None:
        return "points"
    if options.variables is not None:
        return "variables"
    for name, wanted in (
        ("functions", options.dump_functions),
        ("types", options.dump_probe_types),
        ("aliases", options.dump_probe_aliases),
    ):
        if wanted:
            return name
    return None


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < 1 << 31:
        raise argparse.ArgumentTypeError("a time is a positive number of seconds")
    return seconds


def _megabytes(text: str) -> int:
    size = int(text)
    if not 1 <= size <= _MOST_MEGABYTES:
        raise argparse.ArgumentTypeError(f"a buffer has 1 to {_MOST_MEGABYTES} megabytes")
    return size


def _rotation(text: str) -> Rotation:
    size, comma, files = text.partition(",")
    if not size.isdecimal() or not int(size) or (comma and not (files.isdecimal() and int(files))):
        raise argparse.ArgumentTypeError("megabytes, or megabytes and how many files to keep: 10,3")
    return Rotation(int(size), int(files) if comma else None)


def _verbose(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text):
        raise argparse.ArgumentTypeError("one digit for each of the five passes")
    return max(map(int, text))
