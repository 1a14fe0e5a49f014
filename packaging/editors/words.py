# SPDX-License-Identifier: GPL-2.0-or-later
"""The words that editors show in colours, in groups.

groups()["declaration"] -> ["function", "global", "private", "probe"]
"""

from __future__ import annotations

import re

from compiler.frontend.lexer import AT_KINDS, KEYWORDS, PRINT_KINDS
from compiler.probes.forms import FORMS
from manual.functions import topics
from manual.points import library_aliases

# Keywords by the roles that editors have colours for; a test refuses a keyword without a role.
ROLES = {
    "declaration": ("probe", "global", "function", "private"),
    "conditional": ("if", "else"),
    "repeat": ("for", "foreach", "while", "in", "limit"),
    "exception": ("try", "catch"),
    "statement": ("return", "delete", "break", "continue", "next"),
    "type": tuple(word for word, kind in KEYWORDS.items() if kind == "TYPE"),
}


def groups() -> dict[str, list[str]]:
    """Those of ROLES, and `print`, `library`, `at` (without the @), and `family`: how probe points begin."""
    aliases = (name for names in library_aliases().values() for name in names)
    families = {re.split(r"[.(]", name)[0] for name in (*FORMS, *aliases, "syscall", "nd_syscall")}
    signatures = (s for topic in topics() for entry in topic.entries for s in entry.signatures)
    library = {re.split(r"[: ]", signature)[0] for signature in signatures}
    others = {
        "print": set(PRINT_KINDS),
        "library": library - families,
        "at": set(AT_KINDS),
        "family": families,
    }
    return {name: sorted(words) for name, words in {**ROLES, **others}.items()}
