# SPDX-License-Identifier: GPL-2.0-or-later
"""Functions of the kernel and of its modules: entry and return, by the cheapest hook.

kernel.function("vfs_read")         -> Ftrace at the entry (the runtime falls back on a kprobe)
kernel.function("vfs_read").return  -> Kretprobe; parameters are saved at the entry
module("xfs").function("xfs_*")     -> Ftrace of xfs:xfs_..., looked up in the module when it is loaded
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress

from compiler.arch import Arch
from compiler.ir import syntax
from compiler.ir.diagnostics import Diagnostic
from compiler.ir.hooks import Ftrace, Hook, Kretprobe
from compiler.kernel import btf_types
from compiler.kernel.btf import Btf
from compiler.kernel.errors import KernelFactError
from compiler.kernel.kernel import is_module_file, module_name
from compiler.probes.base import (
    Environment,
    Lazy,
    ProbePointError,
    ProbeSite,
    Variable,
    number_of,
    text_of,
    unexpected,
)
from compiler.probes.gone_functions import successor
from compiler.probes.kernel_symbols import (
    exists,
    fitting,
    is_freed,
    module_with,
    modules_fitting,
    text_offset,
    unsafe,
    unsafe_fitting,
)
from compiler.support.did_you_mean import did_you_mean
from compiler.support.globs import is_glob
from runtime.support.record import replace

FORMS = tuple(
    f"{owner}.function(string){suffix}"
    for owner in ("kernel", "kprobe", "module(string)")
    for suffix in ("", ".call", ".exported", ".return", ".return.maxactive(number)")
) + tuple(
    f"{owner}.{point}"
    for owner in ("kernel", "module(string)")
    for point in ("function(string).inline", "statement(string)")
)
_SUFFIXES = ("call", "return", "maxactive", "exported", "inline")
_INSTEAD = 'probe a whole function, kernel.function("name"), or a tracepoint'
_SAFE_INSTEAD = "probe a function that calls it or that it calls, or a tracepoint"
NOT_PROBED = {
    "mark": "the kernel has had no marks since its tracepoints came",
    "callee": "functions that a function calls are not probed by way of it",
    "callees": "functions that a function calls are not probed by way of it",
    "label": "labels are not probed",
    "nearest": "statements are probed at the line that they name",
}


def resolve_kernel_function(
    components: Sequence[syntax.Component], environment: Environment
) -> list[ProbeSite]:
    """The `kernel.function` and `kernel.statement` points."""
    return _points(components, environment, "")


def named_by_function(
    components: Sequence[syntax.Component], arch: Arch
) -> Sequence[syntax.Component]:
    """`kernel.syscall("NAME")...` as `kernel.function(...)` of the entry function that the kernel makes
    for SYSCALL_DEFINE(NAME); other points as they are."""
    match components:
        case [
            syntax.Component(name="kernel"),
            syntax.Component(name="syscall", arg=str(name)) as call,
            *_,
        ]:
            function = replace(call, name="function", arg=arch.syscall_prefix + name)
            return (components[0], function, *components[2:])
        case _:
            return components


def resolve_kprobe(
    components: Sequence[syntax.Component], environment: Environment
) -> list[ProbeSite]:
    """The `kprobe.*` points: the same hooks; arguments are read as `$argN` too."""
    if len(components) < 2 or components[1].name != "function":
        raise unexpected(components[min(1, len(components) - 1)], ("function",))
    return list(_resolve(components, environment, typed=False))


def resolve_module(
    components: Sequence[syntax.Component], environment: Environment
) -> list[ProbeSite]:
    """The `module("name").*` points. The module need not be loaded: its functions are attached when it is."""
    pattern = text_of(components[0])
    if len(components) < 2:
        raise unexpected(components[0], ("function", "statement", "tracepoint"))
    wild = is_glob(pattern)
    found = modules_fitting(environment.kernel, pattern) if wild else [module_name(pattern)]
    if not wild and is_module_file(pattern):
        _note_file(pattern, found[0], environment)
    if components[1].name == "tracepoint":
        from compiler.probes import tracepoint  # few scripts have it

        return tracepoint.resolve_of_module(components, found, environment)
    sites: list[ProbeSite] = []
    error: ProbePointError | None = None
    for module in found:
        try:
            sites += _points(components, environment, module)
        except ProbePointError as missed:
            error = missed
    if sites:
        return sites
    raise error or ProbePointError(
        "unknown-module", f"no module fits '{pattern}'", components[0].span, "lsmod lists them"
    )


def _note_file(path: str, module: str, environment: Environment) -> None:
    """A module that this kernel's folder does not have may be in the file that the script names."""
    if environment.kernel.module_file(module) is None:
        for found in environment.programs.find(path):
            environment.kernel.name_module(module, environment.programs.read(found))


