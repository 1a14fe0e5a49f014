# SPDX-License-Identifier: GPL-2.0-or-later
"""The files of -x's process, if it sees others than this one does: in a container, or behind chroot().

with TargetRoot.of(4242) as root:
    root.seen_at  -> "/proc/4242/root"     what the process sees as /, as the kernel finds it from here
    root.folder   -> "/proc/self/fd/7"     the same for this process and its children, without privileges
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runtime.support.record import record


@record
class TargetRoot:
    seen_at: str
    fd: int

    @property
    def folder(self) -> str:
        return f"/proc/self/fd/{self.fd}"

    @classmethod
    @contextmanager
    def of(cls, pid: int) -> Iterator[TargetRoot | None]:
        """None if there is no such process, or if it sees what this one sees."""
        try:
            fd = os.open(f"/proc/{pid}/root", os.O_PATH | os.O_DIRECTORY) if pid else -1
            differs = fd >= 0 and not _sees_the_same(pid, fd)
        except OSError:
            fd, differs = -1, False
        try:
            yield cls(f"/proc/{pid}/root", fd) if differs else None
        finally:
            if fd >= 0:
                os.close(fd)


def _sees_the_same(pid: int, fd: int) -> bool:
    ours, others = Path("/proc/self/ns/mnt"), Path(f"/proc/{pid}/ns/mnt")
    return ours.readlink() == others.readlink() and os.path.samestat(Path("/").stat(), os.fstat(fd))
