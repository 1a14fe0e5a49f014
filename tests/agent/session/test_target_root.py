# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether the process of -x sees other files, and those that it sees."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.session.target_root import TargetRoot
from compiler.userspace.program_files import Files

HOLD = "mount -t tmpfs none /mnt && cp /bin/sh /mnt/only-there && echo ready && read x"


@pytest.fixture
def contained() -> Iterator[int]:
    """A process with a mount namespace of its own, in which there is a program that is nowhere else."""
    if os.geteuid() or not shutil.which("unshare"):
        pytest.skip("needs root, and unshare")
    argv = ["unshare", "-m", "sh", "-c", HOLD]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        if process.stdout.readline() != b"ready\n":
            pytest.skip("no mount namespaces here")
        yield process.pid
        process.kill()


def test_programs_are_those_that_the_target_sees(contained: int) -> None:
    with TargetRoot.of(contained) as root:
        assert root is not None and root.seen_at == f"/proc/{contained}/root"
        files = Files(Path(root.folder), "/mnt/only-there", root.seen_at)
        [path] = files.find("/mnt/only-t*")
        assert path == f"/proc/{contained}/root/mnt/only-there"
        # by the path that the kernel gets, and by the one that the process knows
        assert files.read(path).read_bytes() == files.read("/mnt/only-there").read_bytes()
        assert files.find(path) == [path]
        assert Path(path).exists(), "the kernel finds it"
        assert files.find("/no/such") == []
    assert Files().find("/mnt/only-there") == []


@pytest.mark.parametrize("pid", [0, os.getpid(), (1 << 22) + 1], ids=["none", "our own", "no such"])
def test_the_same_files_need_nothing(pid: int) -> None:
    with TargetRoot.of(pid) as root:
        assert root is None
