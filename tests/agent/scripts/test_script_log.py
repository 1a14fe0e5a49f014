# SPDX-License-Identifier: GPL-2.0-or-later
"""The names of a script's variables as fields of its lines. tests/agent/test_log_sinks.py has the rest."""

from __future__ import annotations

import contextlib
import inspect
import json
import keyword
import re
from collections.abc import Iterator, Mapping

import structlog

from agent import log_sinks
from agent.config.settings import LogFormat, LogSettings
from agent.log_sinks import JsonSink, journal_datagram
from agent.scripts.script_log import ScriptLog
from runtime.abi.manifest import Argument, Print, ValueType
from runtime.support.record import replace
from tests.agent.conftest import Lines
from tests.agent.test_log_sinks import printed, script_manifest


def parameter_names() -> list[str]:
    """The names of all parameters between a script's line and its sink, and those with a meaning."""
    log_sinks.configure(LogSettings(format=LogFormat.JSON))
    logger = log_sinks.log()
    functions = [getattr(logger, name) for name in dir(logger) if not name.startswith("__")]
    functions += [f for f in vars(log_sinks).values() if callable(f)]
    functions += [*structlog.get_config()["processors"], structlog.get_config()["wrapper_class"]]
    functions += [f for f in vars(structlog.get_config()["wrapper_class"]).values() if callable(f)]
    found = {"self", "cls", "exc_info", "stack_info", "exception", "args", "kwargs", "message_id"}
    found |= {*log_sinks.RESERVED, *keyword.kwlist, "syslog_identifier", "code_line", "object_pid"}
    for function in functions:
        with contextlib.suppress(TypeError, ValueError):
            found |= set(inspect.signature(function).parameters)
    return sorted(found)


def test_names_of_variables_break_no_line() -> None:
    """A script may call its variables what it likes: each line comes out whole, with each value."""
    names = parameter_names()
    assert {"self", "event", "level", "exc_info", "message_id", "entry", "text"} <= set(names)
    for name in names:
        arguments = (Argument(name, ValueType.STRING), Argument(f"arg_{name}", ValueType.LONG))
        found = replace(script_manifest(), prints=(Print("%s:%d\n", arguments, "x"),))
        lines = Lines()
        with swapped_sink(lines):
            ScriptLog("vfs", LogSettings()).add(printed(0, "its value", 7), found, 0)
        [entry] = lines.entries
        assert (entry["event"], entry["level"]) == ("its value:7", "info")
        assert (entry["script"], entry["probe"]) == ("vfs", 'kernel.function("f0")')
        fields = log_sinks.field_names((name, f"arg_{name}"))
        assert [entry[fields[n]] for n in fields] == ["its value", 7], (name, entry)
        assert json.loads(json_line(entry)) == entry
        data = journal_datagram(entry)
        for field in (b"MESSAGE=its value:7", b"PRIORITY=6", b"SCRIPT=vfs"):
            assert data.splitlines().count(field) == 1, (name, data)
        assert not re.search(rb"(?m)^(MESSAGE_ID|CODE_LINE|OBJECT_PID)=", data), (name, data)
        assert b"=its value\n" in data
        assert b"=7\n" in data


def json_line(entry: Mapping[str, object]) -> str:
    return JsonSink()._encode(entry).decode()


@contextlib.contextmanager
def swapped_sink(sink: Lines) -> Iterator[None]:
    before, log_sinks._sink = log_sinks._sink, sink
    try:
        yield
    finally:
        log_sinks._sink = before


def test_each_variable_has_a_field_of_its_own() -> None:
    names = ("event", "arg_event", "arg_arg_event", "Event", "x")
    found = log_sinks.field_names(names)
    assert len(set(found.values())) == len(names)
    assert (found["x"], found["arg_event"]) == ("x", "arg_event")
    assert "event" not in found.values()
