# SPDX-License-Identifier: GPL-2.0-or-later
"""Where everything lies: one CPU's lane, the shared region, and every global's rows in them.

    global reads; ... reads[execname()]++
      lane:    s64 reads[2048]; u64 reads_dropped;
      shared:  u32 reads_lock; struct { head; index[4096]; slots[2048] } reads;

The offsets in the manifest are computed here, and asserted by the C compiler in the generated file.
"""

from __future__ import annotations

from collections.abc import Sequence

from compiler.analysis import storage_class
from compiler.analysis.string_sizes import Sizes
from compiler.codegen.c_writer import Names
from compiler.ir import program as p
from compiler.ir.options import Options
from runtime.abi import structs
from runtime.abi.manifest import (
    Histogram,
    HistogramKind,
    Key,
    Slots,
    Statistic,
    Storage,
    Table,
    ValueType,
)
from runtime.support.record import field, record

_WORD = 8
_SHORT_KEY = 64  # bytes


@record
class Row:
    """One value: its C type, its bytes, and for a statistic its words."""

    c_type: str
    size: int
    fields: tuple[str, ...] = ()  # struct members; empty for a plain s64
    statistic: Statistic | None = None


@record
class Placed:
    """One global in memory, with its C names."""

    g: p.Global
    c: str
    storage: Storage
    row: Row
    table: Table
    key_fields: tuple[str, ...]
    lock: str  # member of struct shared; "" where no lock is needed
    sequence: str  # likewise; "" where readers need none to copy whole rows

    @property
    def percpu(self) -> bool:
        return self.storage is Storage.PERCPU

    @property
    def long_keys(self) -> bool:
        """Whether keys are hashed and compared by the runtime's code and not in line."""
        return self.slots.stride - self.slots.key_offset > _SHORT_KEY

    @property
    def finder(self) -> str:
        return "sw_array_find_long" if self.long_keys else "sw_array_find"

    @property
    def is_array(self) -> bool:
        return bool(self.g.keys)

    @property
    def slots(self) -> Slots:
        assert self.table.slots is not None
        return self.table.slots


@record(frozen=False)
class Region:
    """Members of a struct, laid out as the C compiler will."""

    members: list[tuple[str, str, int]] = field(default_factory=list)  # declaration, name, offset
    size: int = 0

    def add(self, declaration: str, member: str, size: int, align: int = _WORD) -> int:
        offset = (self.size + align - 1) // align * align
        self.members.append((declaration, member, offset))
        self.size = offset + size
        return offset


@record
class Layout:
    globals: dict[str, Placed]
    lane: Region
    shared: Region
    sort_members: dict[int, str]  # id of a sorted Foreach -> its scratch member
    names: Names

    @property
    def lane_size(self) -> int:
        return (self.lane.size + _WORD - 1) // _WORD * _WORD

    @property
    def shared_size(self) -> int:
        return (self.shared.size + _WORD - 1) // _WORD * _WORD


def lay_out(
    program: p.Program,
    options: Options,
    sizes: Sizes,
    sorted_loops: Sequence[tuple[p.Foreach, bool]],
    names: Names,
) -> Layout:
    """Place every global of a program, and what sorted loops need; True: one may run inside itself."""
    lane, shared = Region(), Region()
    count = len(program.probes)
    lane.add(f"struct sw_probe_counts probes[{count}]", "probes", structs.PROBE_COUNTS.size * count)
    lane.add("struct sw_lane_counts counts", "counts", structs.LANE_COUNTS.size)
    statuses = count + sum(len(probe.hook.functions) for probe in program.probes)
    size = structs.PROBE_STATUS.size * statuses
    shared.add(f"struct sw_probe_status probes[{statuses}]", "probes", size)
    placements, asked = storage_class.place(program), storage_class.asked(program)
    placed = {
        g.name: _place(
            asked.get(g.name, storage_class.Asked()),
            g,
            placements[g.name],
            options,
            sizes,
            lane,
            shared,
            names,
        )
        for g in program.globals
    }
    if sorted_loops:
        shared.add("u32 sorting", "sorting", 4, 4)
    scratch = {}
    for i, (loop, recursive) in enumerate(sorted_loops):
        capacity = placed[loop.name].slots.capacity
        member, depths = f"order_{i}", options.limits.MAXNESTING + 1 if recursive else 1
        bounds = f"[MAXNESTING + 1][{capacity}]" if recursive else f"[{capacity}]"
        shared.add(f"struct sw_sort_entry {member}{bounds}", member, 16 * capacity * depths)
        scratch[id(loop)] = f"{member}[c->depth]" if recursive else member
    return Layout(placed, lane, shared, scratch, names)


