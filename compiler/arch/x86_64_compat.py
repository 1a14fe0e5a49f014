# SPDX-License-Identifier: GPL-2.0-or-later
"""System calls of 32-bit (i386) programs on x86-64: the kernel's entry functions and their arguments.

compat_calls("pread64") -> (CompatCall(("__ia32_compat_sys_ia32_pread64", "__ia32_sys_ia32_pread64"),
                                       arguments=((bx), (cx), (dx), (si and di)), ...),)

i386 has its own numbers, and for some calls its own functions: numbers of 64 bits come in two registers,
and times, lists of pointers and ids may have another size. Source: the kernel's
arch/x86/entry/syscalls/syscall_32.tbl, and the functions that it names.
"""

from __future__ import annotations

from typing import Final

from compiler.arch import CompatArgument, CompatCall

# A function that takes the same arguments as the 64-bit one needs no entry if it has the same name: then it
# is compat_sys_NAME if the kernel has that, else sys_NAME. Otherwise: the functions by which a call is
# made, each with its arguments if they are not passed one a register:
#   2    the second register            2s   a signed number
#   2:3  64 bits, the low half first    2h   an id of 16 bits
#   2p   a number of pages, in bytes    0    not passed: zero
# "=" in front: the table names sys_NAME although there is a compat_sys_NAME.
_CALLS: Final = {
    "adjtimex": "adjtimex_time32",
    "chown": "chown; chown16 1 2h 3h",
    "clock_adjtime": "clock_adjtime; clock_adjtime32",
    "clock_getres": "clock_getres; clock_getres_time32",
    "clock_gettime": "clock_gettime; clock_gettime32",
    "clock_nanosleep": "clock_nanosleep; clock_nanosleep_time32",
    "clock_settime": "clock_settime; clock_settime32",
    "clone": "ia32_clone 1 2 3 5 4",
    "epoll_pwait": "=epoll_pwait",
    "fadvise64": "ia32_fadvise64 1 2:3 4 5; ia32_fadvise64_64 1 2:3 4:5 6",
    "fallocate": "ia32_fallocate 1 2 3:4 5:6",
    "fanotify_mark": "fanotify_mark 1 2 3:4 5 6",
    "fchown": "fchown; fchown16 1 2h 3h",
    "fcntl": "fcntl64 1 2 3s",
    "fstatfs": "fstatfs; fstatfs64 1 3",
    "ftruncate": "ftruncate 1 2s; ia32_ftruncate64 1 2:3",
    "futex": "futex; futex_time32",
    "futimesat": "futimesat_time32",
    "getegid": "getegid; getegid16",
    "geteuid": "geteuid; geteuid16",
    "getgid": "getgid; getgid16",
    "getgroups": "getgroups; getgroups16",
    "getresgid": "getresgid; getresgid16",
    "getresuid": "getresuid; getresuid16",
    "getrlimit": "getrlimit; old_getrlimit",
    "getsockopt": "=getsockopt",
    "getuid": "getuid; getuid16",
    "io_getevents": "io_getevents_time32 1 2s 3s 4 5",
    "io_pgetevents": "io_pgetevents 1 2s 3s 4 5 6; io_pgetevents_time64 1 2s 3s 4 5 6",
    "io_submit": "io_submit 1 2s 3",
    "lchown": "lchown; lchown16 1 2h 3h",
    "lookup_dcookie": "lookup_dcookie 1:2 3 4",
    "lseek": "lseek 1 2s 3",
    "mbind": "=mbind",
    "migrate_pages": "=migrate_pages",
    "mmap": "mmap_pgoff 1 2 3 4 5 6p",
    "mq_timedreceive": "mq_timedreceive; mq_timedreceive_time32",
    "mq_timedsend": "mq_timedsend; mq_timedsend_time32",
    "msgrcv": "msgrcv 1 2 3 4s 5",
    "nanosleep": "nanosleep_time32",
    "newfstat": "newfstat; fstat; ia32_fstat64",
    "newfstatat": "ia32_fstatat64",
    "newlstat": "newlstat; lstat; ia32_lstat64",
    "newstat": "newstat; stat; ia32_stat64",
    "newuname": "newuname; uname; olduname",
    "ppoll": "ppoll_time32; ppoll_time64",
    "pread64": "ia32_pread64 1 2 3 4:5",
    "preadv": "preadv 1 2 3 4:5",
    "preadv2": "preadv2 1 2 3 4:5 0 6",
    "process_vm_readv": "=process_vm_readv",
    "process_vm_writev": "=process_vm_writev",
    "pselect6": "pselect6_time32; pselect6_time64",
    "pwrite64": "ia32_pwrite64 1 2 3 4:5",
    "pwritev": "pwritev 1 2 3 4:5",
    "pwritev2": "pwritev2 1 2 3 4:5 0 6",
    "readahead": "ia32_readahead 1 2:3 4",
    "recvmmsg": "recvmmsg_time32; recvmmsg_time64",
    "rt_sigtimedwait": "rt_sigtimedwait_time32; rt_sigtimedwait_time64",
    "sched_rr_get_interval": "sched_rr_get_interval; sched_rr_get_interval_time32",
    "sendfile64": "=sendfile64; sendfile",
    "set_mempolicy": "=set_mempolicy",
    "setfsgid": "setfsgid; setfsgid16 1h",
    "setfsuid": "setfsuid; setfsuid16 1h",
    "setgid": "setgid; setgid16 1h",
    "setgroups": "setgroups; setgroups16",
    "setregid": "setregid; setregid16 1h 2h",
    "setresgid": "setresgid; setresgid16 1h 2h 3h",
    "setresuid": "setresuid; setresuid16 1h 2h 3h",
    "setreuid": "setreuid; setreuid16 1h 2h",
    "setsockopt": "=setsockopt",
    "setuid": "setuid; setuid16 1h",
    "statfs": "statfs; statfs64 1 3",
    "sync_file_range": "ia32_sync_file_range 1 2:3 4:5 6",
    "time": "time32",
    "timer_gettime": "timer_gettime; timer_gettime32",
    "timer_settime": "timer_settime; timer_settime32",
    "timerfd_gettime": "timerfd_gettime; timerfd_gettime32",
    "timerfd_settime": "timerfd_settime; timerfd_settime32",
    "truncate": "truncate 1 2s; ia32_truncate64 1 2:3",
    "umount": "umount; oldumount 1 0",
    "utime": "utime32",
    "utimensat": "utimensat; utimensat_time32",
    "utimes": "utimes_time32",
}

