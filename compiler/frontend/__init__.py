# SPDX-License-Identifier: GPL-2.0-or-later
"""The front end: turns the text of a script into its syntax tree.

    parse(b"probe begin { exit() }", "x.stp", conditions=...)  ->  syntax.Script

The files, in the order in which a script passes through them:

    parser                   parse() and parse_macros(), which call all of the rest
    lexer                    text -> tokens; pastes the script's arguments
    preprocessor             tokens -> tokens: macros and conditionals
    preprocessor_conditions    evaluates a condition such as `kernel_v >= "5.0"`
    point_tokens             tokens, before anything is expanded -> where blanks between them have a meaning
    item_tokens              tokens -> one list for each item, with the kinds that the grammar uses
    grammar.lark             the grammar
    grammar_table            the grammar -> LALR(1) table, stored in grammar.bin
    lalr                     the parser that runs the table
    actions                  the semantic actions: items and statements
    expression_actions         expressions
    probe_point_actions        probe points, literals and lists
    syntax_errors            token that the grammar does not allow -> diagnostic
    literal_spans            position in a literal's value -> position in the source, for later passes

Code belongs here if it works on the text and form of a script. What a name or a probe point means
is decided in `compiler.resolve` and `compiler.probes`. The syntax tree itself is `compiler.ir.syntax`.
"""
