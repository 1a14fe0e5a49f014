# SPDX-License-Identifier: GPL-2.0-or-later
"""`run -t`: hits of each probe and the time that they took, when the run ends.

----- probe hit report:
timer.s(1), (x.stp:3:7), hits: 12, ns: 421avg/5052sum, errors: 0, from: timer.s(1), index: 2

The shape is stap's, which counts cycles. Times come from samples: see sw_meter in core/meter.c.
"""

from __future__ import annotations

from collections.abc import Iterator

from runtime.reader.snapshot import Snapshot


def lines(shot: Snapshot) -> Iterator[str]:
    """The lines of the probes that were hit, with their newlines."""
    yield "----- probe hit report:\n"
    for index, values in enumerate(shot.probes):
        if not values.hits:
            continue
        probe, mean = values.probe, values.cpu_ns // values.hits
        yield (
            f"{probe.point}, ({probe.location}), hits: {values.hits}, ns: {mean}avg/{values.cpu_ns}sum,"
            f" errors: {values.errors}, from: {probe.written}, index: {index}\n"
        )
