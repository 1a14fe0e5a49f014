# SPDX-License-Identifier: GPL-2.0-or-later
"""What hooks add to the time of handlers on this machine: measured once since the kernel booted, by the first
module that has a hook of the kind, and kept in a file for all others.

costs(lambda buffer: fcntl.ioctl(fd, structs.IOC_COSTS, buffer)) -> bytes for structs.START

A cost that is not known is 0; the module then takes a constant of its own.
"""

import contextlib
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from runtime.abi.structs import COSTS

# the loader's folder: only root measures
FILE: Final = Path("/run/stapwatch-loader/hook-costs.json")
BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
_COUNT: Final = COSTS.size // 4


def costs(measure: Callable[[bytearray], object], file: Path = FILE, boot: Path = BOOT) -> bytes:
    """The costs of this boot. `measure` completes packed ones, as far as a module needs them."""
    with contextlib.suppress(OSError):
        booted = boot.read_text().strip()
        known = _read(file, booted)
        packed = bytearray(COSTS.pack(*known))
        measure(packed)
        found = COSTS.unpack(packed)
        if found != known:
            with contextlib.suppress(OSError):  # then the next module measures again
                _write(file, booted, found)
        return bytes(packed)
    return bytes(COSTS.size)


def _read(file: Path, boot: str) -> tuple[int, ...]:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        tree = json.loads(file.read_text())
        found = tuple(map(int, tree["ns"]))
        if tree["boot"] == boot and len(found) == _COUNT and all(0 <= n < 1 << 32 for n in found):
            return found
    return (0,) * _COUNT


def _write(file: Path, boot: str, found: Sequence[int]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False) as new:
        json.dump({"boot": boot, "ns": found}, new)
    Path(new.name).replace(file)
