# SPDX-License-Identifier: GPL-2.0-or-later
"""Grafana's names for the units of metrics.

of("seconds")   -> "s"
per_second("")  -> "cps"     what a counter's rate is in
"""

from __future__ import annotations

NUMBER = "short"
_UNITS = {
    "seconds": "s",
    "milliseconds": "ms",
    "microseconds": "µs",
    "nanoseconds": "ns",
    "bytes": "bytes",
    "bits": "bits",
    "ratio": "percentunit",
    "percent": "percent",
    "hertz": "hertz",
    "celsius": "celsius",
    "kelvin": "kelvin",
    "volts": "volt",
    "amperes": "amp",
    "watts": "watt",
    "joules": "joule",
    "meters": "lengthm",
    "packets": NUMBER,
    "pages": NUMBER,
}
# A second of time a second is a plain number: threads that wait, CPUs that work.
_RATES = {"": "cps", "bytes": "binBps", "bits": "binbps", "packets": "pps"}


def of(unit: str) -> str:
    """A unit that Grafana does not have is a plain number."""
    return _UNITS.get(unit, NUMBER)


def per_second(unit: str) -> str:
    return _RATES.get(unit, NUMBER)
