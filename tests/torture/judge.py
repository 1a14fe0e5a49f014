# SPDX-License-Identifier: GPL-2.0-or-later
"""What a round must look like when it is over.

complaints(workloads, result, first_memory)   -> ["process: probe 1: 3000 events, but ...", ...]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.torture.workloads import Workload

# KiB that the kernel may hold more than after the guest's first round: slabs and per-CPU chunks stay half used
ROOM = {"VmallocUsed": 512, "Percpu": 4096, "SUnreclaim": 24576}


def complaints(
    workloads: Sequence[Workload],
    result: Mapping[str, Any],
    first: Mapping[str, int],
    disturbances: Sequence[str] = (),
) -> list[str]:
    """`first`: the memory after the guest's first round."""
    found = list(result["faults"])
    found += [f"module {name} is left" for name in result["left"]]
    for name, room in ROOM.items():
        if (more := result["memory"][name] - first[name]) > room:
            found.append(f"{name} grew by {more} KiB since the guest's first round")
    for workload in workloads:
        complete = not set(workload.incomplete_in).intersection(disturbances)
        for text in sums(workload, result["workloads"][workload.name], complete):
            found.append(f"{workload.name}: {text}")
    return found


def sums(workload: Workload, found: Mapping[str, Any], complete: bool) -> list[str]:
    """The counts that contradict each other or the events that were made. A probe that need not be
    `complete` may have seen fewer events, and never more."""
    wrong = []
    for n, (hits, reentrant, lock, errors, missed) in enumerate(found["probes"]):
        ran = found["counted"].get(f"n{n}")
        if ran is not None and ran != hits - lock:
            wrong.append(
                f"probe {n}: {hits} hits, {lock} without a lock, but the handler ran {ran} times"
            )
        if errors:
            wrong.append(f"probe {n}: {errors} errors")
        each = workload.events[n] if n < len(workload.events) else None
        if each is None:
            continue
        made, seen = each * found["units"], hits + reentrant + missed
        if seen > made or (complete and seen < made):
            wrong.append(
                f"probe {n}: {made} events, but {hits} hits + {reentrant} skipped + {missed} missed"
            )
    return wrong


def events(result: Mapping[str, Any]) -> tuple[int, int]:
    """Events that probes saw, and those of them that were skipped, missed or had no lock."""
    probes = [probe for each in result["workloads"].values() for probe in each["probes"]]
    seen = sum(hits + reentrant + missed for hits, reentrant, _, _, missed in probes)
    return seen, sum(reentrant + lock + missed for _, reentrant, lock, _, missed in probes)
