# SPDX-License-Identifier: GPL-2.0-or-later
r"""printf directives of the script language: parsed, type-checked and formatted in one place.

    parse("%s: %5d")  -> (Directive(STRING, ...), Literal(": "), Directive(SIGNED, width=5, ...))
    format(parse("%s: %5d"), ("sshd", 3))  -> "sshd:     3"
    arguments(parse("%*d"))  -> (Argument(LONG, WIDTH, ...), Argument(LONG, VALUE, ...))

A directive is `%[flag][width][.precision][l]conversion`, the grammar that SystemTap accepts: one
flag at most, so in `%#05x` the 0 belongs to the width. It formats as SystemTap's kernel runtime does,
which differs from C:

- numbers have 64 bits; x X o u p show a negative number as unsigned, c shows its lowest byte;
- `#` puts 0x, 0X or 0 before every number, zero too, and shows c as in C source ('\n', '\033'); p
  is #x;
- 0 pads numbers with zeros even if there is a precision, and ends a string or memory dump with
  a NUL;
- a precision of 0 still shows the number 0, `%.d` has none, a negative `*` counts as 0;
- b writes 1, 2, 4 or 8 bytes (its width, or its precision if both are given), low byte first;
- m and M show memory: the script passes an address, a reader the bytes at that address.

Widths and precisions count bytes. Bytes of a result that are not UTF-8 become lone
surrogates, so that `.encode(errors="surrogateescape")` restores the exact output.
Source: SystemTap's stap(1) and language reference, chapter "Formatted output", and what stap 4.8
accepts.
"""

from collections.abc import Iterator, Mapping, Sequence
from enum import Enum, auto
from typing import Final

from runtime.support.exhaustive import assert_never
from runtime.support.int64 import wrapped
from runtime.support.record import record

MAXIMUM: Final = 8192  # of a width or precision: SystemTap's print buffer
_U64: Final = (1 << 64) - 1


class DirectiveError(ValueError):
    """A malformed format; `position` is an index into it, `message` can follow "error: "."""

    def __init__(self, position: int, message: str) -> None:
        super().__init__(message)
        self.position = position
        self.message = message


class Conversion(Enum):
    SIGNED = "d"
    UNSIGNED = "u"
    HEX = "x"
    UPPER_HEX = "X"
    OCTAL = "o"
    POINTER = "p"
    CHARACTER = "c"
    STRING = "s"
    BINARY = "b"
    MEMORY = "m"
    MEMORY_HEX = "M"


class Star(Enum):
    """A width or precision that is an argument."""

    STAR = "*"


class Kind(Enum):
    """The type that an argument must have."""

    LONG = auto()
    STRING = auto()
    MEMORY = auto()  # a long, the address, in a script; bytes for `format`


class Role(Enum):
    WIDTH = "width"
    PRECISION = "precision"
    VALUE = "value"


@record
class Literal:
    text: str


@record
class Directive:
    """A directive, at `position` to `end` of the format; `flag` is one of "-+ #0" or ""."""

    conversion: Conversion
    position: int
    end: int
    flag: str = ""
    width: int | Star | None = None
    precision: int | Star | None = None

    @property
    def kind(self) -> Kind:
        match self.conversion:
            case Conversion.STRING:
                return Kind.STRING
            case Conversion.MEMORY | Conversion.MEMORY_HEX:
                return Kind.MEMORY
            case _:
                return Kind.LONG

    @property
    def user_memory(self) -> bool:
        """Whether m or M reads memory of the process (flag #), not of the kernel."""
        return self.kind is Kind.MEMORY and self.flag == "#"


Piece = Literal | Directive


@record
class Argument:
    kind: Kind
    role: Role
    directive: Directive


# What Python's % shows alike, by conversion, flag, width and precision.
_SIMPLE: Final[Mapping[tuple[Conversion, str, int | Star | None, int | Star | None], str]] = {
    (Conversion.STRING, "", None, None): "%s",
    (Conversion.SIGNED, "", None, None): "%d",
    (Conversion.UNSIGNED, "", None, None): "%d",
    (Conversion.HEX, "", None, None): "%x",
    (Conversion.HEX, "#", None, None): "0x%x",
    (Conversion.POINTER, "", None, None): "0x%x",
} | {(Conversion.SIGNED, "", width, None): f"%{width}d" for width in range(1, 33)}

_CONVERSIONS: Final = {c.value: c for c in Conversion} | {"i": Conversion.SIGNED}
_FLOATS: Final = "aAeEfFgG"
_LENGTHS: Final = "hlLqjzt"


