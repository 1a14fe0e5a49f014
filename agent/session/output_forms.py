# SPDX-License-Identifier: GPL-2.0-or-later
"""The output of a run: text as stap writes it, or with `-f json` one JSON object a line.

print("x")             -> x
                          {"type": "print", "time_ns": 17..., "cpu": 0, "probe": "timer.s(1)",
                           "at": "x.stp:3:7", "text": "x", "fields": {}}
the global n at the end -> n=3
                          {"type": "global", "name": "n", "keys": [], "elements": [{"key": [], "value": 3}]}

stapwatch-run(1) describes the objects; members may be added.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from agent.session import final_globals, probe_times
from runtime.abi.manifest import Manifest
from runtime.events import decode as events
from runtime.events.decode import Event
from runtime.reader.merge import StatValue
from runtime.reader.snapshot import Snapshot
from runtime.reader.table import TableValues, Value


class TextForm:
    """Prints as they are; errors and warnings are messages on standard error only."""

    dated = False  # whether it shows times, so that `time_offset` counts

    def printed(self, event: Event, manifest: Manifest, time_offset: int) -> bytes:
        text = events.text(event, manifest)
        if manifest.prints[event.site].log and not text.endswith("\n"):
            text += "\n"
        return text.encode(errors="surrogateescape")

    def reported(self, event: Event, manifest: Manifest, time_offset: int) -> bytes:
        return b""

    def globals(self, shot: Snapshot) -> bytes:
        return "".join(final_globals.lines(shot)).encode(errors="surrogateescape")

    def probes(self, shot: Snapshot) -> bytes:
        return "".join(probe_times.lines(shot)).encode(errors="surrogateescape")

    def end(self, shot: Snapshot) -> bytes:
        return b""


class JsonForm(TextForm):
    """Objects; `time_offset`: what to add to an event's time to get ns since 1970."""

    dated = True

    def printed(self, event: Event, manifest: Manifest, time_offset: int) -> bytes:
        statement = manifest.prints[event.site]
        values = zip(statement.arguments, event.args, strict=True)
        return _line(
            **_about(event, manifest, time_offset),
            at=statement.location,
            text=_clean(events.text(event, manifest)),
            fields={argument.name: _argument(value) for argument, value in values},
        )

    def reported(self, event: Event, manifest: Manifest, time_offset: int) -> bytes:
        text = _clean(events.text(event, manifest))
        return _line(**_about(event, manifest, time_offset), text=text)

    def globals(self, shot: Snapshot) -> bytes:
        """All that the script counts, whether a handler reads it or not; no working memory."""
        shown = (v for v in shot.tables if v.table.display or not v.table.scratch)
        return b"".join(
            _line(
                type="global",
                name=values.table.name,
                keys=[key.name for key in values.table.keys],
                elements=list(_elements(values)),
            )
            for values in shown
        )

    def probes(self, shot: Snapshot) -> bytes:
        return b"".join(
            _line(
                type="probe",
                probe=values.probe.point,
                at=values.probe.location,
                hits=values.hits,
                cpu_ns=values.cpu_ns,
                errors=values.errors,
            )
            for values in shot.probes
        )

    def end(self, shot: Snapshot) -> bytes:
        """Losses, which the numbers lack."""
        return _line(
            type="end",
            errors=sum(p.errors for p in shot.probes),
            skipped=sum(p.skipped_reentrant + p.skipped_lock + p.missed for p in shot.probes),
            prints_lost=shot.lanes.events_lost,
            updates_lost=sum(v.dropped for v in shot.tables),
        )


def _about(event: Event, manifest: Manifest, time_offset: int) -> dict[str, Any]:
    return {
        "type": event.kind.name.lower(),
        "time_ns": event.time_ns + time_offset,
        "cpu": event.cpu,
        "probe": None if event.probe is None else manifest.probes[event.probe].point,
    }


def _argument(value: events.Value) -> int | str | list[int]:
    match value:
        case int():
            return value
        case str():
            return _clean(value)
        case _:
            return list(value)


def _elements(values: TableValues) -> Iterator[dict[str, Any]]:
    for key, value in zip(values.keys, values.values, strict=True):
        parts = [_clean(part) if isinstance(part, str) else part for part in key]
        yield {"key": parts, "value": _value(value)}


def _value(value: Value) -> int | str | dict[str, Any]:
    match value:
        case int():
            return value
        case str():
            return _clean(value)
        case StatValue():
            found = {
                "count": value.count,
                "sum": value.sum,
                "min": value.min,
                "max": value.max,
                "avg": value.avg,
                "variance": value.variance,
                "buckets": list(value.buckets) or None,
            }
            return {name: part for name, part in found.items() if part is not None}


def _clean(text: str) -> str:
    """Bytes that are no UTF-8 become \\\\xff: JSON has no others."""
    return text.encode(errors="surrogateescape").decode(errors="backslashreplace")


def _line(**members: Any) -> bytes:
    return json.dumps(members, ensure_ascii=False).encode() + b"\n"
