# SPDX-License-Identifier: GPL-2.0-or-later
"""The small kernel that golden cases are compiled for: kernel.c's type information."""

from __future__ import annotations

import subprocess
import tempfile
from functools import cache
from pathlib import Path

from compiler.kernel.btf import Btf
from compiler.kernel.kernel import Kernel
from runtime.elf import section

SOURCE = Path(__file__).with_name("kernel.c")


@cache
def golden_kernel() -> Kernel:
    """A Kernel whose facts come from kernel.c, compiled with -gbtf."""
    with tempfile.TemporaryDirectory() as name:
        made = Path(name) / "kernel.o"
        subprocess.run(["gcc", "-gbtf", "-O1", "-c", "-w", "-o", made, SOURCE], check=True)
        btf = section(made.read_bytes(), ".BTF")
    assert btf is not None
    kernel = Kernel("6.1.0-golden", "x86_64", Path(name), is_running=False)
    kernel.__dict__["btf"] = Btf(btf)
    kernel.__dict__["build_id"] = bytes(range(20))
    kernel.__dict__["trace_systems"] = {"sched_switch": "sched", "sys_enter": "raw_syscalls"}
    return kernel
