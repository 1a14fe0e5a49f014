# SPDX-License-Identifier: GPL-2.0-or-later
"""The data that the stages of the compiler exchange, and its printers.

    text -> syntax.Script -> program.Program -> C

    source            Source and Span: texts, and positions in them
    diagnostics       Diagnostic, CompileError, and how a diagnostic is printed
    syntax            the syntax tree: a script as it was written
    syntax_printer    a syntax tree as a script in one normal form, for -p1
    options           the limits that -D sets
    hooks             the kinds of kernel hooks that a probe may need
    program           the resolved program: what a script means
    walk              traversal of program nodes
    program_printer   a program as text, for -p2

Both trees are frozen: a pass returns a new tree and never changes the one that it was given. Code
belongs here if it defines or prints such data, or asks a question that a tree alone can answer. A pass
belongs in the package of its stage. This package imports nothing else of `compiler`.
"""
