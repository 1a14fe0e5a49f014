# SPDX-License-Identifier: GPL-2.0-or-later
"""Protocol buffers on the wire, as far as metrics need them: io.prometheus.client, delimited.

    label("cpu", "0")     -> b'\\x0a\\x08\\x0a\\x03cpu\\x12\\x010'    Metric.label
    double(1, 0.5)        -> b'\\x09...'                          a field of 8 bytes after its tag
    counted([1, 300])     -> [9 bytes, 9 bytes]                   varints that are as long as any other

Fields may be in any order, and a varint may be longer than it must be. So every number has as many bytes as
any other, the length of a message is known before its numbers are, and a page is a template (page_cache.py).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from enum import IntEnum
from functools import cache

COUNTED = 9  # bytes: 63 bits
VALUE = b"%b"  # stands for a number in a template
_VARINT, _DOUBLE, _BYTES = 0, 1, 2  # wire types


class MetricType(IntEnum):
    """MetricFamily.type"""

    COUNTER = 0
    GAUGE = 1
    SUMMARY = 2
    UNTYPED = 3
    HISTOGRAM = 4


METRIC = 4  # of MetricFamily; the fields of Metric:
LABEL, GAUGE, COUNTER, SUMMARY, UNTYPED, HISTOGRAM = 1, 2, 3, 4, 5, 7


def varint(number: int) -> bytes:
    """A number that is not negative, in as few bytes as possible."""
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def tag(field: int, wire_type: int) -> bytes:
    return varint(field << 3 | wire_type)


def number(field: int, value: int) -> bytes:
    return tag(field, _VARINT) + varint(value)


def signed(field: int, value: int) -> bytes:
    """A sint32."""
    return number(field, 2 * value if value >= 0 else -2 * value - 1)


def double(field: int, value: float) -> bytes:
    return double_tag(field) + struct.pack("<d", value)


def double_tag(field: int) -> bytes:
    return tag(field, _DOUBLE)


def counted_tag(field: int) -> bytes:
    return tag(field, _VARINT)


def message(field: int, data: bytes, more: int = 0) -> bytes:
    """A field with a length: a message or a text. `more`: bytes that follow it and belong to it."""
    return tag(field, _BYTES) + varint(len(data) + more) + data


def text(field: int, value: str) -> bytes:
    return message(field, value.encode())


def label(name: str, value: str) -> bytes:
    return message(LABEL, text(1, name) + text(2, value))


def timestamp(field: int, ns: int) -> bytes:
    """A google.protobuf.Timestamp. `ns`: since 1970; 0: none."""
    if not ns:
        return b""
    seconds, rest = divmod(ns, 10**9)
    return message(field, number(1, seconds) + number(2, rest))


def counted(values: Sequence[int]) -> list[bytes]:
    """Varints of COUNTED bytes. Numbers below 0, which only a damaged table has, lose their sign."""
    parts, ends = _pieces()
    if max(values, default=0) < 1 << 28 and min(values, default=0) >= 0:
        return [parts[v & 0x3FFF] + ends[v >> 14] for v in values]
    return [_counted(v, parts) for v in values]


def _counted(value: int, parts: list[bytes]) -> bytes:
    pieces = [parts[value >> shift & 0x3FFF] for shift in range(0, 56, 14)]
    return b"".join([*pieces, bytes((value >> 56 & 0x7F,))])


@cache
def _pieces() -> tuple[list[bytes], list[bytes]]:
    """14 bits with more to come, and the same at the end of a number of 28 bits."""
    parts = [bytes((n & 0x7F | 0x80, n >> 7 | 0x80)) for n in range(1 << 14)]
    return parts, [part + b"\x80\x80\x80\x80\0" for part in parts]


def template(data: bytes) -> bytes:
    """Bytes that stand for themselves in a template."""
    return data.replace(b"%", b"%%")


def family(
    name: str, text_: str, type_: MetricType, unit: str, metrics: Iterable[bytes]
) -> list[bytes]:
    """A MetricFamily in parts, its length first. `metrics`: parts of its field METRIC."""
    head = text(1, name) + text(2, text_) + number(3, type_) + (text(5, unit) if unit else b"")
    parts = [head, *metrics]
    return [varint(sum(map(len, parts))) + head, *parts[1:]]
