# SPDX-License-Identifier: GPL-2.0-or-later
"""Events: what a module's handlers print, and what goes wrong in them.

    decode(buffer, manifest)  -> [Event(PRINT, cpu=1, time_ns=9, probe=0, site=0, args=("sshd", 3))]
    text(event, manifest)     -> "sshd:     3\n"
    readable("caf\\udce9")     -> "caf\\xe9"

Record layout: `struct sw_event` in include/stapwatch/abi.h. A string that is no UTF-8 keeps its
odd bytes as lone surrogates, so that `.encode(errors="surrogateescape")` gives back the kernel's
bytes; `readable` is for places that want plain text. Histograms are drawn where the format has a
%s for them.
"""

import struct
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, assert_never

from runtime.abi.manifest import Argument, Manifest, Print, ValueType
from runtime.abi.structs import EVENT, NO_PROBE, NO_SITE, EventKind, State
from runtime.events import printf
from runtime.events.histogram_text import draw
from runtime.support.record import record

Value = int | str | tuple[int, ...]

_LONG: Final = struct.Struct("<q")
_LENGTH: Final = struct.Struct("<Q")


@record
class Event:
    """One record.

    `time_ns` is CLOCK_MONOTONIC; add the header's `time_offset` for time since 1970. `site` counts
    prints (PRINT), errors (ERROR; NO_SITE: a hook's, not the script's) or is the new State (STATE).
    `args` are those of the print, a histogram as its buckets; an ERROR's and a WARNING's is its text.
    A COMMAND's is the shell's line.
    """

    kind: EventKind
    cpu: int
    time_ns: int
    probe: int | None
    site: int
    args: tuple[Value, ...]


def decode(buffer: bytes | bytearray | memoryview, manifest: Manifest) -> list[Event]:
    """All records of a buffer, which holds whole ones only.

    ValueError with the offset where it is damaged.
    """
    # one bounds-checked copy: views would keep a reusable buffer from being reused
    data = bytes(buffer)
    events = []
    at = 0
    while at < len(data):
        try:
            event, at = _record(data, at, manifest)
        except ValueError as error:
            raise ValueError(f"damaged event at byte {at} of {len(data)}: {error}") from error
        events.append(event)
    return events


def text(event: Event, manifest: Manifest) -> str:
    """What the event says: a print's output exactly, else one line without its end."""
    match event.kind:
        case EventKind.PRINT:
            return _printed(event, manifest.prints[event.site])
        case EventKind.ERROR:
            if event.site == NO_SITE:
                return str(event.args[0])
            return f"{event.args[0]} at {manifest.errors[event.site].location}"
        case EventKind.STATE:
            return f"module is {State(event.site).name.lower()}"
        case EventKind.WARNING | EventKind.COMMAND:
            return str(event.args[0])
        case EventKind.SWITCH:
            return "switch to another file"
        case _ as never:
            assert_never(never)


def transcript(events: Iterable[Event], manifest: Manifest) -> str:
    """Prints as they are; errors and warnings where they happened, a line each."""
    said = []
    for event in events:
        match event.kind:
            case EventKind.PRINT:
                said.append(text(event, manifest))
            case EventKind.ERROR | EventKind.WARNING:
                said.append(f"{event.kind.name}: {text(event, manifest)}\n")
            case EventKind.COMMAND | EventKind.SWITCH:
                said.append(f"[{event.kind.name.lower()}: {text(event, manifest)}]\n")
            case EventKind.STATE:
                pass
            case _ as never:
                assert_never(never)
    return "".join(said)


def readable(string: str) -> str:
    """The string with bytes that are no UTF-8 as \\xNN."""
    return string.encode(errors="surrogateescape").decode(errors="backslashreplace")


def _record(data: bytes, at: int, manifest: Manifest) -> tuple[Event, int]:
    if len(data) - at < EVENT.size:
        raise ValueError(f"{len(data) - at} bytes are too few for a record")
    size, kind_number, cpu, site, probe, time_ns = EVENT.unpack_from(data, at)
    if size < EVENT.size or size % 8 or size > len(data) - at:
        raise ValueError(f"a record cannot have {size} bytes here")
    kind = EventKind(kind_number)
    if probe != NO_PROBE and probe >= len(manifest.probes):
        raise ValueError(f"probe {probe} of {len(manifest.probes)}")
    end = at + size
    args, used = _arguments(data, at + EVENT.size, end, _wanted(kind, site, manifest))
    if used != end:
        raise ValueError(f"{end - used} bytes behind the last argument")
    return Event(kind, cpu, time_ns, None if probe == NO_PROBE else probe, site, args), end


_TEXT: Final = (Argument("text", ValueType.STRING),)


def _wanted(kind: EventKind, site: int, manifest: Manifest) -> tuple[Argument, ...]:
    match kind:
        case EventKind.PRINT:
            if site >= len(manifest.prints):
                raise ValueError(f"print {site} of {len(manifest.prints)}")
            return manifest.prints[site].arguments
        case EventKind.ERROR:
            if site != NO_SITE and site >= len(manifest.errors):
                raise ValueError(f"error {site} of {len(manifest.errors)}")
            return _TEXT
        case EventKind.STATE:
            State(site)
            return ()
        case EventKind.WARNING | EventKind.COMMAND:
            return _TEXT
        case EventKind.SWITCH:
            return ()
        case _ as never:
            assert_never(never)


def _arguments(
    data: bytes, at: int, end: int, wanted: tuple[Argument, ...]
) -> tuple[tuple[Value, ...], int]:
    args: list[Value] = []
    for argument in wanted:
        if end - at < 8:
            raise ValueError(f"no room for argument {argument.name!r}")
        if argument.type is ValueType.LONG:
            args.append(_LONG.unpack_from(data, at)[0])
            at += 8
            continue
        (count,) = _LENGTH.unpack_from(data, at)
        at += 8
        if argument.type is ValueType.STRING:
            if count > end - at:
                raise ValueError(f"argument {argument.name!r} has {count} bytes")
            args.append(data[at : at + count].decode(errors="surrogateescape"))
            at += (count + 7) & ~7
        else:
            if count * 8 > end - at or (h := argument.histogram) is None or h.buckets != count:
                raise ValueError(f"histogram {argument.name!r} has {count} buckets")
            args.append(struct.unpack_from(f"<{count}q", data, at))
            at += 8 * count
    return tuple(args), at


@lru_cache(maxsize=1024)
def _pieces(form: str) -> tuple[printf.Piece, ...]:
    return printf.parse(form)


def _printed(event: Event, statement: Print) -> str:
    shown: list[int | str | bytes] = []
    for argument, value in zip(statement.arguments, event.args, strict=True):
        if isinstance(value, tuple):
            if argument.histogram is None:
                raise ValueError(f"argument {argument.name!r} is no histogram")
            shown.append(draw(argument.histogram, value))
        else:
            shown.append(value)
    return printf.format(_pieces(statement.format), shown)
