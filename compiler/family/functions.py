# SPDX-License-Identifier: GPL-2.0-or-later
"""kernel.function and kprobe.function: entry and return of kernel functions, by the cheapest hook.

kernel.function("vfs_read")         -> FTRACE at the entry (the runtime falls back on a kprobe)
kernel.function("vfs_read").return  -> KRETPROBE; parameters are saved at the entry
"""

from collections.abc import Sequence

from compiler import syntax
from compiler.family import tracepoints, watchpoints
from compiler.family.hookable import exists, fitting, place
from compiler.family.site import (
    Environment,
    Lazy,
    Refusal,
    Site,
    Variable,
    number_of,
    text_of,
    unexpected,
)
from compiler.kernel import kinds
from compiler.kernel.btf import Btf
from compiler.kernel.faults import KernelFactError
from compiler.kernel.nearby import did_you_mean
from compiler.program import Hook, HookKind

_SUFFIXES = ("call", "return", "maxactive", "exported")
_INSTEAD = 'probe a whole function, kernel.function("name"), or a tracepoint'
_NEEDS_DEBUGINFO = {
    "statement": "kernel.statement needs line numbers, which BTF does not have",
    "inline": "inlined functions leave no trace in BTF",
    "mark": "the kernel has had no marks since its tracepoints came",
    "callee": "callees are not known without debuginfo",
    "callees": "callees are not known without debuginfo",
    "label": "labels are not known without debuginfo",
    "line": "line numbers are not known without debuginfo",
}


def resolve_kernel(components: Sequence[syntax.Component], environment: Environment) -> list[Site]:
    """The `kernel.*` points."""
    if len(components) < 2:
        raise unexpected(components[0], ("data", "function", "trace"))
    match components[1].name:
        case "function":
            return _resolve(components, environment, typed=True)
        case "trace":
            return tracepoints.resolve(components, environment)
        case "data":
            return watchpoints.resolve(components, environment)
        case name if name in _NEEDS_DEBUGINFO:
            raise Refusal(
                "needs-debuginfo",
                _NEEDS_DEBUGINFO[name],
                components[1].span,
                _INSTEAD,
            )
        case _:
            raise unexpected(components[1], ("data", "function", "trace"))


def resolve_kprobe(components: Sequence[syntax.Component], environment: Environment) -> list[Site]:
    """The `kprobe.*` points: the same hooks; arguments are read as `$argN` too."""
    if len(components) < 2 or components[1].name != "function":
        raise unexpected(components[min(1, len(components) - 1)], ("function",))
    return _resolve(components, environment, typed=False)


def _resolve(
    components: Sequence[syntax.Component], environment: Environment, *, typed: bool
) -> list[Site]:
    function = components[1]
    returns, maxactive = False, 0
    for suffix in components[2:]:
        match suffix.name:
            case "call" | "exported" if not returns:
                pass
            case "return":
                returns = True
            case "maxactive" if returns:
                maxactive = number_of(suffix)
            case name if name in _NEEDS_DEBUGINFO:
                raise Refusal("needs-debuginfo", _NEEDS_DEBUGINFO[name], suffix.span, _INSTEAD)
            case _:
                raise unexpected(suffix, _SUFFIXES)
    pattern = text_of(function)
    pattern, at, _ = pattern.partition("@")
    if at and typed and ":" in text_of(function):
        raise Refusal("needs-debuginfo", _NEEDS_DEBUGINFO["line"], function.span, _INSTEAD)
    btf = environment.kernel.btf
    sites = []
    # of many functions some may refuse a hook; the others are worth having, and the loss is told
    wild = any(c in pattern for c in "*?[")
    if at and wild:
        raise Refusal(
            "needs-debuginfo",
            "which file a function is in is known to debuginfo only",
            function.span,
            f'match by name: {components[0].name}.function("prefix_*")',
        )
    for name, offsets in _functions(pattern, function, environment).items():
        variables = Lazy(lambda name=name: _variables(btf, name, returns))  # type: ignore[misc]
        suffix_text = ".return" if returns else ".call" if _calls(components) else ""
        point = f'{components[0].name}.function("{name}"){suffix_text}'
        if returns:
            hook = Hook(HookKind.KRETPROBE, name, number=maxactive, optional=wild)
        else:
            functions = tuple((name, offset) for offset in offsets)
            hook = (
                Hook(HookKind.FTRACE, name, optional=True, functions=functions)
                if wild
                else Hook(HookKind.FTRACE, name, offset=offsets[0])
            )
        sites.append(Site(hook, point, variables, name))
    return sites


def _calls(components: Sequence[syntax.Component]) -> bool:
    return any(c.name == "call" for c in components[2:])


def _functions(
    pattern: str, component: syntax.Component, environment: Environment
) -> dict[str, tuple[int, ...]]:
    """Names with the offsets of their functions."""
    kernel = environment.kernel
    slug = "unknown-kernel-function"
    if any(c in pattern for c in "*?["):
        names = fitting(kernel, pattern)
        if names:
            return names
        raise Refusal(slug, f"no kernel function fits '{pattern}'", component.span)
    if exists(kernel, pattern):
        return {pattern: (place(kernel, pattern),)}
    raise Refusal(
        slug,
        f"kernel {kernel.release} has no function '{pattern}'",
        component.span,
        did_you_mean(pattern, kernel.btf.names(kinds.Function)),
    )


def _variables(btf: Btf, name: str, returns: bool) -> dict[str, Variable]:
    """`$parameter`, `$argN` and `$return`; none but untyped ones where BTF does not know the function."""
    try:
        prototype = btf.function(name)
        params = prototype.params
        result: kinds.TypeId | None = prototype.ret
    except KernelFactError:
        params, result = (), None
    variables = {
        f"arg{i + 1}": Variable(f"arg{i + 1}", "argument", i, None, returns) for i in range(6)
    }
    for i, param in enumerate(params):
        variables[f"arg{i + 1}"] = Variable(f"arg{i + 1}", "argument", i, param.type_id, returns)
        if param.name:
            variables[param.name] = Variable(param.name, "argument", i, param.type_id, returns)
    if returns and (result is None or not isinstance(btf.resolve(result), kinds.Void)):
        variables["return"] = Variable("return", "return", 0, result)
    return variables
