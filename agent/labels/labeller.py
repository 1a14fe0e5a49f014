# SPDX-License-Identifier: GPL-2.0-or-later
"""The labels of an element by its key.

labeller = Labeller(sources, host.decode, failed)
labeller.labels(("cat", 4711))    -> ("cat", "ssh.service")
labeller.labels(("cat", 4712))    -> None: its element is in no series
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from agent.config.label_settings import Decoder, LabelSettings
from agent.labels.sources import LabelSource
from runtime.reader.table_keys import KeyTuple
from runtime.support.lazy_regex import pattern

_GROUP = pattern(r"\\g<(\w+)>")
Decode: TypeAlias = "Callable[[Decoder, int | str], str | None]"
_MOST: Final = 65_536  # values of a key that are remembered


class Labeller:
    """`failed` is called once for each value that cannot be decoded; its label is then the value."""

    def __init__(
        self, sources: Sequence[LabelSource], decode: Decode, failed: Callable[[Decoder], None]
    ) -> None:
        self._columns = [
            (source.key, None if source.how is None else _Column(source.how, decode, failed))
            for source in sources
        ]

    def labels(self, key: KeyTuple) -> KeyTuple | None:
        found: list[int | str] = []
        for number, column in self._columns:
            text = key[number] if column is None else column.text(key[number])
            if text is None:
                return None
            found.append(text)
        return tuple(found)


class _Column:
    """One label; remembers what it has made of each value."""

    def __init__(
        self, how: LabelSettings, decode: Decode, failed: Callable[[Decoder], None]
    ) -> None:
        self._how, self._decode, self._failed = how, decode, failed
        self._map = dict(how.map)
        self._match = None if how.match is None else re.compile(how.match)
        self._replace = None if how.replace is None else _template(how.replace)
        self._known: dict[int | str, str | None] = {}

    def text(self, value: int | str) -> str | None:
        if value not in self._known:
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[value] = self._made(self._decoded(value))
        return self._known[value]

    def _decoded(self, value: int | str) -> str:
        decoder = self._how.decode
        if decoder is None:
            return str(value)
        found = self._decode(decoder, value)
        if found is None:
            self._failed(decoder)
            return str(value)
        return found

    def _made(self, text: str) -> str | None:
        """Mapped, matched and rewritten; None: it is left out."""
        is_known = text in self._map
        text = self._map.get(text, text)
        if self._match is not None:
            match = self._match.fullmatch(text)
            is_known = match is not None
            if match is not None and self._replace is not None:
                text = self._replace(match)
        if is_known or (not self._map and self._match is None):
            return text
        if self._how.drop_others:
            return None
        return text if self._how.others is None else self._how.others


def _template(text: str) -> Callable[[re.Match[str]], str]:
    """Like `re.Match.expand`, which reads the template again for each match."""
    parts = _GROUP.split(text)
    texts = [part.replace(r"\\", "\\") for part in parts[::2]]
    groups = [int(group) if group.isdigit() else group for group in parts[1::2]]

    def expand(match: re.Match[str]) -> str:
        found = [texts[0]]
        for group, after in zip(groups, texts[1:], strict=True):
            found += (match[group] or "", after)
        return "".join(found)

    return expand
