# SPDX-License-Identifier: GPL-2.0-or-later
"""tp_syscall("NAME,...")[.return]: system calls by name, with the arguments of the raw tracepoints.

tp_syscall("read,~compat_read")
  -> ProbeSite(Ftrace(<entry function of 64-bit programs>), $arg1 = the registers, $arg2 = the call's number)
     ProbeSite(Ftrace(<entry function of 32-bit programs>), the same)

`~` stands before a call of 32-bit programs; `a=b` is `a`, since two probes of one number need no order here.
The entry functions are hooked, and not sys_enter with its hit for every call, so only these calls cost.
At a return $arg2 is the result, as sys_exit has it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from compiler.ir import syntax
from compiler.ir.program import CallerRegister
from compiler.probes import syscall
from compiler.probes.base import (
    Environment,
    Lazy,
    ProbePointError,
    ProbeSite,
    Variable,
    text_of,
    unexpected,
)
from runtime.support.record import replace

FORMS = ("tp_syscall(string)", "tp_syscall(string).return")
_PREFIXES = ("compat_", "ia32_")  # of the names that 32-bit calls have in the kernel


def resolve(components: Sequence[syntax.Component], environment: Environment) -> list[ProbeSite]:
    """The sites of all names; the kernel may lack some of several. Raises ProbePointError."""
    first, *rest = components
    returns = bool(rest) and rest[0].name == "return"
    if rest[returns:]:
        raise unexpected(rest[returns], () if returns else ("return",))
    sites: list[ProbeSite] = []
    missing: ProbePointError | None = None
    for part in text_of(first).split(","):
        name = part.partition("=")[0].strip()
        try:
            sites += _sites(name, first, rest, environment)
        except ProbePointError as error:
            missing = missing or error
    if not sites and missing is not None:
        raise missing
    return sites


def _sites(
    name: str,
    first: syntax.Component,
    rest: Sequence[syntax.Component],
    environment: Environment,
) -> Iterator[ProbeSite]:
    called = replace(first, name="function", arg=name)
    path = (replace(first, name="kernel", arg=None), called, *rest)
    if name.startswith("~"):
        plain = name[1:]
        for prefix in _PREFIXES:
            plain = plain.removeprefix(prefix)
        found = syscall.compat_sites(plain, path, environment)
    else:
        found = _native(name, path, environment)
    for site in found:
        variables = Lazy(partial(_variables, site, environment))
        point = f'tp_syscall("{name}"){".return" if rest else ""}'
        yield replace(site, point=point, variables=variables, function=name, positional=True)


def _native(
    name: str, path: Sequence[syntax.Component], environment: Environment
) -> list[ProbeSite]:
    try:
        return syscall.native_sites(name, path, environment)
    except ProbePointError as error:
        if error.slug != "unknown-kernel-function":
            raise
        message = f"kernel {environment.kernel.release} has no system call '{name}'"
        raise ProbePointError("unknown-function", message, error.span) from error


def _variables(site: ProbeSite, environment: Environment) -> dict[str, Variable]:
    registers = site.variables["arg1"]
    number = partial(CallerRegister, environment.kernel.arch.syscall_number, 8, True)
    second = site.variables.get("return") or Variable("arg2", "argument", 1, None, made=number)
    return {"arg1": registers, "arg2": replace(second, name="arg2")}
