# SPDX-License-Identifier: GPL-2.0-or-later
"""How much of the kernel's stack a body's numbers take, and what is done when it is too much.

A handler runs on whatever stack it interrupted: 16 KB that a process or an interrupt has used in part, or the
8 KB of an exception. So its numbers (locals, temporaries) may take MOST_WORDS there, together with those of
the functions that it calls, since gcc may make one function of them all. The numbers of a body that needs
more are in the CPU's block, with its strings.

What remains is a return address and saved registers for each call. Nothing but the script bounds the depth of
recursive functions and of long chains; these are `checked`: they compare the stack pointer with its bound.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from compiler.codegen.body_emitter import BodyEmitter, Unit
from compiler.ir import program as p
from compiler.ir.program import LONG
from compiler.ir.walk import Node, body_of, calls

MOST_WORDS = 64  # 512 bytes
# of one level of a recursion: ten levels, the default MAXNESTING, take no more than 3 KB
MOST_WORDS_OF_A_LEVEL = 16
_FEW, _SPARE = 8, 16  # a body with few numbers keeps them, beside a large function that it calls
_LONG_CHAIN = 16  # functions; each takes 100 bytes or so


def checked_functions(
    callees_first: Sequence[p.Function], recursive: frozenset[str], paying: frozenset[str]
) -> frozenset[str]:
    """The functions that have to look at the stack pointer."""
    depths: dict[str, int] = {}
    for f in callees_first:
        depths[f.symbol] = 1 + max((depths.get(s, 0) for s in calls(body_of(f))), default=0)
    return recursive | paying if max(depths.values(), default=0) > _LONG_CHAIN else recursive


def bounded(
    unit: Unit,
    make: Callable[[bool], BodyEmitter],
    locals_: Sequence[p.Local],
    roots: Sequence[Node],
    most: int = MOST_WORDS,
) -> BodyEmitter:
    """What `make` emits, with the numbers in the frame (as its argument says) if they are too many.

    A function's share of the stack is noted for its callers, which are emitted later.
    """
    b = make(False)
    below = max((unit.stack_words.get(symbol, 0) for symbol in calls(roots)), default=0)
    own = sum(1 for x in locals_ if x.type is LONG) + b.most_live_words
    if own + below > most + (_SPARE if own <= _FEW else 0) and own:
        b, own = make(True), 0
    if b.function is not None:
        # callers pass most of its parameters on the stack
        unit.stack_words[b.function.symbol] = own + len(b.function.parameters) + below
    return b
