# SPDX-License-Identifier: GPL-2.0-or-later
"""The manifest: the description of a module, the only contract between the compiler and readers.

The compiler writes it, the module carries it (ELF section `.stapwatch.manifest`, and mapped
through the device), the agent reads it back: `Manifest.from_json(m.to_json()) == m`. A *lane* is one
CPU's region of counters and rows, which readers map; the *shared region* is common to all CPUs. Offsets
are bytes from the start of the region they name. A *row* is the value of one element in one region, a
list of 8-byte words.

Agents of other releases read it, too, because a module outlives the release that made it. So:
- A new member has a default, which says what older modules do. It is left out where it has its default
  (None), so that their text stays the same.
- An unknown member is skipped. Where a reader would be wrong without it, the compiler sets `needs` to the
  format that brought it, and readers of older formats refuse the module.
- No member ever changes its meaning. `FORMAT` grows by one with each such change.

    global reads; probe kernel.function("vfs_read") { reads[execname()]++ }
    -> Table(name="reads", storage=PERCPU, value=LONG, keys=(Key("execname", STRING, 0, 16),), ...)
"""

import functools
import json
from collections.abc import Hashable
from typing import Any, TypeVar

from runtime.support.record import asdict, fields, record
from runtime.support.str_enum import StrEnum

FORMAT = 2  # of the manifests that this release writes, and the newest that it reads
EXPONENTIAL_FORMAT = 2  # which brought HistogramKind.EXPONENTIAL
_T = TypeVar("_T")


class ValueType(StrEnum):
    LONG = "long"  # one s64 word
    STRING = "string"  # `size` bytes, NUL-terminated
    STAT = "stat"  # the words that `Statistic` describes


class Storage(StrEnum):
    """The storage class of a global."""

    PERCPU = "percpu"  # a row in every lane; the value is their sum (min, max)
    SHARED = "shared"  # one row in the shared region, changed under a lock
    CONSTANT = "constant"  # one row in the shared region, written before probes are armed


class WhenFull(StrEnum):
    """The policy for an update with a new key when the array is full."""

    DROP = "drop"  # it is lost, and counted
    ERROR = "error"  # it is an error of the script
    OTHER = "other"  # it goes to one more row, behind those of the slots
    OLDEST = "oldest"  # the oldest element gives way, and is counted: `global x%`
    LRU = "lru"  # the element that was not written for the longest time does


class HistogramKind(StrEnum):
    LOG2 = "log2"
    LINEAR = "linear"
    BOUNDS = "bounds"
    EXPONENTIAL = "exponential"  # since format 2


@record
class Histogram:
    """Buckets of a statistic, `buckets` words from word `word` of a row.

    LOG2 without `negative`: word 0 counts v < 0, word 1 v == 0, word k+2 2^k <= v < 2^(k+1),
      k 0..62.
    LOG2 with `negative`: word 64 counts v == 0, word 64+k+1 as above, word 64-k-1 the same of -v,
      k 0..63.
    LINEAR (low, high, interval): word 0 counts v < low, then [low, low+interval) ..., the last
      word v > high; (high - low) / interval + 3 words.
    BOUNDS: word i counts bounds[i-1] < v <= bounds[i] (Prometheus' `le`); the last word counts
      the values above all bounds.
    EXPONENTIAL (schema, scale): the buckets of Prometheus' native histograms; see abi/exponential.py. Word
      64 counts v == 0, the words below it negative values, in buckets of schema 0, those above it the
      others; the last word stays 0.
    """

    kind: HistogramKind
    word: int
    buckets: int
    negative: bool = False
    low: int = 0
    high: int = 0
    interval: int = 0
    bounds: tuple[int, ...] = ()
    schema: int | None = None  # 0 to 3: 2^schema buckets for each power of two
    scale: str | None = None  # a decimal: bounds are powers of two of v * scale


@record
class Statistic:
    """Word numbers inside a statistic's row; None: not recorded. Without `count`, it is the buckets' sum.

    Handlers see `histogram`; `separate` counts the same values, for readers only.

    min and max are valid in a lane only if that lane's count is not 0. `mean` and `m2` are
    Welford's running values, shifted by `shift` bits, for the variance.
    """

    count: int | None = None
    sum: int | None = None
    min: int | None = None
    max: int | None = None
    mean: int | None = None
    m2: int | None = None
    shift: int = 0
    histogram: Histogram | None = None
    separate: Histogram | None = None

    @property
    def exported(self) -> Histogram | None:
        """The buckets that metrics have."""
        return self.separate or self.histogram


@record
class Key:
    """One key of an array, `size` bytes at `offset` of the key (8 for a long)."""

    name: str
    type: ValueType
    offset: int
    size: int


@record
class Slots:
    """An array's slots in the shared region: `struct sw_slot`, then the key; `stride` bytes."""

    head: int  # offset of its struct sw_array_head
    offset: int
    stride: int
    key_offset: int  # of the key in a slot
    capacity: int
    wraps: bool = False  # an element gives way when the array is full
    when_full: WhenFull = WhenFull.DROP

    @property
    def rows(self) -> int:
        """The rows in each region."""
        return self.capacity + (self.when_full is WhenFull.OTHER)


