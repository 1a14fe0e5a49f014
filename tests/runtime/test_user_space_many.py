# SPDX-License-Identifier: GPL-2.0-or-later
"""The runtime in a normal process, under sanitizers: strings, formats, and whole scripts."""

from __future__ import annotations

import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime import abi
from runtime.abi import EventKind, Header, State
from tests.runtime.sanitized import build

HERE = Path(__file__).parent
FORMAT, COPY, CONCAT, APPEND, PREPEND, DOUBLE, STRING_QUOTED, BUFFER_QUOTED, STRING, STRING_N = (
    range(10)
)
MASK = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a string function into a buffer of `size` bytes."""

    function: int
    size: int
    strings: tuple[bytes, ...]
    longs: tuple[int, ...] = ()

    def pack(self) -> bytes:
        head = struct.pack("<4I", self.function, self.size, len(self.longs), len(self.strings))
        longs = struct.pack(f"<{len(self.longs)}q", *self.longs)
        return head + longs + b"".join(struct.pack("<I", len(s)) + s for s in self.strings)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("strings")
    return build(HERE / "user" / "strings.c", folder / "strings", with_main=False)


def ask(program: Path, calls: list[Call]) -> list[tuple[bytes, int]]:
    """The text and the number of cuts of each call."""
    requests = b"".join(call.pack() for call in calls)
    done = subprocess.run([program], input=requests, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    answers, at = [], 0
    for _ in calls:
        length, cut = struct.unpack_from("<II", done.stdout, at)
        answers.append((done.stdout[at + 8 : at + 8 + length], cut))
        at += 8 + length
    assert at == len(done.stdout)
    return answers


def cut_to(text: bytes, size: int) -> tuple[bytes, int]:
    return text[: size - 1], int(len(text) > size - 1)


# -- formats ------------------------------------------------------------------------------------

DIRECTIVES = [
    ("%d|%5d|%-5d|%05d|%+d|% d", (7, -7, 7, -7, 7, 7), "7|   -7|7    |-0007|+7| 7"),
    ("%i", (-(1 << 63),), "-9223372036854775808"),
    ("%u", (-1,), "18446744073709551615"),
    ("%x|%X|%#x|%#X|%#o|%o", (255, 255, 255, 255, 8, 8), "ff|FF|0xff|0XFF|010|10"),
    ("%#x|%#o", (0, 0), "0|0"),
    ("%p|%10p|%-6p|", (255, 255, 1), "0xff|      0xff|0x1   |"),
    ("%.3d|%8.3d|%-8.3d|%.0d|", (5, -5, 5, 0), "005|    -005|005     ||"),
    ("%08.3d", (5,), "     005"),
    ("%*d|%-*d|%.*d", (4, 1, 4, 1, 3, 1), "   1|1   |001"),
    ("%*d|", (-4, 1), "1   |"),
    ("%c%c%3c%-3c|", (104, 105, 33, 33), "hi  !!  |"),
    ("%lld %hd %ld", (1, 2, 3), "1 2 3"),
    ("100%%", (), "100%"),
    ("%#010x", (255,), "0x000000ff"),
    ("%b", (0x6162636465666768,), "hgfedcba"),
    ("%4b%2b%1b", (0x64636261, 0x6665, 0x67), "abcdefg"),
]


@pytest.mark.parametrize(("form", "longs", "wanted"), DIRECTIVES, ids=[d[0] for d in DIRECTIVES])
def test_directives(program: Path, form: str, longs: tuple[int, ...], wanted: str) -> None:
    assert ask(program, [Call(FORMAT, 128, (form.encode(),), longs)]) == [(wanted.encode(), 0)]


def test_string_directives(program: Path) -> None:
    strings = (b"%s|%5s|%-5s|%.2s|%5.2s|", b"a", b"b", b"c", b"defg", b"hijk")
    assert ask(program, [Call(FORMAT, 128, strings)]) == [(b"a|    b|c    |de|   hi|", 0)]


flags = st.sampled_from(["", "-", "+", " ", "#", "0", "-+", "+0", "#0", " 0", "-#"])
width = st.sampled_from(["", "1", "7", "30"])
precision = st.sampled_from(["", ".0", ".3", ".25"])
letters = st.sampled_from("duxXo")
longs64 = st.integers(-(1 << 63), (1 << 63) - 1) | st.sampled_from([0, 1, -1])


def as_python(flag: str, wide: str, exact: str, letter: str, value: int) -> bytes:
    """The same by Python's own operator, where that follows C."""
    if letter in "uxXo":
        value &= MASK
        flag = flag.replace("+", "").replace(" ", "")
    octal = letter == "o" and "#" in flag
    if letter in "ud" or value == 0:
        flag = flag.replace("#", "")
    if exact:
        flag = flag.replace("0", "")
    if exact == ".0" and value == 0:
        if octal:  # C's one exception: the prefix is the number
            return f"{'0':{'<' if '-' in flag else '>'}{wide or 1}}".encode()
        sign = "+" if "+" in flag else " " if " " in flag else ""
        return f"{sign:{'<' if '-' in flag else '>'}{wide or 0}}".encode()
    if letter == "o" and "#" in flag:  # Python writes 0o
        digits = f"{value:o}"
        digits = digits.zfill(max(int(exact[1:] or 0) if exact else 0, len(digits) + 1))
        if "0" in flag and "-" not in flag and wide:
            digits = digits.zfill(int(wide))
        return f"{digits:{'<' if '-' in flag else '>'}{wide or 0}}".encode()
    return (f"%{flag}{wide}{exact}{'d' if letter == 'u' else letter}" % value).encode()


