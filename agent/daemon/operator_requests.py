# SPDX-License-Identifier: GPL-2.0-or-later
"""What a person asks a running agent to do: `stapwatch arm`, `disarm`, `reload` and `sync --tell`.

    await requests.do(Request("POST", "/disarm", "script=vfs", {}))   -> 200 "script vfs is disarmed ..."

The requests come over the control socket only. The answer is 200, or 409 with the reason why not.
"""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qsl

from agent.daemon import script_reports
from agent.daemon.reload import Reloader
from agent.daemon.rollout import Rollout
from agent.daemon.supervisor import Supervisor
from agent.scripts.script import ScriptState
from agent.web.http_message import Request, Response

_ARMED = (ScriptState.RUNNING, ScriptState.OUTDATED)


class OperatorRequests:
    def __init__(self, supervisor: Supervisor, rollout: Rollout, reloader: Reloader) -> None:
        self._supervisor, self._rollout, self._reloader = supervisor, rollout, reloader

    async def do(self, request: Request) -> Response:
        query = dict(parse_qsl(request.query))
        match request.path:
            case "/reload":
                report = await asyncio.shield(self._reloader.reload("recompile" in query))
                done, text = report.is_good, report.text
            case "/arm":
                done, text = await self._supervisor.arm(query.get("script", ""))
                self._rollout.decide_again()
            case "/disarm":
                done, text = await self._disarm(query.get("script", ""))
                self._rollout.decide_again()
            case "/look-again":
                done, text = await self._supervisor.look_again()
            case _:
                return Response(404, b"not found\n")
        return Response(200 if done else 409, f"{text}\n".encode())

    async def _disarm(self, name: str) -> tuple[bool, str]:
        """Take a script's probes out until a person arms it. Whether that has worked, and what to say."""
        script = self._supervisor.scripts.get(name)
        if script is None:
            return False, script_reports.unknown(name, self._supervisor.scripts)
        if script.shown is ScriptState.EXITED:
            return False, f"script {name} has ended by itself: none of its probes is in the kernel"
        async with script.changing:
            await self._supervisor.arming.disarm(script)
        if script.shown in _ARMED:
            return False, f"script {name} is not disarmed: it is {script.shown}; the log says why"
        return True, f"script {name} is disarmed, until: stapwatch arm {name}"
