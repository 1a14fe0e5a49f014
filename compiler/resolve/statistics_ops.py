# SPDX-License-Identifier: GPL-2.0-or-later
"""Statistics: extractors and histograms, and the parts that a statistic must store for them.

@count(s["a"])       -> Extract("count", GlobalRef("s", (String("a"),)))
@hist_log(s)[3]      -> Bucket(Buckets(<log2>, GlobalRef("s")), 3)
"""

from __future__ import annotations

from compiler.ir import program as p
from compiler.ir import syntax
from compiler.ir.program import LONG, STAT
from compiler.resolve.contexts import FunctionContext
from compiler.resolve.variables import element, scalar
from runtime.abi.manifest import Histogram, HistogramKind

_LINEAR_BUCKETS = 128  # at most this many intervals, as SystemTap's MAXBUCKETS


def statistic(ctx: FunctionContext, e: syntax.Expr) -> p.GlobalRef | None:
    """The statistic that an extractor or `<<<` names."""
    found: p.Expr
    match e:
        case syntax.Name() if (symbol := ctx.program.find_global(e.name, ctx.file)) is not None:
            found = scalar(ctx, symbol, e.span, STAT)
        case syntax.Index():
            found = element(ctx, e, STAT)
        case _:
            ctx.report("not-a-statistic", "a global filled with '<<<' is needed here", e.span)
            return None
    return found if isinstance(found, p.GlobalRef) else None


def extract(ctx: FunctionContext, e: syntax.Extract) -> p.Expr:
    """`@count(s)` and the other extractors."""
    found = statistic(ctx, e.stat)
    shift, where = 0, e.span
    for arg in e.args:
        value = ctx.typed(arg, LONG)
        if not isinstance(value, p.Number) or not 0 <= value.value <= 62:
            ctx.report("not-constant", "a bit shift from 0 to 62 is needed here", arg.span)
            continue
        shift, where = value.value, arg.span
    if found is not None and e.extractor == "variance":
        known = ctx.program.variance_shifts.setdefault(found.name, shift)
        if known != shift:
            ctx.report(
                "two-shifts",
                f"'{found.name}' cannot keep its variance with a bit shift of both {known} and {shift}",
                where,
                "use one shift for all @variance of a statistic",
            )
    if found is None:
        return ctx.error_expr(e.span)
    return p.Extract(e.extractor, found, shift, e.span)


def buckets(ctx: FunctionContext, e: syntax.Histogram) -> p.Buckets | None:
    """The histogram of a statistic. It is recorded, so that the statistic keeps its buckets."""
    found = statistic(ctx, e.stat)
    numbers = []
    for arg in e.args:
        value = ctx.typed(arg, LONG)
        if not isinstance(value, p.Number):
            ctx.report("not-constant", "a literal number is needed here", arg.span)
            return None
        numbers.append(value.value)
    if e.kind == "log":
        shape = Histogram(HistogramKind.LOG2, 0, 128, negative=True)
    elif len(numbers) != 3:
        ctx.report(
            "bad-histogram", "@hist_linear takes a statistic, low, high and interval", e.span
        )
        return None
    else:
        low, high, interval = numbers
        if interval <= 0 or high < low or (high - low) // interval >= _LINEAR_BUCKETS:
            ctx.report(
                "bad-histogram",
                f"@hist_linear from {low} to {high} by {interval} makes no usable buckets",
                e.span,
                f"at most {_LINEAR_BUCKETS} intervals, low not above high",
            )
            return None
        count = (high - low) // interval + 3
        shape = Histogram(HistogramKind.LINEAR, 0, count, low=low, high=high, interval=interval)
    if found is None:
        return None
    known = ctx.program.histograms.setdefault(found.name, [])
    if shape not in known:
        known.append(shape)
    if len(known) > 1:
        ctx.report(
            "two-histograms",
            f"'{found.name}' cannot keep buckets of two shapes",
            e.span,
            "fill a second statistic for the other shape",
        )
    return p.Buckets(shape, found, e.span)
