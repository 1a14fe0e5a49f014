# SPDX-License-Identifier: GPL-2.0-or-later
"""A real kernel's headers and types, builders, and a small stand-in runtime that does not change.

The headers of this machine are used (apt install linux-headers-amd64); types and build-id come
from the same kernel's image, out of the lab's cache.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import pytest

from compiler.arch import Arch
from compiler.kernel.btf import Btf
from compiler.kernel.kernel import Kernel
from compiler.modbuild.builder import Builder
from compiler.modbuild.request import BuildInput
from compiler.modbuild.runtime_sources import Sources
from compiler.support.content_store import Cache
from lab import Image
from runtime.support.record import record

HERE = Path(__file__).parent


@record
class Facts:
    """A kernel in another root folder; modules for it are built with this machine's headers."""

    kernel: Kernel
    headers: Path | None

    @property
    def arch(self) -> Arch:
        return self.kernel.arch

    @property
    def release(self) -> str:
        return self.kernel.release

    @property
    def build_id(self) -> bytes:
        return self.kernel.build_id

    @cached_property
    def btf(self) -> Btf:
        return self.kernel.btf


@pytest.fixture(scope="session")
def facts() -> Facts:
    image = Image.ensure()
    headers = Path("/lib/modules") / image.release / "build"
    if not (headers / "Makefile").exists():
        pytest.fail(f"no kernel headers here: apt install linux-headers-{image.release}")
    return Facts(Kernel.from_root(image.rootfs, image.release), headers.resolve())


@pytest.fixture(scope="session")
def standin() -> Sources:
    return Sources.read(HERE / "standin/runtime")


@pytest.fixture(scope="session")
def script() -> str:
    return (HERE / "standin/script.c").read_text()


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    """One cache for the session: a kernel is prepared once."""
    return Cache(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def builder(cache: Cache, standin: Sources) -> Builder:
    return Builder(cache, sources=standin)


@pytest.fixture(scope="session")
def request_for(facts: Facts, script: str) -> Callable[..., BuildInput]:
    """A request for the stand-in script, with changes."""

    def make(module: str = "sw_test", **changes: object) -> BuildInput:
        fields: dict[str, object] = {
            "module": module,
            "c_text": script,
            "manifest": f'{{"module":"{module}"}}',
            "kernel": facts,
            **changes,
        }
        return BuildInput(**fields)  # type: ignore[arg-type]

    return make
