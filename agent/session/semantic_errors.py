# SPDX-License-Identifier: GPL-2.0-or-later
"""The errors of pass 2 for programs to read, as SystemTap's --semantic-keep-going writes them.

SEMANTIC_ERRORS: 1
SEMANTIC_ERROR<tab>x.stp<tab>1<tab>15<tab>f<tab>unknown function 'f'
SEMANTIC_ERRORS_END

All errors are found without the option, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from compiler.protocol import Diagnostic
from runtime.support.lazy_regex import pattern

_NAMED = pattern(r"'([^'\s]+)'")  # messages quote what they are about


def catalogue(errors: Sequence[Diagnostic]) -> Iterator[str]:
    """Lines: file, line, column, name and message of each error; `-` where there is none."""
    yield f"SEMANTIC_ERRORS: {len(errors)}"
    for error in errors:
        named = _NAMED.search(error.message)
        columns = (
            error.file or "-",
            str(error.line),
            str(error.column),
            named[1] if named is not None else "-",
            " ".join(error.message.split()),
        )
        yield "\t".join(("SEMANTIC_ERROR", *columns))
    yield "SEMANTIC_ERRORS_END"
