# SPDX-License-Identifier: GPL-2.0-or-later
"""BTF: look-up by name, prototypes, constants, C types and errors, with real and damaged data."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.kernel import btf_types as k
from compiler.kernel.btf import _FEW, Btf
from compiler.kernel.btf_types import TypeId
from compiler.kernel.c_types import declaration, spelled, type_name
from compiler.kernel.errors import (
    AmbiguousFunction,
    BadBtf,
    KernelFactError,
    NoSuchConstant,
    NoSuchType,
)
from compiler.kernel.kernel import Kernel
from compiler.kernel.type_layout import integer, is_string, members, sizeof


def blob(types: bytes, text: bytes, version: int = 1) -> bytes:
    """A BTF file of these two sections."""
    header = struct.pack("<HBBIIIII", 0xEB9F, version, 0, 24, 0, len(types), len(types), len(text))
    return header + types + text


def record(name: int, kind: int, vlen: int, third: int, *rest: int, flag: bool = False) -> bytes:
    return struct.pack(
        f"<{3 + len(rest)}I", name, int(flag) << 31 | kind << 24 | vlen, third, *rest
    )


# 1: int; 2, 3: two functions `f` (int) and (int, int); 4, 5: their types; 6: a tagged pointer
TEXT = b"\0int\0f\0user\0a\0big\0A\0"
TYPES = b"".join(
    [
        record(1, 1, 0, 4, 1 << 24 | 32),
        record(5, 12, 0, 4),
        record(5, 12, 0, 5),
        record(0, 13, 1, 1, 12, 1),
        record(0, 13, 2, 1, 12, 1, 0, 0),
        record(0, 2, 0, 7),
        record(7, 18, 0, 8),
        record(0, 10, 0, 1),
        record(14, 19, 1, 8, 18, 0xFFFFFFFE, 0xFFFFFFFF, flag=True),
        record(0, 8, 0, 10),  # refers to itself
        record(0, 17, 0, 2, 0xFFFFFFFF),
    ]
)


def test_a_prototype_reads_as_its_source(kernel: Kernel) -> None:
    found = kernel.btf.function("vfs_read")
    assert [param.name for param in found.params] == ["file", "buf", "count", "pos"]
    spelled_out = declaration(kernel.btf, kernel.btf.find(k.Function, "vfs_read").id, "")
    assert (
        spelled_out == "ssize_t vfs_read(struct file *file, char *buf, size_t count, loff_t *pos)"
    )
    assert integer(kernel.btf, found.ret) is not None


@pytest.mark.parametrize(
    ("name", "value"),
    [("PIDTYPE_PID", 0), ("PIDTYPE_TGID", 1), ("BPF_REG_10", 10), ("HRTIMER_RESTART", 1)],
)
def test_constants(kernel: Kernel, name: str, value: int) -> None:
    assert kernel.btf.constant(name) == value


def test_many_constants(kernel: Kernel) -> None:
    """They come from a list of all of them, which has what a search for each one finds."""
    many = Btf(kernel.btf.data, index=kernel.btf.index)
    names = sorted(set(many._constant_names()))[::500]
    found = {name: many.constants(name) for name in (*names, "NOT_THERE")}
    assert len(names) > 2 * _FEW and not found["NOT_THERE"]
    for name in names:
        one = Btf(kernel.btf.data, index=kernel.btf.index)
        assert [v for v, _ in one.constants(name)] == [v for v, _ in found[name]], name
        assert {owner for _, owner in one.constants(name)} == {owner for _, owner in found[name]}


def test_a_missing_name_brings_near_misses(kernel: Kernel) -> None:
    btf = kernel.btf
    with pytest.raises(NoSuchType, match=r"no struct 'task_strcut'.*did you mean 'task_struct'"):
        btf.find(k.Struct, "task_strcut")
    with pytest.raises(NoSuchType, match=r"no function 'vfs_raed'.*'vfs_read'"):
        btf.function("vfs_raed")
    with pytest.raises(NoSuchConstant, match=r"no enum constant 'PIDTYPE_TGIT'.*'PIDTYPE_TGID'"):
        btf.constant("PIDTYPE_TGIT")
    with pytest.raises(NoSuchConstant, match="macros"):
        btf.constant("@@@@")
    with pytest.raises(NoSuchType, match="no per-CPU variable 'curent_task'"):
        btf.percpu("curent_task")


def test_names_are_whole_and_of_the_right_kind(kernel: Kernel) -> None:
    btf = kernel.btf
    assert btf.find_all(k.Struct, "task_struc") == ()
    assert btf.find_all(k.Union, "task_struct") == ()
    assert btf.find_all(k.Struct, "") == ()
    assert set(btf.names(k.Function, "vfs_read")) == {"vfs_read"}
    some = set(btf.names(k.Function, "vfs_rea[!x]*"))
    assert {"vfs_read", "vfs_readlink"} <= some
    assert all(name.startswith("vfs_rea") for name in some)


def test_per_cpu_variables(debian: Kernel) -> None:
    found = debian.btf.percpu("runqueues")
    assert found.size == sizeof(debian.btf, found.type_id)
    assert type_name(debian.btf, found.type_id) == "struct rq"


def test_types_by_their_c_spelling(kernel: Kernel) -> None:
    btf = kernel.btf
    for text, size, pointers in [
        ("int", 4, 0),
        ("unsigned", 4, 0),
        ("unsigned long", 8, 0),
        ("long unsigned int", 8, 0),
        ("short", 2, 0),
        ("unsigned char", 1, 0),
        ("long long", 8, 0),
        ("bool", 1, 0),
        ("u16", 2, 0),
        ("const char __user *const __user *", 1, 2),
        ("enum pid_type", 4, 0),
    ]:
        found = spelled(btf, text)
        assert (sizeof(btf, found.type_id), found.pointers) == (size, pointers), text
    assert spelled(btf, "void *").type_id == 0
    assert spelled(btf, "task_struct") == spelled(btf, "struct task_struct")
    with pytest.raises(NoSuchType, match="'task_struct'"):
        spelled(btf, "struct task_strukt *")
    for text in ("", "int (*)(void)", "struct", "long task_struct", "int * int"):
        with pytest.raises(NoSuchType):
            spelled(btf, text)


def test_strings_are_told_from_bytes(kernel: Kernel) -> None:
    btf = kernel.btf
    task = {m.name: m.type_id for m in btf.find(k.Struct, "task_struct").members}
    name = {m.name: m.type_id for m in members(btf, btf.find(k.Struct, "qstr"))}["name"]
    assert is_string(btf, task["comm"])
    assert type_name(btf, name) == "const unsigned char *"
    assert not is_string(btf, name)
    assert not is_string(btf, task["pid"])


def test_static_functions_of_one_name_are_all_seen() -> None:
    btf = Btf(blob(TYPES, TEXT))
    assert [len(p.params) for p in btf.functions("f")] == [1, 1]
    assert [p.variadic for p in btf.functions("f")] == [False, True]
    with pytest.raises(AmbiguousFunction, match="2 functions of 'vmlinux' are named 'f'"):
        btf.function("f")


def test_functions_that_differ_in_names_only_are_one() -> None:
    types = record(1, 1, 0, 4, 1 << 24 | 32) + record(5, 12, 0, 4) + record(5, 12, 0, 5)
    types += record(0, 13, 1, 1, 12, 1) + record(0, 13, 1, 1, 14, 1)
    btf = Btf(blob(types, TEXT))
    assert btf.function("f").params == (k.Param("a", TypeId(1)),)
    assert [p.params[0].name for p in btf.functions("f")] == ["a", "big"]


def test_rare_records() -> None:
    btf = Btf(blob(TYPES, TEXT))
    assert type_name(btf, TypeId(6)) == "const int __user *"
    assert btf.constant("A") == -2
    assert btf[TypeId(11)] == k.DeclTag(TypeId(11), "", TypeId(2), -1)
    with pytest.raises(BadBtf, match="refers to itself"):
        btf.resolve(TypeId(10))
    with pytest.raises(BadBtf, match="type number 99"):
        btf[TypeId(99)]
    assert "..." in type_name(btf, TypeId(10)) or type_name(btf, TypeId(10)) == ""


def test_a_function_that_takes_itself_can_be_written() -> None:
    types = record(1, 1, 0, 4, 1 << 24 | 32) + record(0, 13, 1, 1, 12, 2)
    assert type_name(Btf(blob(types, TEXT)), TypeId(2)).startswith("int (int a(int a(")


def test_a_module_builds_on_the_kernel(debian: Kernel) -> None:
    btf = debian.module_btf("xfs")
    inode = btf.find(k.Struct, "xfs_inode")
    assert inode.id >= len(debian.btf)
    assert btf.find(k.Struct, "task_struct") == debian.btf.find(k.Struct, "task_struct")
    vfs = next(member for member in inode.members if member.name == "i_vnode")
    assert type_name(btf, vfs.type_id) == "struct inode"
    with pytest.raises(NoSuchType):
        debian.btf.find(k.Struct, "xfs_inode")


def test_the_kernel_knows_the_numbers_of_several_modules(debian: Kernel) -> None:
    names = {"xfs": "xfs_inode", "nf-conntrack": "nf_conntrack_net"}
    found = {module: debian.module_btf(module).find(k.Struct, n) for module, n in names.items()}
    assert [debian.btf[each.id] for each in found.values()] == list(found.values())
    for module, each in found.items():
        own = [member.type_id for member in each.members]
        assert [debian.btf[i] for i in own] == [debian.module_btf(module)[i] for i in own]


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "cut short"),
        (b"\x7fELF" + bytes(60), "does not hold type information"),
        (blob(TYPES, TEXT, version=2), "does not hold type information"),
        (blob(TYPES, TEXT)[:-1], "cut short"),
        (blob(TYPES[:-4], TEXT), "cut short"),
        (blob(TYPES, TEXT[:-1]), "names of 'vmlinux' are cut short"),
        (blob(record(0, 31, 0, 0), TEXT), "unknown kind, 31"),
    ],
)
def test_damage_is_refused(data: bytes, complaint: str) -> None:
    with pytest.raises(BadBtf, match=complaint):
        Btf(data)


def test_an_unreadable_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(BadBtf, match=r"No such file.*CONFIG_DEBUG_INFO_BTF"):
        Btf.read(tmp_path / "vmlinux")


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_flipped_bytes_raise_nothing_else(data: st.DataObject) -> None:
    """For any damaged file, only our own errors are raised, and every reading terminates."""
    raw = bytearray(blob(TYPES, TEXT))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at] = data.draw(st.integers(0, 255))
    try:
        btf = Btf(bytes(raw))
        names = list(btf.names(k.Function))
    except KernelFactError:
        return
    for number in range(len(btf)):
        for use in (type_name, sizeof, integer, is_string):
            try:
                use(btf, TypeId(number))
            except KernelFactError:
                continue
    for name in (*names, "int", "f", "A"):
        try:
            btf.functions(name)
            btf.constants(name)
        except KernelFactError:
            continue
