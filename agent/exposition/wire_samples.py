# SPDX-License-Identifier: GPL-2.0-or-later
"""The samples of one element of a table as the protobuf message Metric: its template, and the numbers in it.

    Numbers(family, member, started).template(labels)   -> b'"\\x1a\\n\\x08...\\x1a\\t\\t%b'
    Numbers(family, member, started).arguments(rows)    -> (b'\\0\\0\\0\\0\\0\\0(@', ...)   of a page of rows

`started` (ns since 1970; 0: unknown) is the time at which all elements were zero: Prometheus then knows that
the first value that it sees was counted since. Native histograms have no such time: Prometheus 3.5 does not
survive one that is older than its data.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from functools import lru_cache
from itertools import accumulate, compress, pairwise
from struct import Struct

from agent.config.settings import MetricType
from agent.exposition import wire
from agent.exposition.families import Family, Member
from agent.exposition.native_buckets import NativeBuckets
from agent.exposition.samples import OVERFLOW_LABEL, Window, buckets_of, negative
from agent.exposition.wire_message import Message
from runtime.reader.table_keys import OTHER, KeyPage, text
from runtime.support.escapes import readable

_ZERO_THRESHOLD = 2.0**-128  # only 0 is in the zero bucket; client libraries have the same


class Templates:
    """Templates of elements: their labels, and the samples' own part."""

    def __init__(self, member: Member, samples: WireSamples) -> None:
        self._samples, self._names = samples, member.labels
        self._constant = b"".join(wire.label(n, v) for n, v in member.constant)

    def page(self, keys: KeyPage) -> bytes:
        return b"".join(self.elements(keys))

    def elements(self, keys: KeyPage) -> list[bytes]:
        made, constant = self._samples.template, self._constant
        if keys is OTHER:
            return [made(constant + wire.label(OVERFLOW_LABEL, "true"))]
        label, names = wire.label, self._names
        return [
            made(constant + b"".join([label(n, _text(part)) for n, part in zip(names, key)]))  # noqa: B905
            for key in keys.tuples()
        ]


def _text(part: int | str) -> str:
    return str(part) if isinstance(part, int) else readable(part)


class WireSamples:
    """`value`: the template of a Metric's field, whose numbers take `size` bytes in all."""

    def __init__(self, value: bytes, size: int) -> None:
        self._value, self._value_size = value, size

    def template(self, labels: bytes) -> bytes:
        return wire.template(wire.message(wire.METRIC, labels, self._value_size)) + self._value

    def labels(self, template: bytes) -> bytes:
        """The labels that a template was made with."""
        found = template[: len(template) - len(self._value)].replace(b"%%", b"%")
        at = 1  # of the length
        while found[at] & 0x80:
            at += 1
        return found[at + 1 :]

    def arguments(self, rows: bytes) -> tuple[bytes, ...]:
        raise NotImplementedError

    def fits(self, rows: bytes) -> bool:
        return True

    def shown(self, lines: bytes, row: bytes) -> bytes:
        return lines % self.arguments(row)


