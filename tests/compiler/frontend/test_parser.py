# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import logging

import pytest

from compiler.frontend.grammar_table import GRAMMAR
from compiler.ir import syntax as s
from tests.compiler.frontend.support import (
    expression,
    faults,
    places,
    shape,
    slugs,
    statements,
    tree,
)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        # '.' binds looser than '+', tighter than shifts
        ("1 + 2 . 3 + 4", "((1 + 2) . (3 + 4))"),
        ("a . b << c", "((a . b) << c)"),
        ("a << b + c", "(a << (b + c))"),
        ("a << b >> c >>> d", "(((a << b) >> c) >>> d)"),
        # one level for all comparisons
        ("a < b == c", "((a < b) == c)"),
        ("a == b < c", "((a == b) < c)"),
        ("a + b > c << d", "((a + b) > (c << d))"),
        # 'in' binds looser than comparison, tighter than '&'
        ("a == b in c", "([a == b] in c)"),
        ("a & b in c", "(a & ([b] in c))"),
        ("[a, *] in c && d", "(([a, *] in c) && d)"),
        # bit operators bind looser than comparison
        ("a & b == c", "(a & (b == c))"),
        ("a | b ^ c & d", "(a | (b ^ (c & d)))"),
        ("a || b && c | d", "(a || (b && (c | d)))"),
        ('a . b =~ "c" && d', '(((a . b) =~ "c") && d)'),
        ("a ? b : c ? d : e", "(a ? b : (c ? d : e))"),
        ("a ? b = c : d", "(a ? (b = c) : d)"),
        ("a = b += c", "(a = (b += c))"),
        ("-a++ + --b", "(- (a++) + (--b))"),
        ("!a == ~b", "(!a == ~b)"),
        ("a * -b / c % d", "(((a * -b) / c) % d)"),
        ("-1", "-1"),
        # paths
        ("-$v->f[1]->g", "-$v->f[1]->g"),
        ("&$v->f & &x->y", "((&$v->f) & (&(x)->y))"),
        ("-&$v", "-(&$v)"),
        ("a[1]->b + c(2)[3]", "((a[1])->b + (c(2))[3])"),
        ("$v$ . $v->f$$ . $v[1]$ . x->f$", "((($v$ . $v->f$$) . $v[1]$) . (x)->f$)"),
    ],
)
def test_precedence(text: str, result: str) -> None:
    assert shape(text) == result


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("a -b", 1),
        ("a; -b", 2),
        ("a ++b", 2),  # a++, b
        ("a ! b", 2),
        ("f (x)", 1),
        ("f; (x)", 2),
        ("a [1]", 1),
        ("a & b", 1),
        ("a = 1 b = 2 c", 3),
        ('1 2 "x" y', 4),
        ("if (a) b; else c", 1),
        ("if (a) if (b) c; else d", 1),
        ("while (a) b; c", 2),
        ("x in y[1]", 2),  # the array of 'in' has no keys
        ("next; break continue", 3),
        ("delete a delete b", 2),
        ("a;; b", 3),
        ("{} ;", 2),
    ],
)
def test_semicolons_are_optional(text: str, count: int) -> None:
    assert len(statements(text)) == count


def test_bare_return_ends_at_a_semicolon_or_brace() -> None:
    [f, g] = tree("function f() { return; x } function g() { return -x }").items
    assert isinstance(f, s.Function) and isinstance(f.body, s.Block)
    assert [type(x) for x in f.body.body] == [s.Return, s.ExprStmt]
    assert isinstance(g, s.Function) and isinstance(g.body, s.Block)
    [only] = g.body.body
    assert isinstance(only, s.Return) and isinstance(only.value, s.Unary)
    assert slugs("function f() { if (x) return else return 1 }") == ["syntax"]


def test_else_belongs_to_the_nearest_if() -> None:
    [outer] = statements("if (a) if (b) c; else d")
    assert isinstance(outer, s.If) and outer.otherwise is None
    assert isinstance(outer.then, s.If) and outer.then.otherwise is not None


