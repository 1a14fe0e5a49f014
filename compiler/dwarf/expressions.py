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

from compiler.dwarf import operations as o
from compiler.dwarf.errors import NoLocation
from compiler.dwarf.leb128 import sleb, uleb
from compiler.ir import program as p
from compiler.ir.source import Span
from runtime.support.int64 import wrapped
from runtime.support.record import record

_MOST_STEPS: Final = 64  # operations of one expression
_MOST_NODES: Final = 96  # of the translated expression: `dup` doubles them
_WORD: Final = 8  # bytes
_OPTIMISED: Final = "it is optimised out here"
_ARITHMETIC: Final[dict[int, p.ArithmeticOp]] = {
    o.AND: "&", o.DIV: "/", o.MINUS: "-", o.MUL: "*", o.OR: "|", o.PLUS: "+", o.SHL: "<<", o.SHR: ">>>",
    o.SHRA: ">>", o.XOR: "^",
}  # fmt: skip
_COMPARISONS: Final[dict[int, p.CompareOp]] = {
    o.EQ: "==", o.GE: ">=", o.GT: ">", o.LE: "<=", o.LT: "<", o.NE: "!=",
}  # fmt: skip
_CONSTANTS: Final = {
    o.CONST1U: (1, False), o.CONST1S: (1, True), o.CONST2U: (2, False), o.CONST2S: (2, True),
    o.CONST4U: (4, False), o.CONST4S: (4, True), o.CONST8U: (8, False), o.CONST8S: (8, True),
}  # fmt: skip
_WHY: Final = {
    o.IMPLICIT_POINTER: "it is optimised to what it points to",
    o.GNU_IMPLICIT_POINTER: "it is optimised to what it points to",
    o.GNU_PARAMETER_REF: "only its value at the call is known",
}


@record
class Frame:
    """The frame at one address of a program, for location expressions that refer to it.

    `registers`: their names in `struct sw_regs`, by DWARF's numbers. `base`, `cfa`: the frame's base and
    canonical address; `loaded`: where a linked address is in memory; `thread_local`: where the byte of a
    number in the thread's copy of the variables is. All may raise NoLocation. `indexed`: addresses of the
    unit's table; `base_type`: size and sign of a type by its offset in the unit.
    """

    registers: tuple[str, ...]
    base: Callable[[Span], p.Expr]
    cfa: Callable[[Span], p.Expr]
    loaded: Callable[[int, Span], p.Expr]
    thread_local: Callable[[p.Expr, Span], p.Expr]
    indexed: Callable[[int], int]
    base_type: Callable[[int], tuple[int, bool]]
    at_entry: (
        bool  # the first instruction of a function, so registers have what they had at the call
    )
    is_program: bool = True  # its memory is a process's


