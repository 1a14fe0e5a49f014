# SPDX-License-Identifier: GPL-2.0-or-later
"""Regular expressions: POSIX extended syntax to a table that reads each byte of a string once.

    pattern.parse("a(b|c)*$")     -> syntax tree, or PatternError with the place in the pattern
    automaton.compile("^a+", captures=False)  -> Automaton: byte classes, next states, moves of registers

The match is the leftmost one, and of those the longest. Where it can be split into submatches in
several ways, earlier alternatives and longer repetitions win.
"""
