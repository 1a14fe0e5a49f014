# SPDX-License-Identifier: GPL-2.0-or-later
"""Every word that is specific to an architecture is in an arch room, and every architecture has all of its
parts."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence

import pytest

from agent.signing import kernel_trust
from compiler.arch import NAMES, UnknownArch, arch_of
from compiler.frontend.parser import Conditions, parse
from compiler.ir import syntax
from compiler.kernel.errors import NoKernel
from compiler.kernel.kernel import Kernel
from compiler.probes import Environment, ProbePointError
from compiler.probes.kernel_point import resolve
from runtime.reader import module_loader
from runtime.support.record import fields
from tests import PROJECT
from tests.golden.kernel import golden_kernel

HEADERS = "runtime/kernel/include/stapwatch/arch"
ROOMS = ("compiler/arch/", "compiler/tapset/x86_64/", f"{HEADERS}/")
TREES = ("agent", "compiler", "runtime", "systemd", "packaging")
EXCLUDED = {
    "packaging/lab/": "its guests run in an emulator of one machine, with that machine's Debian packages",
    "packaging/debian/": "names of Debian packages, and what its tests find on this machine",
    "packaging/host-packages.txt": "names of Debian packages",
}
# a file outside of the rooms -> the words that it may have, and why
ALLOWED = {
    "compiler/driver/tapset_index.py": (r"i386", "folders of users' libraries for other machines"),
    "compiler/frontend/parser.py": (r"amd64|x86", "an example of a kernel's release"),
    "compiler/frontend/preprocessor_conditions.py": (
        r"amd64|x86",
        "examples of the language's `arch`",
    ),
    "packaging/probes.d/tls_handshakes.stp": (
        r"x86",
        "a library's path, which a script has to name; another architecture's is another one",
    ),
    f"{HEADERS}.h": (r"x86", "chooses the architecture's header"),
    "agent/signing/kernel_trust.py": (r"x86", "the number of keyctl by machine"),
    "runtime/reader/module_loader.py": (
        r"x86",
        "numbers of three system calls by machine; the runtime imports nothing of the compiler",
    ),
}
WORDS = re.compile(
    r"""[xX]86|_x64_|i386|amd64
    |\b[re](?:ax|bx|cx|dx|si|di|bp|sp|ip|flags)\b|\bR(?:[ABCD]X|SI|DI|BP|SP|IP)\b   # rdi, %eax, RIP
    |\br(?:8|9|1[0-5])[dwb]?\b|\borig_ax\b
    |(?:->|\.)(?:ax|bx|cx|dx|si|di|bp|sp|cs|ss)\b                                  # of struct pt_regs
    |["'](?:ax|bx|cx|dx|si|di|bp|sp|ip)["']                                        # as register names
    |%gs\b|\bint3\b|pcpu_hot|__preempt_count|unistd_64|bzImage""",
    re.VERBOSE,
)


def foreign_words(text: str) -> list[tuple[int, str]]:
    """Line number and word of everything in a text that is specific to one architecture."""
    lines = enumerate(text.splitlines(), 1)
    return [(number, found[0]) for number, line in lines for found in WORDS.finditer(line)]


def production_files() -> Iterator[tuple[str, str]]:
    for tree in TREES:
        for path in sorted((PROJECT / tree).rglob("*")):
            name = str(path.relative_to(PROJECT))
            if name.startswith((*ROOMS, *EXCLUDED)) or path.suffix in (".bin", ".pyc"):
                continue
            if path.is_file():
                yield name, path.read_text(errors="replace")


def test_every_word_about_x86_64_is_in_an_arch_room() -> None:
    found = []
    used = set()
    for name, text in production_files():
        allowed, _ = ALLOWED.get(name, ("(?!)", ""))
        for number, word in foreign_words(text):
            if re.fullmatch(allowed, word):
                used.add(name)
            else:
                found.append(f"{name}:{number}: {word}")
    assert found == []
    assert used == set(ALLOWED), "entries that allow nothing are to be removed"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('probe kernel.function("__x64_sys_open").call ? {', ["_x64_"]),
        ('_ARGUMENTS = ("di", "si")', ['"di"', '"si"']),
        ("\tregs.r10 = regs->cx;", ["r10", "->cx"]),
        ('printf("RIP: %016x", __register(16))', ["RIP"]),
        ('__asm__("incl %%gs:count")', ["%gs"]),
        ('folder = "/lib/x86_64-linux-gnu"', ["x86"]),
        ("if header[2] != EM_X86_64:", ["X86"]),
        ("the trip of a ship; ip = address; 0x64; sip, disk.cs_name, self.site", []),
        ('ir8 = "r8n" or_ax', []),
    ],
)
def test_the_search_finds_words(text: str, words: list[str]) -> None:
    assert [word for _, word in foreign_words(text)] == words
    assert [number for number, _ in foreign_words(f"\n{text}\n")] == [2] * len(words)


@pytest.mark.parametrize("name", NAMES)
def test_an_architecture_has_all_of_its_parts(name: str) -> None:
    arch = arch_of(name)
    assert arch.name == name
    assert all(getattr(arch, field.name) for field in fields(arch))
    assert {*arch.arguments, arch.result, *arch.syscall_arguments} <= {*arch.dwarf_registers}
    assert name in module_loader.SYSCALLS
    assert name in kernel_trust.KEYCTL
    for part in (
        f"{HEADERS}/{name}.h",
        f"{HEADERS}/{name}_abi.h",
        f"{HEADERS}/{name}_unsafe.h",
        f"compiler/tapset/{name}",
    ):
        assert (PROJECT / part).exists(), part
    choice = (PROJECT / f"{HEADERS}.h").read_text()
    assert f"__{name}__" in choice and f"stapwatch/arch/{name}.h" in choice
    registers = (PROJECT / HEADERS / f"{name}_abi.h").read_text()
    for register in (*arch.dwarf_registers, arch.syscall_number):
        assert re.search(rf"\b{register}\b", registers), register


def test_another_architecture_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownArch, match="'riscv64' is not supported: supported: x86_64"):
        arch_of("riscv64")
    system = os.uname()
    other = os.uname_result((*system[:4], "riscv64"))
    monkeypatch.setattr(os, "uname", lambda: other)
    with pytest.raises(NoKernel, match="'riscv64' is not supported"):
        Kernel.running()


def test_a_system_call_is_the_function_that_the_architecture_makes_for_it() -> None:
    kernel = golden_kernel()
    sites = [
        resolve(parse_point(text), Environment(kernel))
        for text in ('kernel.syscall("openat").call', 'kernel.function("__x64_sys_openat").call')
    ]
    assert sites[0][0].hook == sites[1][0].hook
    assert sites[0][0].point == sites[1][0].point == 'kernel.function("__x64_sys_openat").call'
    with pytest.raises(ProbePointError, match="'syscall'"):
        resolve(parse_point("kernel.syscall.call"), Environment(kernel))


def parse_point(text: str) -> Sequence[syntax.Component]:
    script = parse(f"probe {text} {{ }}".encode(), "x", conditions=Conditions("6.1", "x86_64"))
    (probe,) = script.items
    assert isinstance(probe, syntax.Probe)
    return probe.points[0].components
