# SPDX-License-Identifier: GPL-2.0-or-later
"""Tells where blanks between a script's tokens have a meaning, before anything is expanded.

probe vfs.* { n = a*b }
          ^ a component: `vfs.r*` is one, `vfs.r *` is not.    ^ a product, with blanks or without
"""

from __future__ import annotations

from collections.abc import Sequence

from compiler.frontend.lexer import Token

_NAME_FOLLOWS = frozenset({"DOT", "COMMA", "EQUAL", "ADD_ASSIGN"})


def blanks_count(tokens: Sequence[Token]) -> list[bool]:
    """For each token, whether blanks next to it may count.

    They count between two such tokens: in the names of probe points, and between `%(` and `%)`, whose text
    may become a probe point.
    """
    found = []
    in_points = name_expected = False
    conditionals = parentheses = 0
    last = ""
    for kind, _, _ in tokens:
        if conditionals or kind == "PP_IF":
            conditionals += (kind == "PP_IF") - (kind == "PP_END")
            found.append(True)
            name_expected = False
        elif not in_points:
            in_points = name_expected = kind == "PROBE" and last not in ("ARROW", "DOT")
            parentheses = 0
            found.append(False)
        elif parentheses or kind == "LPAR":
            parentheses += (kind == "LPAR") - (kind == "RPAR")
            name_expected = False
            found.append(False)
        elif kind == "EMBEDDED" or (kind == "LBRACE" and not name_expected):
            in_points = False
            found.append(False)
        else:
            name_expected = kind in _NAME_FOLLOWS or kind == "LBRACE"
            found.append(True)
        last = kind
    return found
