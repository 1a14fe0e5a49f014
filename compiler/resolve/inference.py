# SPDX-License-Identifier: GPL-2.0-or-later
"""Type inference: bodies are lowered in rounds until a round learns nothing.

    global n  probe begin { n = f() }  function f() { return g() }  function g() { return "x" }

    round 1   g returns a string                    f was lowered before: its result is unknown
    round 2   f returns a string                    n was lowered before
    round 3   n is a string
    round 4   nothing new: types are final

There is no separate pass that computes types. A round lowers every body, as the final round will,
against the type environment as it is, and every use of a symbol may add to the environment. What a
round lowers is thrown away; only the environment is kept.

**Rounds end.** The environment only grows (type_environment.py), and a program has finitely many
symbols: each gets a type once and an arity once; its pointer type changes at most twice; a function's
hidden parameters are among the names of context variables in the script; a library file's probes join
once. So finitely many rounds can learn. The one thing a round compares that is not monotone is which
results were returned without a type. It depends on the environment and on the same set of the round
before, and settles once the environment does. The limit on rounds guards against a cycle in it.

**Every body is lowered in each round in which it is reached**: probes always, a function when a body
that is lowered before it in the round calls it. There is no list of bodies to look at again when a
symbol changes. Types travel against the order of lowering only by the next round, so a chain of calls
would need a round for each call; from the sixth round on, functions are therefore lowered first as well,
callees before callers, and results cross a long chain in one round.

**A function's own returns come first.** In `"a" . f()`, the use implies that f returns a string. If
that counted at once, a wrong use could type f before f's own `return` does, and the error would be
reported at the `return`. So uses count only in a CALLERS round, when PROPAGATE has learned all it can.
If a CALLERS round learns something, PROPAGATE follows again.

**Diagnostics wait.** Until types are final, a symbol without a type may get one, and a branch that
@defined() decides may change with the pointer type of a variable. Lowering reports all the same;
`Reports` drops it until the reporting rounds (program.py).
"""

from __future__ import annotations

from collections.abc import Iterable

from compiler.resolve.bodies import Bodies, lower_bodies
from compiler.resolve.contexts import Overloads, ProgramContext
from compiler.resolve.declarations import Declarations
from compiler.resolve.type_environment import Round, TypeEnvironment

_MOST_ROUNDS = 1000
_ROUNDS_IN_ORDER = 5  # enough for nearly all programs; later ones lower callees first


def infer(declarations: Declarations) -> TypeEnvironment:
    """The types of all symbols. Adds probes of the library files that the program uses."""
    types = TypeEnvironment()
    kind = Round.PROPAGATE
    called: list[Overloads] = []
    for number in range(_MOST_ROUNDS):
        first = reversed(called) if number >= _ROUNDS_IN_ORDER else ()
        program, _ = run_round(declarations, types, kind, first)
        called = list(program.called.values())
        if declarations.join_library_probes(program) or types.has_learned():
            kind = Round.PROPAGATE
        elif kind is Round.PROPAGATE and types.this_round.result_requested:
            kind = Round.CALLERS
        else:
            break
    return types


def run_round(
    declarations: Declarations,
    types: TypeEnvironment,
    kind: Round,
    first: Iterable[Overloads] = (),
) -> tuple[ProgramContext, Bodies]:
    """Lower all bodies once; `first` are functions to lower before all other bodies."""
    types.begin_round(kind)
    program = declarations.context(types)
    return program, lower_bodies(program, declarations, first)
