# SPDX-License-Identifier: GPL-2.0-or-later
"""Resolving: syntax trees become one program; every name, type and probe point is known.

    program.resolve(name, scripts, library, environment) -> ir.program.Program, or CompileError

Code belongs here if it decides what a script means or whether it is valid, for all bodies alike. It
belongs elsewhere if it expands probe points (probes/), transforms a program that is known to be valid
(transform/), or writes C (codegen/). Imports point down this list, without a cycle; it is also the order
in which to read the files:

    program             resolve(): collect, infer, lower, check
    inference           infer: rounds over all bodies until types are final
    bodies              one round: all probes and functions, lowered once
    declarations        collect: globals, functions, handlers by name

    loop_checks, probe_conditions, global_overrides      checks of their own
    unused_statements   a second try, without statements that nobody needs

    statements          a file for each kind of syntax: it turns a node of the
    expressions           syntax tree into a typed node of the program
    calls, overloads
    print_statements, statistics_ops
    at_operators, guru_writes
    static_tests        tests that the compiler decides, branches that cannot run
    variables           globals, locals, array elements
    embedded_c          promises in C's comments
    unsupported_functions   a table

    path_expressions    $file->f_inode, @cast(p, "file")->f_mode, v->f_mode; types of pointers
    pretty_print        $$vars, $file$
    enum_names          @enumname($state)
    context_variables   $file, @var("jiffies"), pp()
    pointer_types       what symbols point to
    type_names          the types that @cast names
    memory_path         a typed value, steps to members and elements, loads

    contexts            FunctionContext, ProgramContext: what a body is lowered in
    type_environment    types by symbol, kinds of rounds, diagnostics
    syntax_queries      questions that the syntax of a body answers
"""
