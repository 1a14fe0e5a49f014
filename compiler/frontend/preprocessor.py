# SPDX-License-Identifier: GPL-2.0-or-later
"""Macros and conditionals, on tokens.

    @define twice(x) %( @x * 2 %)
    n = %( kernel_v >= "5.0" %? @twice(4) %: 0 %)      ->      n = 4 * 2

Macros expand first, so a condition may use them. Text in a branch that is not taken has only to
consist of tokens, and its macros are neither defined nor expanded. What a macro expands to is
scanned again; tokens from its body carry a `Source` of that one expansion, which tells a diagnostic
where the macro was used, and ends recursion.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from compiler.frontend.item_tokens import AT_KINDS
from compiler.frontend.lexer import Token
from compiler.frontend.preprocessor_conditions import Conditions, evaluate
from compiler.ir.diagnostics import Diagnostics, Label
from compiler.ir.source import Source, Span, readable
from compiler.support.did_you_mean import did_you_mean
from runtime.support.record import field, record

_MAX_TOKENS = 200_000  # that come out of macros, in one file
_MAX_DEPTH = 100  # of macros that use macros
_NEEDED = frozenset({"PP_IF", "PP_THEN", "PP_ELSE", "PP_END", "AT"})


@record
class Macro:
    """`@define name(params) %( body %)`; `params` is None for a macro used without brackets."""

    name: str
    params: tuple[str, ...] | None
    body: tuple[Token, ...] = field(repr=False)
    span: Span


def preprocess(
    tokens: list[Token],
    conditions: Conditions,
    library_macros: Mapping[str, Macro],
    faults: Diagnostics,
) -> tuple[list[Token], dict[str, Macro]]:
    """The tokens with macros and conditionals gone, and the macros that they define."""
    if not any(token[0] in _NEEDED for token in tokens):
        return tokens, {}
    preprocessor = _Preprocessor(tokens, conditions, library_macros, faults)
    return list(preprocessor.run()), preprocessor.local


class _Preprocessor:
    def __init__(
        self,
        tokens: list[Token],
        conditions: Conditions,
        library: Mapping[str, Macro],
        faults: Diagnostics,
    ) -> None:
        self.ahead = tokens[::-1]  # what is still to be read, the next token last
        self.conditions = conditions
        self.library = library
        self.local: dict[str, Macro] = {}
        self.faults = faults
        self.expanded_tokens = 0

    def run(self) -> Iterator[Token]:
        open_ifs: list[tuple[Token, bool]] = []  # the '%(', and whether its '%:' has passed
        while (token := self.expanded()) is not None:
            kind = token.kind
            if kind not in _NEEDED or kind == "AT":
                yield token
            elif kind == "PP_IF":
                if self.condition(token):
                    open_ifs.append((token, False))
                elif self.skip(token, else_ends=True):
                    open_ifs.append((token, True))
            elif not open_ifs or kind == "PP_THEN":
                self.faults.error(
                    "stray-conditional",
                    f"'{token.value}' without a '%(' before it",
                    token.span,
                    hint="a conditional is %( condition %? then %: otherwise %)",
                )
            elif kind == "PP_END":
                open_ifs.pop()
            else:
                opening, in_else = open_ifs.pop()
                if in_else:
                    self.second_else(token, opening)
                self.skip(opening, else_ends=False)
        for opening, _ in open_ifs:
            self.unterminated(opening)

    # ------------------------------------------------------------ macros

    def expanded(self) -> Token | None:
        """The next token after macro expansion; definitions are taken in on the way."""
        ahead = self.ahead
        while ahead:
            token = ahead.pop()
            if token[0] != "AT":
                return token
            name = str(token.value)
            if name == "define":
                self.define(token)
                continue
            macro = self.local.get(name) or self.library.get(name)
            if macro is None and name in AT_KINDS:
                return token
            if macro is None:
                self.unknown(token)
                return self.stand_in(token)
            if not self.expand(token, macro):
                return None
        return None

    def unknown(self, use: Token) -> None:
        name = readable(f"@{use.value}")
        known = (f"@{other}" for other in (*AT_KINDS, *self.local, *self.library))
        self.faults.error(
            "unknown-operator",
            f"'{name}' is neither a macro nor an operator",
            use.span,
            hint=did_you_mean(name, known) or "a macro has to be defined before its use",
        )

    @staticmethod
    def stand_in(use: Token) -> Token:
        """What to go on with after a use that could not be expanded."""
        return Token("NUMBER", 0, use.span)

    def define(self, keyword: Token) -> None:
        ahead, faults = self.ahead, self.faults
        hint = "a macro is @define name %( body %) or @define name(a, b) %( body %)"
        name = ahead.pop() if ahead else None
        if name is None or name.kind != "IDENT":
            at = name.span if name else keyword.span
            faults.error("bad-macro", "expected the macro's name", at, hint=hint)
            if name is not None:
                ahead.append(name)
            self.skip_definition()
            return
        params: list[str] | None = None
        if ahead and ahead[-1].kind == "LPAR":
            ahead.pop()
            params = []
            while ahead:
                param = ahead.pop()
                if param.kind != "IDENT":
                    ahead.append(param)
                    params.clear()
                    break
                params.append(str(param.value))
                if not ahead or ahead[-1].kind != "COMMA":
                    break
                ahead.pop()
            if not params or not ahead or ahead[-1].kind != "RPAR":
                at = ahead[-1].span if ahead else name.span
                faults.error("bad-macro", "expected the names of parameters", at, hint=hint)
                self.skip_definition()
                return
            ahead.pop()
        if not ahead or ahead[-1].kind != "PP_IF":
            at = ahead[-1].span if ahead else name.span
            faults.error("bad-macro", f"expected '%(' after '@define {name.value}'", at, hint=hint)
            return
        opening = ahead.pop()
        body: list[Token] = []
        if not self.collect(body):
            faults.error(
                "bad-macro",
                f"the body of macro '@{name.value}' has no '%)'",
                opening.span,
                hint=hint,
            )
            return
        inner = next((t for t in body if t.kind == "AT" and t.value == "define"), None)
        if inner is not None:
            faults.error(
                "bad-macro",
                "a macro cannot define a macro",
                inner.span,
                hint=f"move this '@define' out of the body of '@{name.value}'",
            )
            return
        known = self.local.get(str(name.value))
        if known is not None:
            faults.error(
                "duplicate-macro",
                f"macro '@{name.value}' is defined twice",
                name.span,
                labels=[Label(known.span, "first defined here")],
                hint="remove one of them, or rename it",
            )
            return
        self.local[str(name.value)] = Macro(
            str(name.value), None if params is None else tuple(params), tuple(body), name.span
        )

    def skip_definition(self) -> None:
        """Leaves out the body of a definition that has been complained about."""
        for at in range(len(self.ahead) - 1, max(-1, len(self.ahead) - 40), -1):
            if self.ahead[at].kind == "PP_IF":
                del self.ahead[at:]
                self.collect([])
                return

    def collect(self, body: list[Token]) -> bool:
        """Reads up to the '%)' that closes a '%(' just read; False at the end of the text."""
        depth = 1
        while self.ahead:
            token = self.ahead.pop()
            if token.kind == "PP_IF":
                depth += 1
            elif token.kind == "PP_END":
                depth -= 1
                if not depth:
                    return True
            body.append(token)
        return False

    def expand(self, use: Token, macro: Macro) -> bool:
        """Puts the expansion of a macro before what is to be read; False gives up the file."""
        arguments: dict[str, list[Token]] = {}
        if macro.params is not None:
            found = self.arguments(use, macro)
            if found is None:
                self.ahead.append(self.stand_in(use))
                return True
            arguments = found
        outer: Span | None = use.span
        depth = 0
        while outer is not None:
            depth += 1
            origin = outer.source.expansion
            if origin is not None and self.inside(outer, macro):
                self.faults.error(
                    "macro-recursion",
                    f"macro '@{macro.name}' expands to itself",
                    use.span,
                    labels=[Label(macro.span, "defined here")],
                    hint="write a function: functions may recurse",
                )
                self.ahead.append(self.stand_in(use))
                return True
            outer = origin
        sources: dict[Source, Source] = {}
        replacement: list[Token] = []
        for token in macro.body:
            kind, value, span = token
            if kind == "AT" and value in arguments:
                replacement += arguments[str(value)]
                continue
            source = sources.get(span.source)
            if source is None:
                source = Source(span.source.name, span.source.text, use.span)
                sources[span.source] = source
            replacement.append(Token(kind, value, Span(source, span.start, span.end)))
        self.expanded_tokens += 1 + len(replacement)
        if self.expanded_tokens > _MAX_TOKENS or depth > _MAX_DEPTH:
            self.too_large(use.span)
            return False
        self.ahead += reversed(replacement)
        return True

    @staticmethod
    def inside(span: Span, macro: Macro) -> bool:
        """Whether a token stands in the body of a macro."""
        body = macro.body
        return bool(body) and (
            span.source.text is body[0].span.source.text
            and body[0].span.start <= span.start <= body[-1].span.end
        )

    def arguments(self, use: Token, macro: Macro) -> dict[str, list[Token]] | None:
        params = macro.params or ()
        takes = f"{len(params)} argument{'' if len(params) == 1 else 's'}"
        hint = f"write @{macro.name}({', '.join(params)})"
        ahead = self.ahead
        if not ahead or ahead[-1].kind != "LPAR":
            self.faults.error(
                "macro-arguments", f"macro '@{macro.name}' takes {takes}", use.span, hint=hint
            )
            return None
        ahead.pop()
        given: list[list[Token]] = [[]]
        depth = 0
        while ahead:
            token = ahead.pop()
            if token.kind in ("LPAR", "LBRACKET"):
                depth += 1
            elif token.kind in ("RPAR", "RBRACKET"):
                if not depth:
                    break
                depth -= 1
            elif token.kind == "COMMA" and not depth:
                given.append([])
                continue
            given[-1].append(token)
        else:
            self.faults.error(
                "macro-arguments",
                f"the use of macro '@{macro.name}' has no ')'",
                use.span,
                hint=hint,
            )
            return None
        if len(given) != len(params):
            self.faults.error(
                "macro-arguments",
                f"macro '@{macro.name}' takes {takes}, not {len(given)}",
                use.span,
                labels=[Label(macro.span, "defined here")],
                hint=hint,
            )
            return None
        return dict(zip(params, given, strict=True))

    def too_large(self, span: Span) -> None:
        self.faults.error(
            "expansion-too-large",
            "macros expand to too many tokens here",
            span,
            hint="a macro whose body uses another twice doubles at each level",
        )
        self.ahead.clear()

    # ------------------------------------------------------------ conditionals

    def skip(self, opening: Token, *, else_ends: bool) -> bool:
        """Leaves out a branch; True if it ended at '%:', False at '%)' or the end of the text."""
        depth = 0
        while self.ahead:
            token = self.ahead.pop()
            if token.kind == "PP_IF":
                depth += 1
            elif token.kind == "PP_END":
                if not depth:
                    return False
                depth -= 1
            elif token.kind == "PP_ELSE" and not depth:
                if else_ends:
                    return True
                self.second_else(token, opening)
        self.unterminated(opening)
        return False

    def second_else(self, token: Token, opening: Token) -> None:
        self.faults.error(
            "stray-conditional",
            "this conditional has a second '%:'",
            token.span,
            labels=[Label(opening.span, "opened here")],
            hint="nest another %( ... %) instead",
        )

    def unterminated(self, opening: Token) -> None:
        self.faults.error(
            "unterminated-conditional",
            "this '%(' has no '%)'",
            opening.span,
            hint="a conditional is %( condition %? then %: otherwise %)",
        )

    def condition(self, opening: Token) -> bool:
        """Reads and evaluates up to '%?'. A malformed condition counts as true: what it guards is
        then still checked."""
        tokens: list[Token] = []
        while (token := self.expanded()) is not None:
            if token.kind == "PP_THEN":
                return evaluate(tokens, opening, self.conditions, self.faults)
            if token.kind in _NEEDED and token.kind != "AT":
                self.ahead.append(token)
                break
            tokens.append(token)
        self.faults.error(
            "bad-condition",
            "this '%(' has no '%?' after its condition",
            opening.span,
            hint="a conditional is %( condition %? then %: otherwise %)",
        )
        return True
