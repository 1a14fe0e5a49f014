# SPDX-License-Identifier: GPL-2.0-or-later
"""Images of modules, built by hand as the kernel side maps them.

plan = Plan(lanes=2)
reads = plan.array("reads", {"execname": 16}, capacity=8)
image = plan.image()
image.slot(reads, 0, 2, ("sshd",)); image.row(reads, 0, 0, 17)
Image(image.data)
"""

import struct

from runtime.abi import structs
from runtime.abi.manifest import (
    Argument,
    ErrorSite,
    Histogram,
    Key,
    Manifest,
    Print,
    Probe,
    Slots,
    Statistic,
    Storage,
    Table,
    ValueType,
)
from runtime.support.record import asdict, replace

PAGE = 4096
HERE = structs.Sizes(  # of this release
    structs.HEADER.size,
    structs.PROBE_COUNTS.size,
    structs.PROBE_STATUS.size,
    structs.LANE_COUNTS.size,
    structs.EVENT.size,
    structs.START.size,
)


def packed(sizes: structs.Sizes) -> bytes:
    return structs.SIZES.pack(*asdict(sizes).values())


def page_up(size: int) -> int:
    return (size + PAGE - 1) // PAGE * PAGE


class Plan:
    """Lays out tables one after the other."""

    def __init__(self, lanes: int, probes: int = 2) -> None:
        self.lanes = lanes
        self.tables: list[Table] = []
        self.prints: tuple[Print, ...] = ()
        self.errors: tuple[ErrorSite, ...] = ()
        self.probes = tuple(
            Probe(f'kernel.function("f{n}")', 'kernel.function("f*")', "ftrace", f"x.stp:{n}:1")
            for n in range(probes)
        )
        self.lane_counts = probes * structs.PROBE_COUNTS.size
        self.lane_size = self.lane_counts + structs.LANE_COUNTS.size
        self.shared_size = probes * structs.PROBE_STATUS.size

    def scalar(
        self,
        name: str,
        storage: Storage = Storage.PERCPU,
        value: ValueType = ValueType.LONG,
        row_size: int = 8,
        statistic: Statistic | None = None,
    ) -> Table:
        rows = self._room(storage, row_size)
        table = Table(
            name,
            storage,
            value,
            (),
            rows,
            row_size,
            statistic=statistic,
            sequence=self._sequence(storage, value),
        )
        self.tables.append(table)
        return table

    def array(
        self,
        name: str,
        keys: dict[str, int | None],
        capacity: int,
        storage: Storage = Storage.PERCPU,
        value: ValueType = ValueType.LONG,
        row_size: int = 8,
        statistic: Statistic | None = None,
    ) -> Table:
        """`keys`: bytes of a string key, None for a long."""
        columns = []
        offset = 0
        for key, size in keys.items():
            kind = ValueType.LONG if size is None else ValueType.STRING
            columns.append(Key(key, kind, offset, size or 8))
            offset += size or 8
        head = self._room(Storage.SHARED, structs.ARRAY_HEAD.size)
        stride = structs.SLOT.size + offset
        place = self._room(Storage.SHARED, stride * capacity)
        slots = Slots(head, place, stride, structs.SLOT.size, capacity)
        rows = self._room(storage, row_size * capacity)
        dropped = self._room(Storage.PERCPU, 8)
        table = Table(
            name,
            storage,
            value,
            tuple(columns),
            rows,
            row_size,
            slots,
            dropped,
            statistic,
            sequence=self._sequence(storage, value),
        )
        self.tables.append(table)
        return table

    def _sequence(self, storage: Storage, value: ValueType) -> int | None:
        """Add a sequence as the compiler does: for shared rows of more than one word."""
        if storage is Storage.PERCPU or value is ValueType.LONG:
            return None
        return self._room(Storage.SHARED, 8)

    def _room(self, storage: Storage, size: int) -> int:
        if storage is Storage.PERCPU:
            at, self.lane_size = self.lane_size, self.lane_size + size
        else:
            at, self.shared_size = self.shared_size, self.shared_size + size
        return at

    def manifest(self) -> Manifest:
        return Manifest(
            name="x",
            module="swatch_x",
            identity="00ff",
            release="6.1.0",
            build_id="abcd",
            compiler="0.1.0",
            shared_size=self.shared_size,
            lane_size=self.lane_size,
            probe_status=0,
            probe_counts=0,
            lane_counts=self.lane_counts,
            probes=self.probes,
            tables=tuple(self.tables),
            prints=self.prints,
            errors=self.errors,
        )

    def image(self, manifest: Manifest | None = None) -> "Writer":
        return Writer(manifest or self.manifest(), self.lanes)