def _points(
    components: Sequence[syntax.Component], environment: Environment, module: str
) -> list[ProbeSite]:
    """The points of the kernel proper (""), or of one of its modules."""
    place = components[1]
    if place.name == "statement":
        from compiler.probes import kernel_source  # few scripts need it

        _used_types(environment, module)
        return kernel_source.statements(components, environment, module)
    if place.name in NOT_PROBED:
        raise _not_probed(place)
    if place.name != "function":
        raise unexpected(place, ("function", "statement", *(("tracepoint",) if module else ())))
    if [c.name for c in components[2:]] == ["inline"]:
        from compiler.probes import kernel_source

        _used_types(environment, module)
        return kernel_source.inline(components, environment, module)
    return list(_resolve(components, environment, typed=True, module=module))


def _not_probed(component: syntax.Component) -> ProbePointError:
    return ProbePointError("needs-debuginfo", NOT_PROBED[component.name], component.span, _INSTEAD)


def _resolve(
    components: Sequence[syntax.Component],
    environment: Environment,
    *,
    typed: bool,
    module: str = "",
) -> Iterator[ProbeSite]:
    """`module`: "" for the kernel proper."""
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
            case name if name in NOT_PROBED:
                raise _not_probed(suffix)
            case _:
                raise unexpected(suffix, _SUFFIXES if typed else _SUFFIXES[:-1])
    pattern = text_of(function)
    pattern, at, _ = pattern.partition("@")
    # some of many functions may refuse a hook: the others are attached, and the loss is reported
    wild = is_glob(pattern)
    owner = f'module("{module}")' if module else components[0].name
    suffix_text = ".return" if returns else ".call" if _calls(components) else ""
    found = _functions(pattern, function, environment, module, returns=returns)
    if at and typed:
        found = _in_file(found, function, environment, module, returns=returns)
    for name, offsets in found.items():
        variables = Lazy(
            lambda name=name: _variables(_used_types(environment, module), name, returns)  # type: ignore[misc]
        )
        symbol = f"{module}:{name}" if module else name
        if returns:
            hook: Hook = Kretprobe(symbol, maxactive)
        elif wild or len(offsets) > 1:
            hook = Ftrace(symbol, functions=tuple((symbol, offset) for offset in offsets))
        else:
            hook = Ftrace(symbol, offsets[0])
        point = f'{owner}.function("{name}"){suffix_text}'
        yield ProbeSite(hook, point, variables, name, module=module, optional=wild)


def _calls(components: Sequence[syntax.Component]) -> bool:
    return any(c.name == "call" for c in components[2:])


def _functions(
    pattern: str,
    component: syntax.Component,
    environment: Environment,
    module: str,
    *,
    returns: bool,
) -> dict[str, tuple[int, ...]]:
    """Names with the text offsets of their functions."""
    kernel = environment.kernel
    slug = "unknown-kernel-function"
    if is_glob(pattern):
        none: tuple[frozenset[str], int] = (frozenset(), 0)
        without, left_out = none if module else unsafe_fitting(kernel, pattern, returns)
        names = fitting(kernel, pattern, module, without)
        if names:
            _tell_of_left_out(left_out, pattern, component, environment)
            return names
        if left_out:
            raise _unsafe(pattern, "no function that fits it is safe to probe", component)
        of = f"module '{module}'" if module else "the kernel"
        raise ProbePointError(slug, f"no function of {of} fits '{pattern}'", component.span)
    if exists(kernel, pattern, module):
        if not module and is_freed(kernel, pattern):
            environment.warnings.append(_freed(pattern, component))
            return {}
        why = "" if module else unsafe(kernel, pattern, returns)
        if why:
            raise _unsafe(pattern, why, component)
        return {pattern: (0 if module else text_offset(kernel, pattern),)}
    owner = f"module '{module}'" if module else f"kernel {kernel.release}"
    btf = _types(environment, module)
    elsewhere = "" if module else module_with(kernel, pattern)
    known = btf.names(btf_types.Function) if btf is not None else fitting(kernel, "*", module)
    near = ("" if module else successor(kernel, pattern)) or did_you_mean(pattern, known)
    if elsewhere:
        near = f'it is a module\'s: module("{elsewhere}").function("{pattern}")'
    elif module and not near:
        near = "load it first: a module without a file in the kernel's folder is known while it is loaded"
    raise ProbePointError(slug, f"{owner} has no function '{pattern}'", component.span, near)


