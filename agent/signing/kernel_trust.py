# SPDX-License-Identifier: GPL-2.0-or-later
"""Which certificates the running kernel knows, from its keyrings.

    trusted_in("6ccece7e4c6c0d1f...")   -> ".platform", or "" if no keyring has it, or None if nobody can tell

.builtin_trusted_keys and .secondary_trusted_keys serve for modules on each kernel; .machine (keys of
shim's) is linked to the latter. .platform (keys of the firmware, and of shim's on kernels without .machine)
serves on kernels that distributions have changed so; without that change it serves for kexec only.
"""

from __future__ import annotations

import ctypes
import platform
import struct
from pathlib import Path

_RINGS = (".builtin_trusted_keys", ".secondary_trusted_keys", ".machine", ".platform")
_READ = 11  # KEYCTL_READ
# architecture: the number of keyctl
KEYCTL = {"x86_64": 250}
_LARGEST = 1 << 16  # bytes of a keyring: 4 for each key


def trusted_in(key_id: str, proc: Path = Path("/proc")) -> str | None:
    """The keyring that has the certificate. `key_id`: see Certificate."""
    try:
        lines = (proc / "keys").read_text(errors="replace").splitlines()
    except OSError:
        return None
    rings, keys = _listed(lines)
    if not rings:
        return None  # a process that is not root's sees none of them
    members = {key for key, description in keys.items() if key_id and key_id in description}
    for name in _RINGS:
        if name in rings and members & set(_contents(rings[name])):
            return name
    return ""


def _listed(lines: list[str]) -> tuple[dict[str, int], dict[int, str]]:
    """Keyrings by their names, and descriptions of certificates by their serials."""
    rings: dict[str, int] = {}
    keys: dict[int, str] = {}
    for line in lines:
        # serial flags usage timeout permissions user group type description
        fields = line.split(None, 8)
        if len(fields) < 9:
            continue
        serial, kind, description = int(fields[0], 16), fields[7], fields[8]
        if kind == "keyring":
            rings[description.partition(":")[0]] = serial
        elif kind.startswith("asymm"):
            keys[serial] = description
    return rings, keys


def _contents(ring: int) -> tuple[int, ...]:
    """The serials in a keyring; none if it may not be read."""
    number = KEYCTL.get(platform.machine())
    if number is None:
        return ()
    buffer = ctypes.create_string_buffer(_LARGEST)
    libc = ctypes.CDLL(None, use_errno=True)
    size = libc.syscall(
        ctypes.c_long(number), ctypes.c_long(_READ), ctypes.c_long(ring), buffer,
        ctypes.c_long(_LARGEST), ctypes.c_long(0),
    )  # fmt: skip
    if size < 0:
        return ()
    used = min(size, _LARGEST) // 4 * 4
    return struct.unpack(f"={used // 4}i", buffer.raw[:used])
