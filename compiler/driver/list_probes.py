# SPDX-License-Identifier: GPL-2.0-or-later
"""The listings of `-l`, `-L` and the `--dump` options: probe points, functions and aliases.

points("syscall.open*")       -> ["syscall.open", "syscall.openat"]
points("vfs.read", True)      -> ["vfs.read name:string $file:struct file* $count:long unsigned int"]
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from compiler.arch import Arch
from compiler.ir import syntax
from compiler.ir.diagnostics import CompileError
from compiler.ir.hooks import Begin
from compiler.ir.program_printer import signature
from compiler.ir.syntax import expand_braces
from compiler.kernel.c_types import type_name
from compiler.kernel.errors import KernelFactError
from compiler.probes import Environment, ProbeSite
from compiler.probes.base import spell
from compiler.probes.expand import Aliases, expand, is_never, is_wild
from compiler.probes.forms import FORMS
from compiler.probes.kernel_function import named_by_function
from compiler.resolve.program import resolve
from compiler.support.globs import glob_regex


def points(
    script: syntax.Script,
    extras: Sequence[syntax.Script],
    library: Sequence[syntax.Script],
    environment: Environment,
    *,
    variables: bool,
) -> list[str]:
    """The existing probe points that match those of a script `probe PATTERN {}`, each once; with
    `variables`, each with the variables that its handler can read."""
    scripts = [*extras, *library]
    aliases = Aliases([item for known in scripts for item in known.items])
    found: dict[str, None] = {}
    for item in script.items:
        if not isinstance(item, syntax.Probe):
            continue
        for point in item.points:
            for components in expand_braces(point.components):
                for line in _matching(components, aliases, environment, scripts, variables):
                    found[line] = None
    return list(found)


def probe_types() -> list[str]:
    """The forms of probe points that a script can have, as `timer.s(number)`."""
    return sorted(FORMS)


def probe_aliases(scripts: Iterable[syntax.Script], arch: Arch) -> list[str]:
    """`name = point, point` for every alias."""
    lines = []
    for script in scripts:
        for item in script.items:
            if isinstance(item, syntax.ProbeAlias):
                right = ", ".join(
                    spell(named_by_function(x.components, arch))
                    + "?" * x.optional
                    + "!" * x.sufficient
                    for x in item.points
                )
                sign = "+=" if item.epilogue else "="
                lines += [f"{spell(name.components)} {sign} {right}" for name in item.names]
    return sorted(lines)


def functions(library: Sequence[syntax.Script], environment: Environment) -> list[str]:
    """Signatures of the library's public functions, types inferred where they are not written."""
    lines = []
    for script in library:
        for item in script.items:
            if not isinstance(item, syntax.Function) or item.private:
                continue
            if item.name.startswith("_"):
                continue
            found = _inferred(item, library, environment)
            lines.append(found or _written(item))
    return sorted(dict.fromkeys(lines))


def _inferred(
    f: syntax.Function, library: Sequence[syntax.Script], environment: Environment
) -> str | None:
    """The signature that a call infers; None if it depends on the arguments' types."""
    typed = all(parameter.type is not None for parameter in f.parameters)
    if isinstance(f.body, syntax.EmbeddedC) or (typed and f.type is not None):
        return None
    span = f.name_span
    args: tuple[syntax.Expr, ...] = tuple(
        syntax.String("", span) if x.type == "string" else syntax.Number(0, span)
        for x in f.parameters
    )
    if not typed and args:
        return None
    call = syntax.ExprStmt(syntax.Call(f.name, args, span, span), span)
    begin = syntax.ProbePoint(
        (syntax.Component("begin", None, (), span),), False, False, None, span
    )
    probe = syntax.Probe((begin,), syntax.Block((call,), span), span)
    try:
        program = resolve("x", [syntax.Script("x", (probe,), span)], library, environment)
    except CompileError:
        return None
    return next((signature(x) for x in program.functions if x.span == f.span), None)


def _written(f: syntax.Function) -> str:
    parameters = ", ".join(f"{x.name}:{x.type or 'unknown'}" for x in f.parameters)
    return f"{f.name}:{f.type or 'unknown'} ({parameters})"


