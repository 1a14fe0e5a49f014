# SPDX-License-Identifier: GPL-2.0-or-later
"""process.*: what programs do, without their debuginfo.

process("ls").begin      -> Site(Hook(PROCESS, offset=BEGIN, program="/usr/bin/ls"), ...)
process(17).syscall      -> Site(Hook(PROCESS, offset=SYSCALL, number=17), variables {syscall, arg1, ...})
process.end              -> all processes; with a target(), it and what it started
"""

from collections.abc import Mapping, Sequence
from functools import partial

from compiler.arch import Arch
from compiler.ir import syntax
from compiler.ir.program import Hook, HookKind, ProcessEvent, Register
from compiler.probes import uprobe
from compiler.probes.base import Environment, Refusal, Site, Variable, spell, unexpected
from runtime.support.record import replace

EVENTS: Mapping[str, ProcessEvent] = {
    "begin": ProcessEvent.BEGIN,
    "end": ProcessEvent.END,
    "thread.begin": ProcessEvent.THREAD_BEGIN,
    "thread.end": ProcessEvent.THREAD_END,
    "syscall": ProcessEvent.SYSCALL,
    "syscall.return": ProcessEvent.SYSCALL_RETURN,
}
_FIRST = ("begin", "end", "thread", "syscall", *uprobe.WORDS)
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


def resolve(components: Sequence[syntax.Component], environment: Environment) -> list[Site]:
    """The `process.*` points."""
    first, *rest = components
    if not rest:
        raise unexpected(first, _FIRST)
    if rest[0].name in _REFUSED:
        what, instead = _REFUSED[rest[0].name]
        raise Refusal("no-such-family", what, rest[0].span, instead)
    if rest[0].name in uprobe.WORDS or rest[0].name == "plt":
        return uprobe.resolve(first, rest, _hooks(first, environment), environment)
    return _life(first, rest, environment)


def _life(
    first: syntax.Component, rest: Sequence[syntax.Component], environment: Environment
) -> list[Site]:
    """Beginnings, ends and system calls."""
    event = EVENTS.get(".".join(c.name for c in rest))
    if event is None:
        last = len(rest) - 1
        known = {name.split(".")[last] for name in EVENTS if name.count(".") >= last}
        raise unexpected(rest[-1], sorted(known) if last else _FIRST)
    for component in rest:
        if component.arg is not None:
            raise unexpected(component, _FIRST)
    return [
        Site(
            replace(hook, symbol=point, offset=event.value),
            point,
            _variables(event, environment.kernel.arch),
        )
        for hook in _hooks(first, environment)
        for point in [spell((replace(first, arg=hook.program or first.arg), *rest))]
    ]


def _hooks(first: syntax.Component, environment: Environment) -> list[Hook]:
    """For each program that `process(...)` means, a hook that tells which processes are meant."""
    match first.arg:
        case None:
            return [Hook(HookKind.PROCESS, target=True)]
        case int(pid):
            if pid <= 0:
                raise Refusal("bad-probe-argument", f"there is no process {pid}", first.span)
            return [Hook(HookKind.PROCESS, number=pid)]
        case str(name):
            return [
                Hook(HookKind.PROCESS, program=path) for path in _paths(name, first, environment)
            ]


def _paths(name: str, component: syntax.Component, environment: Environment) -> list[str]:
    found = environment.programs.find(name)
    if not found:
        where = "on $PATH" if "/" not in name else "there"
        raise Refusal(
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
            found += [
                _register(f"arg{i + 1}", name) for i, name in enumerate(arch.syscall_arguments)
            ]
        case ProcessEvent.SYSCALL_RETURN:
            found = [_register("syscall", arch.syscall_number), _register("return", arch.result)]
        case _:
            found = []
    return {variable.name: variable for variable in found}


def _register(name: str, of_process: str) -> Variable:
    """A context variable that is in a register of the process."""
    return Variable(name, "argument", 0, None, made=partial(Register, of_process))
