# SPDX-License-Identifier: GPL-2.0-or-later
"""printf directives: accepted formats, their arguments and their output."""

import json
import subprocess
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.events.printf import (
    Conversion,
    Directive,
    DirectiveError,
    Kind,
    Literal,
    Role,
    Star,
    arguments,
    format,
    format_bytes,
    parse,
    template,
)

LOWEST, HIGHEST = -(1 << 63), (1 << 63) - 1


def test_pieces() -> None:
    assert parse("a%%b%-7.*lx%%%%!%s") == (
        Literal("a%b"),
        Directive(Conversion.HEX, 4, 11, "-", 7, Star.STAR),
        Literal("%%!"),
        Directive(Conversion.STRING, 16, 18),
    )
    assert parse("") == ()
    assert parse("%%") == (Literal("%"),)


# The result of stap 4.8 -p2 for these formats.
ACCEPTED = [
    "%d %i %u %x %X %o %p %c %s %b %m %M", "%-5d", "%+d", "% d", "%#x", "%05d", "%00d", "%-0d",
    "% 0d", "%#0x", "%5.3d", "%.d", "%*d", "%.*d", "%*.*d", "%-*d", "%0*d", "%ld", "%lx", "%ls",
    "%lc", "%lb", "%lm", "%lp", "%1b%2b%4b%8b", "%3b", "%.3b", "%1.2b", "%08b", "%*b", "%10.4m",
    "%*m", "%.*M", "%010s", "%+s", "%.0c", "%#c", "%999999999999d", "%+5.2d",
]  # fmt: skip
REFUSED = [
    "%", "a%", "%5", "%5.", "%-", "%#", "%*", "%5.3", "%5l", "%%%", "%5%", "%-%", "%l%", "%5%%",
    "%lld", "%llx", "%hd", "%hx", "%hs", "%hhd", "%zd", "%Ld", "%n", "%q", "%D", "%1$d", "%*5d",
    "%.-5d", "%5-d", "%-+d", "%+-d", "%- d", "%0+d", "%0#x", "%#-x", "%++d",
]  # fmt: skip


@pytest.mark.parametrize("text", ACCEPTED)
def test_accepted(text: str) -> None:
    assert arguments(parse(text))


@pytest.mark.parametrize("text", REFUSED)
def test_refused(text: str) -> None:
    with pytest.raises(DirectiveError):
        parse(text)


@pytest.mark.parametrize(
    ("text", "position", "message"),
    [
        ("ok %lld", 5, "length modifier in '%lld': numbers always have 64 bits; use %d"),
        ("%5hx", 2, "length modifier in '%5hx': numbers always have 64 bits; use %x"),
        (
            "%d %5.2f",
            7,
            "no conversion 'f': numbers are integers; use %d, or %s with fp_to_string()",
        ),
        ("100%", 3, "incomplete directive '%'; write '%%' for a percent sign"),
        ("x%5.", 1, "incomplete directive '%5.'; write '%%' for a percent sign"),
        ("%-5%", 3, "'%%' takes no flag, width or precision"),
        ("%-+d", 2, "a second flag '+' in a format directive; it takes one"),
        ("%y", 1, "unknown conversion 'y'; there are d i u x X o p c s b m M and %%"),
    ],
)
def test_messages(text: str, position: int, message: str) -> None:
    with pytest.raises(DirectiveError) as caught:
        parse(text)
    assert (caught.value.position, caught.value.message) == (position, message)


def test_arguments() -> None:
    wanted = arguments(parse("%d %*.*s %-*M %#m"))
    assert [(a.kind, a.role) for a in wanted] == [
        (Kind.LONG, Role.VALUE),
        (Kind.LONG, Role.WIDTH),
        (Kind.LONG, Role.PRECISION),
        (Kind.STRING, Role.VALUE),
        (Kind.LONG, Role.WIDTH),
        (Kind.MEMORY, Role.VALUE),
        (Kind.MEMORY, Role.VALUE),
    ]
    assert [a.directive.position for a in wanted] == [0, 3, 3, 3, 9, 9, 14]
    assert [a.directive.user_memory for a in wanted[5:]] == [False, True]


