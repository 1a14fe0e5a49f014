# SPDX-License-Identifier: GPL-2.0-or-later
"""What a script would do here, before it is loaded: its probes, its metrics, its memory.

explanation(script, compiled, metrics, cpus)
-> {"script": "reads", "probes": [{"hook": "ftrace", "instructions": 45, ...}],
    "metrics": [{"global": "reads", "family": "stapwatch_reads_reads", ...}],
    "memory": {"bytes": 1_200_128, "arrays": [...], ...}}
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Set
from typing import Any

from agent.config.settings import MetricSettings
from agent.exposition.families import Family, Member, Problem, plan
from agent.scripts.compile_client import Compiled
from runtime.abi.manifest import Histogram, HistogramKind, Manifest, Storage, Table
from runtime.reader import module_memory

_SHOWN_BOUNDS = 12


def explanation(
    name: str,
    source: str,
    compiled: Compiled,
    manifest: Manifest,
    metrics: Mapping[str, MetricSettings],
    reserved: Set[str],
    cpus: int,
) -> dict[str, Any]:
    """`compiled`: of a request with `explain`. `metrics`: as the configuration declares them; `reserved`: the
    agent's own names; `cpus`: the possible ones, each of which has a part of the memory."""
    families, problems = plan([(name, manifest, metrics)], reserved)
    return {
        "script": name,
        "source": source,
        "variant": compiled.variant,
        "module": manifest.module,
        "kernel": manifest.release,
        "probes": _probes(manifest, json.loads(compiled.output)),
        "metrics": list(_metrics(manifest, families, problems)),
        "problems": [problem.message for problem in problems],
        "prints": len(manifest.prints),
        "memory": _memory(manifest, cpus),
    }


def _probes(manifest: Manifest, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {**probe, "location": known.location}
        for probe, known in zip(found, manifest.probes, strict=True)
    ]


# -- metrics --------------------------------------------------------------------------------------------


def _metrics(
    manifest: Manifest, families: tuple[Family, ...], problems: tuple[Problem, ...]
) -> Iterator[dict[str, Any]]:
    """One for each global. Those that are not exported have the family ""."""
    members = {m.table.name: (f, m) for f in families for m in f.members}
    for table in manifest.tables:
        yield {"global": table.name, **_exported(table, members.get(table.name))}


def _exported(table: Table, found: tuple[Family, Member] | None) -> dict[str, Any]:
    if found is None:
        return {"family": "", "type": "", "unit": "", "labels": [], "buckets": ""}
    family, member = found
    statistic = table.statistic
    histogram = statistic.exported if statistic is not None else None
    return {
        "family": family.name,
        "type": family.type.value,
        "unit": family.unit,
        "labels": [*member.labels, *(name for name, _ in member.constant)],
        "buckets": "" if histogram is None else buckets(histogram),
    }


def buckets(histogram: Histogram) -> str:
    """In words, in the global's own unit."""
    match histogram.kind:
        case HistogramKind.LOG2:
            return "powers of 2, negative ones too" if histogram.negative else "powers of 2"
        case HistogramKind.LINEAR:
            return f"{histogram.low} to {histogram.high} by {histogram.interval}"
        case HistogramKind.BOUNDS:
            shown = " ".join(map(str, histogram.bounds[:_SHOWN_BOUNDS]))
            return f"{shown} ..." if len(histogram.bounds) > _SHOWN_BOUNDS else shown
        case HistogramKind.EXPONENTIAL:
            return f"native, schema {histogram.schema or 0}"


# -- memory ---------------------------------------------------------------------------------------------


def _memory(manifest: Manifest, cpus: int) -> dict[str, Any]:
    """As the runtime allocates it when the module is loaded; handlers allocate nothing."""
    arrays = [_array(table, cpus) for table in manifest.tables if table.slots is not None]
    whole = module_memory.needed(manifest, cpus)
    rings = cpus * manifest.ring_size
    return {
        "bytes": whole,
        "cpus": cpus,
        "arrays": arrays,
        "rings_bytes": rings,
        "ring_bytes": manifest.ring_size,
        "rest_bytes": whole - rings - sum(array["bytes"] for array in arrays),
    }


def _array(table: Table, cpus: int) -> dict[str, Any]:
    assert table.slots is not None
    return {
        "global": table.name,
        "location": table.location,
        "slots": table.slots.capacity,
        "when_full": table.slots.when_full.value,
        "per_cpu": table.storage is Storage.PERCPU,
        "row_bytes": table.row_size,
        "bytes": module_memory.bytes_of(table, cpus),
    }
