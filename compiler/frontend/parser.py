# SPDX-License-Identifier: GPL-2.0-or-later
"""Parses a script: runs the lexer, the preprocessor, the item splitter and the LALR parser.

    parse(b"probe begin { exit() }", "x.stp", conditions=Conditions("6.1.0-13-amd64", "x86_64"))
      ->  Script("x.stp", (Probe(...),), span)

`python -m compiler.frontend.parser --build-table` stores the grammar's table next to this file, so
that a compile does not have to analyse the grammar.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from compiler.frontend import grammar_table
from compiler.frontend.actions import Actions
from compiler.frontend.item_tokens import split_items
from compiler.frontend.lalr import LalrParser
from compiler.frontend.lexer import Token, scan
from compiler.frontend.preprocessor import Macro, preprocess
from compiler.frontend.preprocessor_conditions import Conditions
from compiler.ir.diagnostics import CompileError, Diagnostic, Diagnostics
from compiler.ir.source import Source, Span, decode, outermost
from compiler.ir.syntax import Item, Script

__all__ = ["CompileError", "Conditions", "Macro", "parse", "parse_macros"]

_MAX_DIAGNOSTICS = 50  # a file that is not a script at all would have thousands
_NO_MACROS: Mapping[str, Macro] = MappingProxyType({})


def parse(
    text: bytes | str,
    name: str,
    *,
    conditions: Conditions,
    args: Sequence[str] = (),
    library_macros: Mapping[str, Macro] = _NO_MACROS,
    privileged: bool | None = None,
) -> Script:
    """Returns the syntax tree of a script.

    `args` are the script's own arguments ($1, @1). `library_macros` come from `parse_macros`; the
    script's own definitions hide them. `privileged` allows embedded C; None allows it if
    `conditions.guru_mode` is set. The tapset's scripts are parsed with True.

    Raises CompileError with all diagnostics in source order, at most _MAX_DIAGNOSTICS of them.
    """
    diagnostics = Diagnostics()
    source = Source(name, decode(text))
    tokens, _ = _tokens(source, conditions, args, library_macros, diagnostics)
    items: list[Item] = []
    guru = conditions.guru_mode if privileged is None else privileged
    parser = LalrParser(grammar_table.load(), Actions(diagnostics, guru=guru), diagnostics)
    for item in split_items(tokens, diagnostics):
        items += parser.parse(item) or ()
        if len(diagnostics) > _MAX_DIAGNOSTICS:
            break
    _raise_errors(diagnostics)
    return Script(name, tuple(items), Span(source, 0, len(source.text)))


def parse_macros(
    text: bytes | str,
    name: str,
    *,
    conditions: Conditions,
    library_macros: Mapping[str, Macro] = _NO_MACROS,
) -> dict[str, Macro]:
    """Returns the macros that a `.stpm` file defines, by name.

    Raises CompileError for invalid definitions, and if the file contains anything but macros.
    """
    diagnostics = Diagnostics()
    source = Source(name, decode(text))
    tokens, macros = _tokens(source, conditions, (), library_macros, diagnostics)
    if tokens:
        diagnostics.error(
            "bad-macro",
            "a macro file holds only macros",
            tokens[0].span,
            hint="move functions and probes to a .stp file",
        )
    _raise_errors(diagnostics)
    return macros


def _tokens(
    source: Source,
    conditions: Conditions,
    args: Sequence[str],
    library_macros: Mapping[str, Macro],
    diagnostics: Diagnostics,
) -> tuple[list[Token], dict[str, Macro]]:
    scanned = scan(source, [decode(argument) for argument in args])
    return preprocess(scanned, conditions, library_macros, diagnostics)


def _raise_errors(diagnostics: Diagnostics) -> None:
    if diagnostics.has_errors:
        raise CompileError(sorted(diagnostics, key=_position)[:_MAX_DIAGNOSTICS])


def _position(diagnostic: Diagnostic) -> int:
    """The offset in the script itself, also for a diagnostic inside a macro expansion."""
    return outermost(diagnostic.span).start


def main(argv: Sequence[str] | None = None) -> int:
    import argparse
    import time

    options = argparse.ArgumentParser(
        prog="python -m compiler.frontend.parser", description=__doc__
    )
    options.add_argument(
        "--build-table", action="store_true", required=True, help=f"write {grammar_table.TABLE}"
    )
    options.parse_args(argv)
    start = time.perf_counter()
    table = grammar_table.write()
    seconds = time.perf_counter() - start
    print(f"{grammar_table.TABLE}: {len(table.actions)} states in {seconds:.1f} s")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
