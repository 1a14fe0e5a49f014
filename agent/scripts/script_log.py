# SPDX-License-Identifier: GPL-2.0-or-later
"""A script's events as structured log lines: text, script, probe, cpu, time, and each printed argument.

printf("%s(%d) open\\n", execname(), pid())
-> {"event": "cat(42) open", "script": "opens", "probe": "syscall.openat", "execname": "cat", "pid": 42}
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from time import monotonic

from agent import log_sinks
from agent.config.settings import LogSettings
from agent.log_messages import Message
from agent.log_sinks import LineCount
from agent.scripts.line_buffer import Line, LineBuffer
from agent.scripts.line_limit import LineLimit
from agent.scripts.recent_errors import RecentErrors
from agent.scripts.recent_lines import RecentLines
from agent.scripts.repeats import PERIOD, Repeats
from runtime.abi.manifest import Manifest
from runtime.abi.structs import EventKind
from runtime.events import decode as events
from runtime.events.decode import Event

_QUIET_NS = 1_000_000_000  # the age at which an incomplete line is logged
_PLACES = 3  # that a message about dropped lines names


class ScriptLog:
    """A script's log. Counts the lines written, those that were lost, and those that the rate limit dropped.

    Errors have no rate limit, because those of one place are summed up. How many lines were dropped is told
    as often.
    """

    def __init__(
        self, script: str, settings: LogSettings, clock: Callable[[], float] = monotonic
    ) -> None:
        self.script = script
        self.lines = LineCount()
        self.errors = RecentErrors()
        self.recent = RecentLines()
        self.limit = LineLimit(settings, clock)
        self._clock = clock
        self._buffer = LineBuffer()
        self._time_offset = 0
        self._repeats: Repeats[tuple[EventKind, int, str]] = Repeats()
        self._told: Counter[str] = Counter()  # lines that were reported as dropped
        self._told_at = clock() - PERIOD

    @property
    def written(self) -> int:
        """Lines that are in the journal or the pipe, and do not only wait for it."""
        return self.lines.written

    @property
    def dropped(self) -> int:
        return self.limit.dropped.total()

    def configure(self, settings: LogSettings) -> None:
        if settings != self.limit.settings:
            self.limit.configure(settings)

    def add(self, event: Event, manifest: Manifest, time_offset: int) -> None:
        """Log one event. `time_offset`: what to add to the event's time to get ns since 1970."""
        self._time_offset = time_offset
        probe = manifest.probes[event.probe].point if event.probe is not None else ""
        match event.kind:
            case EventKind.PRINT:
                site = manifest.prints[event.site]
                text = events.log_text(event, manifest)
                if site.log and not text.endswith("\n"):
                    text += "\n"
                fields, place = arguments(event, manifest), site.location
                printed = Line(text, event.cpu, probe, event.time_ns, fields, place)
                for line in self._buffer.add(printed):
                    self._write("info", line)
            case EventKind.WARNING:
                text = events.log_text(event, manifest)
                line = Line(text, event.cpu, probe, event.time_ns, {}, f"warnings of {probe}")
                self._write("warning", line)
            case EventKind.ERROR | EventKind.COMMAND:
                text = events.log_text(event, manifest)
                if event.kind is EventKind.COMMAND:
                    text = f"system() works with `stapwatch run` only; not started: {text}"
                if event.kind is EventKind.ERROR:
                    self.errors.add(event, text, probe, manifest, time_offset)
                if self._repeats.add((event.kind, event.site, probe), text, self._clock()):
                    line = Line(text, event.cpu, probe, event.time_ns, {})
                    self._emit(_LEVELS[event.kind], line)
            case EventKind.STATE | EventKind.SWITCH:
                pass  # the supervisor handles states; a log has no file to switch

    def flush(self, everything: bool = False) -> None:
        """Log incomplete lines: old ones, or all; and what was summed up, if its time is over."""
        for line in self._buffer.flush(0 if everything else _QUIET_NS):
            self._write("info", line)
        self.sum_up(everything)

    def sum_up(self, everything: bool = False) -> None:
        """Log what was summed up, if its time is over, or all."""
        now = self._clock()
        for found in self._repeats.summaries(now, everything):
            kind, _, probe = found.place
            text = f"{found.count} more in {found.seconds:.0f} s: {found.last}"
            fields: dict[str, object] = {"script": self.script, "count": found.count}
            fields |= {"probe": probe} if probe else {}
            fields |= {"message_id": Message.SCRIPT_ERROR} if kind is EventKind.ERROR else {}
            log_sinks.write_line(_LEVELS[kind], log_sinks.Escaped(text), fields)
        if everything or now - self._told_at >= PERIOD:
            self._tell_dropped(now)

    def _tell_dropped(self, now: float) -> None:
        new = self.limit.dropped - self._told
        if not new:
            return
        places = ", ".join(f"{n} of {place or 'no place'}" for place, n in new.most_common(_PLACES))
        more = f" and {len(new) - _PLACES} more places" if len(new) > _PLACES else ""
        log_sinks.log().warning(
            f"{new.total()} lines of script {self.script} were dropped by the rate limit: {places}{more}",
            message_id=Message.LINES_DROPPED,
            script=self.script,
            count=new.total(),
        )
        self._told, self._told_at = self.limit.dropped.copy(), now

    def cut(self, before: int) -> None:
        """Log the incomplete lines with an event older than `before`."""
        for line in self._buffer.flush(before=before):
            self._write("info", line)

    @property
    def oldest(self) -> int | None:
        """`time_ns` of the oldest event whose line is not complete."""
        return self._buffer.oldest

    def _write(self, level: str, line: Line) -> None:
        if self.limit.take(line.place):
            self._emit(level, line)

    def _emit(self, level: str, line: Line) -> None:
        fields: dict[str, object] = {"script": self.script}
        if line.probe:
            fields["probe"] = line.probe
        moment = line.time + self._time_offset
        fields |= {"cpu": line.cpu, "timestamp": log_sinks.isotime(moment)}
        names = log_sinks.field_names(tuple(line.fields))
        fields |= {names[name]: value for name, value in line.fields.items()}
        if level == "error":
            fields["message_id"] = Message.SCRIPT_ERROR
        self.recent.add(level, moment, line.probe, line.text)
        log_sinks.write_line(level, log_sinks.Escaped(line.text), fields, self.lines)


_LEVELS = {EventKind.ERROR: "error", EventKind.COMMAND: "warning"}


def arguments(event: Event, manifest: Manifest) -> Mapping[str, int | str]:
    """A print's arguments by name, without histograms, which are text drawings."""
    return {
        argument.name: value
        for argument, value in zip(manifest.prints[event.site].arguments, event.args, strict=True)
        if not isinstance(value, tuple)
    }
