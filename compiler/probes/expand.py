# SPDX-License-Identifier: GPL-2.0-or-later
"""Expands probe points to probe sites: aliases, wildcards and braces, then the family of each point.

probe syscall.openat { B }
  -> ResolvedProbePoint(site=<Ftrace of the system call>, prologue=(<the alias's body>,), body=B, ...)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from compiler.ir import syntax
from compiler.ir.diagnostics import Diagnostic, Label
from compiler.ir.source import Span
from compiler.ir.syntax import expand_braces
from compiler.kernel.errors import KernelFactError
from compiler.probes import FAMILIES, Environment, ProbePointError, ProbeSite
from compiler.probes.base import spell
from compiler.support.did_you_mean import did_you_mean
from compiler.support.globs import glob_regex, is_glob
from runtime.support.record import field, record, replace

_DEPTH = 32  # aliases of aliases; more is a cycle


@record
class ResolvedProbePoint:
    """One handler to be generated: the probe's body between the bodies of its aliases."""

    site: ProbeSite
    written: str
    prologue: tuple[syntax.Block, ...]
    body: syntax.Block
    epilogue: tuple[syntax.Block, ...]
    conditions: tuple[syntax.Expr, ...]
    optional: bool
    span: Span


@record
class _Path:
    """The parts that the aliases on the way to a point contribute."""

    prologue: tuple[syntax.Block, ...] = ()
    epilogue: tuple[syntax.Block, ...] = ()
    conditions: tuple[syntax.Expr, ...] = ()
    alias: str = ""  # the first alias on the way


@record(frozen=False)
class _Absent:
    """What came to no site, and may."""

    errors: list[ProbePointError] = field(default_factory=list)  # of points with `?` or `!`
    never: bool = False


@record
class Expansion:
    """The handlers of some probes, in the script's order, and a diagnostic for each point without a site.

    `never`: a point is `never`, or an alias that stands for it.
    """

    found: list[ResolvedProbePoint]
    faults: list[Diagnostic]
    never: bool


class Aliases:
    """All aliases of the script and its library, by their names' components."""

    def __init__(self, items: Sequence[syntax.Item]) -> None:
        self.by_name: dict[tuple[str, ...], list[syntax.ProbeAlias]] = {}
        for item in items:
            if isinstance(item, syntax.ProbeAlias):
                for name in item.names:
                    key = tuple(c.name for c in name.components)
                    self.by_name.setdefault(key, []).append(item)

    def matches(
        self, components: Sequence[syntax.Component]
    ) -> list[tuple[tuple[str, ...], syntax.ProbeAlias, tuple[syntax.Component, ...]]]:
        """Aliases that the first components name, and the components that follow; the longest name wins.
        An alias with several names that match stands there once: its points are hit once."""
        for length in range(len(components), 0, -1):
            head = components[:length]
            if any(c.arg is not None for c in head):
                continue
            wild = is_wild(head)
            if any("**" in c.name for c in head):
                keys = self._across([c.name for c in head])
            elif wild:
                patterns = [glob_regex(c.name) for c in head]
                keys = [k for k in sorted(self.by_name) if _fits(k, patterns)]
            else:
                key = tuple(c.name for c in head)
                keys = [key] if key in self.by_name else []
            if keys:
                rest = tuple(components[length:])
                found = {id(alias): key for key in reversed(keys) for alias in self.by_name[key]}
                return [
                    (key, alias, rest)
                    for key in keys
                    for alias in self.by_name[key]
                    if found[id(alias)] == key
                ]
        return []

    def _across(self, names: Sequence[str]) -> list[tuple[str, ...]]:
        """Aliases that fit names in which `**` stands for any number of components' text."""
        parts = (re.escape(name).replace(r"\*\*", ".*") for name in names)
        pattern = r"\.".join(part.replace(r"\*", "[^.]*") for part in parts)
        return [key for key in sorted(self.by_name) if re.fullmatch(pattern, ".".join(key))]


def _fits(key: tuple[str, ...], patterns: list[str]) -> bool:
    return len(key) == len(patterns) and all(
        re.fullmatch(p, k) for p, k in zip(patterns, key, strict=True)
    )