VALUES: dict[Kind, st.SearchStrategy[int | str]] = {
    Kind.LONG: st.integers(LOWEST, HIGHEST) | st.integers(-9, 9),
    Kind.STRING: st.text(st.sampled_from("ab%\u00e9\udcff\n"), max_size=4),
}


@given(
    st.lists(
        st.sampled_from(
            [
                "%d",
                "%5d",
                "%s",
                "%u",
                "%x",
                "%#x",
                "%p",
                "%i",
                "%%",
                "a",
                "\u00e9",
                "\n",
                "%X",
                "%-5d",
            ]
        ),
        max_size=5,
    ),
    st.data(),
)
def test_a_template_shows_the_same(parts: list[str], data: st.DataObject) -> None:
    pieces = parse("".join(parts))
    values = [data.draw(VALUES[a.kind]) for a in arguments(pieces)]
    found = template(pieces)
    assert (found is None) == any(part in ("%X", "%-5d") for part in parts)
    if found is not None and all(int(values[n]) >= 0 for n in found[1]):
        assert found[0] % tuple(values) == format(pieces, values)


# Differences of the script language from C, and conversions that C does not have.
@pytest.mark.parametrize(
    ("text", "args", "expected"),
    [
        ("%#x %#X %#o", (0, 0, 0), "0x0 0X0 00"),
        ("%#x %#X %#o", (255, 255, 8), "0xff 0XFF 010"),
        ("%p|%5p|%-6p|%.3p", (0, 1, 1, 1), "0x0|  0x1|0x1   |0x001"),
        ("%p", (-1,), "0xffffffffffffffff"),
        ("%.0d|%.d|%05.d", (0, 0, 7), "0|0|00007"),
        ("%05.2d|%08.3d", (7, -7), "00007|-0000007"),
        ("%#05x", (1,), "  0x1"),
        ("%*d|%.*d", (-5, 1, -1, 2), "1|2"),
        ("%+u|% x", (5, 5), "5|5"),
        ("%d|%u", (1 << 63, -1), "-9223372036854775808|18446744073709551615"),
        ("%c%c|%3c|%-3c|%.0c", (65, 256 + 66, 67, 68, 69), "AB|  C|D  |E"),
        ("%#c%#c%#c%#c%#c", (65, 10, 27, 39, 255), "A\\n\\033\\'\\377"),
        ("%#4c|", (10,), "  \\n|"),
        ("%s|%4s|%-4s|%.2s|%5.1s", ("abc", "a", "a", "abc", "xy"), "abc|   a|a   |ab|    x"),
        ("%s", ("cut\0here",), "cut"),
        ("%04s|", ("ab",), "  ab\0|"),
        ("%.1s%s", ("é", "é"), "\udcc3é"),
        ("%6s|", ("é",), "    é|"),
        ("%1b%1b%1b", (72, 105, 0x121), "Hi!"),
        ("%1b%1b", (0xC3, 0xA9), "é"),
        ("%m|%5.3m|%-5.3m|", (b"a", b"abc", b"abc"), "a|  abc|abc  |"),
        ("%M|%10.4M|%-4M|", (b"\x0f", b"\x00\x01\xab\xff", b"a"), "0f|  0001abff|61  |"),
        ("%m", ("a\0b",), "a\0b"),
        ("100%% of %d", (3,), "100% of 3"),
    ],
)
def test_format(text: str, args: tuple[int | str | bytes, ...], expected: str) -> None:
    assert format(parse(text), args) == expected


