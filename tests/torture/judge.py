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
    workloads: Sequence[Workload], result: Mapping[str, Any], first: Mapping[str, int]
) -> list[str]:
    """`first`: the memory after the guest's first round."""
    found = list(result["faults"])
    found += [f"module {name} is left" for name in result["left"]]
    for name, room in ROOM.items():
        if (more := result["memory"][name] - first[name]) > room:
            found.append(f"{name} grew by {more} KiB since the guest's first round")
    for workload in workloads:
        for text in sums(workload, result["workloads"][workload.name]):
            found.append(f"{workload.name}: {text}")
    return found


def sums(workload: Workload, found: Mapping[str, Any]) -> list[str]:
    """The counts that contradict each other or the events that were made."""
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
        if each is not None and hits + reentrant + missed != each * found["units"]:
            wrong.append(
                f"probe {n}: {each * found['units']} events, but {hits} hits + {reentrant} skipped"
                f" + {missed} missed"
            )
    return wrong


def events(result: Mapping[str, Any]) -> tuple[int, int]:
    """Events that probes saw, and those of them that were skipped, missed or had no lock."""
    probes = [probe for each in result["workloads"].values() for probe in each["probes"]]
    seen = sum(hits + reentrant + missed for hits, reentrant, _, _, missed in probes)
    return seen, sum(reentrant + lock + missed for _, reentrant, lock, _, missed in probes)
