# SPDX-License-Identifier: GPL-2.0-or-later
"""Where variables are, compared with what gdb finds at the same instruction of the running program."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from compiler.dwarf.debug_files import open_elf
from compiler.dwarf.dwarf_types import ProgramTypes
from compiler.dwarf.functions import Code, Functions
from compiler.dwarf.variables import Found, Variables
from compiler.ir import program as p
from compiler.ir.source import Source, Span
from compiler.kernel import type_layout
from compiler.userspace.elf_program import Executable
from compiler.userspace.thread_local import thread_local as thread_local_block
from tests.compiler.dwarf.conftest import ARCH, CPLUSPLUS, SOURCE, Build, debuginfo, small_btf
from tests.compiler.dwarf.gdb import agrees

SPAN = Span(Source("x", ""), 0, 0)
BUILDS = {
    "plain": ("-O0",),
    "plain, fixed address": ("-O0", "-no-pie"),
    "optimised": ("-O2",),
    "without location lists": ("-O1", "-fno-var-tracking"),
    "optimised, DWARF 3": ("-O2", "-gdwarf-3", "-no-pie"),
}
LINE = 1 + next(i for i, s in enumerate(SOURCE.read_text().splitlines()) if "/* statement" in s)


class Program:
    """One program, as a probe sees it."""

    def __init__(self, path: Path) -> None:
        self.path, self.btf = path, small_btf()
        self.debug = debuginfo(path)
        self.types = ProgramTypes.numbered(self.btf, self.debug)
        self.functions = Functions(self.debug)
        self.is_moved = open_elf(path).type != 2

    def variables(self, address: int) -> Variables:
        def loaded(linked: int, span: Span) -> p.Expr:
            if not self.is_moved:
                return p.Number(linked, span)
            here = p.Register("ip", span)
            return p.Arithmetic("+", here, p.Number(linked - address, span), span)

        def thread_local(byte: p.Expr, span: Span) -> p.Expr:
            block = thread_local_block(Executable.open(self.path, ARCH))
            assert block is not None
            start = p.Arithmetic("-", p.ThreadPointer(span), p.Number(block.distance, span), span)
            return p.Arithmetic("+", start, byte, span)

        return Variables(self.debug, self.types, self.btf, ARCH, loaded, thread_local)

    def value(self, found: Found) -> tuple[p.Expr, str]:
        """The variable's value, or for a struct its address; and the same in C."""
        assert found.value is not None, found.missing
        expr = found.value(SPAN)
        integer = type_layout.integer(self.btf, found.type_id)
        if not found.in_memory:
            return expr, found.name
        if integer is None:
            return expr, f"&{found.name}"
        return p.Deref(expr, integer.size, integer.signed, True, SPAN), found.name

    def check(self, code: Code, address: int, least: set[str]) -> None:
        """All variables that have a value at an address, among them at least these, are as gdb has them."""
        found = self.variables(address).visible(code, address)
        known = {name: self.value(one) for name, one in found.items() if one.value is not None}
        assert least <= set(known), {n: one.missing for n, one in found.items()}
        for name in ("total", "first", "in_thread", "zero_in_thread"):
            static = self.variables(address).variable(name)
            if static is not None and static.value is not None:
                known[name] = self.value(static)
        results = agrees(self.path, address, known)
        assert all(results.values()), results


@pytest.fixture(params=[*BUILDS.values()], ids=[*BUILDS])
def program(request: pytest.FixtureRequest, build: Build) -> Program:
    if shutil.which("gdb") is None:
        pytest.skip("gdb is not installed")
    return Program(build(*request.param))


def test_at_a_line(program: Program) -> None:
    (code,) = program.functions.named("sum_of_squares")
    address = program.functions.lines(code)[LINE]
    program.check(code, address, {"count", "sum"})


def test_at_the_end_of_a_function(program: Program) -> None:
    """Where a frame is in the middle of it."""
    (code,) = program.functions.named("main")
    lines = program.functions.lines(code)
    program.check(code, lines[max(line for line in lines if line < max(lines))], set())


def test_inline_instance(program: Program) -> None:
    (code,) = program.functions.inline("tripled")
    program.check(code, code.entry, set())


# At the first instruction gdb takes its frame for set up, so it is asked after the ABI: by C's values.
VISIT = {
    "step": "-1",
    "letter": "66",
    "five": "5",
    "six": "1L << 40",
    "seven": "-7",
    "eight": "-8",
    "node": "&first",
}


def test_parameters_at_the_entry(program: Program) -> None:
    (code,) = program.functions.named("visit")
    found = program.variables(code.entry).visible(code, code.entry)
    assert list(found) == [
        "node", "step", "letter", "text", "five", "six", "seven", "eight",
    ]  # fmt: skip
    values = {name: (program.value(found[name])[0], c) for name, c in VISIT.items()}
    results = agrees(program.path, code.entry, values)
    assert all(results.values()), results


def test_parameters_beside_those_in_other_registers(program: Program) -> None:
    (code,) = program.functions.named("mixed")
    found = program.variables(code.entry).visible(code, code.entry)
    assert agrees(program.path, code.entry, {"last": (program.value(found["last"])[0], "17")})
    assert found["factor"].value is None and "register" in found["factor"].missing


# Words of structs, as numbers of 8 bytes in C.
WORDS = {
    ("widened", "pair"): ["(-3L << 32) | 2"],
    ("widened", "wide"): ["100L", "(5L << 48) | (0xfff9L << 32) | 20"],
    ("doubled", "pair"): ["(-5L << 32) | 4"],
}


def test_structs_in_registers(program: Program, request: pytest.FixtureRequest) -> None:
    is_untracked = "list" in request.node.callspec.id
    for (function, name), wanted in WORDS.items():
        (code,) = program.functions.named(function)
        found = program.variables(code.entry).visible(code, code.entry)[name]
        if is_untracked and found.missing:
            continue  # gcc says nothing of a parameter that it has taken to pieces
        assert found.value is None and len(found.words) == len(wanted), found
        values = {}
        for i, (word, c) in enumerate(zip(found.words, wanted, strict=True)):
            assert word is not None
            values[str(i)] = (word(SPAN), c)
        results = agrees(program.path, code.entry, values)
        assert all(results.values()), (function, name, results)


def test_results(program: Program) -> None:
    def result(name: str) -> Found | None:
        (code,) = program.functions.named(name)
        return program.variables(code.entry).result(code)

    negative, copy, next_ = result("negative"), result("copy_of"), result("next_of")
    assert negative and copy and next_
    assert copy.in_memory and isinstance(copy.value(SPAN), p.Register) if copy.value else False
    assert next_.value is not None and next_.value(SPAN) == p.Register("ax", SPAN)
    assert type_layout.integer(program.btf, negative.type_id) == type_layout.Integer(4, True)


def test_members_of_classes(build: Build) -> None:
    program = Program(build("-O2", source=CPLUSPLUS))
    (code,) = program.functions.named("shop::cart::add")
    assert program.functions.named("add") and program.functions.named(
        "_ZN4shop4cart3addEiRNS_4baseE"
    )
    assert [c.name for c in program.functions.named("twice*")] == ["twice<int>"]
    found = program.variables(code.entry).visible(code, code.entry)
    assert list(found) == ["this", "amount", "other"]
    assert program.variables(0).variable("total") is not None
    cart = type_layout.composite(program.btf, found["this"].type_id)
    assert cart is not None
    assert [m.name for m in type_layout.members(program.btf, cart)][-3:] == ["id", "items", "count"]
