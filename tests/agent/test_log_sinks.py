# SPDX-License-Identifier: GPL-2.0-or-later
"""Log lines: joined, rate-limited, written as JSON to a pipe and in journald's protocol to a socket."""

from __future__ import annotations

import json
import os
import queue
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import log_sinks
from agent.config.settings import LogFormat, LogSettings
from agent.log_sinks import JournalSink, JsonSink, journal_datagram
from agent.scripts.line_buffer import LONGEST, Line, LineBuffer
from agent.scripts.script_log import ScriptLog
from runtime.abi.manifest import Argument, ErrorSite, Manifest, Print, ValueType
from runtime.abi.structs import NO_PROBE, EventKind
from runtime.events.decode import Event, log_text
from runtime.support.record import replace
from tests import PROJECT
from tests.agent import values
from tests.agent.conftest import Lines
from tests.runtime.images import Plan


def script_manifest() -> Manifest:
    arguments = (Argument("execname", ValueType.STRING), Argument("cpu", ValueType.LONG))
    prints = (
        Print("%s on %d\n", arguments, "x"),
        Print("note", (), "x", log=True),
        Print("%s", arguments[:1], "x"),
    )
    plan = Plan(lanes=1, probes=2)
    return replace(
        plan.manifest(), prints=prints, errors=(ErrorSite("division by 0", "x.stp:3:4"),)
    )


def printed(site: int, *args: int | str, cpu: int = 1, time: int = 0) -> Event:
    return Event(EventKind.PRINT, cpu, time, 0, site, args)


def test_a_print_is_a_line_with_fields(lines: Lines) -> None:
    log = ScriptLog("vfs", LogSettings())
    log.add(printed(0, "cat", 7, time=1_500_000), script_manifest(), 1_700_000_000_000_000_000)
    assert lines.entries == [
        {
            "event": "cat on 7",
            "level": "info",
            "script": "vfs",
            "probe": 'kernel.function("f0")',
            "cpu": 1,
            "execname": "cat",
            "arg_cpu": 7,
            "timestamp": "2023-11-14T22:13:20.001500Z",
        }
    ]


_SAYS = """
from agent import log_sinks
from agent.config.settings import LogSettings
log_sinks.configure(LogSettings())
log_sinks.log().error("script a does not compile: x.stp:1:1: no\\n 1 | x\\n   | ^", script="a", slug="x")
log_sinks.log().info("it is well")
log_sinks.close()
"""


def test_a_terminal_shows_lines_for_people_and_a_pipe_gets_json() -> None:
    master, slave = os.openpty()
    command = [sys.executable, "-c", _SAYS]
    subprocess.run(command, stderr=slave, check=True, cwd=PROJECT)
    os.close(slave)
    shown = os.read(master, 4096).decode().replace("\r\n", "\n")
    os.close(master)
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d ERROR script a does not compile: x.stp:1:1: no\n 1 \| x\n   \| \^\n"
        r"\d\d:\d\d:\d\d it is well\n",
        shown,
    ), shown
    piped = subprocess.run(command, stderr=subprocess.PIPE, check=True, cwd=PROJECT).stderr
    assert [json.loads(line)["level"] for line in piped.splitlines()] == ["error", "info"]


def test_log_is_a_line_of_its_own_and_odd_bytes_are_shown(lines: Lines) -> None:
    log = ScriptLog("vfs", LogSettings())
    log.add(printed(1), script_manifest(), 0)
    log.add(printed(2, "caf\udce9\n"), script_manifest(), 0)
    assert lines.texts == ["note", "caf\\xe9"]
    assert lines.entries[1]["execname"] == "caf\\xe9\n"


def test_a_process_name_makes_no_entry_of_its_own(lines: Lines) -> None:
    """Control characters are escaped in the text and kept in the field, for all sinks."""
    log = ScriptLog("vfs", LogSettings())
    log.add(printed(0, "zz\r\nX: 1", 7), script_manifest(), 0)
    log.add(printed(0, r"zz\x0d\x0aX: 1", 7), script_manifest(), 0)
    (error,) = (Event(EventKind.ERROR, 0, 0, 1, 0, ("no\nX: 1",)),)
    log.add(error, script_manifest(), 0)
    assert lines.texts == [
        r"zz\x0d\x0aX: 1 on 7",
        r"zz\x5cx0d\x5cx0aX: 1 on 7",
        r"no\x0aX: 1 at x.stp:3:4",
    ]
    assert [e.get("execname") for e in lines.entries[:2]] == ["zz\r\nX: 1", r"zz\x5cx0d\x5cx0aX: 1"]
    data = journal_datagram(lines.entries[0])
    assert data.count(b"MESSAGE=") == 1 and b"\nX: 1" in data  # in a field with a length
    assert b"EXECNAME\n\x08\0\0\0\0\0\0\0zz\r\nX: 1\n" in data


