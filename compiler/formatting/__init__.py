# SPDX-License-Identifier: GPL-2.0-or-later
"""Lays a script's text out anew, for `stapwatch fmt`.

    probe  begin{n=a+1  // why   ->   probe begin {
    exit()}                               n = a + 1 // why
                                          exit()
                                      }

    pieces    text -> tokens, comments, and what is kept as it is
    spacing   two pieces -> whether a blank is between them
    layout    pieces -> lines: where statements begin, and how deep they are
    format    format_script(), which calls all of these and compares the tokens

Only blanks and ends of lines change. Nothing here expands a macro or asks a kernel: that a script is
complete is not needed, only that its brackets are.
"""
