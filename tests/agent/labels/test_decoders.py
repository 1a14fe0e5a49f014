# SPDX-License-Identifier: GPL-2.0-or-later
"""Each kind of key, with values of this host."""

from __future__ import annotations

import errno
import os
import pwd
import socket
from pathlib import Path

import pytest

from agent.config.label_settings import Decoder, LabelSettings
from agent.labels.decoders import Host
from agent.labels.labeller import Labeller
from agent.labels.sources import LabelSource
from agent.labels.symbols import KernelSymbols

LOOPBACK = socket.if_nametoindex("lo")
HOST = Host()


@pytest.mark.parametrize(
    ("decoder", "value", "text"),
    [
        (Decoder.RAW, 5, "5"),
        (Decoder.USER, 0, "root"),
        (Decoder.USER, os.getuid(), pwd.getpwuid(os.getuid()).pw_name),
        (Decoder.USER, 4_000_000_000, None),
        (Decoder.USER, -1, None),
        (Decoder.USER, 1 << 60, None),
        (Decoder.GROUP, 0, "root"),
        (Decoder.GROUP, 4_000_000_000, None),
        (Decoder.INTERFACE, LOOPBACK, "lo"),
        (Decoder.INTERFACE, 123_456, None),
        (Decoder.INTERFACE, -1, None),
        (Decoder.ERRNO, errno.ENOENT, "ENOENT"),
        (Decoder.ERRNO, -errno.ENOENT, "ENOENT"),
        (Decoder.ERRNO, 0, ""),
        (Decoder.ERRNO, 5000, None),
        (Decoder.IPV4, 127 << 24 | 1, "127.0.0.1"),
        (Decoder.IPV4_NETWORK, socket.htonl(127 << 24 | 1), "127.0.0.1"),
        (Decoder.IPV4, -1, None),
        (Decoder.IPV4_NETWORK, 1 << 32, None),
        (Decoder.IPV4, "::1", "::1"),
        (Decoder.SYSCALL, -1, None),
        (Decoder.DISK, 4095 << 20, None),
        (Decoder.SYSTEMD_UNIT, "/system.slice/a.service", "a.service"),
        (Decoder.CGROUP, "/system.slice/a.service", "/system.slice/a.service"),
        (Decoder.USER, "root", None),
    ],
)
def test_a_value_has_its_name(decoder: Decoder, value: int | str, text: str | None) -> None:
    assert HOST.decode(decoder, value) == text


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="numbers of x86-64")
@pytest.mark.parametrize(
    ("number", "name"),
    [
        (0, "read"),
        (39, "getpid"),
        (257, "openat"),
        (334, "rseq"),
        (424, "pidfd_send_signal"),
        (335, "uretprobe"),
    ],
)
def test_system_calls(number: int, name: str) -> None:
    assert HOST.decode(Decoder.SYSCALL, number) == name


def test_disks_by_the_kernel_s_device_number(tmp_path: Path) -> None:
    """/sys/dev/block as the kernel has it: links to the devices' folders."""
    for number, place in {"8:1": "sda/sda1", "259:300": "nvme0n1", "253:0": "dm-0"}.items():
        folder = tmp_path / "devices" / place
        folder.mkdir(parents=True, exist_ok=True)
        (tmp_path / number).symlink_to(folder)
    host = Host(devices=tmp_path)
    assert host.decode(Decoder.DISK, 8 << 20 | 1) == "sda1"
    assert host.decode(Decoder.DISK, 259 << 20 | 300) == "nvme0n1"
    assert host.decode(Decoder.DISK, 253 << 20) == "dm-0"
    assert host.decode(Decoder.DISK, 8 << 20) is None


KALLSYMS = """\
ffffffff81000000 T _text
ffffffff81000100 T vfs_read
ffffffff81000100 t alias_of_it
ffffffffc0000000 t xfs_open\t[xfs]
"""


def test_kernel_addresses(tmp_path: Path) -> None:
    table = tmp_path / "kallsyms"
    table.write_text(KALLSYMS)
    host = Host(symbols=KernelSymbols(table))
    signed = (0xFFFFFFFF81000112) - (1 << 64)  # as scripts have it
    assert host.decode(Decoder.SYMBOL, signed) == "vfs_read+0x12"
    assert host.decode(Decoder.SYMBOL, 0xFFFFFFFF81000100) == "vfs_read"
    assert host.decode(Decoder.SYMBOL, 0xFFFFFFFFC0000004) == "xfs_open+0x4"
    assert host.decode(Decoder.SYMBOL, 0x1000) is None
    assert host.decode(Decoder.SYMBOL, 0xFFFFFFFFD0000000) is None


def test_hidden_addresses_are_none(tmp_path: Path) -> None:
    table = tmp_path / "kallsyms"
    table.write_text("0000000000000000 T _text\n0000000000000000 T vfs_read\n")
    assert Host(symbols=KernelSymbols(table)).decode(Decoder.SYMBOL, 16) is None


def test_a_module_loaded_since_is_found_on_the_next_page(tmp_path: Path) -> None:
    table = tmp_path / "kallsyms"
    table.write_text(KALLSYMS)
    host = Host(symbols=KernelSymbols(table))
    assert host.decode(Decoder.SYMBOL, 0xFFFFFFFFD0000000) is None
    table.write_text(KALLSYMS + "ffffffffd0000000 t late\t[late]\n")
    assert host.decode(Decoder.SYMBOL, 0xFFFFFFFFD0000000) is None
    host.new_page()
    assert host.decode(Decoder.SYMBOL, 0xFFFFFFFFD0000000) == "late"


# -- what follows the decoder --------------------------------------------------------------------------


def labels(how: LabelSettings, *keys: int | str) -> list[object]:
    failed: list[Decoder] = []
    labeller = Labeller((LabelSource(0, how),), HOST.decode, failed.append)
    found = [labeller.labels((key,)) for key in keys]
    return [*(None if label is None else label[0] for label in found), *failed]


def test_a_map() -> None:
    how = LabelSettings("op", map=(("1", "read"), ("2", "write")))
    assert labels(how, 1, 2, 3) == ["read", "write", "3"]


def test_a_map_with_a_word_for_all_others() -> None:
    how = LabelSettings("op", map=(("1", "read"),), others="rest")
    assert labels(how, 1, 2, 3) == ["read", "rest", "rest"]


def test_an_allow_list_that_drops_others() -> None:
    assert labels(LabelSettings("c", match="cat|dd", drop_others=True), "cat", "cats", "dd") == [
        "cat",
        None,
        "dd",
    ]


def test_a_rewrite_leaves_others_as_they_are() -> None:
    how = LabelSettings("c", match=r"(\w+)/\d+", replace=r"\g<1>")
    assert labels(how, "kworker/7", "sshd") == ["kworker", "sshd"]


def test_a_rewrite_of_a_decoded_and_mapped_text() -> None:
    how = LabelSettings(
        "uid", decode=Decoder.USER, map=(("root", "admin"),), match="(ad).*", replace=r"\g<1>"
    )
    assert labels(how, 0) == ["ad"]


def test_a_failure_is_told_once_and_the_value_stays() -> None:
    how = LabelSettings("uid", decode=Decoder.USER)
    unknown = 4_000_000_000
    assert labels(how, unknown, 0, unknown) == [str(unknown), "root", str(unknown), Decoder.USER]


def test_a_replacement_with_groups_and_backslashes() -> None:
    how = LabelSettings("c", match=r"(a)?(?P<n>\d)", replace=r"\\<\g<1>\g<n>\g<0>>")
    assert labels(how, "a1", "2") == [r"\<a1a1>", r"\<22>"]
