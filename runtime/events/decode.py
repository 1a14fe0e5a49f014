# SPDX-License-Identifier: GPL-2.0-or-later
"""Events: the output of a module's handlers, their errors, and changes of the module's state.

    decode(buffer, manifest)  -> [Event(PRINT, cpu=1, time_ns=9, probe=0, site=0, args=("sshd", 3))]
    text(event, manifest)     -> "sshd:     3\n"
    log_text(event, manifest) -> "zz\\x0d\\x0aX: 1:     3\n"   a process's name ends no line

Record layout: `struct sw_event` in include/stapwatch/abi.h. Bytes that are not UTF-8 become lone
surrogates, so that `.encode(errors="surrogateescape")` restores the kernel's bytes;
`runtime.support.escapes` makes plain text of them. A histogram is rendered for the %s of its format.
"""

import struct
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from runtime.abi.manifest import Argument, Manifest, Print, ValueType
from runtime.abi.structs import EVENT, NO_PROBE, NO_SITE, EventKind, State, fitted
from runtime.events import printf
from runtime.events.histogram_text import render
from runtime.support.escapes import printable
from runtime.support.exhaustive import assert_never
from runtime.support.record import record

Value = int | str | tuple[int, ...]

_LONG: Final = struct.Struct("<q")
_LENGTH: Final = struct.Struct("<Q")


@record
class Event:
    """One record.

    `time_ns` is CLOCK_MONOTONIC; add the header's `time_offset` for time since 1970. `site` is the
    number of a print (PRINT) or error site (ERROR; NO_SITE: a probe could not be attached), or the new
    State (STATE). `args` are the arguments of a print, a histogram as its buckets; the text of an ERROR or
    a WARNING; the command line of a COMMAND.
    """

    kind: EventKind
    cpu: int
    time_ns: int
    probe: int | None
    site: int
    args: tuple[Value, ...]


def decode(
    buffer: bytes | bytearray | memoryview, manifest: Manifest, head: int = EVENT.size
) -> list[Event]:
    """All records of a buffer, which must hold whole records only. `head`: bytes of the module's sw_event.

    Raises ValueError with the offset of a damaged record.
    """
    # one copy: views would prevent the caller from reusing the buffer
    data = bytes(buffer)
    events = []
    at = 0
    while at < len(data):
        try:
            event, at = _record(data, at, manifest, head)
        except ValueError as error:
            raise ValueError(f"damaged event at byte {at} of {len(data)}: {error}") from error
        events.append(event)
    return events


def text(event: Event, manifest: Manifest) -> str:
    """The exact output of a print; for other events one line without its end."""
    match event.kind:
        case EventKind.PRINT:
            statement = manifest.prints[event.site]
            quick = _quick(event, statement)
            return _printed(event, statement) if quick is None else quick
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


def log_text(event: Event, manifest: Manifest) -> str:
    """The text of an event for a log. Only what the script itself wrote ends a line.

    Control characters are escaped, and a newline is one of them in what a directive shows. It ends the line
    in the format, in a histogram, and at the end of a print of one value, as `print(text)`.
    """
    if event.kind is not EventKind.PRINT:
        return printable(text(event, manifest).removesuffix("\n"))
    statement = manifest.prints[event.site]
    if all(type(v) is int or (type(v) is str and _is_clean(v)) for v in event.args):
        quick = _quick(event, statement)
        if quick is not None and _has_clean_literals(statement.format):
            return quick
    values = _shown(event, statement)
    drawings = [v for v, a in zip(values, event.args, strict=True) if isinstance(a, tuple)]
    pieces = _pieces(statement.format)
    parts = []
    for piece, value, data in printf.parts(pieces, values):
        found = data.decode(errors="surrogateescape")
        ours = isinstance(piece, printf.Literal) or value in drawings
        ends = len(pieces) == 1 and found.endswith("\n")
        if ours or not ends:
            parts.append(printable(found, "\t\n" if ours else "\t"))
        else:
            parts.append(printable(found[:-1]) + "\n")
    return "".join(parts)


def transcript(events: Iterable[Event], manifest: Manifest) -> str:
    """The output of prints, with errors and warnings in between, a line each."""
    lines = []
    for event in events:
        match event.kind:
            case EventKind.PRINT:
                lines.append(text(event, manifest))
            case EventKind.ERROR | EventKind.WARNING:
                lines.append(f"{event.kind.name}: {text(event, manifest)}\n")
            case EventKind.COMMAND | EventKind.SWITCH:
                lines.append(f"[{event.kind.name.lower()}: {text(event, manifest)}]\n")
            case EventKind.STATE:
                pass
            case _ as never:
                assert_never(never)
    return "".join(lines)


def _record(data: bytes, at: int, manifest: Manifest, head: int) -> tuple[Event, int]:
    if len(data) - at < head:
        raise ValueError(f"{len(data) - at} bytes are too few for a record")
    if head >= EVENT.size:
        size, kind_number, cpu, site, probe, time_ns = EVENT.unpack_from(data, at)
    else:
        known = fitted(data[at : at + head], EVENT.size)
        size, kind_number, cpu, site, probe, time_ns = EVENT.unpack(known)
    if size < head or size % 8 or size > len(data) - at:
        raise ValueError(f"a record cannot have {size} bytes here")
    kind = EventKind(kind_number)
    if probe != NO_PROBE and probe >= len(manifest.probes):
        raise ValueError(f"probe {probe} of {len(manifest.probes)}")
    end = at + size
    args, used = _arguments(data, at + head, end, _wanted(kind, site, manifest))
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


_template = lru_cache(maxsize=1024)(lambda form: printf.template(_pieces(form)))


def _quick(event: Event, statement: Print) -> str | None:
    """What `_printed` returns, in a tenth of the time; None if that cannot be told."""
    found = _template(statement.format)
    if found is None:
        return None
    form, unsigned = found
    args = event.args
    for n in unsigned:
        value = args[n]
        if not isinstance(value, int) or value < 0:
            return None
    for value in args:
        if type(value) is tuple:
            return None
    try:
        result: str = form % args
    except TypeError:
        return None
    return None if "\0" in result else result


def _is_clean(value: str) -> bool:
    """Whether a log shows the string as it is."""
    return value.isprintable() and "\\" not in value


@lru_cache(maxsize=1024)
def _has_clean_literals(form: str) -> bool:
    return all(
        printable(piece.text, "\t\n") == piece.text
        for piece in _pieces(form)
        if isinstance(piece, printf.Literal)
    )


def _printed(event: Event, statement: Print) -> str:
    return printf.format(_pieces(statement.format), _shown(event, statement))


def _shown(event: Event, statement: Print) -> list[int | str | bytes]:
    """The arguments of a print for its format: histograms are rendered."""
    shown: list[int | str | bytes] = []
    for argument, value in zip(statement.arguments, event.args, strict=True):
        if isinstance(value, tuple):
            if argument.histogram is None:
                raise ValueError(f"argument {argument.name!r} is not a histogram")
            shown.append(render(argument.histogram, value, argument.margin))
        else:
            shown.append(value)
    return shown