def expand(probes: Sequence[syntax.Probe], aliases: Aliases, environment: Environment) -> Expansion:
    """The handlers of all probes."""
    found: list[ResolvedProbePoint] = []
    faults: list[Diagnostic] = []
    never = False
    for probe in probes:
        sufficient, of_probe = False, 0
        for point in probe.points:
            if sufficient:
                break
            absent = _Absent()
            try:
                sites = list(_expand_point(point, probe, aliases, environment, absent))
                never = never or absent.never
                if absent.errors and not sites and not absent.never:
                    raise absent.errors[0]
            except ProbePointError as error:
                if not (point.optional or point.sufficient):
                    faults.append(_diagnostic(error, point))
                continue
            found += sites
            of_probe += len(sites)
            if of_probe > environment.most_functions:
                faults.append(_too_many(point, of_probe, environment.most_functions))
                break
            sufficient = point.sufficient and bool(sites)
    return Expansion(found, faults, never)


def _too_many(point: syntax.ProbePoint, count: int, most: int) -> Diagnostic:
    """Each function takes time to hook and to unhook, and hooks everywhere make a machine crawl."""
    return Diagnostic(
        "too-many-functions",
        f"the probe stands for {count} functions, and MAXFUNCTIONS allows {most}",
        point.span,
        hint=f"choose fewer by a longer pattern; if you mean them all, -D MAXFUNCTIONS={count}",
    )


def _diagnostic(error: ProbePointError, point: syntax.ProbePoint) -> Diagnostic:
    """The diagnostic at the script's own probe point, even if the error is in a point of an alias."""
    same = error.span.source is point.span.source
    if same and point.span.start <= error.span.start <= point.span.end:
        return Diagnostic(error.slug, error.message, error.span, hint=error.hint or None)
    from compiler.probes.unsupported import gone

    known = gone(spell(point.components))
    return Diagnostic(
        error.slug,
        f"'{spell(point.components)}' cannot be resolved: {error.message}",
        point.span,
        labels=(Label(error.span, "which it stands for"),),
        hint=f"{known[0]}; {known[1]}" if known else error.hint or None,
    )


def _expand_point(
    point: syntax.ProbePoint,
    probe: syntax.Probe,
    aliases: Aliases,
    environment: Environment,
    absent: _Absent,
) -> Iterator[ResolvedProbePoint]:
    written = spell(point.components)
    for components in expand_braces(point.components):
        first = components[0]
        if first.name == "tp_syscall" and first.arg is None:  # one mechanism serves both here
            components = (replace(first, name="syscall"), *components[1:])
        conditions = (point.condition,) if point.condition is not None else ()
        path = _Path(conditions=conditions)
        optional = point.optional or point.sufficient
        try:
            found = list(_resolve(components, path, aliases, environment, 0, absent, optional))
        except ProbePointError as error:
            if not optional:
                raise
            absent.errors.append(error)  # the others of `{a,b}?` may be there
            continue
        for site, through, soft in found:
            yield ResolvedProbePoint(
                site,
                written,
                through.prologue,
                probe.body,
                through.epilogue,
                through.conditions,
                optional or soft,
                point.span,
            )


def _resolve(
    components: Sequence[syntax.Component],
    path: _Path,
    aliases: Aliases,
    environment: Environment,
    depth: int,
    absent: _Absent,
    optional: bool,
) -> Iterator[tuple[ProbeSite, _Path, bool]]:
    """`optional`: the point has a `?` or `!`, which each alias that its wildcard fits has for itself."""
    if depth > _DEPTH:
        raise ProbePointError(
            "alias-cycle", f"alias '{spell(components)}' leads to itself", components[0].span
        )
    matches = aliases.matches(components)
    wild = is_wild(components)
    if wild or not matches:
        points = list(_fitting_forms(components, aliases)) if wild else []
        if points or not matches:
            for each in points or [tuple(components)]:
                absent.never = absent.never or is_never(each)
                for site in _sites(each, aliases, environment):
                    yield replace(site, alias=path.alias), path, False
    for name, alias, rest in matches:
        inside = _through(alias, path, ".".join((*name, *([spell(rest)] if rest else []))))
        try:
            yield from _alias_points(
                alias, rest, inside, aliases, environment, depth, absent, optional
            )
        except ProbePointError as error:
            if not (optional and len(matches) > 1):
                raise
            absent.errors.append(error)


