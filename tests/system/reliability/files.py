# SPDX-License-Identifier: GPL-2.0-or-later
"""Disks, caches, folders, modules, the journal and the clock go wrong."""

from __future__ import annotations

from tests.system.reliability.load import SIZES
from tests.system.reliability.scene import SCRIPTS, Scene

FILLER = "/var/cache/filler"
VERSION_1 = f"{SCRIPTS}/version-1"  # of the script `sizes`, written while there is room
FILL = f"""
set -e
free=$(df --output=avail -B1M / | tail -n 1)
fallocate -l $((free - 8))M {FILLER}
! cat /dev/zero >>{FILLER}
"""
FOLDERS = "/var/cache/stapwatch /var/lib/stapwatch"
# versions of the script `sizes`: those of the cache that are damaged, and those that nobody has compiled
REFUSED, CORRUPT, UNKNOWN = 2, 3, 20


def fill_disk(scene: Scene) -> None:
    """What is in the cache is loaded; what is to be compiled fails, and the old version goes on."""
    scene.guest.push_text(SIZES % 1, VERSION_1)
    scene.write_sizes(UNKNOWN)  # the disk has no room for it afterwards
    scene.shell(FILL)
    try:
        scene.service.reload_in_vain()
        assert scene.states()["sizes"] == "outdated"
        scene.shell(f"mv {VERSION_1} {SCRIPTS}/sizes.stp")
        scene.service.reload()
    finally:
        scene.shell(f"rm {FILLER}")
    scene.write_sizes(0)
    scene.service.reload()


def corrupt_cache(scene: Scene) -> None:
    """The module of a version in the cache has another byte."""
    name = scene.names[CORRUPT]
    find = f"find /var/cache/stapwatch/entries -name '{name}.ko'"
    scene.shell(f"printf x | dd of=$({find}) bs=1 seek=100 conv=notrunc status=none")
    scene.write_sizes(CORRUPT)
    scene.service.reload()
    assert scene.states()["sizes"] == "running"
    scene.write_sizes(0)
    scene.service.reload()


def lock_folders(scene: Scene) -> None:
    """The agent has no capability to write what its mode forbids."""
    scene.shell(f"chmod -R a-w {FOLDERS}")
    try:
        scene.write_sizes(1)
        scene.service.reload()
        assert scene.service.value("stapwatch_state_folder_writable") == 0
    finally:
        scene.shell(f"chmod -R u+w {FOLDERS}")
    scene.write_sizes(0)
    scene.service.reload()
    assert scene.service.value("stapwatch_state_folder_writable") == 1


def refuse_module(scene: Scene) -> None:
    """It says that it was built for another kernel."""
    scene.write_sizes(REFUSED)
    scene.service.reload_in_vain()
    assert scene.states()["sizes"] == "outdated"
    scene.write_sizes(0)
    scene.service.reload()


def stop_journald(scene: Scene) -> None:
    """It takes nothing for a while, and is restarted then."""
    scene.shell("systemctl kill -s STOP systemd-journald")
    scene.load.make("lines", 200)
    scene.load.go()
    for _ in range(3):
        assert scene.service.get("/metrics").status == 200
    scene.shell("systemctl kill -s CONT systemd-journald && systemctl restart systemd-journald")


def jump(scene: Scene) -> None:
    """An hour forward, two back, and right again."""
    for move in ("+1 hour", "-2 hours"):
        scene.shell(f"date -s '{move}'")
        scene.load.make("lines", 5)
        scene.load.go()
        assert scene.service.get("/metrics").status == 200
        scene.service.systemctl("reload", "stapwatch").check()
    scene.guest.set_clock()
