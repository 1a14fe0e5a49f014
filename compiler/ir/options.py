# SPDX-License-Identifier: GPL-2.0-or-later
"""What a compile can be told: limits (by SystemTap's names), export, and how statistics are kept.

with_defines(Limits(), {"MAXACTION": "5000", "MAXACTON": "1"})
  -> Limits(MAXACTION=5000, MAXACTION_INTERRUPTIBLE=50000),
     [error[bad-limit]], [warning[unused-define]: nothing reads 'MAXACTON' ... did you mean 'MAXACTION'?]
"""

from __future__ import annotations

from collections.abc import Mapping

from compiler.ir.diagnostics import Diagnostic
from compiler.ir.source import Source, Span, decode
from compiler.support.did_you_mean import did_you_mean
from runtime.abi.manifest import Histogram
from runtime.support.record import field, fields, record, replace

MINIMUM_RING = 4096
MOST_ACTIONS = (1 << 31) - 1


@record
class Limits:
    """Bounds that hold in the kernel; sizes in bytes. MAXERRORS and MAXSKIPPED end a session, and
    are only counted in the service."""

    MAXACTION: int = 1000
    MAXACTION_INTERRUPTIBLE: int = 10000
    MAXNESTING: int = 10
    MAXSTRINGLEN: int = 512
    MAXMAPENTRIES: int = 2048
    MAXERRORS: int = 0
    MAXSKIPPED: int = 100
    MAXTRYLOCK: int = 1000
    TRYLOCKDELAY: int = 10  # microseconds from one try to the next, about
    KRETACTIVE: int = 0  # returns of one function under way; 0: the kernel's own choice
    RINGSIZE: int = 262144

    @property
    def lock_turns(self) -> int:
        """Turns of a loop that waits for a lock; 2 take about a microsecond."""
        return min(max(1, self.MAXTRYLOCK * self.TRYLOCKDELAY * 2), MOST_ACTIONS)


_LIMITS = frozenset(f.name for f in fields(Limits))
_RANGES = {
    "MAXACTION": (1, MOST_ACTIONS),
    "MAXACTION_INTERRUPTIBLE": (1, MOST_ACTIONS),
    "MAXNESTING": (1, 1000),
    "MAXSTRINGLEN": (16, 65536),
    "MAXMAPENTRIES": (1, 1 << 24),
    "KRETACTIVE": (0, 1 << 16),
    "RINGSIZE": (MINIMUM_RING, 1 << 32),
}
_MOST = (0, (1 << 63) - 1)

# stap's names that bound nothing here, and what does instead.
_WITHOUT_MEANING = {
    "MINSTACKSPACE": "handlers keep their variables off the kernel's stack",
    "MAXBACKTRACE": "backtraces are as deep as the kernel unwinds them",
    "MAXUPROBES": "probes of programs take memory when they are placed",
    "MAPHASHBIAS": "an array's index always has twice as many places as elements",
    "INTERRUPTIBLE": "a hit inside another handler is skipped and counted",
    "STP_MAXMEMORY": "all memory is taken at the start; -v tells how much",
    "STP_OVERLOAD_INTERVAL": "MAXACTION bounds each hit",
    "STP_OVERLOAD_THRESHOLD": "MAXACTION bounds each hit",
    "STP_NO_OVERLOAD": "there is no overload check to turn off",
    "STP_NO_VERREL_CHECK": "a module is always checked against the running kernel",
    "STP_PROCFS_BUFSIZE": "$value has 512 bytes, or as many as .maxsize(n) says",
    "STP_TIMING": "hits of each probe are always counted",
    "STP_BULKMODE": "output is merged by time",
    "TRYLOCKDELAY_MAX": "TRYLOCKDELAY is the whole delay",
}


@record
class Options:
    """`strict`: a full array is the script's error (a session's rule) and not only counted.

    `export`: statistics keep buckets for a reader. `histograms` and `capacities`: by global.
    `displayed`: globals that are printed at the end. `defines`: macros for embedded C.
    """

    limits: Limits = Limits()
    strict: bool = False
    export: bool = True
    histograms: Mapping[str, Histogram] = field(default_factory=dict)
    capacities: Mapping[str, int] = field(default_factory=dict)
    displayed: frozenset[str] = frozenset()
    defines: Mapping[str, str] = field(default_factory=dict)


@record
class Defined:
    """What `-D` options come to: `macros` are no limits, and are left for embedded C."""

    limits: Limits
    macros: Mapping[str, str]
    errors: tuple[Diagnostic, ...]
    warnings: tuple[Diagnostic, ...]


def with_defines(limits: Limits, defines: Mapping[str, str]) -> Defined:
    """Limits changed by `-D NAME=VALUE`, and what is to be said of each that changes none."""
    known: dict[str, int] = {}
    macros: dict[str, str] = {}
    errors: list[Diagnostic] = []
    warnings: list[Diagnostic] = []
    for name, text in defines.items():
        if name in _WITHOUT_MEANING:
            message = f"'{name}' has no effect: {_WITHOUT_MEANING[name]}"
            warnings.append(_told("unused-define", message, name, text, None, "warning"))
        elif name not in _LIMITS:
            macros[name] = text
        else:
            low, high = _RANGES.get(name, _MOST)
            value = _number(text)
            if value is not None and low <= value <= high:
                known[name] = value
            else:
                message = f"'{text}' is no value for the limit {name}"
                hint = f"a number from {low} to {high}"
                errors.append(_told("bad-limit", message, name, text, hint))
    if "MAXACTION" in known and "MAXACTION_INTERRUPTIBLE" not in known:
        known["MAXACTION_INTERRUPTIBLE"] = min(10 * known["MAXACTION"], MOST_ACTIONS)
    return Defined(replace(limits, **known), macros, tuple(errors), tuple(warnings))


def unread(macros: Mapping[str, str]) -> list[Diagnostic]:
    """Warnings for macros of a script without embedded C: most are limits with a wrong letter."""
    known = (*_LIMITS, *_WITHOUT_MEANING)
    return [
        _told(
            "unused-define",
            f"nothing reads '{name}'",
            name,
            text,
            did_you_mean(name, known) or "only limits and embedded C take a -D",
            "warning",
        )
        for name, text in macros.items()
    ]


def _told(
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
    try:
        return int(text, 0)
    except ValueError:
        return None
