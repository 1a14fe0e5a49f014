# SPDX-License-Identifier: GPL-2.0-or-later
"""The small kernel that golden cases are compiled for: kernel.c's type information."""

from __future__ import annotations

import subprocess
import tempfile
from functools import cache, cached_property
from pathlib import Path

from compiler.arch.x86_64 import ARCH as X86_64
from compiler.kernel.btf import Btf
from compiler.kernel.kernel import Kernel
from compiler.kernel.symbols import Symbols
from compiler.kernel.text_offsets import TextOffsets
from compiler.support.elf import Elf
from runtime.support.record import record

SOURCE = Path(__file__).with_name("kernel.c")


@record
class GoldenKernel(Kernel):
    """A kernel without files: `types` is its BTF."""

    types: bytes = b""

    @cached_property
    def btf(self) -> Btf:
        return Btf(self.types)

    @cached_property
    def build_id(self) -> bytes:
        return bytes(range(20))

    @cached_property
    def text_offsets(self) -> TextOffsets:
        """Functions that no probe may be put on; no offsets are known."""
        known = ("__fentry__", "ftrace_caller", "return_to_handler")
        names = [*known, *(f"filler{i}" for i in range(200))]
        lines = [f"{0xFFFFFFFF81000000 + 64 * i:016x} T {name}" for i, name in enumerate(names)]
        return TextOffsets.of(Symbols("\n".join(lines).encode(), "the golden kernel"), self.arch)

    @cached_property
    def trace_systems(self) -> dict[str, str]:
        return {"sched_switch": "sched", "sys_enter": "raw_syscalls"}


@cache
def golden_kernel(source: Path = SOURCE) -> Kernel:
    """A Kernel whose facts come from kernel.c, compiled with -gbtf; or from another file like it."""
    with tempfile.TemporaryDirectory() as name:
        made = Path(name) / "kernel.o"
        subprocess.run(["gcc", "-gbtf", "-O1", "-c", "-w", "-o", made, source], check=True)
        types = Elf(made.read_bytes()).contents(".BTF")
    return GoldenKernel("6.1.0-golden", X86_64, Path(name), is_running=False, types=types)
