# SPDX-License-Identifier: GPL-2.0-or-later
"""Analyses: questions about a program, answered without changing it.

    effects             what a node does, and the errors it may end in       (resolve, transform, codegen)
    unused              warnings about what dead code elimination removed    (after transform.dead_code)
    write_only_globals  which globals a session prints at its end            (before codegen)
    probe_conditions    which conditions attach and detach their probe       (codegen)
    storage_class       per CPU, constant or shared: where each global lives (codegen)
    string_sizes        how large each string can get                        (codegen)

A module belongs here if it takes a program, or a node of one, and returns facts. What returns another
program belongs to `transform`; what writes C belongs to `codegen`. This room imports only `ir` and `runtime`.
"""
