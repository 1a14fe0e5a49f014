# SPDX-License-Identifier: GPL-2.0-or-later
"""Expands macros and evaluates conditionals, on tokens.

    @define twice(x) %( @x * 2 %)
    n = %( kernel_v >= "5.0" %? @twice(4) %: 0 %)      ->      n = 4 * 2

Macros are expanded first, so a condition may use them. A branch that is not taken only has to consist
of tokens: its macros are neither defined nor expanded. The expansion of a macro is scanned for macros
again. Tokens from a macro's body carry a `Source` of this one expansion; it lets a diagnostic show
where the macro was used, and lets the preprocessor find recursion.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from compiler.frontend.lexer import AT_KINDS, Token
from compiler.frontend.preprocessor_conditions import Conditions, evaluate
from compiler.ir.diagnostics import Diagnostics, Label
from compiler.ir.source import Source, Span, readable
from compiler.support.did_you_mean import did_you_mean
from runtime.support.record import field, record

_MAX_TOKENS = 200_000  # that macros may expand to, in one file
_MAX_DEPTH = 100  # of macros that use macros
_DEFINITION_HINT = "a macro is @define name %( body %) or @define name(a, b) %( body %)"
_CONDITIONAL_HINT = "a conditional is %( condition %? then %: otherwise %)"
_CONDITIONAL = frozenset({"PP_IF", "PP_THEN", "PP_ELSE", "PP_END"})
_NEEDED = _CONDITIONAL | {"AT"}


@record
class Macro:
    """`@define name(params) %( body %)`; `params` is None for a macro without a parameter list."""

    name: str
    params: tuple[str, ...] | None
    body: tuple[Token, ...] = field(repr=False)
    span: Span


def preprocess(
    tokens: list[Token],
    conditions: Conditions,
    library_macros: Mapping[str, Macro],
    diagnostics: Diagnostics,
) -> tuple[list[Token], dict[str, Macro]]:
    """Returns the tokens without macros and conditionals, and the macros that they define.

    A script's own macros hide those of `library_macros`. Adds its errors to `diagnostics` and puts
    a number in place of what it could not expand.
    """
    if not any(token[0] in _NEEDED for token in tokens):
        return tokens, {}
    preprocessor = _Preprocessor(tokens, conditions, library_macros, diagnostics)
    return list(preprocessor.run()), preprocessor.local


class _Preprocessor:
    def __init__(
        self,
        tokens: list[Token],
        conditions: Conditions,
        library: Mapping[str, Macro],
        diagnostics: Diagnostics,
    ) -> None:
        self.ahead = tokens[::-1]  # a stack of the tokens still to be read: the last one is next
        self.conditions = conditions
        self.library = library
        self.local: dict[str, Macro] = {}
        self.diagnostics = diagnostics
        self.expanded_tokens = 0

    def run(self) -> Iterator[Token]:
        open_ifs: list[tuple[Token, bool]] = []  # each '%(', and whether its '%:' has passed
        while (token := self.next_expanded()) is not None:
            kind = token.kind
            if kind not in _CONDITIONAL:
                yield token
            elif kind == "PP_IF":
                if self.condition(token):
                    open_ifs.append((token, False))
                elif self.skip_branch(token, else_ends=True):
                    open_ifs.append((token, True))
            elif not open_ifs or kind == "PP_THEN":
                self.stray_conditional(token)
            elif kind == "PP_END":
                open_ifs.pop()
            else:
                opening, in_else = open_ifs.pop()
                if in_else:
                    self.second_else(token, opening)
                self.skip_branch(opening, else_ends=False)
        for opening, _ in open_ifs:
            self.unterminated(opening)

    def next_kind(self) -> str:
        """The kind of the next token before macro expansion; "" at the end of the text."""
        return self.ahead[-1].kind if self.ahead else ""

    # ------------------------------------------------------------ macro uses

    def next_expanded(self) -> Token | None:
        """Returns the next token after macro expansion, and records definitions on the way."""
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
                self.unknown_operator(token)
                return _placeholder(token)
            self.expand(token, macro)
        return None

    def unknown_operator(self, use: Token) -> None:
        name = readable(f"@{use.value}")
        known = (f"@{other}" for other in (*AT_KINDS, *self.local, *self.library))
        self.diagnostics.error(
            "unknown-operator",
            f"'{name}' is neither a macro nor an operator",
            use.span,
            hint=did_you_mean(name, known) or "a macro has to be defined before its use",
        )

    def expand(self, use: Token, macro: Macro) -> None:
        """Puts the expansion of a macro, or a placeholder, in front of the tokens still to be read.

        Drops the rest of the text if the expansion is too large.
        """
        arguments = self.arguments(use, macro)
        if arguments is None or self.is_recursive(use, macro):
            self.ahead.append(_placeholder(use))
            return
        replacement = _substitute(use, macro, arguments)
        self.expanded_tokens += 1 + len(replacement)
        if self.expanded_tokens > _MAX_TOKENS or _expansion_depth(use.span) > _MAX_DEPTH:
            self.too_large(use.span)
        else:
            self.ahead += reversed(replacement)

    def is_recursive(self, use: Token, macro: Macro) -> bool:
        """Whether a macro is used in its own expansion, directly or through others; reports it."""
        outer: Span | None = use.span
        while outer is not None:
            if outer.source.expansion is not None and _is_in_body(outer, macro):
                self.diagnostics.error(
                    "macro-recursion",
                    f"macro '@{macro.name}' expands to itself",
                    use.span,
                    labels=[Label(macro.span, "defined here")],
                    hint="write a function: functions may recurse",
                )
                return True
            outer = outer.source.expansion
        return False

    def arguments(self, use: Token, macro: Macro) -> dict[str, list[Token]] | None:
        """Reads the arguments of a use: tokens by parameter, or None after a diagnostic."""
        if macro.params is None:
            return {}
        takes = f"takes {len(macro.params)} argument{'' if len(macro.params) == 1 else 's'}"
        if self.next_kind() != "LPAR":
            self.bad_arguments(use, macro, f"macro '@{macro.name}' {takes}")
            return None
        self.ahead.pop()
        given = self.split_arguments()
        if given is None:
            self.bad_arguments(use, macro, f"the use of macro '@{macro.name}' has no ')'")
            return None
        if len(given) != len(macro.params):
            labels = [Label(macro.span, "defined here")]
            message = f"macro '@{macro.name}' {takes}, not {len(given)}"
            self.bad_arguments(use, macro, message, labels)
            return None
        return dict(zip(macro.params, given, strict=True))

    def split_arguments(self) -> list[list[Token]] | None:
        """Reads up to the closing ')'. Returns None at the end of the text."""
        given: list[list[Token]] = [[]]
        depth = 0
        while self.ahead:
            token = self.ahead.pop()
            if token.kind in ("LPAR", "LBRACKET"):
                depth += 1
            elif token.kind in ("RPAR", "RBRACKET"):
                if not depth:
                    return given
                depth -= 1
            elif token.kind == "COMMA" and not depth:
                given.append([])
                continue
            given[-1].append(token)
        return None

    def bad_arguments(
        self, use: Token, macro: Macro, message: str, labels: list[Label] | None = None
    ) -> None:
        hint = f"write @{macro.name}({', '.join(macro.params or ())})"
        self.diagnostics.error("macro-arguments", message, use.span, labels=labels or (), hint=hint)

    def too_large(self, span: Span) -> None:
        self.diagnostics.error(
            "expansion-too-large",
            "macros expand to too many tokens here",
            span,
            hint="a macro whose body uses another twice doubles at each level",
        )
        self.ahead.clear()

    # ------------------------------------------------------------ macro definitions

    def define(self, keyword: Token) -> None:
        """Reads a definition after '@define', and records it if it is valid."""
        name = self.ahead.pop() if self.ahead else None
        if name is None or name.kind != "IDENT":
            if name is not None:
                self.ahead.append(name)
            self.bad_macro("expected the macro's name", name or keyword)
            self.skip_definition()
            return
        if name.value == "define":
            hint = "give the macro another name"
            self.bad_macro("'@define' itself cannot be defined", name, hint)
            self.skip_definition()
            return
        params: list[str] | None = None
        if self.next_kind() == "LPAR":
            self.ahead.pop()
            params = self.parameters()
            if params is None:
                at = self.ahead[-1] if self.ahead else name
                self.bad_macro("expected the names of parameters", at)
                self.skip_definition()
                return
        body = self.body(name)
        if body is not None and self.may_define(name, body):
            self.local[str(name.value)] = Macro(
                str(name.value), None if params is None else tuple(params), tuple(body), name.span
            )

    def bad_macro(self, message: str, at: Token, hint: str = _DEFINITION_HINT) -> None:
        self.diagnostics.error("bad-macro", message, at.span, hint=hint)

    def parameters(self) -> list[str] | None:
        """Reads the parameters' names and the ')'. Returns None before the first invalid token."""
        params: list[str] = []
        while self.next_kind() == "IDENT":
            params.append(str(self.ahead.pop().value))
            if self.next_kind() == "RPAR":
                self.ahead.pop()
                return params
            if self.next_kind() != "COMMA":
                break
            self.ahead.pop()
        return None

    def body(self, name: Token) -> list[Token] | None:
        """Reads the body of a macro. Returns None after a diagnostic."""
        if self.next_kind() != "PP_IF":
            at = self.ahead[-1] if self.ahead else name
            self.bad_macro(f"expected '%(' after '@define {name.value}'", at)
            return None
        opening = self.ahead.pop()
        body: list[Token] = []
        if not self.collect(body):
            self.bad_macro(f"the body of macro '@{name.value}' has no '%)'", opening)
            return None
        return body

    def may_define(self, name: Token, body: list[Token]) -> bool:
        """Whether a definition is neither nested nor a duplicate; reports it otherwise."""
        inner = next((t for t in body if t.kind == "AT" and t.value == "define"), None)
        if inner is not None:
            hint = f"move this '@define' out of the body of '@{name.value}'"
            self.bad_macro("a macro cannot define a macro", inner, hint)
            return False
        known = self.local.get(str(name.value))
        if known is not None:
            self.diagnostics.error(
                "duplicate-macro",
                f"macro '@{name.value}' is defined twice",
                name.span,
                labels=[Label(known.span, "first defined here")],
                hint="remove one of them, or rename it",
            )
        return known is None

    def skip_definition(self) -> None:
        """Skips the body of an invalid definition, if a '%(' follows within 40 tokens."""
        for at in range(len(self.ahead) - 1, max(-1, len(self.ahead) - 40), -1):
            if self.ahead[at].kind == "PP_IF":
                del self.ahead[at:]
                self.collect([])
                return

    def collect(self, body: list[Token]) -> bool:
        """Reads up to the '%)' that closes a '%(' just read; returns False at the end of the text."""
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

    # ------------------------------------------------------------ conditionals

    def condition(self, opening: Token) -> bool:
        """Reads and evaluates a condition up to its '%?'.

        A malformed condition counts as true, so that the branch that it guards is still checked.
        """
        tokens: list[Token] = []
        while (token := self.next_expanded()) is not None:
            if token.kind == "PP_THEN":
                return evaluate(tokens, opening, self.conditions, self.diagnostics)
            if token.kind in _CONDITIONAL:
                self.ahead.append(token)
                break
            tokens.append(token)
        self.diagnostics.error(
            "bad-condition",
            "this '%(' has no '%?' after its condition",
            opening.span,
            hint=_CONDITIONAL_HINT,
        )
        return True

    def skip_branch(self, opening: Token, *, else_ends: bool) -> bool:
        """Skips a branch. Returns True if it ended at '%:', False at '%)' or the end of the text."""
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
            elif token.kind == "PP_THEN" and not depth:
                self.stray_conditional(token)
        self.unterminated(opening)
        return False

    def stray_conditional(self, token: Token) -> None:
        self.diagnostics.error(
            "stray-conditional",
            f"'{token.value}' without a '%(' before it",
            token.span,
            hint=_CONDITIONAL_HINT,
        )

    def second_else(self, token: Token, opening: Token) -> None:
        self.diagnostics.error(
            "stray-conditional",
            "this conditional has a second '%:'",
            token.span,
            labels=[Label(opening.span, "opened here")],
            hint="nest another %( ... %) instead",
        )

    def unterminated(self, opening: Token) -> None:
        self.diagnostics.error(
            "unterminated-conditional",
            "this '%(' has no '%)'",
            opening.span,
            hint=_CONDITIONAL_HINT,
        )


