# SPDX-License-Identifier: GPL-2.0-or-later
"""Flame graphs: what is drawn where, and names that are no XML."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from agent.session.flame_graph import svg

SVG = "{http://www.w3.org/2000/svg}"


def bars(text: str) -> dict[str, tuple[float, float, float]]:
    """Tooltip to x, width and y."""
    found = {}
    for group in ET.fromstring(text).iter(f"{SVG}g"):
        title, rect = group.find(f"{SVG}title"), group.find(f"{SVG}rect")
        assert title is not None and title.text is not None and rect is not None
        found[title.text] = tuple(float(rect.attrib[name]) for name in ("x", "width", "y"))
    return found  # type: ignore[return-value]


def test_bars() -> None:
    stacks = {("main", "b"): 30, ("main", "a"): 60, ("main",): 10}
    text = svg(stacks, "x.stp")
    found = bars(text)
    assert set(found) == {
        "all (100, 100.00 %)",
        "main (100, 100.00 %)",
        "a (60, 60.00 %)",
        "b (30, 30.00 %)",
    }
    x, width, y = found["a (60, 60.00 %)"]
    assert (x, width) == (10, 0.6 * 1180)
    assert found["b (30, 30.00 %)"] == (x + width, 0.3 * 1180, y)
    assert found["main (100, 100.00 %)"][2] == y + 17
    assert found["all (100, 100.00 %)"][2] == y + 34
    assert text == svg(dict(reversed(stacks.items())), "x.stp")
    assert "<script" not in text


@pytest.mark.parametrize(
    "name", ["</title><script>x</script>", "a\"b'&amp;", "\x00\x1b[2J\udcff\ufffe", "operator<<"]
)
def test_hostile_names(name: str) -> None:
    text = svg({(name,): 1}, name)
    text.encode()
    root = ET.fromstring(text)
    assert {element.tag for element in root.iter()} == {
        f"{SVG}{tag}" for tag in ("svg", "rect", "text", "g", "title")
    }
    shown = "".join(c if c.isprintable() else "?" for c in name)
    assert f"{shown} (1, 100.00 %)" in bars(text)


def test_narrow_and_deep_ones() -> None:
    """Names are cut to their bars, and bars that nobody can see are left out."""
    found = svg({("wide",): 1_000_000, ("narrow",): 20_000, ("invisible",): 1}, "x")
    assert "invisible" not in found
    assert re.search(r"<title>narrow \(20,000, 1\.96 %\)</title><rect [^>]*/></g>", found)
    deep = bars(svg({("f",) * 5000: 1}, "x"))
    assert len(deep) == 2  # bars of one name and weight have one tooltip


def test_nothing() -> None:
    assert bars(svg({}, "x")) == {}
