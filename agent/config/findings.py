# SPDX-License-Identifier: GPL-2.0-or-later
"""Sorts the errors of a configuration by what they make unusable: all of it, one script, one file.

findings.general        -> the configuration is refused
findings.of("vfs")      -> only the script vfs is refused
findings.files          -> the file or folder is left out
"""

from __future__ import annotations

from collections.abc import Iterable

from agent.config.settings import Refused
from agent.config.yaml_tree import ConfigDiagnostic


class Findings:
    def __init__(self) -> None:
        self.general: list[ConfigDiagnostic] = []
        self.files: list[Refused] = []
        self._scripts: dict[str, list[ConfigDiagnostic]] = {}

    def of(self, script: str) -> list[ConfigDiagnostic]:
        """The list to add a script's errors to."""
        return self._scripts.setdefault(script, [])

    @property
    def scripts(self) -> set[str]:
        """Those with errors."""
        return {name for name, found in self._scripts.items() if found}

    def add(self, other: Findings) -> None:
        """Add those of another reading of the same text, each once."""
        self.general += _new(other.general, self.general)
        self.files += other.files
        for script, diagnostics in other._scripts.items():
            mine = self.of(script)
            mine += _new(diagnostics, mine)

    def refused(self) -> tuple[Refused, ...]:
        scripts = (
            Refused(tuple(found), script=name)
            for name, found in sorted(self._scripts.items())
            if found
        )
        return (*self.files, *scripts)

    def all(self) -> list[ConfigDiagnostic]:
        parts = [d for refused in self.refused() for d in refused.diagnostics]
        return [*self.general, *_new(parts, self.general)]


def _new(
    given: Iterable[ConfigDiagnostic], known: list[ConfigDiagnostic]
) -> list[ConfigDiagnostic]:
    return [diagnostic for diagnostic in given if diagnostic not in known]
