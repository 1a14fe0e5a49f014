# SPDX-License-Identifier: GPL-2.0-or-later
"""The input and the result of a build.

BuildInput(module="stapwatch_reads", c_text="#include ...", manifest="{...}", kernel=kernel)
  -> BuildResult("ab12...", path=.../stapwatch_reads.ko, tier=Tier.FAST, cached=False, seconds=0.11)
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from compiler.arch import Arch
from compiler.kernel.btf import Btf
from compiler.modbuild.errors import BuildError
from runtime.support.lazy_regex import pattern
from runtime.support.record import record
from runtime.support.str_enum import StrEnum

NAME_SIZE = 56  # the kernel's MODULE_NAME_LEN, the final NUL included
_NAME = pattern(r"[a-z][a-z0-9_]*\Z")


class Tier(StrEnum):
    """The way in which a module was made."""

    FAST = "fast"  # prebuilt runtime object, the kernel's own commands without make
    KBUILD = "kbuild"  # the kernel's build system


class KernelFacts(Protocol):
    """The facts about a kernel that a build needs; compiler.kernel.kernel.Kernel has them.

    `headers` is the folder that the link /lib/modules/RELEASE/build names, or None.
    """

    @property
    def arch(self) -> Arch: ...
    @property
    def release(self) -> str: ...
    @property
    def build_id(self) -> bytes: ...
    @property
    def headers(self) -> Path | None: ...
    @property
    def btf(self) -> Btf: ...


@record
class BuildInput:
    """One script's C and manifest. `embedded`: it holds embedded C, which needs kernel headers."""

    module: str
    c_text: str
    manifest: str
    kernel: KernelFacts
    embedded: bool = False
    cflags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not _NAME.match(self.module) or len(self.module) >= NAME_SIZE:
            raise BuildError(
                "bad-module-name",
                f"'{self.module}' cannot name a module",
                f"use a-z, 0-9 and _, a letter first, at most {NAME_SIZE - 1} characters",
            )


@record
class BuildResult:
    """`key` is the module's key in the cache, `path` its file there, which may be evicted later: open it
    soon. `seconds` is wall time. A change of one of the files `inputs` makes another module.

    `warnings` are lines for the user, such as the reason why the slower tier was used.
    """

    key: str
    path: Path
    tier: Tier
    cached: bool
    seconds: float
    warnings: tuple[str, ...] = ()
    inputs: tuple[Path, ...] = ()
