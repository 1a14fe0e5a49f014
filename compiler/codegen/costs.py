# SPDX-License-Identifier: GPL-2.0-or-later
"""What straight-line code costs at most, before it runs: in statements and in instructions.

costs.block(<n++; if (n > 3) s = execname()>)  ->  Cost(statements=3, instructions=70)

An action pays for one statement, and for 100 instructions at most. Loops pay for each iteration, and the
runtime for work that depends on data (stapwatch/charge.h), so neither is in here. The numbers are upper
bounds, measured; a test counts what generated programs execute.
"""

from __future__ import annotations

from collections.abc import Sequence

from compiler.analysis.effects import paying_functions
from compiler.codegen.data_layout import StoredGlobal
from compiler.ir import program as p
from compiler.ir.program import STRING
from compiler.ir.walk import Node, body_of, walk
from runtime.abi.manifest import HistogramKind
from runtime.support.record import field, record

INSTRUCTIONS = 100  # SW_ACTION: what an action pays for
STEPS = 16  # SW_STEPS
LONG_STRING = 64  # SW_CHUNK: the runtime pays only for strings that are longer
MOST_AT_ONCE = 64  # actions; longer code pays in pieces

MERGE_ROW, MERGE_WORD = 40, 14  # SW_MERGE_ROW, SW_MERGE_WORD
_ENTER, _LOCK = 60, 25  # a handler, and each lock that it takes
_NODE = 3  # an operator, a constant, a variable
_TURN = 12  # a loop's own instructions, each iteration
_CALL, _CALL_OF_C, _SIMPLE_CALL_OF_C = 25, 110, 60
_STRING = 110  # a string operation on up to 16 bytes; the runtime pays for more
_READ = 110  # fault-safe, of a number
_FIND, _FIND_WORD = 70, 21  # an element by its key, which is built, hashed and compared
_INSERT, _INSERT_WORD, _REMOVE = 100, 13, 100
_ZERO_WORD = 6  # of a row
_VARIANCE, _BOUND, _EXPONENTIAL = 80, 7, 12
_PRINT, _NUMBER = 130, 4  # a record, and a number in it


