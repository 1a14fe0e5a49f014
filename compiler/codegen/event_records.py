# SPDX-License-Identifier: GPL-2.0-or-later
"""Printing as C: raw arguments are written to an event record, and its reader formats them.

printf("%d %s", n, s)   ->   record = sw_event_begin(c, SW_EVENT_PRINT, 0, 8 + 24);
                             if (record) {
                                     record = sw_event_long(record, n);
                                     record = sw_event_string(record, f->s, 16);
                                     sw_event_commit(c, record);
                             }
"""

from __future__ import annotations

from collections.abc import Iterator

from compiler.codegen.body_emitter import BodyEmitter
from compiler.codegen.c_writer import C
from compiler.codegen.charges import check_paid, pay_for_lanes
from compiler.codegen.costs import MERGE_WORD, STEPS
from compiler.codegen.global_access import require_samples
from compiler.codegen.operands import in_order
from compiler.ir import program as p
from compiler.ir.options import Limits
from compiler.ir.program import LONG, STAT, STRING
from runtime.abi.manifest import Argument
from runtime.support.record import record

_MARGIN = Limits().HIST_ELISION
_MOST_MEMORY = 1024  # SW_MOST_MEMORY


@record
class _Field:
    """One argument in a record: its bytes there, and the call that writes it."""

    argument: Argument
    size: int
    write: str
    pays: bool = False  # for its bytes


def write_record(b: BodyEmitter, s: p.Print) -> None:
    """The record of one print. Whatever can fail runs before the record is begun."""
    fields = list(_fields(b, s))
    b.prepares = True
    b.temporaries.setdefault("record", "u8 *record;")
    number = b.unit.print_site(s.format, tuple(f.argument for f in fields), s.span, s.log)
    room = sum(f.size for f in fields)
    b.w.line(f"record = sw_event_begin({b.c}, SW_EVENT_PRINT, {number}, {room});")
    with b.w.block("if (record)"):
        for f in fields:
            b.w.line(f"record = {f.write};")
        b.w.line("sw_event_commit(c, record);")
        check_paid(b, max((f.size for f in fields if f.pays), default=0), s.span)


def _fields(b: BodyEmitter, s: p.Print) -> Iterator[_Field]:
    given = [a.address if isinstance(a, p.Memory) else a for a in s.args]
    values = iter(in_order(b, *(a for a in given if not isinstance(a, p.Buckets))))
    last = C("0")
    for name, a in zip(s.names, s.args, strict=True):
        match a:
            case p.Buckets():
                yield _buckets(b, name, a, s)
            case p.Memory():
                yield _memory(b, name, a, next(values), last)
            case _ if a.type is STRING:
                yield _text(name, b.size_of(a), next(values))
            case _:
                last = next(values)
                yield _Field(Argument(name, LONG), 8, f"sw_event_long(record, {last})")


def _text(name: str, most: int, value: C) -> _Field:
    long = most > STEPS  # the print has paid for as many bytes
    function = "sw_event_long_string(c, record" if long else "sw_event_string(record"
    return _Field(
        Argument(name, STRING), 8 + _words(most), f"{function}, {value}, {most})", pays=long
    )


def _words(size: int) -> int:
    """A size, rounded up to whole words."""
    return (size + 7) // 8 * 8


def _buckets(b: BodyEmitter, name: str, a: p.Buckets, s: p.Print) -> _Field:
    at = require_samples(b, a, s.span)
    g = b.stored(a.stat.name)
    pay_for_lanes(b, g, MERGE_WORD * a.histogram.buckets, s.span)
    layout = f"layout_{g.c}"
    write = f"sw_event_buckets(record, &{layout}, {at.offset}, {at.shared})"
    limits = b.unit.options.limits
    margin = limits.margin(a.histogram.buckets) if limits.HIST_ELISION != _MARGIN else None
    return _Field(Argument(name, STAT, a.histogram, margin), 8 * (1 + a.histogram.buckets), write)


def _memory(b: BodyEmitter, name: str, a: p.Memory, address: C, last: C) -> _Field:
    """Memory is read before the record is begun, so that a fault does not leave half a record."""
    most = _MOST_MEMORY if a.length is None else min(max(a.length, 1), _MOST_MEMORY)
    length = last if a.length is None else C(str(a.length))
    buffer, size = b.buffer(most), b.temporary("u32", "size")
    reader = "sw_user_bytes" if a.user else "sw_kernel_bytes"
    b.w.line(f"{size} = {reader}({b.c}, {buffer}, {address}, {length});")
    b.check(f"{'user' if a.user else 'kernel'} read fault", a.span)
    write = f"sw_event_bytes(record, {buffer}, {size})"
    return _Field(Argument(name, STRING), 8 + _words(most), write)