@pytest.mark.parametrize(
    ("text", "args", "expected"),
    [
        ("%b", (0x0102030405060708,), "0807060504030201"),
        ("%b", (-2,), "feffffffffffffff"),
        ("%1b%2b%4b%8b", (1, 2, 3, 4), "01 0200 03000000 0400000000000000"),
        ("%3b", (1,), "0100000000000000"),
        ("%4.2b", (1,), "0000 0100"),
        ("%-4.2b", (1,), "0100 0000"),
        ("%.2b", (0x010203,), "0302"),
        ("%2.8b", (1,), "0100000000000000"),
        ("%10b", (1,), "0000 0100000000000000"),
        ("%.1b", (255,), "ff"),
    ],
)
def test_binary(text: str, args: tuple[int, ...], expected: str) -> None:
    assert format_bytes(parse(text), args) == bytes.fromhex(expected)


@pytest.mark.parametrize(
    ("text", "args"),
    [("%d", ()), ("%d", (1, 2)), ("%d", ("x",)), ("%s", (1,)), ("%*d", ("x", 1)), ("%*d", (1,))],
)
def test_wrong_arguments(text: str, args: tuple[int | str, ...]) -> None:
    with pytest.raises(ValueError, match=r"argument|needs"):
        format(parse(text), args)


def c_cases() -> list[tuple[str, int]]:
    """Formats that mean the same in C, with values for them."""
    cases = []
    numbers = (0, 1, -1, 9, 10, 255, -4096, 1234567890123, LOWEST, HIGHEST)
    for flag, width, precision, letter, number in product(
        ("", "-", "+", " ", "#", "0"), ("", "1", "7", "25"), ("", ".1", ".4", ".22"),
        "diuxXo", numbers,
    ):  # fmt: skip
        if flag == "#" and (number == 0 or letter == "o"):
            continue  # C has no prefix for 0, and counts 0's prefix as a digit
        if flag == "0" and precision:
            continue  # C then ignores the flag
        cases.append((f"%{flag}{width}{precision}l{letter}", number))
    return cases


def test_numbers_as_in_c(tmp_path: Path) -> None:
    cases = c_cases()
    rows = "".join(
        # the lowest number has no literal in C
        f"{{{json.dumps(text)}, (long){number % (1 << 64)}ull}},\n"
        for text, number in cases
    )
    source = tmp_path / "oracle.c"
    source.write_text(
        "#include <stdio.h>\n"
        "static const struct { const char *text; long number; } cases[] = {\n"
        f"{rows}}};\n"
        "int main(void) { for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {\n"
        "  printf(cases[i].text, cases[i].number); putchar('\\n'); } return 0; }\n"
    )
    program = tmp_path / "oracle"
    subprocess.run(["gcc", "-w", "-o", program, source], check=True, timeout=60)
    oracle = subprocess.run([program], check=True, timeout=60, capture_output=True, text=True)
    expected = oracle.stdout.split("\n")[:-1]
    assert len(expected) == len(cases) > 4000
    ours = [format(parse(text), (number,)) for text, number in cases]
    wrong = [
        (text, number, a, b)
        for (text, number), a, b in zip(cases, ours, expected, strict=True)
        if a != b
    ]
    assert wrong == []


@given(st.text(alphabet="%dsxcbmM*.-+ #0l59ab", max_size=12))
def test_any_text_parses_or_tells_where_not(text: str) -> None:
    try:
        pieces = parse(text)
    except DirectiveError as error:
        assert 0 <= error.position < len(text)
        return
    kinds: dict[Kind, int | str | bytes] = {Kind.LONG: 7, Kind.STRING: "seven", Kind.MEMORY: b"7"}
    args = [kinds[a.kind] for a in arguments(pieces)]
    format_bytes(pieces, args)
    directives = [p for p in pieces if isinstance(p, Directive)]
    assert all(text[d.position] == "%" for d in directives)
    rest = text
    for d in reversed(directives):
        rest = rest[: d.position] + rest[d.end :]
    assert rest.replace("%%", "%") == "".join(p.text for p in pieces if isinstance(p, Literal))