def parse(text: str) -> tuple[Piece, ...]:
    """Split a format.

    Adjacent literals (and `%%`) become one. Raises DirectiveError if it is malformed.
    """
    pieces: list[Piece] = []
    literal = ""
    at = 0
    while at < len(text):
        percent = text.find("%", at)
        if percent < 0:
            literal += text[at:]
            break
        literal += text[at:percent]
        if text.startswith("%%", percent):
            literal += "%"
            at = percent + 2
            continue
        if literal:
            pieces.append(Literal(literal))
            literal = ""
        directive = _directive(text, percent)
        pieces.append(directive)
        at = directive.end
    if literal:
        pieces.append(Literal(literal))
    return tuple(pieces)


def arguments(pieces: Sequence[Piece]) -> tuple[Argument, ...]:
    """The arguments that a format takes, in order."""
    wanted = []
    for piece in pieces:
        if isinstance(piece, Literal):
            continue
        if piece.width is Star.STAR:
            wanted.append(Argument(Kind.LONG, Role.WIDTH, piece))
        if piece.precision is Star.STAR:
            wanted.append(Argument(Kind.LONG, Role.PRECISION, piece))
        wanted.append(Argument(piece.kind, Role.VALUE, piece))
    return tuple(wanted)


def format(pieces: Sequence[Piece], args: Sequence[int | str | bytes]) -> str:
    """The text. Raises ValueError unless the arguments are those that `arguments` lists."""
    return format_bytes(pieces, args).decode(errors="surrogateescape")


def template(pieces: Sequence[Piece]) -> tuple[str, tuple[int, ...]] | None:
    """A format of Python's % with the same result as `format`, ten times faster; None if there is none.

    It holds for strings without a NUL, and only if the arguments at the given positions are not negative.
    """
    text, unsigned, count = "", [], 0
    for piece in pieces:
        if isinstance(piece, Literal):
            text += piece.text.replace("%", "%%")
            continue
        code = _SIMPLE.get((piece.conversion, piece.flag, piece.width, piece.precision))
        if code is None:
            return None
        if piece.kind is Kind.LONG and piece.conversion is not Conversion.SIGNED:
            unsigned.append(count)
        text += code
        count += 1
    return text, tuple(unsigned)


def format_bytes(pieces: Sequence[Piece], args: Sequence[int | str | bytes]) -> bytes:
    """The result of `format` as bytes."""
    return b"".join([data for _, _, data in parts(pieces, args)])


def parts(
    pieces: Sequence[Piece], args: Sequence[int | str | bytes]
) -> Iterator[tuple[Piece, int | str | bytes | None, bytes]]:
    """The result of `format` piece by piece: the piece, the value that it shows, and its bytes."""
    rest = iter(args)
    for piece in pieces:
        if isinstance(piece, Literal):
            yield piece, None, _bytes(piece.text)
            continue
        width = _measure(piece.width, rest)
        precision = _measure(piece.precision, rest)
        try:
            value = next(rest)
        except StopIteration:
            raise ValueError(f"no argument for %{piece.conversion.value}") from None
        yield piece, value, _convert(piece, width, precision, value)
    if next(rest, None) is not None:
        raise ValueError("more arguments than directives")


def _directive(text: str, start: int) -> Directive:
    at = start + 1
    flag = ""
    if text[at : at + 1] and text[at] in "-+ #0":
        flag = text[at]
        at += 1
        if text[at : at + 1] and text[at] in "-+ #":
            raise DirectiveError(
                at, f"a second flag {text[at]!r} in a format directive; it takes one"
            )
    width, at = _size(text, at)
    precision: int | Star | None = None
    if text[at : at + 1] == ".":
        precision, at = _size(text, at + 1)
    if text[at : at + 1] == "l":
        at += 1
    letter = text[at : at + 1]
    if not letter:
        raise DirectiveError(
            start, f"incomplete directive {text[start:]!r}; write '%%' for a percent sign"
        )
    conversion = _CONVERSIONS.get(letter)
    if conversion is None:
        raise DirectiveError(at, _unknown(text, start, at))
    return Directive(conversion, start, at + 1, flag, width, precision)


def _size(text: str, at: int) -> tuple[int | Star | None, int]:
    if text[at : at + 1] == "*":
        return Star.STAR, at + 1
    end = at
    while end < len(text) and text[end] in "0123456789":
        end += 1
    return (int(text[at:end]), end) if end > at else (None, end)


