# SPDX-License-Identifier: GPL-2.0-or-later
"""A script's events as structured log lines: text, script, probe, cpu, time, and each printed argument.

printf("%s(%d) open\\n", execname(), pid())
-> {"event": "cat(42) open", "script": "opens", "probe": "syscall.openat", "execname": "cat", "pid": 42}
"""

from __future__ import annotations

from collections.abc import Mapping

from agent import log_sinks
from agent.config.settings import LogSettings
from agent.scripts.line_buffer import Line, LineBuffer, TokenBucket
from runtime.abi.manifest import Manifest
from runtime.abi.structs import EventKind
from runtime.events import decode as events
from runtime.events.decode import Event

_QUIET_NS = 1_000_000_000  # the age at which an incomplete line is logged


class ScriptLog:
    """A script's log. Counts the lines written and those that the rate limit dropped."""

    def __init__(self, script: str, settings: LogSettings) -> None:
        self.script = script
        self.written = 0
        self.dropped = 0
        self._buffer = LineBuffer()
        self.configure(settings)

    def configure(self, settings: LogSettings) -> None:
        self._bucket = TokenBucket(settings.rate_limit, settings.burst)

    def add(self, event: Event, manifest: Manifest, time_offset: int) -> None:
        """Log one event. `time_offset`: what to add to the event's time to get ns since 1970."""
        probe = manifest.probes[event.probe].point if event.probe is not None else ""
        moment = event.time_ns + time_offset
        match event.kind:
            case EventKind.PRINT:
                site = manifest.prints[event.site]
                text = events.log_text(event, manifest)
                if site.log and not text.endswith("\n"):
                    text += "\n"
                for line in self._buffer.add(
                    text, event.cpu, probe, moment, arguments(event, manifest)
                ):
                    self._write("info", line)
            case EventKind.ERROR | EventKind.WARNING:
                level = "error" if event.kind is EventKind.ERROR else "warning"
                text = events.log_text(event, manifest)
                self._write(level, Line(text, event.cpu, probe, moment, {}))
            case EventKind.COMMAND:
                command = events.log_text(event, manifest)
                text = f"system() works with `stapwatch run` only; not started: {command}"
                self._write("warning", Line(text, event.cpu, probe, moment, {}))
            case EventKind.STATE | EventKind.SWITCH:
                pass  # the supervisor handles states; a log has no file to switch

    def flush(self, everything: bool = False) -> None:
        """Log incomplete lines: old ones, or all."""
        for line in self._buffer.flush(0 if everything else _QUIET_NS):
            self._write("info", line)

    def _write(self, level: str, line: Line) -> None:
        if not self._bucket.take():
            self.dropped += 1
            return
        self.written += 1
        fields: dict[str, object] = {"script": self.script}
        if line.probe:
            fields["probe"] = line.probe
        fields |= {"cpu": line.cpu, "timestamp": log_sinks.isotime(line.time)}
        for name, value in line.fields.items():
            fields[f"arg_{name}" if name in log_sinks.RESERVED else name] = value
        getattr(log_sinks.log(), level)(log_sinks.Escaped(line.text), **fields)


def arguments(event: Event, manifest: Manifest) -> Mapping[str, int | str]:
    """A print's arguments by name, without histograms, which are text drawings."""
    return {
        argument.name: value
        for argument, value in zip(manifest.prints[event.site].arguments, event.args, strict=True)
        if not isinstance(value, tuple)
    }
