# SPDX-License-Identifier: GPL-2.0-or-later
"""How a label is made of a key: decoded, mapped, matched and rewritten, in this order.

LabelSettings("cgroup_id", "unit", Decoder.SYSTEMD_UNIT) -> unit="ssh.service"
"""

from __future__ import annotations

from typing import Final

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


# Those of cgroups, whose label has a name of its own, and not the key's.
OWN_NAMES: Final = frozenset(
    (
        Decoder.CGROUP,
        Decoder.SYSTEMD_UNIT,
        Decoder.SYSTEMD_SLICE,
        Decoder.CONTAINER_ID,
        Decoder.POD_UID,
    )
)
# These take texts as they are: a cgroup's path, an address.
TAKE_TEXT: Final = OWN_NAMES | {Decoder.RAW, Decoder.IPV4, Decoder.IPV4_NETWORK}


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
