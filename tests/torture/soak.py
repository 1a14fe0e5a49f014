# SPDX-License-Identifier: GPL-2.0-or-later
"""The service at full speed for minutes: its memory stays as it is, and each event is counted or counted as lost.

soak("6.1", minutes=10, folder=tmp)   -> Soaked("33.1 MB after the warm-up, 33.2 MB at the end; ...", [])

Then the agent is stopped for a minute, and then until systemd's watchdog ends it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from lab import Guest, Image
from tests.lab_fixtures import project_guest
from tests.system.reliability.document import outcome
from tests.system.reliability.fault import Fault
from tests.system.reliability.scene import Moment, Scene
from tests.system.reliability.serving import serving
from tests.system.service import PORT, Service
from tests.system.setting import Setting

WARM_UP = 60.0  # seconds until caches and heaps have their size
EVERY = 5.0  # seconds between two looks at the memory
PORTION = 60.0  # seconds after which all lines are looked for: the journal keeps only so many
ROOM = 2048  # KiB that the agent may grow by
STOPPED = 60.0  # seconds
LINES = 2000  # more than the rings hold


@dataclass
class Soaked:
    summary: str = ""
    complaints: list[str] = field(default_factory=list)


def soak(kernel: str, minutes: float, folder: Path) -> Soaked:
    """Raises LabError if there is no guest to be had."""
    found = Soaked()
    image = Image.ensure(kernel)
    with project_guest(image) as guest:
        service = Service(guest, guest.forward(PORT))
        with serving(guest, Setting(folder / "setting", image), service, folder) as scene:
            try:
                parts = [full_speed(scene, 60 * minutes, found), stopped(scene), hanging(scene)]
                found.summary = "; ".join(parts)
            except AssertionError as error:
                found.complaints.append(f"soak: {error}")
        found.complaints += complaints(guest)
    return found


def full_speed(scene: Scene, seconds: float, found: Soaked) -> str:
    pid = scene.agent()
    sizes: list[int] = []
    totals = [portion(scene, WARM_UP, [])]
    for _ in range(max(1, round(seconds / PORTION))):
        totals.append(portion(scene, PORTION, sizes))
    assert scene.agent() == pid
    grown = growth(sizes)
    if grown > ROOM:
        found.complaints.append(f"soak: the agent grew by {grown} KiB: {sizes}")
    return f"agent of {sizes[-1]} KiB, grown by {grown}; minute by minute: {'; '.join(totals)}"


def portion(scene: Scene, seconds: float, sizes: list[int]) -> str:
    """`sizes` gets the agent's memory, in KiB."""
    before = scene.now()
    scene.load.rush()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sizes.append(resident(scene, scene.agent()))
        time.sleep(EVERY)
    return events(scene, before)


def stopped(scene: Scene) -> str:
    """The agent reads nothing for a minute, and goes on. systemd's watchdog would end it."""
    before = scene.now()
    pid = scene.agent()
    scene.shell(f"systemctl service-watchdogs no && kill -STOP {pid}")
    scene.load.make("lines", LINES)
    time.sleep(STOPPED)
    scene.shell(f"kill -CONT {pid} && systemctl service-watchdogs yes")
    scene.all_run()
    assert scene.agent() == pid
    return f"stopped for {STOPPED:.0f} s: {events(scene, before)}"


def hanging(scene: Scene) -> str:
    """The agent hangs until systemd's watchdog ends it; its successor adopts the modules."""
    before = scene.now()
    pid = scene.agent()
    scene.shell(f"kill -STOP {pid}")
    scene.load.make("lines", LINES)
    scene.agent_after(pid)
    return f"ended by the watchdog: {events(scene, before)}"


def events(scene: Scene, before: Moment) -> str:
    """What was made and counted. Raises AssertionError if that differs by more than what was counted as lost."""
    fault = Fault("soak", lambda scene: None, "", "", "", repeated=2000)
    cost = scene.cost(fault, before)
    assert cost.lost.keys() <= {"event"}, cost.lost
    assert not any(cost.resets.values()), cost.resets
    return ", ".join(outcome(cost))


def resident(scene: Scene, pid: str) -> int:
    """KiB."""
    return int(scene.shell(f"awk '/^VmRSS/ {{ print $2 }}' /proc/{pid}/status"))


def growth(sizes: Sequence[int]) -> int:
    """From the first tenth to the last one."""
    part = max(1, len(sizes) // 10)
    return int(median(sizes[-part:]) - median(sizes[:part]))


def complaints(guest: Guest) -> list[str]:
    return [f"soak: {line}" for line in guest.complaints()]