class Numbers(WireSamples):
    """Counters and gauges. Negative counters are excluded."""

    def __init__(self, family: Family, member: Member, started: int) -> None:
        self._positive = family.type is MetricType.COUNTER
        value = Message().double(1)
        if self._positive:
            value.fixed(wire.timestamp(3, started))
        field = wire.COUNTER if self._positive else wire.GAUGE
        whole = Message().message(field, value)
        super().__init__(whole.template, whole.size)
        self._doubles = Doubles(member.scale)

    def arguments(self, rows: bytes) -> tuple[bytes, ...]:
        return self._doubles.packed(_words(len(rows) // 8).unpack(rows))

    def fits(self, rows: bytes) -> bool:
        return not (self._positive and negative(rows))

    def shown(self, lines: bytes, row: bytes) -> bytes:
        return b"" if not self.fits(row) else super().shown(lines, row)


class Infos(WireSamples):
    """Strings, whose length is in front of the labels: each element is made for itself."""

    def __init__(self, member: Member) -> None:
        super().__init__(b"", 0)
        self._value = Message().message(wire.GAUGE, Message().fixed(wire.double(1, 1.0))).template

    def template(self, labels: bytes) -> bytes:
        return labels

    def arguments(self, rows: bytes) -> tuple[bytes, ...]:
        raise NotImplementedError

    def fits(self, rows: bytes) -> bool:
        return not rows

    def shown(self, lines: bytes, row: bytes) -> bytes:
        return wire.message(
            wire.METRIC, lines + wire.label("value", readable(text(row))) + self._value
        )


class Summaries(WireSamples):
    """Sum and count of statistics without buckets."""

    def __init__(self, member: Member, started: int) -> None:
        statistic = member.table.statistic
        assert statistic is not None
        self._sum, self._count = statistic.sum, statistic.count
        hist = statistic.histogram
        self._buckets = slice(hist.word, hist.word + hist.buckets) if hist else slice(0)
        self._width = member.table.row_size // 8
        value = Message().counted(1)
        if self._sum is not None:
            value.double(2)
        whole = Message().message(wire.SUMMARY, value.fixed(wire.timestamp(4, started)))
        super().__init__(whole.template, whole.size)
        self._doubles = Doubles(member.scale)

    def arguments(self, rows: bytes) -> tuple[bytes, ...]:
        found = list(_words(self._width).iter_unpack(rows))
        word, buckets = self._count, self._buckets
        counts = wire.counted([sum(r[buckets]) if word is None else r[word] for r in found])
        if (at := self._sum) is None:
            return tuple(counts)
        sums = self._doubles.packed([row[at] for row in found])
        return tuple([part for pair in zip(counts, sums, strict=True) for part in pair])


class Classic(WireSamples):
    """Classic buckets, count and sum. The bucket without a bound is the count."""

    def __init__(self, member: Member, window: Window, started: int) -> None:
        word, last = buckets_of(member).word, len(window.bounds)
        low, high = window.low, max(window.low, window.high)
        self._read = Struct(f"{8 * (word + low)}x{high - low}q{8 * (last - high)}xq").unpack_from
        bounds = window.bounds[low:high]
        # a bucket without any whole number has the bound of the one below it
        shown = [*(a != b for a, b in pairwise(bounds)), True, True]
        self._shown = None if all(shown) else shown
        self._row_size, self._sums = member.table.row_size, Doubles.of_sums(member)
        self.message = Message()
        for upper in Doubles(member.scale).packed(list(compress(bounds, shown))):
            bucket = Message().counted(1).fixed(wire.double_tag(2) + upper)
            self.message.message(3, bucket)
        self.message.counted(1).double(2).fixed(wire.timestamp(15, started))
        whole = Message().message(wire.HISTOGRAM, self.message)
        super().__init__(whole.template, whole.size)

    def arguments(self, rows: bytes) -> tuple[bytes, ...]:
        return tuple([part for row in self.by_row(rows) for part in row])

    def by_row(self, rows: bytes) -> Iterator[list[bytes]]:
        """The arguments of each row."""
        read, shown = self._read, self._shown
        for at, sum_ in zip(
            range(0, len(rows), self._row_size), self._sums.packed_words(rows), strict=True
        ):
            counts = accumulate(read(rows, at))
            found = wire.counted(list(counts if shown is None else compress(counts, shown)))
            found.append(sum_)
            yield found


class Native(WireSamples):
    """Native histograms. `classic`: with classic buckets, too; `doubles`: the rows' counts are doubles.

    A float histogram that has counted nothing is read as one of integers, so it must have no buckets.
    """

    def __init__(
        self, member: Member, window: Window, classic: bool, doubles: bool = False
    ) -> None:
        self._row_size, self._sums = member.table.row_size, Doubles.of_sums(member)
        self._buckets = NativeBuckets(member, window, doubles)
        self._classic = Classic(member, window, 0) if classic else None
        value = Message()
        if self._classic is not None:
            value.inserted(self._classic.message)
        else:
            value.double(2)
        value.fixed(wire.signed(5, self._buckets.schema) + wire.double(6, _ZERO_THRESHOLD))
        self._empty = Message().message(wire.HISTOGRAM, value)
        value.fixed(self._buckets.spans).inserted(self._buckets.message)
        whole = Message().message(wire.HISTOGRAM, value)
        super().__init__(whole.template, whole.size)

    def arguments(self, rows: bytes) -> tuple[bytes, ...]:
        columns = self._buckets.columns(rows)
        if self._classic is None:
            columns.insert(0, self._sums.packed_words(rows))
        else:
            columns[:0] = zip(*self._classic.by_row(rows))  # noqa: B905
        found = [b""] * (len(columns) * len(columns[0]))
        for n, column in enumerate(columns):
            found[n :: len(columns)] = column
        return tuple(found)

    def fits(self, rows: bytes) -> bool:
        return not self._buckets.any_empty(rows)

    def shown(self, lines: bytes, row: bytes) -> bytes:
        if not self._buckets.is_empty(row, 0):
            return lines % self.arguments(row)
        labels = self.labels(lines)
        metric = wire.template(wire.message(wire.METRIC, labels, self._empty.size))
        before = self._classic.arguments(row) if self._classic else self._sums.packed_words(row)
        return (metric + self._empty.template) % before


class Doubles:
    """Scaled integers as doubles, each rounded once. `word` of rows of `width` words; None: always 0."""

    def __init__(self, scale: Decimal, word: int | None = 0, width: int = 1) -> None:
        self._over, self._under = scale.as_integer_ratio()
        self._word, self._width = word, width

    @classmethod
    def of_sums(cls, member: Member) -> Doubles:
        statistic = member.table.statistic
        assert statistic is not None
        return cls(member.scale, statistic.sum, member.table.row_size // 8)

    def packed_words(self, rows: bytes) -> tuple[bytes, ...]:
        """The word of each row."""
        if self._word is None:
            return (bytes(8),) * (len(rows) // 8 // self._width)
        return self.packed(memoryview(rows).cast("q")[self._word :: self._width].tolist())

    def packed(self, values: Sequence[int]) -> tuple[bytes, ...]:
        over, under = self._over, self._under
        scaled: Sequence[float] = values
        if over != 1 or under != 1:
            scaled = [value * over / under for value in values]
        count = len(values)
        return _split(count).unpack(_doubles(count).pack(*scaled))


@lru_cache(maxsize=256)
def _doubles(count: int) -> Struct:
    return Struct(f"<{count}d")


@lru_cache(maxsize=256)
def _split(count: int) -> Struct:
    return Struct("8s" * count)


@lru_cache(maxsize=256)
def _words(count: int) -> Struct:
    return Struct(f"{count}q")
