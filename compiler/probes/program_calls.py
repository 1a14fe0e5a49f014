# SPDX-License-Identifier: GPL-2.0-or-later
"""What a program's function has inside, by the names in its DWARF: labels, and the functions it calls.

process("x").function("f").label("l")    -> the first instruction behind the label
process("x").function("f").callee("g")   -> g where f calls it: its entry, or an inline instance in f
process("x").function("f").callees       -> the same for all that f calls

A call is f's if it returns to f's code; what f does last, a compiler may make a jump, which is not seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final

from compiler.dwarf.errors import DwarfError
from compiler.dwarf.functions import Code
from compiler.ir import syntax
from compiler.ir.hooks import Uprobe, Uretprobe
from compiler.ir.program import Arithmetic, Compare, Deref, Expr, Logical, Number, Register
from compiler.ir.source import Span
from compiler.probes import program_source
from compiler.probes.base import ProbePointError, ProbeSite, spell, text_of, unexpected
from compiler.probes.program_file import ProgramFile
from compiler.probes.program_variables import ProgramDebug, ProgramVariables
from compiler.support.did_you_mean import did_you_mean
from compiler.support.globs import glob_regex, is_glob
from runtime.support.record import replace

_SUFFIXES: Final = ("call", "inline", "return")
_WORD: Final = 8  # bytes of a return address


def resolve(
    file: ProgramFile, function: syntax.Component, rest: Sequence[syntax.Component]
) -> list[ProbeSite]:
    """The points whose first component after `function("f")` is `label`, `callee` or `callees`."""
    try:
        debug = program_source.opened(file)
    except DwarfError as error:
        raise program_source.needed(error, rest[0]) from error
    with program_source.reported(file, function):
        callers = program_source.named(debug, function)
        if not callers:
            raise ProbePointError(
                "unknown-program-function",
                f"'{file.name}' has no function '{text_of(function)}' with code of its own",
                function.span,
                did_you_mean(text_of(function), debug.functions.names()),
            )
        if rest[0].name == "label":
            if rest[1:]:
                raise unexpected(rest[1], ())
            return list(_labels(debug, file, function, rest[0], callers))
        return list(_callees(debug, file, function, rest, callers))


def _labels(
    debug: ProgramDebug,
    file: ProgramFile,
    function: syntax.Component,
    label: syntax.Component,
    callers: list[Code],
) -> Iterator[ProbeSite]:
    known = {
        (name, code): address for code in callers for name, address in debug.functions.labels(code)
    }
    regex = re.compile(glob_regex(text_of(label)))
    found = {name: None for name, _ in known if regex.fullmatch(name)}
    if not found:
        names = sorted({name for name, _ in known})
        raise ProbePointError(
            "unknown-label",
            f"'{text_of(function)}' has no label '{text_of(label)}' with code",
            label.span,
            did_you_mean(text_of(label), names)
            or (f"it has {', '.join(names)}" if names else "it has none"),
        )
    for name in found:
        places = [(code, address) for (each, code), address in known.items() if each == name]
        yield from program_source.sites_at(file, function, (replace(label, arg=name),), places)


# ---------------------------------------------------------------- calls


def _callees(
    debug: ProgramDebug,
    file: ProgramFile,
    function: syntax.Component,
    rest: Sequence[syntax.Component],
    callers: list[Code],
) -> Iterator[ProbeSite]:
    callee, *suffixes = rest
    kind = suffixes[0].name if suffixes else ""
    if len(suffixes) > 1 or (suffixes and kind not in _SUFFIXES):
        raise unexpected(suffixes[-1], () if kind in _SUFFIXES else _SUFFIXES)
    if callee.name == "callees" and callee.arg not in (None, 1):
        raise ProbePointError(
            "bad-probe-argument",
            "callees of callees are not probed",
            callee.span,
            'probe them by way of their own caller: function("name").callees',
        )
    some = False
    for caller in callers:
        named = replace(function, arg="@".join((caller.name, *text_of(function).split("@")[1:])))
        found: list[ProbeSite] = []
        if kind in ("", "inline"):
            found += _inlined(debug, file, named, (callee, *suffixes), caller)
        if kind != "inline":
            for code in _called(debug, callee, caller):
                found += _entry(file, named, (callee, *suffixes), caller, code, kind == "return")
        some = some or bool(found)
        yield from found
    if not some:
        raise _none(debug, function, callee, callers)


def _called(debug: ProgramDebug, callee: syntax.Component, caller: Code) -> list[Code]:
    names = [text_of(callee)] if callee.arg is not None and callee.name == "callee" else []
    if not names:
        names = sorted(debug.functions.called(caller))
    found = {code.entry: code for name in names for code in debug.functions.named(name)}
    return list(found.values())


def _inlined(
    debug: ProgramDebug,
    file: ProgramFile,
    function: syntax.Component,
    rest: tuple[syntax.Component, ...],
    caller: Code,
) -> list[ProbeSite]:
    pattern = text_of(rest[0]) if rest[0].name == "callee" else "*"
    places = [
        (code, code.entry) for code in debug.functions.inline(pattern) if caller.covers(code.entry)
    ]
    return program_source.sites_at(file, function, rest, places)


def _entry(
    file: ProgramFile,
    function: syntax.Component,
    rest: tuple[syntax.Component, ...],
    caller: Code,
    code: Code,
    returns: bool,
) -> Iterator[ProbeSite]:
    offset = file.executable.offset_of(code.entry, code=True)
    if offset is None:
        return
    where = code.name, file.processes, file.binary, 0, ((code.name, offset),)
    hook = Uretprobe(*where) if returns else Uprobe(*where, at_entry=True)
    if rest[0].name == "callee":
        rest = (replace(rest[0], arg=code.name), *rest[1:])
    variables = ProgramVariables(file, {}, lambda _: code, code.entry, returns=returns)
    yield ProbeSite(
        hook,
        spell((*file.point, function, *rest)),
        variables,
        code.name,
        optional=rest[0].name == "callees" or is_glob(text_of(rest[0])),
        debuginfo=variables,
        counts=partial(_returns_to, file, caller, code.entry),
    )


def _returns_to(file: ProgramFile, caller: Code, entry: int, span: Span) -> Expr:
    """Whether the call whose first instruction is at a linked address returns to the caller's code."""
    arch = file.executable.arch
    stack: Expr = Register(arch.stack_pointer, span)
    if arch.entry_cfa != _WORD:
        stack = Arithmetic("+", stack, Number(arch.entry_cfa - _WORD, span), span)
    here = Register(arch.instruction_pointer, span)
    # the program may be anywhere in memory
    distance = Arithmetic("-", Deref(stack, _WORD, False, True, span), here, span)
    tests: list[Expr] = []
    for first, end in caller.ranges:
        after = Compare(">", distance, Number(first - entry, span), span)
        before = Compare("<=", distance, Number(end - entry, span), span)
        tests.append(Logical("&&", after, before, span))
    found = tests[0]
    for test in tests[1:]:
        found = Logical("||", found, test, span)
    return found


def _none(
    debug: ProgramDebug, function: syntax.Component, callee: syntax.Component, callers: list[Code]
) -> ProbePointError:
    called = sorted({name for caller in callers for name in debug.functions.called(caller)})
    if callee.name == "callee":
        message = f"there is no function '{text_of(callee)}' that '{text_of(function)}' could call"
        hint = did_you_mean(text_of(callee), called or debug.functions.names())
    else:
        message = f"the debug information does not tell what '{text_of(function)}' calls"
        hint = (
            'name the function: .callee("name"); calls are noted by compilers that optimise (-O1)'
        )
    return ProbePointError("unknown-program-function", message, callee.span, hint)