# Calls that only i386 has, by the names of their functions. The kernel may have a 64-bit function, too,
# which nothing calls.
ONLY: Final = frozenset({
    "ia32_mmap", "ipc", "llseek", "nice", "old_readdir", "old_select", "sgetmask", "sigaction", "signal",
    "sigpending", "sigprocmask", "sigreturn", "sigsuspend", "socketcall", "ssetmask", "stime32", "uselib",
    "waitpid",
})  # fmt: skip

_PREFIXES: Final = ("__ia32_compat_sys_", "__ia32_sys_")
_REGISTERS: Final = ("bx", "cx", "dx", "si", "di", "bp")
_STRAIGHT: Final = "1 2 3 4 5 6"
# Others whose times have 32 bits end in 32.
_SHORT_TIMES: Final = frozenset({"io_pgetevents", "old_select", "select", "settimeofday"})


def compat_calls(name: str) -> tuple[CompatCall, ...]:
    """The ways in which a 32-bit program makes the system call whose 64-bit function has this name."""
    return tuple(_call(text.strip()) for text in _CALLS.get(name, name).split(";"))


def _call(text: str) -> CompatCall:
    name, _, arguments = text.partition(" ")
    prefixes = _PREFIXES[1:] if name.startswith("=") else _PREFIXES
    name = name.lstrip("=")
    short = name in _SHORT_TIMES or name.endswith("32")
    return CompatCall(
        functions=tuple(prefix + name for prefix in prefixes),
        arguments=tuple(_argument(word) for word in (arguments or _STRAIGHT).split()),
        time_size=4 if short else 8,
    )


def _argument(word: str) -> CompatArgument:
    form = word.lstrip("0123456789:")
    places = [int(place) for place in word.removesuffix(form).split(":")]
    registers = tuple(_REGISTERS[place - 1] for place in places if place)
    return CompatArgument(registers, signed=form == "s", is_short=form == "h", in_pages=form == "p")
