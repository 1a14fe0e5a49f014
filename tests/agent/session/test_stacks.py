# SPDX-License-Identifier: GPL-2.0-or-later
"""From the elements of arrays to stacks with weights, whatever their keys are."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import cast

import pytest

from agent.session.stacks import Stack, folded, resolver, stacks
from runtime.abi.manifest import Key, Storage, Table, ValueType
from runtime.reader.merge import StatValue
from runtime.reader.snapshot import Snapshot
from runtime.reader.table import Value
from runtime.reader.table_keys import KeyTuple

KERNEL = {0xFFFFFFFF81000010: "vfs_read+0x10", 0xFFFFFFFF8200001F: "do_syscall_64+0x1f"}
USER = {(0x401136, 7): "main", (0x7F00000000FF, 7): "read"}
READ = "0xffffffff81000010 0xffffffff82000020"  # the second is a return address

RESOLVE = resolver(KERNEL.get, lambda address, pid: USER.get((address, pid)))


def snapshot(**arrays: tuple[tuple[str, ...], Mapping[KeyTuple, Value]]) -> Snapshot:
    """Arrays by name, as the names of their keys and their elements."""
    tables = []
    for name, (names, elements) in arrays.items():
        keys = tuple(Key(key, ValueType.LONG, 0, 8) for key in names)
        value = ValueType.STRING if name == "text" else ValueType.LONG
        table = Table(name, Storage.PERCPU, value, keys, 0, 8)
        tables.append(
            SimpleNamespace(table=table, keys=list(elements), values=list(elements.values()))
        )
    return cast(Snapshot, SimpleNamespace(tables=tables))


@pytest.mark.parametrize(
    ("names", "key", "stack"),
    [
        (("stack",), (READ,), ("do_syscall_64", "vfs_read")),
        (("execname", "stack"), ("cat", READ), ("cat", "do_syscall_64", "vfs_read")),
        (("stack", "n"), (READ + " ", 3), ("3", "do_syscall_64", "vfs_read")),
        # cut by MAXSTRINGLEN
        (("stack",), (READ + " 0xffffffff81",), ("do_syscall_64", "vfs_read")),
        (("stack",), ("0xffffffff99999999",), ("0xffffffff99999999",)),
        # the kernel's part is above the process's, whatever the order of the keys is
        (
            ("a", "pid", "b"),
            (READ, 7, "0x401136 0x7f0000000100"),
            ("7", "read", "main", "do_syscall_64", "vfs_read"),
        ),
        (("pid", "b"), (8, "0x401136"), ("8", "0x401136")),
        (("b",), ("0x401136",), ("main",)),  # of the target
        (("b",), ("0x401136 0x0",), ("[unknown]", "main")),  # its caller could not be found
        # sprint_backtrace(), and a name that would be two frames
        (
            ("s",),
            ("vfs_read+0x0/0x180 [kernel]\next4_sync [ext4]\n a;b \x1b\n",),
            ("a:b ?", "ext4_sync [ext4]", "vfs_read [kernel]"),
        ),
    ],
)
def test_frames(names: tuple[str, ...], key: KeyTuple, stack: Stack) -> None:
    assert stacks(snapshot(n=(names, {key: 5})), RESOLVE, 7) == {stack: 5}


def test_weights() -> None:
    other = "0xffffffff82000020"
    found = snapshot(
        a=(("s",), {(READ,): StatValue(3, 70), (other,): StatValue(4)}),
        b=(("s", "t"), {(READ, ""): 2, (READ, "x"): 0, (other, ""): -1}),
        plain=(("execname",), {("cat",): 5}),
        text=(("s",), {(READ,): "x"}),
        scalar=((), {(): 9}),
    )
    assert stacks(found, RESOLVE, 0) == {
        ("a", "do_syscall_64", "vfs_read"): 70,
        ("a", "0xffffffff82000020"): 4,
        ("b", "?", "do_syscall_64", "vfs_read"): 2,
    }


def test_equal_stacks_are_added() -> None:
    """Two addresses in one function are one frame."""
    names = {0xFFFFFFFF81000010: "f+0x10", 0xFFFFFFFF81000020: "f+0x20"}
    found = snapshot(n=(("s",), {("0xffffffff81000010",): 2, ("0xffffffff81000020",): 3}))
    assert stacks(found, resolver(names.get, lambda *_: None), 0) == {("f",): 5}


def test_folded() -> None:
    assert folded({("b", "c d"): 1, ("a",): 20}) == "a 20\nb;c d 1\n"
    assert folded({}) == ""
