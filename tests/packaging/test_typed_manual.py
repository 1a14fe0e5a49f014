# SPDX-License-Identifier: GPL-2.0-or-later
"""A reader of docs/manual/ types every command of its chapters, in order, in a fresh guest.

The files that chapters show with a path are written, and what they show below commands is compared. Each chapter
goes on where the one before it has ended.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from lab import Guest, Image, install_app
from tests import PROJECT
from tests.manual import chapters
from tests.packaging.administration import warm
from tests.packaging.packages import build

FIRST = ("install", "first-probe")
MORE = ("configuration", "metrics", "dashboards", "rollouts", "safety", "troubleshooting")
ETC = "/etc/stapwatch"
EXAMPLES = PROJECT / "packaging/probes.d"
# What a reader has already: files by chapter.
GIVEN = {
    "install": {f"{ETC}/conf.d/lab.yaml": install_app.SLOW_MACHINE},
    "configuration": {f"{ETC}/server.key": "a key"},
    "rollouts": {
        f"{ETC}/probes.d/{name}.stp": (EXAMPLES / f"{name}.stp").read_text()
        for name in ("block_latency", "runqueue_latency", "tcp", "vfs_latency")
    },
}


@dataclass
class Reader:
    """Somebody at a guest's shell. `wrong`: what did not do as it is written."""

    guest: Guest
    image: Image
    wrong: list[str] = field(default_factory=list)
    has_read: set[str] = field(default_factory=set)

    def read(self, chapter: str) -> None:
        self.has_read.add(chapter)
        for path, text in GIVEN.get(chapter, {}).items():
            self.guest.push_text(text, path)
        printed = ""
        for block in chapters.of(chapters.FOLDER / f"{chapter}.md"):
            if block.path:
                self.guest.push_text(block.text, block.path)
            elif block.language == "sh":
                printed = "".join(map(self.type, block.text.splitlines()))
            elif block.language == "text" and not chapters.shows(printed, block.text):
                self.wrong.append(f"{block.place} does not show\n{printed}")

    def type(self, line: str) -> str:
        """What is printed. Nobody answers questions."""
        done = self.guest.run(["bash", "-o", "pipefail", "-c", line], timeout=300)
        printed = done.stdout + done.stderr
        print(f"# {line}\n{printed}")
        if done.status != 0:
            self.wrong.append(f"{line}: status {done.status}\n{printed}")
        if line.startswith("apt install ./stapwatch_"):
            warm(self.guest, self.image)
        return printed


@pytest.fixture(scope="module")
def reader(
    guest: Guest, image: Image, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Reader]:
    deb = build(tmp_path_factory.mktemp("deb") / "this").deb("stapwatch").path
    guest.push(deb, f"/root/{deb.name}")
    yield Reader(guest, image)


@pytest.mark.parametrize(
    "chapter", [*FIRST, *(pytest.param(c, marks=pytest.mark.long) for c in MORE)]
)
def test_what_is_written_works(reader: Reader, chapter: str) -> None:
    unread = [c for c in FIRST if c not in reader.has_read and chapter in MORE]
    for each in (*unread, chapter):
        reader.wrong.clear()
        reader.read(each)
    assert reader.wrong == [], "\n".join(reader.wrong)


def test_every_chapter_with_commands_is_typed() -> None:
    """docs/fleet.md is no chapter: tests/system/test_fleet.py types it, on several machines."""
    with_commands = {block.place.partition(".")[0] for block in chapters.blocks("sh")}
    assert with_commands - {"fleet"} <= {*FIRST, *MORE}


@pytest.mark.parametrize(
    ("printed", "expected", "is_shown"),
    [
        ("a\nb\nc\n", "b\nc\n", True),
        ("a\nb\nc\n", "a\n...\nc\n", True),
        ('n["bash"] = 12\n', 'n["..."] = ...\n', True),
        ("a\nbb\n", "b\n", False),
        ("c\nb\n", "b\nc\n", False),
    ],
)
def test_what_is_shown(printed: str, expected: str, is_shown: bool) -> None:
    assert chapters.shows(printed, expected) is is_shown
