# SPDX-License-Identifier: GPL-2.0-or-later
"""What SystemTap has and this has not: options, probe points, functions; each with what to do instead.

The texts are those of the messages that one gets.
"""

from __future__ import annotations

from collections.abc import Iterable

from agent.session.needless_options import NEEDLESS
from agent.session.unsupported_options import INSTEAD
from compiler.probes.unsupported import ABSENT, GONE
from compiler.resolve.unsupported_functions import UNSUPPORTED
from manual.scd import bold, definition, prose


def options() -> str:
    return _definitions((name, text) for names, (_, text) in INSTEAD.items() for name in names)


def needless() -> str:
    return _definitions((name, text) for names, (_, text) in NEEDLESS.items() for name in names)


def points() -> str:
    rows = [(name, f"{why}; {what}") for name, (_, why, what) in ABSENT.items()]
    return _definitions([*rows, *((name, f"{why}; {what}") for name, (why, what) in GONE.items())])


def functions() -> str:
    return _definitions((name, f"{why}; {what}") for name, (why, what) in UNSUPPORTED.items())


def _definitions(rows: Iterable[tuple[str, str]]) -> str:
    """Names with the same text are one definition."""
    found: dict[str, list[str]] = {}
    for name, text in rows:
        found.setdefault(text, []).append(name)
    return "\n".join(
        definition(", ".join(map(bold, names)), prose(f"{text[:1].upper()}{text[1:]}."))
        for text, names in found.items()
    )
