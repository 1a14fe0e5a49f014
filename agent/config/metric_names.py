# SPDX-License-Identifier: GPL-2.0-or-later
"""Metric names, units and scales in Prometheus style, derived from the names of scripts and globals.

    describe("vfs-io", "latency_ns", None)  -> Naming("stapwatch_vfs_io_latency_seconds", "seconds", 1E-9)
    describe("vfs-io", "readBytes", None)   -> Naming("stapwatch_vfs_io_read_bytes", "bytes", 1)

A global's suffix (`_ns`, `_us`, `_ms`, `_s`, `_bytes`) gives its unit, unless the configuration does.
Prometheus uses base units, so nanoseconds are exported as exact decimals of seconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal

from agent.config.settings import MetricSettings, MetricType
from runtime.support.record import record

METRIC_NAME = r"[a-zA-Z_][a-zA-Z0-9_]*"
LABEL_NAME = r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*"
RESERVED_LABELS = {"le", "quantile"}

ONE = Decimal(1)
UNITS: dict[str, tuple[str, Decimal]] = {
    "ns": ("seconds", Decimal("1e-9")),
    "nsec": ("seconds", Decimal("1e-9")),
    "nsecs": ("seconds", Decimal("1e-9")),
    "nanoseconds": ("seconds", Decimal("1e-9")),
    "us": ("seconds", Decimal("1e-6")),
    "usec": ("seconds", Decimal("1e-6")),
    "usecs": ("seconds", Decimal("1e-6")),
    "microseconds": ("seconds", Decimal("1e-6")),
    "ms": ("seconds", Decimal("1e-3")),
    "msec": ("seconds", Decimal("1e-3")),
    "msecs": ("seconds", Decimal("1e-3")),
    "milliseconds": ("seconds", Decimal("1e-3")),
    "s": ("seconds", ONE),
    "sec": ("seconds", ONE),
    "secs": ("seconds", ONE),
    "seconds": ("seconds", ONE),
    "bytes": ("bytes", ONE),
    "ratio": ("ratio", ONE),
}
# Words for types, which names should not contain, and suffixes of samples, which families must not have.
_TYPE_WORDS = {"counter", "gauge", "histogram", "summary", "untyped"}
SAMPLE_ENDINGS = ("_total", "_count", "_sum", "_bucket", "_created", "_info")
# The endings that OpenMetrics keeps for a family's samples, whether or not it has such samples.
_ENDINGS_OF = {
    "counter": ("_total", "_created"),
    "histogram": ("_bucket", "_sum", "_count", "_created"),
    "summary": ("_sum", "_count", "_created"),
    "info": ("_info",),
}


@record
class Naming:
    """A family's name without `_total` or `_info`. A value times `scale` is in `unit` ("": no unit)."""

    name: str
    unit: str
    scale: Decimal


def snake(name: str) -> str:
    """Lower-case words joined by single underscores."""
    name = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)
    name = re.sub(r"[^a-zA-Z0-9]+", "_", name).strip("_").lower()
    return re.sub(r"_+", "_", name)


def describe(script: str, variable: str, metric: MetricSettings | None) -> Naming:
    """The naming of a global's family, without the changes that its type requires (see `family_name`)."""
    words = snake(variable).split("_")
    unit, scale = UNITS.get(words[-1], ("", ONE)) if len(words) > 1 else ("", ONE)
    if metric is not None and metric.unit is not None:
        unit, scale = metric.unit, ONE
        if UNITS.get(words[-1], ("", ONE))[0] == unit:
            scale = UNITS[words[-1]][1]
    if metric is not None and metric.scale is not None:
        scale = metric.scale
    if metric is not None and metric.name is not None:
        name = metric.name
        for ending in ("_total", "_info"):
            name = name.removesuffix(ending) or name
    else:
        if unit and words[-1] in UNITS and UNITS[words[-1]][0] == unit:
            words = words[:-1]
        words = [word for word in words if word not in _TYPE_WORDS]
        name = "_".join(["stapwatch", snake(script), *words])
    if unit and not name.endswith(f"_{unit}"):
        name = f"{name}_{unit}"
    return Naming(name, unit, scale)


def family_name(naming: Naming, kind: MetricType, declared: bool) -> str:
    """The family's name; a suffix that means a sample of another type is changed or removed."""
    name = naming.name
    if declared:
        return name
    if kind is MetricType.COUNTER:
        return name.removesuffix("_total") or name
    return f"{name}_value" if name.endswith(SAMPLE_ENDINGS) else name


def claimed(name: str, kind: str) -> frozenset[str]:
    """The names that no sample and no family but this one may have. `kind`: a type, as pages name it."""
    return frozenset([name, *(name + ending for ending in _ENDINGS_OF.get(kind, ()))])


def aside(name: str, unit: str) -> str:
    """Another name for a family whose name is claimed; the unit stays the last word."""
    ending = f"_{unit}" if unit else ""
    return f"{name.removesuffix(ending)}_value{ending}"


def bad_ending(name: str, kind: MetricType | None) -> str:
    """The suffix that the type of a declared name forbids; "" if there is none."""
    allowed = {
        MetricType.COUNTER: ("_total",),
        MetricType.INFO: ("_info",),
        None: ("_total", "_info"),
    }.get(kind, ())
    return next((e for e in SAMPLE_ENDINGS if name.endswith(e) and e not in allowed), "")


def label_names(keys: Iterable[str]) -> tuple[str, ...]:
    """Label names from an array's key names: valid, not reserved, unique."""
    names: list[str] = []
    for number, key in enumerate(keys, 1):
        name = snake(key) or f"key{number}"
        if name[0].isdigit() or name in RESERVED_LABELS:
            name = f"key_{name}"
        unique, again = name, 2
        while unique in names:
            unique, again = f"{name}_{again}", again + 1
        names.append(unique)
    return tuple(names)
