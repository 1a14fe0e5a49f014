# SPDX-License-Identifier: GPL-2.0-or-later
"""Options of a compile: limits (under SystemTap's names), export, and how statistics are kept.

with_defines(Limits(), {"MAXACTION": "5000", "MAXACTON": "1"})
  -> Defines(Limits(MAXACTION=5000, MAXACTION_INTERRUPTIBLE=250000), macros={"MAXACTON": "1"}, ...)
unused_macros({"MAXACTON": "1"})
  -> [warning[unused-define]: nothing reads 'MAXACTON' ... did you mean 'MAXACTION'?]
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from compiler.ir.diagnostics import Diagnostic
from compiler.ir.source import Source, Span, decode
from compiler.support.did_you_mean import did_you_mean
from runtime.abi.histogram import exponential
from runtime.abi.manifest import Histogram, HistogramKind, WhenFull
from runtime.support.record import field, fields, record, replace

MINIMUM_RING = 4096
RUN_RING = 4 << 20  # RINGSIZE of `run`: one script at a time, whose every print somebody waits for
MOST_ACTIONS = (1 << 31) - 1
MOST_FUNCTIONS = (1 << 31) - 1


@record
class Limits:
    """Bounds that the module enforces; sizes in bytes. MAXERRORS and MAXSKIPPED end a session; the
    service only counts errors and skipped hits."""

    MAXACTION: int = 2000  # statements, or pieces of 100 instructions
    MAXACTION_INTERRUPTIBLE: int = 100000  # of begin, end and error probes; a tenth in timers
    MAXTIME: int = 50  # ms that a hit may take; 0: any
    MAXNESTING: int = 10
    MAXSTRINGLEN: int = 512
    MAXMAPENTRIES: int = 2048
    MAXERRORS: int = 0
    MAXSKIPPED: int = 100
    MAXTRYLOCK: int = 1000
    TRYLOCKDELAY: int = 10  # about the microseconds between two tries
    MAXFUNCTIONS: int = 10000  # that the points of one probe stand for
    KRETACTIVE: int = 0  # concurrent calls of a return probe's function; 0: the default
    RINGSIZE: int = 262144
    HIST_ELISION: int = 2  # empty rows of a histogram shown next to full ones; below 0: all

    @property
    def most_ns(self) -> int:
        """MAXTIME for the runtime, where 0 stands for the default."""
        return self.MAXTIME * 1_000_000 or (1 << 64) - 1

    def margin(self, buckets: int) -> int:
        """HIST_ELISION for a histogram of so many buckets."""
        return min(self.HIST_ELISION, buckets) if self.HIST_ELISION >= 0 else buckets

    @property
    def lock_turns(self) -> int:
        """Iterations of the loop that waits for a lock; two take about a microsecond."""
        return min(max(1, self.MAXTRYLOCK * self.TRYLOCKDELAY * 2), MOST_ACTIONS)


_LIMITS = frozenset(f.name for f in fields(Limits))
_RANGES = {
    "MAXACTION": (1, MOST_ACTIONS),
    "MAXACTION_INTERRUPTIBLE": (1, MOST_ACTIONS),
    "MAXTIME": (0, 1_000_000),
    "MAXNESTING": (1, 1000),
    "MAXSTRINGLEN": (16, 65536),
    "MAXMAPENTRIES": (1, 1 << 24),
    "MAXFUNCTIONS": (1, MOST_FUNCTIONS),
    "KRETACTIVE": (0, 1 << 16),
    "RINGSIZE": (MINIMUM_RING, 1 << 32),
    "HIST_ELISION": (-(1 << 31), (1 << 31) - 1),
}
_INTERRUPTIBLE = 50  # times MAXACTION
_MOST = (0, (1 << 63) - 1)
_DEEPEST = 100  # calls of 64 to 250 bytes; a stack has 16 KB, and a handler some of it

# SystemTap's limits that have no effect here, and the reason for each.
_WITHOUT_EFFECT = {
    "MINSTACKSPACE": "handlers keep their variables off the kernel's stack",
    "MAXBACKTRACE": "backtraces are as deep as the kernel unwinds them",
    "MAXUPROBES": "probes of programs take memory when they are placed",
    "MAPHASHBIAS": "an array's index always has twice as many places as elements",
    "INTERRUPTIBLE": "a hit inside another handler is skipped and counted",
    "STP_MAXMEMORY": "all memory is taken at the start; -v tells how much",
    "STP_OVERLOAD_INTERVAL": "only `run` has it; scripts of the service have budgets",
    "STP_OVERLOAD_THRESHOLD": "only `run` has it; scripts of the service have budgets",
    "STP_NO_OVERLOAD": "only `run` has it; scripts of the service have budgets",
    "STP_NO_VERREL_CHECK": "a module is always checked against the running kernel",
    "STP_PROCFS_BUFSIZE": "$value has 512 bytes, or as many as .maxsize(n) says",
    "STP_TIMING": "hits of each probe are always counted",
    "STP_BULKMODE": "output is merged by time",
    "STP_LEGACY_PRINT": "formats are applied by the reader",
    "TRYLOCKDELAY_MAX": "TRYLOCKDELAY is the whole delay",
}


@record
class Options:
    """`strict`: a full array is an error of the script, as in a session, and not only counted.

    `export`: statistics keep buckets for the agent. `histograms`, `capacities` and `when_full`: by global.
    `end_of_run`: globals that are printed when the session ends. `defines`: macros for embedded C.
    """

    limits: Limits = Limits()
    strict: bool = False
    export: bool = True
    histograms: Mapping[str, Histogram] = field(default_factory=dict)
    capacities: Mapping[str, int] = field(default_factory=dict)
    when_full: Mapping[str, WhenFull] = field(default_factory=dict)
    end_of_run: frozenset[str] = frozenset()
    defines: Mapping[str, str] = field(default_factory=dict)


@record
class Defines:
    """The parsed `-D` options. `macros` are those that name no limit; embedded C can use them."""

    limits: Limits
    macros: Mapping[str, str]
    errors: tuple[Diagnostic, ...]
    warnings: tuple[Diagnostic, ...]


def with_defines(limits: Limits, defines: Mapping[str, str]) -> Defines:
    """Apply `-D NAME=VALUE` options to limits. Each value that is out of range is an error, and each
    limit without effect a warning."""
    known: dict[str, int] = {}
    macros: dict[str, str] = {}
    errors: list[Diagnostic] = []
    warnings: list[Diagnostic] = []
    for name, text in defines.items():
        if name in _WITHOUT_EFFECT:
            message = f"'{name}' has no effect: {_WITHOUT_EFFECT[name]}"
            warnings.append(_diagnostic("unused-define", message, name, text, None, "warning"))
        elif name not in _LIMITS:
            macros[name] = text
        else:
            low, high = _RANGES.get(name, _MOST)
            value = _number(text)
            if value is not None and low <= value <= high:
                known[name] = value
            else:
                message = f"'{text}' is not a value for the limit {name}"
                hint = f"a number from {low} to {high}"
                errors.append(_diagnostic("bad-limit", message, name, text, hint))
    if known.get("MAXNESTING", 0) > _DEEPEST:
        message = f"a kernel stack does not hold {known['MAXNESTING']} calls of a function"
        hint = "they end in the script's error 'stack overflow' earlier; use a loop"
        text = defines["MAXNESTING"]
        warnings.append(_diagnostic("deep-nesting", message, "MAXNESTING", text, hint, "warning"))
    if "MAXACTION" in known and "MAXACTION_INTERRUPTIBLE" not in known:
        known["MAXACTION_INTERRUPTIBLE"] = min(_INTERRUPTIBLE * known["MAXACTION"], MOST_ACTIONS)
    return Defines(replace(limits, **known), macros, tuple(errors), tuple(warnings))


def unused_macros(macros: Mapping[str, str]) -> list[Diagnostic]:
    """Warnings for the macros of a script without embedded C: most are misspelled limits."""
    known = (*_LIMITS, *_WITHOUT_EFFECT)
    return [
        _diagnostic(
            "unused-define",
            f"nothing reads '{name}'",
            name,
            text,
            did_you_mean(name, known) or "only limits and embedded C take a -D",
            "warning",
        )
        for name, text in macros.items()
    ]


def histogram_of(tree: Mapping[str, Any]) -> Histogram:
    """The buckets of one of a request's `statistics`: {"kind": "log2"} and the like."""
    match HistogramKind(tree["kind"]):
        case HistogramKind.LOG2:
            return Histogram(HistogramKind.LOG2, 0, 65)
        case HistogramKind.LINEAR:
            low, high, interval = tree["low"], tree["high"], tree["interval"]
            count = (high - low) // interval + 3
            return Histogram(HistogramKind.LINEAR, 0, count, low=low, high=high, interval=interval)
        case HistogramKind.BOUNDS:
            bounds = tuple(tree["bounds"])
            return Histogram(HistogramKind.BOUNDS, 0, len(bounds) + 1, bounds=bounds)
        case HistogramKind.EXPONENTIAL:
            schema, scale = int(tree["schema"]), str(tree["scale"])
            shape = Histogram(HistogramKind.EXPONENTIAL, 0, 0, schema=schema, scale=scale)
            return replace(shape, buckets=exponential(shape).words)


def _diagnostic(
    slug: str,
    message: str,
    name: str,
    text: str,
    hint: str | None,
    severity: str = "error",
) -> Diagnostic:
    shown = decode(f"{name}={text}")
    span = Span(Source("<-D>", shown), 0, len(shown))
    return Diagnostic(
        slug, message, span, hint=hint, severity="warning" if severity == "warning" else "error"
    )


def _number(text: str) -> int | None:
    """A number as C writes it, which stap passes on: 0x10, 100000UL."""
    try:
        return int(text.rstrip("uUlL"), 0)
    except ValueError:
        return None
