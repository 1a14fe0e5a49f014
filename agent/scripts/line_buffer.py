# SPDX-License-Identifier: GPL-2.0-or-later
"""Buffers a script's output until its lines are complete; bounds and rate-limits the lines.

    printf("%d ", pid()) then println("done")  on one CPU  ->  one line "42 done", pid=42

A handler prints a line with several statements, and each of them is an event. The buffer joins the text
of one CPU up to the newline. A script that prints too much loses its own lines, which are counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import monotonic, monotonic_ns

from runtime.support.record import field, record

LONGEST = 16_384  # characters of one line; a longer one is split


@record(frozen=False)
class TokenBucket:
    """Allows `rate` lines a second and `burst` lines at once; rate 0: no limit."""

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
    """One line to log. `time`: of its first part, in ns since 1970; `fields`: the printed arguments."""

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
    since: int


@record(frozen=False)
class LineBuffer:
    """The incomplete line of each CPU. `clock`: ns that no change of the date moves."""

    clock: Callable[[], int] = monotonic_ns
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

    def flush(self, age: int = 0) -> list[Line]:
        """Incomplete lines: all, or those that began at least `age` ns ago."""
        now = self.clock()
        cpus = [c for c, o in self._open.items() if now - o.since >= age]
        return [line for cpu in cpus for line in self._close(cpu)]

    def _append(
        self, text: str, cpu: int, probe: str, time: int, fields: Mapping[str, int | str]
    ) -> None:
        line = self._open.get(cpu)
        if line is None:
            line = self._open[cpu] = _Open([], 0, probe, time, {}, self.clock())
        line.parts.append(text)
        line.length += len(text)
        line.fields.update(fields)

    def _close(self, cpu: int) -> list[Line]:
        line = self._open.pop(cpu)
        text = "".join(line.parts)
        pieces = [text[at : at + LONGEST] for at in range(0, len(text), LONGEST)] or [""]
        return [Line(piece, cpu, line.probe, line.time, line.fields) for piece in pieces]
