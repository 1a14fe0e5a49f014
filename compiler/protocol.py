# SPDX-License-Identifier: GPL-2.0-or-later
"""The compiler's face to other processes: one JSON request in, one JSON response out.

{"text": "probe begin { exit() }", "name": "x", "output": "/run/stapwatch"}
  -> {"ok": true, "module": "sw_x_1a2b3c4d", "path": ".../sw_x_1a2b3c4d.ko", "passes": [...], ...}
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compiler.ir.diagnostics import Diagnostic, render
from runtime.support.record import asdict, field, fields, record


@record
class Request:
    """`source` or `text`; `kernel`: None for the running one, or {"root", "release"} and perhaps
    "symbols", a copy of its /proc/kallsyms, and "programs", the folder that its processes see as /."""

    name: str
    source: str | None = None
    text: str | None = None
    args: tuple[str, ...] = ()
    globals: Mapping[str, int | str] = field(default_factory=dict)
    defines: Mapping[str, str] = field(default_factory=dict)
    guru: bool = False
    optimise: bool = True
    export: bool = True
    statistics: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    capacities: Mapping[str, int] = field(default_factory=dict)
    output: str | None = None
    cache: str | None = None
    kernel: Mapping[str, str] | None = None
    library: tuple[str, ...] = ()
    last_pass: int = 4
    run_mode: bool = False
    display: bool = False  # globals that no handler reads are printed at the end
    extra: tuple[str, ...] = ()  # texts of further scripts (-E)
    listing: str | None = None  # "points", "variables", "functions", "types", "aliases": only list
    compatible: str | None = None  # systemtap_v, as conditionals see it
    module: str | None = None
    target: str = ""  # the program of the process that is going to be target()

    @classmethod
    def from_tree(cls, tree: Mapping[str, Any]) -> Request:
        """From decoded JSON; ValueError names what does not belong."""
        known = {f.name for f in fields(cls)}
        unknown = set(tree) - known
        if unknown:
            raise ValueError(f"unknown in a compile request: {', '.join(sorted(unknown))}")
        if not tree.get("text") and not tree.get("source"):
            raise ValueError("a compile request needs 'source' or 'text'")
        lists = {k: tuple(tree.get(k) or ()) for k in ("args", "library", "extra")}
        return cls(**{**tree, **lists})

    @property
    def path(self) -> Path | None:
        return Path(self.source) if self.source is not None else None


@record
class Pass:
    """One of the compiler's passes; times in seconds, children's included."""

    number: int
    title: str
    user: float
    system: float
    real: float
    summary: str


@record
class Fault:
    """A diagnostic for another process; `text` is rendered, with the place and a caret."""

    slug: str
    message: str
    file: str
    line: int
    column: int
    hint: str | None
    text: str

    @classmethod
    def of(cls, diagnostic: Diagnostic) -> Fault:
        file, line, column = diagnostic.span.location
        return cls(
            diagnostic.slug,
            diagnostic.message,
            file,
            line,
            column,
            diagnostic.hint,
            render(diagnostic),
        )

    @classmethod
    def without_place(
        cls, slug: str, message: str, file: str, hint: str = "", severity: str = "error"
    ) -> Fault:
        """Something that no line of the script is to blame for."""
        text = f"{severity}[{slug}]: {message}\n  --> {file}"
        return cls(
            slug, message, file, 0, 0, hint or None, f"{text}\nhint: {hint}" if hint else text
        )


@record
class Response:
    ok: bool
    module: str = ""
    path: str = ""
    identity: str = ""
    cached: bool = False
    passes: tuple[Pass, ...] = ()
    errors: tuple[Fault, ...] = ()
    warnings: tuple[Fault, ...] = ()
    output: str = ""  # what an earlier last pass prints: the tree, the program, the C

    def to_tree(self) -> dict[str, Any]:
        return asdict(self)