def _placeholder(use: Token) -> Token:
    """The token that replaces the use of a macro that could not be expanded."""
    return Token("NUMBER", 0, use.span)


def _substitute(use: Token, macro: Macro, arguments: Mapping[str, list[Token]]) -> list[Token]:
    """The body of a macro with its arguments, its tokens marked as coming from this use."""
    sources: dict[Source, Source] = {}  # a body may itself come from several expansions
    replacement: list[Token] = []
    for kind, value, span in macro.body:
        if kind == "AT" and value in arguments:
            replacement += arguments[str(value)]
            continue
        source = sources.get(span.source)
        if source is None:
            source = Source(span.source.name, span.source.text, use.span)
            sources[span.source] = source
        replacement.append(Token(kind, value, Span(source, span.start, span.end)))
    return replacement


def _expansion_depth(span: Span) -> int:
    """How many levels deep a span is in expansions: 1 in the file itself."""
    depth, source = 1, span.source
    while source.expansion is not None:
        depth, source = depth + 1, source.expansion.source
    return depth


def _is_in_body(span: Span, macro: Macro) -> bool:
    """Whether a token is part of the body of a macro."""
    body = macro.body
    return bool(body) and (
        span.source.text is body[0].span.source.text
        and body[0].span.start <= span.start <= body[-1].span.end
    )
