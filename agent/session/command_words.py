# SPDX-License-Identifier: GPL-2.0-or-later
"""The words of a command line in the order that argparse reads: options, `--`, operands.

x.stp -wWe T 4096 -- -v   ->   -w -W -eT -- x.stp 4096 -v

As stap's, options may stand behind the script and its arguments, up to `--`; letters may be joined.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence

# argparse takes the value of such an option from the next word; stap's is behind '=' only
_WITHOUT_VALUE = {"--monitor": "1", "--color": "always", "--colour": "always"}


def arranged(words: Sequence[str], parser: argparse.ArgumentParser) -> list[str]:
    """Unknown options stay as they are, so that the parser reports them."""
    takes = {o: a.nargs for a in parser._actions for o in a.option_strings}
    options: list[str] = []
    operands: list[str] = []
    rest = iter(words)
    for word in rest:
        if word == "--":
            operands += rest
        elif word == "-" or not word.startswith("-"):
            operands.append(word)
        elif word.startswith("--"):
            options += _long(word, takes, rest)
        else:
            options += _short(word[1:], takes, rest)
    return [*options, "--", *operands]


def _long(word: str, takes: Mapping[str, object], rest: Iterator[str]) -> list[str]:
    if "=" in word or word not in takes or takes[word] == 0:
        return [word]
    if takes[word] == "?":
        return [f"{word}={_WITHOUT_VALUE[word]}" if word in _WITHOUT_VALUE else word]
    return [word, *(f"{word}={value}" for value in _next(rest))][-1:]


def _short(letters: str, takes: Mapping[str, object], rest: Iterator[str]) -> list[str]:
    """`vDX=1` -> -v -DX=1. A value is joined to its letter: argparse takes no word that begins with '-'."""
    found: list[str] = []
    while letters:
        option, letters = f"-{letters[0]}", letters[1:]
        if option not in takes:
            return [*found, option + letters]
        if takes[option] in (0, "?"):
            found.append(option)
            continue
        values = [letters] if letters else _next(rest)
        # an empty value can only be a word of its own
        return (
            [*found, *(option + v for v in values if v)]
            if any(values)
            else [*found, option, *values]
        )
    return found


def _next(rest: Iterator[str]) -> list[str]:
    return [word for word in (next(rest, None),) if word is not None]