@given(st.lists(st.text(st.sampled_from("zX\r\n\\x0ad\udcff\x85\u2028"), max_size=8), unique=True))
def test_distinct_names_are_distinct_lines(names: list[str]) -> None:
    found = script_manifest()
    texts = []
    for name in names:
        (line,) = LineBuffer().add(Line(log_text(printed(0, name, 1), found), 0, "", 0, {}))
        texts.append(line.text)
    assert len(set(texts)) == len(names)
    assert all(len(text.splitlines()) == 1 for text in texts)


def test_the_agents_own_messages_are_escaped_once(lines: Lines) -> None:
    log_sinks.log().info("a\nb\r\udcff", path=Path("/x\udcfe"), n=1.5, none=None)
    (entry,) = lines.entries
    assert (entry["event"], entry["path"]) == ("a\nb\\x0d\\xff", "/x\\xfe")
    assert (entry["n"], entry["none"]) == (1.5, None)


def test_incomplete_lines_are_logged_by_their_age() -> None:
    """Not by the date: a clock that is set back would hold them for that long."""
    now = 0
    buffer = LineBuffer(lambda: now)
    buffer.add(Line("x", 0, "", 1_700_000_000_000_000_000, {}))
    assert buffer.flush(10) == []
    now = 10
    assert [line.text for line in buffer.flush(10)] == ["x"]


def test_errors_and_warnings(lines: Lines) -> None:
    log = ScriptLog("vfs", LogSettings())
    log.add(Event(EventKind.ERROR, 0, 0, 1, 0, ("division by 0",)), script_manifest(), 0)
    log.add(Event(EventKind.WARNING, 0, 0, None, NO_PROBE, ("late",)), script_manifest(), 0)
    assert [(e["level"], e["event"]) for e in lines.entries] == [
        ("error", "division by 0 at x.stp:3:4"),
        ("warning", "late"),
    ]
    assert "probe" not in lines.entries[1]


def test_errors_of_a_place_are_summed_up(lines: Lines) -> None:
    """The rate limit, which they would exhaust, does not hold for them."""
    now = 0.0
    log = ScriptLog("vfs", LogSettings(rate_limit=1e-9, burst=1), lambda: now)
    found = script_manifest()
    for n in range(1000):
        log.add(Event(EventKind.ERROR, 0, 0, 1, 0, (f"fault at {n}",)), found, 0)
        log.add(Event(EventKind.COMMAND, 0, 0, 1, 0, ("reboot",)), found, 0)
    refused = "system() works with `stapwatch run` only; not started: reboot"
    assert lines.texts == ["fault at 0 at x.stp:3:4", refused]
    log.flush()
    now = 12.0
    log.flush()
    log.flush()
    assert lines.texts[2:] == [
        "999 more in 12 s: fault at 999 at x.stp:3:4",
        f"999 more in 12 s: {refused}",
    ]
    assert [(e["level"], e["count"]) for e in lines.entries[2:]] == [
        ("error", 999),
        ("warning", 999),
    ]
    assert lines.entries[2]["probe"] == lines.entries[0]["probe"]
    assert (log.written, log.dropped) == (2, 0)


def test_dropped_lines_are_told(lines: Lines) -> None:
    now = 100.0
    log = ScriptLog("vfs", LogSettings(rate_limit=1e-9, burst=1), lambda: now)
    for _ in range(5):
        log.add(printed(1), script_manifest(), 0)
    log.flush()
    log.add(printed(1), script_manifest(), 0)
    log.flush()
    told = "4 lines of script vfs were dropped by the rate limit: 4 of x"
    assert lines.texts == ["note", told], "not again so soon"
    now = 111.0
    log.flush()
    log.flush(everything=True)
    assert lines.texts[2:] == ["1 lines of script vfs were dropped by the rate limit: 1 of x"]