def _in_file(
    found: dict[str, tuple[int, ...]],
    component: syntax.Component,
    environment: Environment,
    module: str,
    *,
    returns: bool,
) -> dict[str, tuple[int, ...]]:
    """Those of the functions that the point's file has. A function whose name no other has is taken without
    a look at the debug information."""
    pattern, _, place = text_of(component).partition("@")
    kernel = environment.kernel
    plain = not is_glob(pattern) and ":" not in place
    if plain and (module or len(kernel.text_offsets.find(pattern)) < 2):
        return found
    from compiler.probes import kernel_source  # few scripts need it

    declared = kernel_source.declared(component, environment, module)
    chosen = {}
    for name, offsets in found.items():
        # gcc's copies of functions, as f.constprop.0, have the name of the function in the DWARF
        own = declared.get(name) or declared.get(name.partition(".")[0]) or frozenset()
        both = own if 0 in offsets else own.intersection(offsets)
        if both:
            chosen[name] = tuple(sorted(both))
    if not chosen:
        message = f"no function '{text_of(component)}' can be probed"
        raise ProbePointError("unknown-kernel-function", message, component.span)
    if returns and plain:
        raise ProbePointError(
            "unknown-kernel-function",
            f"the kernel has several functions '{pattern}': their returns are not told apart",
            component.span,
            "probe the returns of all of them: leave the file out",
        )
    return chosen


def _unsafe(name: str, why: str, component: syntax.Component) -> ProbePointError:
    return ProbePointError(
        "unsafe-function", f"'{name}' cannot be probed: {why}", component.span, _SAFE_INSTEAD
    )


def _freed(name: str, component: syntax.Component) -> Diagnostic:
    message = f"'{name}' is left out: the kernel has freed its code, as it has started"
    return Diagnostic("freed-function", message, component.span, severity="warning")


def _tell_of_left_out(
    count: int, pattern: str, component: syntax.Component, environment: Environment
) -> None:
    if count:
        functions = "1 function that fits" if count == 1 else f"{count} functions that fit"
        message = f"{functions} '{pattern}' cannot be probed safely: left out"
        environment.warnings.append(
            Diagnostic("unsafe-function", message, component.span, severity="warning")
        )


def _used_types(environment: Environment, module: str) -> Btf | None:
    """As `_types`; the script depends on them from now on."""
    found = _types(environment, module)
    if module and found is not None:
        environment.typed_modules.add(module)
    return found


def _types(environment: Environment, module: str) -> Btf | None:
    """The module's BTF or the kernel's; None if the module has none."""
    if not module:
        return environment.kernel.btf
    try:
        return environment.kernel.module_btf(module)
    except KernelFactError:
        return None


def _variables(btf: Btf | None, name: str, returns: bool) -> dict[str, Variable]:
    """`$parameter`, `$argN` and `$return`; only untyped `$argN` if BTF does not have the function."""
    params: tuple[btf_types.Param, ...] = ()
    result: btf_types.TypeId | None = None
    if btf is not None:
        with suppress(KernelFactError):
            prototype = btf.function(name)
            params, result = prototype.params, prototype.ret
    variables = {
        f"arg{i + 1}": Variable(f"arg{i + 1}", "argument", i, None, returns) for i in range(6)
    }
    for i, param in enumerate(params):
        variables[f"arg{i + 1}"] = Variable(f"arg{i + 1}", "argument", i, param.type_id, returns)
        if param.name:
            variables[param.name] = Variable(param.name, "argument", i, param.type_id, returns)
    if returns and not (
        btf is not None and result is not None and isinstance(btf.resolve(result), btf_types.Void)
    ):
        variables["return"] = Variable("return", "return", 0, result)
    return variables