class Writer:
    """The bytes of an image, for a test to change as the kernel would."""

    def __init__(self, manifest: Manifest, lanes: int) -> None:
        text = manifest.to_json().encode()
        shared = PAGE + page_up(len(text))
        self.shared = shared
        self.first_lane = shared + page_up(manifest.shared_size)
        self.lane_stride = page_up(manifest.lane_size)
        self.manifest = manifest
        self.data = bytearray(self.first_lane + lanes * self.lane_stride)
        self.header = [
            structs.MAGIC, structs.ABI, lanes, PAGE, len(text), shared, page_up(manifest.shared_size),
            self.first_lane, self.lane_stride, 1 << 20, 1_700_000_000, 0, structs.State.RUNNING, 0, 7,
            structs.Breach.NONE, structs.NO_PROBE, 0, 0, 0, 0, packed(HERE),
        ]  # fmt: skip
        self.put_header()
        self.data[PAGE : PAGE + len(text)] = text

    def put_header(self) -> None:
        structs.HEADER.pack_into(self.data, 0, *self.header)

    def used(self, table: Table, used: int) -> None:
        assert table.slots
        structs.ARRAY_HEAD.pack_into(
            self.data, self.shared + table.slots.head, used, used, 0, 0, 0, 0
        )

    def sequence(self, table: Table, slot: int, sequence: int) -> None:
        assert table.slots
        at = self.shared + table.slots.offset + slot * table.slots.stride
        struct.pack_into("<I", self.data, at, sequence)

    def writing(self, table: Table, sequence: int) -> None:
        """Set the sequence that is odd while a handler writes rows."""
        assert table.sequence is not None
        struct.pack_into("<I", self.data, self.shared + table.sequence, sequence)

    def slot(
        self, table: Table, slot: int, sequence: int, keys: tuple[int | str | bytes, ...]
    ) -> None:
        """Fill and allocate a slot."""
        assert table.slots
        at = self.shared + table.slots.offset + slot * table.slots.stride
        for key, value in zip(table.keys, keys, strict=True):
            place = at + table.slots.key_offset + key.offset
            if isinstance(value, int):
                struct.pack_into("<q", self.data, place, value)
            else:
                data = value.encode() if isinstance(value, str) else value
                struct.pack_into(f"{key.size}s", self.data, place, data)
        self.sequence(table, slot, sequence)
        (used,) = struct.unpack_from("<I", self.data, self.shared + table.slots.head)
        self.used(table, max(used, slot + 1))

    def row(self, table: Table, lane: int, slot: int, *words: int) -> None:
        """Words of a row; `lane` is ignored for shared tables."""
        base = self.shared
        if table.storage is Storage.PERCPU:
            base = self.first_lane + lane * self.lane_stride
        at = base + table.rows + slot * table.row_size
        struct.pack_into(f"<{len(words)}q", self.data, at, *words)

    def text(self, table: Table, slot: int, value: bytes) -> None:
        at = self.shared + table.rows + slot * table.row_size
        struct.pack_into(f"{table.row_size}s", self.data, at, value)

    def in_lane(self, lane: int, offset: int, *words: int) -> None:
        at = self.first_lane + lane * self.lane_stride + offset
        struct.pack_into(f"<{len(words)}Q", self.data, at, *words)


def event(
    kind: int, args: bytes, *, site: int = 0, cpu: int = 0, probe: int = 0, time_ns: int = 0
) -> bytes:
    size = structs.EVENT.size + len(args)
    return structs.EVENT.pack(size, kind, cpu, site, probe, time_ns) + args


def encoded(*values: int | str | bytes | tuple[int, ...]) -> bytes:
    """Arguments of an event, as sw_event_long() and the related functions write them."""
    out = b""
    for value in values:
        match value:
            case int():
                out += struct.pack("<q", value)
            case tuple():
                out += struct.pack(f"<Q{len(value)}q", len(value), *value)
            case str() | bytes():
                data = value.encode(errors="surrogateescape") if isinstance(value, str) else value
                out += struct.pack("<Q", len(data)) + data + bytes(-len(data) % 8)
    return out


def with_print(manifest: Manifest, form: str, *arguments: Argument) -> Manifest:
    return replace(manifest, prints=(Print(form, arguments, "x.stp:1:1"),))


def histogram_argument(hist: Histogram) -> Argument:
    return Argument("hist", ValueType.STAT, hist)
