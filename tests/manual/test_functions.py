# SPDX-License-Identifier: GPL-2.0-or-later
"""stapwatch-functions(7) has every public function and macro of the library, and each is explained."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.session.needless_options import NEEDLESS
from agent.session.unsupported_options import INSTEAD
from compiler.arch import NAMES
from compiler.driver import tapset_index
from compiler.driver.list_probes import _written
from compiler.frontend.preprocessor_conditions import Conditions
from compiler.ir import syntax
from compiler.probes.unsupported import ABSENT, GONE
from compiler.resolve.unsupported_functions import UNSUPPORTED
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
    others = ("MACROS", "FUNCTIONS OF SYSTEMTAP THAT ARE MISSING")
    sections = [name for name in page("stapwatch-functions.7").sections if name not in others]
    shown = page("stapwatch-functions.7").terms(*sections)
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


def test_every_macro_is_there() -> None:
    """The other side is the parser's."""
    parsed = tapset_index.macros(tapset_index.read(), Conditions(kernel_vr="6.1.0", arch=NAMES[0]))
    wanted = {
        f"@{macro.name}" + (f"({', '.join(macro.params)})" if macro.params else "")
        for macro in parsed.values()
        if not macro.name.startswith("_") and "/macros/" in macro.span.source.name
    }
    shown = page("stapwatch-functions.7").terms("MACROS")
    assert len(shown) == len(wanted) and set(shown) == wanted


def test_what_is_missing() -> None:
    found = page("stapwatch-functions.7").terms("FUNCTIONS OF SYSTEMTAP THAT ARE MISSING")
    assert {name for term in found for name in term.split(", ")} == set(UNSUPPORTED)
    found = page("stapwatch-probes.7").terms("WHAT SYSTEMTAP HAS AND STAPWATCH HAS NOT")
    assert {name for term in found for name in term.split(", ")} == {*ABSENT, *GONE}
    found = page("stapwatch-run.1").terms("OPTIONS OF STAP THAT ARE MISSING")
    options = {name for names in INSTEAD for name in names}
    assert {name for term in found for name in term.split(", ")} == options
    found = page("stapwatch-run.1").terms("OPTIONS OF STAP THAT NEED NOTHING")
    options = {name for names in NEEDLESS for name in names}
    assert {name for term in found for name in term.split(", ")} == options
