# SPDX-License-Identifier: GPL-2.0-or-later
"""The labels and sums that only the agent knows, for the agent that follows: a file in the state folder.

    save(Path("/var/lib/stapwatch"), Memory(boot_id(), {4711: "/system.slice/a.service"}, ()))
    load(Path("/var/lib/stapwatch")).paths    -> {4711: "/system.slice/a.service"}

Without it, a counter of a cgroup that has gone would be another series after a restart, and a sum over
elements that have left would begin below its last value, which Prometheus takes for a reset.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from runtime.reader.table_keys import KeyTuple
from runtime.support import whole_file
from runtime.support.boot import boot_id
from runtime.support.record import field, record

_FILE: Final = "labels.json"


@record
class Remains:
    """By series of a table, the words of what elements that have left have counted. `module`: its identity
    and start; `made_of`: how its labels are made."""

    script: str
    table: str
    module: str
    made_of: str
    words: Mapping[KeyTuple, list[int]]


@record
class Memory:
    """`paths`: of cgroups by their numbers. Both are of one boot."""

    paths: Mapping[int, str] = field(default_factory=dict)
    remains: tuple[Remains, ...] = ()


def load(folder: Path) -> Memory:
    """Nothing, if there is no file of this boot."""
    try:
        tree = json.loads((folder / _FILE).read_text())
        if tree["boot"] != boot_id():
            return Memory()
        paths = {int(cgroup): str(path) for cgroup, path in tree["paths"].items()}
        return Memory(paths, tuple(map(_remains, tree["remains"])))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return Memory()


def save(folder: Path, memory: Memory) -> None:
    """A crash leaves the file before it. Raises OSError."""
    tree = {
        "boot": boot_id(),
        "paths": memory.paths,
        "remains": [
            {
                "script": one.script,
                "table": one.table,
                "module": one.module,
                "made_of": one.made_of,
                "words": [[labels, words] for labels, words in one.words.items()],
            }
            for one in memory.remains
        ],
    }
    whole_file.write(folder / _FILE, json.dumps(tree).encode())


def _remains(tree: dict[str, Any]) -> Remains:
    words = {tuple(labels): [int(word) for word in row] for labels, row in tree["words"]}
    return Remains(
        str(tree["script"]), str(tree["table"]), str(tree["module"]), str(tree["made_of"]), words
    )
