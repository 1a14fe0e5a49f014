# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds C that counts the instructions which it executes, in the variable `sw_instructions`.

The C is compiled to assembly as the kernel's modules are, and each basic block gets code that adds its length.
So counts are exact, need no emulator, and cost a few times the run. Functions of the C library are not counted;
those that gcc calls on its own are replaced (counted_memory.c).

compile_counted([Path("lib/string.c")], Path("out"))     -> out/string.o
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.runtime.hosted.sanitized import DIALECT, FOLDERS

MEMORY = Path(__file__).parent / "counted_memory.c"
# as the kernel: no code with addresses of its own, tables of jumps, or memory below the stack pointer
FLAGS = (
    "-O2", "-w", "-fno-pic", "-mno-red-zone", "-fno-jump-tables", "-fno-stack-protector",
    "-fno-asynchronous-unwind-tables", "-fcf-protection=none", "-mno-sse", "-mgeneral-regs-only",
    # a `rep stos` is one instruction here, and one for each word in an emulator
    "-mstringop-strategy=loop", "-fno-tree-loop-distribute-patterns",
)  # fmt: skip
_LABEL = re.compile(r"[.\w$]+:")
_INSTRUCTION = re.compile(r"\s+[a-z]")
_JUMP = re.compile(r"\s+j\w+\s")
# no flag changes: they may be in use where a block begins
_COUNT = """\
	pushq	%rax
	movq	sw_instructions(%rip), %rax
	leaq	{n}(%rax), %rax
	movq	%rax, sw_instructions(%rip)
	popq	%rax
"""


def compile_counted(sources: Iterable[Path], folder: Path, *flags: str) -> str:
    """Compile each source to an object in `folder`. Returns gcc's messages if it rejects one."""
    for source in sources:
        assembly = folder / f"{source.stem}.s"
        done = _gcc("-S", *FLAGS, *flags, str(source.resolve()), "-o", str(assembly), cwd=folder)
        if done.returncode:
            return done.stderr
        assembly.write_text(instrumented(assembly.read_text()))
        done = _gcc("-c", str(assembly), "-o", str(folder / f"{source.stem}.o"), cwd=folder)
        if done.returncode:
            return done.stderr
    return ""


def instrumented(assembly: str) -> str:
    """The same code, with an addition at the start of each basic block."""
    made: list[str] = []
    block: list[str] = []

    def end_block() -> None:
        count = sum(1 for line in block if _INSTRUCTION.match(line))
        if count:
            made.append(_COUNT.format(n=count))
        made.extend(block)
        block.clear()

    for line in assembly.splitlines(keepends=True):
        if _LABEL.match(line):
            end_block()
            made.append(line)
            continue
        block.append(line)
        if _JUMP.match(line):
            end_block()
    end_block()
    return "".join(made)


def _gcc(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    includes = [f"-I{folder}" for folder in FOLDERS]
    command = ["gcc", *DIALECT, *includes, *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300)


def link_counted(objects: Sequence[Path], program: Path) -> None:
    command = ["gcc", "-no-pie", "-rdynamic", *map(str, objects), "-o", str(program)]
    subprocess.run(command, check=True, timeout=60)