@settings(max_examples=1500, deadline=None)
@given(
    st.lists(
        st.tuples(flags, width, precision, letters, longs64, st.integers(1, 64)),
        min_size=1,
        max_size=60,
    )
)
def test_numbers_as_python_formats_them(
    program: Path, cases: list[tuple[str, str, str, str, int, int]]
) -> None:
    calls = [
        Call(FORMAT, size, (f"%{flag}{wide}{exact}{letter}".encode(),), (value,))
        for flag, wide, exact, letter, value, size in cases
    ]
    wanted = [
        cut_to(as_python(flag, wide, exact, letter, value), size)
        for flag, wide, exact, letter, value, size in cases
    ]
    assert ask(program, calls) == wanted


@settings(max_examples=1500, deadline=None)
@given(st.binary(max_size=40).filter(lambda b: 0 not in b), st.integers(1, 40))
def test_any_format_stays_in_its_buffer(program: Path, form: bytes, size: int) -> None:
    """More arguments than any format of 40 bytes can ask for; %m and %M would read addresses."""
    form = form.replace(b"m", b"d").replace(b"M", b"d")
    strings = (form, *(b"text" for _ in range(15)))
    if form.count(b"s") > 15:
        return
    ((text, _),) = ask(program, [Call(FORMAT, size, strings, tuple(range(130)))])
    assert len(text) < size


# -- copies -------------------------------------------------------------------------------------

texts = st.binary(max_size=30).map(lambda b: b.replace(b"\0", b"x"))


@settings(max_examples=1500, deadline=None)
@given(st.lists(st.tuples(texts, texts, st.integers(1, 70)), min_size=1, max_size=40))
def test_copies_and_joins(program: Path, cases: list[tuple[bytes, bytes, int]]) -> None:
    calls, wanted = [], []
    for a, b, size in cases:
        calls += [Call(COPY, size, (a,)), Call(CONCAT, size, (a, b))]
        wanted += [cut_to(a, size), cut_to(a + b, size)]
        for function, kept, joined in (
            (APPEND, a, a[: size - 1] + b),
            (PREPEND, b, a + b[: size - 1]),
            (DOUBLE, a, a[: size - 1] * 2),
        ):
            calls.append(Call(function, size, (a, b)))
            text, cut = cut_to(joined, size)
            wanted.append((text, cut + cut_to(kept, size)[1]))
        calls += [Call(STRING, size, (a,)), Call(STRING_N, size, (a,), (len(b),))]
        wanted += [cut_to(a, size), cut_to(a[: len(b)], size)]
    assert ask(program, calls) == wanted


QUOTED = [
    (b"plain", '"plain"'),
    (b"", '""'),
    (b'tab\t"q" \\ \x7f\xff', r'"tab\t\"q\" \\ \177\377"'),
    (b"\x012\x01x\x1b9", r'"\0012\1x\0339"'),
    (b"\a\b\n\v\f\r", r'"\7\10\n\v\f\r"'),
]


@pytest.mark.parametrize(("text", "wanted"), QUOTED, ids=[wanted for _, wanted in QUOTED])
def test_quotes_as_strace(program: Path, text: bytes, wanted: str) -> None:
    assert ask(program, [Call(STRING_QUOTED, 64, (text,))]) == [(wanted.encode(), 0)]


def test_a_long_quote_says_that_it_was_cut(program: Path) -> None:
    assert ask(program, [Call(STRING_QUOTED, 16, (b"0123456789abcdef",))]) == [
        (b'"0123456789"...', 1)
    ]
    assert ask(program, [Call(STRING_QUOTED, 16, (b"01234567\x01\x02",))]) == [
        (rb'"01234567\1"...', 1)
    ]


def test_a_buffer_may_hold_nuls(program: Path) -> None:
    assert ask(program, [Call(BUFFER_QUOTED, 64, (b"a\0b\0" + b"1",), (5,))]) == [
        (rb'"a\0b\0001"', 0)
    ]
    assert ask(program, [Call(BUFFER_QUOTED, 64, (b"abc",), (2,))]) == [(b'"ab"', 0)]


# -- scripts ------------------------------------------------------------------------------------


def test_a_script_runs_as_in_the_kernel(tmp_path: Path) -> None:
    """timers.c, whose tenth tick ends it: the same events and the same image as a module's."""
    (tmp_path / "kernel.h").write_text("#define BUILD_ID { 0 }\n")
    modules = HERE / "modules"
    script = build(
        modules / "timers.c", tmp_path / "timers", includes=(tmp_path, modules), with_main=True
    )
    events, picture = tmp_path / "events", tmp_path / "image"
    subprocess.run(
        [script, "-n", "100", "-l", "3", "-e", events, "-i", picture], check=True, timeout=60
    )

    data, at, found = events.read_bytes(), 0, []
    while at < len(data):
        size, kind, _, site, _, _ = abi.EVENT.unpack_from(data, at)
        found.append((EventKind(kind), site))
        at += size
    states = [site for kind, site in found if kind == EventKind.STATE]
    prints = [site for kind, site in found if kind == EventKind.PRINT]
    assert states == [State.STARTING, State.RUNNING, State.EXITING, State.STOPPED]
    assert prints == [1] * 10 + [2]

    memory = picture.read_bytes()
    header = Header.unpack(memory)
    assert (header.nr_lanes, header.state) == (3, State.STOPPED)
    assert len(memory) == header.lanes_offset + 3 * header.lane_stride
    hits = [0] * 5
    for lane in range(3):
        for probe in range(5):
            place = header.lanes_offset + lane * header.lane_stride + probe * abi.PROBE_COUNTS.size
            hits[probe] += abi.PROBE_COUNTS.unpack_from(memory, place)[0]
    assert hits == [10, 9, 9, 9, 1]  # the last tick let no other timer in