def _place(
    question: storage_class.Asked,
    g: p.Global,
    placement: storage_class.Placement,
    options: Options,
    sizes: Sizes,
    lane: Region,
    shared: Region,
    names: Names,
) -> Placed:
    c = names(g.name)
    row = _row(question, g, c, options, sizes)
    keys, key_fields, key_size = _keys(g, sizes, names)
    percpu = placement.storage is Storage.PERCPU
    lock = ""
    if placement.storage is Storage.SHARED or (percpu and g.keys):
        lock = f"{c}_lock"
        shared.add(f"u32 {lock}", lock, 4, 4)
    sequence, sequence_at = "", None
    if not percpu and g.type is not ValueType.LONG:
        sequence = f"{c}_sequence"
        sequence_at = shared.add(f"u32 {sequence}", sequence, 4, 4)
    slots: Slots | None = None
    dropped: int | None = None
    if g.keys:
        capacity = options.capacities.get(g.name) or g.size or options.limits.MAXMAPENTRIES
        index = 1 << (2 * capacity - 1).bit_length()
        stride = structs.SLOT.size + key_size
        head = shared.add(
            f"struct {{\n\t\tstruct sw_array_head head;\n\t\tu32 index[{index}];\n"
            f"\t\tstruct slot_{c} slots[{capacity}];\n\t}} {c}",
            c,
            structs.ARRAY_HEAD.size + 4 * index + stride * capacity,
        )
        first = head + structs.ARRAY_HEAD.size + 4 * index
        slots = Slots(head, first, stride, structs.SLOT.size, capacity, g.wrap)
        dropped = lane.add(f"u64 {c}_dropped", f"{c}_dropped", _WORD)
        region, member = (lane, c) if percpu else (shared, f"{c}_values")
        rows = region.add(f"{row.c_type} {member}[{capacity}]", member, row.size * capacity)
    else:
        region = lane if percpu else shared
        rows = region.add(f"{row.c_type} {c}", c, row.size)
    file, line, column = g.span.location
    table = Table(
        name=g.name,
        storage=placement.storage,
        value=g.type,
        keys=keys,
        rows=rows,
        row_size=row.size,
        slots=slots,
        dropped=dropped,
        statistic=row.statistic,
        monotonic=placement.monotonic,
        scratch=placement.scratch,
        sequence=sequence_at,
        display=g.name in options.end_of_run,
        location=f"{file}:{line}:{column}",
    )
    return Placed(g, c, placement.storage, row, table, key_fields, lock, sequence)


def _keys(g: p.Global, sizes: Sizes, names: Names) -> tuple[tuple[Key, ...], tuple[str, ...], int]:
    keys, fields_, offset = [], [], 0
    seen: dict[str, int] = {}
    for i, (type_, label) in enumerate(zip(g.keys, g.key_names, strict=True)):
        seen[label] = seen.get(label, 0) + 1
        label = label if seen[label] == 1 else f"{label}_{seen[label]}"
        size = _WORD
        member = names(label)
        if type_ is ValueType.STRING:
            size = (sizes.get("key", g.name, i) + _WORD - 1) // _WORD * _WORD
            fields_.append(f"char {member}[{size}]")
        else:
            fields_.append(f"s64 {member}")
        keys.append(Key(label, type_, offset, size))
        offset += size
    return tuple(keys), tuple(fields_), offset


def _row(question: storage_class.Asked, g: p.Global, c: str, options: Options, sizes: Sizes) -> Row:
    match g.type:
        case ValueType.LONG:
            return Row("s64", _WORD)
        case ValueType.STRING:
            size = (sizes.get("global", g.name) + _WORD - 1) // _WORD * _WORD
            return Row(f"struct row_{c}", size, (f"char value[{size}]",))
        case ValueType.STAT:
            return _stat_row(question, g, c, options)


def _stat_row(question: storage_class.Asked, g: p.Global, c: str, options: Options) -> Row:
    asked = set(question.extractors)
    if g.name in options.end_of_run:
        asked |= {"min", "max"}
    shape = _histogram(question, g, options)
    members: list[str] = []
    words: dict[str, int] = {}

    def keep(member: str) -> None:
        words[member] = len(members)
        members.append(f"s64 {member}")

    if shape is None or asked & {"min", "max", "variance"}:
        keep("count")
    keep("sum")
    if asked & {"min"}:
        keep("min")
    if asked & {"max"}:
        keep("max")
    if asked & {"variance"}:
        keep("mean")
        keep("m2")
    size = _WORD * len(members)
    if shape is not None:
        shape = Histogram(
            shape.kind, len(members), shape.buckets, shape.negative, shape.low, shape.high,
            shape.interval, shape.bounds,
        )  # fmt: skip
        members.append(f"u64 buckets[{shape.buckets}]")
        size += _WORD * shape.buckets
    statistic = Statistic(
        **{k: words.get(k) for k in ("count", "sum", "min", "max", "mean", "m2")},
        shift=question.shift,
        histogram=shape,
    )
    return Row(f"struct row_{c}", size, tuple(members), statistic)


def _histogram(question: storage_class.Asked, g: p.Global, options: Options) -> Histogram | None:
    if question.histogram is not None:
        return question.histogram.histogram
    if g.name in options.histograms:
        return options.histograms[g.name]
    if options.export:
        return Histogram(HistogramKind.LOG2, 0, 65)
    return None
