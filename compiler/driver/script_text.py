# SPDX-License-Identifier: GPL-2.0-or-later
"""The meaning of a script's text, without comments and blanks: equal for two texts that mean the same.

    meaning(b"probe begin{}  # starts", ())  == meaning(b"probe begin { }", ())

A change of comments or of blanks is then no change of the module: it goes on, and messages go on to name
the lines of the text that it was compiled from.
"""

from __future__ import annotations

from collections.abc import Sequence

from compiler.frontend.item_tokens import COMPONENT, touches
from compiler.frontend.lexer import Token, scan
from compiler.frontend.point_tokens import blanks_count
from compiler.ir.source import Source, decode, encode


def meaning(text: bytes | str, args: Sequence[str]) -> bytes:
    """The script's tokens, with its arguments pasted in. A text that has invalid tokens stands for itself."""
    whole = decode(text)
    tokens = scan(Source("", whole), args)
    if any(token.kind == "INVALID" for token in tokens):
        return encode(whole)
    parts = []
    last: Token | None = None
    counted = False
    for token, counts in zip(tokens, blanks_count(tokens), strict=True):
        # blanks separate the components of a probe point: `vfs*` is one, and `vfs *` is not
        joined = False
        if counts and counted and last is not None:
            joined = {last.kind, token.kind} <= COMPONENT and touches(last, token)
        parts.append(f"{'+' if joined else ' '}{token.kind} {token.value!r}")
        last, counted = token, counts
    return "\n".join(parts).encode("utf-8", "surrogateescape")
