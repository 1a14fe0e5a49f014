# SPDX-License-Identifier: GPL-2.0-or-later
"""process.*: processes that begin and end, and their system calls; the rest is uprobe.py's.

process("ls").begin  -> Process(event=BEGIN, processes=ProcessFilter(program="/usr/bin/ls"))
process(17).syscall  -> Process(event=SYSCALL, processes=ProcessFilter(pid=17)), variables {syscall, ...}
process.end          -> all processes; if the session has a target(), that process and its descendants
"""

from collections.abc import Mapping, Sequence
from functools import partial

from compiler.arch import Arch
from compiler.ir import syntax
from compiler.ir.hooks import Process, ProcessEvent, ProcessFilter
from compiler.ir.program import Register
from compiler.probes import program_file, uprobe
from compiler.probes.base import (
    Environment,
    ProbePointError,
    ProbeSite,
    Variable,
    spell,
    unexpected,
)
from runtime.support.record import replace

EVENTS: Mapping[str, ProcessEvent] = {
    "begin": ProcessEvent.BEGIN,
    "end": ProcessEvent.END,
    "thread.begin": ProcessEvent.THREAD_BEGIN,
    "thread.end": ProcessEvent.THREAD_END,
    "syscall": ProcessEvent.SYSCALL,
    "syscall.return": ProcessEvent.SYSCALL_RETURN,
}
FORMS = tuple(
    f"process{which}.{event}" for which in ("", "(number)", "(string)") for event in EVENTS
)
_FIRST = ("begin", "end", "thread", "syscall", *program_file.WORDS)
_REFUSED = {
    "insn": (
        "single instructions are not stepped through",
        'probe functions: process("path").function("*")',
    ),
    "itrace": (
        "single instructions are not stepped through",
        'probe functions: process("path").function("*")',
    ),
}


def resolve(components: Sequence[syntax.Component], environment: Environment) -> list[ProbeSite]:
    """The `process.*` points."""
    first, *rest = components
    if not rest:
        raise unexpected(first, _FIRST)
    if rest[0].name in _REFUSED:
        what, instead = _REFUSED[rest[0].name]
        raise ProbePointError("no-such-family", what, rest[0].span, instead)
    if rest[0].name in program_file.WORDS or rest[0].name == "plt":
        return uprobe.resolve(first, rest, _filters(first, environment), environment)
    return _lifecycle(first, rest, environment)


def _lifecycle(
    first: syntax.Component, rest: Sequence[syntax.Component], environment: Environment
) -> list[ProbeSite]:
    """Begin, end and system calls of processes and threads."""
    event = EVENTS.get(".".join(c.name for c in rest))
    if event is None:
        last = len(rest) - 1
        known = {name.split(".")[last] for name in EVENTS if name.count(".") >= last}
        raise unexpected(rest[-1], sorted(known) if last else _FIRST)
    for component in rest:
        if component.arg is not None:
            raise unexpected(component, _FIRST)
    sites = []
    for processes in _filters(first, environment):
        point = spell((replace(first, arg=processes.program or first.arg), *rest))
        variables = _variables(event, environment.kernel.arch)
        sites.append(ProbeSite(Process(point, event, processes), point, variables))
    return sites


def _filters(first: syntax.Component, environment: Environment) -> list[ProcessFilter]:
    """One filter for each program that `process(...)` means."""
    match first.arg:
        case None:
            return [ProcessFilter(target=True)]
        case int(pid):
            if pid <= 0:
                raise ProbePointError(
                    "bad-probe-argument", f"there is no process {pid}", first.span
                )
            return [ProcessFilter(pid=pid)]
        case str(name):
            return [ProcessFilter(program=path) for path in _paths(name, first, environment)]


def _paths(name: str, component: syntax.Component, environment: Environment) -> list[str]:
    found = environment.programs.find(name)
    if not found:
        where = "on $PATH" if "/" not in name else "there"
        raise ProbePointError(
            "no-such-program",
            f"no file '{name}' is {where}",
            component.span,
            'name the file by its whole path: process("/usr/bin/name")',
        )
    return found


def _variables(event: ProcessEvent, arch: Arch) -> dict[str, Variable]:
    match event:
        case ProcessEvent.SYSCALL:
            found = [_register("syscall", arch.syscall_number)]
            registers = zip(arch.syscall_arguments, arch.compat_arguments, strict=True)
            found += [
                _register(f"arg{i + 1}", name, compat) for i, (name, compat) in enumerate(registers)
            ]
        case ProcessEvent.SYSCALL_RETURN:
            found = [_register("syscall", arch.syscall_number), _register("return", arch.result)]
        case _:
            found = []
    return {variable.name: variable for variable in found}


def _register(name: str, of_process: str, compat: str = "") -> Variable:
    """A context variable that is in a register of the process, and in `compat` in a 32-bit program's system
    call."""
    return Variable(name, "argument", 0, None, made=partial(Register, of_process, compat=compat))
