# SPDX-License-Identifier: GPL-2.0-or-later
"""The families about stores of modules: what this host has of each, and what it refuses.

    reports = StoreReports(Looks(spool.FOLDER), COUNTS, build_id)
    reports.families(("https://modules.example.org/store",))
      -> stapwatch_store_state{store="https://modules.example.org/store",state="ready"} 1 ...

`stapwatch sync` leaves what it has found in a file. What is refused when a module is loaded, this process or
the loader knows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from agent.store.looks import Look, Looks, StoreState
from agent.store.refusals import COUNTS, Refusal, RefusalCounts
from agent.store.spool import FOLDER
from runtime.support.escapes import readable
from runtime.support.record import asdict


@cache
def running_build_id() -> str:
    """The running kernel's build-id; "" if it cannot be read. No scrape reads it again."""
    from compiler.kernel import image
    from compiler.kernel.errors import KernelFactError

    try:
        return image.running_build_id().hex()
    except (KernelFactError, OSError):
        return ""


class StoreReports:
    """`counts`: what was refused besides what sync has refused. `build_id`: of the kernel that runs."""

    def __init__(
        self,
        looks: Looks | None = None,
        counts: RefusalCounts = COUNTS,
        build_id: Callable[[], str] = running_build_id,
    ) -> None:
        self._looks = looks or Looks(FOLDER)
        self._counts, self._build_id = counts, build_id
        self._refused: Counter[tuple[str, str]] = Counter()  # since this process began
        self._seen = dict(self._looks.refused())  # sync's counts, which are older than this process

    def looks(self, urls: Iterable[str]) -> list[Look]:
        """The last looks at these stores, for the running kernel."""
        wanted = list(urls)
        if not wanted:
            return []
        known, here = self._looks.all(), self._build_id()
        return [known.get((url, here), Look(url, here)) for url in wanted]

    def families(self, urls: Sequence[str] = ()) -> Iterable[Metric]:
        """Without stores no family has a sample."""
        looks = self.looks(urls)
        state = GaugeMetricFamily(
            "stapwatch_store_state",
            "State of a store of modules for the running kernel, as the last look found it: 1 for that "
            "state, else 0.",
            labels=["store", "state"],
        )
        succeeded = GaugeMetricFamily(
            "stapwatch_store_last_success_timestamp_seconds",
            "Time of the last look at the store that succeeded, in seconds since 1970; 0: none has.",
            labels=["store"],
        )
        modules = GaugeMetricFamily(
            "stapwatch_store_modules",
            "Modules of the store for this host's scripts and the running kernel that are fetched.",
            labels=["store"],
        )
        refused = CounterMetricFamily(
            "stapwatch_store_refused",
            "Catalogues and modules of the store that were refused when they were fetched or loaded.",
            labels=["store", "reason"],
        )
        self._count()
        for look in looks:
            store = readable(look.url)
            for known in StoreState:
                state.add_metric([store, known.value], int(look.state is known))
            succeeded.add_metric([store], look.succeeded)
            modules.add_metric([store], look.modules)
            for reason in Refusal:
                refused.add_metric([store, reason.value], self._refused[look.url, reason.value])
        return state, succeeded, modules, refused

    def _count(self) -> None:
        """Sync's counts outlive agents, so only what they rise by is counted."""
        now = dict(self._looks.refused())
        for key, count in now.items():
            before = self._seen.get(key, 0)
            self._refused[key] += count - before if count >= before else count
        self._seen = now
        for key, count in self._counts.taken().items():
            self._refused[key] += count

    def trees(self, urls: Iterable[str]) -> list[dict[str, Any]]:
        """For `/status`."""
        return [{**asdict(look), "state": look.state.value} for look in self.looks(urls)]