def _through(alias: syntax.ProbeAlias, path: _Path, spelled: str) -> _Path:
    """`path` with the alias's bodies: a prologue runs before the inner bodies, an epilogue after them."""
    before, after = [alias.body], [alias.after] if alias.after is not None else []
    if alias.epilogue:
        before, after = [], [alias.body, *after]
    prologue, epilogue = (*before, *path.prologue), (*path.epilogue, *after)
    return _Path(prologue, epilogue, path.conditions, path.alias or spelled)


def _alias_points(
    alias: syntax.ProbeAlias,
    rest: tuple[syntax.Component, ...],
    path: _Path,
    aliases: Aliases,
    environment: Environment,
    depth: int,
    absent: _Absent,
    all_optional: bool,
) -> Iterator[tuple[ProbeSite, _Path, bool]]:
    """The sites of the points that an alias stands for, each followed by `rest`."""
    sufficient = False
    for point in alias.points:
        if sufficient:
            break
        inner = path
        if point.condition is not None:
            inner = replace(path, conditions=(*path.conditions, point.condition))
        optional = point.optional or point.sufficient
        for choice in expand_braces((*point.components, *rest)):
            try:
                found = list(
                    _resolve(
                        choice,
                        inner,
                        aliases,
                        environment,
                        depth + 1,
                        absent,
                        optional or all_optional,
                    )
                )
            except ProbePointError as error:
                if not optional:
                    raise
                absent.errors.append(error)
                continue
            sufficient = sufficient or (point.sufficient and bool(found))
            yield from ((site, through, optional or soft) for site, through, soft in found)


def is_never(components: Sequence[syntax.Component]) -> bool:
    return [c.name for c in components] == ["never"]


def is_wild(components: Sequence[syntax.Component]) -> bool:
    """Whether a name among them is a pattern."""
    return any(is_glob(c.name) for c in components)


def _fitting_forms(
    components: Sequence[syntax.Component], aliases: Aliases
) -> Iterator[tuple[syntax.Component, ...]]:
    """`t*.s(5)` -> `timer.s(5)`: the forms of all families that the pattern fits, without aliases."""
    kinds = [{int: "number)", str: "string)"}.get(type(c.arg), "") for c in components]
    patterns = [glob_regex(c.name) for c in components]
    from compiler.probes.forms import FORMS

    for form in FORMS:
        parts = [part.partition("(") for part in form.split(".")]
        names = tuple(name for name, _, _ in parts)
        if [kind for _, _, kind in parts] != kinds or not _fits(names, patterns):
            continue
        if names not in aliases.by_name:
            yield tuple(replace(c, name=n) for c, n in zip(components, names, strict=True))


def _sites(
    components: Sequence[syntax.Component], aliases: Aliases, environment: Environment
) -> list[ProbeSite]:
    """The sites that the point's family resolves it to."""
    first = components[0]
    family = FAMILIES.get(first.name)
    if family is None:
        raise _unknown_point(components, aliases)
    try:
        return family(components, environment)
    except KernelFactError as error:
        raise ProbePointError("kernel-facts", error.message, first.span, error.hint) from error


def _unknown_point(components: Sequence[syntax.Component], aliases: Aliases) -> ProbePointError:
    """The error for a point that begins with no family's name."""
    from compiler.probes.unsupported import ABSENT, gone, hint_of_packages  # few scripts need it

    first = components[0]
    if known_gone := gone(spell(components)):
        message = f"'{spell(components)}' is gone: {known_gone[0]}"
        return ProbePointError("gone-probe-point", message, first.span, known_gone[1])
    if first.name in ABSENT:
        slug, message, hint = ABSENT[first.name]
        return ProbePointError(slug, message, first.span, hint)
    known = {*FAMILIES, *(".".join(k) for k in aliases.by_name)}
    return ProbePointError(
        "unknown-probe-point",
        f"unknown probe point '{spell(components)}'",
        first.span,
        hint_of_packages(first.name)
        or did_you_mean(".".join(c.name for c in components), known)
        or f"it begins with one of {', '.join(sorted({k.split('.')[0] for k in known}))}",
    )
