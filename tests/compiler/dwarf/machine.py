# SPDX-License-Identifier: GPL-2.0-or-later
"""DWARF's stack machine, which makes random location expressions and computes them.

machine = Machine(7, World(registers, base=..., cfa=..., bias=..., memory=...))
machine.run()
machine.data, machine.stack[-1]       -> the expression's bytes, and its value without sign
"""

from __future__ import annotations

import operator
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from compiler.dwarf import operations as o

MASK = (1 << 64) - 1
ARITHMETIC: dict[str, Callable[[int, int], int]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "&": operator.and_, "|": operator.or_,
    "^": operator.xor, "<<": lambda a, b: a << (b & 63), ">>": lambda a, b: a >> (b & 63),
    ">>>": lambda a, b: (a & MASK) >> (b & 63),
}  # fmt: skip
COMPARE: dict[str, Callable[[int, int], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt,
    ">=": operator.ge,
}  # fmt: skip
_CONSTANTS = (
    (1, o.CONST1U, o.CONST1S),
    (2, o.CONST2U, o.CONST2S),
    (4, o.CONST4U, o.CONST4S),
    (8, o.CONST8U, o.CONST8S),
)
_SHIFTS = ((o.SHL, "<<"), (o.SHR, ">>>"), (o.SHRA, ">>"))
_COMPARISONS = ((o.EQ, "=="), (o.GE, ">="), (o.GT, ">"), (o.LE, "<="), (o.LT, "<"), (o.NE, "!="))
_PLAIN = ((o.AND, "&"), (o.MINUS, "-"), (o.MUL, "*"), (o.OR, "|"), (o.PLUS, "+"), (o.XOR, "^"))


def signed(value: int, size: int = 8) -> int:
    value &= (1 << 8 * size) - 1
    return value - (1 << 8 * size) if value >> (8 * size - 1) else value


def leb(value: int, sign: bool = False) -> bytes:
    found = b""
    while True:
        byte, value = value & 0x7F, value >> 7
        if value == (-1 if sign and byte & 0x40 else 0) and (not sign or value or not byte & 0x40):
            return found + bytes((byte,))
        found += bytes((byte | 0x80,))


@dataclass(frozen=True, slots=True)
class World:
    """What expressions see. `registers`: by DWARF's numbers, without those that must not be read. `memory`: the
    bytes at an address as a number, or None: only what `known` has can be read, which is code that pushes an
    address, and the 8 bytes there. `types`: whether a conversion's type can be told by its number."""

    registers: Mapping[int, int]
    base: int
    cfa: int
    bias: int
    memory: Callable[[int, int], int] | None = None
    known: tuple[tuple[bytes, int], ...] = ()
    types: bool = True


class Machine:
    """`data`: the bytes of what it has run; numbers are unsigned."""

    def __init__(self, seed: int, world: World) -> None:
        self.choose = random.Random(seed)
        self.world = world
        self.data = b""
        self.stack: list[int] = []

    def run(self) -> None:
        for _ in range(self.choose.randrange(1, 16)):
            if self.stack and self.choose.random() < 0.6:
                self.compute()
            else:
                self.push()

    def put(self, code: bytes, value: int) -> None:
        self.data += code
        self.stack.append(value & MASK)

    def push(self) -> None:
        choose, world = self.choose, self.world
        number = choose.getrandbits(64) >> choose.randrange(64)
        sign = signed(number)
        match choose.randrange(9):
            case 0:
                small = choose.randrange(32)
                self.put(bytes((o.LIT0 + small,)), small)
            case 1:
                size, op, _ = choose.choice(_CONSTANTS)
                number &= (1 << 8 * size) - 1
                self.put(bytes((op,)) + number.to_bytes(size, "little"), number)
            case 2:
                size, _, op = choose.choice(_CONSTANTS)
                sign = signed(number, size)
                self.put(bytes((op,)) + sign.to_bytes(size, "little", signed=True), sign)
            case 3:
                self.put(bytes((o.CONSTU,)) + leb(number), number)
            case 4:
                self.put(bytes((o.CONSTS,)) + leb(sign, True), sign)
            case 5:
                register, value = choose.choice(list(world.registers.items()))
                self.put(bytes((o.BREG0 + register,)) + leb(sign, True), value + sign)
            case 6:
                self.put(bytes((o.FBREG,)) + leb(sign, True), world.base + sign)
            case 7:
                self.put(bytes((o.CALL_FRAME_CFA,)), world.cfa)
            case _:
                address = number & 0xFFFF_FFFF
                code = bytes((o.ADDR,)) + address.to_bytes(8, "little")
                self.put(code, address + world.bias)

    def compute(self) -> None:
        choose, stack = self.choose, self.stack
        match choose.randrange(10) if len(stack) > 1 else choose.randrange(5):
            case 0:
                self.put(bytes((o.DUP,)), stack[-1])
            case 1:
                self.read(8, bytes((o.DEREF,)))
            case 2:
                size = choose.choice((1, 2, 4, 8))
                self.read(size, bytes((o.DEREF_SIZE, size)))
            case 3:
                op = choose.choice((o.NEG, o.NOT))
                value = stack.pop()
                self.put(bytes((op,)), -value if op == o.NEG else ~value)
            case 4 if self.world.types:
                size, sign = choose.choice((1, 2, 4)), choose.random() < 0.5
                value = stack.pop()
                value = signed(value, size) if sign else value & ((1 << 8 * size) - 1)
                self.put(bytes((o.CONVERT, size | 16 * sign)), value)
            case 4:
                more = choose.getrandbits(14)
                self.put(bytes((o.PLUS_UCONST,)) + leb(more), stack.pop() + more)
            case 5:
                self.put(bytes((o.OVER,)), stack[-2])
            case 6:
                stack[-1], stack[-2] = stack[-2], stack[-1]
                self.data += bytes((o.SWAP,))
            case 7:
                op, word = choose.choice(_SHIFTS)
                amount = choose.randrange(64)
                self.put(bytes((o.CONST1U, amount)), amount)
                self.binary(op, ARITHMETIC[word])
            case 8:
                op, word = choose.choice(_COMPARISONS)
                self.binary(op, COMPARE[word])
            case _:
                op, word = choose.choice(_PLAIN)
                self.binary(op, ARITHMETIC[word])

    def read(self, size: int, code: bytes) -> None:
        """Read at the address on the stack, or at one that is known to be readable."""
        if self.world.memory is not None:
            self.put(code, self.world.memory(self.stack.pop(), size))
            return
        address, value = self.choose.choice(self.world.known)
        self.put(address + code, value & ((1 << 8 * size) - 1))

    def binary(self, op: int, run: Callable[[int, int], int]) -> None:
        right, left = signed(self.stack.pop()), signed(self.stack.pop())
        self.put(bytes((op,)), run(left, right))
