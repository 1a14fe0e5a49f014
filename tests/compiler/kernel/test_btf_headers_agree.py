# SPDX-License-Identifier: GPL-2.0-or-later
"""BTF and the same kernel's headers agree: a C compiler compares them."""

from __future__ import annotations

import platform
import shutil
from pathlib import Path

import pytest

from compiler.kernel import btf_types as k
from compiler.kernel import type_layout
from compiler.kernel.btf import Btf
from compiler.kernel.c_types import declaration
from compiler.kernel.kernel import Kernel
from tests.compiler.kernel.commands import run

MEMBERS = [
    ("task_struct", "comm"),
    ("task_struct", "tgid"),
    ("task_struct", "se.sum_exec_runtime"),
    ("task_struct", "signal"),
    ("file", "f_path.dentry"),
    ("file", "f_mode"),
    ("dentry", "d_name.name"),
    ("dentry", "d_name.len"),
    ("inode", "i_ino"),
    ("page", "compound_head"),
    ("sock", "__sk_common.skc_dport"),
    ("sk_buff", "len"),
    ("sk_buff", "sk"),
    ("request", "cmd_flags"),
]
FUNCTIONS = ["vfs_read", "vfs_write", "filp_open", "d_path", "tcp_sendmsg", "kernel_clone"]
TRACEPOINTS = ["sched_switch", "sched_wakeup", "sys_enter", "block_rq_issue", "mm_page_alloc"]


def _asserts(btf: Btf, kernel: Kernel) -> list[str]:
    lines: list[str] = []
    for name, path in MEMBERS:
        struct = btf.find(k.Struct, name)
        offset = type_layout.place(btf, struct.id, path.split(".")).steps[0].offset
        lines.append(f"_Static_assert(offsetof(struct {name}, {path}) == {offset});")
        lines.append(f"_Static_assert(sizeof(struct {name}) == {struct.size});")
    for name in FUNCTIONS:
        shape = btf.find(k.Function, name).type_id
        lines.append(_same(name, declaration(btf, shape, "")))
    for name in TRACEPOINTS:
        params = (declaration(btf, p.type_id, "") for p in kernel.tracepoints.find(name).params)
        lines.append(_same(f"trace_{name}", f"void ({', '.join(params)})"))
    return lines


def _same(name: str, shape: str) -> str:
    return f"_Static_assert(__builtin_types_compatible_p(typeof({name}), {shape}));"


def test_headers_and_types_agree(debian: Kernel, tmp_path: Path) -> None:
    """Needs the headers at their own path: Debian's name each other by absolute ones."""
    headers = Path("/lib/modules") / debian.release / "build"
    if not headers.is_dir() or shutil.which("make") is None or platform.machine() != "x86_64":
        pytest.skip(f"needs linux-headers-{debian.release} installed")
    includes = ["fs", "sched", "sched/signal", "sched/task", "skbuff", "blk-mq", "namei", "module"]
    source = [f"#include <linux/{name}.h>" for name in includes]
    source += ["#include <net/tcp.h>"]
    source += [
        f"#include <trace/events/{name}.h>" for name in ("sched", "syscalls", "block", "kmem")
    ]
    asserts = _asserts(debian.btf, debian)
    (tmp_path / "agree.c").write_text("\n".join([*source, *asserts]) + "\n")
    (tmp_path / "Kbuild").write_text("obj-m := agree.o\n")
    run("make", "-C", headers, f"M={tmp_path}", "agree.o")

    # and the same file with one wrong offset does not compile, so the asserts are effective
    wrong = asserts[0].replace("==", "!=")
    (tmp_path / "agree.c").write_text("\n".join([*source, wrong]) + "\n")
    with pytest.raises(AssertionError, match="static assertion failed"):
        run("make", "-C", headers, f"M={tmp_path}", "agree.o")
