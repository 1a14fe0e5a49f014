# SPDX-License-Identifier: GPL-2.0-or-later
"""Random locations of DWARF, from a program's file to a handler's C in user space under sanitizers.

    FUZZ_LOCATIONS=100 FUZZ_SEED=7 pytest tests/language/test_locations.py        (make fuzz)

A program is assembled with a variable for each location; a script prints them all. The values are those of a
stack machine in Python.
"""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from compiler.dwarf import operations as o
from tests import PROJECT
from tests.compiler.dwarf.conftest import ARCH
from tests.compiler.dwarf.machine import Machine, World, leb, signed
from tests.language.userspace import HostedRuntime, Script

pytest.importorskip("elftools", reason="debug information is read by pyelftools")

DEBUG = PROJECT / "tests/handlers/debug.c"
PROGRAMS = int(os.environ.get("FUZZ_LOCATIONS", "2"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))
VARIABLES = 40  # of a program
GIVEN = ("di", "si", "dx", "cx", "r8", "r9")  # the registers that a hosted run sets
SAVED = (  # struct sw_regs, to which di points
    "r15", "r14", "r13", "r12", "bp", "bx", "r11", "r10", "r9", "r8", "ax", "cx", "dx", "si", "di",
)  # fmt: skip
UNKNOWN = ("di", "ax")  # the struct's address
CODE = """
	.text
	.globl f, main
f:	ret
	.size f, 1
	.type f, @function
main:	call f
	xorl %eax, %eax
	ret
	.section .debug_abbrev,""
	.uleb128 1, 0x11, 1, 0x03, 0x08, 0x11, 0x01, 0x12, 0x07, 0, 0
	.uleb128 2, 0x2e, 1, 0x03, 0x08, 0x11, 0x01, 0x12, 0x07, 0x40, 0x18, 0, 0
	.uleb128 3, 0x34, 0, 0x03, 0x08, 0x49, 0x13, 0x02, 0x18, 0, 0
	.uleb128 4, 0x24, 0, 0x03, 0x08, 0x0b, 0x0b, 0x3e, 0x0b, 0, 0, 0
	.section .debug_info,""
unit:	.long end - start
start:	.value 4
	.long 0
	.byte 8
	.uleb128 1
	.string "f.s"
	.quad f, 16
type:	.uleb128 4
	.string "long int"
	.byte 8, 5
	.uleb128 2
	.string "f"
	.quad f, 1
	.uleb128 1
	.byte 0x9c
{variables}
	.byte 0, 0
end:
	.section .note.GNU-stack,"",@progbits
"""


@pytest.fixture(scope="module")
def hosted() -> Iterator[HostedRuntime]:
    with HostedRuntime.open() as found:
        yield found


def world(registers: dict[str, int]) -> World:
    numbers = {name: i for i, name in enumerate(ARCH.dwarf_registers)}
    known = tuple(
        (bytes((o.BREG0 + numbers["di"],)) + leb(8 * i, True), registers.get(name, 0))
        for i, name in enumerate(SAVED)
        if name not in UNKNOWN and name != "r10"  # a system call's fourth argument
    )
    readable = {numbers[name]: value for name, value in registers.items() if name not in UNKNOWN}
    cfa = ARCH.entry_cfa  # the stack pointer is 0
    return World(readable, cfa, cfa, bias=0, known=known, types=False)


def program(expressions: list[bytes], folder: Path) -> Path:
    variables = []
    for i, data in enumerate(expressions):
        row = ", ".join(str(byte) for byte in (*leb(len(data)), *data))
        variables.append(f'\t.uleb128 3\n\t.string "v{i}"\n\t.long type - unit\n\t.byte {row}')
    source, made = folder / "f.s", folder / "f"
    source.write_text(CODE.replace("{variables}", "\n".join(variables)))
    subprocess.run(["gcc", "-no-pie", source, "-o", made], check=True, timeout=60)
    return made


def test_locations(hosted: HostedRuntime, tmp_path: Path) -> None:
    scripts, wanted = [], []
    for number in range(PROGRAMS):
        choose = random.Random(SEED * 1000 + number)
        registers = {name: choose.getrandbits(64) for name in GIVEN[1:]}
        machines = []
        for _ in range(VARIABLES):
            machine = Machine(choose.getrandbits(60), world(registers))
            machine.run()
            machines.append(machine)
        folder = tmp_path / str(number)
        folder.mkdir()
        path = program([machine.data + bytes((o.STACK_VALUE,)) for machine in machines], folder)
        names = [f"v{i}" for i in range(VARIABLES)]
        prints = " ".join(f'println(@defined(${n}) ? sprint(${n}) : "too long")' for n in names)
        text = f'probe process("{path}").function("f") {{ {prints} }}'
        given = ",".join(["regs", *(str(signed(registers[name])) for name in GIVEN[1:])])
        scripts.append(Script(f"p{number}", text, registers=given, defines={"MAXACTION": "100000"}))
        wanted.append([signed(machine.stack[-1]) for machine in machines])
    for outcome, script, values in zip(hosted.run(scripts), scripts, wanted, strict=True):
        assert not outcome.fault and not outcome.diagnostics, outcome
        lines = outcome.output.splitlines()
        assert len(lines) == VARIABLES, outcome.transcript
        bad = [
            (f"v{i}", line, value)
            for i, (line, value) in enumerate(zip(lines, values, strict=True))
            if line not in (str(value), "too long")
        ]
        assert not bad, (script.text, script.registers)
        assert lines.count("too long") < VARIABLES / 10


def test_returns_have_values_of_the_entry(hosted: HostedRuntime, tmp_path: Path) -> None:
    path = tmp_path / "debug"
    subprocess.run(["gcc", "-g", "-O2", DEBUG, "-o", path], check=True, timeout=60)
    text = f"""
        probe process("{path}").function("negative").return {{
            println($number, " ", $return, " ", @entry($number + 1), " ", $$parms, " ", $$return) }}
        probe process("{path}").function("neg*").return {{
            println(ppfunc(), " ", @entry(sprint(ppfunc(), $arg2)), " ", $arg1) }}"""
    outcome = hosted.run_script(text, registers="7,2,3,4,5,6")
    assert outcome.output == "7 7 8 number=0x7 return=0x7\nnegative negative2 7\n", outcome
