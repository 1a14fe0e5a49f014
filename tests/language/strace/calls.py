# SPDX-License-Identifier: GPL-2.0-or-later
"""System calls with usual and unusual arguments, and strace's decoding of them.

calls("read")           -> [Call(2, "openat", 257, (-100, WORLD + PATH, 0, 0, 0, 0)), ...] of syscalls/read.stp
decode([call, ...])     -> ['openat(AT_FDCWD, "/a/file", O_RDONLY)', ...] as strace writes them
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests import PROJECT

HERE = Path(__file__).parent
TAPSET = PROJECT / "compiler/tapset/syscalls"
NUMBERS = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
NO_STRACE = shutil.which("strace") is None or not NUMBERS.exists()
WORLD = 0x20000000
PATH, NAME, ZEROS, TIME, ADDRESS, ADDRESS6, ODD, LIST = (
    WORLD + at for at in (0x200, 0x280, 0x300, 0x500, 0x580, 0x5C0, 0x600, 0x680)
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
    """One of the library's: its name, the kernel's function, the call's number and parameters."""

    name: str
    function: str
    number: int
    parameters: tuple[Parameter, ...]


@dataclass(frozen=True, slots=True)
class Call:
    probe: Probe
    arguments: tuple[int, ...]

    @property
    def words(self) -> list[int]:
        return [self.probe.number, *(argument & (1 << 64) - 1 for argument in self.arguments)]

    def __str__(self) -> str:
        return f"{self.probe.name}({', '.join(map(hex, self.arguments))})"


@cache
def numbers() -> dict[str, int]:
    found = re.findall(r"#define __NR_(\w+) (\d+)", NUMBERS.read_text())
    return {name: int(number) for name, number in found}


@cache
def probes(topic: str) -> tuple[Probe, ...]:
    """Those of one file of the library that this machine has calls for."""
    found = []
    for name, function, body in _PROBE.findall((TAPSET / f"{topic}.stp").read_text()):
        number = numbers().get(_FUNCTIONS.get(function, function))
        if number is None or name in _LEFT_OUT:
            continue
        parameters: dict[int, Parameter] = {}
        for variable, text, place in _ARGUMENT.findall(body):
            old = parameters.get(int(place) - 1)
            # the last reading tells most, and the first has the name
            first = old.name if old else variable
            if old is None or "unquoted" not in variable:
                parameters[int(place) - 1] = Parameter(first, int(place) - 1, text)
        found.append(Probe(name, function, number, tuple(parameters.values())))
    return tuple(found)


def topics() -> list[str]:
    return sorted(path.stem for path in TAPSET.glob("*.stp") if probes(path.stem))


def calls(topic: str) -> Iterator[Call]:
    """Each argument takes all its values in turn, while the others are usual."""
    for probe in probes(topic):
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
    subprocess.run(command, input=plan, text=True, check=True, timeout=300)
    lines = output.read_text(errors="surrogateescape").splitlines()
    end = next(i for i, line in enumerate(lines) if line.startswith("exit_group("))
    return [re.sub(r"\) += (-?\w+|\?).*$", ")", line) for line in lines[end - len(made) : end]]


def kernel_source(made: Sequence[Call]) -> str:
    """C of a kernel that has the calls' functions, and the calls in a table."""
    golden = PROJECT / "tests/golden/kernel.c"
    functions = sorted({probe.function for topic in topics() for probe in probes(topic)})
    rows = ",\n".join("{" + ",".join(f"{word:#x}ul" for word in call.words) + "}" for call in made)
    text = (
        f'#include "{HERE}/world.h"\n#define size_t golden_size_t\n#define ssize_t golden_ssize_t\n'
    )
    text += f'#define loff_t golden_loff_t\n#include "{golden}"\n'
    for name in functions:
        if name != "openat":
            text += (
                f"long __x64_sys_{name}(const struct pt_regs *regs) {{ return (long)regs->di; }}\n"
            )
    text += "long next_call(struct pt_regs *regs) { return (long)regs->di; }\n"
    text += f"unsigned long calls[][7] = {{\n{rows}\n}};\n"
    return text + "__attribute__((constructor)) static void begin(void) { make_world(); }\n"