@record
class Cost:
    statements: int = 0
    instructions: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.statements + other.statements, self.instructions + other.instructions)

    @property
    def actions(self) -> int:
        paid = -(-self.instructions // INSTRUCTIONS)
        return max(self.statements, paid)


def dearest(*costs: Cost) -> Cost:
    """A bound of what any one of several alternatives costs."""
    return Cost(max(c.statements for c in costs), max(c.instructions for c in costs))


ENTER = Cost(0, _ENTER)
LOCK = Cost(0, _LOCK)
TURN = Cost(1, _TURN)


@record(frozen=False)
class Costs:
    """The costs of a program's code."""

    functions: dict[str, p.Function]
    globals: dict[str, StoredGlobal]
    paying: frozenset[str]  # functions that pay for themselves
    known: dict[str, Cost] = field(default_factory=dict)  # of functions

    @classmethod
    def of(cls, callees_first: Sequence[p.Function], globals_: dict[str, StoredGlobal]) -> Costs:
        """Functions that call others pay, and those that are long."""
        costs = cls({f.symbol: f for f in callees_first}, globals_, paying_functions(callees_first))
        for f in callees_first:
            if pays_itself(costs.function(f)):
                costs.paying |= {f.symbol}
        return costs

    def block(self, stmts: Sequence[p.Stmt]) -> Cost:
        """All of a block that its surroundings pay for."""
        return sum((self.statement(s) for s in stmts), Cost())

    def statement(self, s: p.Stmt) -> Cost:
        match s:
            case p.If():
                branches = [self.block(s.then), self.block(s.otherwise)]
                own = Cost(1) + self.value(s.test)
                return own + dearest(*(b for b in branches if not pays_itself(b)), Cost())
            case p.Try():
                blocks = [self.block(s.body), self.block(s.handler)]
                cost = Cost(0, _STRING if s.variable is not None else 0)
                return sum((b for b in blocks if not pays_itself(b)), cost)
            case p.Loop():
                return Cost(1) + self.value(s.test)
            case p.Foreach():
                return Cost(1, 2 * _TURN) + self.value(*s.slice, s.limit)
            case p.ForeachBucket():
                return Cost(1) + self.value(s.buckets, s.limit)
            case p.Break() | p.Continue() | p.Next() | p.Fail():
                return Cost(0, _NODE)
            case _:
                return Cost(1) + self.value(s)

    def iteration(self, s: p.Loop | p.Foreach | p.ForeachBucket) -> Cost:
        """What each iteration of a loop costs beside its statements."""
        match s:
            case p.Loop():
                return TURN + self.value(s.test, s.step)
            case p.Foreach():
                strings = [k for k in (*s.keys, s.value) if k is not None and k.type is STRING]
                return TURN + Cost(0, _STRING * len(strings))
            case p.ForeachBucket():
                return TURN + Cost(0, _CALL + MERGE_WORD)

    def value(self, *nodes: Node | None) -> Cost:
        """Expressions, or a statement without others in it."""
        found, instructions = Cost(), 0
        for node in walk(*(n for n in nodes if n is not None)):
            if isinstance(node, p.Call):
                found += self._call(node)
            else:
                instructions += self._own(node)
        return found + Cost(0, instructions)

    def function(self, f: p.Function) -> Cost:
        """A function's own code, and that of the functions that it pays for."""
        if f.symbol not in self.known:
            locals_ = len(f.body.locals) if f.body is not None else 0
            self.known[f.symbol] = Cost(0, locals_) + self.block(body_of(f))
        return self.known[f.symbol]

    def _call(self, e: p.Call) -> Cost:
        f = self.functions[e.function]
        if f.code is not None:
            call = _CALL_OF_C if f.fallible else _SIMPLE_CALL_OF_C
            return Cost(0, call + _FIND * len((*f.reads, *f.writes)))
        strings = [x for x in (f.result, *(x.type for x in f.parameters)) if x is STRING]
        own = Cost(0, _CALL + len(f.parameters) + _STRING * len(strings))
        return own if e.function in self.paying else own + self.function(f)

    # ------------------------------------------------------------ nodes

    def _own(self, node: Node) -> int:
        """Instructions of a node without those in it."""
        match node:
            case p.GlobalRef(name=name, keys=keys) | p.In(name=name, keys=keys):
                return self._element(self.globals[name], bool(keys))
            case p.Delete(name=name, keys=keys):
                g = self.globals[name]
                return self._element(g, bool(keys)) + (_REMOVE if keys else _zeroing(g))
            case p.Accumulate(target=target):
                return self._accumulation(self.globals[target.name]) + self._insertion(target)
            case p.Assign(target=target) | p.Increment(target=target):
                own = _STRING if target.type is STRING else _NODE
                return own + self._insertion(target)
            case p.Extract(stat=stat):
                return self._merging(stat)
            case p.Buckets(stat=stat, histogram=histogram):
                return self._merging(stat) + (MERGE_WORD + _CALL) * histogram.buckets
            case p.Print(args=args):
                return _PRINT + sum(_NUMBER if _is_number(a) else _STRING for a in args)
            case p.Deref() | p.CharsAt() | p.Memory() | p.Store() | p.Argument():
                return _READ
            case p.Concat() | p.Format() | p.Match() | p.Guard():
                return _STRING
            case p.Compare(left=value) | p.Conditional(then=value) | p.Return(value=value):
                return _NODE if value is None or value.type is not STRING else _STRING
            case p.EmbeddedExpr():
                return _CALL_OF_C
            case _:
                return _NODE

    # ------------------------------------------------------------ globals

    def _element(self, g: StoredGlobal, keyed: bool) -> int:
        cost = (_STRING if g.g.type is STRING else 0) + (_CALL if g.percpu else 0)
        if not keyed:
            return cost + _NODE
        long = [key for key in g.table.keys if key.type is STRING and key.size > STEPS]
        return cost + _FIND + _FIND_WORD * self._key_words(g) + _STRING * len(long)

    def _insertion(self, target: p.LocalRef | p.GlobalRef) -> int:
        """A new element: its key is hashed once more, and written with the row."""
        if isinstance(target, p.LocalRef) or not target.keys:
            return 0
        g = self.globals[target.name]
        return _INSERT + _INSERT_WORD * self._key_words(g) + _zeroing(g)

    @staticmethod
    def _key_words(g: StoredGlobal) -> int:
        return (g.slots.stride - g.slots.key_offset) // 8

    def _accumulation(self, g: StoredGlobal) -> int:
        statistic = g.row.statistic
        assert statistic is not None
        cost = 30
        if statistic.mean is not None:
            cost += _VARIANCE
        if statistic.histogram is not None and statistic.histogram.kind is HistogramKind.BOUNDS:
            cost += _BOUND * len(statistic.histogram.bounds).bit_length()
        exported = statistic.exported
        if exported is not None and exported.kind is HistogramKind.EXPONENTIAL:
            cost += _EXPONENTIAL + _BOUND * (1 + (exported.schema or 0))
        return cost

    def _merging(self, stat: p.GlobalRef) -> int:
        return MERGE_ROW + MERGE_WORD * merged_words(self.globals[stat.name])


def _zeroing(g: StoredGlobal) -> int:
    return _ZERO_WORD * g.row.size // 8


def merged_words(g: StoredGlobal) -> int:
    """The words of a statistic's row that sw_stat_merge() adds up."""
    statistic = g.row.statistic
    assert statistic is not None
    counted = 1
    if statistic.count is None and statistic.histogram is not None:
        counted = statistic.histogram.buckets  # their sum is the count
    return 4 + (2 + 2 * counted if statistic.mean is not None else counted)


def pays_itself(cost: Cost) -> bool:
    """Whether a block is too long to be paid for by what is around it."""
    return cost.actions > MOST_AT_ONCE


def _is_number(a: p.Expr | p.Buckets | p.Memory) -> bool:
    return not isinstance(a, p.Buckets | p.Memory) and a.type is not STRING