@record
class Table:
    """One global. A scalar has no keys, no slots, and one row."""

    name: str
    storage: Storage
    value: ValueType
    keys: tuple[Key, ...]
    rows: int  # offset of row 0: in a lane if PERCPU, else in the shared region
    row_size: int  # bytes
    slots: Slots | None = None
    dropped: int | None = None  # offset in a lane: the u64 counter of updates lost to a full array
    statistic: Statistic | None = None
    replaced: int | None = None  # likewise: elements that gave way to new ones
    monotonic: bool = False  # only ever `++` and `+=`: a counter; otherwise a gauge
    # working memory, exported on request only: handlers delete its elements, or its name is `__x`
    scratch: bool = False
    # offset in the shared region of a u32 that is odd while a handler writes rows; None: rows are one
    # word each, or handlers never write them once probes are armed
    sequence: int | None = None
    # offset in the shared region of the u32 that is held while elements are added or removed; None: none are
    lock: int | None = None
    unread: bool = False  # no handler reads it, so its elements may be removed: `Device.expire`
    display: bool = False  # `run` prints it when the session ends
    location: str = ""


@record
class Probe:
    point: str  # as resolved: kernel.function("vfs_read")
    written: str  # as the script has it: kernel.function("vfs_*")
    hook: str  # begin, end, error, timer, profile, ftrace, kprobe, kretprobe, tracepoint
    location: str  # file:line:column
    functions: tuple[str, ...] = ()  # attached together; their statuses follow those of all probes


@record
class Argument:
    name: str  # of the structured field
    type: ValueType  # LONG or STRING; STAT: a histogram's words
    histogram: Histogram | None = None
    margin: int | None = (
        None  # empty rows of the histogram that are shown next to full ones; None: two
    )


@record
class Print:
    """One printing statement; `format` has printf's directives, one for each argument."""

    format: str
    arguments: tuple[Argument, ...]
    location: str
    log: bool = False  # log(): a line of its own, marked as a message


@record
class ErrorSite:
    message: str
    location: str


@record
class Manifest:
    name: str  # the script's
    module: str
    identity: str  # hex digest of the script, its options and the kernel, whoever compiled it
    release: str  # kernel it was built for
    build_id: str
    # that made it: "0.1.0+1a2b3c4d5e6f", a version and a digest of compiler and runtime
    compiler: str
    shared_size: int
    lane_size: int
    probe_status: int  # offset in the shared region of struct sw_probe_status[len(probes)]
    probe_counts: int  # offset in a lane of struct sw_probe_counts[len(probes)]
    lane_counts: int  # offset in a lane of struct sw_lane_counts
    probes: tuple[Probe, ...]
    tables: tuple[Table, ...]
    prints: tuple[Print, ...]
    errors: tuple[ErrorSite, ...]
    abi: int = FORMAT
    ring_size: int = 0  # bytes of each CPU's ring of event records
    needs: int | None = None  # the oldest format whose readers read it rightly; None: any

    def to_json(self) -> str:
        return json.dumps(_without_defaults(asdict(self)), indent=None, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | bytes) -> "Manifest":
        """Read the result of `to_json`, of any release. Raises ValueError if the text is not a manifest, or
        one for newer readers only."""
        try:
            tree = json.loads(text)
            if (tree.get("needs") or 0) > FORMAT:
                by = f"{tree.get('module')} was made by stapwatch {tree.get('compiler')}"
                raise ValueError(
                    f"module {by}, whose manifests this release cannot read (format {tree['needs']}, "
                    f"known: {FORMAT})"
                )
            return _known(
                cls,
                tree,
                probes=tuple(
                    _known(Probe, p, functions=tuple(p.get("functions", ())))
                    for p in tree["probes"]
                ),
                tables=tuple(_table(t) for t in tree["tables"]),
                prints=tuple(_print(p) for p in tree["prints"]),
                errors=tuple(_known(ErrorSite, e) for e in tree["errors"]),
            )
        except (KeyError, TypeError, AttributeError, UnicodeDecodeError) as error:
            raise ValueError(f"not a manifest: {error}") from error


def _without_defaults(tree: Any) -> Any:
    """Leave out members that are None, so that the text stays short."""
    if isinstance(tree, dict):
        return {k: _without_defaults(v) for k, v in tree.items() if v is not None}
    if isinstance(tree, list | tuple):
        return [_without_defaults(v) for v in tree]
    return tree


def _known(cls: type[_T], tree: dict[str, Any], **changed: Any) -> _T:
    """A record of the members that this release knows."""
    kind: Any = cls
    names = _names(kind)
    return cls(**{name: value for name, value in {**tree, **changed}.items() if name in names})


@functools.cache
def _names(cls: Hashable) -> frozenset[str]:
    return frozenset(field.name for field in fields(cls))


def _histogram(tree: dict[str, Any] | None) -> Histogram | None:
    if tree is None:
        return None
    kind = HistogramKind(tree["kind"])
    return _known(Histogram, tree, kind=kind, bounds=tuple(tree.get("bounds", ())))


def _statistic(tree: dict[str, Any] | None) -> Statistic | None:
    if tree is None:
        return None
    histogram, separate = (_histogram(tree.get(name)) for name in ("histogram", "separate"))
    return _known(Statistic, tree, histogram=histogram, separate=separate)


def _table(tree: dict[str, Any]) -> Table:
    slots = tree.get("slots")
    return _known(
        Table,
        tree,
        storage=Storage(tree["storage"]),
        value=ValueType(tree["value"]),
        keys=tuple(_known(Key, k, type=ValueType(k["type"])) for k in tree["keys"]),
        slots=_slots(slots) if slots else None,
        statistic=_statistic(tree.get("statistic")),
    )


def _slots(tree: dict[str, Any]) -> Slots:
    return _known(Slots, tree, when_full=WhenFull(tree.get("when_full", "drop")))


def _print(tree: dict[str, Any]) -> Print:
    arguments = tuple(
        Argument(a["name"], ValueType(a["type"]), _histogram(a.get("histogram")), a.get("margin"))
        for a in tree["arguments"]
    )
    return _known(Print, tree, arguments=arguments)
