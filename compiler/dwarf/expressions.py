# SPDX-License-Identifier: GPL-2.0-or-later
"""DWARF location expressions, translated to values that a handler computes.

    locate(b"\\x55", frame, span)      DW_OP_reg5        -> Located(<that register>, in_memory=False)
    locate(b"\\x91\\x70", frame, span)  DW_OP_fbreg -16   -> Located(<frame base> - 16, in_memory=True)

The expression's stack is run here, with expressions of the program in place of numbers, so nothing of
it is left at run time but arithmetic and reads of the program's memory, which cost and fail as any others.
Whatever cannot be translated raises NoLocation. Source: DWARF 5, chapter 2.5 and 2.6, and the GNU
operations of gcc.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from compiler.dwarf.errors import NoLocation
from compiler.dwarf.leb128 import sleb, uleb
from compiler.ir import program as p
from compiler.ir.source import Span
from runtime.support.int64 import wrapped
from runtime.support.record import record

_MOST_STEPS: Final = 64  # operations of one expression
_MOST_NODES: Final = 96  # of the translated expression: `dup` doubles them
_OPTIMISED: Final = "it is optimised out here"
_ARITHMETIC: Final[dict[int, p.ArithmeticOp]] = {
    0x1A: "&", 0x1B: "/", 0x1C: "-", 0x1E: "*", 0x21: "|", 0x22: "+", 0x24: "<<", 0x25: ">>>",
    0x26: ">>", 0x27: "^",
}  # fmt: skip
_COMPARISONS: Final[dict[int, p.CompareOp]] = {
    0x29: "==", 0x2A: ">=", 0x2B: ">", 0x2C: "<=", 0x2D: "<", 0x2E: "!=",
}  # fmt: skip
_CONSTANTS: Final = {
    0x08: (1, False), 0x09: (1, True), 0x0A: (2, False), 0x0B: (2, True), 0x0C: (4, False),
    0x0D: (4, True), 0x0E: (8, False), 0x0F: (8, True),
}  # fmt: skip
_WHY: Final = {
    0x9B: "thread-local variables are not read",
    0xE0: "thread-local variables are not read",
    0xA0: "it is optimised to what it points to",
    0xF2: "it is optimised to what it points to",
    0xFA: "only its value at the call is known",
}


@record
class Frame:
    """The frame at one address of a program, for location expressions that refer to it.

    `registers`: their names in `struct sw_regs`, by DWARF's numbers. `base`, `cfa`: the frame's base and
    canonical address; `loaded`: where a linked address is in memory. All may raise NoLocation. `indexed`:
    addresses of the unit's table; `base_type`: size and sign of a type by its offset in the unit.
    """

    registers: tuple[str, ...]
    base: Callable[[Span], p.Expr]
    cfa: Callable[[Span], p.Expr]
    loaded: Callable[[int, Span], p.Expr]
    indexed: Callable[[int], int]
    base_type: Callable[[int], tuple[int, bool]]
    at_entry: (
        bool  # the first instruction of a function, so registers have what they had at the call
    )


@record
class Located:
    """A value, or with `in_memory` the address at which it is."""

    expr: p.Expr
    in_memory: bool


def locate(data: bytes, frame: Frame, span: Span) -> Located:
    """Where a variable is. Raises NoLocation."""
    return _Translation(data, frame, span).run()


def narrow(value: p.Expr, size: int, signed: bool, span: Span) -> p.Expr:
    """The low `size` bytes of a value, as a number of that type."""
    if size >= 8:
        return value
    if not signed:
        return p.Arithmetic("&", value, p.Number((1 << 8 * size) - 1, span), span)
    up = p.Number(64 - 8 * size, span)
    return p.Arithmetic(">>", p.Arithmetic("<<", value, up, span), up, span)


class _Translation:
    def __init__(self, data: bytes, frame: Frame, span: Span) -> None:
        self._data, self._frame, self._span = data, frame, span
        self._at = 0
        self._stack: list[p.Expr] = []
        self._pieces: list[tuple[Located, int]] = []
        self._simple: p.Expr | None = None  # a value that is no address: in a register, or constant

    def run(self) -> Located:
        if not self._data:
            raise NoLocation(_OPTIMISED)
        for _ in range(_MOST_STEPS):
            if self._at >= len(self._data):
                return self._whole()
            try:
                self._step(self._byte())
            except IndexError as error:
                raise NoLocation("its location is damaged") from error
        raise NoLocation("its location is too long")

    def _whole(self) -> Located:
        if not self._pieces:
            return self._top()
        if len(self._pieces) == 1:
            return self._pieces[0][0]
        if sum(size for _, size in self._pieces) > 8:
            raise NoLocation("it is in several places")
        total: p.Expr | None = None
        shift = 0
        for place, size in self._pieces:
            value = place.expr
            if place.in_memory:
                if size not in (1, 2, 4, 8):
                    raise NoLocation("it is in several places")
                value = p.Deref(value, size, False, True, self._span)
            value = narrow(value, size, False, self._span)
            if shift:
                value = p.Arithmetic("<<", value, p.Number(shift, self._span), self._span)
            total = value if total is None else p.Arithmetic("|", total, value, self._span)
            shift += 8 * size
        assert total is not None
        return Located(self._checked(total), False)

    def _top(self) -> Located:
        if self._simple is not None:
            return Located(self._checked(self._simple), False)
        if not self._stack:
            raise NoLocation(_OPTIMISED)
        return Located(self._checked(self._stack[-1]), True)

    def _step(self, op: int) -> None:
        span = self._span
        match op:
            case _ if 0x30 <= op <= 0x4F:
                self._push(p.Number(op - 0x30, span))
            case _ if 0x50 <= op <= 0x6F:
                self._simple = self._register(op - 0x50)
            case 0x90:
                self._simple = self._register(self._uleb())
            case _ if 0x70 <= op <= 0x8F:
                self._push(self._plus(self._register(op - 0x70), self._sleb()))
            case 0x92:
                register = self._register(self._uleb())
                self._push(self._plus(register, self._sleb()))
            case 0x91:
                self._push(self._plus(self._frame.base(span), self._sleb()))
            case 0x9C:
                self._push(self._frame.cfa(span))
            case 0x03:
                self._push(self._frame.loaded(self._number(8, False), span))
            case 0xA1:
                self._push(self._frame.loaded(self._frame.indexed(self._uleb()), span))
            case 0xA2:
                self._push(p.Number(wrapped(self._frame.indexed(self._uleb())), span))
            case 0x9F:
                self._simple = self._stack[-1]
            case 0x9E:
                size = self._uleb()
                if size > 8:
                    raise NoLocation("it is a constant of more than 8 bytes")
                self._simple = p.Number(wrapped(self._number(size, False)), span)
            case 0x93:
                self._piece(self._uleb())
            case 0x96:  # nop
                pass
            case 0xA3 | 0xF3:
                self._entry_value(self._uleb())
            case _ if op in _CONSTANTS:
                self._push(p.Number(wrapped(self._number(*_CONSTANTS[op])), span))
            case 0x10:
                self._push(p.Number(wrapped(self._uleb()), span))
            case 0x11:
                self._push(p.Number(wrapped(self._sleb()), span))
            case _ if op in _WHY:
                raise NoLocation(_WHY[op])
            case _:
                self._compute(op)

    def _compute(self, op: int) -> None:
        """Operations on what is on the stack."""
        span, stack = self._span, self._stack
        match op:
            case 0x12:
                stack.append(stack[-1])
            case 0x13:
                stack.pop()
            case 0x14:
                stack.append(stack[-2])
            case 0x15:
                stack.append(stack[-1 - self._byte()])
            case 0x16:
                stack[-1], stack[-2] = stack[-2], stack[-1]
            case 0x17:
                stack[-3:] = [stack[-1], *stack[-3:-1]]
            case 0x06:
                self._push(p.Deref(stack.pop(), 8, False, True, span))
            case 0x94:
                self._push(self._read(stack.pop(), self._byte(), False))
            case 0x1F:
                self._push(p.Unary("-", stack.pop(), span))
            case 0x20:
                self._push(p.Unary("~", stack.pop(), span))
            case 0x23:
                self._push(self._plus(stack.pop(), self._uleb()))
            case _ if op in _ARITHMETIC:
                right, left = stack.pop(), stack.pop()
                self._push(p.Arithmetic(_ARITHMETIC[op], left, right, span))
            case _ if op in _COMPARISONS:
                right, left = stack.pop(), stack.pop()
                self._push(p.Compare(_COMPARISONS[op], left, right, span))
            case 0xA4 | 0xF4:
                size, signed = self._frame.base_type(self._uleb())
                value = self._number(self._byte(), signed)
                self._push(narrow(p.Number(wrapped(value), span), size, signed, span))
            case 0xA5 | 0xF5:
                register = self._register(self._uleb())
                self._push(narrow(register, *self._frame.base_type(self._uleb()), span))
            case 0xA6 | 0xF6:
                size = self._byte()
                _, signed = self._frame.base_type(self._uleb())
                self._push(self._read(stack.pop(), size, signed))
            case 0xA8 | 0xF7 | 0xA9 | 0xF9:
                unit_offset = self._uleb()  # 0: the type of an address
                size, signed = self._frame.base_type(unit_offset) if unit_offset else (8, True)
                self._push(narrow(stack.pop(), size, signed, span))
            case _:
                raise NoLocation(f"its location uses the operation {op:#x}")

    def _piece(self, size: int) -> None:
        if self._simple is None and not self._stack:
            raise NoLocation("a part of it is optimised out here")
        self._pieces.append((self._top(), size))
        self._simple = None
        self._stack.clear()

    def _entry_value(self, size: int) -> None:
        inner = self._data[self._at : self._at + size]
        self._at += size
        if not self._frame.at_entry:
            raise NoLocation("only its value at the call is known")
        self._push(locate(inner, self._frame, self._span).expr)

    def _register(self, number: int) -> p.Expr:
        if number >= len(self._frame.registers):
            raise NoLocation("it is in a floating-point register")
        return p.Register(self._frame.registers[number], self._span)

    def _read(self, address: p.Expr, size: int, signed: bool) -> p.Expr:
        if size not in (1, 2, 4, 8):
            raise NoLocation(f"its location reads {size} bytes")
        return p.Deref(address, size, signed, True, self._span)

    def _plus(self, value: p.Expr, distance: int) -> p.Expr:
        if not distance:
            return value
        return p.Arithmetic("+", value, p.Number(wrapped(distance), self._span), self._span)

    def _push(self, value: p.Expr) -> None:
        self._stack.append(self._checked(value))

    def _checked(self, value: p.Expr) -> p.Expr:
        if _nodes(value) > _MOST_NODES:
            raise NoLocation("its location is too long")
        return value

    def _byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1]

    def _number(self, size: int, signed: bool) -> int:
        found = self._data[self._at : self._at + size]
        if len(found) < size:
            raise IndexError
        self._at += size
        return int.from_bytes(found, "little", signed=signed)

    def _uleb(self) -> int:
        value, self._at = uleb(self._data, self._at)
        return value

    def _sleb(self) -> int:
        value, self._at = sleb(self._data, self._at)
        return value


def _nodes(e: p.Expr) -> int:
    match e:
        case p.Arithmetic(left=left, right=right) | p.Compare(left=left, right=right):
            return 1 + _nodes(left) + _nodes(right)
        case p.Unary(operand=inner) | p.Deref(address=inner):
            return 1 + _nodes(inner)
        case _:
            return 1
