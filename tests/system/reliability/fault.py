# SPDX-License-Identifier: GPL-2.0-or-later
"""One fault, and what it may cost."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.system.reliability.scene import Scene

COUNTED = ("calls", "reads", "lines", "errors")
OVERLAP = 50  # events of the microseconds of a swap, which may find both versions or none


@dataclass(frozen=True)
class Fault:
    """A row of docs/reliability.md.

    `do`: does it, and returns when the service has recovered. `goes_on`, `lost`, `recovery`: for operators.
    `says`: lines of the journal, `...` for what varies; each of them must have been written. `metrics`: what the page
    shows; `do` has looked. `reasons`: those of stapwatch_lost_total that must have counted something, and no other
    may. `swaps`: kinds of events whose script is replaced, so that its counter begins anew. `uncounted`: kinds of which
    some may be missing without a count. `repeated`: how many lines may be written twice.
    """

    name: str
    do: Callable[[Scene], None]
    goes_on: str
    lost: str
    recovery: str
    says: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    reasons: frozenset[str] = frozenset()
    swaps: frozenset[str] = frozenset()
    uncounted: frozenset[str] = frozenset()
    repeated: int = 0

    def tolerance(self, kind: str) -> int:
        """How many events of a kind may count twice or not at all."""
        return OVERLAP if kind in self.swaps else 0

    @property
    def visible(self) -> list[str]:
        """What an operator sees."""
        lost = [f'stapwatch_lost_total{{reason="{reason}"}}' for reason in sorted(self.reasons)]
        return [*self.says, *self.metrics, *lost]

    def unsaid(self, journal: str) -> list[str]:
        """The lines that the journal does not have."""
        return [text for text in self.says if not pattern(text).search(journal)]


def pattern(text: str) -> re.Pattern[str]:
    """`module ... adopted` as a pattern of a line's part."""
    return re.compile("[^\n]*".join(map(re.escape, text.split("..."))))
