# SPDX-License-Identifier: GPL-2.0-or-later
"""Completion of command lines for bash, zsh and fish, made of the parsers.

    python -m completion packaging/completion/made   ->  bash/stapwatch, zsh/_stapwatch, fish/stapwatch.fish

shtab makes those for bash and zsh; only its newer releases know fish, whose completion is a list that
`fish.py` writes. All are static texts, so no program runs for them, except for probe points: points.sh asks
`stapwatch run -l`.
"""
