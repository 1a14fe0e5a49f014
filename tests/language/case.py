# SPDX-License-Identifier: GPL-2.0-or-later
"""Language cases: `ITEM/name.stp` and `ITEM/name.out`, its output with its script errors.

Folders are the items of the language, the parts of a script in turn. The first lines of a case may define how
it is compiled and run:

    // lab                      also run in a real kernel, with the same output
    // guru                     embedded C and what else needs -g
    // unoptimised              as with -u
    // args: 3 "two words"      the script's arguments
    // globals: n=3             as -G
    // defines: MAXNESTING=3    as -D
    // errors: 0                number of errors that are tolerated
    // rounds: 5                number of times that its timers fire, in user space
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.case_file import CaseFile, read_cases
from tests.language.userspace import Script

CASES = Path(__file__).parent / "cases"
ITEMS = (
    "lexical", "arguments", "macros", "globals", "types", "statements", "operators", "aggregates", "functions",
    "regex", "printing", "probes", "context", "embedded", "optimiser", "library",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Case(CaseFile):
    @property
    def in_lab(self) -> bool:
        return self.option("lab") is not None

    @property
    def expected(self) -> Path:
        return self.path.with_suffix(".out")

    def script(self) -> Script:
        errors = self.option("errors")
        return Script(
            self.path.stem,
            self.text,
            args=tuple(self.words("args")),
            defines=self.pairs("defines"),
            globals={n: int(v) if v.isdigit() else v for n, v in self.pairs("globals").items()},
            guru=self.option("guru") is not None,
            optimise=self.option("unoptimised") is None,
            rounds=int(self.option("rounds") or 1),
            most_errors=None if errors is None else int(errors),
        )


def cases() -> list[Case]:
    return read_cases(Case, CASES)
