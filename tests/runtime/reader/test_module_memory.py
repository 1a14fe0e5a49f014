# SPDX-License-Identifier: GPL-2.0-or-later
"""What a module needs against what the machine has, with manifests of the compiler's."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest

from runtime.abi.manifest import Key, Manifest, Slots, Storage, Table, ValueType
from runtime.reader import module_loader
from runtime.reader.module_loader import LoadError
from runtime.reader.module_memory import (
    available_memory,
    bytes_of,
    manifest_of,
    needed,
    possible_cpus,
    refusal,
)
from tests.module_file import manifest_of_module

MIB = 1 << 20


def array(name: str, capacity: int, storage: Storage, row: int = 8) -> Table:
    slots = Slots(head=0, offset=0, stride=24, key_offset=16, capacity=capacity)
    keys = (Key("k", ValueType.LONG, 0, 8),)
    return Table(name, storage, ValueType.LONG, keys, 0, row, slots, location=f"x.stp:1:{row}")


def manifest(*tables: Table, shared: int = 0, lane: int = 0, ring: int = 0) -> Manifest:
    """A module whose regions hold these tables and some bytes more."""
    for table in tables:
        assert table.slots is not None
        rows = table.slots.capacity * table.row_size
        percpu = table.storage is Storage.PERCPU
        lane += rows * percpu
        shared += bytes_of(table, 1) - rows * percpu
    return Manifest(
        name="x",
        module="sw_x_1",
        identity="",
        release="6.1",
        build_id="",
        compiler="1",
        shared_size=shared,
        lane_size=lane,
        probe_status=0,
        probe_counts=0,
        lane_counts=0,
        probes=(),
        tables=tables,
        prints=(),
        errors=(),
        ring_size=ring,
    )


def test_an_array_is_its_index_its_keys_and_its_rows() -> None:
    assert bytes_of(array("a", 1000, Storage.SHARED), 8) == 4 * 2048 + 1000 * (24 + 8)
    assert bytes_of(array("a", 1000, Storage.PERCPU), 8) == 4 * 2048 + 1000 * (24 + 8 * 8)


def test_what_is_needed() -> None:
    assert needed(manifest(shared=100, lane=10, ring=1), 4) == 144
    tables = array("a", 1000, Storage.PERCPU), array("b", 10, Storage.SHARED)
    assert needed(manifest(*tables), 3) == sum(bytes_of(table, 3) for table in tables)


def test_three_quarters_may_be_taken() -> None:
    found = manifest(shared=3 * MIB)
    assert refusal(found, 2, 4 * MIB) is None
    assert refusal(found, 2, 4 * MIB - 4) is not None


def test_the_message_names_the_largest_first() -> None:
    found = manifest(
        array("small", 10, Storage.SHARED),
        array("big", 13_000_000, Storage.PERCPU),
        array("middle", 100_000, Storage.SHARED, row=64),
        shared=MIB,
        ring=262144,
    )
    text = refusal(found, 2, 700 * MIB)
    assert text == (
        "module sw_x_1 needs 634.8 MiB of kernel memory on 2 CPUs, and may take 525.0 MiB (3/4 of what is "
        "available): 623.9 MiB for big[13000000] at x.stp:1:8; 9.4 MiB for middle[100000] at x.stp:1:64; "
        "1.5 MiB for the rest. Make them smaller: `name[1000]` in the script for one array, -D MAXMAPENTRIES=1000 for "
        "those without a size of their own, -D RINGSIZE=65536 for the rings"
    )


def test_rings_alone_can_be_too_much() -> None:
    text = refusal(manifest(ring=1 << 30), 4, 1 << 30)
    assert text is not None
    assert "4,096.0 MiB for the rings of printed lines; 0.0 MiB for the rest" in text


def test_a_cpu_s_block_is_not_larger_than_its_offsets() -> None:
    assert refusal(manifest(lane=(1 << 32) - 8), 2, 1 << 40) is None
    text = refusal(manifest(lane=1 << 32), 2, 1 << 40)
    assert text is not None
    assert "each CPU may have 4,096.0 MiB" in text


def test_possible_cpus(tmp_path: Path) -> None:
    for text, count in (("0\n", 1), ("0-3\n", 4), ("0-3,8,10-11\n", 7)):
        (tmp_path / "possible").write_text(text)
        assert possible_cpus(tmp_path / "possible") == count


def test_available_memory(tmp_path: Path) -> None:
    path = tmp_path / "meminfo"
    path.write_text("MemTotal:  1000 kB\nMemFree:  10 kB\nMemAvailable:     123 kB\n")
    assert available_memory(path) == 123 << 10
    path.write_text("MemTotal:  1000 kB\n")
    with pytest.raises(ValueError, match="MemAvailable"):
        available_memory(path)


def module_file(folder: Path, text: str | None) -> Path:
    """An object of gcc's with a manifest, as a module file."""
    path = folder / "sw_x_1.ko"
    (folder / "text").write_text(text or "")
    subprocess.run(["gcc", "-xc", "-c", "-o", path, "/dev/null"], check=True)
    if text is not None:
        section = f".stapwatch.manifest={folder / 'text'}"
        subprocess.run(["objcopy", "--add-section", section, path], check=True)
    return path


def test_manifest_in_a_file(tmp_path: Path) -> None:
    wanted = manifest(array("a", 10, Storage.PERCPU), ring=4096)
    path = module_file(tmp_path, wanted.to_json())
    assert manifest_of(path) == manifest_of_module(path) == wanted


def test_damaged_files_have_none(tmp_path: Path) -> None:
    path = module_file(tmp_path, manifest().to_json())
    whole = path.read_bytes()
    # cut short, no ELF file, too many sections, names in a section that is not there
    damaged = [whole[:size] for size in range(0, len(whole), 16)]
    damaged.append(b"not a module" * 100)
    damaged += [whole[:at] + struct.pack("<H", 0xFFF0) + whole[at + 2 :] for at in (60, 62)]
    for data in damaged:
        path.write_bytes(data)
        assert manifest_of(path) is None, len(data)
    assert manifest_of(module_file(tmp_path, None)) is None
    assert manifest_of(module_file(tmp_path, "{")) is None


def test_the_loader_refuses_before_the_kernel_is_asked(tmp_path: Path) -> None:
    path = module_file(tmp_path, manifest(shared=1 << 50).to_json())
    with pytest.raises(LoadError, match="module sw_x_1 needs 1,073,741,824") as caught:
        module_loader.load(path)
    assert caught.value.log == ()
