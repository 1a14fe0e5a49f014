# SPDX-License-Identifier: GPL-2.0-or-later
"""Transformations: a program goes in, a better program of the same meaning comes out. In this order:

    dead_code.eliminate_dead_code   folds constants (constant_fold), then removes what has no effect
    entry_return_pairing.pair       replaces arrays that carry a value from a function's entry to its
                                    return; then dead code is eliminated again
    merge_probes, merge_prints      one handler for equal optional probes, one record for a printed line

All are optional: with `-u` none runs. A module belongs here if the rest of the compiler works without it.
This room imports `analysis`, `ir` and `runtime`.
"""
