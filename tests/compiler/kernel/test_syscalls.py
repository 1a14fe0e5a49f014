# SPDX-License-Identifier: GPL-2.0-or-later
"""System calls, from Debian's headers, checked against the same kernel's BTF."""

from __future__ import annotations

import re

import pytest

from compiler.kernel import btf_types as k
from compiler.kernel.c_types import spelled
from compiler.kernel.errors import NoHeaders, NoSuchSyscall
from compiler.kernel.kernel import Kernel
from compiler.kernel.syscalls import NUMBERS, Argument, parse_numbers, parse_prototypes

NUMBERED = {"prctl", "keyctl", "sysfs"}


@pytest.mark.parametrize(
    ("name", "number", "function", "arguments"),
    [
        ("read", 0, "__x64_sys_read", ["unsigned int fd", "char __user * buf", "size_t count"]),
        ("stat", 4, "__x64_sys_newstat",
         ["const char __user * filename", "struct stat __user * statbuf"]),
        ("getpid", 39, "__x64_sys_getpid", []),
        ("socket", 41, "__x64_sys_socket", ["int domain", "int type", "int protocol"]),
        ("rt_sigreturn", 15, "__x64_sys_rt_sigreturn", []),
        ("umount2", 166, "__x64_sys_umount", ["char __user * name", "int flags"]),
        ("clone", 56, "__x64_sys_clone",
         ["unsigned long flags", "unsigned long stack", "int __user * parent_tid",
          "int __user * child_tid", "unsigned long tls"]),
        ("fanotify_mark", 301, "__x64_sys_fanotify_mark",
         ["int fanotify_fd", "unsigned int flags", "u64 mask", "int fd",
          "const char __user * pathname"]),
        ("openat", 257, "__x64_sys_openat",
         ["int dfd", "const char __user * filename", "int flags", "umode_t mode"]),
    ],
)  # fmt: skip
def test_prototypes(
    debian: Kernel, name: str, number: int, function: str, arguments: list[str]
) -> None:
    found = debian.syscalls.find(name)
    assert (found.number, found.function) == (number, function)
    assert [f"{a.ctype} {a.name}" for a in found.arguments] == arguments
    assert debian.syscalls.name(number) == name
    assert debian.syscalls.number(name) == number


def test_every_call_exists_and_has_known_types(debian: Kernel) -> None:
    btf = debian.btf
    calls = list(debian.syscalls)
    assert len(calls) >= 340
    for call in calls:
        # calls without parameters are aliases, which BTF lists under their real name only
        inner = call.function.replace("__x64_sys_", "__do_sys_")
        assert btf.find_all(k.Function, call.function if call.arguments else inner), call
        assert len(call.arguments) <= 6
        assert len({a.name for a in call.arguments}) == len(call.arguments), call
        for argument in call.arguments:
            spelled(btf, argument.ctype)
            # a few are called so by the kernel itself
            assert call.name in NUMBERED or not re.fullmatch(r"arg\d+", argument.name), call


def test_no_served_call_is_missed(debian: Kernel) -> None:
    """Each entry function in BTF that has a number is one of ours."""
    ours = {call.function for call in debian.syscalls}
    text = debian.header(NUMBERS).read_text()
    for name in parse_numbers(text):
        function = f"__x64_sys_{name}"
        if debian.btf.find_all(k.Function, function) and function not in ours:
            # an older entry that only 32-bit tables use
            assert debian.syscalls.find(name).function != function


def test_an_unknown_call_brings_near_misses(debian: Kernel) -> None:
    with pytest.raises(NoSuchSyscall, match="no system call 'opennat': did you mean 'openat'"):
        debian.syscalls.find("opennat")
    with pytest.raises(NoSuchSyscall, match=r"'raed'.*'read'"):
        debian.syscalls.number("raed")
    assert debian.syscalls.name(9999) is None


def test_without_headers_a_question_says_what_to_install(host: Kernel) -> None:
    bare = Kernel("0.0.0-none", "x86_64", host.root, is_running=False)
    assert list(bare.syscalls) == []
    assert bare.syscalls.name(0) is None
    with pytest.raises(NoHeaders, match=r"apt install linux-headers-0\.0\.0-none"):
        bare.syscalls.find("read")


def test_variants_follow_the_configuration() -> None:
    text = """
    #ifndef CONFIG_ARCH_HAS_SYSCALL_WRAPPER
asmlinkage long sys_one(unsigned, const sigset_t __user *, struct file);
#if BITS_PER_LONG == 32
asmlinkage long sys_three(int small);
#else
asmlinkage long sys_three(int large);
#endif
#if !defined(CONFIG_A)
asmlinkage long sys_four(int without);
#else
asmlinkage long sys_four(int with);
#endif
#ifdef CONFIG_A
asmlinkage long sys_two(int a);
#else
# ifdef CONFIG_B
asmlinkage long sys_two(int b);
# else
asmlinkage long sys_two(int c, /* , */ char __user
                        *buf[]);
# endif
#endif
    #endif
"""
    assert parse_prototypes(text, lambda name: name == "CONFIG_A")["two"][0].name == "a"
    assert parse_prototypes(text, lambda name: name == "CONFIG_B")["two"][0].name == "b"
    found = parse_prototypes(text, lambda name: False)
    assert found["two"] == (Argument("int", "c"), Argument("char __user * *", "buf"))
    assert (found["three"][0].name, found["four"][0].name) == ("large", "without")
    assert found["one"] == (
        Argument("unsigned", "arg1"),
        Argument("const sigset_t __user *", "arg2"),
        Argument("struct file", "arg3"),
    )
