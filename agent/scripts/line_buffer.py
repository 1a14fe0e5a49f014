# SPDX-License-Identifier: GPL-2.0-or-later
"""Buffers a script's output until its lines are complete, and bounds them.

    printf("%d ", pid()) then println("done")  on one CPU  ->  one line "42 done", pid=42

A handler prints a line with several statements, and each of them is an event. The buffer joins the text
of one CPU up to the newline.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import monotonic_ns

from runtime.support.record import field, record, replace

LONGEST = 16_384  # characters of one line; a longer one is split


@record
class Line:
    """One line to log. `time`: `time_ns` of its first event; `place`: the statement that printed it;
    `fields`: the printed arguments."""

    text: str
    cpu: int
    probe: str
    time: int
    fields: Mapping[str, int | str]
    place: str = ""


@record(frozen=False)
class _Open:
    """`first`: the print that has begun the line."""

    first: Line
    since: int
    parts: list[str] = field(default_factory=list)
    length: int = 0
    fields: dict[str, int | str] = field(default_factory=dict)


@record(frozen=False)
class LineBuffer:
    """The incomplete line of each CPU. `clock`: ns that no change of the date moves."""

    clock: Callable[[], int] = monotonic_ns
    _open: dict[int, _Open] = field(default_factory=dict)

    def add(self, printed: Line) -> list[Line]:
        """The lines that a print completes, in order; its text may be a part of a line, or many."""
        *whole, rest = printed.text.split("\n")
        done = []
        for part in whole:
            self._append(part, printed)
            done += self._close(printed.cpu)
        if rest:
            self._append(rest, printed)
            if self._open[printed.cpu].length > LONGEST:
                done += self._close(printed.cpu)
        return done

    def flush(self, age: int = 0, before: int | None = None) -> list[Line]:
        """Incomplete lines that began at least `age` ns ago, with an event older than `before`: else all."""
        now = self.clock()
        cpus = [
            cpu
            for cpu, line in self._open.items()
            if now - line.since >= age and (before is None or line.first.time < before)
        ]
        return [line for cpu in cpus for line in self._close(cpu)]

    @property
    def oldest(self) -> int | None:
        """The time of the oldest incomplete line."""
        return min((line.first.time for line in self._open.values()), default=None)

    def _append(self, text: str, printed: Line) -> None:
        line = self._open.get(printed.cpu)
        if line is None:
            line = self._open[printed.cpu] = _Open(printed, self.clock())
        line.parts.append(text)
        line.length += len(text)
        line.fields.update(printed.fields)

    def _close(self, cpu: int) -> list[Line]:
        line = self._open.pop(cpu)
        text = "".join(line.parts)
        pieces = [text[at : at + LONGEST] for at in range(0, len(text), LONGEST)] or [""]
        return [replace(line.first, text=piece, fields=line.fields) for piece in pieces]
