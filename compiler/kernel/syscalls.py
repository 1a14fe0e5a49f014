# SPDX-License-Identifier: GPL-2.0-or-later
"""System calls: numbers, kernel functions and parameters, from the kernel's headers.

    calls = Syscalls.read(headers)
    calls.find("read") -> Syscall('read', 0, '__x64_sys_read',
                                  (Argument('unsigned int', 'fd'), Argument('char *', 'buf'), ...))
    calls.name(257)    -> "openat"

BTF cannot serve here: the functions take only `struct pt_regs *`. Sources: prototypes from
include/linux/syscalls.h; numbers from the generated asm/unistd_64.h. The header leaves some
parameters unnamed and lacks those that only x86 has; the two tables below fill in, with the
names of the manual pages.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from compiler.kernel.errors import NoHeaders, NoSuchSyscall
from compiler.support.did_you_mean import did_you_mean
from runtime.support.lazy_regex import pattern
from runtime.support.record import record

PREFIX: Final = "__x64_sys_"  # what x86-64 puts before the name of each entry function
PROTOTYPES: Final = Path("include/linux/syscalls.h")
NUMBERS: Final = Path("arch/x86/include/generated/uapi/asm/unistd_64.h")

# where the number's name and the function's differ (arch/x86/entry/syscalls/syscall_64.tbl)
_ENTRIES: Final = {
    "stat": "newstat",
    "fstat": "newfstat",
    "lstat": "newlstat",
    "uname": "newuname",
    "umount2": "umount",
    "sendfile": "sendfile64",
}
_ABSENT: Final = {
    "arch_prctl": "int option, unsigned long addr",
    "get_thread_area": "struct user_desc __user *u_info",
    "iopl": "unsigned int level",
    "mmap": "unsigned long addr, unsigned long length, unsigned long prot, unsigned long flags,"
    " unsigned long fd, unsigned long offset",
    "modify_ldt": "int func, void __user *ptr, unsigned long bytecount",
    "rt_sigreturn": "void",
    "set_thread_area": "struct user_desc __user *u_info",
}
_SOCKET: Final = ("sockfd", "addr", "addrlen")
_UNNAMED: Final[dict[str, tuple[str, ...]]] = {
    "accept": _SOCKET,
    "accept4": (*_SOCKET, "flags"),
    "bind": _SOCKET,
    "clone": ("flags", "stack", "parent_tid", "child_tid", "tls"),
    "connect": _SOCKET,
    "getpeername": _SOCKET,
    "getsockname": _SOCKET,
    "io_submit": ("ctx_id", "nr", "iocbpp"),
    "listen": ("sockfd", "backlog"),
    "ppoll": ("fds", "nfds", "tmo_p", "sigmask", "sigsetsize"),
    "pselect6": ("nfds", "readfds", "writefds", "exceptfds", "timeout", "sigmask"),
    "recvfrom": ("sockfd", "buf", "len", "flags", "src_addr", "addrlen"),
    "rt_sigaction": ("signum", "act", "oldact", "sigsetsize"),
    "sendto": ("sockfd", "buf", "len", "flags", "dest_addr", "addrlen"),
    "shutdown": ("sockfd", "how"),
    "socket": ("domain", "type", "protocol"),
    "socketpair": ("domain", "type", "protocol", "sv"),
}

_COMMENT: Final = pattern(r"/\*.*?\*/|//[^\n]*", re.S)
_ITEM: Final = pattern(
    r"^[ \t]*#[ \t]*(?P<directive>ifdef|ifndef|if|else|elif|endif)\b(?P<condition>[^\n]*)"
    r"|^asmlinkage\s+long\s+sys_(?P<name>\w+)\s*\((?P<params>[^;]*)\)\s*;",
    re.M,
)
_DEFINED: Final = pattern(r"(?P<negated>!)?\s*defined\s*\(?\s*(?P<option>\w+)\s*\)?")
_NUMBER: Final = pattern(r"^#define\s+__NR_(\w+)\s+(\d+)", re.M)
_NAMED: Final = pattern(r"(?P<type>.*[\s*])(?P<name>\w+)(?P<array>(\[\w*\])*)", re.S)
_TYPE_WORDS: Final = frozenset(["char", "short", "int", "long", "unsigned", "signed", "void"])


@record
class Argument:
    """`ctype` as C spells it, with `__user` where the kernel's source has it."""

    ctype: str
    name: str


@record
class Syscall:
    """`function` is the kernel's entry symbol. Its one parameter is a `struct pt_regs *`."""

    name: str
    number: int
    function: str
    arguments: tuple[Argument, ...]


