# SPDX-License-Identifier: GPL-2.0-or-later
"""The variables of a program that are visible at an address, and where their values are there.

    variables = Variables(debug, types, arch)
    variables.visible(code, 0x1060)["count"]   -> Found("count", "argument", <int>, ...)
    variables.result(code)                      -> Found("return", ...), of a function that returns
    variables.variable("total")                 -> Found("total", "global", ...)

At the first instruction of a function, a parameter that has one location everywhere is still where the
ABI passes it: the function has not yet copied it to its frame, or to a register of its choice.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, Literal

from compiler.arch import Arch
from compiler.dwarf import frames
from compiler.dwarf import operations as o
from compiler.dwarf.dwarf_types import ProgramTypes
from compiler.dwarf.errors import NoLocation
from compiler.dwarf.expressions import Frame, locate, narrow
from compiler.dwarf.functions import Code, matches
from compiler.dwarf.reader import Debuginfo, Die
from compiler.ir import program as p
from compiler.ir.source import Source, Span
from compiler.kernel import btf_types, type_layout
from compiler.kernel.btf import Btf
from compiler.kernel.btf_types import TypeId
from compiler.kernel.errors import KernelFactError
from runtime.support.record import record, replace

_NOWHERE: Final = Span(
    Source("", ""), 0, 0
)  # for expressions that are made to see whether they can be
_WORD: Final = 8  # bytes of a register
_FUNCTION: Final = "DW_TAG_subprogram"
_BLOCKS: Final = ("DW_TAG_lexical_block", "DW_TAG_try_block", "DW_TAG_catch_block")

Kind = Literal["argument", "local", "global", "return"]
Value = Callable[[Span], p.Expr]


@record
class Found:
    """A variable. `value` makes its value, or with `in_memory` its address; of a struct in registers, `words`
    make its words of 8 bytes, None for one that cannot be read. `missing` says why there is none of them."""

    name: str
    kind: Kind
    type_id: TypeId
    value: Value | None
    in_memory: bool = False
    missing: str = ""
    words: tuple[Value | None, ...] = ()


@record
class _Passed:
    """What the ABI puts into registers: a value by its words of 8 bytes, "" for one that is in another kind
    of register; or with `by_reference` its address."""

    registers: tuple[str, ...]
    by_reference: bool = False


class Variables:
    """`loaded`, `thread_local`: as in Frame. Both raise NoLocation if that is not known where the value is
    used."""

    def __init__(
        self, debug: Debuginfo, types: ProgramTypes, btf: Btf, arch: Arch,
        loaded: Callable[[int, Span], p.Expr], thread_local: Callable[[p.Expr, Span], p.Expr],
    ) -> None:  # fmt: skip
        self._debug, self._types, self._btf, self._arch = debug, types, btf, arch
        self._loaded, self._thread_local = loaded, thread_local

    def visible(self, code: Code, address: int) -> dict[str, Found]:
        """Parameters and locals by name; those of inner blocks hide others of their name."""
        die = self._debug.entry(code.offset)
        found: dict[str, Found] = {}
        self._scope(die, address, self._frame(die, code, address), found)
        return found

    def result(self, code: Code) -> Found | None:
        """The value that a function has just returned; None if it returns none."""
        die = self._debug.type_of(self._debug.entry(code.offset))
        if die is None:
            return None
        type_id = self._types.id_of(die)
        register = partial(p.Register, self._arch.result)
        integer = type_layout.integer(self._btf, type_id)
        if integer is not None:
            value = partial(_narrowed, register, integer.size, integer.signed)
            return Found("return", "return", type_id, value)
        if self._is_memory(type_id):  # the caller's memory, whose address is returned
            return Found("return", "return", type_id, register, in_memory=True)
        words = self._words(type_id)
        if not any(words):
            return Found("return", "return", type_id, None, missing="no general register holds it")
        left = [self._arch.result, *self._arch.more_results]
        registers = tuple(left.pop(0) if general else "" for general in words)
        return self._by_abi("return", "return", type_id, _Passed(registers))

    def variable(self, name: str, file: str = "") -> Found | None:
        """A static or global variable; `file`: of the unit with that source file."""
        for offset in self._debug.index.variables.get(name, ()):
            die = self._debug.entry(offset)
            if not file or matches(self._debug.name(die.cu.get_top_DIE()), file):
                return self._found(die, "global", self._frame(die, None, 0), 0)
        return None

    def global_names(self) -> list[str]:
        return sorted(self._debug.index.variables)

    # ------------------------------------------------------------ scopes

    def _scope(self, die: Die, address: int, frame: Frame, found: dict[str, Found]) -> None:
        """What an entry declares. Inline instances inside of it are other functions: they are not entered."""
        at_call = frame.at_entry and die.tag == _FUNCTION
        passed = self._passed(die) if at_call else {}
        blocks = []
        for child in die.iter_children():
            tag = child.tag
            if tag in ("DW_TAG_formal_parameter", "DW_TAG_variable"):
                kind: Kind = "argument" if tag == "DW_TAG_formal_parameter" else "local"
                name = self._debug.name(child)
                if not name:
                    continue
                one = self._found(child, kind, frame, address)
                if kind == "argument" and at_call and (copied := _copied(self._debug, child)):
                    given = passed.get(child.offset) if copied == "whole" else None
                    one = self._by_abi(name, "argument", one.type_id, given)
                found[name] = one
            elif tag in _BLOCKS and any(a <= address < b for a, b in self._debug.ranges(child)):
                blocks.append(child)
        for child in blocks:
            self._scope(child, address, frame, found)

    def _found(self, die: Die, kind: Kind, frame: Frame, address: int) -> Found:
        name, type_id = self._debug.name(die), self._types.id_of(self._debug.type_of(die))
        constant = self._debug.value(die, "DW_AT_const_value")
        if isinstance(constant, int):
            return Found(name, kind, type_id, partial(p.Number, constant))
        try:
            located = self._debug.location(die, "DW_AT_location", address)
            if located is None:
                raise NoLocation("it is optimised out here")
            place = locate(located[0], frame, _NOWHERE)
        except KeyError:
            return Found(name, kind, type_id, None, missing="it is optimised out")
        except NoLocation as why:
            return Found(name, kind, type_id, None, missing=str(why))
        made = partial(_value_of, located[0], frame)
        if place.in_memory:
            return Found(name, kind, type_id, made, in_memory=True)
        words = tuple(partial(_word_of, located[0], frame, i) for i in range(len(place.words)))
        return self._in_register(Found(name, kind, type_id, made, words=words or (made,)))

    def _in_register(self, found: Found) -> Found:
        assert found.value is not None
        try:
            integer = type_layout.integer(self._btf, found.type_id)
        except KernelFactError:
            integer = None
        if integer is None and self._fits(found):
            return replace(found, value=None)
        if integer is None:
            why = "a register holds the whole of it"
            return Found(found.name, found.kind, found.type_id, None, missing=why)
        value = partial(_narrowed, found.value, integer.size, integer.signed)
        return Found(found.name, found.kind, found.type_id, value)

    def _fits(self, found: Found) -> bool:
        """Whether it is a struct and its words have all of it."""
        whole = 0 < _size(self._btf, found.type_id) <= _WORD * len(found.words)
        return whole and type_layout.composite(self._btf, found.type_id) is not None

    # ------------------------------------------------------------ the ABI, at a function's entry

    def _by_abi(self, name: str, kind: Kind, type_id: TypeId, passed: _Passed | None) -> Found:
        registers = passed.registers if passed is not None else ()
        if passed is None or not any(registers):
            why = "no register that is known here holds it"
            return Found(name, kind, type_id, None, missing=why)
        words = tuple(partial(p.Register, each) if each else None for each in registers)
        if passed.by_reference:
            return Found(name, kind, type_id, words[0], in_memory=True)
        return self._in_register(Found(name, kind, type_id, words[0], words=words))

    def _passed(self, die: Die) -> dict[int, _Passed]:
        """Where parameters are passed, by the offsets of their entries. Those on the stack are left out; so
        are all if gcc has removed some."""
        left = list(self._arch.arguments)
        found: dict[int, _Passed] = {}
        parameters = [c for c in die.iter_children() if c.tag == "DW_TAG_formal_parameter"]
        if any(self._debug.attribute(c, "DW_AT_location") is None for c in parameters):
            return {}
        result = self._debug.type_of(die)
        if result is not None and self._is_memory(self._types.id_of(result)):
            left.pop(0)  # where to put the result
        for child in parameters:
            type_id = self._types.id_of(self._debug.type_of(child))
            if type_layout.integer(self._btf, type_id) is not None:
                if left:
                    found[child.offset] = _Passed((left.pop(0),))
                continue
            if self._is_by_reference(type_id):
                if left:
                    found[child.offset] = _Passed((left.pop(0),), by_reference=True)
                continue
            if self._is_memory(type_id):
                continue
            words = self._words(type_id)
            if sum(words) <= len(left):  # else it is on the stack, as a whole
                registers = tuple(left.pop(0) if general else "" for general in words)
                found[child.offset] = _Passed(registers)
        return found

    def _is_memory(self, type_id: TypeId) -> bool:
        """Whether values of a type are passed in memory; a result, with its address in a register."""
        if type_layout.integer(self._btf, type_id) is not None:
            return False
        return self._is_by_reference(type_id) or _size(self._btf, type_id) > 2 * _WORD

    def _is_by_reference(self, type_id: TypeId) -> bool:
        """Whether it is a class of C++ that cannot be copied by its bytes."""
        found = self._btf.resolve(type_id)
        if not isinstance(found, btf_types.Struct | btf_types.Union):
            return False
        return self._types.is_by_reference(found.id)

    def _words(self, type_id: TypeId) -> list[bool]:
        """For each word of a small struct whether a general register has it: without a floating-point number
        only."""
        words: dict[int, bool] = {}
        self._classify(type_id, 0, words)
        return [words[i] for i in sorted(words)]

    def _classify(self, type_id: TypeId, at: int, words: dict[int, bool]) -> None:
        match found := self._btf.resolve(type_id):
            case btf_types.Struct() | btf_types.Union():
                for member in found.members:
                    self._classify(member.type_id, at + member.bit_offset // 8, words)
            case btf_types.Array():
                size = _size(self._btf, found.element)
                for i in range(min(found.count, 16)):
                    self._classify(found.element, at + i * size, words)
            case btf_types.Float():
                words.setdefault(at // _WORD, False)
            case _:
                words[at // _WORD] = True

    # ------------------------------------------------------------ frames

    def _frame(self, die: Die, code: Code | None, address: int) -> Frame:
        at_entry = code is not None and not code.inline and code.entry == address
        function = self._function(die) if code is not None else None
        unit = die.cu

        def cfa(span: Span) -> p.Expr:
            if at_entry:
                return _plus(p.Register(self._arch.stack_pointer, span), self._arch.entry_cfa, span)
            rule = frames.cfa_rule(self._debug.elf, address)
            if rule.expression:
                return locate(rule.expression, frame, span).expr
            if rule.register >= len(self._arch.dwarf_registers):
                raise NoLocation("no general register tells where its frame is")
            register = p.Register(self._arch.dwarf_registers[rule.register], span)
            return _plus(register, rule.offset, span)

        def base(span: Span) -> p.Expr:
            try:
                found = self._debug.location(function, "DW_AT_frame_base", address)
            except KeyError:
                found = None
            if found is None:
                raise NoLocation("its frame is not known here")
            if found[0] == bytes((o.CALL_FRAME_CFA,)):
                return cfa(span)
            if at_entry and found[0] == bytes((o.REG0 + self._arch.frame_pointer,)):
                # the function has not set its frame pointer yet
                return _plus(cfa(span), -self._arch.frame_pointer_cfa, span)
            return locate(found[0], frame, span).expr

        def base_type(offset: int) -> tuple[int, bool]:
            type_id = self._types.id_of(unit.get_DIE_from_refaddr(unit.cu_offset + offset))
            integer = type_layout.integer(self._btf, type_id)
            if integer is None:
                raise NoLocation("its location computes with floating-point numbers")
            return integer.size, integer.signed

        frame = Frame(
            self._arch.dwarf_registers,
            base,
            cfa,
            self._loaded,
            self._thread_local,
            partial(self._debug.indexed_address, unit),
            base_type,
            at_entry,
            self._types.is_program,
        )
        return frame

    def _function(self, die: Die) -> Die:
        """The function that an inline instance is in."""
        while die.tag != _FUNCTION:
            die = die.get_parent()
        return die


def _value_of(data: bytes, frame: Frame, span: Span) -> p.Expr:
    return locate(data, frame, span).expr


def _word_of(data: bytes, frame: Frame, index: int, span: Span) -> p.Expr:
    return locate(data, frame, span).words[index]


def _narrowed(value: Value, size: int, signed: bool, span: Span) -> p.Expr:
    return narrow(value(span), size, signed, span)


def _plus(value: p.Expr, distance: int, span: Span) -> p.Expr:
    return p.Arithmetic("+", value, p.Number(distance, span), span) if distance else value


def _copied(debug: Debuginfo, die: Die) -> Literal["", "whole", "address"]:
    """Whether a parameter has one location everywhere that the function has to set up first: a register, or
    its own frame. "address": of what is there, more is done with it."""
    try:
        found = debug.location(die, "DW_AT_location", 0)
    except KeyError:
        return ""
    if found is None or not found[1] or not found[0]:
        return ""
    operation = found[0][0]
    if o.REG0 <= operation <= o.REG31:
        return "whole" if len(found[0]) == 1 else "address"
    if o.BREG0 <= operation <= o.BREG31:
        return "address"
    if operation != o.FBREG:
        return ""
    end = next((i for i, byte in enumerate(found[0][1:], 1) if byte < 0x80), 0)
    if not found[0][end] & 0x40:
        return ""  # the caller's frame
    return "whole" if end + 1 == len(found[0]) else "address"


def _size(btf: Btf, type_id: TypeId) -> int:
    try:
        return type_layout.sizeof(btf, type_id)
    except KernelFactError:
        return 0
