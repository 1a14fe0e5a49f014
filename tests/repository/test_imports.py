# SPDX-License-Identifier: GPL-2.0-or-later
"""No modules import each other in a circle. import-linter's contracts hold the order of the rooms; this holds
each room together.

Imports inside functions and under TYPE_CHECKING count: they hide a circle from the interpreter, not from a reader.
"""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path

import grimp
import pytest


def circle(*packages: str) -> str:
    """Modules of which each imports the next, "a -> b -> a"; empty if there are none."""
    graph = grimp.build_graph(*packages, cache_dir=None)
    imports = {name: graph.find_modules_directly_imported_by(name) for name in graph.modules}
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        found: list[str] = error.args[1]
        return " -> ".join(reversed(found))  # graphlib begins with what is imported
    return ""


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert circle("agent", "compiler", "runtime") == ""


@pytest.mark.parametrize(
    "text",
    [
        "from looped import first\n",
        "def later():\n    from looped.first import x\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import looped.first\n",
    ],
    ids=["at the top", "in a function", "for types only"],
)
def test_a_circle_is_found(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = tmp_path / "looped"
    room.mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    chain = {"__init__": "", "first": "import looped.second\n", "second": "import looped.third\n"}
    for name, content in {**chain, "third": ""}.items():
        (room / f"{name}.py").write_text(content)
    assert circle("looped") == ""
    (room / "third.py").write_text(text)
    names = circle("looped").replace("looped.", "").split(" -> ")
    assert set(pairwise(names)) == {("first", "second"), ("second", "third"), ("third", "first")}
