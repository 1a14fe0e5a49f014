# SPDX-License-Identifier: GPL-2.0-or-later
"""Applies file_trust to what the settings name: files that other users can change are not read.

A script is refused alone, a library folder is left out, and a wrong folder of the agent's own is an error.
"""

from __future__ import annotations

from pathlib import Path

from agent.config.file_trust import folder_refusal, owners, refusal, service_user
from agent.config.findings import Findings
from agent.config.settings import ScriptSettings, Settings
from agent.config.yaml_tree import ConfigDiagnostic, Position
from runtime.support.record import replace

SWITCH = "or, on a machine for development only, write insecure_files: true"
_LIBRARY_FILES = (".stp", ".stpm")


def trusted(settings: Settings, findings: Findings) -> Settings:
    """The settings without files that others can change. `findings` get the scripts, and the agent's own
    folders, which are errors in general."""
    if settings.insecure_files:
        return settings
    users = owners()
    agents = users | service_user()
    library, warnings = [], []
    folders: dict[Path, str] = {}
    for folder in settings.library:
        if why := folder_refusal(folder, _LIBRARY_FILES, users):
            warnings.append(f"the library {folder} is left out: {why}")
        else:
            library.append(folder)
    own = (settings.work_folder, settings.state_folder, settings.control_socket.parent)
    for folder in dict.fromkeys((settings.cache_folder, *own)):
        trusted_users = users if folder == settings.cache_folder else agents
        if why := refusal(folder, trusted_users, is_searched=True):
            findings.general.append(ConfigDiagnostic(Position(str(folder)), why, SWITCH))
    for script in settings.scripts.values():
        if why := _refusal(script, users, folders):
            found = ConfigDiagnostic(script.position, f"its file is refused: {why}", SWITCH)
            findings.of(script.name).append(found)
    warnings = [*settings.warnings, *warnings]
    return replace(settings, library=tuple(library), warnings=tuple(warnings))


def _refusal(script: ScriptSettings, users: frozenset[int], folders: dict[Path, str]) -> str:
    """`folders`: those that were checked for scripts before."""
    if not script.enabled:
        return ""
    for file in (script.file, *(variant.file for variant in script.rollout.variants)):
        if file is None:
            continue
        folder = file.parent
        if folder not in folders:
            folders[folder] = refusal(folder, users, is_searched=True)
        if why := folders[folder] or refusal(file, users):
            return why
    return ""
