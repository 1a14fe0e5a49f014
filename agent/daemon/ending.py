# SPDX-License-Identifier: GPL-2.0-or-later
"""Is the service being stopped, or will another agent follow? Both are a SIGTERM.

    await asked(signal.SIGTERM)  -> Ending.RESTART   # systemctl restart: modules stay loaded
                                 -> Ending.STOP      # systemctl stop, a shutdown: modules are unloaded

systemd has a job for the unit, and its type tells: "stop" when the unit is stopped, be it by a person, the
removal of the package or a shutdown; "restart" or "start" when it is to run again. Without a job the agent
cannot know: somebody sent the signal, or systemd ends the unit for a reason of its own (out of memory, the
watchdog). Then modules stay, because nothing is lost that way: the unit has Restart=always, and what it
leaves at a real stop is unloaded by stapwatch-modules.service, or by `stapwatch unload`.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from enum import Enum
from functools import partial
from pathlib import Path

from agent.log_messages import Message
from agent.log_sinks import log
from agent.scripts import loader_client, systemd_jobs
from agent.scripts.loader_calls import SOCKET
from agent.scripts.loader_client import LoaderError
from agent.scripts.systemd_jobs import SystemdError, unit

_CGROUP = Path("/proc/self/cgroup")
# seconds for the loader, which systemd may have to start, and may not at a shutdown
_PATIENCE = 20.0
_SYSTEMD = Path("/run/systemd/system")  # exists where systemd is PID 1: sd_booted(3)


class Ending(Enum):
    STOP = "stop"  # modules are unloaded
    RESTART = "restart"  # modules stay loaded for the agent that follows


async def asked(number: int) -> Ending:
    """The ending that a signal asks for. SIGINT comes from a person at a terminal: a stop."""
    if number == signal.SIGINT:
        return Ending.STOP
    name = unit(_CGROUP)
    if name is None or not _SYSTEMD.exists():
        _warn(
            "ended by a signal, and no systemd says whether it is a stop: modules stay loaded for the next "
            "agent; to unload them: stapwatch unload"
        )
        return Ending.RESTART
    kind = await _job(name)
    if kind is None:
        _warn(
            "it is unknown whether this is a stop: modules stay loaded for the next agent; at a stop "
            "stapwatch-modules.service unloads them"
        )
    elif not kind:
        _warn(f"systemd has no job for {name}: modules stay loaded for the next agent")
    return Ending.STOP if kind == "stop" else Ending.RESTART


async def close_port() -> None:
    """At a stop, stop the unit's socket as well: else whoever connects now would start the service again."""
    if (name := unit(_CGROUP)) is not None and _SYSTEMD.exists():
        await _asked({"do": "close_port"}, partial(systemd_jobs.close_port, name))


async def _job(name: str) -> str | None:
    """The type of the unit's job; "" if it has none; None if systemd does not tell."""
    return await _asked({"do": "job"}, partial(systemd_jobs.job, name))


async def _asked(call: dict[str, object], here: Callable[[], str | None]) -> str | None:
    """systemd listens to root, and to others only where there is a D-Bus: then the loader asks it."""
    try:
        if not loader_client.is_needed():
            return await asyncio.to_thread(here)
        return str((await asyncio.to_thread(loader_client.ask, SOCKET, call, _PATIENCE))[0] or "")
    except (SystemdError, LoaderError) as error:
        _warn(str(error), Message.SYSTEMCTL_FAILED)
        return None


def _warn(text: str, message: Message = Message.STOP_UNCLEAR) -> None:
    log().warning(text, message_id=message)
