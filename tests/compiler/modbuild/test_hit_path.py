# SPDX-License-Identifier: GPL-2.0-or-later
"""The usual path through code, from disassemblies written by hand and from what gcc and objdump make."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from compiler.arch.x86_64 import ARCH
from compiler.modbuild.hit_path import Code, DisassemblyError, HitPath

STRAIGHT = """
Disassembly of section .text:

0000000000000010 <probe_0>:
  10:\tincl   %gs:0x0
\t\t\t13: R_X86_64_32S\t__preempt_count
  18:\tje     30 <probe_0+0x20>
  1a:\taddq   $0x1,0x8(%rdi)
  1f:\tcall   24 <probe_0+0x14>
\t\t\t20: R_X86_64_PLT32\tktime_get_mono_fast_ns-0x4
  24:\tcall   29 <probe_0+0x19>
\t\t\t25: R_X86_64_PLT32\thelp-0x4
  29:\tjmp    2e <probe_0+0x1e>
\t\t\t2a: R_X86_64_PLT32\t__x86_return_thunk-0x4
  30:\tcall   35 <probe_0+0x25>
\t\t\t31: R_X86_64_PLT32\tpanic-0x4

Disassembly of section .text.help:

0000000000000000 <help>:
   0:\tnop
   1:\tret
"""
# the test of the first loop is at its end, that of the second one at its top
LOOPS = """
Disassembly of section .text:

0000000000000000 <probe_0>:
   0:\tnop
   1:\tnop
   2:\tjne    1 <probe_0+0x1>
   4:\tcmp    %rax,%rbx
   6:\tje     c <probe_0+0xc>
   8:\tinc    %rax
   a:\tjmp    4 <probe_0+0x4>
   c:\tret
"""
ITSELF = """
Disassembly of section .text:

0000000000000000 <probe_0>:
   0:\tcall   0 <probe_0>
   5:\tcall   *%rax
   7:\tret
"""
BROKEN = "Disassembly of section .text:\n\n0000000000000000 <probe_0>:\n   0:\tjmp    *%rax\n"


def code(text: str) -> Code:
    return Code(text, ARCH.return_thunk)


def test_what_falls_through_is_counted() -> None:
    """Functions of the module are followed, those of the kernel are named, unlikely code is neither."""
    found = code(STRAIGHT)
    assert found.has("probe_0") and not found.has("entry_0")
    assert found.path("probe_0") == HitPath(8, {"ktime_get_mono_fast_ns": 1})
    assert found.path("help") == HitPath(2)


def test_each_loop_is_gone_through_once() -> None:
    """One that has its test at the end, and one that makes its test twice."""
    assert code(LOOPS).path("probe_0") == HitPath(10, {}, 2)


def test_every_walk_ends() -> None:
    assert code(ITSELF).path("probe_0") == HitPath(3, {"a call through a register": 1})
    assert code(BROKEN).path("probe_0") == HitPath(1, {"a jump through a register": 1})


def test_a_real_object(tmp_path: Path) -> None:
    source = tmp_path / "x.c"
    source.write_text("""
        extern void rare(void);
        static __attribute__((noinline)) long twice(long n) { return n * 2; }
        long probe_0(long n) { if (__builtin_expect(n < 0, 0)) rare(); return twice(n) + 1; }
    """)
    made = tmp_path / "x.o"
    subprocess.run(["gcc", "-O2", "-c", "-o", made, source], check=True)
    found = Code.of(made, ARCH).path("probe_0")
    assert found.outside == {} and 5 <= found.instructions <= 15


def test_what_is_no_object(tmp_path: Path) -> None:
    (tmp_path / "x.o").write_text("no")
    with pytest.raises(DisassemblyError, match=r"objdump: .*x\.o"):
        Code.of(tmp_path / "x.o", ARCH)
