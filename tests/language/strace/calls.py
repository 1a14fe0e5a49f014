# SPDX-License-Identifier: GPL-2.0-or-later
"""System calls with usual and unusual arguments, and strace's decoding of them.

calls(probes("open"))   -> [Call(<openat>, (-100, WORLD + PATH, 0, 0, 0, 0)), ...] of syscalls/open.stp
decode([call, ...])     -> ['openat(AT_FDCWD, "/a/file", O_RDONLY)', ...] as strace writes them

A call is made as a 64-bit program makes it, or as a 32-bit one does: with probes_32("open").
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from compiler.arch import CompatCall, arch_of
from tests import PROJECT

HERE = Path(__file__).parent
TAPSET = PROJECT / "compiler/tapset/syscalls"
ONLY_32 = PROJECT / "compiler/tapset/x86_64/syscalls_32.stp"
NUMBERS = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
NO_STRACE = shutil.which("strace") is None or not NUMBERS.exists()
_TABLES = "linux-headers-*/arch/x86/include/generated/asm/syscalls_32.h"
TABLE_32 = next(iter(sorted(Path("/usr/src").glob(_TABLES), reverse=True)), None)
ARCH = arch_of("x86_64")
LOW = (1 << 32) - 1
WORLD = 0x20000000
PATH, NAME, ZEROS, TIME, TIME_32, ADDRESS, ADDRESS6, ODD, LIST, LIST_32 = (
    WORLD + at for at in (0x200, 0x280, 0x300, 0x500, 0x540, 0x580, 0x5C0, 0x600, 0x680, 0x6C0)
)
BAD = 0x10
HIGH = 0xDEADBEEF << 32  # what an int does not have

# by the kernel's function where the name of the call is another one
_FUNCTIONS = {
    "newuname": "uname",
    "newstat": "stat",
    "newlstat": "lstat",
    "newfstat": "fstat",
    "sendfile64": "sendfile",
    "umount": "umount2",
}
# they end the process, return elsewhere, or are no calls of this machine's
_LEFT_OUT = ("exit_group", "rt_sigreturn", "send", "recv")
_PROBE = re.compile(
    r'^probe syscall\.(\w+) = [^\n]*kernel\.syscall\("(\w+)"\)\.call \? \{\n(.*?)^\}', re.M | re.S
)
_ARGUMENT = re.compile(r"^\t(\w+) = (.*@sys_arg(\d).*)$", re.M)
_NUMBERS = [0, 1, 3, 17, -1, -2, -100, 1 << 31, (1 << 31) - 1, HIGH | 2, -1 << 63]
_FLAGS = [*range(40), *(1 << n for n in range(5, 32)), 0x80000, 0x80800, -1, HIGH | 1, 0x7FFFFFFF]
_MORE_FLAGS = [0x101, 0x41, 0x42, 0x82, 0x103, 0x10000002, 0x40000001, 0x80000001, 0x80000009]
_MORE_FLAGS += [*range(40, 72), *range(1024, 1042), 0x3001, 0x1001, 0x1002, 0x1003, 0x1004]
_WORDS = re.compile(
    r"flag|flg|mode|mask|how|^op|oper|cmd|type|advice|behavior|option|which|resource|policy|level|"
    r"optname|family|protocol|whence|^sig$|prot|clk|clockid|code|request|persona|magic|ioprio|code|option"
)


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    place: int  # from 0
    text: str  # how the library reads it

    def values(self) -> list[int]:
        if "sockaddr" in self.text:
            return [ADDRESS, ADDRESS6, ODD, ZEROS, 0, BAD]
        if "string" in self.text or "buffer" in self.text:
            return [PATH, NAME, 0, BAD]
        if "timespec" in self.text or "timeval" in self.text:
            return [TIME, 0, BAD]
        if "exec_arguments" in self.text:
            return [LIST, 0, BAD]
        if self.name.endswith("_uaddr"):
            return [ZEROS, 0, BAD]
        if _WORDS.search(self.name):
            return _FLAGS + _MORE_FLAGS
        if re.search(r"len|^size$|^count$", self.name):
            return [28, *range(8), 16, *_NUMBERS]
        return _NUMBERS


@dataclass(frozen=True, slots=True)
class Probe:
    """One of the library's: its name, the kernel's entry function, the call's number and parameters.

    `compat`: how a 32-bit program makes the call; None for a 64-bit one.
    """

    name: str
    function: str
    number: int
    parameters: tuple[Parameter, ...]
    compat: CompatCall | None = None


@dataclass(frozen=True, slots=True)
class Call:
    probe: Probe
    arguments: tuple[int, ...]

    @property
    def words(self) -> list[int]:
        """The number, and the registers in their order."""
        if self.probe.compat is None:
            registers = list(self.arguments)
        else:
            registers = _registers_32(self.probe.compat, self.arguments)
        return [self.probe.number, *(word & (1 << 64) - 1 for word in registers)]

    def __str__(self) -> str:
        return f"{self.probe.name}({', '.join(map(hex, self.arguments))})"


def _registers_32(call: CompatCall, arguments: Sequence[int]) -> list[int]:
    """An argument of 64 bits is in two of the registers."""
    found = dict.fromkeys(ARCH.compat_arguments, 0)
    for place, value in zip(call.arguments, arguments, strict=False):
        for half, register in enumerate(place.registers):
            found[register] = value >> 32 * half & LOW
    short = {TIME: TIME_32} if call.time_size == 4 else {}
    moved = short | {LIST: LIST_32}
    return [moved.get(value, value) for value in found.values()]


@cache
def numbers() -> dict[str, int]:
    found = re.findall(r"#define __NR_(\w+) (\d+)", NUMBERS.read_text())
    return {name: int(number) for name, number in found}


@cache
def table_32(file: Path | None = TABLE_32) -> dict[str, int]:
    """The entry functions of 32-bit programs' calls, each with one of its numbers, from the kernel's table."""
    assert file is not None
    # before 5.12 a call with a function for 32-bit programs has two lines, the first for 32-bit kernels
    text = re.sub(r"^#ifdef CONFIG_X86_32\n.*\n#else\n", "", file.read_text(), flags=re.M)
    rows = re.findall(r"^__SYSCALL\w*\((\d+), (\w+)(?:, (\w+))?\)", text, re.M)
    found = {f"__ia32_{compat or own}": int(number) for number, own, compat in rows}
    return {name: number for name, number in found.items() if name != "__ia32_sys_ni_syscall"}


def library_calls() -> set[str]:
    """The calls that the library has probes for, by the kernel's names."""
    files = [*TAPSET.glob("*.stp"), ONLY_32]
    return {name for file in files for name in re.findall(r'syscall\("(\w+)"\)', file.read_text())}


