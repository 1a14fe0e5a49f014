# SPDX-License-Identifier: GPL-2.0-or-later
"""Puts pieces on lines: where statements begin, and how deep each line is.

    probe begin{a=1 if(b)
    next}                   ->   probe begin {
                                     a = 1
                                     if (b)
                                         next
                                 }

A tab is one level. The author's ends of lines stay, so a statement may have several lines; those behind
the first are one level deeper. What the layout decides itself: a statement begins a line unless the author
wrote it behind its `if (...)`, `{` ends a line, and `}` begins one. A block that the author wrote on one line
stays there if it is short and has no block inside.
"""

from __future__ import annotations

from collections.abc import Sequence

from compiler.formatting.pieces import ARGUMENT, COMMENT, KEPT, Piece, joins
from compiler.formatting.spacing import ITEMS, STATEMENTS, Roles, is_brace
from compiler.frontend.lexer import AT_KINDS
from runtime.support.record import record

_HEADED = frozenset({"IF", "WHILE", "FOR", "FOREACH"})
_SHORT = 100  # columns that a block on one line may have
_HEADER_MARGIN = "    "  # the rest of a condition is below its first word, and no level of its own
_POINTS_MARGIN = "      "  # points of a probe are below the first, behind `probe `


@record
class Line:
    """`margin`: tabs, or blanks of points. `code`: its text, which may have more lines if it ends with a
    piece of several lines. `comment`: what stands behind it."""

    margin: str
    code: str = ""
    comment: str = ""


class _Block:
    """A block that is open, or the file. `depth`: of its statements. `nest`: the kinds of the statements
    without braces around what comes next: `if`, `else`, a loop."""

    def __init__(self, depth: int, is_inline: bool = False) -> None:
        self.depth = depth
        self.is_inline = is_inline
        self.nest: list[str] = []
        self.fresh = True  # the next piece begins a statement
        self.is_body = False  # that statement is what the last of `nest` controls
        self.after_short = False  # the last statement ends with a block on one line
        self.header = ""  # the statement whose parentheses come or are open

    @property
    def level(self) -> int:
        return self.depth + len(self.nest)

    def end_statement(self, next_kind: str) -> None:
        """The statement is complete, and so is what controls it, unless an `else` follows."""
        if next_kind != "ELSE":
            self.nest.clear()
            return
        while self.nest and self.nest.pop() != "IF":
            pass