def test_the_grammar_has_the_conflicts_it_is_meant_to_have() -> None:
    """Each is a position where the parser resolves an optional semicolon or an else by shifting."""
    from lark import Lark, logger
    from lark.lexer import Lexer

    class NoLexer(Lexer):
        def __init__(self, lexer_conf: object) -> None: ...

        def lex(self, lexer_state: object, parser_state: object) -> None:  # type: ignore[override]
            raise NotImplementedError

    lines: list[str] = []

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    handler, level = Collect(), logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        Lark(GRAMMAR.read_text(), parser="lalr", lexer=NoLexer, debug=True)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    found = {
        (line.split("terminal ")[1].split(":")[0], lines[number + 1].strip(" *<>"))
        for number, line in enumerate(lines)
        if line.startswith("Shift/Reduce")
    }
    assert found == {
        ("LPAR", "primary : IDENT"),
        ("LBRACKET", "operand : postfix"),
        ("LBRACKET", "operand : AMPERSAND postfix"),
        ("CREMENT", "crement : operand"),
        ("PLUS", "concatenation : sum"),
        ("MINUS", "concatenation : sum"),
        ("PLUS", "concatenation : concatenation DOT sum"),
        ("MINUS", "concatenation : concatenation DOT sum"),
        ("AMPERSAND", "bit_xor : bit_and"),
        ("AMPERSAND", "bit_xor : bit_xor CARET bit_and"),
        ("ELSE", "statement : IF LPAR expr RPAR statement"),
        ("SEMICOLON", "statement : simple"),
    }


def test_spans_cover_what_was_written() -> None:
    text = "probe a.b(1)? { x = f(1, $v->g) + y[2] }\nfunction g:long(a) { return a }"
    [probe, function] = tree(text).items
    assert isinstance(probe, s.Probe)
    assert probe.span.text == text.split("\n")[0]
    assert probe.points[0].span.text == "a.b(1)?"
    assert probe.points[0].components[1].span.text == "b(1)"
    [statement] = probe.body.body
    assert isinstance(statement, s.ExprStmt) and isinstance(statement.value, s.Assign)
    value = statement.value.value
    assert isinstance(value, s.Binary)
    assert value.span.text == "f(1, $v->g) + y[2]"
    assert isinstance(value.left, s.Call)
    assert value.left.name_span.text == "f"
    assert value.left.args[1].span.text == "$v->g"
    assert isinstance(function, s.Function)
    assert function.span.text == text.split("\n")[1]
    assert function.name_span.text == "g"


def test_columns_count_characters_not_bytes() -> None:
    assert places(faults('probe a {\n\tx = "größe" y = ] }')) == [(2, 18)]


def test_probe_points() -> None:
    [probe] = tree('probe a.f("x").n(-1)!, {b,c.d}.e if (x), a.{p?, q} {}').items
    assert isinstance(probe, s.Probe)
    first, second, third, fourth = probe.points
    assert [(c.name, c.arg) for c in first.components] == [("a", None), ("f", "x"), ("n", -1)]
    assert first.sufficient and not first.optional
    assert second.components[0].name == "{b,c.d}"
    assert [[c.name for c in path] for path in second.components[0].alternatives] == [
        ["b"],
        ["c", "d"],
    ]
    assert isinstance(second.condition, s.Name)
    # suffixes inside braces make points of their own
    assert [c.name for c in third.components] == ["a", "p"] and third.optional
    assert [c.name for c in fourth.components] == ["a", "q"] and not fourth.optional


def test_parts_of_the_tree() -> None:
    loop = statements("foreach (v = [a, b-] in c[*, 1] limit 3) {}")[0]
    assert isinstance(loop, s.Foreach)
    assert loop.value is not None and loop.value.name == "v"
    assert loop.sort is not None and loop.sort.key == 1 and loop.sort.descending
    assert isinstance(loop.slice[0], s.Wildcard)
    access = expression("&$v->f[1]")
    assert isinstance(access, s.Access) and access.address
    assert isinstance(access.base, s.TargetVar) and access.base.name == "v"
    assert [type(step) for step in access.path] == [s.Field, s.Element]
    assert isinstance(expression("$$vars"), s.TargetVar)
    printed = expression('sprintf("%d", 1)')
    assert isinstance(printed, s.Print) and printed.format is not None
    bucket = expression("@hist_linear(s, -5, 10, 2)[1]")
    assert isinstance(bucket, s.Bucket)
    assert [a.value for a in bucket.histogram.args if isinstance(a, s.Number)] == [-5, 10, 2]


