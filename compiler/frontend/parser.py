# SPDX-License-Identifier: GPL-2.0-or-later
"""Script text to its syntax tree: lexer, preprocessor, arranger, automaton.

    parse(b"probe begin { exit() }", "x.stp", conditions=Conditions("6.1.0-13-amd64", "x86_64"))
      ->  Script("x.stp", (Probe(...),), span)

`python -m compiler.frontend.parser --build-table` stores the grammar's table beside the package, so that
programs start without analysing the grammar.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from compiler.frontend import grammar_table
from compiler.frontend.actions import Builder
from compiler.frontend.item_tokens import arrange
from compiler.frontend.lalr import Automaton
from compiler.frontend.lexer import Token, scan
from compiler.frontend.preprocessor import Macro, preprocess
from compiler.frontend.preprocessor_conditions import Conditions
from compiler.ir.diagnostics import CompileError, Diagnostic, Diagnostics
from compiler.ir.source import Source, Span, decode, outermost
from compiler.ir.syntax import Item, Script

__all__ = ["CompileError", "Conditions", "Macro", "parse", "parse_macros"]

_MOST = 50  # diagnostics; what is no script at all has no end of mistakes
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
    """The syntax tree of a script; raises CompileError with every mistake found, in source order.

    `args` are the script's own arguments ($1, @1). `library_macros` come from `parse_macros`; the
    script's own definitions hide them. `privileged` allows embedded C: None means if
    `conditions.guru_mode`; library scripts pass True.
    """
    faults = Diagnostics()
    source = Source(name, decode(text))
    tokens, _ = _tokens(source, conditions, args, library_macros, faults)
    items: list[Item] = []
    table = grammar_table.load()
    builder = Builder(faults, guru=conditions.guru_mode if privileged is None else privileged)
    automaton = Automaton(table, builder, faults)
    for item in arrange(tokens, faults):
        items += automaton.run(item) or ()
        if len(faults) > _MOST:
            break
    _raise(faults)
    return Script(name, tuple(items), Span(source, 0, len(source.text)))


def parse_macros(
    text: bytes | str,
    name: str,
    *,
    conditions: Conditions,
    library_macros: Mapping[str, Macro] = _NO_MACROS,
) -> dict[str, Macro]:
    """The macros of a `.stpm` file, for `parse`. Raises CompileError, also for anything else that
    the file holds."""
    faults = Diagnostics()
    source = Source(name, decode(text))
    tokens, macros = _tokens(source, conditions, (), library_macros, faults)
    if tokens:
        faults.error(
            "bad-macro",
            "a macro file holds only macros",
            tokens[0].span,
            hint="move functions and probes to a .stp file",
        )
    _raise(faults)
    return macros


def _tokens(
    source: Source,
    conditions: Conditions,
    args: Sequence[str],
    library_macros: Mapping[str, Macro],
    faults: Diagnostics,
) -> tuple[list[Token], dict[str, Macro]]:
    scanned = scan(source, [decode(argument) for argument in args])
    return preprocess(scanned, conditions, library_macros, faults)


def _raise(faults: Diagnostics) -> None:
    if faults.has_errors:
        raise CompileError(sorted(faults, key=_place)[:_MOST])


def _place(diagnostic: Diagnostic) -> int:
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