class Layout:
    def __init__(self, pieces: Sequence[Piece]) -> None:
        self.pieces = [p for p in pieces if p.kind != COMMENT]
        self.comments: list[list[Piece]] = [[] for _ in range(len(self.pieces) + 1)]
        at = 0
        for piece in pieces:
            if piece.kind == COMMENT:
                self.comments[at].append(piece)
            else:
                at += 1
        self.roles = Roles(self.pieces)
        self.lines: list[Line] = []
        self.blocks = [_Block(0)]
        self.brackets = 0  # parentheses and brackets that are open, of the innermost block
        self.base = 0  # the level of the statement that the current line belongs to
        self.ended = False  # a line comment has ended the line

    def run(self) -> list[Line]:
        for at in range(len(self.pieces)):
            self._take(at)
        for comment in self.comments[-1]:
            self._comment(comment, 0, bool(comment.newlines))
        return self.lines

    # ------------------------------------------------------------ one piece

    def _take(self, at: int) -> None:
        block = self.blocks[-1]
        if self._closes(at) and len(self.blocks) > 1 and not self.brackets:
            self._close(at)
            return
        begins = not self.brackets and self._begins_statement(at, block)
        joined = False
        if begins:
            joined = self._begin(at, block)
        level, wants = self._place(at, block, begins, joined)
        self._emit(at, level, wants, begins)
        self._after(at, block)

    def _begins_statement(self, at: int, block: _Block) -> bool:
        piece = self.pieces[at]
        if piece.kind in ("COMMA", "SEMICOLON") or self.roles.is_field(at):
            return False
        if piece.counts and piece.kind != KEPT:
            return False
        if len(self.blocks) == 1:
            if piece.kind in ITEMS:
                return at == 0 or self.pieces[at - 1].kind != "PRIVATE"
            if self.roles.head[at] in ("PROBE", "FUNCTION"):
                return False
        if block.fresh or (piece.kind in STATEMENTS):
            return True
        if piece.kind == "LBRACE":
            return False
        last = self.pieces[at - 1]
        if {last.kind, piece.kind} & {KEPT, ARGUMENT}:
            return self.roles.ends[at - 1] and self.roles.begins(at) and piece.newlines > 0
        if last.kind == piece.kind == "STRING":
            return False
        if piece.kind == "LPAR":
            return last.kind not in ("IDENT", "AT", "TYPE") and self.roles.ends[at - 1]
        return self.roles.ends[at - 1] and self.roles.begins(at)

    def _begin(self, at: int, block: _Block) -> bool:
        """A statement begins. Whether it goes on with the line of its `}` or `else`."""
        kind = self.pieces[at].kind
        last = self.pieces[at - 1].kind if at else ""
        if not block.is_body:
            block.end_statement(kind)
        joined = last == "RBRACE" and kind in ("ELSE", "CATCH") and not block.after_short
        if kind == "IF" and last == "ELSE" and block.nest:
            block.nest.pop()  # `else if` is one level
            joined = True
        block.is_body = block.fresh = False
        return joined

    def _place(self, at: int, block: _Block, begins: bool, joined: bool) -> tuple[int, bool | None]:
        """The level of the piece if it begins a line, and whether it does: None is the author's choice."""
        piece = self.pieces[at]
        if piece.touches and at and joins(self.pieces[at - 1], piece):
            return self.base + (not begins), False
        if begins:
            self.base = block.level
            if piece.kind == "LBRACE" and block.nest:
                self.base -= 1
            if joined:
                return self.base, False
            if piece.kind == "LBRACE" and (block.nest or self._after_try(at)):
                return self.base, False
            if block.is_inline:
                return self.base, False
            return self.base, None if self._is_choice(at, block) else True
        if piece.kind == "SEMICOLON" or self._opens(at):
            return self.base, False
        closes = piece.kind in ("RPAR", "RBRACKET")
        return self.base + (not closes), None

    def _after_try(self, at: int) -> bool:
        return at > 0 and self.pieces[at - 1].kind in ("TRY", "CATCH", "RPAR", "ELSE")

    def _is_choice(self, at: int, block: _Block) -> bool:
        """A statement that may stand behind what it belongs to: `if (a) next else exit()`. Uses of macros may
        be side by side: each is any text."""
        kind, last = self.pieces[at].kind, self.pieces[at - 1] if at else None
        if last is None or KEPT in (kind, last.kind):
            return True
        if kind == "AT" and self.pieces[at].text[1:] not in AT_KINDS:
            return not self._opens(at - 1)
        if len(block.nest) and last.kind in ("RPAR", "ELSE"):
            return True
        return kind in ("ELSE", "CATCH")

    def _emit(self, at: int, level: int, wants: bool | None, begins: bool) -> None:
        piece = self.pieces[at]
        newline = wants if wants is not None else piece.newlines > 0
        if wants is None and self.comments[at] and self.comments[at][0].newlines:
            newline = True
        margin = "\t" * level
        if newline and not begins:
            margin = self._continued(at, margin)
        newline = self._comments_before(at, margin, newline)
        if newline or not self.lines:
            # a blank line stays, but not below `{` or above `}`
            opened = at > 0 and self._opens(at - 1)
            self._new_line(margin, piece.newlines > 1 and not opened and not self._closes(at))
            self._append(piece, "")
        else:
            self._append(piece, " " if self._blank(at) else "")

    def _continued(self, at: int, margin: str) -> str:
        """The margin of a line behind a statement's first."""
        if self.blocks[-1].header and self.brackets:
            return "\t" * self.base + _HEADER_MARGIN
        if len(self.blocks) == 1 and self.roles.head[at] == "PROBE":
            return _POINTS_MARGIN
        return margin

    def _comments_before(self, at: int, margin: str, newline: bool) -> bool:
        """Emits the comments in front of a piece; whether the piece begins a line then."""
        inner = margin + "\t" if self._closes(at) else margin
        for number, comment in enumerate(self.comments[at]):
            own_line = comment.newlines > 0 or not self.lines or self.ended
            first = number == 0 and at > 0 and self._opens(at - 1)
            if own_line:
                self._new_line(inner, comment.newlines > 1 and not first)
                self._append(comment, "")
            elif newline or comment.is_line_comment:
                self._trail(comment)
            else:
                self._append(comment, "" if comment.touches else " ")
            self.ended = comment.is_line_comment
            newline = newline or self.ended or own_line
        self.ended = False
        return newline

    def _comment(self, comment: Piece, level: int, own_line: bool) -> None:
        if own_line or not self.lines or self.ended:
            self._new_line("\t" * level, comment.newlines > 1)
            self._append(comment, "")
        else:
            self._trail(comment)
        self.ended = comment.is_line_comment

    def _blank(self, at: int) -> bool:
        piece = self.pieces[at]
        return not piece.touches if self.comments[at] else self.roles.blank(at)

    def _after(self, at: int, block: _Block) -> None:
        """What the piece changes for the next one."""
        piece, kind = self.pieces[at], self.pieces[at].kind
        if kind in ("LPAR", "LBRACKET"):
            self.brackets += 1
        elif kind in ("RPAR", "RBRACKET") and self.brackets:
            self.brackets -= 1
            if not self.brackets and block.header:
                self._expect_body(block, block.header)
        elif self._opens(at):
            self._open(at, block)
        elif kind == KEPT:
            self._kept(piece)
        elif kind == "SEMICOLON" and not self.brackets:
            if len(self.blocks) > 1 or self.roles.head[at] == "":
                block.fresh, block.is_body = True, False
        elif kind == "EMBEDDED" and len(self.blocks) == 1:
            block.fresh = True
        elif not self.roles.is_field(at) and len(self.blocks) > 1 and not self.brackets:
            if kind in _HEADED:
                block.header = kind
            elif kind == "ELSE":
                self._expect_body(block, kind)

    def _expect_body(self, block: _Block, kind: str) -> None:
        block.nest.append(kind)
        block.header = ""
        block.fresh = block.is_body = True

    # ------------------------------------------------------------ blocks

    def _opens(self, at: int) -> bool:
        return is_brace(self.pieces[at], "LBRACE")

    def _closes(self, at: int) -> bool:
        return is_brace(self.pieces[at], "RBRACE")

    def _open(self, at: int, block: _Block) -> None:
        depth = block.level + (0 if block.nest else 1)
        self.blocks.append(_Block(depth, self._is_short(at)))

    def _close(self, at: int) -> None:
        closed = self.blocks.pop()
        block = self.blocks[-1]
        self.base = closed.depth - 1
        is_empty = self._opens(at - 1) and not self.comments[at]
        self._emit(at, self.base, not closed.is_inline and not is_empty, False)
        block.fresh, block.is_body, block.header = True, False, ""
        block.after_short = closed.is_inline

    def _is_short(self, at: int) -> bool:
        """Whether the author wrote a block on one line, and it can stay there."""
        width = 1
        for number in range(at + 1, len(self.pieces)):
            piece = self.pieces[number]
            if piece.newlines or self.comments[number] or "\n" in piece.text:
                return False
            width += len(piece.text) + 1
            if self._closes(number):
                return width <= _SHORT
            if self._opens(number) or piece.kind == KEPT:
                return False
        return False

    def _kept(self, piece: Piece) -> None:
        """A conditional may open or close blocks, as `probe a {` does."""
        for _ in range(piece.braces):
            self.blocks.append(_Block(self.blocks[-1].depth + 1))
        for _ in range(-piece.braces):
            if len(self.blocks) > 1:
                self.blocks.pop()
        if piece.braces or (len(self.blocks) == 1 and piece.text.startswith("@")):
            self.blocks[-1].fresh = True

    # ------------------------------------------------------------ lines

    def _new_line(self, margin: str, blank: bool) -> None:
        if blank and self.lines:
            self.lines.append(Line(""))
        self.lines.append(Line(margin))

    def _append(self, piece: Piece, blank: str) -> None:
        last = self.lines[-1]
        is_first = not last.code
        text = _shifted(piece, last.margin) if is_first else piece.text
        behind = f" {last.comment}" if last.comment else ""  # a block comment that code follows
        self.lines[-1] = Line(last.margin, last.code + behind + blank + text)

    def _trail(self, comment: Piece) -> None:
        last = self.lines[-1]
        both = f"{last.comment} {comment.text}" if last.comment else comment.text
        self.lines[-1] = Line(last.margin, last.code, both)


def _shifted(piece: Piece, margin: str) -> str:
    """The text of a piece that begins a line, with its other lines moved as far as the first."""
    if "\n" not in piece.text or piece.margin is None or piece.margin == margin:
        return piece.text
    lines = piece.text.split("\n")
    for number in range(1, len(lines)):
        line = lines[number]
        if number not in piece.fixed and line.strip() and line.startswith(piece.margin):
            lines[number] = margin + line[len(piece.margin) :]
    return "\n".join(lines)