class Syscalls:
    """The system calls of one kernel, as far as its headers tell."""

    def __init__(
        self, calls: dict[str, Syscall], numbers: dict[str, int], missing: NoHeaders | None = None
    ) -> None:
        """`missing` is raised in place of "no such system call" when a header could not be read."""
        self._calls = calls
        self._numbers = numbers
        self._names = {number: name for name, number in numbers.items()}
        self._missing = missing

    @classmethod
    def read(
        cls,
        find_header: Callable[[Path], Path],
        is_configured: Callable[[str], bool] = lambda option: False,
    ) -> Syscalls:
        """What the headers tell; without them, an object that knows less and says so when asked.

        `find_header` turns a header's path within the kernel tree into one on disk, or raises
        NoHeaders. `is_configured` tells whether a `CONFIG_` option is on; it chooses between
        variants of a prototype (clone has three).
        """
        numbers: dict[str, int] = {}
        prototypes: dict[str, tuple[Argument, ...]] = {}
        missing: NoHeaders | None = None
        try:
            numbers = parse_numbers(_text(find_header(NUMBERS)))
            prototypes = parse_prototypes(_text(find_header(PROTOTYPES)), is_configured)
        except NoHeaders as error:
            missing = error
        calls: dict[str, Syscall] = {}
        for name, number in numbers.items():
            entry = _ENTRIES.get(name, name)
            arguments = prototypes.get(entry)
            if arguments is None and entry in _ABSENT:
                arguments = _arguments(entry, _ABSENT[entry])
            if arguments is not None:
                calls[name] = Syscall(name, number, PREFIX + entry, arguments)
        return cls(calls, numbers, missing)

    def __iter__(self) -> Iterator[Syscall]:
        """Every system call whose prototype is known, by number."""
        return iter(sorted(self._calls.values(), key=lambda call: call.number))

    def find(self, name: str) -> Syscall:
        """Raises NoSuchSyscall, also for numbers that the kernel reserves but does not serve, and
        NoHeaders where it cannot be known."""
        found = self._calls.get(name)
        if found is None:
            raise self._missing or _unknown(name, self._calls)
        return found

    def number(self, name: str) -> int:
        """Raises NoSuchSyscall, or NoHeaders where it cannot be known."""
        if name not in self._numbers:
            raise self._missing or _unknown(name, self._numbers)
        return self._numbers[name]

    def name(self, number: int) -> str | None:
        """None for a number that means nothing."""
        return self._names.get(number)


def _unknown(name: str, known: Iterable[str]) -> NoSuchSyscall:
    return NoSuchSyscall(f"no system call '{name}'", did_you_mean(name, known))


def parse_numbers(text: str) -> dict[str, int]:
    """Name -> number, from unistd_64.h."""
    return {name: int(number) for name, number in _NUMBER.findall(text)}


def parse_prototypes(
    text: str, is_configured: Callable[[str], bool]
) -> dict[str, tuple[Argument, ...]]:
    """Name (without `sys_`) -> arguments, from linux/syscalls.h."""
    found: dict[str, tuple[Argument, ...]] = {}
    conditions: list[bool] = []
    for item in _ITEM.finditer(_COMMENT.sub("", text)):
        match item["directive"]:
            case None:
                name = item["name"]
                if name not in found or all(conditions):
                    found[name] = _arguments(name, item["params"])
            case "endif":
                if conditions:
                    conditions.pop()
            case "else" | "elif":
                if conditions:
                    conditions[-1] = not conditions[-1]
            case directive:
                conditions.append(_holds(directive, item["condition"].strip(), is_configured))
    return found


def _holds(directive: str, condition: str, is_configured: Callable[[str], bool]) -> bool:
    """Whether a preprocessor condition holds on x86-64; the unknown counts as held."""
    if condition == "CONFIG_ARCH_HAS_SYSCALL_WRAPPER":
        return True  # it hides the very prototypes that are wanted
    option, wanted = condition, directive != "ifndef"
    if directive == "if":
        match = _DEFINED.fullmatch(condition)
        if match is None:
            return condition != "BITS_PER_LONG == 32"
        option, wanted = match["option"], not match["negated"]
    if not option.startswith("CONFIG_"):
        return True
    return is_configured(option) == wanted


def _arguments(name: str, text: str) -> tuple[Argument, ...]:
    parts = [" ".join(part.split()) for part in text.split(",")]
    if parts in (["void"], [""]):
        return ()
    names = _UNNAMED.get(name, ())
    found: list[Argument] = []
    for index, part in enumerate(parts):
        ctype, own = _split(part)
        fallback = names[index] if index < len(names) else f"arg{index + 1}"
        found.append(Argument(ctype, own or fallback))
    return tuple(found)


def _split(part: str) -> tuple[str, str]:
    """`const char __user *path` -> (`const char __user *`, `path`); the name may be absent."""
    match = _NAMED.fullmatch(part)
    if match is None or match["name"] in _TYPE_WORDS or match["name"].startswith("__"):
        return part, ""
    ctype = match["type"].strip()
    words = re.sub(r"\b(const|__user|struct|union|enum)\b|\*", " ", ctype).split()
    if not words:  # `struct file`, `const sigset_t`: the last word is the type's
        return part, ""
    return ctype + (" *" if match["array"] else ""), match["name"]


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError as error:
        raise NoHeaders(f"cannot read {path}: {error.strerror}") from error
