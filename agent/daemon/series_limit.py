# SPDX-License-Identifier: GPL-2.0-or-later
"""The budgets of series: which elements are left out of the page, the newest ones.

    admitted([Wanted("vfs", "reads", 300_000), Wanted("vfs", "errors", 2)], {}, {"vfs": 200_000}, None)
    -> {("vfs", "reads"): 199_998, ("vfs", "errors"): 2}

A slot stays an element's as long as it lives, so the first slots of an array are its oldest elements. What
has been served once goes on being served; what is new gets what is left, in equal parts, and a global that
needs less than its part leaves the rest to the others. So a storm of new keys costs no series that somebody
already reads, and no scrape fails.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from agent.config.settings import Settings
from agent.exposition.render import Exposition, Key, by_member
from agent.exposition.selection import first
from agent.log_messages import Message
from agent.log_sinks import log
from agent.scripts.script import Script
from runtime.reader.table import TableValues
from runtime.support.record import record


@record
class Wanted:
    """The elements of one global, and the samples of each."""

    script: str
    table: str
    elements: int
    samples: int = 1

    @property
    def key(self) -> Key:
        return self.script, self.table


def admitted(
    wanted: Iterable[Wanted],
    before: Mapping[Key, int],
    limits: Mapping[str, int | None],
    total: int | None,
) -> dict[Key, int]:
    """The elements of each global that are served. `before`: those of the last page. None: no limit."""
    all_ = list(wanted)
    samples = {w.key: w.samples for w in all_}
    found: dict[Key, int] = {}
    for script in dict.fromkeys(w.script for w in all_):
        mine = {w.key: w.elements for w in all_ if w.script == script}
        found |= _within(mine, before, samples, limits.get(script))
    return _within(found, before, samples, total)


def _within(
    wanted: Mapping[Key, int],
    before: Mapping[Key, int],
    samples: Mapping[Key, int],
    limit: int | None,
) -> dict[Key, int]:
    """So many elements that all samples together are within a limit; those of `before` come first."""
    if limit is None or sum(n * samples[key] for key, n in wanted.items()) <= limit:
        return dict(wanted)
    kept = _shares({k: min(n, before.get(k, 0)) for k, n in wanted.items()}, samples, limit)
    left = limit - sum(n * samples[key] for key, n in kept.items())
    new = _shares({k: n - kept[k] for k, n in wanted.items()}, samples, left)
    return {key: n + new[key] for key, n in kept.items()}


def _shares(wanted: Mapping[Key, int], samples: Mapping[Key, int], limit: int) -> dict[Key, int]:
    """Equal parts of a limit, but for what needs less."""
    shares, left = {}, limit
    ordered = sorted(wanted, key=lambda key: (wanted[key] * samples[key], key))
    for n, key in enumerate(ordered):
        shares[key] = min(wanted[key], -(-left // (len(ordered) - n)) // samples[key])
        left -= shares[key] * samples[key]
    return shares


class SeriesLimit:
    """Applies the budgets at each scrape, and reports what changes."""

    def __init__(self, scripts: Mapping[str, Script]) -> None:
        self._scripts = scripts
        self._before: dict[Key, int] = {}
        self._told: set[Key] = set()  # globals that are known to be incomplete

    def apply(
        self, exposition: Exposition, values: Mapping[Key, TableValues], settings: Settings
    ) -> dict[Key, TableValues]:
        """The values without the elements that are left out."""
        found = [
            Wanted(member.script, member.table.name, elements, samples)
            for member, elements, samples in exposition.elements(by_member(values))
        ]
        limits = {name: script.settings.budgets.series for name, script in self._scripts.items()}
        served = admitted(found, self._before, limits, settings.total.series)
        self._before = served
        self._note(found, served, settings.total.series)
        return {key: first(v, served[key]) for key, v in values.items()}

    def _note(self, found: list[Wanted], served: Mapping[Key, int], total: int | None) -> None:
        cut = {w.key: w for w in found if served[w.key] < w.elements}
        for name, script in self._scripts.items():
            mine = [w for w in cut.values() if w.script == name]
            script.series = sum(w.elements * w.samples for w in found if w.script == name)
            script.series_left_out = sum((w.elements - served[w.key]) * w.samples for w in mine)
            limit = script.settings.budgets.series
            script.left_out = tuple(_text(w, served[w.key], limit, total) for w in mine)
            for w, text in zip(mine, script.left_out, strict=True):
                if w.key not in self._told:
                    log().warning(
                        f"script {name}: {text}",
                        message_id=Message.SERIES_LEFT_OUT,
                        script=name,
                        budget="series",
                        value=w.elements * w.samples,
                    )
        for name, table in sorted(self._told - cut.keys()):
            if name in self._scripts:
                whole = f"script {name}: global '{table}' is served whole again"
                log().info(whole, message_id=Message.SERIES_SERVED, script=name)
        self._told = set(cut)


def _text(wanted: Wanted, served: int, limit: int | None, total: int | None) -> str:
    budgets = [f"{limit:,} of the script" if limit is not None else ""]
    budgets.append(f"{total:,} of all scripts" if total is not None else "")
    series, kept = wanted.elements * wanted.samples, served * wanted.samples
    return (
        f"global '{wanted.table}' is served in part: {kept:,} of its {series:,} series fit the budget series "
        f"({', '.join(filter(None, budgets))}), and the newest are left out; use fewer keys, or raise it"
    )