@record
class Located:
    """A value, or with `in_memory` the address at which it is. `words`: of a value of more than 8 bytes that
    is in several registers."""

    expr: p.Expr
    in_memory: bool
    words: tuple[p.Expr, ...] = ()


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
        words: list[p.Expr] = []
        word: list[tuple[Located, int]] = []
        for piece in self._pieces:
            word.append(piece)
            if (size := sum(size for _, size in word)) >= _WORD:
                if size > _WORD:
                    raise NoLocation("it is in several places")
                words.append(self._word(word))
                word = []
        if word:
            words.append(self._word(word))
        return Located(words[0], False, tuple(words) if len(words) > 1 else ())

    def _word(self, pieces: list[tuple[Located, int]]) -> p.Expr:
        """The number that pieces of at most 8 bytes together make."""
        total: p.Expr | None = None
        shift = 0
        for place, size in pieces:
            value = place.expr
            if place.in_memory:
                if size not in (1, 2, 4, 8):
                    raise NoLocation("it is in several places")
                value = p.Deref(value, size, False, self._frame.is_program, self._span)
            value = narrow(value, size, False, self._span)
            if shift:
                value = p.Arithmetic("<<", value, p.Number(shift, self._span), self._span)
            total = value if total is None else p.Arithmetic("|", total, value, self._span)
            shift += 8 * size
        assert total is not None
        return self._checked(total)

    def _top(self) -> Located:
        if self._simple is not None:
            return Located(self._checked(self._simple), False)
        if not self._stack:
            raise NoLocation(_OPTIMISED)
        return Located(self._checked(self._stack[-1]), True)

    def _step(self, op: int) -> None:
        span = self._span
        match op:
            case _ if o.LIT0 <= op <= o.LIT31:
                self._push(p.Number(op - o.LIT0, span))
            case _ if o.REG0 <= op <= o.REG31:
                self._simple = self._register(op - o.REG0)
            case o.REGX:
                self._simple = self._register(self._uleb())
            case _ if o.BREG0 <= op <= o.BREG31:
                self._push(self._plus(self._register(op - o.BREG0), self._sleb()))
            case o.BREGX:
                register = self._register(self._uleb())
                self._push(self._plus(register, self._sleb()))
            case o.FBREG:
                self._push(self._plus(self._frame.base(span), self._sleb()))
            case o.CALL_FRAME_CFA:
                self._push(self._frame.cfa(span))
            case o.ADDR:
                self._push(self._frame.loaded(self._number(8, False), span))
            case o.ADDRX:
                self._push(self._frame.loaded(self._frame.indexed(self._uleb()), span))
            case o.CONSTX:
                self._push(p.Number(wrapped(self._frame.indexed(self._uleb())), span))
            case o.STACK_VALUE:
                self._simple = self._stack[-1]
            case o.IMPLICIT_VALUE:
                size = self._uleb()
                if size > 8:
                    raise NoLocation("it is a constant of more than 8 bytes")
                self._simple = p.Number(wrapped(self._number(size, False)), span)
            case o.PIECE:
                self._piece(self._uleb())
            case o.NOP:
                pass
            case o.ENTRY_VALUE | o.GNU_ENTRY_VALUE:
                self._entry_value(self._uleb())
            case _ if op in _CONSTANTS:
                self._push(p.Number(wrapped(self._number(*_CONSTANTS[op])), span))
            case o.CONSTU:
                self._push(p.Number(wrapped(self._uleb()), span))
            case o.CONSTS:
                self._push(p.Number(wrapped(self._sleb()), span))
            case o.FORM_TLS_ADDRESS | o.GNU_PUSH_TLS_ADDRESS:
                self._push(self._frame.thread_local(self._stack.pop(), span))
            case _ if op in _WHY:
                raise NoLocation(_WHY[op])
            case _:
                self._compute(op)

    def _compute(self, op: int) -> None:
        """Operations on what is on the stack."""
        span, stack = self._span, self._stack
        match op:
            case o.DUP:
                stack.append(stack[-1])
            case o.DROP:
                stack.pop()
            case o.OVER:
                stack.append(stack[-2])
            case o.PICK:
                stack.append(stack[-1 - self._byte()])
            case o.SWAP:
                stack[-1], stack[-2] = stack[-2], stack[-1]
            case o.ROT:
                stack[-3:] = [stack[-1], *stack[-3:-1]]
            case o.DEREF:
                self._push(p.Deref(stack.pop(), 8, False, self._frame.is_program, span))
            case o.DEREF_SIZE:
                self._push(self._read(stack.pop(), self._byte(), False))
            case o.NEG:
                self._push(p.Unary("-", stack.pop(), span))
            case o.NOT:
                self._push(p.Unary("~", stack.pop(), span))
            case o.PLUS_UCONST:
                self._push(self._plus(stack.pop(), self._uleb()))
            case _ if op in _ARITHMETIC:
                right, left = stack.pop(), stack.pop()
                self._push(p.Arithmetic(_ARITHMETIC[op], left, right, span))
            case _ if op in _COMPARISONS:
                right, left = stack.pop(), stack.pop()
                self._push(p.Compare(_COMPARISONS[op], left, right, span))
            case o.CONST_TYPE | o.GNU_CONST_TYPE:
                size, signed = self._frame.base_type(self._uleb())
                value = self._number(self._byte(), signed)
                self._push(narrow(p.Number(wrapped(value), span), size, signed, span))
            case o.REGVAL_TYPE | o.GNU_REGVAL_TYPE:
                register = self._register(self._uleb())
                self._push(narrow(register, *self._frame.base_type(self._uleb()), span))
            case o.DEREF_TYPE | o.GNU_DEREF_TYPE:
                size = self._byte()
                _, signed = self._frame.base_type(self._uleb())
                self._push(self._read(stack.pop(), size, signed))
            case o.CONVERT | o.GNU_CONVERT | o.REINTERPRET | o.GNU_REINTERPRET:
                unit_offset = self._uleb()  # 0: the type of an address
                size, signed = self._frame.base_type(unit_offset) if unit_offset else (8, True)
                self._push(narrow(stack.pop(), size, signed, span))
            case _:
                raise NoLocation(f"its location uses the operation {o.name_of(op)}")

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
        return p.Deref(address, size, signed, self._frame.is_program, self._span)

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
