# SPDX-License-Identifier: GPL-2.0-or-later
"""Own scripts in the shapes of those that people have published, and the programs that they look into.

TOPIC.txt has the scripts of a topic. A line begins each, and lines of options may follow:

    //// title of the script
    // args: 5 "two words"          or guru, defines: NAME=VALUE, skip-badvars
    // refused: unknown-probe-point  the slug of our error: stap refuses it, too, or there is a reason
    probe ...

kernel-*.txt are compiled for the kernel of the lab, the others for programs of the same name: server.c, machine.c
(a library, and caller.c, which calls it) and database.cc.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.case_file import CaseFile

FOLDER = Path(__file__).parent
TOPICS = sorted(path.stem for path in FOLDER.glob("*.txt"))
OF_KERNEL = [topic for topic in TOPICS if topic.startswith("kernel-")]
OF_PROGRAMS = [topic for topic in TOPICS if topic not in OF_KERNEL]
_HEAD = re.compile(r"^//// (.*)\n", re.MULTILINE)
_REFUSED = re.compile(r"^// refused: .*\n", re.MULTILINE)


class PublicScript(CaseFile):
    """One script; `name` is "topic/title"."""

    @property
    def title(self) -> str:
        return self.path.name

    @property
    def script(self) -> str:
        return self.text.decode()


def read(topic: str) -> list[PublicScript]:
    """The scripts of a topic, in order."""
    _, *rest = _HEAD.split((FOLDER / f"{topic}.txt").read_text())
    return [
        PublicScript(FOLDER, FOLDER / topic / title, text.encode())
        for title, text in zip(rest[::2], rest[1::2], strict=True)
    ]


def write(topic: str, scripts: Sequence[PublicScript], slugs: Sequence[Sequence[str]]) -> None:
    """A topic's scripts, with the slugs of our errors in each."""
    parts = []
    for script, found in zip(scripts, slugs, strict=True):
        told = f"// refused: {' '.join(found)}\n" if found else ""
        parts.append(f"//// {script.title}\n{told}{_REFUSED.sub('', script.script, count=1)}")
    (FOLDER / f"{topic}.txt").write_text("".join(parts))


def build(root: Path, *options: str, bin: str = "usr/bin", lib: str = "usr/lib") -> None:
    """Build the programs with debug information below a root folder."""
    for folder in (bin, lib):
        (root / folder).mkdir(parents=True, exist_ok=True)
    library = root / lib / "libmachine.so"
    commands: list[list[str | Path]] = [
        [
            "gcc",
            "-fPIC",
            "-shared",
            "-Wl,-soname,libmachine.so",
            FOLDER / "machine.c",
            "-o",
            library,
        ],
        ["gcc", FOLDER / "server.c", "-o", root / bin / "server"],
        ["gcc", FOLDER / "caller.c", library, f"-Wl,-rpath,/{lib}", "-o", root / bin / "caller"],
        ["g++", FOLDER / "database.cc", "-o", root / bin / "database"],
    ]
    for compiler, *rest in commands:
        subprocess.run([compiler, "-O2", "-g", "-w", *options, *rest], check=True, timeout=60)
