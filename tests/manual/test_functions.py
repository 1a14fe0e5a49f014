# SPDX-License-Identifier: GPL-2.0-or-later
"""stapwatch-functions(7) has every public function of the library, and each is explained."""

from __future__ import annotations

from pathlib import Path

import pytest

from compiler.driver.list_probes import _written
from compiler.ir import syntax
from manual import functions
from manual.functions import Entry, topics
from tests.compiler.frontend.support import everything
from tests.manual.page import page


def public() -> list[str]:
    """The signatures as the parser reads them; the comments' reader does not parse."""
    return sorted(
        _written(item)
        for script in everything()
        for item in script.items
        if isinstance(item, syntax.Function) and not item.private and not item.name.startswith("_")
    )


def test_every_function_is_there() -> None:
    found = [signature for topic in topics() for e in topic.entries for signature in e.signatures]
    assert sorted(map(typed, found)) == public()
    shown = page("stapwatch-functions.7").terms()
    assert sorted(shown) == sorted(found)


def typed(signature: str) -> str:
    """As a listing has it, where what has no type is `unknown`."""
    name, _, parameters = signature.partition(" (")
    inner = [x if ":" in x else f"{x}:unknown" for x in parameters[:-1].split(", ") if x]
    return f"{name if ':' in name else name + ':unknown'} ({', '.join(inner)})"


def test_every_function_is_explained() -> None:
    for topic in topics():
        assert topic.text.endswith("."), topic.name
        for entry in topic.entries:
            assert entry.text.endswith("."), f"{topic.name}: no comment above {entry.signatures}"


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        (
            "# Hide and show.\nfunction hide () { }\nfunction show:long (a:long, b) {\n\treturn 1\n}\n",
            (Entry(("hide ()", "show:long (a:long, b)"), "Hide and show."),),
        ),
        (
            "# One.\nfunction one () { }\n\nfunction two () { }\n",
            (Entry(("one ()",), "One."), Entry(("two ()",), "")),
        ),
        ("# A helper.\nfunction __help () { }\nfunction one () { }\n", (Entry(("one ()",), ""),)),
        (
            "# A private one.\nprivate function help () { }\n\n# One\n# of two lines.\nfunction one () { }\n",
            (Entry(("one ()",), "One of two lines."),),
        ),
        (
            "# C.\nfunction c () %{\n\n# define X\n\tif (1) {\n\t}\n%}\nfunction d () { }\n",
            (Entry(("c ()", "d ()"), "C."),),
        ),
        (
            "# A.\nfunction a () { }\n# B.\nfunction b () { }\nglobal x\n",
            (Entry(("a ()",), "A."), Entry(("b ()",), "B.")),
        ),
    ],
)
def test_whose_a_comment_is(text: str, entries: tuple[Entry, ...], tmp_path: Path) -> None:
    (tmp_path / "functions").mkdir()
    (tmp_path / "functions/some_file.stp").write_text(
        f"# SPDX-License-Identifier: x\n# All.\n\n{text}"
    )
    assert functions.topics(tmp_path) == [functions.Topic("some file", "All.", entries)]