@cache
def probes(topic: str) -> tuple[Probe, ...]:
    """Those of one file of the library that this machine has calls for."""
    found = []
    for name, function, parameters in _written(TAPSET / f"{topic}.stp"):
        number = numbers().get(_FUNCTIONS.get(function, function))
        if number is not None and name not in _LEFT_OUT:
            found.append(Probe(name, ARCH.syscall_prefix + function, number, parameters))
    return tuple(found)


@cache
def probes_32(topic: str) -> tuple[Probe, ...]:
    """The same for 32-bit programs; "" is the topic of the calls that only they have."""
    found = []
    for name, function, parameters in _written(TAPSET / f"{topic}.stp" if topic else ONLY_32):
        for call in ARCH.compat_calls(function):
            entry = next((f for f in call.functions if f in table_32()), None)
            if entry is not None and name not in _LEFT_OUT:
                found.append(Probe(name, entry, table_32()[entry], parameters, call))
    return tuple(found)


def _written(file: Path) -> Iterator[tuple[str, str, tuple[Parameter, ...]]]:
    """Name, function and parameters of a file's probes."""
    for name, function, body in _PROBE.findall(file.read_text()):
        parameters: dict[int, Parameter] = {}
        for variable, text, place in _ARGUMENT.findall(body):
            old = parameters.get(int(place) - 1)
            # the last reading tells most, and the first has the name
            first = old.name if old else variable
            if old is None or "unquoted" not in variable:
                parameters[int(place) - 1] = Parameter(first, int(place) - 1, text)
        yield name, function, tuple(parameters.values())


def topics() -> list[str]:
    return sorted(path.stem for path in TAPSET.glob("*.stp") if probes(path.stem))


def topics_32() -> list[str]:
    return ["", *(path.stem for path in sorted(TAPSET.glob("*.stp")) if probes_32(path.stem))]


def calls(some: Sequence[Probe]) -> Iterator[Call]:
    """Each argument takes all its values in turn, while the others are usual."""
    for probe in some:
        usual = [0] * 6
        for parameter in probe.parameters:
            usual[parameter.place] = parameter.values()[0]
        made = {tuple(usual): None}
        for parameter in probe.parameters:
            for value in parameter.values():
                changed = list(usual)
                changed[parameter.place] = value
                made[tuple(changed)] = None
        for arguments in made:
            yield Call(probe, arguments)


def decode(made: Sequence[Call], folder: Path) -> list[str]:
    """What strace writes of each call, up to the closing parenthesis."""
    caller, output = folder / "caller", folder / "decoded"
    subprocess.run(["gcc", "-O1", "-o", caller, HERE / "caller.c"], check=True, timeout=60)
    plan = "".join(" ".join(f"{word:x}" for word in call.words) + "\n" for call in made)
    command = ["strace", "-s", "64", "-o", str(output), str(caller)]
    if made[0].probe.compat is not None:
        command.append("32")
    subprocess.run(command, input=plan, text=True, check=True, timeout=300)
    text = output.read_text(errors="surrogateescape")
    lines = [line for line in text.splitlines() if not line.startswith("strace: [ Process")]
    end = next(i for i, line in enumerate(lines) if line.startswith("exit_group("))
    return [re.sub(r"\) += (-?\w+|\?).*$", ")", line) for line in lines[end - len(made) : end]]


def kernel_source(made: Sequence[Call]) -> str:
    """C of a kernel that has the calls' functions, and the calls in a table."""
    golden = PROJECT / "tests/golden/kernel.c"
    functions = sorted({call.probe.function for call in made} | {"__x64_sys_openat"})
    rows = ",\n".join("{" + ",".join(f"{word:#x}ul" for word in call.words) + "}" for call in made)
    text = (
        f'#include "{HERE}/world.h"\n#define size_t golden_size_t\n#define ssize_t golden_ssize_t\n'
    )
    text += f'#define loff_t golden_loff_t\n#include "{golden}"\n'
    for name in functions:
        if f"long {name}(" not in golden.read_text():
            text += f"long {name}(const struct pt_regs *regs) {{ return (long)regs->di; }}\n"
    text += "long next_call(struct pt_regs *regs) { return (long)regs->di; }\n"
    text += f"unsigned long calls[][7] = {{\n{rows}\n}};\n"
    return text + "__attribute__((constructor)) static void begin(void) { make_world(); }\n"
