# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel memory that a module needs, from its manifest, against what the machine can spare.

    refusal(manifest_of(Path("sw_opens_1a2b.ko")), possible_cpus(), available_memory())
      -> "module sw_opens_1a2b needs 758.0 MiB of kernel memory on 2 CPUs, and may take 561.0 MiB (3/4 of
          what is available): 757.2 MiB for opens[13000000] at opens.stp:1:8; 0.8 MiB for the rest. ..."

The module makes the same comparison when it is loaded (kernel/core/memory.c), and includes the frames of
its handlers. It cannot name arrays.
"""

import mmap
import os
import struct
from pathlib import Path
from typing import Final

from runtime.abi.manifest import Manifest, Storage, Table

_SECTION: Final = b".stapwatch.manifest"
_ELF: Final = b"\x7fELF\x02\x01"
_HEADER: Final = struct.Struct(
    "<40xQ10xHHH"
)  # offset, size and number of the sections, names' index
_ENTRY: Final = struct.Struct("<I20xQQ24x")  # name, offset and size
_INDEX_ENTRY: Final = 4  # bytes
_NAMED: Final = 5  # parts in a message
_NAMED_SHARE: Final = 0.01
_SMALL_RING: Final = 65536
_MOST_A_CPU: Final = 1 << 32  # offsets in a CPU's block have 32 bits
_POSSIBLE: Final = Path("/sys/devices/system/cpu/possible")
_MEMORY: Final = Path("/proc/meminfo")


def manifest_of(path: Path) -> Manifest | None:
    """The manifest in a module file; None if the file has none. Raises OSError."""
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size < _HEADER.size:
            return None
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            try:
                text = _section(data)
                return Manifest.from_json(text) if text is not None else None
            except (ValueError, struct.error):
                return None  # the kernel will say what it thinks of it


def _section(data: mmap.mmap) -> bytes | None:
    if data[: len(_ELF)] != _ELF:
        return None
    start, size, count, names = _HEADER.unpack_from(data)
    sections = [_ENTRY.unpack_from(data, start + size * i) for i in range(count)]
    if not names < count:
        return None
    for name, offset, length in sections:
        at = sections[names][1] + name
        if data[at : at + len(_SECTION) + 1] == _SECTION + b"\0":
            return data[offset : offset + length].rstrip(b"\0")
    return None


def refusal(manifest: Manifest, cpus: int, available: int) -> str | None:
    """Why a module is not to be loaded: the memory that it needs, and which arrays take it. None if it
    may be loaded. `available` in bytes."""
    whole, most = needed(manifest, cpus), available // 4 * 3
    if whole > most:
        limit = f"may take {mib(most)} (3/4 of what is available)"
    elif manifest.lane_size >= _MOST_A_CPU:
        limit = f"each CPU may have {mib(_MOST_A_CPU)}"
    else:
        return None
    return explanation(manifest, cpus, limit)


def explanation(manifest: Manifest, cpus: int, limit: str) -> str:
    """What a module needs, the limit, and which arrays take it."""
    whole = needed(manifest, cpus)
    return (
        f"module {manifest.module} needs {mib(whole)} of kernel memory on {cpus} CPUs, and {limit}: "
        f"{'; '.join(_parts(manifest, cpus))}. Make them smaller: "
        "`name[1000]` in the script for one array, -D MAXMAPENTRIES=1000 for those without a size of "
        f"their own, -D RINGSIZE={_SMALL_RING} for the rings"
    )


def _parts(manifest: Manifest, cpus: int) -> list[str]:
    """What takes most of a module's memory, largest first."""
    sizes = [
        (bytes_of(t, cpus), f"{t.name}[{t.slots.capacity}] at {t.location}")
        for t in manifest.tables
        if t.slots is not None
    ]
    sizes.append((cpus * manifest.ring_size, "the rings of printed lines"))
    sizes.sort(key=lambda part: -part[0])
    whole = needed(manifest, cpus)
    shown = [part for part in sizes[:_NAMED] if part[0] >= whole * _NAMED_SHARE]
    shown.append((whole - sum(size for size, _ in shown), "the rest"))
    return [f"{mib(size)} for {name}" for size, name in shown]


def needed(manifest: Manifest, cpus: int) -> int:
    """Bytes: the shared region, and for each CPU its lane and its ring."""
    return manifest.shared_size + cpus * (manifest.lane_size + manifest.ring_size)


def bytes_of(table: Table, cpus: int) -> int:
    """Bytes of one array: index, keys, and rows, which may be there for each CPU."""
    assert table.slots is not None
    slots, lanes = table.slots, cpus if table.storage is Storage.PERCPU else 1
    index = _INDEX_ENTRY << (2 * slots.capacity - 1).bit_length()
    return index + slots.capacity * (slots.stride + lanes * table.row_size)


def possible_cpus(path: Path = _POSSIBLE) -> int:
    """The number of possible CPUs, each of which has a lane: "0-3,8" are 5."""
    found = 0
    for part in path.read_text().strip().split(","):
        first, _, last = part.partition("-")
        found += int(last or first) - int(first) + 1
    return found


def total_memory() -> int:
    """The machine's memory, in bytes."""
    return os.sysconf("SC_PHYS_PAGES") * mmap.PAGESIZE


def available_memory(path: Path = _MEMORY) -> int:
    """MemAvailable, in bytes. Raises ValueError if it is not there."""
    for line in path.read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            return int(value.split()[0]) << 10
    raise ValueError(f"{path} has no MemAvailable")


def mib(size: int) -> str:
    return f"{size / (1 << 20):,.1f} MiB"
