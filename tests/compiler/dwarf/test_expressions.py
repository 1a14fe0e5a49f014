# SPDX-License-Identifier: GPL-2.0-or-later
"""Location expressions: random ones are translated and computed, and compared with DWARF's stack machine in
Python; and the forms that compilers write."""

from __future__ import annotations

import random

import pytest

from compiler.dwarf.errors import NoLocation
from compiler.dwarf.expressions import Frame, Located, locate, narrow
from compiler.ir import program as p
from compiler.ir.source import Source, Span
from runtime.support.record import replace
from tests.compiler.dwarf.conftest import ARCH
from tests.compiler.dwarf.machine import ARITHMETIC, COMPARE, MASK, Machine, World, signed

SPAN = Span(Source("x", ""), 0, 0)
BASE, CFA, BIAS = 0x7FFE_0000_1000, 0x7FFE_0000_1010, 0x5555_5555_4000
THREAD = 0x7F00_0000_0700
REGISTERS = {
    name: (i + 1) * 0x0123_4567_89AB_CDEF & MASK for i, name in enumerate(ARCH.dwarf_registers)
}
FRAME = Frame(
    ARCH.dwarf_registers,
    base=lambda span: p.Number(BASE, span),
    cfa=lambda span: p.Number(CFA, span),
    loaded=lambda address, span: p.Number(signed(address + BIAS), span),
    thread_local=lambda byte, span: p.Arithmetic("+", p.Number(THREAD, span), byte, span),
    indexed=lambda index: 0x1000 * index,
    base_type=lambda offset: (offset & 15, offset > 15),
    at_entry=False,
)


def memory(address: int, size: int) -> int:
    """What is at an address: any bytes, the same each time."""
    return random.Random(address & MASK).getrandbits(64) & ((1 << 8 * size) - 1)


def computed(e: p.Expr) -> int:
    """A translated expression's value, as the script language defines it."""
    match e:
        case p.Number(value=value):
            return value
        case p.Register(name=name):
            return signed(REGISTERS[name])
        case p.Unary(op=op, operand=operand):
            return signed(-computed(operand) if op == "-" else ~computed(operand))
        case p.Arithmetic(op=op, left=left, right=right):
            return signed(ARITHMETIC[op](computed(left), computed(right)))
        case p.Compare(op=op, left=left, right=right):
            return int(COMPARE[op](computed(left), computed(right)))
        case p.Deref(address=address, size=size, signed=sign, user=True):
            found = memory(computed(address), size)
            return signed(found, size) if sign or size == 8 else found
        case _:
            raise AssertionError(e)


WORLD = World(
    {i: REGISTERS[name] for i, name in enumerate(ARCH.dwarf_registers[:17])},
    BASE,
    CFA,
    BIAS,
    memory,
)


def test_random_expressions() -> None:
    compared = 0
    for seed in range(2000):
        machine = Machine(seed, WORLD)
        machine.run()
        try:
            found = locate(machine.data, FRAME, SPAN)
        except NoLocation as why:
            assert "too long" in str(why), machine.data.hex()
            continue
        assert found.in_memory
        assert computed(found.expr) == signed(machine.stack[-1]), machine.data.hex()
        compared += 1
    assert compared > 1900


def test_any_bytes_are_translated_or_refused() -> None:
    choose = random.Random(1)
    for _ in range(20_000):
        data = choose.randbytes(choose.randrange(12))
        try:
            found = locate(data, FRAME, SPAN)
        except NoLocation:
            continue
        assert isinstance(found, Located)


def located(data: bytes, frame: Frame = FRAME) -> tuple[int, bool]:
    found = locate(data, frame, SPAN)
    return computed(found.expr), found.in_memory


AT_ENTRY = replace(FRAME, at_entry=True)
RDI, RSI = REGISTERS["di"], REGISTERS["si"]


@pytest.mark.parametrize(
    ("data", "value", "in_memory"),
    [
        (b"\x55", RDI, False),
        (b"\x90\x04", RSI, False),
        (b"\x91\x70", BASE - 16, True),
        (b"\x75\x7f\x9f", RDI - 1, False),  # breg5 -1, stack_value
        (b"\x75\x00\x23\x05\x9f", RDI + 5, False),
        (b"\x9e\x04\x01\x02\x00\x00", 0x201, False),  # implicit_value
        (b"\xa1\x03", 0x3000 + BIAS, True),  # addrx
        (b"\x0e\x10" + bytes(7) + b"\x9b", THREAD + 16, True),  # form_tls_address
        (b"\x0c\x10" + bytes(3) + b"\xe0", THREAD + 16, True),  # GNU_push_tls_address
        (b"\x55\x93\x08", RDI, False),  # one piece
        (b"\x55\x93\x04\x54\x93\x04", (RDI & 0xFFFFFFFF) | RSI << 32, False),
        (b"\x75\x00\xa8\x14\x9f", signed(RDI, 4), False),  # converted to int
        (b"\xa5\x05\x02\x9f", RDI & 0xFFFF, False),  # a register as an unsigned short
    ],
)
def test_forms(data: bytes, value: int, in_memory: bool) -> None:
    assert located(data) == (signed(value), in_memory)


def test_a_value_in_two_registers() -> None:
    found = locate(b"\x55\x93\x08\x54\x93\x04\x51\x93\x04", FRAME, SPAN)
    low, high = found.words
    assert not found.in_memory and computed(low) == signed(RDI)
    assert computed(high) == signed((RSI & 0xFFFFFFFF) | REGISTERS["dx"] << 32)


def test_the_value_at_the_call() -> None:
    entry_value = b"\xa3\x01\x55\x9f"
    assert located(entry_value, AT_ENTRY) == (signed(RDI), False)
    with pytest.raises(NoLocation, match="only its value at the call is known"):
        located(entry_value)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "optimised out here"),
        (b"\x93\x04\x55\x93\x04", "a part of it"),
        (b"\x55\x93\x0c\x54\x93\x04", "several places"),
        (b"\x61", "floating-point register"),
        (b"\xf2" + bytes(9), "optimised to what it points to"),
        (b"\x28\x00\x00", "operation bra"),
        (b"\x22", "damaged"),
        (b"\x03\x00", "damaged"),
        (b"\x30" + b"\x12\x22" * 10, "too long"),
        (b"\x96" * 70, "too long"),
    ],
)
def test_what_has_no_value(data: bytes, why: str) -> None:
    with pytest.raises(NoLocation, match=why):
        located(data)


@pytest.mark.parametrize("size", [1, 2, 4, 8])
@pytest.mark.parametrize("sign", [False, True])
def test_narrow(size: int, sign: bool) -> None:
    value = computed(narrow(p.Register("di", SPAN), size, sign, SPAN))
    assert value == (signed(RDI, size) if sign or size == 8 else RDI & ((1 << 8 * size) - 1))
