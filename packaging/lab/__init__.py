# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab: a QEMU guest with Debian and systemd, as a real kernel to load modules into.

with Guest.boot(Image.ensure("6.1")) as guest:
    print(guest.run("uname -r").stdout)        # -> 6.1.0-56-amd64
"""

from lab.guest import CommandFailed, CommandTimeout, Completed, Guest, GuestDied, Share
from lab.host import LabError
from lab.image import KERNELS, Image
from lab.suites import DEFAULT_KERNEL, SUITES, Suite

__all__ = [
    "DEFAULT_KERNEL",
    "KERNELS",
    "SUITES",
    "CommandFailed",
    "CommandTimeout",
    "Completed",
    "Guest",
    "GuestDied",
    "Image",
    "LabError",
    "Share",
    "Suite",
]
