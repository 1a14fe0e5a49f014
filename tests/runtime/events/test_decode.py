# SPDX-License-Identifier: GPL-2.0-or-later
"""Event records: decoding, damaged records, and their text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.abi.manifest import Argument, ErrorSite, Histogram, HistogramKind, Manifest, ValueType
from runtime.abi.structs import NO_PROBE, NO_SITE, EventKind
from runtime.events.decode import Event, decode, log_text, text
from runtime.events.histogram_text import render
from runtime.events.printf import Kind, arguments, parse
from runtime.support.record import replace
from tests.runtime.images import Plan, encoded, event, histogram_argument, with_print

PID = Argument("pid", ValueType.LONG)
NAME = Argument("name", ValueType.STRING)
HIST = Histogram(HistogramKind.BOUNDS, 0, 3, bounds=(1, 2))
EMPTY = Plan(lanes=1).manifest()


def printed(form: str, *values: int | str | bytes | tuple[int, ...]) -> str:
    """The text of a print with these arguments, encoded and decoded as a record."""
    kinds = [
        PID if isinstance(v, int) else histogram_argument(HIST) if isinstance(v, tuple) else NAME
        for v in values
    ]
    manifest = with_print(EMPTY, form, *kinds)
    (found,) = decode(event(EventKind.PRINT, encoded(*values)), manifest)
    return text(found, manifest)


def test_fields() -> None:
    manifest = with_print(EMPTY, "%d %s", PID, NAME)
    data = event(
        EventKind.PRINT, encoded(-3, "sshd"), cpu=300, probe=1, time_ns=(1 << 64) - 1
    ) + event(EventKind.PRINT, encoded(4, ""), probe=NO_PROBE)
    assert decode(data, manifest) == [
        Event(EventKind.PRINT, 300, (1 << 64) - 1, 1, 0, (-3, "sshd")),
        Event(EventKind.PRINT, 0, 0, None, 0, (4, "")),
    ]
    assert decode(b"", manifest) == []


def test_a_reused_buffer() -> None:
    manifest = with_print(EMPTY, "%s", NAME)
    buffer = bytearray(100)
    record = event(EventKind.PRINT, encoded("first"))
    buffer[: len(record)] = record
    (found,) = decode(memoryview(buffer)[: len(record)], manifest)
    buffer[:] = bytes(100)
    assert found.args == ("first",)


@pytest.mark.parametrize(
    ("form", "values", "expected"),
    [
        ("%s(%d) open\n", ("sshd", 12), "sshd(12) open\n"),
        ("nothing", (), "nothing"),
        ("%*.*s|", (6, 2, "abc"), "    ab|"),
        ("%.4M", (b"\x00\x01\xfe\xff",), "0001feff"),
        ("%s", (b"caf\xe9",), "caf\udce9"),
        ("%s", ((1, 2, 3),), render(HIST, (1, 2, 3))),
        ("%d:\n%s", (9, (1, 2, 3)), "9:\n" + render(HIST, (1, 2, 3))),
    ],
)
def test_text(
    form: str, values: tuple[int | str | bytes | tuple[int, ...], ...], expected: str
) -> None:
    assert printed(form, *values) == expected


@pytest.mark.parametrize(
    ("form", "values", "expected"),
    [
        ("%s(%d) open\n", ("zz\r\nX: 1", 12), "zz\\x0d\\x0aX: 1(12) open\n"),
        ("a\nb\t%s\n", ("c\td",), "a\nb\tc\td\n"),
        ("%s", ("two\nlines\n",), "two\\x0alines\n"),
        ("%s\n", ("x\n",), "x\\x0a\n"),
        ("%.3s|%4s", ("a\nbc", "\n"), "a\\x0ab|   \\x0a"),
        ("%s", (b"caf\xe9",), "caf\\xe9"),
        ("%s", ("caf\\xe9",), "caf\\x5cxe9"),
        ("%c%c", (10, 27), "\\x0a\\x1b"),
        ("%c", (10,), "\n"),
        ("\33[1m%s", ("x",), "\\x1b[1mx"),
        ("%d:\n%s", (9, (1, 2, 3)), "9:\n" + render(HIST, (1, 2, 3))),
    ],
)
def test_what_a_value_holds_ends_no_line_of_a_log(
    form: str, values: tuple[int | str | bytes | tuple[int, ...], ...], expected: str
) -> None:
    kinds = [
        PID if isinstance(v, int) else histogram_argument(HIST) if isinstance(v, tuple) else NAME
        for v in values
    ]
    manifest = with_print(EMPTY, form, *kinds)
    (found,) = decode(event(EventKind.PRINT, encoded(*values)), manifest)
    assert log_text(found, manifest) == expected


@pytest.mark.parametrize("form", ["%s", "%s\n", "a\r%s", "%s %d\n", "%d%%\n", "%x|%s", "%5d", ""])
@pytest.mark.parametrize(
    "value", ["", "a", "a\n", "a\r\nX: 1", r"\x0d", "w\udcff", "\u2028", "cut\0here", "\u00e9"]
)
def test_the_quick_way_shows_the_same(
    form: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (0, 7, -7):
        kinds = [NAME if piece.kind is Kind.STRING else PID for piece in arguments(parse(form))]
        args = encoded(*(value if kind is NAME else number for kind in kinds))
        manifest = with_print(EMPTY, form, *kinds)
        (found,) = decode(event(EventKind.PRINT, args), manifest)
        quick = text(found, manifest), log_text(found, manifest)
        with monkeypatch.context() as slowly:
            slowly.setattr("runtime.events.decode._quick", lambda *_: None)
            assert quick == (text(found, manifest), log_text(found, manifest))


def test_errors_are_one_line_of_a_log() -> None:
    data = event(EventKind.WARNING, encoded("zz\r\nX: 1\n"), probe=NO_PROBE)
    (found,) = decode(data, EMPTY)
    assert log_text(found, EMPTY) == "zz\\x0d\\x0aX: 1"


def test_other_kinds() -> None:
    manifest = replace(EMPTY, errors=(ErrorSite("division by 0", "x.stp:3:7"),))
    data = (
        event(EventKind.ERROR, encoded("division by 0"))
        + event(EventKind.ERROR, encoded("cannot probe f2: error -2"), site=NO_SITE)
        + event(EventKind.STATE, b"", site=3, probe=NO_PROBE)
        + event(EventKind.WARNING, encoded("probe f1 was not placed"), probe=NO_PROBE)
    )
    assert [text(e, manifest) for e in decode(data, manifest)] == [
        "division by 0 at x.stp:3:7",
        "cannot probe f2: error -2",
        "module is exiting",
        "probe f1 was not placed",
    ]


ONE = with_print(EMPTY, "%s", NAME)
GOOD = event(EventKind.PRINT, encoded("good"))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (GOOD[:-8], "cannot have 40 bytes"),
        (GOOD[:10], "too few"),
        (b"\0" * 24, "cannot have 0 bytes"),
        (b"\x1c" + GOOD[1:], "cannot have 28 bytes"),
        (event(9, b""), "9"),
        (event(EventKind.PRINT, encoded("x"), site=1), "print 1 of 1"),
        (event(EventKind.ERROR, encoded("x")), "error 0 of 0"),
        (event(EventKind.STATE, b"", site=77), "77"),
        (event(EventKind.PRINT, encoded("x"), probe=2), "probe 2 of 2"),
        (event(EventKind.PRINT, b""), "no room for argument 'name'"),
        (event(EventKind.PRINT, encoded(1 << 60)), "argument 'name' has"),
        (event(EventKind.PRINT, encoded("x", 1)), "8 bytes behind"),
        (event(EventKind.STATE, bytes(8), site=1), "8 bytes behind"),
    ],
)
def test_damage(data: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=rf"damaged event at byte {len(GOOD)} .*{why}"):
        decode(GOOD + data, ONE)


def test_a_histogram_of_another_size() -> None:
    manifest = with_print(EMPTY, "%s", histogram_argument(HIST))
    with pytest.raises(ValueError, match="histogram 'hist' has 2 buckets"):
        decode(event(EventKind.PRINT, encoded((1, 2))), manifest)


ARGUMENTS = st.lists(
    st.one_of(
        st.integers(-(1 << 63), (1 << 63) - 1),
        st.text(max_size=30),
        st.binary(max_size=30).map(lambda b: b.decode(errors="surrogateescape")),
        st.tuples(*[st.integers(0, 1 << 40)] * 3),
    ),
    max_size=6,
)


@given(st.lists(ARGUMENTS, max_size=4))
def test_round_trip(records: list[list[int | str | tuple[int, ...]]]) -> None:
    manifest: Manifest = EMPTY
    data = b""
    for n, values in enumerate(records):
        kinds = tuple(
            PID
            if isinstance(v, int)
            else histogram_argument(HIST)
            if isinstance(v, tuple)
            else NAME
            for v in values
        )
        manifest = replace(
            manifest, prints=(*manifest.prints, *with_print(EMPTY, "", *kinds).prints)
        )
        data += event(EventKind.PRINT, encoded(*values), site=n)
    assert [list(e.args) for e in decode(data, manifest)] == records


@given(st.binary(max_size=80))
def test_garbage_is_refused(data: bytes) -> None:
    # every record has at least 24 bytes, and random bytes are hardly ever one
    try:
        events = decode(data, ONE)
    except ValueError as error:
        assert "damaged event at byte" in str(error)
    else:
        assert len(data) >= 24 * len(events)
