# SPDX-License-Identifier: GPL-2.0-or-later
"""The options of `stapwatch run`, with SystemTap's names and meanings, parsed into RunOptions.

-v -T 5 x.stp arg  ->  RunOptions(file="x.stp", arguments=("arg",), verbose=1, timeout=5.0, ...)
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Mapping

from agent.session import compile_options, needless_options, unsupported_options
from agent.session.compile_options import CompileOptions, UsageError
from agent.session.output_file import Rotation
from compiler.protocol import LAST_PASS
from compiler.version import VERSION
from runtime.abi.structs import MILLION, Budgets
from runtime.support.record import record, replace

RUN_PASS = LAST_PASS + 1  # the pass that runs the module
_MOST_MEGABYTES = 4095
_TIME_LIMITS = ("MAXACTION", "MAXACTION_INTERRUPTIBLE", "MAXTRYLOCK")
_UNLIMITED = str((1 << 31) - 1)
DEFAULT_MAX_ERRORS, DEFAULT_MAX_SKIPPED = 0, 100  # as compiler.ir.options.Limits has them
# SystemTap's overload check, in cycles. The compiler does not get these: no module depends on them.
_INTERVAL, _THRESHOLD, _OFF = "STP_OVERLOAD_INTERVAL", "STP_OVERLOAD_THRESHOLD", "STP_NO_OVERLOAD"
_OVERLOAD = {_INTERVAL: 1_000_000_000, _THRESHOLD: 500_000_000, _OFF: 0}


@record
class RunOptions:
    """One command line of `run`. Exactly one of `file` ("-": standard input) and `text` is set."""

    compile: CompileOptions
    file: str | None = None
    text: str | None = None
    arguments: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()  # texts of further scripts
    command: str | None = None  # -c: a shell command; the run ends with it
    target: int = 0  # -x: a process id
    timeout: float | None = None  # seconds
    detach: bool = False  # -F: leave the script running
    background: bool = False  # this is the daemon of -F -o
    attach: str | None = None  # -A: a module that -F has left running
    verbose: int = 0
    output: str | None = None  # a file name, with strftime()'s directives
    rotation: Rotation | None = None
    form: str = "text"
    quiet: bool = False  # no warnings
    strict: bool = False  # warnings are errors
    keep: bool = False  # keep the temporary folder
    monitor: float | None = None  # seconds between two reports
    probe_times: bool = False  # hits and times of probes at the end
    notes: tuple[str, ...] = ()  # about options that change nothing
    end_of_run_globals: bool = True
    folded: str | None = None  # the file for stacks, one a line
    flame: str | None = None  # the file for a flame graph
    listing: str | None = None  # what to list instead of running (Request.listing)
    optimise: bool = True
    skip_badvars: bool = False
    error_catalogue: bool = False  # errors of pass 2 are also written for programs to read
    unwind: tuple[str, ...] = ()  # programs and libraries whose unwind tables are wanted, too
    kernel: Mapping[str, str] | None = None  # Request.kernel
    compatible: str | None = None
    tolerant: bool = False  # errors of handlers are only counted
    use_cache: bool = True
    max_errors: int = DEFAULT_MAX_ERRORS
    max_skipped: int = DEFAULT_MAX_SKIPPED
    budgets: Budgets = Budgets()

    @property
    def daemonizes(self) -> bool:
        """-F -o: a copy of this process is to run the script in the background."""
        return self.detach and self.output is not None and not self.background


def add_arguments(run: argparse.ArgumentParser) -> None:
    """Add all options and operands of `run`."""
    run.add_argument("-V", "--version", action="version", version=f"stapwatch {VERSION}")
    _add_what_to_run(run)
    _add_output(run)
    _add_listings(run)
    _add_compiling(run)
    needless_options.add_arguments(run)
    unsupported_options.add_arguments(run)
    compile_options.add_arguments(run, RUN_PASS)
    run.add_argument(
        "rest",
        nargs=argparse.REMAINDER,
        metavar="FILE [ARG...]",
        help="script, and its arguments; options may follow",
    )


def _add_what_to_run(run: argparse.ArgumentParser) -> None:
    what = run.add_argument_group("what to run")
    what.add_argument("-e", metavar="SCRIPT", dest="text", help="the script's text itself")
    what.add_argument(
        "-i",
        "--interactive",
        action="store_true",
        help="without a script: read it from the terminal, up to Ctrl-D",
    )
    what.add_argument(
        "-E",
        metavar="SCRIPT",
        action="append",
        default=[],
        dest="extra",
        help="a further script; may be repeated",
    )
    what.add_argument(
        "-c", metavar="CMD", dest="command_text", help="run CMD, and end when it ends"
    )
    what.add_argument(
        "-x", metavar="PID", type=int, default=0, dest="target", help="value of target()"
    )
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


def _add_output(run: argparse.ArgumentParser) -> None:
    output = run.add_argument_group("output")
    _add_messages(output)
    output.add_argument(
        "-o",
        metavar="FILE",
        dest="output",
        help="write output to FILE, whose name may have directives of strftime(3)",
    )
    output.add_argument(
        "-f",
        "--format",
        dest="form",
        choices=("text", "json"),
        default="text",
        help="json: one object a line, for each print and at the end for each global",
    )
    output.add_argument(
        "-S",
        metavar="MB[,N]",
        type=_rotation,
        dest="rotation",
        help="with -o: continue in FILE.1, FILE.2, ... when FILE.0 is full; keep the last N",
    )
    output.add_argument(
        "-t",
        action="store_true",
        dest="probe_times",
        help="show the hits and the time of each probe at the end",
    )
    output.add_argument("-k", action="store_true", dest="keep", help="keep the temporary folder")
    output.add_argument(
        "-s",
        metavar="MB",
        type=_megabytes,
        dest="buffer",
        help="size of each CPU's output buffer (default 4)",
    )
    output.add_argument(
        "--no-global-var-display",
        action="store_false",
        dest="end_of_run_globals",
        help="do not print unread globals at the end",
    )
    output.add_argument(
        "--folded",
        metavar="FILE",
        help="at the end, write the stacks of arrays keyed by backtraces to FILE, one a line",
    )
    output.add_argument(
        "--flame", metavar="FILE", help="at the end, write them as a flame graph (SVG) to FILE"
    )


def _add_messages(output: argparse._ArgumentGroup) -> None:
    output.add_argument(
        "-v", action="count", default=0, dest="verbose", help="report each pass; may be repeated"
    )
    output.add_argument(
        "--vp", metavar="DIGITS", type=_verbose, default=0, help="-v for each pass by its digit"
    )
    output.add_argument("-w", action="store_true", dest="quiet", help="no warnings")
    output.add_argument("-W", action="store_true", dest="strict", help="warnings are errors")
    output.add_argument(
        "--monitor",
        metavar="SECONDS",
        nargs="?",
        const=1.0,
        type=_seconds,
        help="show hits and losses on standard error, every second or so",
    )
    output.add_argument(
        "--color",
        "--colour",
        nargs="?",
        choices=("never", "always", "auto"),
        help="colours in messages",
    )


def _add_listings(run: argparse.ArgumentParser) -> None:
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


def _add_compiling(run: argparse.ArgumentParser) -> None:
    compiling = run.add_argument_group("compiling")
    compiling.add_argument("-u", action="store_false", dest="optimise", help="do not optimise")
    compiling.add_argument(
        "--skip-badvars",
        action="store_true",
        help="context variables that a probe does not have are 0",
    )
    compiling.add_argument(
        "--semantic-keep-going",
        action="store_true",
        dest="error_catalogue",
        help="write the errors of pass 2 as a table, too",
    )
    compiling.add_argument(
        "-d",
        metavar="FILE",
        action="append",
        default=[],
        dest="unwind",
        help="a further program or library that ubacktrace() goes through; may be repeated",
    )
    compiling.add_argument(
        "-r", metavar="RELEASE", dest="release", help="compile for this kernel, without running"
    )
    compiling.add_argument(
        "--sysroot", metavar="FOLDER", default="/", help="where -r looks for the kernel"
    )
    compiling.add_argument(
        "--compatible", metavar="VERSION", help="the language as that version of SystemTap had it"
    )
    compiling.add_argument(
        "--suppress-time-limits",
        action="store_true",
        dest="unlimited",
        help="no MAXACTION, MAXTIME and MAXTRYLOCK (needs -g)",
    )
    compiling.add_argument(
        "--suppress-handler-errors",
        action="store_true",
        dest="tolerant",
        help="errors of handlers are only counted",
    )
    compiling.add_argument(
        "--disable-cache", "--poison-cache", action="store_true", help="compile again"
    )
    compiling.add_argument("--runtime", choices=("kernel",), help="kernel only")
    compiling.add_argument("--privilege", choices=("stapdev",), help="stapdev only")


def parse(given: argparse.Namespace) -> RunOptions:
    """Raises UsageError for options that exclude or need each other."""
    _check(given)
    shared = compile_options.parse(given)
    budgets = _budgets(shared.defines)
    defines = {name: text for name, text in shared.defines.items() if name not in _OVERLOAD}
    file, text, arguments = _script(given)
    return RunOptions(
        compile=replace(
            shared,
            last_pass=_last_pass(given),
            defines={**defines, **_implied_defines(given)},
        ),
        file=file,
        text=text,
        arguments=arguments,
        extra=tuple(given.extra),
        command=given.command_text,
        target=given.target,
        timeout=given.timeout,
        detach=given.detach,
        background=given.background,
        attach=given.attach,
        verbose=max(given.verbose, given.vp),
        output=given.output,
        rotation=given.rotation,
        form=given.form,
        quiet=given.quiet,
        strict=given.strict,
        keep=given.keep,
        monitor=given.monitor,
        probe_times=given.probe_times,
        notes=tuple(given.needless),
        end_of_run_globals=given.end_of_run_globals,
        folded=given.folded,
        flame=given.flame,
        listing=_listing(given),
        optimise=given.optimise,
        skip_badvars=given.skip_badvars,
        error_catalogue=given.error_catalogue,
        unwind=tuple(given.unwind),
        kernel=_kernel(given),
        compatible=given.compatible,
        tolerant=given.tolerant,
        use_cache=not given.disable_cache,
        max_errors=_limit(shared, "MAXERRORS", DEFAULT_MAX_ERRORS),
        max_skipped=_limit(shared, "MAXSKIPPED", DEFAULT_MAX_SKIPPED),
        budgets=budgets,
    )


def _check(given: argparse.Namespace) -> None:
    """Raises UsageError for a combination of options that are each valid."""
    if given.command_text and given.target:
        raise UsageError("-c and -x exclude each other: both say what target() is")
    if given.unlimited and not given.guru:
        raise UsageError("--suppress-time-limits needs guru mode: -g")
    if given.detach and given.command_text and given.output is None:
        raise UsageError("-F without -o reads nothing, so it cannot wait for -c")
    if given.detach and (given.folded or given.flame):
        raise UsageError("--folded and --flame need the end of the run: give them to -A, not to -F")
    if given.rotation and given.output is None:
        raise UsageError("-S rotates the file of -o: give one")
    if given.points and given.variables:
        raise UsageError("-l and -L exclude each other")


def _script(given: argparse.Namespace) -> tuple[str | None, str | None, tuple[str, ...]]:
    """File, text and arguments of the script."""
    rest = given.rest[1:] if given.rest[:1] == ["--"] else given.rest
    if _listing(given) is not None:
        pattern = given.points or given.variables or "begin"
        return None, f"probe {pattern} {{}}", tuple(rest)
    if given.attach is not None:
        return None, "", tuple(rest)
    if given.text is not None:
        return None, given.text, tuple(rest)
    if not rest and given.interactive:
        return "-", None, ()
    if not rest:
        raise UsageError("no script: give a file, or its text with -e")
    return rest[0], None, tuple(rest[1:])


def _listing(given: argparse.Namespace) -> str | None:
    listings = {
        "points": given.points is not None,
        "variables": given.variables is not None,
        "functions": given.dump_functions,
        "types": given.dump_probe_types,
        "aliases": given.dump_probe_aliases,
    }
    return next((name for name, wanted in listings.items() if wanted), None)


def _last_pass(given: argparse.Namespace) -> int:
    """A module for another kernel cannot run here."""
    elsewhere = given.release and given.release != os.uname().release
    return min(given.last_pass, LAST_PASS) if elsewhere else int(given.last_pass)


def _kernel(given: argparse.Namespace) -> dict[str, str] | None:
    """The kernel of -r; None for the running one."""
    running = given.release == os.uname().release and given.sysroot == "/"
    if given.release is None or running:
        return None
    return {"root": given.sysroot, "release": given.release}


def _implied_defines(given: argparse.Namespace) -> dict[str, str]:
    """The limits that other options than -D set."""
    defines = {}
    if given.unlimited:
        defines = dict.fromkeys(_TIME_LIMITS, _UNLIMITED) | {"MAXTIME": "0"}
    if given.buffer:
        defines["RINGSIZE"] = str(given.buffer << 20)
    return defines


def _limit(options: CompileOptions, name: str, default: int) -> int:
    """A limit that the session enforces itself."""
    value = options.defines.get(name, "")
    return int(value) if value.isdecimal() else default


def _budgets(defines: Mapping[str, str]) -> Budgets:
    """The share of a CPU's cycles that probes may take. The module measures it over a second, whatever the
    interval is. Raises UsageError."""
    known = dict(_OVERLOAD)
    for name in known.keys() & defines.keys():
        number = re.fullmatch(r"([0-9]{1,18})[uUlL]{0,3}", defines[name])  # as in C
        if number is None:
            raise UsageError(f"-D {name}={defines[name]}: it is a number of cycles")
        known[name] = int(number[1])
    if known[_OFF] or not known[_INTERVAL]:
        return Budgets()
    return Budgets(one_cpu_ppm=max(1, known[_THRESHOLD] * MILLION // known[_INTERVAL]))


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
