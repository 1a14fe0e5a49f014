# SPDX-License-Identifier: GPL-2.0-or-later
"""Answers the requests for `/` and `/status`.

/status                     all scripts, from the counters that there are
/status?seconds=1           the same after a second, with the rates of that second
/status?script=vfs          only this script, with its metrics, hooks and losses

Nothing is measured while nobody asks: a request for rates waits for so long, and others are answered.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from agent.daemon import rates, script_details, script_reports, status_page, status_tree
from agent.daemon.rates import MOST_SECONDS, Rates
from agent.daemon.rollout import Rollout
from agent.daemon.self_metrics import Health
from agent.daemon.store_metrics import StoreReports
from agent.daemon.supervisor import Supervisor
from agent.scripts.script import Script
from agent.web.http_message import Request, Response
from runtime.reader.snapshot import Snapshot

_JSON = "application/json"
_HTML = "text/html; charset=utf-8"


class StatusRequests:
    """`snapshots`: one of each of these scripts that has a module. `agent`: readiness and addresses now."""

    def __init__(
        self,
        supervisor: Supervisor,
        rollout: Rollout,
        health: Health,
        snapshots: Callable[[Mapping[str, Script]], Awaitable[dict[str, Snapshot]]],
        agent: Callable[[], tuple[bool, tuple[str, ...]]],
        stores: StoreReports | None = None,
    ) -> None:
        self._stores = stores or StoreReports()
        self._supervisor, self._rollout, self._health = supervisor, rollout, health
        self._snapshots, self._agent = snapshots, agent

    async def page(self) -> Response:
        return Response(200, status_page.page(await self._tree(self._supervisor.scripts)), _HTML)

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
        found = await rates.measure(scripts, seconds) if seconds else {}
        tree = await self._tree(scripts, found, name)
        return Response(200, json.dumps(tree).encode() + b"\n", _JSON)

    async def _tree(
        self,
        scripts: Mapping[str, Script],
        found: Mapping[str, Rates] | None = None,
        only: str = "",
    ) -> dict[str, Any]:
        self._health.state_problem = self._supervisor.arming.problem
        exposition, snapshots = self._supervisor.exposition, await self._snapshots(scripts)
        series = script_details.series(exposition, snapshots)
        ready, addresses = self._agent()
        tree = status_tree.status(self._health, ready, addresses, scripts, snapshots, found, series)
        if only:
            for name, entry in ((e["name"], e) for e in tree["scripts"]):
                entry |= status_tree.with_readable_texts(
                    script_details.details(
                        scripts[name], snapshots.get(name), exposition, (found or {}).get(name)
                    )
                )
        rollout = self._rollout.status()
        stores = self._stores.trees(self._supervisor.settings.stores.here)
        return {
            **tree,
            "rollout": [e for e in rollout if only in ("", e["name"])],
            **status_tree.with_readable_texts({"stores": stores}),
        }


def _seconds(text: str) -> float:
    """0: nothing is to be measured. Raises ValueError."""
    seconds = float(text or 0)
    if not 0 <= seconds <= MOST_SECONDS:
        raise ValueError(text)
    return seconds
