# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernels that a guest can run: the Debian suite of each, and its differences.

suite_for("6.1") -> Suite(kernel="6.1", name="bookworm", ...). Adding a suite = adding one row.
A kernel that is not a suite's own is a row of flavours.py.
"""

from __future__ import annotations

from dataclasses import dataclass

from lab.host import LabError

DEFAULT_KERNEL = "6.1"

# packages of every guest, besides Debian's essential ones
PACKAGES = (
    "systemd",
    "systemd-sysv",
    "busybox-static",  # the initramfs runs on it
    "linux-image-amd64",
    "linux-headers-amd64",  # brings the gcc that the kernel was built with
    "gcc",
    "make",
    "binutils",
    "libc6-dev",
    "python3",
    "iproute2",
    "kmod",
    "procps",
    "xz-utils",
)


@dataclass(frozen=True, slots=True)
class Suite:
    """One guest: a kernel series, the suite it comes from and its differences.

    `updates` and `security`: whether the suite has those two companions in the archive.
    `valid_until`: whether the suite's index may be refused for its age; a rolling suite that is
    served from a frozen mirror is always too old. Signatures are checked in any case.
    `compilers`: the kernel's headers sometimes want a gcc other than the suite's default one; the
    metapackage linux-headers-amd64 depends on it, so nothing needs naming here.
    """

    kernel: str
    name: str
    extra: tuple[str, ...] = ()
    updates: bool = True
    security: bool = True
    valid_until: bool = True

    @property
    def packages(self) -> tuple[str, ...]:
        return (*PACKAGES, *self.extra)


SUITES = {
    suite.kernel: suite
    for suite in (
        Suite("6.1", "bookworm", extra=("prometheus",)),
        Suite("6.12", "trixie"),
        # linux-image-amd64 is only a name there: linux-binary-* and linux-modules-* have the files
        # (modules compressed as .ko.xz), and the dependencies bring them
        Suite("7.2", "sid", updates=False, security=False, valid_until=False),
    )
}


def suite_for(kernel: str) -> Suite:
    """Find a suite by kernel series ("6.12") or by suite name ("trixie")."""
    for suite in SUITES.values():
        if kernel in (suite.kernel, suite.name):
            return suite
    raise LabError(f"no suite for kernel '{kernel}'; known: {', '.join(SUITES)}")
