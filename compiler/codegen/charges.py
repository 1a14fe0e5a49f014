# SPDX-License-Identifier: GPL-2.0-or-later
"""Paying for what is about to run: the calls in generated code that stapwatch/charge.h describes.

pay(b, Cost(3, 250), span)   ->   if (unlikely(!sw_charge(c, 3))) { c->error_site = 4; goto fail; }
"""

from __future__ import annotations

from compiler.codegen.body_emitter import BodyEmitter
from compiler.codegen.costs import LONG_STRING, MERGE_ROW, MERGE_WORD, Cost, merged_words
from compiler.codegen.data_layout import StoredGlobal
from compiler.ir.hooks import Hook
from compiler.ir.options import Limits
from compiler.ir.source import Span

TOO_LONG = "MAXACTION exceeded"
LOOK = 256  # SW_LOOK


def most_actions(limits: Limits, hook: Hook) -> int:
    """Of a hit. Seldom ones may sort and print a table; those of the session do not interrupt anything."""
    if hook.is_interruptible:
        return limits.MAXACTION_INTERRUPTIBLE
    if hook.is_cold:
        return max(limits.MAXACTION, limits.MAXACTION_INTERRUPTIBLE // 10)
    return limits.MAXACTION


def pay(b: BodyEmitter, cost: Cost, span: Span) -> None:
    """Ends the handler unless it has the actions that the code after this costs."""
    b.unless(f"sw_charge({b.c}, {cost.actions})", TOO_LONG, span)


def pay_for_elements(b: BodyEmitter, g: StoredGlobal, cost: str, what: str, span: Span) -> None:
    """`cost`: the instructions for each element of an array that is `what`: "sorting"."""
    live = f"{b.s}->{g.c}.head.live"
    b.unless(f'sw_charge_all({b.c}, {live}, {cost}, "{what}", "elements")', TOO_LONG, span)


def pay_for_lanes(b: BodyEmitter, g: StoredGlobal, cost: int, span: Span) -> None:
    """`cost`: the instructions for each CPU's row, if a global has one for each."""
    if g.percpu:
        b.unless(f"sw_charge_lanes({b.c}, {cost})", TOO_LONG, span)


def merging(g: StoredGlobal) -> int:
    """Instructions for each CPU's row of a statistic, or of a number."""
    if g.row.statistic is None:
        return MERGE_WORD
    return MERGE_ROW + MERGE_WORD * merged_words(g)


def check_paid(b: BodyEmitter, size: int, span: Span, shortest: int = LONG_STRING) -> None:
    """After a runtime function that pays for the bytes of a string of at most `size` bytes, and may have
    ended early if it is longer than `shortest`."""
    if b.in_hit and size > shortest:
        b.check(TOO_LONG, span)
