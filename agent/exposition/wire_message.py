# SPDX-License-Identifier: GPL-2.0-or-later
"""A message of protocol buffers as a template.

value = Message().double(1)
value.template                 -> b"\\x09%b"     filled with 8 bytes
value.size                     -> 9
"""

from __future__ import annotations

from agent.exposition import wire


class Message:
    """A message as a template, with the bytes that it has once its numbers are filled in."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self.size = 0

    def fixed(self, data: bytes) -> Message:
        self._parts.append(wire.template(data))
        self.size += len(data)
        return self

    def filled(self, tag: bytes, size: int) -> Message:
        """A tag, and that many bytes in place of VALUE."""
        self._parts.append(wire.template(tag) + wire.VALUE)
        self.size += len(tag) + size
        return self

    def double(self, field: int) -> Message:
        return self.filled(wire.double_tag(field), 8)

    def counted(self, field: int) -> Message:
        return self.filled(wire.counted_tag(field), wire.COUNTED)

    def inserted(self, other: Message) -> Message:
        """The fields of another one."""
        self._parts.append(other.template)
        self.size += other.size
        return self

    def message(self, field: int, inner: Message) -> Message:
        return self.fixed(wire.message(field, b"", inner.size)).inserted(inner)

    @property
    def template(self) -> bytes:
        return b"".join(self._parts)
