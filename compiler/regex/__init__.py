# SPDX-License-Identifier: GPL-2.0-or-later
"""Regular expressions: compiles POSIX extended syntax to a table that reads each byte once.

    parser.parse("a(b|c)*$")              -> syntax tree, or PatternError with a position
    nfa.build_nfa(tree, tags=True)        -> Thompson NFA whose states may set tags
    dfa.compile("^a+", captures=False)    -> Dfa: byte classes, transitions, register operations

The match is the leftmost one, and the longest of those. If it can be split into submatches in several
ways, earlier alternatives and longer repetitions win.

The files are listed in the order of the passes. Code belongs here if it works on patterns alone: the
package knows neither scripts nor C. `compiler.resolve` checks patterns with it, and
`compiler.codegen.regex_tables` writes the tables as C.
"""