def test_every_item_reports_its_own_mistake() -> None:
    text = "global a b\nprobe a { ( }\nprobe c { x }\nfunction f( { }\nprobe d { if } \nprob e {}"
    assert [line for line, _ in places(faults(text))] == [1, 2, 4, 5]


def test_an_end_too_early_is_told_at_the_end_of_the_text() -> None:
    found = faults("probe a {\n  x = 1 +\n\n  // nothing more\n")
    assert [fault.slug for fault in found] == ["unexpected-end"]
    assert places(found) == [(2, 10)]
    found = faults("probe a {\n  if (x\nprobe b { y = (1 }")
    assert [fault.slug for fault in found] == ["unexpected-end", "syntax"]
    assert places(found) == [(2, 8), (3, 18)]
    assert [label.span.location[1:] for label in found[0].labels] == [(2, 6)]


def test_what_follows_from_a_mistake_is_not_told() -> None:
    assert slugs('probe a { x = "no end }\nprobe b { y = ] }') == ["unterminated-string", "syntax"]
    assert slugs("probe a { x = @nope(1) + ) }") == ["unknown-operator"]
    assert slugs("probe a { x = 1 /* no end }") == ["unterminated-comment"]
    # but an invalid number becomes a number token itself
    assert slugs("probe a { x = 08 + ) }") == ["bad-number", "syntax"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("probe a { f(1 2) }", "expected ')' or ',', found a number"),
        ("probe a { x = }", "expected an expression, found '}'"),
        ("probe a.b { x ] }", "expected a statement or '}', found ']'"),
        ("probe a b {}", "expected ',', '=' or '{', found 'b'"),
        ("global 5", "expected a name, found a number"),
        ("probe a { $v->1 }", "expected a field name or '$', found a number"),
        ("x = 1", "expected 'probe', 'function', 'global', 'private' or '%{', found 'x'"),
        ("probe a { try { } }", "expected 'catch', found '}'"),
        ("probe a { printf(x) }", "expected a string literal, found 'x'"),
    ],
)
def test_messages_name_what_is_possible(text: str, message: str) -> None:
    assert message in [fault.message for fault in faults(text)]


@pytest.mark.parametrize(
    "text",
    [
        *("probe a {};", "global a;; probe b {}", "probe a() {}", "probe a(x) {}", "probe {} {}"),
        *("probe a.*5b {}", "probe a.b *c {}", "probe a.@b {}", "probe a{b,c} {}", "probe .a {}"),
        *("private probe a {}", "private private a", "global a[]", "global a[1+2]", "global a=1+2"),
        *("function f(x y) {}", "function f {}", "function f:long:string() {}", "function if() {}"),
        *("probe a { x = a =~ b }", 'probe a { x = a == 1 =~ "c" }', "probe a { a in b in c }"),
        *("probe a { [] in c }", "probe a { foreach ([*] in c) {} }", "probe a { print() }"),
        *("probe a { for (i=0,j=1;;) ; }", "probe a { while () x }", "probe a { ++x++ }"),
        *("probe a { foreach (x in f(y)) {} }", "probe a { f(x,) }", "probe a { string = 1 }"),
        *("probe a { @cast(p) }", "probe a { @var(x) }", "probe a { @defined(a, b) }"),
        *("probe a { @perf(x) }", "probe a { @sum(x, 1) }", "probe a { @variance(x, y) }"),
        *("probe a { $v[] }", "probe a { $v[*] }", "probe a { & & $x }", "probe a %{ x %}"),
    ],
)
def test_refused(text: str) -> None:
    faults(text)


def test_else_if_chains_and_concatenations_of_ordinary_length_are_fine() -> None:
    chain = " else ".join(f"if (x == {n}) y = {n};" for n in range(200))
    assert len(statements(chain)) == 1
    assert shape(" . ".join(['"x"'] * 200)).count('"x"') == 200
    assert len(statements("x; " * 5000)) == 5000
