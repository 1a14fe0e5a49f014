# SPDX-License-Identifier: GPL-2.0-or-later
"""process(...).mark and .provider: the statically defined marks (SDT) of programs.

process("x").provider("p").mark("*")  -> a site for each mark's every offset, each with its arguments
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial

from compiler.arch import Operand
from compiler.ir import syntax
from compiler.ir.hooks import Uprobe
from compiler.ir.program import Arithmetic, Deref, Expr, Number, Register
from compiler.ir.source import Span
from compiler.probes.base import ProbePointError, ProbeSite, Variable, spell, text_of, unexpected
from compiler.probes.program_file import ProgramFile
from compiler.probes.program_variables import ProgramDebug, ProgramVariables
from compiler.support.did_you_mean import did_you_mean
from compiler.support.globs import glob_regex
from compiler.userspace.elf_program import Executable, Mark
from runtime.support.record import replace


def resolve_marks(file: ProgramFile, rest: Sequence[syntax.Component]) -> list[ProbeSite]:
    provider = None
    if rest[0].name == "provider":
        provider = text_of(rest[0])
        rest = rest[1:]
        if not rest or rest[0].name != "mark":
            raise unexpected(rest[0] if rest else file.point[-1], ("mark",))
    mark, *more = rest
    if more:
        raise unexpected(more[0], ())
    known = file.executable.marks
    found = [
        m
        for m in known
        if re.fullmatch(glob_regex(text_of(mark)), m.name)
        and (provider is None or re.fullmatch(glob_regex(provider), m.provider))
    ]
    if not found:
        names = sorted({m.name for m in known})
        raise ProbePointError(
            "unknown-mark",
            f"'{file.name}' has no mark '{text_of(mark)}'"
            + (f" of '{provider}'" if provider is not None else ""),
            mark.span,
            did_you_mean(text_of(mark), names)
            or (f"it has {', '.join(names[:8])}" if names else "it was built without marks"),
        )
    sites = []
    for m in found:
        offset = file.executable.offset_of(m.address, code=True)
        if offset is None:
            continue
        semaphore = file.executable.offset_of(m.semaphore) if m.semaphore else 0
        functions = ((m.name, offset),)
        hook = Uprobe(
            m.name, file.processes, file.binary, functions=functions, semaphore=semaphore or 0
        )
        named = syntax.Component("provider", m.provider, (), mark.span)
        point = spell((*file.point, named, replace(mark, arg=m.name)))
        arguments = _of_mark(m, file.executable)
        # for the program's types and static variables
        debuginfo = ProgramVariables(file, arguments, _no_code, m.address)
        sites.append(
            ProbeSite(hook, point, arguments, m.name, provider=m.provider, debuginfo=debuginfo)
        )
    return sites


def _no_code(debug: ProgramDebug) -> None:
    """A mark has its arguments, and no variables of the function that it is in."""


def _of_mark(mark: Mark, executable: Executable) -> dict[str, Variable]:
    found = {}
    for i, operand in enumerate(executable.arch.operands(mark.arguments), 1):
        if operand is None or (operand.symbol and operand.symbol not in executable.variables):
            continue
        distance = operand.number
        if operand.symbol:  # relative to the mark's address
            distance += executable.variables[operand.symbol] - mark.address
        made = partial(_value, replace(operand, number=distance))
        found[f"arg{i}"] = Variable(f"arg{i}", "argument", i - 1, None, made=made)
    return found


def _value(operand: Operand, span: Span) -> Expr:
    """The operand's value when the mark is hit."""
    value: Expr | None = Register(operand.base, span) if operand.base else None
    if operand.index:
        scaled = Arithmetic("*", Register(operand.index, span), Number(operand.scale, span), span)
        value = Arithmetic("+", value, scaled, span) if value is not None else scaled
    if value is None:
        value = Number(operand.number, span)
    elif operand.number:
        value = Arithmetic("+", value, Number(operand.number, span), span)
    if operand.memory:
        return Deref(value, operand.size, operand.signed, True, span)
    if operand.shift:
        value = Arithmetic(">>", value, Number(operand.shift, span), span)
    if operand.size == 8 or isinstance(value, Number):
        return value
    if not operand.signed:
        return Arithmetic("&", value, Number((1 << 8 * operand.size) - 1, span), span)
    up = Number(64 - 8 * operand.size, span)
    return Arithmetic(">>", Arithmetic("<<", value, up, span), up, span)
