# SPDX-License-Identifier: GPL-2.0-or-later
"""The memory layout: the per-CPU region, the shared region, and every global's rows in them.

The per-CPU region is called `lane` in C and in the manifest, one CPU's whole block (with what readers do
not see: the context and the frames) `area`.

    global reads; ... reads[execname()]++
      lane:    s64 reads[2048]; u64 reads_dropped;
      shared:  u32 reads_lock; struct { head; index[4096]; slots[2048] } reads;

The offsets in the manifest are computed here, and asserted by the C compiler in the generated file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from compiler.analysis import full_arrays, storage_class
from compiler.analysis.string_sizes import StringSizes
from compiler.codegen.c_writer import Names
from compiler.ir import program as p
from compiler.ir.options import Options
from compiler.ir.program import BodyId
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
    WhenFull,
)
from runtime.support.record import field, record, replace

_WORD = 8
_SHORT_KEY = 64  # bytes


@record
class Row:
    """One value in memory: its C type, its bytes, and for a statistic its words."""

    c_type: str
    size: int
    fields: tuple[str, ...] = ()  # struct members; empty for a plain s64
    statistic: Statistic | None = None


@record
class StoredGlobal:
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
        """Whether the runtime hashes and compares keys out of line."""
        return self.slots.stride - self.slots.key_offset > _SHORT_KEY

    @property
    def finder(self) -> str:
        return "sw_array_find_long" if self.long_keys else "sw_array_find"

    @property
    def is_array(self) -> bool:
        return bool(self.g.keys)

    @property
    def when_full(self) -> WhenFull:
        return self.slots.when_full

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
class SortScratch:
    """The member of struct shared where a loop sorts elements; `nested`: one for each depth of calls."""

    member: str
    nested: bool


@record
class Layout:
    globals: dict[str, StoredGlobal]
    lane: Region
    shared: Region
    sort_scratch: dict[tuple[BodyId, p.Foreach], SortScratch]
    names: Names

    @property
    def lane_size(self) -> int:
        return _whole_words(self.lane.size)

    @property
    def shared_size(self) -> int:
        return _whole_words(self.shared.size)


def lay_out(
    program: p.Program,
    options: Options,
    sizes: StringSizes,
    sorted_loops: Sequence[tuple[BodyId, p.Foreach, bool]],
    names: Names,
) -> Layout:
    """Assigns memory to every global of a program and to every sorted loop. `sorted_loops`: each loop with
    its body, and whether it may run inside of itself."""
    lane, shared = Region(), Region()
    count = len(program.probes)
    lane.add(f"struct sw_probe_counts probes[{count}]", "probes", structs.PROBE_COUNTS.size * count)
    lane.add("struct sw_lane_counts counts", "counts", structs.LANE_COUNTS.size)
    statuses = count + sum(len(probe.hook.functions) for probe in program.probes)
    size = structs.PROBE_STATUS.size * statuses
    shared.add(f"struct sw_probe_status probes[{statuses}]", "probes", size)
    when_full = full_arrays.policies(program, options)
    classes = storage_class.classify(program, full_arrays.evicting(when_full))
    uses = storage_class.statistic_uses(program)
    globals_ = _GlobalsLayout(options, when_full, sizes, names, lane, shared)
    unread = storage_class.StatisticUse()
    stored = {
        g.name: globals_.store(g, classes[g.name], uses.get(g.name, unread))
        for g in program.globals
    }
    scratch = _sort_scratch(shared, stored, sorted_loops, options.limits.MAXNESTING + 1)
    return Layout(stored, lane, shared, scratch, names)


def _sort_scratch(
    shared: Region,
    stored: dict[str, StoredGlobal],
    loops: Sequence[tuple[BodyId, p.Foreach, bool]],
    most_depths: int,
) -> dict[tuple[BodyId, p.Foreach], SortScratch]:
    if loops:
        shared.add("u32 sorting", "sorting", 4, 4)
    scratch: dict[tuple[BodyId, p.Foreach], SortScratch] = {}
    for body, loop, nested in loops:
        if (body, loop) not in scratch:
            capacity = stored[loop.name].slots.capacity
            member = f"order_{len(scratch)}"
            bounds = f"[MAXNESTING + 1][{capacity}]" if nested else f"[{capacity}]"
            size = 16 * capacity * (most_depths if nested else 1)
            shared.add(f"struct sw_sort_entry {member}{bounds}", member, size)
            scratch[body, loop] = SortScratch(member, nested)
    return scratch


@record
class _GlobalsLayout:
    """The inputs of the layout of globals, and the two regions in which they get their memory."""

    options: Options
    when_full: Mapping[str, WhenFull]
    sizes: StringSizes
    names: Names
    lane: Region
    shared: Region

    def store(
        self,
        g: p.Global,
        kept: storage_class.StorageClass,
        use: storage_class.StatisticUse,
    ) -> StoredGlobal:
        c = self.names(g.name)
        percpu = kept.storage is Storage.PERCPU
        row = self._row(g, c, use)
        keys, key_fields, key_size = self._keys(g)
        lock, lock_at, sequence, sequence_at = "", None, "", None
        if kept.storage is Storage.SHARED or (percpu and g.keys):
            lock = f"{c}_lock"
            lock_at = self.shared.add(f"u32 {lock}", lock, 4, 4)
        if not percpu and g.type is not ValueType.LONG:
            sequence = f"{c}_sequence"
            sequence_at = self.shared.add(f"u32 {sequence}", sequence, 4, 4)
        slots = self._slots(g, c, key_size) if g.keys else None
        dropped, replaced = self._counters(c, slots) if slots else (None, None)
        rows = self._rows(c, row, slots, percpu)
        file, line, column = g.span.location
        table = Table(
            name=g.name,
            storage=kept.storage,
            value=g.type,
            keys=keys,
            rows=rows,
            row_size=row.size,
            slots=slots,
            dropped=dropped,
            statistic=row.statistic,
            replaced=replaced,
            monotonic=kept.monotonic,
            scratch=kept.scratch,
            sequence=sequence_at,
            lock=lock_at if g.keys else None,
            unread=kept.unread,
            display=g.name in self.options.end_of_run,
            location=f"{file}:{line}:{column}",
        )
        return StoredGlobal(g, c, kept.storage, row, table, key_fields, lock, sequence)

    def _slots(self, g: p.Global, c: str, key_size: int) -> Slots:
        """The index and the slots of an array."""
        capacity = (
            self.options.capacities.get(g.name) or g.size or self.options.limits.MAXMAPENTRIES
        )
        index = 1 << (2 * capacity - 1).bit_length()
        stride = structs.SLOT.size + key_size
        head = self.shared.add(
            f"struct {{\n\t\tstruct sw_array_head head;\n\t\tu32 index[{index}];\n"
            f"\t\tstruct slot_{c} slots[{capacity}];\n\t}} {c}",
            c,
            structs.ARRAY_HEAD.size + 4 * index + stride * capacity,
        )
        first = head + structs.ARRAY_HEAD.size + 4 * index
        when_full = self.when_full[g.name]
        wraps = when_full in full_arrays.EVICTING
        return Slots(head, first, stride, structs.SLOT.size, capacity, wraps, when_full)

    def _counters(self, c: str, slots: Slots) -> tuple[int, int | None]:
        """The offsets of an array's counts: of updates that were lost, and of elements that gave way."""
        dropped = self.lane.add(f"u64 {c}_dropped", f"{c}_dropped", _WORD)
        if not slots.wraps:
            return dropped, None
        return dropped, self.lane.add(f"u64 {c}_replaced", f"{c}_replaced", _WORD)

    def _rows(self, c: str, row: Row, slots: Slots | None, percpu: bool) -> int:
        """The offset of a global's rows in its region."""
        region = self.lane if percpu else self.shared
        if slots is None:
            return region.add(f"{row.c_type} {c}", c, row.size)
        member = c if percpu else f"{c}_values"
        declaration = f"{row.c_type} {member}[{slots.rows}]"
        return region.add(declaration, member, row.size * slots.rows)

    def _keys(self, g: p.Global) -> tuple[tuple[Key, ...], tuple[str, ...], int]:
        """The keys of an array, the members of its key struct, and the bytes of one."""
        keys, fields_, offset = [], [], 0
        for i, (type_, label) in enumerate(zip(g.keys, labels(g.key_names), strict=True)):
            size = _WORD
            member = self.names(label)
            if type_ is ValueType.STRING:
                size = _whole_words(self.sizes.key(g.name, i))
                fields_.append(f"char {member}[{size}]")
            else:
                fields_.append(f"s64 {member}")
            keys.append(Key(label, type_, offset, size))
            offset += size
        return tuple(keys), tuple(fields_), offset

    def _row(self, g: p.Global, c: str, use: storage_class.StatisticUse) -> Row:
        match g.type:
            case ValueType.LONG:
                return Row("s64", _WORD)
            case ValueType.STRING:
                size = _whole_words(self.sizes.global_(g.name))
                return Row(f"struct row_{c}", size, (f"char value[{size}]",))
            case ValueType.STAT:
                return _stat_row(g, c, use, self.options)


