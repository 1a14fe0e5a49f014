# SPDX-License-Identifier: GPL-2.0-or-later
"""A module's numbers at one moment.

    reader = SnapshotReader(image)
    snapshot = reader.read()
    snapshot.header.state, snapshot.probes[0].hits, snapshot.lanes.events_lost
    for table in snapshot.tables:
        for key, value in zip(table.keys, table.values): ...

Handlers go on during a reading: every number is exact at the instant it is read, and counters only grow.
One reader serves a module as long as it is loaded, and decodes new keys only.
"""

from collections.abc import Collection
from typing import Final

from runtime.abi.histogram import upper_bounds as upper_bounds
from runtime.abi.manifest import Manifest, Probe, Storage, Table
from runtime.abi.structs import LANE_COUNTS, PROBE_COUNTS, PROBE_STATUS, WAITING, Header, fitted
from runtime.reader.device import Image
from runtime.reader.merge import StatValue as StatValue
from runtime.reader.table import TableReader as TableReader
from runtime.reader.table import TableValues as TableValues
from runtime.support.record import record

_WORD: Final = 8
_HITS: Final = 0  # words of struct sw_probe_counts
_CPU_NS: Final = 4


@record
class FunctionStatus:
    """The status of one of the functions to which a probe is attached."""

    name: str
    armed: bool
    error: int


@record
class ProbeValues:
    """The counters of a probe, summed over the lanes, and its status.

    `missed` is as of the last sync; `error` is the errno of a failed attachment.
    """

    probe: Probe
    hits: int
    skipped_reentrant: int
    skipped_lock: int
    errors: int
    cpu_ns: int
    missed: int
    armed: bool
    error: int
    functions: tuple[FunctionStatus, ...] = ()

    @property
    def failed_attachments(self) -> tuple[tuple[str, int], ...]:
        """Failed attachments: (function or probe point, errno)."""
        return tuple((name, error) for name, error in self._unattached if error != WAITING)

    @property
    def waiting(self) -> tuple[str, ...]:
        """Functions, or the probe point, whose module is not loaded: `dummy:dummy_xmit`."""
        return tuple(name for name, error in self._unattached if error == WAITING)

    @property
    def _unattached(self) -> tuple[tuple[str, int], ...]:
        found = tuple((f.name, f.error) for f in self.functions if f.error)
        return found or (((self.probe.point, self.error),) if self.error else ())


@record
class LaneCounts:
    """The module's own counters, summed over the lanes."""

    events: int
    events_lost: int
    strings_cut: int


@record
class Snapshot:
    header: Header
    probes: tuple[ProbeValues, ...]
    lanes: LaneCounts
    tables: tuple[TableValues, ...]


class SnapshotReader:
    """Reads one module repeatedly."""

    def __init__(self, image: Image) -> None:
        """Raises ValueError if the manifest contradicts the image that carries it."""
        self._image = image
        self._manifest = image.manifest()
        check(self._manifest, image.header())
        self._tables = tuple(TableReader(table) for table in self._manifest.tables)

    def read(
        self, spread: bool = True, lanes: Collection[str] = (), doubles: Collection[str] = ()
    ) -> Snapshot:
        """The numbers as of now. Without `spread`, statistics have no min, max and variance.

        `lanes`: the globals whose values by lane are read, too: their `columns`. `doubles`: those whose
        counts may be doubles.
        """
        image, manifest = self._image, self._manifest
        return Snapshot(
            image.header(),
            _probes(manifest, image),
            LaneCounts(*_lane_counts(manifest, image)),
            tuple(
                table.read(image, spread, table.name in lanes, table.name in doubles)
                for table in self._tables
            ),
        )


def read(image: Image) -> Snapshot:
    """A single reading of an image. Raises ValueError, as SnapshotReader does."""
    return SnapshotReader(image).read()


