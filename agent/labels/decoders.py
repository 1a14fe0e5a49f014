# SPDX-License-Identifier: GPL-2.0-or-later
"""One function for each kind of key: what people call the thing that its value stands for.

host = Host()
host.decode(Decoder.USER, 0)             -> "root"
host.decode(Decoder.DISK, 8 << 20 | 1)   -> "sda1"
host.decode(Decoder.USER, 70_000)        -> None: nothing has that name here
"""

from __future__ import annotations

import errno
import grp
import platform
import pwd
import re
import socket
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final

from agent.config.label_settings import TAKE_TEXT, Decoder
from agent.labels import cgroups
from agent.labels.cgroups import Cgroups
from agent.labels.symbols import KernelSymbols

_DEVICES: Final = Path("/sys/dev/block")
_MINOR_BITS: Final = 20  # of the kernel's device numbers
_OF_CGROUPS: Final[dict[Decoder, Callable[[str], str]]] = {
    Decoder.CGROUP: str,
    Decoder.SYSTEMD_UNIT: cgroups.unit,
    Decoder.SYSTEMD_SLICE: cgroups.slice_,
    Decoder.CONTAINER_ID: cgroups.container_id,
    Decoder.POD_UID: cgroups.pod_uid,
}


class Host:
    """The names of this host's things, for all scripts."""

    def __init__(
        self,
        cgroup_root: Path = cgroups.ROOT,
        devices: Path = _DEVICES,
        symbols: KernelSymbols | None = None,
    ) -> None:
        self.cgroups = Cgroups(cgroup_root)
        self._symbols = symbols or KernelSymbols()
        self._devices = devices

    def new_page(self) -> None:
        """Keys have been read; what is not known yet may be looked for, once."""
        self.cgroups.new_page()
        self._symbols.new_page()

    def decode(self, decoder: Decoder, value: int | str) -> str | None:
        """None if it cannot be decoded; "" if there is none, as the container's id of a service."""
        if isinstance(value, str):
            return _OF_CGROUPS.get(decoder, str)(value) if decoder in TAKE_TEXT else None
        if decoder in _OF_CGROUPS:
            path = self.cgroups.path(value)
            return None if path is None else _OF_CGROUPS[decoder](path)
        return self._decode_number(decoder, value)

    def _decode_number(self, decoder: Decoder, value: int) -> str | None:
        match decoder:
            case Decoder.SYMBOL:
                return self._symbols.name(value)
            case Decoder.DISK:
                return self._disk(value)
            case Decoder.INTERFACE:
                return _found(socket.if_indextoname, value)
            case Decoder.USER:
                return _found(lambda uid: pwd.getpwuid(uid).pw_name, value)
            case Decoder.GROUP:
                return _found(lambda gid: grp.getgrgid(gid).gr_name, value)
            case Decoder.ERRNO:
                return errno.errorcode.get(abs(value)) if value else ""
            case Decoder.IPV4:
                return _ipv4(value)
            case Decoder.IPV4_NETWORK:
                return _ipv4(socket.ntohl(value)) if 0 <= value < 1 << 32 else None
            case Decoder.SYSCALL:
                return _syscalls().get(value)
            case _:
                return str(value)

    def _disk(self, device: int) -> str | None:
        number = f"{device >> _MINOR_BITS}:{device & (1 << _MINOR_BITS) - 1}"
        try:
            return (self._devices / number).readlink().name
        except OSError:
            return None


def _found(name_of: Callable[[int], str], value: int) -> str | None:
    try:
        return name_of(value)
    except (KeyError, OSError, OverflowError, ValueError):
        return None


def _ipv4(value: int) -> str | None:
    """The address that a number in host byte order stands for; None if it is too large or negative."""
    return ".".join(map(str, value.to_bytes(4, "big"))) if 0 <= value < 1 << 32 else None


@cache
def _syscalls() -> dict[int, str]:
    """The names that the library's syscall_name() has for this architecture, by their numbers."""
    try:
        from compiler.driver.tapset_index import TAPSET  # few labels are system calls

        path = TAPSET / platform.machine() / "syscall_names.stp"
        text = path.read_text(encoding="utf-8")
    except OSError:
        return {}
    table = text[text.index("names[]") :].partition(";")[0]
    found: dict[int, str] = {}
    number = 0
    for start, name in re.findall(r'\[(\d+)\] = (?=")|"(\w+)"', table):
        number = int(start) if start else number
        if name:
            found[number] = name
            number += 1
    return found
