# SPDX-License-Identifier: GPL-2.0-or-later
"""`run --monitor`: hits and losses of a script, about every second on standard error.

[12 s] sw_opens_1a2b3c4d: running, 96 KiB; 1,204 hits (+88), 0 errors, 0 skipped, 0 lost
  kernel.function("vfs_read"): 1,204 hits (+88)
"""

from __future__ import annotations

from collections.abc import Iterator

from runtime.reader.snapshot import ProbeValues, Snapshot

_SHOWN = 20  # probes, those with most hits first


class Monitor:
    """Formats snapshots, with the increase since the one before."""

    def __init__(self, module: str) -> None:
        self._module = module
        self._before: dict[int, int] = {}

    def lines(self, shot: Snapshot, seconds: float) -> Iterator[str]:
        """The lines for a snapshot; `seconds`: time since the start."""
        hits = {n: probe.hits for n, probe in enumerate(shot.probes)}
        more = {n: count - self._before.get(n, 0) for n, count in hits.items()}
        self._before = hits
        skipped = sum(p.skipped_reentrant + p.skipped_lock + p.missed for p in shot.probes)
        lost = shot.lanes.events_lost + sum(t.dropped for t in shot.tables)
        errors = sum(p.errors for p in shot.probes)
        yield (
            f"[{seconds:.0f} s] {self._module}: {shot.header.state.name.lower()},"
            f" {shot.header.memory >> 10:,} KiB; {sum(hits.values()):,} hits"
            f" (+{sum(more.values()):,}), {errors:,} errors, {skipped:,} skipped, {lost:,} lost"
        )
        busiest = sorted(enumerate(shot.probes), key=lambda each: -each[1].hits)
        for n, probe in busiest[:_SHOWN]:
            if probe.hits:
                yield f"  {_name(probe)}: {probe.hits:,} hits (+{more[n]:,})"


def _name(values: ProbeValues) -> str:
    return values.probe.point
