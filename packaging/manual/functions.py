# SPDX-License-Identifier: GPL-2.0-or-later
"""The library's functions with their documentation, from the comments of compiler/tapset.

    # Hide and show the cursor.
    function ansi_cursor_hide () { print("\\033[?25l") }
    function ansi_cursor_show () { print("\\033[?25h") }
      -> Entry(["ansi_cursor_hide ()", "ansi_cursor_show ()"], "Hide and show the cursor.")

A comment belongs to the functions below it up to the next empty line. A comment above a helper, whose name
begins with `_`, is the helper's and not that of public functions behind it. The first comment of a file is
about all of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from manual.scd import bold, definition, prose
from runtime.support.record import record

TAPSET = Path(__file__).parents[2] / "compiler" / "tapset"
_FUNCTION = re.compile(r"(private )?function (\w+)(:\w+)? ?\(([^)]*)\)")
_SPDX = "# SPDX-License-Identifier"


@record
class Entry:
    """Functions that one comment explains; "" if there is none."""

    signatures: tuple[str, ...]
    text: str


@record
class Topic:
    """A file of the library, with the comment at its start."""

    name: str
    text: str
    entries: tuple[Entry, ...]


def topics(tapset: Path = TAPSET) -> list[Topic]:
    """The files that have public functions: functions/ first, then the other folders by name."""
    files = sorted(tapset.rglob("*.stp"), key=lambda path: (path.parent.name != "functions", path))
    found = (_topic(path) for path in files)
    return [topic for topic in found if topic.entries]


def render() -> str:
    """The body of stapwatch-functions(7)."""
    return "\n".join(map(_section, topics()))


def _section(topic: Topic) -> str:
    entries = "\n".join(
        definition("\n".join(map(_term, entry.signatures)), prose(entry.text))
        for entry in topic.entries
    )
    return f"# {topic.name.upper()}\n\n{prose(topic.text)}\n\n{entries}"


def _term(signature: str) -> str:
    name = re.match(r"\w+", signature)
    assert name is not None
    return bold(name[0]) + prose(signature[name.end() :])


def _topic(path: Path) -> Topic:
    text = path.read_text()
    lines = text.partition("\n\n")[2].splitlines()
    name = path.stem.replace("_", " ")
    if path.parent.name != "functions":
        name = f"{name} ({path.parent.name})"
    return Topic(name, joined_comment(text), tuple(_entries(lines)))


def joined_comment(text: str) -> str:
    """The comment at the start of a file, without its licence."""
    head = text.partition("\n\n")[0].splitlines()
    return joined([line for line in head if not line.startswith(_SPDX)])


def _entries(lines: list[str]) -> Iterator[Entry]:
    """The public functions, in groups that begin with a comment or behind an empty line."""
    comment: list[str] = []
    signatures: list[str] = []
    text = ""
    for line in _outside_of_bodies(lines):
        if line.startswith("#"):
            comment.append(line)
            continue
        if comment or not line:
            if signatures:
                yield Entry(tuple(signatures), text)
            signatures, text = [], joined(comment)
            comment = []
        declared = _FUNCTION.match(line)
        if declared is None:
            continue
        if declared[1] or declared[2].startswith("_"):
            text = text if signatures else ""  # the comment was the helper's
        else:
            signatures.append(_signature(declared))
    if signatures:
        yield Entry(tuple(signatures), text)


def _outside_of_bodies(lines: list[str]) -> Iterator[str]:
    """The lines outside of bodies. A body ends with the first line that begins with its bracket."""
    inside = False
    for line in lines:
        if inside:
            inside = not line.startswith(("}", "%}"))
            continue
        yield line
        inside = line.endswith("{") or ("%{" in line and "%}" not in line)
    yield ""


def _signature(declared: re.Match[str]) -> str:
    return f"{declared[2]}{declared[3] or ''} ({declared[4]})"


def joined(comment: list[str]) -> str:
    """Lines of a comment as one text."""
    return " ".join(line.lstrip("#").strip() for line in comment)
