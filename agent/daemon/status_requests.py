# SPDX-License-Identifier: GPL-2.0-or-later
"""Answers the requests for `/status`, which the status page sends as well (agent/web/page).

/status                     all scripts, from the counters that there are
/status?seconds=1           the same after a second, with the rates of that second
/status?script=vfs          only this script, with its metrics, hooks and losses
/status?script=vfs&parts=values,text,lines&lines_after=17
                            also its metrics' values, its text, and the log lines after number 17

Nothing is measured while nobody asks: a request for rates waits for so long, and others are answered.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any
from urllib.parse import parse_qsl

from agent.daemon import rates, script_details, script_reports, script_values, status_tree
from agent.daemon.rates import MOST_SECONDS, Rates
from agent.daemon.rollout import Rollout
from agent.daemon.self_metrics import Health
from agent.daemon.store_metrics import StoreReports
from agent.daemon.supervisor import Supervisor
from agent.exposition.render import Exposition, Key, Reader, by_member
from agent.scripts.script import Script
from agent.web.http_message import Request, Response
from runtime.reader.snapshot import Snapshot
from runtime.reader.table import TableValues
from runtime.support.record import asdict

_JSON = "application/json"
_PARTS = ("values", "text", "lines")


class StatusRequests:
    """`snapshots`: one of each of these scripts that has a module. `agent`: readiness and addresses now.
    `counted`: the elements of the families' tables, as many as there are series. `shown`: snapshots
    of these scripts, and their values as a page of metrics has them."""

    def __init__(
        self,
        supervisor: Supervisor,
        rollout: Rollout,
        health: Health,
        snapshots: Callable[[Mapping[str, Script]], Awaitable[dict[str, Snapshot]]],
        agent: Callable[[], tuple[bool, tuple[str, ...]]],
        counted: Callable[[Exposition, Mapping[str, Snapshot]], Mapping[Key, TableValues]],
        shown: Callable[
            [Mapping[str, Script]], Awaitable[tuple[Exposition, dict[str, Snapshot], Reader]]
        ],
        stores: StoreReports | None = None,
    ) -> None:
        self._stores = stores or StoreReports()
        self._supervisor, self._rollout, self._health = supervisor, rollout, health
        self._snapshots, self._agent, self._counted = snapshots, agent, counted
        self._shown = shown

    async def tree(self, request: Request) -> Response:
        """400 for a wrong number of seconds, 404 if there is no such script."""
        query = dict(parse_qsl(request.query))
        scripts: Mapping[str, Script] = self._supervisor.scripts
        try:
            seconds = _seconds(query.get("seconds", ""))
        except ValueError:
            return Response(400, f"seconds= is a number up to {MOST_SECONDS:g}\n".encode())
        name = query.get("script", "")
        if name:
            if name not in scripts and name not in self._rollout.decisions:
                return Response(404, f"{script_reports.unknown(name, scripts)}\n".encode())
            scripts = {n: s for n, s in scripts.items() if n == name}
        parts = query.get("parts", "").split(",") if "parts" in query else []
        if not set(parts) <= set(_PARTS) or (parts and not name):
            text = f"parts= is a list of {', '.join(_PARTS)}, of one script=\n"
            return Response(400, text.encode())
        found = await rates.measure(scripts, seconds) if seconds else {}
        tree = await self._tree(scripts, found, name, parts, query.get("lines_after", ""))
        body = await asyncio.to_thread(json.dumps, tree) if parts else json.dumps(tree)
        return Response(200, body.encode() + b"\n", _JSON)

    async def _tree(
        self,
        scripts: Mapping[str, Script],
        found: Mapping[str, Rates] | None = None,
        only: str = "",
        parts: Collection[str] = (),
        lines_after: str = "",
    ) -> dict[str, Any]:
        self._health.state_problem = self._supervisor.arming.problem
        exposition, shown = self._supervisor.exposition, None
        if "values" in parts:
            exposition, snapshots, shown = await self._shown(scripts)
        else:
            snapshots = await self._snapshots(scripts)
        read = by_member(self._counted(exposition, snapshots))
        sizes = script_details.sizes(exposition, read)
        series = script_details.series(sizes, snapshots)
        ready, addresses = self._agent()
        tree = status_tree.status(self._health, ready, addresses, scripts, snapshots, found, series)
        if only:
            for name, entry in ((e["name"], e) for e in tree["scripts"]):
                entry |= status_tree.with_readable_texts(
                    script_details.details(
                        scripts[name],
                        snapshots.get(name),
                        exposition,
                        sizes,
                        (found or {}).get(name),
                    )
                )
                if shown is not None:
                    entry |= await asyncio.to_thread(_values, name, exposition, shown)
                entry |= await _parts(scripts[name], parts, lines_after)
        rollout = self._rollout.status()
        stores = self._stores.trees(self._supervisor.settings.stores.here)
        return {
            **tree,
            "rollout": [e for e in rollout if only in ("", e["name"])],
            **status_tree.with_readable_texts({"stores": stores}),
        }


def _values(script: str, exposition: Exposition, read: Reader) -> dict[str, Any]:
    """It takes long for many elements: use a thread."""
    found = script_values.values(script, exposition, read)
    return status_tree.with_readable_texts({"values": found})


async def _parts(script: Script, parts: Collection[str], lines_after: str) -> dict[str, Any]:
    """The text and the last lines, if they are asked for. Files are read in a thread."""
    tree: dict[str, Any] = {}
    if "text" in parts:
        tree |= await asyncio.to_thread(script_details.text, script)
    if "lines" in parts:
        number = int(lines_after) if lines_after.isdecimal() else 0
        tree["lines"] = [asdict(line) for line in script.log.recent.after(number)]
    return status_tree.with_readable_texts(tree)


def _seconds(text: str) -> float:
    """0: nothing is to be measured. Raises ValueError."""
    seconds = float(text or 0)
    if not 0 <= seconds <= MOST_SECONDS:
        raise ValueError(text)
    return seconds
