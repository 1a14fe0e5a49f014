# SPDX-License-Identifier: GPL-2.0-or-later
"""YAML as a tree in which every node knows its place, so that each complaint can show where.

    "listen: [a]" -> Mapping({"listen": Entry(Place(f, 1, 1), Sequence([Scalar("a", "a", ...)]))})

Plain `yaml.safe_load` forgets lines and lets a second `key:` silently replace the first one.
"""

from __future__ import annotations

from collections.abc import Mapping as AbcMapping
from pathlib import Path
from typing import Any

import yaml
from yaml.reader import ReaderError

from runtime.support.record import record

DEEPEST = 32


@record(order=True)
class Place:
    """File, line and column, both from 1; line 0: the file as a whole."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


@record
class Mistake:
    """One thing wrong in the configuration; `hint` says what to write instead."""

    place: Place
    message: str
    hint: str = ""

    def __str__(self) -> str:
        hint = f"; {self.hint}" if self.hint else ""
        return f"config error: {self.place}: {self.message}{hint}"


@record
class Scalar:
    """`value` as YAML 1.1 types it, `text` as written (exact decimals are read from the text)."""

    value: str | int | float | bool | None
    text: str
    place: Place


@record
class Sequence:
    items: tuple[Node, ...]
    place: Place


@record
class Entry:
    place: Place  # of the key
    node: Node


@record
class Mapping:
    entries: AbcMapping[str, Entry]
    place: Place


Node = Scalar | Sequence | Mapping


def parse(text: str, file: str, mistakes: list[Mistake]) -> Mapping | None:
    """Read one YAML file; what is wrong goes to `mistakes`. None: empty or not readable as a mapping."""
    try:
        node = _read(text, file, mistakes)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(file, mark.line + 1, mark.column + 1) if mark else Place(file)
        mistakes.append(Mistake(place, f"not valid YAML: {error.problem or error.context}"))
        return None
    except ReaderError as error:
        before = text[: error.position]
        place = Place(file, before.count("\n") + 1, len(before) - before.rfind("\n"))
        mistakes.append(Mistake(place, f"not valid YAML: control character {error.character:#04x}"))
        return None
    except RecursionError:
        mistakes.append(Mistake(Place(file), "nested too deep"))
        return None
    match node:
        case Mapping():
            return node
        case None | Scalar(value=None):
            return None
        case _:
            mistakes.append(Mistake(node.place, "expected 'key: value' lines at the top"))
            return None


def _read(text: str, file: str, mistakes: list[Mistake]) -> Node | None:
    loader = yaml.SafeLoader(text)
    try:
        root = loader.get_single_node()
        return None if root is None else _Converter(loader, file, mistakes, {}, []).convert(root)
    finally:
        loader.dispose()


def read(path: Path, mistakes: list[Mistake]) -> Mapping | None:
    """Like `parse`, from a file; a file that cannot be read is a mistake too."""
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        mistakes.append(Mistake(Place(str(path)), f"cannot be read: {error.strerror}"))
        return None
    except UnicodeDecodeError as error:
        mistakes.append(Mistake(Place(str(path)), f"not UTF-8 at byte {error.start}"))
        return None
    return parse(text, str(path), mistakes)


def merge(below: Mapping, above: Mapping) -> Mapping:
    """Lay one mapping over another: mappings are merged, all else of `above` wins."""
    entries = dict(below.entries)
    for key, entry in above.entries.items():
        old = entries.get(key)
        if old and isinstance(old.node, Mapping) and isinstance(entry.node, Mapping):
            entries[key] = Entry(entry.place, merge(old.node, entry.node))
        else:
            entries[key] = entry
    return Mapping(entries, above.place)


@record(frozen=False)
class _Converter:
    """From PyYAML's nodes to ours; `done` lets an anchor used often be converted once."""

    loader: Any
    file: str
    mistakes: list[Mistake]
    done: dict[int, Node]
    open: list[yaml.Node]

    def convert(self, node: yaml.Node) -> Node:
        place = self._place(node)
        if len(self.open) > DEEPEST or any(node is outer for outer in self.open):
            self.mistakes.append(Mistake(place, "nested too deep"))
            return Scalar(None, "", place)
        if id(node) not in self.done:
            self.open.append(node)
            self.done[id(node)] = self._convert(node, place)
            self.open.pop()
        return self.done[id(node)]

    def _place(self, node: yaml.Node) -> Place:
        return Place(self.file, node.start_mark.line + 1, node.start_mark.column + 1)

    def _convert(self, node: yaml.Node, place: Place) -> Node:
        if isinstance(node, yaml.ScalarNode):
            try:
                value = self.loader.construct_object(node)
            except (yaml.YAMLError, ValueError):  # a date that is none, an unknown tag
                value = node.value
            if not isinstance(value, str | int | float | bool | None):
                value = node.value
            return Scalar(value, node.value, place)
        if isinstance(node, yaml.SequenceNode):
            return Sequence(tuple(self.convert(item) for item in node.value), place)
        entries: dict[str, Entry] = {}
        for key_node, value_node in node.value:
            at = self._place(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                self.mistakes.append(Mistake(at, "a key must be plain text"))
            elif (key := key_node.value) in entries:
                before = f"it is already at {entries[key].place}"
                self.mistakes.append(Mistake(at, f"duplicate key '{key}'", before))
            else:
                entries[key] = Entry(at, self.convert(value_node))
        return Mapping(entries, place)
