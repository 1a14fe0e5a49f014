# SPDX-License-Identifier: GPL-2.0-or-later
"""The runtime in a normal process, under sanitizers: strings, formats, and whole scripts."""

from __future__ import annotations

import struct
import subprocess
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.abi import structs
from runtime.abi.structs import EventKind, Header, State
from runtime.events import printf
from tests.runtime.hosted.sanitized import build

HERE = Path(__file__).parent
FORMAT, COPY, CONCAT, APPEND, PREPEND, DOUBLE, STRING_QUOTED, BUFFER_QUOTED, STRING, STRING_N = (
    range(10)
)


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
    return build(HERE / "strings.c", folder / "strings", with_main=False)


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


def as_reader(form: str, args: tuple[int | bytes, ...], size: int) -> tuple[bytes, int]:
    """The text that a reader of events produces from the same format: a kernel string ends at a NUL."""
    whole = printf.format_bytes(printf.parse(form), args)
    kept, cut = cut_to(whole, size)
    return kept.partition(b"\0")[0], cut


NUMBERS = (0, 1, -1, 8, 39, 92, 255, -4096, 0x6162636465666768, -(1 << 63), (1 << 63) - 1)
MATRIX = [
    f"%{flag}{width}{precision}{length}{letter}"
    for flag, width, precision, length, letter in product(
        ("", "-", "+", " ", "#", "0"), ("", "1", "7", "25"), ("", ".", ".0", ".1", ".4", ".22"),
        ("", "l"), "diuxXopcb",
    )
]  # fmt: skip


def test_the_kernel_formats_numbers_as_its_readers_do(program: Path) -> None:
    cases = [(form, number) for form in MATRIX for number in NUMBERS]
    found = ask(program, [Call(FORMAT, 64, (form.encode(),), (n,)) for form, n in cases])
    wrong = [
        (form, number, text, as_reader(form, (number,), 64))
        for (form, number), text in zip(cases, found, strict=True)
        if text != as_reader(form, (number,), 64)
    ]
    assert wrong == []


def test_the_kernel_formats_strings_as_its_readers_do(program: Path) -> None:
    forms = [
        f"%{flag}{width}{precision}s|"
        for flag, width, precision in product(
            ("", "-", "+", " ", "#", "0"), ("", "1", "5", "12"), ("", ".", ".0", ".2", ".9")
        )
    ]
    cases = [(form, text) for form in forms for text in (b"", b"a", b"longer", b"\xc3\xa9t\xe9")]
    found = ask(program, [Call(FORMAT, 64, (form.encode(), text)) for form, text in cases])
    assert found == [as_reader(form, (text,), 64) for form, text in cases]


stars = st.integers(-20, 40) | st.sampled_from([1 << 31, -(1 << 31), (1 << 32) + 3, -(1 << 63)])
longs64 = st.integers(-(1 << 63), (1 << 63) - 1) | st.sampled_from([0, 1, -1])


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["", "-", "+", " ", "#", "0"]),
            st.sampled_from("duxXopcb"),
            stars,
            stars,
            longs64,
            st.integers(1, 64),
        ),
        min_size=1,
        max_size=60,
    )
)
def test_given_sizes_as_readers_take_them(
    program: Path, cases: list[tuple[str, str, int, int, int, int]]
) -> None:
    calls, wanted = [], []
    for flag, letter, width, precision, value, size in cases:
        form = f"<%{flag}*.*{letter}%{flag}*{letter}%%%.*d>"
        longs = (width, precision, value, width, value, precision, value)
        calls.append(Call(FORMAT, size, (form.encode(),), longs))
        wanted.append(as_reader(form, longs, size))
    assert ask(program, calls) == wanted


@settings(max_examples=50, deadline=None)
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


@settings(max_examples=50, deadline=None)
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
    assert ask(program, [Call(STRING_QUOTED, 16, (b"01234567\x01\x02\x03",))]) == [
        (rb'"01234567\1"...', 1)
    ]
    assert ask(program, [Call(STRING_QUOTED, 16, (b"01234567\x01\x02x",))]) == [
        (rb'"01234567\1\2x"', 0)
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
    modules = HERE.parent / "kernel/modules"
    script = build(
        modules / "timers.c", tmp_path / "timers", includes=(tmp_path, modules), with_main=True
    )
    events, picture = tmp_path / "events", tmp_path / "image"
    subprocess.run(
        [script, "-n", "100", "-l", "3", "-e", events, "-i", picture], check=True, timeout=60
    )

    data, at, found = events.read_bytes(), 0, []
    while at < len(data):
        size, kind, _, site, _, _ = structs.EVENT.unpack_from(data, at)
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
            place = (
                header.lanes_offset + lane * header.lane_stride + probe * structs.PROBE_COUNTS.size
            )
            hits[probe] += structs.PROBE_COUNTS.unpack_from(memory, place)[0]
    assert hits == [10, 9, 9, 9, 1]  # the last tick disabled all other timers
