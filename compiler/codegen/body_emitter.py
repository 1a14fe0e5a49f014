# SPDX-License-Identifier: GPL-2.0-or-later
"""What expressions of one body share: its temporaries and buffers, and where its errors go.

body.temporary("s64")                       -> "t1"
body.raise_if("!b", "division by 0", span)  -> if (unlikely(!b)) { ... goto fail; }
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from compiler.analysis.string_sizes import Sizes
from compiler.codegen import c_writer as t
from compiler.codegen.c_writer import C, Writer
from compiler.codegen.data_layout import Layout, Placed
from compiler.ir import program as p
from compiler.ir.options import Options
from compiler.ir.program import STRING
from compiler.ir.source import Span
from runtime.abi.manifest import ErrorSite, Print
from runtime.support.record import field, record


@record(frozen=False)
class Unit:
    """What all bodies of one file share."""

    program: p.Program
    layout: Layout
    sizes: Sizes
    options: Options
    functions: dict[str, p.Function]
    pure: frozenset[str]
    fallible: frozenset[str]
    recursive: frozenset[str]
    paying: frozenset[str]
    errors: dict[ErrorSite, int] = field(default_factory=dict)
    prints: list[Print] = field(default_factory=list)
    frames: list[str] = field(default_factory=list)
    symbols: list[str] = field(default_factory=list)  # of the kernel, looked up at loading
    regexes: dict[tuple[str, bool], int] = field(default_factory=dict)  # pattern, captures

    @property
    def name(self) -> t.Names:
        return self.layout.names

    def error(self, message: str, span: Span) -> int:
        """The number of an error's site in the manifest."""
        file, line, column = span.location
        site = ErrorSite(message, f"{file}:{line}:{column}")
        return self.errors.setdefault(site, len(self.errors))


@record(frozen=False)
class Body(ABC):
    """One body under way: `body` names it; `fail` is where errors go."""

    unit: Unit
    w: Writer
    body: str
    fail: str = "fail"
    temporaries: list[str] = field(default_factory=list)  # declarations
    buffers: list[str] = field(default_factory=list)  # members of the frame
    labels: int = 0
    names: set[str] = field(default_factory=set)  # of locals, not to be hidden
    uses_fail: bool = False

    def temporary(self, c_type: str, stem: str = "t") -> str:
        number = len(self.temporaries) + 1
        while (found := f"{stem}{number}") in self.names:
            number += 1
        self.names.add(found)
        star = "" if c_type.endswith("*") else " "
        self.temporaries.append(f"{c_type}{star}{found};")
        return found

    def buffer(self, size: int) -> str:
        """A string buffer in the frame."""
        found = f"text_{len(self.buffers)}"
        self.buffers.append(f"char {found}[{size}];")
        return f"f->{found}"

    def label(self, stem: str) -> str:
        self.labels += 1
        return f"{stem}_{self.labels}"

    def placed(self, name: str) -> Placed:
        return self.unit.layout.globals[name]

    def local(self, local: p.Local) -> str:
        c = self.unit.name(local.name)
        return f"f->{c}" if local.type is STRING else c

    def local_size(self, local: p.Local) -> int:
        return self.unit.sizes.get("local", self.body, local.name)

    def raise_if(self, test: str, message: str, span: Span) -> None:
        """An error of the script, found by generated code."""
        site = self.unit.error(message, span)
        self.uses_fail = True
        with self.w.block(f"if (unlikely({test}))"):
            self.w.line(f"sw_error(c, {site}, {t.string(message)});")
            self.w.line(f"goto {self.fail};")

    def raise_error(self, message: str, span: Span) -> None:
        """An error of the script, whatever happens."""
        site = self.unit.error(message, span)
        self.uses_fail = True
        self.w.line(f"sw_error(c, {site}, {t.string(message)});")
        self.w.line(f"goto {self.fail};")

    def check(self, message: str, span: Span) -> None:
        """After a runtime function that may have set an error: give it its place."""
        site = self.unit.error(message, span)
        self.uses_fail = True
        with self.w.block("if (unlikely(c->error))"):
            self.w.line(f"c->error_site = {site};")
            self.w.line(f"goto {self.fail};")

    def propagate(self) -> None:
        """After a script function that may have failed; it has told where."""
        self.uses_fail = True
        self.w.line("if (unlikely(c->error))")
        self.w.line(f"\tgoto {self.fail};")

    @abstractmethod
    def value(self, e: p.Expr) -> C:
        """An expression as C; what cannot nest becomes statements before it."""

    @abstractmethod
    def into(self, e: p.Expr, target: str, size: str = "", padded: bool = False) -> None:
        """A string, written where it is wanted."""

    @abstractmethod
    def stable(self, e: p.Expr, value: C) -> C:
        """A value that what follows does not change."""
