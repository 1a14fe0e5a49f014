# SPDX-License-Identifier: GPL-2.0-or-later
"""How a label is made of a key: decoded, mapped, matched and rewritten, in this order.

LabelSettings("cgroup_id", "unit", Decoder.SYSTEMD_UNIT) -> unit="ssh.service"
"""

from __future__ import annotations

from runtime.support.record import record
from runtime.support.str_enum import StrEnum

CPU = "cpu"  # a source that is no key: the CPU whose part of the values it is


class Decoder(StrEnum):
    """The meaning of a key's value, or the part of it that is wanted. Functions: agent/labels/decoders.py."""

    RAW = "raw"
    CGROUP = "cgroup"
    SYSTEMD_UNIT = "systemd_unit"
    SYSTEMD_SLICE = "systemd_slice"
    CONTAINER_ID = "container_id"
    POD_UID = "pod_uid"
    SYMBOL = "symbol"
    INTERFACE = "interface"
    DISK = "disk"
    USER = "user"
    GROUP = "group"
    ERRNO = "errno"
    IPV4 = "ipv4"
    IPV4_NETWORK = "ipv4_network"
    SYSCALL = "syscall"


@record
class LabelSettings:
    """`source`: the key's name. None: derived, or the text stays. `match` stands for a whole text.

    A text that `match` does not match, or that is not in `map` if there is no `match`, becomes `others`.
    """

    source: str
    name: str | None = None
    decode: Decoder | None = None
    map: tuple[tuple[str, str], ...] = ()
    match: str | None = None
    replace: str | None = None  # as re's templates have it
    others: str | None = None
    drop_others: bool = False  # their elements are in no series
    drop: bool = False  # the key is in no label: the values of its elements are added up
