# SPDX-License-Identifier: GPL-2.0-or-later
"""Which kernels a fleet runs, out of Prometheus' answer to a query for stapwatch_kernel_info.

    curl -s 'http://prometheus:9090/api/v1/query?query=stapwatch_kernel_info' >facts.json
    read(Path("facts.json"))   -> [FleetKernel("6.1.0-56-cloud", "aarch64", 1200, "e4f18d9d..."), ...]

Anything that keeps the labels will do, as `count by (release, build_id, arch) (stapwatch_kernel_info)`,
whose value is then the number of hosts. stapwatch_host_info has the release as `kernel`, and no build-id: a
builder then cannot know that it has another build of a release than the hosts.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from runtime.support import bounded_file
from runtime.support.record import record

_LIMIT = 256 << 20  # bytes: 100,000 hosts with 1 KiB of labels are 100 MB
_INFO = "stapwatch_kernel_info"
_OF_ONE_HOST = (_INFO, "stapwatch_host_info")


class FleetFactsError(Exception):
    """The file is no such answer; the text says what to do."""


@record
class FleetKernel:
    """`hosts`: how many run it. `build_id`: hexadecimal; "" if the query has left it out."""

    release: str
    architecture: str
    hosts: int
    build_id: str = ""


def read(path: Path) -> list[FleetKernel]:
    """The most common one first. Raises FleetFactsError, OSError."""
    try:
        tree = json.loads(bounded_file.read(path, _LIMIT))
    except (ValueError, RecursionError) as error:
        raise FleetFactsError(f"{path} is not JSON: {error}; {_hint()}") from None
    hosts: Counter[tuple[str, str, str]] = Counter()
    for series in _series(tree, path):
        labels = series.get("metric", {})
        if release := labels.get("release") or labels.get("kernel"):
            key = (release, labels.get("arch", ""), labels.get("build_id", ""))
            hosts[key] += _number(series, labels)
    if not hosts:
        raise FleetFactsError(f"no series in {path} has the label 'release'; {_hint()}")
    return [
        FleetKernel(release, arch, count, build_id)
        for (release, arch, build_id), count in hosts.most_common()
    ]


def _series(tree: Any, path: Path) -> list[dict[str, Any]]:
    """The answer of the API, or its `data`, or the list of results."""
    match tree:
        case {"status": "error", "error": why}:
            raise FleetFactsError(f"{path}: Prometheus could not answer: {why}")
        case {"data": {"result": list(found)}} | {"result": list(found)} | list(found):
            return [one for one in found if isinstance(one, dict)]
    raise FleetFactsError(f"{path} is not Prometheus' answer to a query; {_hint()}")


def _number(series: dict[str, Any], labels: dict[str, str]) -> int:
    """The hosts that a series stands for: a series of a family itself is one host."""
    if labels.get("__name__") in _OF_ONE_HOST:
        return 1
    try:
        return max(1, int(float(series["value"][1])))
    except (LookupError, ValueError, TypeError):
        return 1


def _hint() -> str:
    return f"ask for it: curl -s 'http://PROMETHEUS:9090/api/v1/query?query={_INFO}'"
