# SPDX-License-Identifier: GPL-2.0-or-later
"""Regular expressions: POSIX extended syntax to a table with which each byte of a string is read once.

    parser.parse("a(b|c)*$")            -> syntax tree, or PatternError with the position in the pattern
    dfa.compile("^a+", captures=False)  -> Automaton: byte classes, next states, moves of registers

The match is the leftmost one, and of those the longest. If it can be split into submatches in several ways,
earlier alternatives and longer repetitions win. This room knows nothing of scripts and imports no other.
"""
