# SPDX-License-Identifier: GPL-2.0-or-later
"""YAML as a tree in which every node has its position, for diagnostics.

    "listen: [a]" -> Mapping({"listen": Entry(Position(f, 1, 1), Sequence([Scalar("a", "a", ...)]))})

`yaml.safe_load` drops positions, and lets a second `key:` silently replace the first one.
"""

from __future__ import annotations

import codecs
from collections.abc import Mapping as AbcMapping
from pathlib import Path
from typing import Any

import yaml
from yaml.reader import ReaderError

from agent.config import file_trust
from runtime.support import bounded_file
from runtime.support.record import record

DEEPEST = 32
MOST_VALUES = 200_000  # of all files together, each alias counted as what it stands for


@record(order=True)
class Position:
    """File, line and column, counted from 1; line 0: the whole file."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


@record
class ConfigDiagnostic:
    """One error in the configuration; `hint` says what to write instead."""

    position: Position
    message: str
    hint: str = ""

    def __str__(self) -> str:
        hint = f"; {self.hint}" if self.hint else ""
        return f"config error: {self.position}: {self.message}{hint}"


@record
class Scalar:
    """`value` as YAML 1.1 types it, `text` as written (exact decimals are read from the text)."""

    value: str | int | float | bool | None
    text: str
    position: Position


@record
class Sequence:
    items: tuple[Node, ...]
    position: Position


@record
class Entry:
    position: Position  # of the key
    node: Node


@record
class Mapping:
    entries: AbcMapping[str, Entry]
    position: Position


Node = Scalar | Sequence | Mapping


def parse(text: str, file: str, diagnostics: list[ConfigDiagnostic]) -> Mapping | None:
    """Parse one YAML file; errors are added to `diagnostics`. None if it is empty or not a mapping."""
    try:
        node = _read(text, file, diagnostics)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        position = Position(file, mark.line + 1, mark.column + 1) if mark else Position(file)
        diagnostics.append(
            ConfigDiagnostic(position, f"not valid YAML: {error.problem or error.context}")
        )
        return None
    except ReaderError as error:
        before = text[: error.position]
        position = Position(file, before.count("\n") + 1, len(before) - before.rfind("\n"))
        diagnostics.append(
            ConfigDiagnostic(position, f"not valid YAML: control character {error.character:#04x}")
        )
        return None
    except RecursionError:
        diagnostics.append(ConfigDiagnostic(Position(file), "nested too deep"))
        return None
    match node:
        case Mapping():
            return node
        case None | Scalar(value=None):
            return None
        case _:
            diagnostics.append(
                ConfigDiagnostic(node.position, "expected 'key: value' lines at the top")
            )
            return None


def _read(text: str, file: str, diagnostics: list[ConfigDiagnostic]) -> Node | None:
    loader = yaml.SafeLoader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            return None
        if (bomb := _bomb(root)) is not None:
            diagnostics.append(ConfigDiagnostic(_position(bomb, file), _TOO_MANY))
            return None
        return _Converter(loader, file, diagnostics, {}, []).convert(root)
    finally:
        loader.dispose()


_TOO_MANY = f"more than {MOST_VALUES:,} values, counting each alias as what it stands for"


def _bomb(root: yaml.Node) -> yaml.Node | None:
    """The first inner node that is too large once its aliases are replaced by what they stand for, or None.

    A node that contains itself is found later, by its depth.
    """
    sizes: dict[int, int] = {}
    stack = [(root, False)]
    while stack:
        node, is_counted = stack.pop()
        inner = _inner(node)
        if is_counted:
            sizes[id(node)] = size = 1 + sum(sizes[id(child)] for child in inner)
            if size > MOST_VALUES:
                return node
        elif id(node) not in sizes:
            sizes[id(node)] = 1
            stack.append((node, True))
            stack += [(child, False) for child in inner]
    return None


def _inner(node: yaml.Node) -> list[yaml.Node]:
    match node:
        case yaml.MappingNode():
            return [part for pair in node.value for part in pair]
        case yaml.SequenceNode():
            return list(node.value)
        case _:
            return []


def size(node: Node) -> int:
    """How many values a tree has, each alias counted as what it stands for: `merge` takes as many steps."""
    sizes: dict[int, int] = {}

    def count(inner: Node) -> int:
        if id(inner) not in sizes:
            match inner:
                case Mapping():
                    sizes[id(inner)] = 1 + sum(1 + count(e.node) for e in inner.entries.values())
                case Sequence():
                    sizes[id(inner)] = 1 + sum(map(count, inner.items))
                case Scalar():
                    return 1
        return sizes[id(inner)]

    return count(node)


def _position(node: yaml.Node, file: str) -> Position:
    return Position(file, node.start_mark.line + 1, node.start_mark.column + 1)


def read(path: Path, diagnostics: list[ConfigDiagnostic]) -> str | None:
    """The text of a file. One that cannot be read, or is no text, is an error; the result is then None."""
    try:
        data = bounded_file.read(path)
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        why = _MARKS.get(data[:2]) or f"not UTF-8 at byte {error.start}"
    except OSError as error:
        why = f"cannot be read: {file_trust.unreadable(path, error)}"
    diagnostics.append(ConfigDiagnostic(Position(str(path)), why))
    return None


_MARK = "\ufeff"
_MARKS = {
    mark: f"it starts with the byte-order mark of UTF-16 ({mark.hex(' ')}): save it as UTF-8"
    for mark in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
}


def merge(below: Mapping, above: Mapping) -> Mapping:
    """Merge two mappings recursively; other values of `above` replace those of `below`."""
    entries = dict(below.entries)
    for key, entry in above.entries.items():
        old = entries.get(key)
        if old and isinstance(old.node, Mapping) and isinstance(entry.node, Mapping):
            entries[key] = Entry(entry.position, merge(old.node, entry.node))
        else:
            entries[key] = entry
    return Mapping(entries, above.position)


@record(frozen=False)
class _Converter:
    """Converts PyYAML's nodes to ours; `done` caches nodes that anchors share."""

    loader: Any
    file: str
    diagnostics: list[ConfigDiagnostic]
    done: dict[int, Node]
    open: list[yaml.Node]

    def convert(self, node: yaml.Node) -> Node:
        position = _position(node, self.file)
        if len(self.open) > DEEPEST or any(node is outer for outer in self.open):
            self.diagnostics.append(ConfigDiagnostic(position, "nested too deep"))
            return Scalar(None, "", position)
        if id(node) not in self.done:
            self.open.append(node)
            self.done[id(node)] = self._convert(node, position)
            self.open.pop()
        return self.done[id(node)]

    def _convert(self, node: yaml.Node, position: Position) -> Node:
        if isinstance(node, yaml.ScalarNode):
            try:
                value = self.loader.construct_object(node)
            except (yaml.YAMLError, ValueError):  # an invalid date, an unknown tag
                value = node.value
            if not isinstance(value, str | int | float | bool | None):
                value = node.value
            return Scalar(value, node.value, position)
        if isinstance(node, yaml.SequenceNode):
            return Sequence(tuple(self.convert(item) for item in node.value), position)
        entries: dict[str, Entry] = {}
        for key_node, value_node in node.value:
            at = _position(key_node, self.file)
            if not isinstance(key_node, yaml.ScalarNode):
                self.diagnostics.append(ConfigDiagnostic(at, "a key must be plain text"))
            elif _MARK in (key := key_node.value):
                message = "a byte-order mark (U+FEFF) is in the key"
                self.diagnostics.append(ConfigDiagnostic(at, message, "remove it"))
            elif key in entries:
                before = f"it is already at {entries[key].position}"
                self.diagnostics.append(ConfigDiagnostic(at, f"duplicate key '{key}'", before))
            else:
                entries[key] = Entry(at, self.convert(value_node))
        return Mapping(entries, position)
