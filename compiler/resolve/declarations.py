# SPDX-License-Identifier: GPL-2.0-or-later
"""Collects the declarations of the scripts and the library, before any body is lowered.

collect(scripts, library, environment)
  -> Declarations(globals={("", "n"): ...}, functions={"f": [...]}, handlers=[<one for each site>], ...)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from compiler.ir import syntax
from compiler.ir.diagnostics import Diagnostic
from compiler.ir.hooks import Begin
from compiler.probes import Environment, ProbeSite
from compiler.probes.expand import Aliases, ResolvedProbePoint, expand, is_never
from compiler.resolve.contexts import LIBRARY, GlobalSymbol, ProgramContext
from compiler.resolve.syntax_queries import contextual_functions
from compiler.resolve.type_environment import TypeEnvironment
from runtime.support.record import field, record

_NEVER = ProbeSite(Begin(), "never")


@record(frozen=False)
class Declarations:
    """The program before types are known.

    Frozen but for library probes, which join while types are inferred: `handlers` grows, and
    `library_probes` shrinks.
    """

    scripts: Sequence[syntax.Script]
    library_files: frozenset[str]
    environment: Environment
    aliases: Aliases
    globals: dict[tuple[str, str], GlobalSymbol]  # as in ProgramContext
    functions: dict[str, list[syntax.Function]]  # by name: the user's, then the library's
    contextual: frozenset[str]  # names of functions that use context variables
    handlers: list[ResolvedProbePoint]
    # probes that do not run, each with its site, if that is known; see `_suppressed`
    suppressed: list[tuple[syntax.Probe, ProbeSite | None]]
    # probes of library files that the program has not used so far, by file
    library_probes: dict[str, list[syntax.Probe]]
    diagnostics: list[Diagnostic]
    # clones of contextual functions; a late round lowers them before the calls that ask for them
    clones: dict[tuple[str, str, str], str] = field(default_factory=dict)
    clone_sites: dict[str, ProbeSite] = field(default_factory=dict)

    def context(self, types: TypeEnvironment) -> ProgramContext:
        """The program's context for one round."""
        return ProgramContext(
            types,
            self.environment,
            self.globals,
            self.functions,
            self.library_files,
            frozenset(
                item.name for item in _items(self.scripts) if isinstance(item, syntax.Global)
            ),
            self.contextual,
            self.clones,
            self.clone_sites,
        )

    def join_library_probes(self, program: ProgramContext) -> bool:
        """Add the probes of library files that a round has used. Returns whether there were any.

        A library file is a part of the program as soon as the program uses one of its functions,
        globals or aliases: then the file's own probes run, too.
        """
        if not self.library_probes:
            return False
        used = _used_files(program, self.handlers) & self.library_probes.keys()
        probes = [probe for file in sorted(used) for probe in self.library_probes.pop(file)]
        more = expand(probes, self.aliases, self.environment)
        self.handlers += more.found
        self.diagnostics += more.faults
        return bool(probes)

    @property
    def probes(self) -> list[syntax.Probe]:
        """The probes that the user wrote."""
        return [item for item in _items(self.scripts) if isinstance(item, syntax.Probe)]

    @property
    def embedded(self) -> list[syntax.EmbeddedC]:
        """The C that the user wrote outside functions."""
        return [item for item in _items(self.scripts) if isinstance(item, syntax.EmbeddedC)]


def collect(
    scripts: Sequence[syntax.Script], library: Sequence[syntax.Script], environment: Environment
) -> Declarations:
    """Expand probe points, and find every global, function and alias by its name.

    Errors (probe points that cannot be resolved, duplicate globals) are in `diagnostics`.
    """
    items, known = list(_items(scripts)), list(_items(library))
    aliases = Aliases([*items, *known])
    handlers: list[ResolvedProbePoint] = []
    without_site: list[tuple[syntax.Probe, bool]] = []
    diagnostics: list[Diagnostic] = []
    for item in items:
        if isinstance(item, syntax.Probe):
            made = expand([item], aliases, environment)
            handlers += made.found
            diagnostics += made.faults
            if not made.found:
                without_site.append((item, made.never))
    suppressed = _suppressed(without_site, has_errors=bool(diagnostics))
    functions: dict[str, list[syntax.Function]] = {}
    for item in [*items, *known]:
        if isinstance(item, syntax.Function):
            functions.setdefault(item.name, []).append(item)
    return Declarations(
        scripts,
        frozenset(script.name for script in library),
        environment,
        aliases,
        _globals(items, known, diagnostics),
        functions,
        contextual_functions(functions),
        handlers,
        suppressed,
        _library_probes(library),
        diagnostics,
    )


def _items(scripts: Iterable[syntax.Script]) -> Iterator[syntax.Item]:
    return (item for script in scripts for item in script.items)


def _suppressed(
    without_site: Sequence[tuple[syntax.Probe, bool]], *, has_errors: bool
) -> list[tuple[syntax.Probe, ProbeSite | None]]:
    """Probes that do not run, but whose bodies are lowered all the same.

    The body of a `never` probe types variables, and its errors are reported. The body of one whose alias
    stands for `never` types variables, too. If probe points could not be resolved, so do the bodies of
    their probes: otherwise each variable that they assign would be reported as one without a type.
    """
    found: list[tuple[syntax.Probe, ProbeSite | None]] = []
    for probe, never in without_site:
        written = any(is_never(point.components) for point in probe.points)
        found += [(probe, None)] if has_errors or (never and not written) else []
        found += [(probe, _NEVER)] if written else []
    return found


def _library_probes(library: Sequence[syntax.Script]) -> dict[str, list[syntax.Probe]]:
    found: dict[str, list[syntax.Probe]] = {}
    for script in library:
        for item in script.items:
            if isinstance(item, syntax.Probe):
                found.setdefault(script.name, []).append(item)
    return found


def _used_files(program: ProgramContext, handlers: Iterable[ResolvedProbePoint]) -> set[str]:
    """Files whose functions, globals or aliases the program uses."""
    spans = [g.declared.span for g in program.used_globals.values()]
    spans += [f.span for o in program.called.values() for f in o.functions]
    spans += [block.span for d in handlers for block in (*d.prologue, *d.epilogue)]
    return {span.source.name for span in spans}


def _globals(
    items: Sequence[syntax.Item], library: Sequence[syntax.Item], diagnostics: list[Diagnostic]
) -> dict[tuple[str, str], GlobalSymbol]:
    """The globals by their files (LIBRARY: those of the library, "": those of the script) and name."""
    found: dict[tuple[str, str], GlobalSymbol] = {}
    symbols: set[str] = set()
    for index, item in enumerate([*items, *library]):
        if not isinstance(item, syntax.Global):
            continue
        everywhere = "" if index < len(items) else LIBRARY
        key = (item.span.source.name if item.private else everywhere, item.name)
        if key in found:
            diagnostics.append(_duplicate(item, found[key].declared))
            continue
        symbol = item.name
        while symbol in symbols:
            symbol += "_"
        symbols.add(symbol)
        found[key] = GlobalSymbol(symbol, item)
    return found


def _duplicate(item: syntax.Global, first: syntax.Global) -> Diagnostic:
    file, line, column = first.span.location
    return Diagnostic(
        "duplicate-global",
        f"'{item.name}' is declared twice",
        item.span,
        hint=f"first at {file}:{line}:{column}",
    )