def labels(names: Sequence[str]) -> list[str]:
    """The names of keys, each once.

    >>> labels(["pid", "pid", "cpu", "pid_2"])
    ['pid', 'pid_3', 'cpu', 'pid_2']
    """
    made: list[str] = []
    for i, name in enumerate(names):
        label, number = name, 1
        while label in made or (number > 1 and label in names[i + 1 :]):
            number += 1
            label = f"{name}_{number}"
        made.append(label)
    return made


def _whole_words(size: int) -> int:
    return (size + _WORD - 1) // _WORD * _WORD


def _stat_row(g: p.Global, c: str, use: storage_class.StatisticUse, options: Options) -> Row:
    shape, separate = _histogram(g, use, options), _separate(g, use, options)
    words = _stat_words(g, use, options, shape is not None)
    members = [f"s64 {word}" for word in words]
    size = _WORD * len(words)
    if shape is not None:
        shape = replace(shape, word=len(words))
        members.append(f"u64 buckets[{shape.buckets}]")
        size += _WORD * shape.buckets
    if separate is not None:
        separate = replace(separate, word=size // _WORD)
        members.append(f"u64 separate[{separate.buckets}]")
        size += _WORD * separate.buckets
    statistic = Statistic(
        **{word: i for i, word in enumerate(words)},
        shift=use.shift,
        histogram=shape,
        separate=separate,
    )
    return Row(f"struct row_{c}", size, tuple(members), statistic)


def _stat_words(
    g: p.Global, use: storage_class.StatisticUse, options: Options, has_histogram: bool
) -> list[str]:
    """The words that a statistic keeps: those that handlers or readers use. A histogram has the count."""
    used = set(use.extractors)
    if g.name in options.end_of_run:
        used |= {"min", "max"}
    words = ["sum"]
    if not has_histogram or used & {"min", "max", "variance"}:
        words.insert(0, "count")
    words += [word for word in ("min", "max") if word in used]
    if "variance" in used:
        words += ["mean", "m2"]
    return words


def _separate(g: p.Global, use: storage_class.StatisticUse, options: Options) -> Histogram | None:
    """The buckets of a native histogram, if handlers use others: neither can be made of the other."""
    wanted = options.histograms.get(g.name)
    if use.histogram is None or wanted is None or wanted.kind is not HistogramKind.EXPONENTIAL:
        return None
    return wanted


def _histogram(g: p.Global, use: storage_class.StatisticUse, options: Options) -> Histogram | None:
    if use.histogram is not None:
        return use.histogram.histogram
    if g.name in options.histograms:
        return options.histograms[g.name]
    if options.export:
        return Histogram(HistogramKind.LOG2, 0, 65)
    return None
