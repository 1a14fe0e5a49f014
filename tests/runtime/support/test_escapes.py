# SPDX-License-Identifier: GPL-2.0-or-later
"""Escapes: what differs stays different, and what needs no escape stays as it is."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runtime.support.escapes import printable, readable

# Pieces of escapes, so that strings that look like each other's escapes are found soon.
PIECES = st.sampled_from(
    ["\\", "x", "u", "5c", "ff", "0a", "0", "dcff", "\n", "\r", "\x85", "\udcff"]
)
TEXTS = st.text(max_size=6) | st.lists(PIECES, max_size=6).map("".join) | st.text("\ud800\\ud8")


@pytest.mark.parametrize("escape", [readable, printable])
@given(one=TEXTS, other=TEXTS)
@example(one="w\udcff", other=r"w\xff")
@example(one=r"w\xff", other=r"w\x5cxff")
@example(one="\n", other=r"\x0a")
def test_distinct_texts_stay_distinct(escape: Callable[[str], str], one: str, other: str) -> None:
    assert (escape(one) == escape(other)) == (one == other)
    escape(one).encode()


@given(st.lists(TEXTS, min_size=2, max_size=9, unique=True))
def test_parts_of_a_line_are_escaped_like_the_line(parts: list[str]) -> None:
    """No escape depends on what stands before it."""
    whole = "".join(parts)
    assert printable(whole).endswith(printable(parts[-1]))


@given(TEXTS)
def test_no_control_character_is_left(text: str) -> None:
    shown = printable(text)
    assert not [c for c in shown if unicodedata.category(c) in ("Cc", "Zl", "Zp") and c != "\t"]
    assert len(shown.splitlines()) <= 1


@pytest.mark.parametrize(
    "text", ["", "sshd", r"dev-disk-by\x2duuid.device", r"C:\new\table", "grün", "\ufffd", "a\tb"]
)
def test_usual_names_stay_as_they_are(text: str) -> None:
    assert readable(text) == printable(text) == text