# ---------------------------------------------------------------- probe points


def _matching(
    components: tuple[syntax.Component, ...],
    aliases: Aliases,
    environment: Environment,
    scripts: Sequence[syntax.Script],
    variables: bool,
) -> Iterator[str]:
    for concrete in _names(components, aliases):
        sites = _sites(concrete, aliases, environment)
        if not sites:
            continue
        if aliases.matches(concrete):
            line = spell(concrete)
            if variables:
                line += "".join(_locals(concrete, scripts, environment))
                line += "".join(_context(sites[0], environment)) if len(sites) == 1 else ""
            yield line
            continue
        for site in sites:
            line = site.point
            if variables:
                line += "".join(_context(site, environment))
            yield line


def _names(
    components: tuple[syntax.Component, ...], aliases: Aliases
) -> Iterator[tuple[syntax.Component, ...]]:
    """The concrete points that match a pattern: aliases, and families whose arguments the pattern
    gives."""
    if not is_wild(components):
        yield components
        return
    last = components[-1].span
    if all(c.arg is None for c in components):
        names = [c.name for c in components]
        regexes = [glob_regex(n) for n in names]
        for key in sorted(aliases.by_name):
            if len(key) == len(regexes) and all(
                re.fullmatch(r, k) for r, k in zip(regexes, key, strict=True)
            ):
                yield tuple(syntax.Component(k, None, (), last) for k in key)
    for form in sorted(FORMS):
        parts = [re.fullmatch(r"(\w+)(?:\((\w+)\))?", part) for part in form.split(".")]
        if len(parts) != len(components):
            continue
        fitted = []
        for part, c in zip(parts, components, strict=True):
            assert part is not None
            kind = {int: "number", str: "string", type(None): None}[type(c.arg)]
            if not re.fullmatch(glob_regex(c.name), part[1]) or part[2] != kind:
                break
            fitted.append(syntax.Component(part[1], c.arg, (), c.span))
        else:
            yield tuple(fitted)


def _sites(
    components: tuple[syntax.Component, ...], aliases: Aliases, environment: Environment
) -> list[ProbeSite]:
    span = components[0].span
    point = syntax.ProbePoint(components, False, False, None, span)
    probe = syntax.Probe((point,), syntax.Block((), span), span)
    if is_never(components):
        return [ProbeSite(Begin(), "never")]
    try:
        made = expand([probe], aliases, environment)
    except KernelFactError:
        return []
    return [] if made.faults else [d.site for d in made.found]


def _locals(
    components: tuple[syntax.Component, ...],
    scripts: Sequence[syntax.Script],
    environment: Environment,
) -> Iterator[str]:
    """The variables that an alias sets before the handler."""
    span = components[0].span
    point = syntax.ProbePoint(components, False, False, None, span)
    probe = syntax.Probe((point,), syntax.Block((), span), span)
    try:
        program = resolve("x", [syntax.Script("x", (probe,), span)], scripts, environment)
    except CompileError:
        return
    shared: dict[str, str] | None = None
    for found in program.probes:
        here = {x.name: str(x.type) for x in found.body.locals if not x.name.startswith("__")}
        shared = here if shared is None else {n: t for n, t in shared.items() if n in here}
    for name, type_ in (shared or {}).items():
        yield f" {name}:{type_}"


def _context(site: ProbeSite, environment: Environment) -> Iterator[str]:
    """A site's context variables under their own names; `$argN` only where there is no other."""
    for name in site.answers:
        yield f" ${name}:string"
    named = {v.index for v in site.variables.values() if not re.fullmatch(r"arg\d+", v.name)}
    for name, variable in site.variables.items():
        if variable.missing:
            continue
        if variable.type_id is None:
            if variable.made is not None:
                yield f" ${name}:long"
            continue
        if re.fullmatch(r"arg\d+", name) and variable.index in named:
            continue
        kind = type_name(environment.kernel.btf, variable.type_id).replace(" *", "*")
        yield f" ${name}:{kind}"
