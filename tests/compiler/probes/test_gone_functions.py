# SPDX-License-Identifier: GPL-2.0-or-later
"""Functions of other kernels lead to those of this one."""

from __future__ import annotations

import pytest

from compiler.probes import Environment, ProbePointError
from compiler.probes.gone_functions import SUCCESSORS, successor
from compiler.probes.kernel_point import resolve
from tests.compiler.probes.test_kernel_function import components
from tests.golden.kernel import golden_kernel

ENTRY = golden_kernel().arch.syscall_prefix + "openat"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("do_sync_read", "it is 'vfs_read' now"),  # the newer of two, and the one that is there
        ("__vfs_write", "it is 'vfs_write' now"),
        ("do_fork", ""),  # this kernel has none of its successors
        (
            "sys_openat",
            f"it is the entry function '{ENTRY}' now, whose arguments have no names: probe syscall.openat",
        ),
        (
            "SyS_openat",
            f"it is the entry function '{ENTRY}' now, whose arguments have no names: probe syscall.openat",
        ),
        ("sys_nothing", ""),
        ("vfs_reed", ""),
    ],
)
def test_successor(name: str, told: str) -> None:
    assert successor(golden_kernel(), name) == told


def test_the_error_says_so() -> None:
    with pytest.raises(ProbePointError) as raised:
        resolve(components('kernel.function("do_sync_read")'), Environment(golden_kernel()))
    assert raised.value.slug == "unknown-kernel-function"
    assert raised.value.hint == "it is 'vfs_read' now"


def test_no_function_follows_itself() -> None:
    for name, newer in SUCCESSORS.items():
        seen = [name, *newer]
        assert len(set(seen)) == len(seen), name
