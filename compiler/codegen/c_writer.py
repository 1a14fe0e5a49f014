# SPDX-License-Identifier: GPL-2.0-or-later
"""C text: indentation, labels, literals, names, and expressions with no more brackets than they need."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from runtime.support.record import field, record

# C's keywords, and what the runtime's headers or the generated code itself use
_WORDS = """
auto break case char const continue default do double else enum extern float for goto if inline int
long register restrict return short signed sizeof static struct switch typedef union unsigned void
volatile while asm typeof bool true false
a c f s u8 u16 u32 u64 s8 s16 s32 s64 size_t likely unlikely barrier offsetof noinline area lane
shared frames probes counts regs data entry ip parent_ip ops key row slot order limit record result
value stat init build_id current jiffies min max abs swap sorting
linux unix
"""
_RESERVED = frozenset(_WORDS.split())
# forms of the names that the generated code derives from a script's names or from numbers
_PREFIXES = (
    "__", "sw_", "add_", "append_", "put_", "insert_", "fill_", "bounds_", "layout_", "fn_", "get_", "set_",
)  # fmt: skip
_DIGITS = "0123456789"
_SUFFIXES = ("_", "_lock", "_dropped", "_sequence", "_values", "_given")
_NUMBERED = ("probe_", "entry_", "order_", "text_", "key_")


def _is_taken(name: str) -> bool:
    """Whether a name looks like one that is derived, C's own, or a macro."""
    first = name.lstrip("_")[:1]
    return (
        name.startswith(_PREFIXES)
        or name.endswith(_SUFFIXES)
        or (name[-1] in _DIGITS and name.rstrip(_DIGITS) in _NUMBERED)
        or (first.isupper() and (name[0] == "_" or name.isupper()))
    )


@record
class Names:
    """C identifiers for a script's names. `crowded`: the file includes kernel headers or user macros,
    which may define any name."""

    crowded: bool = False

    def __call__(self, text: str) -> str:
        """The C identifier, another one for each name: `$` becomes `_`; taken names, and in a crowded
        file all, get a suffix. Locals of the compiler's own have a dot in their names, and no suffix."""
        if "." in text:
            return "__" + text.replace(".", "_")
        text = text.replace("$", "_")
        if self.crowded:
            return f"{text}__"
        return text + "_" if text in _RESERVED or _is_taken(text) else text


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


def unsigned(value: int) -> str:
    """A literal of a u64."""
    return f"{value:#x}ULL"


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
    """Lines of C; the only place that knows about indentation.

    A jump is written when the next line comes. So a jump to the label that comes next is left out, and a
    label that no jump goes to: all jumps of generated C go forward.
    """

    lines: list[str] = field(default_factory=list)
    depth: int = 0
    waiting: str = ""  # the label of a jump that is not written yet
    waiting_depth: int = 0
    targets: set[str] = field(default_factory=set)  # labels of the jumps that are written
    resumptions: list[int] = field(default_factory=list)  # indices of lines; see resume()

    def line(self, text: str = "") -> None:
        """One line; empty lines in a row become one."""
        if self.waiting:
            self._write_jump()
        if text:
            self.lines.append("\t" * self.depth + text)
        elif not self.lines or self.lines[-1]:
            self.lines.append("")

    def raw(self, *lines: str) -> None:
        """Lines without indentation, such as the user's own C and what the preprocessor reads."""
        if self.waiting:
            self._write_jump()
        self.lines += lines

    def jump(self, label: str) -> None:
        if self.waiting:
            self._write_jump()
        self.waiting, self.waiting_depth = label, self.depth

    def jump_if(self, test: str, label: str) -> None:
        self.line(f"if ({test})")
        self.line(f"\tgoto {label};")
        self.targets.add(label)

    def _write_jump(self) -> None:
        self.lines.append("\t" * self.waiting_depth + f"goto {self.waiting};")
        self.targets.add(self.waiting)
        self.waiting = ""

    def jumps_to(self, label: str) -> bool:
        return label in self.targets or label == self.waiting

    def label(self, *names: str) -> bool:
        """Labels, at the margin; False if no jump goes to any of them."""
        if self.waiting in names:
            self.waiting = ""
        wanted = [f"{name}:" for name in names if name in self.targets]
        if wanted:
            self.raw(*wanted)
        return bool(wanted)

    def resume(self) -> None:
        """After lines that are numbered as the user's: the generated file's own numbers go on."""
        self.resumptions.append(len(self.lines))
        self.raw("")

    @contextmanager
    def block(self, head: str, tail: str = "}") -> Iterator[None]:
        self.line(f"{head} {{" if head else "{")
        self.depth += 1
        yield
        self.depth -= 1
        self.line(tail)

    @contextmanager
    def else_block(self) -> Iterator[None]:
        """The block after one whose tail is `} else {`."""
        self.depth += 1
        yield
        self.depth -= 1
        self.line("}")

    def extend(self, other: Writer) -> None:
        """The lines of another writer, whose indentation is kept, and its jumps."""
        if self.waiting:
            self._write_jump()
        self.resumptions += [len(self.lines) + i for i in other.resumptions]
        self.lines += other.lines
        self.targets |= other.targets
        self.waiting, self.waiting_depth = other.waiting, other.waiting_depth

    def text(self, file: str) -> str:
        """The finished file; `file` is its name in `#line` directives."""
        lines = self.lines.copy()
        for i in self.resumptions:
            number = 1 + i + sum(text.count("\n") for text in lines[:i])
            lines[i] = f'#line {number + 1} "{file}"'
        return "\n".join(lines) + "\n"
