# SPDX-License-Identifier: GPL-2.0-or-later
"""Resolving: syntax trees become one program, every name, type and probe point known.

    analysis.resolve(scripts, library, environment) -> Program, or CompileError with every mistake

Types are inferred over the whole program in rounds: each round lowers every body with what is known and
learns from it; when a round learns nothing new, the last one reports mistakes.
"""
