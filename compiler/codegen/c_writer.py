# SPDX-License-Identifier: GPL-2.0-or-later
"""C text: indentation, literals, names, and expressions with no more brackets than they need."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from runtime.support.lazy_regex import pattern
from runtime.support.record import field, record

# C's keywords, and what the runtime's headers or the generated code itself use
_WORDS = """
auto break case char const continue default do double else enum extern float for goto if inline int
long register restrict return short signed sizeof static struct switch typedef union unsigned void
volatile while asm typeof bool true false NULL
a c f s u8 u16 u32 u64 s8 s16 s32 s64 size_t likely unlikely barrier offsetof noinline area lane
shared frames probes counts regs data entry ip parent_ip ops key row slot order limit record result
value stat init build_id current jiffies min max abs swap MAXSTRINGLEN MAXNESTING
"""
_RESERVED = frozenset(_WORDS.split())


@record
class Names:
    """A script's identifiers as C's. `crowded`: the file has macros of others, of any name."""

    crowded: bool = False

    def __call__(self, text: str) -> str:
        """`$`s replaced, reserved words changed; where it is crowded, all."""
        text = text.replace("$", "_")
        if self.crowded:
            return f"{text}__"
        return text + "_" if text in _RESERVED or text.startswith("sw_") else text


def string(text: str) -> str:
    """A C string literal of a front-end string, one byte a character.

    >>> string('a"\\n')
    '"a\\\\"\\\\n"'
    """
    out = []
    for ch in text:
        code = ord(ch)
        if ch in '"\\':
            out.append("\\" + ch)
        elif ch == "\n":
            out.append("\\n")
        elif ch == "\t":
            out.append("\\t")
        elif 32 <= code < 127 and ch != "?":
            out.append(ch)
        else:
            out.append(f"\\{code:03o}")
    return '"' + "".join(out) + '"'


def number(value: int) -> str:
    """A literal of an s64."""
    if value == -(1 << 63):
        return "(-9223372036854775807LL - 1)"
    return f"{value}LL" if abs(value) >= 1 << 31 else str(value)


# how tightly operators bind; higher is tighter
ATOM, UNARY, MULTIPLY, ADD, SHIFT, RELATION, EQUALITY = 16, 14, 13, 12, 11, 10, 9
BIT_AND, BIT_XOR, BIT_OR, AND, OR, CHOICE = 8, 7, 6, 5, 4, 3
# operators that C has with the same meaning, and those that are functions of the runtime
ARITHMETIC = {
    "|": BIT_OR, "^": BIT_XOR, "&": BIT_AND, "+": ADD, "-": ADD, "*": MULTIPLY,
}  # fmt: skip
CALLED = {
    "/": "sw_divide",
    "%": "sw_modulo",
    "<<": "sw_shift_left",
    ">>": "sw_shift_right",
    ">>>": "sw_shift_right_logical",
}


@record
class C:
    """An expression with the tightness of its outermost operator."""

    text: str
    tightness: int = ATOM

    def inside(self, tightness: int) -> str:
        """Its text as an operand of an operator that binds so tightly."""
        return self.text if self.tightness >= tightness else f"({self.text})"

    def __str__(self) -> str:
        return self.text


@record(frozen=False)
class Writer:
    """Lines of C; the only place that knows about indentation."""

    lines: list[str] = field(default_factory=list)
    depth: int = 0

    def line(self, text: str = "") -> None:
        self.lines.append("\t" * self.depth + text if text else "")

    def label(self, text: str) -> None:
        """A label stands at the margin."""
        self.lines.append(f"{text}:")

    @contextmanager
    def block(self, head: str, tail: str = "}") -> Iterator[None]:
        self.line(f"{head} {{" if head else "{")
        self.depth += 1
        yield
        self.depth -= 1
        self.line(tail)

    def text(self) -> str:
        return "\n".join(self.lines) + "\n"


_BLANKS = pattern(r"\n{3,}")


def tidy(text: str) -> str:
    """No more than one empty line in a row."""
    return _BLANKS.sub("\n\n", text)