def test_parts_are_joined_by_cpu_until_the_newline(lines: Lines) -> None:
    log = ScriptLog("vfs", LogSettings())
    found = script_manifest()
    log.add(printed(2, "a ", cpu=0), found, 0)
    log.add(printed(2, "b ", cpu=1), found, 0)
    log.add(printed(0, "c", 9, cpu=0), found, 0)
    assert lines.texts == ["a c on 9"]
    log.flush(everything=True)
    assert lines.texts == ["a c on 9", "b "]


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.text(st.sampled_from("ab\n"), max_size=6)), max_size=30
    )
)
def test_joining_loses_nothing(parts: list[tuple[int, str]]) -> None:
    buffer = LineBuffer()
    out = {cpu: [] for cpu in range(3)}  # type: dict[int, list[str]]
    for cpu, text in parts:
        for line in buffer.add(Line(text, cpu, "", 0, {})):
            out[line.cpu].append(line.text + "\n")
    for line in buffer.flush():
        out[line.cpu].append(line.text)
    for cpu in out:
        assert "".join(out[cpu]) == "".join(text for c, text in parts if c == cpu)


def test_a_line_without_end_is_cut() -> None:
    buffer = LineBuffer()
    found = [
        line
        for n in range(3 * LONGEST // 100)
        for line in buffer.add(Line("x" * 100, 0, "", n, {}))
    ]
    assert len(found) >= 2 and all(len(line.text) <= LONGEST for line in found)


def test_what_is_kept_back_is_counted(lines: Lines) -> None:
    log = ScriptLog("vfs", LogSettings(rate_limit=1e-9, burst=2))
    for _ in range(5):
        log.add(printed(1), script_manifest(), 0)
    assert (log.written, log.dropped, len(lines.entries)) == (2, 3, 2)
    log.configure(LogSettings(rate_limit=1e-9, burst=2))
    log.add(printed(1), script_manifest(), 0)
    assert log.dropped == 4, "a reload that changes nothing gives no new tokens"


def test_a_line_has_the_place_of_its_first_print(lines: Lines) -> None:
    buffer = LineBuffer()
    assert buffer.add(Line("a ", 0, "p", 0, {}, "x.stp:1:1")) == []
    (line,) = buffer.add(Line("b\n", 0, "p", 0, {}, "x.stp:2:1"))
    assert (line.text, line.place) == ("a b", "x.stp:1:1")


def test_lines_are_counted_when_they_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not when they are added to the queue; those that are lost are counted as lost."""
    read, write = os.pipe()
    monkeypatch.setattr(log_sinks, "JsonSink", lambda: JsonSink(write))
    log_sinks.configure(LogSettings(format=LogFormat.JSON))
    log = ScriptLog("vfs", LogSettings(rate_limit=0))
    found = script_manifest()
    for _ in range(20_000):
        log.add(printed(0, "x" * 80, 1), found, 0)
    kept = 20_000 - log.lines.refused
    assert 0 < log.lines.refused < 20_000
    assert log.written < kept, "the pipe holds 64 KiB, and the queue the rest"
    log_sinks.log().info("the agent's own lines are not the script's")
    data = b""
    while data.count(b"\n") < kept:
        data += os.read(read, 1 << 20)
    log_sinks.close()  # waits for the thread
    assert (log.written, log.lines.lost) == (kept, 20_000 - kept)
    os.close(read)
    os.close(write)


def test_lines_of_a_level_that_is_not_logged_are_not_counted(lines: Lines) -> None:
    log_sinks.configure(LogSettings(level="error", format=LogFormat.JSON))
    log = ScriptLog("vfs", LogSettings())
    log.add(printed(1), script_manifest(), 0)
    assert (log.written, log.dropped, log.lines.lost, lines.entries) == (0, 0, 0, [])


def test_lost_lines_stay_counted_when_the_format_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = Lines(), Lines()
    first.lost = 7
    monkeypatch.setattr(log_sinks, "JsonSink", lambda: first)
    monkeypatch.setattr(log_sinks, "JournalSink", lambda: second)
    log_sinks.configure(LogSettings(format=LogFormat.JSON))
    log_sinks.configure(LogSettings(format=LogFormat.JOURNALD))
    second.lost = 1
    assert log_sinks.lost() == 8
    log_sinks.close()


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def test_json_lines(pipe: tuple[int, int]) -> None:
    read, write = pipe
    sink = JsonSink(write)
    sink.write({"event": "a\n\u00e9\udce9", "n": 1})
    sink.close()
    assert json.loads(os.read(read, 4096).decode()) == {"event": "a\n\u00e9\udce9", "n": 1}
    assert sink.lost == 0


def test_a_stalled_pipe_costs_lines_and_never_blocks() -> None:
    read, write = os.pipe()
    sink = JsonSink(write)
    for _ in range(20_000):
        sink.write({"event": "x" * 100})
    lost = sink.lost
    assert lost >= 9_000
    os.close(read)  # the thread, which waits in write(), goes on and ends
    sink.close()
    os.close(write)
    assert sink.lost > lost


def test_written_is_answered_in_the_order_of_the_lines() -> None:
    read, write = os.pipe()
    sink = JsonSink(write)
    assert sink.written(lambda: None), "no line waits"
    sink.write({"event": "x" * 200_000})
    answers: queue.SimpleQueue[int] = queue.SimpleQueue()
    assert not sink.written(lambda: answers.put(1))
    sink.write({"event": "y"})
    assert not sink.written(lambda: answers.put(2))
    assert answers.empty()
    data = b""
    while not data.endswith(b'y"}\n'):
        data += os.read(read, 65536)
    assert [answers.get(timeout=60) for _ in range(2)] == [1, 2]
    sink.close()
    os.close(read)
    os.close(write)


def test_what_waits_when_a_stalled_sink_is_closed_is_lost_and_answered() -> None:
    read, write = os.pipe()
    sink = JsonSink(write)
    sink.write({"event": "x" * 200_000})
    for _ in range(10):
        sink.write({"event": "y"})
    answers: list[int] = []
    sink.written(lambda: answers.append(1))
    sink.close()
    assert (answers, sink.lost) == ([1], 10)
    os.close(read)  # ends the thread
    os.close(write)


def test_a_stalled_journal_delays_lines_and_never_blocks(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(str(path))
        journal.settimeout(60)
        sink = JournalSink(str(path))
        count = 0
        while sink.written(lambda: None):  # until the socket is full
            sink.write({"event": f"line {count}"})
            count += 1
        for _ in range(1000):
            sink.write({"event": f"line {count}"})
            count += 1
        answers: queue.SimpleQueue[int] = queue.SimpleQueue()
        assert not sink.written(lambda: answers.put(1))
        found = [journal.recv(4096) for _ in range(count)]
        assert answers.get(timeout=60) == 1
        assert [b"MESSAGE=line %d\n" % n in data for n, data in enumerate(found)] == [True] * count
        assert sink.lost == 0
        sink.close()


def test_a_stalled_journal_has_a_bound(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(str(path))
        sink = JournalSink(str(path))
        for _ in range(3000):
            sink.write({"event": "x" * 1000})
        assert 1000 < sink.lost < 2500
    sink.close()  # the thread finds that nobody listens


def test_journal_datagram() -> None:
    data = journal_datagram(
        {"event": "two\nlines", "level": "error", "script": "vfs", "9lives": 1, "_pid": 2, "n": -3}
    )
    assert data == (
        b"SYSLOG_IDENTIFIER=stapwatch\n"
        b"MESSAGE\n\x09\0\0\0\0\0\0\0two\nlines\n"
        b"PRIORITY=3\nSCRIPT=vfs\nX9LIVES=1\nPID=2\nN=-3\n"
    )


def test_no_field_hides_another() -> None:
    data = journal_datagram(
        {"Pid": 1, "pid": 2, "Message": 3, "syslog_identifier": 4, "event": "e"}
    )
    assert data == (
        b"SYSLOG_IDENTIFIER=stapwatch\nPID=1\nPID_2=2\nMESSAGE_2=3\nSYSLOG_IDENTIFIER_2=4\nMESSAGE=e\n"
    )


def test_journal_socket(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(str(path))
        journal.settimeout(30)
        sink = JournalSink(str(path))
        sink.write({"event": "hello", "level": "info"})
        assert b"MESSAGE=hello\nPRIORITY=6\n" in journal.recv(4096)
        large = "x" * 20_000_000
        sink.write({"event": large})
        _, fds, _, _ = socket.recv_fds(journal, 16, 1)
        with os.fdopen(fds[0], "rb") as file:
            file.seek(0)
            assert file.read().endswith(large.encode() + b"\n")
        sink.close()
    sink = JournalSink(str(tmp_path / "none"))
    sink.write({"event": "x"})
    assert sink.lost == 1
    sink.close()


def test_under_journald_by_device_and_inode(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with (tmp_path / "stream").open("w") as stream:
        stat = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{stat.st_dev}:{stat.st_ino}")
        assert log_sinks.under_journald(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{stat.st_dev}:{stat.st_ino + 1}")
        assert not log_sinks.under_journald(stream.fileno())


def test_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    log_sinks.configure(LogSettings(level="warning", format=LogFormat.JSON))
    found = Lines()
    monkeypatch.setattr(log_sinks, "_sink", found)
    log_sinks.log().info("quiet")
    log_sinks.log().warning("a %s b")
    assert found.texts == ["a %s b"]
    assert found.entries[0]["timestamp"].endswith("Z")
    monkeypatch.undo()
    log_sinks.close()


def test_stand_in_manifest_is_whole() -> None:
    assert Manifest.from_json(values.manifest().to_json()) == values.manifest()
