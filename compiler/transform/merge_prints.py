# SPDX-License-Identifier: GPL-2.0-or-later
"""Merging of prints: statements that print a line piece by piece send one record.

    printf("%d ", pid())  println(execname())   ->   printf("%d %s\\n", pid(), execname())

A record less is 24 bytes of the ring and a hundred instructions less, and no other CPU's output comes between
the pieces. The later print's values are then computed before the first one's text is sent, so they must not
fail, and change nothing.
"""

from __future__ import annotations

from compiler.analysis.effects import can_fail, fallible_functions, has_effect, pure_functions
from compiler.ir import program as p
from compiler.ir.program import STRING
from compiler.ir.walk import map_children
from runtime.support.record import record, replace

_MOST = 2048  # bytes of a merged record
_LONGEST = 512  # characters of a merged format


def merge_prints(program: p.Program, longest_string: int, ring: int) -> p.Program:
    """`longest_string`, `ring`: bytes; a record must have room in a ring, with some others."""
    functions = program.functions
    merger = _Merger(
        pure_functions(functions),
        fallible_functions(functions),
        longest_string,
        min(_MOST, ring // 4),
    )
    return replace(
        program,
        functions=tuple(
            f
            if f.body is None
            else replace(f, body=replace(f.body, stmts=merger.stmts(f.body.stmts)))
            for f in functions
        ),
        probes=tuple(
            replace(probe, body=replace(probe.body, stmts=merger.stmts(probe.body.stmts)))
            for probe in program.probes
        ),
    )


@record
class _Merger:
    pure: frozenset[str]
    fallible: frozenset[str]
    longest_string: int
    most: int  # bytes of a record

    def stmts(self, body: p.Stmts) -> p.Stmts:
        found: list[p.Stmt] = []
        for s in body:
            inside = map_children(s, lambda e: e, self.stmts)
            last = found[-1] if found else None
            match last, inside:
                case p.Print(), p.Print() if self._may_follow(last, inside):
                    found[-1] = _merged(last, inside)
                case _:
                    found.append(inside)
        return tuple(found)

    def _may_follow(self, first: p.Print, second: p.Print) -> bool:
        if not self._is_plain(first) or not self._is_plain(second) or first.format.endswith("\n"):
            return False
        if len(first.format) + len(second.format) > _LONGEST:
            return False
        if self._size(first) + self._size(second) > self.most:
            return False
        return not any(can_fail(a, self.fallible) or has_effect(a, self.pure) for a in second.args)

    def _is_plain(self, s: p.Print) -> bool:
        return not s.log and not any(isinstance(a, p.Buckets | p.Memory) for a in s.args)

    def _size(self, s: p.Print) -> int:
        strings = sum(not isinstance(a, p.Buckets) and a.type is STRING for a in s.args)
        return strings * self.longest_string + 8 * len(s.args)


def _merged(first: p.Print, second: p.Print) -> p.Print:
    names = list(first.names)
    for name in second.names:
        others = (f"{name}_{n}" for n in range(2, 2 + len(names)))
        names.append(name if name not in names else next(o for o in others if o not in names))
    return replace(
        first,
        format=first.format + second.format,
        args=(*first.args, *second.args),
        names=tuple(names),
    )
