# SPDX-License-Identifier: GPL-2.0-or-later
"""The families about kernels that were prepared for the next boot: an alert before the reboot, not after it.

stapwatch_prepared_kernel{state!="ready"} == 1
"""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import GaugeMetricFamily, Metric

from agent.scripts.prepared_kernels import PreparedKernel
from runtime.support.escapes import readable


def families(kernels: Iterable[PreparedKernel] = ()) -> Iterable[Metric]:
    """Without arguments both families have no sample; the names are the same."""
    states = GaugeMetricFamily(
        "stapwatch_prepared_kernel",
        "A kernel that is installed here and was prepared before its boot: preparing, ready, failed (some "
        "script does not compile for it) or no-headers.",
        labels=["release", "state"],
    )
    failures = GaugeMetricFamily(
        "stapwatch_prepared_kernel_script_failed",
        "A script that does not compile for a kernel that was prepared. The reason is in the journal of "
        "stapwatch-prepare@RELEASE.service.",
        labels=["release", "script"],
    )
    for kernel in kernels:
        states.add_metric([readable(kernel.release), kernel.state.value], 1)
        for script in kernel.failed:
            failures.add_metric([readable(kernel.release), readable(script)], 1)
    yield states
    yield failures
