# SPDX-License-Identifier: GPL-2.0-or-later
"""Modules of both tiers, built by a guest's own compiler for its own kernel, in that kernel.

LAB_KERNEL chooses the kernel, as for the other tests in guests.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from compiler.kernel.kernel import Kernel
from compiler.modbuild.builder import Builder
from compiler.modbuild.request import BuildInput, BuildResult, Tier
from compiler.modbuild.runtime_sources import Sources
from compiler.modbuild.tier_check import difference
from compiler.modbuild.toolchain import ChrootToolchain
from compiler.support.content_store import Cache
from compiler.support.elf import Elf
from lab import Guest, Image
from runtime.support.record import replace

pytestmark = pytest.mark.lab
STANDIN = Path(__file__).parent / "standin"


@pytest.fixture(scope="module")
def booted(image: Image) -> Iterator[Guest]:
    with Guest.boot(image) as started:
        yield started


@pytest.fixture(scope="module")
def kernel(image: Image) -> Kernel:
    return Kernel.from_root(image.rootfs, image.release)


@pytest.fixture(scope="module")
def cross(image: Image, standin: Sources, tmp_path_factory: pytest.TempPathFactory) -> Builder:
    cache = Cache(tmp_path_factory.mktemp("cross"))
    return Builder(cache, ChrootToolchain(image.rootfs, cache.root), standin)


def module(kernel: Kernel, name: str, file: str, embedded: bool = False) -> BuildInput:
    text = (STANDIN / file).read_text()
    return BuildInput(name, text, f'{{"name":"{name}"}}', kernel, embedded)


def load_and_unload(guest: Guest, result: BuildResult) -> str:
    """Load and unload the module. Returns the kernel's messages meanwhile."""
    name = result.path.stem
    guest.push(result.path, f"/root/{name}.ko")
    before = len(guest.dmesg().splitlines())
    guest.run(f"insmod /root/{name}.ko", timeout=60).check()
    assert name in guest.run("lsmod").check().stdout.split()
    guest.run(f"rmmod {name}", timeout=60).check()
    assert name not in guest.run("lsmod").check().stdout.split()
    assert guest.complaints() == []
    return "\n".join(guest.dmesg().splitlines()[before:])


@pytest.mark.parametrize("only", Tier)
def test_a_module_loads_and_unloads(
    guest: Guest, kernel: Kernel, cross: Builder, only: Tier
) -> None:
    name = f"sw_{only}"
    result = replace(cross, only=only).build(module(kernel, name, "script.c"))
    log = load_and_unload(guest, result)
    assert f'standin: a script loaded, manifest {{"name":"{name}"}}' in log
    assert "standin: a script unloaded" in log
    assert "no symbol version" not in log and "disagrees" not in log
    info = guest.run(f"modinfo -F name /root/{name}.ko && modinfo -F vermagic /root/{name}.ko")
    assert info.check().stdout.split()[:2] == [name, kernel.release]


def test_embedded_c_loads(guest: Guest, kernel: Kernel, cross: Builder) -> None:
    result = cross.build(module(kernel, "sw_embeds", "embedded.c", embedded=True))
    assert result.tier is Tier.FAST
    log = load_and_unload(guest, result)
    assert "embedded: 2 cpus" in log and "module sw_embeds" in log


def test_this_kernel_has_a_fast_tier(kernel: Kernel, cross: Builder) -> None:
    assert cross.prepare(kernel).problem == ""
    both = [
        replace(cross, only=only).build(module(kernel, "sw_both", "script.c")).path.read_bytes()
        for only in (Tier.KBUILD, Tier.FAST)
    ]
    assert difference(Elf(both[0]), Elf(both[1])) == ""


def test_our_runtime_has_a_fast_tier(image: Image, kernel: Kernel, cross: Builder) -> None:
    assert replace(cross, sources=Sources.ours()).prepare(kernel).problem == ""


def test_a_prepared_cache_serves_the_guest_itself(
    image: Image, guest: Guest, kernel: Kernel, cross: Builder
) -> None:
    """Its files are the same from inside as through the root folder, and so is the key."""
    compiler = cross.prepare(kernel).kit
    assert compiler is not None
    tool = compiler.commands.compiler
    seen = cross.toolchain.identity(tool)
    path, size, changed = seen.rsplit(":", 2)
    said = guest.run(["stat", "-Lc", "%n:%s:%Y", path]).check().stdout.strip()
    assert said == f"{path}:{size}:{changed}"
    assert str(image.rootfs) not in seen
