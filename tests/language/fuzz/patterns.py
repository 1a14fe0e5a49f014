# SPDX-License-Identifier: GPL-2.0-or-later
"""Regular expressions and their subjects, of which some match and some do not.

match(scope, 1)  ->  Match(Variable("s", "string"), Repeat(One("a", frozenset("a")), 1, None), False)
"""

from __future__ import annotations

from tests.language.fuzz import regex
from tests.language.fuzz import tree as t
from tests.language.fuzz.choices import Scope
from tests.language.fuzz.samples import Samples

_ONES = (
    regex.One("a", frozenset("a")),
    regex.One("b", frozenset("b")),
    regex.One("a", frozenset("a")),
    regex.One("c", frozenset("c")),
    regex.One("[ab]", frozenset("ab")),
    regex.One("[^a]", frozenset("a"), negated=True),
    regex.One(".", frozenset(), negated=True),
    regex.One("[a-c]", frozenset("abc")),
    regex.One("[[:digit:]]", frozenset("0123456789")),
    regex.One("[]x-]", frozenset("]x-")),
    regex.One("\\\\", frozenset("\\")),
    regex.One("\\.", frozenset(".")),
    regex.One("%", frozenset("%")),
    regex.One("\t", frozenset("\t")),
    regex.One("\\w", frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")),
)
_TIMES: tuple[tuple[int, int | None], ...] = (
    (0, None), (1, None), (0, 1), (0, None), (1, None), (2, 2), (1, 3), (2, None), (0, 2), (0, 0),
)  # fmt: skip
_SUBJECTS = ("ab", "aab", "abab", "cba", "aaa", "b1.c", "]x-a", "")


class Patterns(Samples):
    def pattern(self) -> regex.Pattern:
        self.groups = 0
        return self.choices_of(2 if self.chance(4) else 1)

    def choices_of(self, depth: int) -> regex.Pattern:
        if not self.chance(3):
            return self.sequence(depth)
        return regex.Choice(tuple(self.sequence(depth) for _ in range(2)))

    def sequence(self, depth: int) -> regex.Pattern:
        low = 0 if self.chance(6) else 1
        return regex.Sequence(tuple(self.part(depth) for _ in range(self.number(low, 3))))

    def part(self, depth: int) -> regex.Pattern:
        kind = self.number(0, 11)
        if kind == 11:
            return regex.Begin() if self.chance(2) else regex.End()
        inner: regex.Pattern = self.pick(_ONES)
        if kind >= 8 and depth > 0:
            number = None
            if not self.chance(4):
                self.groups += 1
                number = self.groups
            inner = regex.Group(number, self.choices_of(depth - 1))
        if self.chance(3):
            return regex.Repeat(inner, *self.pick(_TIMES))
        return inner

    def match(self, scope: Scope, depth: int) -> t.Match:
        subject = self.string(scope, min(depth, 1))
        if self.chance(2):
            subject = t.Binary(".", subject, t.Text(self.pick(_SUBJECTS)))
        return t.Match(subject, self.pattern(), self.chance(4))

    def matching(self, scope: Scope) -> t.Stmt:
        """A test that prints its match."""
        made = self.match(scope, 1)  # without failures, because it is the whole condition
        shown: list[t.Expr] = [matched(0), t.Call("ngroups", (), "long")]
        if regex.is_plain(made.pattern):  # otherwise groups depend on empty iterations
            shown += [matched(n) for n in range(1, regex.count_groups(made.pattern))]
        found: t.Stmts = (t.Do(t.Print("printdln", tuple(shown), "|")),)
        if self.chance(4):
            found = (*found, self.reminder())
        missed = (t.Do(t.Print("println", (t.Text("no"),))),)
        return t.If(made, missed, found) if made.negated else t.If(made, found, missed)

    def reminder(self) -> t.Stmt:
        """Print the last match, or the error that there was none, or that it had no such group."""
        if self.chance(3):
            return self.attempt(t.Call("ngroups", (), "long"))
        return self.attempt(matched(self.pick((0, 0, 9))))


def matched(n: int) -> t.Call:
    return t.Call("matched", (t.Number(n),), "string")