def _unknown(text: str, start: int, at: int) -> str:
    letter = text[at]
    if letter == "%":
        return "'%%' takes no flag, width or precision"
    if letter in _FLOATS:
        return f"no conversion {letter!r}: numbers are integers; use %d, or %s with fp_to_string()"
    rest = text[at:].lstrip(_LENGTHS)
    if letter in _LENGTHS and rest[:1] in _CONVERSIONS:
        found = text[start : len(text) - len(rest) + 1]
        return f"length modifier in {found!r}: numbers always have 64 bits; use %{rest[0]}"
    return f"unknown conversion {letter!r}; there are d i u x X o p c s b m M and %%"


def _measure(size: int | Star | None, rest: Iterator[int | str | bytes]) -> int | None:
    if size is Star.STAR:
        given = next(rest, None)
        if not isinstance(given, int):
            raise ValueError("a '*' needs a number")
        size = (given + (1 << 31)) % (1 << 32) - (1 << 31)  # a C int
    return None if size is None else min(max(size, 0), MAXIMUM)


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode(errors="surrogateescape")


def _convert(
    piece: Directive, width: int | None, precision: int | None, value: int | str | bytes
) -> bytes:
    match piece.conversion:
        case Conversion.STRING | Conversion.MEMORY | Conversion.MEMORY_HEX:
            if isinstance(value, int):
                raise ValueError(f"%{piece.conversion.value} needs text, not the number {value}")
            return _string(piece, width or 0, precision, _bytes(value))
        case _:
            if not isinstance(value, int):
                raise ValueError(f"%{piece.conversion.value} needs a number, not {value!r}")
    match piece.conversion:
        case Conversion.SIGNED:
            return _signed(piece.flag, width or 0, precision or 0, value)
        case Conversion.UNSIGNED:
            return _padded(piece.flag, width or 0, precision or 0, "", str(value & _U64))
        case Conversion.HEX:
            prefix = "0x" if piece.flag == "#" else ""
            return _padded(piece.flag, width or 0, precision or 0, prefix, f"{value & _U64:x}")
        case Conversion.UPPER_HEX:
            prefix = "0X" if piece.flag == "#" else ""
            return _padded(piece.flag, width or 0, precision or 0, prefix, f"{value & _U64:X}")
        case Conversion.OCTAL:
            prefix = "0" if piece.flag == "#" else ""
            return _padded(piece.flag, width or 0, precision or 0, prefix, f"{value & _U64:o}")
        case Conversion.POINTER:
            return _padded(piece.flag, width or 0, precision or 0, "0x", f"{value & _U64:x}")
        case Conversion.CHARACTER:
            return _aligned(piece.flag, width or 0, _character(value & 0xFF, piece.flag == "#"))
        case Conversion.BINARY:
            return _binary(piece.flag, width, precision, value)
        case _ as never:
            assert_never(never)


def _signed(flag: str, width: int, precision: int, value: int) -> bytes:
    value = wrapped(value)
    sign = "-" if value < 0 else flag if flag and flag in "+ " else ""
    return _padded(flag, width, precision, sign, str(abs(value)))


def _padded(flag: str, width: int, precision: int, prefix: str, digits: str) -> bytes:
    digits = digits.rjust(precision, "0")
    if flag == "0":
        digits = digits.rjust(width - len(prefix), "0")
    return _aligned(flag, width, (prefix + digits).encode())


def _aligned(flag: str, width: int, text: bytes) -> bytes:
    return text.ljust(width) if flag == "-" else text.rjust(width)


def _string(piece: Directive, width: int, precision: int | None, data: bytes) -> bytes:
    if piece.conversion is Conversion.STRING:
        data = data.partition(b"\0")[0][:precision]
    elif piece.conversion is Conversion.MEMORY_HEX:
        data = data.hex().encode()
    return _aligned(piece.flag, width, data) + (b"\0" if piece.flag == "0" else b"")


_ESCAPES: Final = {ord(c): f"\\{e}" for c, e in zip("\a\b\f\n\r\t\v'\\", "abfnrtv'\\", strict=True)}


def _character(code: int, escaped: bool) -> bytes:
    if not escaped:
        return bytes((code,))
    if code in _ESCAPES:
        return _ESCAPES[code].encode()
    return bytes((code,)) if 32 <= code < 127 else f"\\{code:03o}".encode()


def _binary(flag: str, width: int | None, precision: int | None, value: int) -> bytes:
    sizes = (1, 2, 4, 8)
    size = precision if precision in sizes else width if width in sizes else 8
    data = (value & _U64).to_bytes(8, "little")[:size]
    width = width or 0
    return data.ljust(width, b"\0") if flag == "-" else data.rjust(width, b"\0")
