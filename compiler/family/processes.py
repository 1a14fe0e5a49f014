# SPDX-License-Identifier: GPL-2.0-or-later
"""process.*: what programs do, without their debuginfo.

process("ls").begin      -> Site(Hook(PROCESS, offset=BEGIN, program="/usr/bin/ls"), ...)
process(17).syscall      -> Site(Hook(PROCESS, offset=SYSCALL, number=17), variables {syscall, arg1, ...})
process.end              -> all processes; with a target(), it and what it started
"""

from collections.abc import Mapping, Sequence
from functools import partial

from compiler import syntax
from compiler.family.site import Environment, Refusal, Site, Variable, spell, unexpected
from compiler.program import Expr, Hook, HookKind, ProcessEvent, Register
from compiler.source import Span
from runtime.record import replace

EVENTS: Mapping[str, ProcessEvent] = {
    "begin": ProcessEvent.BEGIN,
    "end": ProcessEvent.END,
    "thread.begin": ProcessEvent.THREAD_BEGIN,
    "thread.end": ProcessEvent.THREAD_END,
    "syscall": ProcessEvent.SYSCALL,
    "syscall.return": ProcessEvent.SYSCALL_RETURN,
}
_FIRST = ("begin", "end", "thread", "syscall")
_ARGUMENTS = ("di", "si", "dx", "r10", "r8", "r9")  # of a system call


def resolve(components: Sequence[syntax.Component], environment: Environment) -> list[Site]:
    """The `process.*` points."""
    first, *rest = components
    if not rest:
        raise unexpected(first, _FIRST)
    return _life(first, rest, environment)


def _life(
    first: syntax.Component, rest: Sequence[syntax.Component], environment: Environment
) -> list[Site]:
    """Beginnings, ends and system calls."""
    event = EVENTS.get(".".join(c.name for c in rest))
    if event is None:
        known = {
            name.split(".")[len(rest) - 1] for name in EVENTS if name.count(".") >= len(rest) - 1
        }
        raise unexpected(rest[-1], sorted(known))
    for component in rest:
        if component.arg is not None:
            raise unexpected(component, _FIRST)
    return [
        Site(
            replace(hook, offset=event.value),
            spell((replace(first, arg=hook.program or first.arg), *rest)),
            _variables(event),
        )
        for hook in hooks(first, environment)
    ]


def hooks(first: syntax.Component, environment: Environment) -> list[Hook]:
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
                Hook(HookKind.PROCESS, program=path) for path in paths(name, first, environment)
            ]


def paths(name: str, component: syntax.Component, environment: Environment) -> list[str]:
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


def _variables(event: ProcessEvent) -> dict[str, Variable]:
    match event:
        case ProcessEvent.SYSCALL:
            found = [register("syscall", "orig_ax")]
            found += [register(f"arg{i + 1}", name) for i, name in enumerate(_ARGUMENTS)]
        case ProcessEvent.SYSCALL_RETURN:
            found = [register("syscall", "orig_ax"), register("return", "ax")]
        case _:
            found = []
    return {variable.name: variable for variable in found}


def register(name: str, register_name: str) -> Variable:
    """A context variable that is in a register of the process."""
    return Variable(name, "argument", 0, None, made=partial(_read, register_name))


def _read(name: str, span: Span) -> Expr:
    return Register(name, span)
