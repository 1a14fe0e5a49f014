# SPDX-License-Identifier: GPL-2.0-or-later
"""Shell patterns for names, as regular expressions that can be part of a larger one.

    glob_regex("vfs_*[!v]") -> r"vfs_\\S*[^v\\s]"

The result of fnmatch.translate is anchored, and its `*` matches across lines, so it cannot be embedded.
"""

from __future__ import annotations

import re


def is_glob(text: str) -> bool:
    """Whether a name contains a wildcard."""
    return any(char in text for char in "*?[")


def glob_regex(pattern: str) -> str:
    """Translates `*`, `?`, `[abc]`, `[a-z]` and `[!abc]`; an unclosed bracket stands for itself."""
    out: list[str] = []
    at = 0
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if char == "*":
            out.append(r"\S*")
        elif char == "?":
            out.append(r"\S")
        elif char == "[" and (end := _class_end(pattern, at)) >= 0:
            out.append(_class(pattern[at:end]))
            at = end + 1
        else:
            out.append(re.escape(char))
    return "".join(out)


def function_regex(pattern: str) -> str:
    """The same for functions' names. Of scopes the last ones are enough (`class::f`), unless the pattern
    begins with `::`; and names of C++ may have blanks in them."""
    body = glob_regex(pattern.removeprefix("::")).replace(r"\S", ".")
    return f"(?:.*::)?{body}" if pattern.find("::") > 0 else body


def _class_end(pattern: str, at: int) -> int:
    """The index of the `]` that closes the class, or -1; a `]` at its start is a member."""
    if pattern[at : at + 1] in ("!", "^"):
        at += 1
    return pattern.find("]", at + 1)


def _class(body: str) -> str:
    is_negated = body[0] in "!^"
    out: list[str] = []
    at = int(is_negated)
    while at < len(body):
        if body[at + 1 : at + 2] == "-" and at + 2 < len(body):
            # a reversed range is empty, as in the shell
            if body[at] <= body[at + 2]:
                out.append(f"{_member(body[at])}-{_member(body[at + 2])}")
            at += 3
        else:
            out.append(_member(body[at]))
            at += 1
    if is_negated:
        return rf"[^{''.join(out)}\s]"
    return f"[{''.join(out)}]" if out else "(?!)"


def _member(char: str) -> str:
    return char if char.isalnum() or char == "_" else f"\\{char}"
