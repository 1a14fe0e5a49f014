# SPDX-License-Identifier: GPL-2.0-or-later
"""kernel.syscall("NAME")[.return]: a system call, made by a 64-bit or by a 32-bit program.

kernel.syscall("openat")
  -> ProbeSite(Ftrace(<entry function of 64-bit programs>), $sys_arg1 ... of its registers, $sys_word = 8)
     ProbeSite(Ftrace(<entry function of 32-bit programs>), $sys_arg1 ... of its registers, $sys_word = 4)

The library writes this: the functions' names depend on the architecture. A kernel without 32-bit programs
has only the first function, so the script may start without the others.

    $sys_arg1 to $sys_arg6   the arguments of the 64-bit call, whichever program made it
    $sys_word                bytes of a pointer in the program's memory
    $sys_time                bytes of each of the two numbers of a time that an argument points to
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from compiler.arch import Arch, CompatArgument, CompatCall
from compiler.ir import syntax
from compiler.ir.hooks import Kretprobe
from compiler.ir.program import Arithmetic, CallerRegister, Expr, Number
from compiler.ir.source import Span
from compiler.kernel import btf_types
from compiler.probes import kernel_function
from compiler.probes.base import (
    Environment,
    Lazy,
    ProbePointError,
    ProbeSite,
    Variable,
    text_of,
)
from compiler.probes.kernel_symbols import exists
from runtime.support.record import replace

_ARGUMENTS = tuple(f"sys_arg{n}" for n in range(1, 7))
_PAGE_SHIFT = 12


def resolve(components: Sequence[syntax.Component], environment: Environment) -> list[ProbeSite]:
    """Sites of all functions by which programs make the call. Raises ProbePointError if there is none."""
    name = text_of(components[1])
    sites: list[ProbeSite] = []
    missing: ProbePointError | None = None
    if not environment.kernel.arch.compat_only(name):
        try:
            sites += native_sites(name, components, environment)
        except ProbePointError as error:
            missing = error
    try:
        sites += compat_sites(name, components, environment, shared=not sites)
    except ProbePointError as error:
        missing = missing or error
    if not sites and missing is not None:
        raise missing
    return sites


def native_sites(
    name: str, components: Sequence[syntax.Component], environment: Environment
) -> list[ProbeSite]:
    """The function by which 64-bit programs make a call. Raises ProbePointError."""
    arch = environment.kernel.arch
    return _sites(arch.syscall_prefix + name, components, environment, _native(arch))


def compat_sites(
    name: str,
    components: Sequence[syntax.Component],
    environment: Environment,
    *,
    shared: bool = True,
) -> list[ProbeSite]:
    """The functions by which 32-bit programs make a call. Raises ProbePointError.

    `shared`: also those that 64-bit programs have, too.
    """
    sites: list[ProbeSite] = []
    for call in environment.kernel.arch.compat_calls(name):
        function = next((f for f in call.functions if exists(environment.kernel, f)), None)
        if function is not None and (shared or not _is_shared(call, function, environment)):
            found = _sites(function, components, environment, _compat(call))
            sites += [replace(site, optional=True) for site in found]
    if not sites:
        raise ProbePointError(
            "unknown-function",
            f"kernel {environment.kernel.release} has no system call '{name}' of 32-bit programs",
            components[1].span,
        )
    return sites


def _is_shared(call: CompatCall, function: str, environment: Environment) -> bool:
    """Whether the function is the 64-bit one by another name, as for calls without arguments: the kernel's
    types have functions, and no other names of them."""
    if function != call.functions[-1]:
        return False
    return not environment.kernel.btf.find_all(btf_types.Function, function)


_Values = Mapping[str, Callable[[Span], Expr]]


def _sites(
    function: str,
    components: Sequence[syntax.Component],
    environment: Environment,
    values: _Values,
) -> list[ProbeSite]:
    """Those of one entry function, with the values of the variables of a system call."""
    named = replace(components[1], name="function", arg=function)
    found = kernel_function.resolve_kernel_function(
        (components[0], named, *components[2:]), environment
    )
    return [replace(site, variables=_variables(site, values)) for site in found]


def _variables(site: ProbeSite, values: _Values) -> Lazy:
    returns = isinstance(site.hook, Kretprobe)
    own = {
        name: Variable(
            name, "argument", 0, None, at_entry=returns and name in _ARGUMENTS, made=value
        )
        for name, value in values.items()
    }
    return Lazy(lambda: {**site.variables, **own})


def _native(arch: Arch) -> _Values:
    values: dict[str, Callable[[Span], Expr]] = {
        name: partial(CallerRegister, register, 8, True)
        for name, register in zip(_ARGUMENTS, arch.syscall_arguments, strict=True)
    }
    return values | {"sys_word": partial(Number, 8), "sys_time": partial(Number, 8)}


def _compat(call: CompatCall) -> _Values:
    values: dict[str, Callable[[Span], Expr]] = {
        name: partial(_compat_value, argument)
        for name, argument in zip(_ARGUMENTS, call.arguments, strict=False)
    }
    return values | {"sys_word": partial(Number, 4), "sys_time": partial(Number, call.time_size)}


def _compat_value(argument: CompatArgument, span: Span) -> Expr:
    """The number that a 32-bit program passed, as the 64-bit call has it."""
    if not argument.registers:
        return Number(0, span)
    low, *high = argument.registers
    value: Expr = CallerRegister(low, 4, argument.signed, span)
    for register in high:
        upper = CallerRegister(register, 4, True, span)
        shifted = Arithmetic("<<", upper, Number(32, span), span)
        value = Arithmetic("|", shifted, value, span)
    if argument.in_pages:
        value = Arithmetic("<<", value, Number(_PAGE_SHIFT, span), span)
    if argument.is_short:  # the highest of 16 bits stands for -1
        more = Arithmetic("+", value, Number(1, span), span)
        short = Arithmetic("&", more, Number(0xFFFF, span), span)
        value = Arithmetic("-", short, Number(1, span), span)
    return value