def hits_and_cpu(image: Image) -> list[tuple[int, int]]:
    """Hits, and ns of CPU time, of each probe now: one request, and no table is read."""
    manifest = image.manifest()
    width = image.sizes.probe_counts // _WORD
    words = _counts(image, manifest.probe_counts, width * len(manifest.probes))
    return list(zip(words[_HITS::width], words[_CPU_NS::width], strict=True))


def check(manifest: Manifest, header: Header) -> None:
    """Raises ValueError if something in the manifest lies outside of the header's regions."""
    shared, lane = header.shared_size, header.lane_stride
    nr_probes = len(manifest.probes)
    statuses = nr_probes + sum(len(probe.functions) for probe in manifest.probes)
    sizes = header.sizes
    _fits("probe status", manifest.probe_status, statuses * sizes.probe_status, shared)
    _fits("probe counts", manifest.probe_counts, nr_probes * sizes.probe_counts, lane)
    _fits("lane counts", manifest.lane_counts, sizes.lane_counts, lane)
    for table in manifest.tables:
        _check_table(table, shared, lane)


def _check_table(table: Table, shared: int, lane: int) -> None:
    what = f"table {table.name!r}"
    rows = 1
    if table.slots is not None:
        rows = table.slots.rows
        _fits(what, table.slots.head, 24, shared)
        _fits(what, table.slots.offset, table.slots.capacity * table.slots.stride, shared)
    region = lane if table.storage is Storage.PERCPU else shared
    _fits(what, table.rows, rows * table.row_size, region)
    for counter in (table.dropped, table.replaced):
        if counter is not None:
            _fits(what, counter, _WORD, lane)
    if table.sequence is not None:
        _fits(what, table.sequence // _WORD * _WORD, _WORD, shared)


def _fits(what: str, offset: int, size: int, room: int) -> None:
    if offset < 0 or size < 0 or offset + size > room or offset % _WORD:
        raise ValueError(
            f"the manifest puts {what} at bytes {offset} to {offset + size} of a region of {room}"
        )


def _probes(manifest: Manifest, image: Image) -> tuple[ProbeValues, ...]:
    width = image.sizes.probe_counts // _WORD
    sums = _counts(image, manifest.probe_counts, width * len(manifest.probes))
    values = []
    row = len(manifest.probes)  # the next function's
    for n, probe in enumerate(manifest.probes):
        missed, armed, error = _status(manifest, image, n)
        functions = []
        for name in probe.functions:
            _, is_armed, why = _status(manifest, image, row)
            functions.append(FunctionStatus(name, bool(is_armed), why))
            row += 1
        counts = _known(sums[n * width : (n + 1) * width], PROBE_COUNTS.size)
        hits, reentrant, locked, errors, cpu_ns = counts
        values.append(
            ProbeValues(
                probe,
                hits,
                reentrant,
                locked,
                errors,
                cpu_ns,
                missed,
                bool(armed),
                error,
                tuple(functions),
            )
        )
    return tuple(values)


def _status(manifest: Manifest, image: Image, row: int) -> tuple[int, int, int]:
    size = image.sizes.probe_status
    at = manifest.probe_status + row * size
    data = fitted(image.shared[at : at + size], PROBE_STATUS.size)
    missed, armed, error = PROBE_STATUS.unpack(data)
    return missed, armed, error


def _lane_counts(manifest: Manifest, image: Image) -> list[int]:
    words = _counts(image, manifest.lane_counts, image.sizes.lane_counts // _WORD)
    return _known(words, LANE_COUNTS.size)


def _known(words: list[int], size: int) -> list[int]:
    """The words of a structure that this release knows, 0 for those that the module's release did not."""
    count = size // _WORD
    return words[:count] + [0] * (count - len(words))


def _counts(image: Image, offset: int, count: int) -> list[int]:
    """Unsigned counters at one offset of every lane, summed."""
    found: list[int] = memoryview(image.sums(offset, count)).cast("Q").tolist()
    return found
