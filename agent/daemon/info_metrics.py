# SPDX-License-Identifier: GPL-2.0-or-later
"""The families that show a rollout's progress over all hosts in one query.

count by (script, revision, variant, state) (stapwatch_script_info)
stapwatch_script_info * on (instance) group_left (label_tier) stapwatch_host_info
"""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import GaugeMetricFamily, Metric

from agent.rollout.host_facts import HostFacts
from runtime.support.escapes import readable
from runtime.support.record import record

_HOST = ("host", "kernel", "arch", "virtualization", "os", "os_version", "cpus", "cgroup")


@record
class ScriptInfo:
    """The labels of one script, in the order of its sample."""

    script: str
    revision: str
    cohort: str
    variant: str
    state: str
    file: str = ""  # "" if its text is in the configuration


def families(
    scripts: Iterable[ScriptInfo] = (), facts: HostFacts | None = None
) -> Iterable[Metric]:
    """Without arguments no family has a sample; the names are the same."""
    info = GaugeMetricFamily(
        "stapwatch_script_info",
        "A script of the configuration on this host: the revision of its text, its group of hosts, the "
        "variant that runs, its state, and its file. stapwatch_script_start_timestamp_seconds is since when "
        "it counts.",
        labels=["script", "revision", "cohort", "variant", "state", "file"],
    )
    for one in scripts:
        names = [one.script, one.revision, one.cohort, one.variant, one.state]
        info.add_metric([*names, readable(one.file)], 1)
    yield info
    labels = {} if facts is None else dict(sorted(facts.labels.items()))
    host = GaugeMetricFamily(
        "stapwatch_host_info",
        "This host, as the conditions of scripts see it. Its own labels are those with label_ in front.",
        labels=[*_HOST, *(f"label_{name}" for name in labels)],
    )
    kernel = GaugeMetricFamily(
        "stapwatch_kernel_info",
        "The kernel of this host: modules are of one build-id. `stapwatch build --for` reads which kernels a "
        "fleet has.",
        labels=["release", "build_id", "arch"],
    )
    if facts is not None:
        kernel.add_metric([readable(facts.kernel), facts.build_id, facts.arch], 1)
        values = [*(str(getattr(facts, name)) for name in _HOST), *labels.values()]
        host.add_metric([readable(value) for value in values], 1)
    yield host
    yield kernel
