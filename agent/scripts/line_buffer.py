# SPDX-License-Identifier: GPL-2.0-or-later
"""From what a script prints to log lines: joined up to the newline, bounded, and rate-limited.

    printf("%d ", pid()) then println("done")  on one CPU  ->  one line "42 done", pid=42

A handler prints with several statements; each arrives as an event of its own. What one CPU printed is
joined until a newline. A script that prints without end costs its own lines, which are counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import monotonic

from runtime.support.record import field, record

LONGEST = 16_384  # characters of one line; a longer one is cut into several


@record(frozen=False)
class TokenBucket:
    """`rate` a second, `burst` at once; rate 0: no limit."""

    rate: float
    burst: int
    clock: Callable[[], float] = monotonic
    _tokens: float = field(init=False, default=0.0)
    _last: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        self._tokens, self._last = float(self.burst), self.clock()

    def take(self) -> bool:
        if self.rate <= 0:
            return True
        now = self.clock()
        self._tokens = min(self.burst, self._tokens + (now - self._last) * self.rate)
        self._last = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


@record
class Line:
    """One line to log. `time`: ns since 1970, of its first part; `fields`: the printed arguments."""

    text: str
    cpu: int
    probe: str
    time: int
    fields: Mapping[str, int | str]


@record(frozen=False)
class _Open:
    parts: list[str]
    length: int
    probe: str
    time: int
    fields: dict[str, int | str]


@record(frozen=False)
class LineJoiner:
    """Joins what each CPU printed into lines."""

    _open: dict[int, _Open] = field(default_factory=dict)

    def add(
        self, text: str, cpu: int, probe: str, time: int, fields: Mapping[str, int | str]
    ) -> list[Line]:
        """The lines that this text completes, in order."""
        *whole, rest = text.split("\n")
        done = []
        for part in whole:
            self._append(part, cpu, probe, time, fields)
            done += self._close(cpu)
        if rest:
            self._append(rest, cpu, probe, time, fields)
            if self._open[cpu].length > LONGEST:
                done += self._close(cpu)
        return done

    def flush(self, before: int | None = None) -> list[Line]:
        """Lines without their newline yet: all, or those begun before a time (ns since 1970)."""
        cpus = [c for c, o in self._open.items() if before is None or o.time < before]
        return [line for cpu in cpus for line in self._close(cpu)]

    def _append(
        self, text: str, cpu: int, probe: str, time: int, fields: Mapping[str, int | str]
    ) -> None:
        line = self._open.get(cpu)
        if line is None:
            line = self._open[cpu] = _Open([], 0, probe, time, {})
        line.parts.append(text)
        line.length += len(text)
        line.fields.update(fields)

    def _close(self, cpu: int) -> list[Line]:
        line = self._open.pop(cpu)
        text = "".join(line.parts)
        pieces = [text[at : at + LONGEST] for at in range(0, len(text), LONGEST)] or [""]
        return [Line(piece, cpu, line.probe, line.time, line.fields) for piece in pieces]
