# SPDX-License-Identifier: GPL-2.0-or-later
"""The manifest: the description of a module, the only contract between the compiler and readers.

The compiler writes it, the module carries it (ELF section `.stapwatch.manifest`, and mapped
through the device), the agent reads it back: `Manifest.from_json(m.to_json()) == m`. A *lane* is one
CPU's region of counters and rows, which readers map; the *shared region* is common to all CPUs. Offsets
are bytes from the start of the region they name. A *row* is the value of one element in one region, a
list of 8-byte words.

    global reads; probe kernel.function("vfs_read") { reads[execname()]++ }
    -> Table(name="reads", storage=PERCPU, value=LONG, keys=(Key("execname", STRING, 0, 16),), ...)
"""

import json
from enum import StrEnum
from typing import Any

from runtime.support.record import asdict, record


class ValueType(StrEnum):
    LONG = "long"  # one s64 word
    STRING = "string"  # `size` bytes, NUL-terminated
    STAT = "stat"  # the words that `Statistic` describes


class Storage(StrEnum):
    """The storage class of a global."""

    PERCPU = "percpu"  # a row in every lane; the value is their sum (min, max)
    SHARED = "shared"  # one row in the shared region, changed under a lock
    CONSTANT = "constant"  # one row in the shared region, written before probes are armed


class HistogramKind(StrEnum):
    LOG2 = "log2"
    LINEAR = "linear"
    BOUNDS = "bounds"


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
    """

    kind: HistogramKind
    word: int
    buckets: int
    negative: bool = False
    low: int = 0
    high: int = 0
    interval: int = 0
    bounds: tuple[int, ...] = ()


@record
class Statistic:
    """Word numbers inside a statistic's row; None: not recorded. Without `count`, it is the buckets' sum.

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
    wraps: bool = False


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
    monotonic: bool = False  # only ever `++` and `+=`: a counter; otherwise a gauge
    # working memory, exported on request only: handlers delete its elements, or its name is `__x`
    scratch: bool = False
    # offset in the shared region of a u32 that is odd while a handler writes rows; None: rows are one
    # word each, or handlers never write them once probes are armed
    sequence: int | None = None
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
    identity: str  # hex digest of everything that the module was made from
    release: str  # kernel it was built for
    build_id: str
    compiler: str  # stapwatch version
    shared_size: int
    lane_size: int
    probe_status: int  # offset in the shared region of struct sw_probe_status[len(probes)]
    probe_counts: int  # offset in a lane of struct sw_probe_counts[len(probes)]
    lane_counts: int  # offset in a lane of struct sw_lane_counts
    probes: tuple[Probe, ...]
    tables: tuple[Table, ...]
    prints: tuple[Print, ...]
    errors: tuple[ErrorSite, ...]
    abi: int = 1
    ring_size: int = 0  # bytes of each CPU's ring of event records

    def to_json(self) -> str:
        return json.dumps(_without_defaults(asdict(self)), indent=None, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | bytes) -> "Manifest":
        """Read the result of `to_json`. Raises ValueError if the text is not a manifest."""
        try:
            tree = json.loads(text)
            return cls(
                **{
                    **tree,
                    "probes": tuple(
                        Probe(**{**p, "functions": tuple(p.get("functions", ()))})
                        for p in tree["probes"]
                    ),
                    "tables": tuple(_table(t) for t in tree["tables"]),
                    "prints": tuple(_print(p) for p in tree["prints"]),
                    "errors": tuple(ErrorSite(**e) for e in tree["errors"]),
                }
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


def _histogram(tree: dict[str, Any] | None) -> Histogram | None:
    if tree is None:
        return None
    kind = HistogramKind(tree["kind"])
    return Histogram(**{**tree, "kind": kind, "bounds": tuple(tree.get("bounds", ()))})


def _table(tree: dict[str, Any]) -> Table:
    statistic = tree.get("statistic")
    slots = tree.get("slots")
    return Table(
        **{
            **tree,
            "storage": Storage(tree["storage"]),
            "value": ValueType(tree["value"]),
            "keys": tuple(Key(**{**k, "type": ValueType(k["type"])}) for k in tree["keys"]),
            "slots": Slots(**slots) if slots else None,
            "statistic": Statistic(
                **{**statistic, "histogram": _histogram(statistic.get("histogram"))}
            )
            if statistic is not None
            else None,
        }
    )


def _print(tree: dict[str, Any]) -> Print:
    return Print(
        **{
            **tree,
            "arguments": tuple(
                Argument(a["name"], ValueType(a["type"]), _histogram(a.get("histogram")))
                for a in tree["arguments"]
            ),
        }
    )
