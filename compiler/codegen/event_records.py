# SPDX-License-Identifier: GPL-2.0-or-later
"""Printing as C: raw arguments into an event record; who reads it formats them.

printf("%d %s", n, s)   ->   record = sw_event_begin(c, SW_EVENT_PRINT, 0, 8 + 24);
                             if (record) {
                                     record = sw_event_long(record, n);
                                     record = sw_event_string(record, f->s, 16);
                                     sw_event_commit(c, record);
                             }
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compiler.codegen.c_writer import C
from compiler.ir import program as p
from compiler.ir.program import LONG, STAT, STRING
from runtime.abi.manifest import Argument, HistogramKind, Print

if TYPE_CHECKING:
    from compiler.codegen.expressions import Values

_MOST_MEMORY = 1024  # SW_MOST_MEMORY


def write_record(v: Values, s: p.Print) -> None:
    """The record of one print; what can fail comes before it is begun."""
    given = [a.address if isinstance(a, p.Memory) else a for a in s.args]
    values = iter(v.in_order(*(a for a in given if not isinstance(a, p.Buckets))))
    arguments: list[Argument] = []
    writes: list[str] = []
    room, last = 0, C("0")
    for name, a in zip(s.names, s.args, strict=True):
        match a:
            case p.Buckets():
                size, write = _buckets(v, a, s)
                arguments.append(Argument(name, STAT, a.histogram))
            case p.Memory():
                size, write = _memory(v, a, next(values), last)
                arguments.append(Argument(name, STRING))
            case _ if a.type is STRING:
                most = v.unit.sizes.expr(a, v.body)
                size = 8 + _words(most)
                write = f"sw_event_string(record, {next(values)}, {most})"
                arguments.append(Argument(name, STRING))
            case _:
                last = next(values)
                size, write = 8, f"sw_event_long(record, {last})"
                arguments.append(Argument(name, LONG))
        room += size
        writes.append(f"record = {write};")
    file, line, column = s.span.location
    site = Print(s.format, tuple(arguments), f"{file}:{line}:{column}", s.log)
    prints = v.unit.prints
    if site not in prints:
        prints.append(site)
    if "u8 *record;" not in v.temporaries:
        v.temporaries.append("u8 *record;")
    v.w.line(f"record = sw_event_begin(c, SW_EVENT_PRINT, {prints.index(site)}, {room});")
    with v.w.block("if (record)"):
        for write in writes:
            v.w.line(write)
        v.w.line("sw_event_commit(c, record);")


def _words(size: int) -> int:
    return (size + 7) // 8 * 8


def drawing(v: Values, e: p.Drawing) -> C:
    """sprint() of a histogram."""
    buffer = v.buffer(v.unit.sizes.expr(e, v.body))
    stat, shape = e.buckets.stat, e.buckets.histogram
    g = v.placed(stat.name)
    place = v.stat_place(stat)
    v.raise_if(f"!{v.merged(g, *place)}.count", "empty aggregate", e.span)
    steps = f"{shape.low}, {shape.interval}" if shape.kind is HistogramKind.LINEAR else "0, 0"
    _, offset, shared = place
    v.w.line(
        f"sw_stat_draw(c, {buffer}, sizeof({buffer}), &layout_{g.c}, {offset}, {shared}, {steps});"
    )
    return C(buffer)


def _buckets(v: Values, a: p.Buckets, s: p.Print) -> tuple[int, str]:
    g = v.placed(a.stat.name)
    place = v.stat_place(a.stat)
    _, offset, shared = place
    v.raise_if(f"!{v.merged(g, *place)}.count", "empty aggregate", s.span)
    size = 8 * (1 + a.histogram.buckets)
    return size, f"sw_event_buckets(record, &layout_{g.c}, {offset}, {shared})"


def _memory(v: Values, a: p.Memory, address: C, last: C) -> tuple[int, str]:
    """The bytes are read first: a fault must not leave half a record behind."""
    most = _MOST_MEMORY if a.length is None else min(max(a.length, 1), _MOST_MEMORY)
    length = last if a.length is None else C(str(a.length))
    buffer, size = v.buffer(most), v.temporary("u32", "size")
    reader = "sw_user_bytes" if a.user else "sw_kernel_bytes"
    v.w.line(f"{size} = {reader}(c, {buffer}, {address}, {length});")
    v.check(f"{'user' if a.user else 'kernel'} read fault", a.span)
    return 8 + _words(most), f"sw_event_bytes(record, {buffer}, {size})"
