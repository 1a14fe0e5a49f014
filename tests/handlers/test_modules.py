# SPDX-License-Identifier: GPL-2.0-or-later
"""Functions of modules in a real kernel: a file is saved on a file system that is a module."""

from __future__ import annotations

from typing import Any

import pytest

from lab import Guest
from tests.handlers.conftest import Case, check, types_of_modules

SAVED = "save /root/saved 5"
MINE = 'if (execname() != "trigger") next'
WRITE = 'module("ext4").function("ext4_file_write_iter")'
CASES = [
    Case(
        "entry and return",
        f"""global entered, name, left
        probe {WRITE} {{ {MINE}
            entered++; name = kernel_string($iocb->ki_filp->f_path->dentry->d_name->name) }}
        probe {WRITE}.return {{ {MINE}
            left <<< $return
            printf("%s %s %d\\n", ppfunc(), @entry(modname(addr())), $from->count == 0) }}""",
        SAVED,
        output="ext4_file_write_iter ext4 1\n",
        values={"entered": 1, "name": "saved"},
        needs=types_of_modules,
    ),
    Case(
        "entry and return, without types of the module",
        f"""global entered, name, left
        probe {WRITE} {{ {MINE}
            entered++
            name = kernel_string(@cast($arg1, "kiocb")->ki_filp->f_path->dentry->d_name->name) }}
        probe {WRITE}.return {{ {MINE}
            left <<< $return
            printf("%s %s %d\\n", ppfunc(), @entry(modname(addr())), @cast($arg2, "iov_iter")->count == 0) }}""",
        SAVED,
        output="ext4_file_write_iter ext4 1\n",
        values={"entered": 1, "name": "saved"},
    ),
    Case(
        "types of the module",
        f"""probe module("ext4").function("ext4_sync_file") {{ {MINE}
            super = $file->f_inode->i_sb
            println(@cast(super->s_fs_info, "ext4_sb_info")->s_sb == super) }}
        probe kernel.function("vfs_write") {{ {MINE}
            super = $file->f_inode->i_sb
            println(@cast(super->s_fs_info, "ext4_sb_info", "ext4")->s_sb == super) }}""",
        SAVED,
        output="1\n1\n",
        needs=types_of_modules,
    ),
    Case(
        "a wildcard",
        f"""global calls, returns
        probe module("ext4").function("ext4_sync_*"), module("ex*4").function("ext4_file_write_i*") {{
            {MINE} calls[probefunc()]++ }}
        probe module("ext4").function("ext4_sync_*").return {{ {MINE} returns[probefunc()]++ }}""",
        SAVED,
        values={
            "calls": {"ext4_sync_file": 1, "ext4_file_write_iter": 1},
            "returns": {"ext4_sync_file": 1},
        },
    ),
    Case(
        "without symbols",
        f"global calls probe {WRITE} {{ {MINE} calls++ }}",
        SAVED,
        values={"calls": 1},
        symbols=False,
    ),
]


@pytest.fixture(scope="module")
def guest(guest: Guest) -> Guest:
    """The guest, whose root's file system is the module that the cases probe."""
    assert guest.run("stat -f -c %T /root").stdout.startswith("ext")
    return guest


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: Case, results: dict[str, Any]) -> None:
    check(case, results[case.name])
