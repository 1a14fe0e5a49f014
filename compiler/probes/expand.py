# SPDX-License-Identifier: GPL-2.0-or-later
"""Probe points to sites: aliases are expanded, wildcards and braces multiplied, families asked.

probe syscall.openat { B }
  -> Derived(site=<ftrace __x64_sys_openat>, prologue=(<the alias's body>,), body=B, ...)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from compiler.ir import syntax
from compiler.ir.diagnostics import Diagnostic, Label
from compiler.ir.source import Span
from compiler.ir.syntax import expand_braces
from compiler.kernel.errors import KernelFactError
from compiler.probes import FAMILIES, Environment, Refusal, Site
from compiler.probes.base import spell
from compiler.probes.unsupported import ABSENT
from compiler.support.did_you_mean import did_you_mean
from compiler.support.globs import glob_regex, is_glob
from runtime.support.record import record, replace

_DEPTH = 32  # aliases of aliases; more is a cycle


@record
class Derived:
    """One handler to be made: what aliases run before and after the probe's own body."""

    site: Site
    written: str
    prologue: tuple[syntax.Block, ...]
    body: syntax.Block
    epilogue: tuple[syntax.Block, ...]
    conditions: tuple[syntax.Expr, ...]
    optional: bool
    span: Span


@record
class _Path:
    """What was gathered on the way through aliases."""

    prologue: tuple[syntax.Block, ...] = ()
    epilogue: tuple[syntax.Block, ...] = ()
    conditions: tuple[syntax.Expr, ...] = ()
    alias: str = ""  # the first of them


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
        """Aliases that the first components name, the longest names winning, and what follows."""
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
                return [(key, alias, rest) for key in keys for alias in self.by_name[key]]
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


def derive(
    probes: Sequence[syntax.Probe], aliases: Aliases, environment: Environment
) -> tuple[list[Derived], list[Diagnostic]]:
    """All handlers of all probes, in the script's order, and what could not be placed."""
    found: list[Derived] = []
    faults: list[Diagnostic] = []
    for probe in probes:
        sufficient = False
        for point in probe.points:
            if sufficient:
                break
            missed: list[Refusal] = []
            try:
                sites = list(_expand(point, probe, aliases, environment, missed))
                if missed and not sites:
                    raise missed[0]
            except Refusal as refusal:
                if not (point.optional or point.sufficient):
                    faults.append(_fault(refusal, point))
                continue
            found += sites
            sufficient = point.sufficient and bool(sites)
    return found, faults


def _fault(refusal: Refusal, point: syntax.ProbePoint) -> Diagnostic:
    """At the script's own probe point, even if it is an alias's that cannot be placed."""
    same = refusal.span.source is point.span.source
    if same and point.span.start <= refusal.span.start <= point.span.end:
        return Diagnostic(refusal.slug, refusal.message, refusal.span, hint=refusal.hint or None)
    return Diagnostic(
        refusal.slug,
        f"'{spell(point.components)}' cannot be placed: {refusal.message}",
        point.span,
        labels=(Label(refusal.span, "which it stands for"),),
        hint=refusal.hint or None,
    )


def _expand(
    point: syntax.ProbePoint,
    probe: syntax.Probe,
    aliases: Aliases,
    environment: Environment,
    missed: list[Refusal],
) -> Iterator[Derived]:
    """`missed` gets what an alias only asked for if it is there."""
    written = spell(point.components)
    for components in expand_braces(point.components):
        conditions = (point.condition,) if point.condition is not None else ()
        path = _Path(conditions=conditions)
        optional = point.optional or point.sufficient
        try:
            found = list(_walk(components, path, aliases, environment, 0, missed))
        except Refusal as refusal:
            if not optional:
                raise
            missed.append(refusal)  # the others of `{a,b}?` may be there
            continue
        for site, way, soft in found:
            yield Derived(
                site,
                written,
                way.prologue,
                probe.body,
                way.epilogue,
                way.conditions,
                optional or soft,
                point.span,
            )


def _walk(
    components: Sequence[syntax.Component],
    path: _Path,
    aliases: Aliases,
    environment: Environment,
    depth: int,
    missed: list[Refusal],
) -> Iterator[tuple[Site, _Path, bool]]:
    if depth > _DEPTH:
        raise Refusal(
            "alias-cycle", f"alias '{spell(components)}' leads to itself", components[0].span
        )
    matches = aliases.matches(components)
    wild = list(_shapes(components)) if is_wild(components) else []
    if wild or not matches:
        sites = [
            s for shape in wild or [tuple(components)] for s in _family(shape, aliases, environment)
        ]
        yield from ((replace(site, alias=path.alias), path, False) for site in sites)
    for name, alias, rest in matches:
        before, after = [alias.body], [alias.after] if alias.after is not None else []
        if alias.epilogue:
            before, after = [], [alias.body, *after]
        spelled = path.alias or ".".join((*name, *([spell(rest)] if rest else [])))
        way = _Path((*before, *path.prologue), (*path.epilogue, *after), path.conditions, spelled)
        sufficient = False
        for point in alias.points:
            if sufficient:
                break
            conditions = way.conditions
            if point.condition is not None:
                conditions = (*conditions, point.condition)
            inner = _Path(way.prologue, way.epilogue, conditions, spelled)
            for choice in expand_braces((*point.components, *rest)):
                try:
                    found = list(_walk(choice, inner, aliases, environment, depth + 1, missed))
                except Refusal as refusal:
                    if not (point.optional or point.sufficient):
                        raise
                    missed.append(refusal)
                    continue
                sufficient = sufficient or (point.sufficient and bool(found))
                soft = point.optional or point.sufficient
                yield from ((site, way_, soft or s) for site, way_, s in found)


def is_wild(components: Sequence[syntax.Component]) -> bool:
    """Whether a name among them is a pattern."""
    return any(is_glob(c.name) for c in components)


def _shapes(components: Sequence[syntax.Component]) -> Iterator[tuple[syntax.Component, ...]]:
    """`t*.s(5)` -> `timer.s(5)`: all the families' forms that the names fit."""
    kinds = [{int: "number)", str: "string)"}.get(type(c.arg), "") for c in components]
    patterns = [glob_regex(c.name) for c in components]
    from compiler.probes.forms import SHAPES

    for shape in SHAPES:
        parts = [part.partition("(") for part in shape.split(".")]
        names = tuple(name for name, _, _ in parts)
        if [kind for _, _, kind in parts] == kinds and _fits(names, patterns):
            yield tuple(replace(c, name=n) for c, n in zip(components, names, strict=True))


def _family(
    components: Sequence[syntax.Component], aliases: Aliases, environment: Environment
) -> list[Site]:
    first = components[0]
    family = FAMILIES.get(first.name)
    if family is None:
        if first.name in ABSENT:
            slug, message, hint = ABSENT[first.name]
            raise Refusal(slug, message, first.span, hint)
        known = {*FAMILIES, *(".".join(k) for k in aliases.by_name)}
        raise Refusal(
            "unknown-probe-point",
            f"unknown probe point '{spell(components)}'",
            first.span,
            did_you_mean(".".join(c.name for c in components), known)
            or f"it begins with one of {', '.join(sorted({k.split('.')[0] for k in known}))}",
        )
    try:
        return family(components, environment)
    except KernelFactError as fault:
        raise Refusal("kernel-facts", fault.message, first.span, fault.hint) from fault
