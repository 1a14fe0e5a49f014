# SPDX-License-Identifier: GPL-2.0-or-later
"""Adds the scripts of the script folders to those that the configuration names.

script_folders: [probes.d], probes.d/vfs.stp -> scripts["vfs"].file = probes.d/vfs.stp
"""

from __future__ import annotations

from pathlib import Path

from agent.config import file_trust, schema
from agent.config.findings import Findings
from agent.config.settings import Refused, ScriptSettings, Settings
from agent.config.yaml_tree import ConfigDiagnostic, Position, Scalar
from runtime.support.record import replace

SCRIPT_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}"
NAME_HINT = "use letters, digits, '_', '-' and '.', at most 64"


def add_scripts(settings: Settings, findings: Findings) -> Settings:
    """The settings with the folders' scripts. Each script without a source is one of `findings`."""
    scripts = dict(settings.scripts)
    from_folder: dict[str, Path] = {}
    warnings: list[str] = []
    for folder in settings.script_folders:
        for path in _files(folder, findings, warnings):
            position = Position(str(path))
            name = _name(path, position, findings)
            if name is None:
                continue
            declared, first = scripts.get(name), from_folder.get(name)
            if first is not None:
                _duplicate(findings, name, position, f"first at {first}")
            elif declared is not None and (declared.file or declared.text is not None):
                if declared.file != path:
                    hint = f"{path} has it too: rename one, or leave out the source here"
                    _duplicate(findings, name, declared.position, hint)
            else:
                from_folder[name] = path
                script = declared or ScriptSettings(name, position, budgets=settings.budgets)
                scripts[name] = replace(script, file=path)
    for name, script in list(scripts.items()):
        if script.file is None and script.text is None:
            if not any(refused.folder for refused in findings.files):  # it may be in that one
                findings.of(name).append(_without_source(script, from_folder))
            del scripts[name]
    return replace(
        settings, scripts=dict(sorted(scripts.items())), warnings=(*settings.warnings, *warnings)
    )


def _files(folder: Path, findings: Findings, warnings: list[str]) -> list[Path]:
    try:
        found = sorted(p for p in folder.iterdir() if p.suffix == ".stp")
    except FileNotFoundError:
        warnings.append(f"{folder}: no such script folder")
        return []
    except OSError as error:
        why = f"script folder cannot be read: {file_trust.unreadable(folder, error)}"
        diagnostic = ConfigDiagnostic(Position(str(folder)), why)
        findings.files.append(Refused((diagnostic,), folder=folder))
        return []
    return [path for path in found if not path.name.startswith(".")]


def _name(path: Path, position: Position, findings: Findings) -> str | None:
    """The script's name. None if the file cannot have one: it is left out."""
    try:
        return schema.matching(SCRIPT_NAME, "a script name", f"rename it; {NAME_HINT}")(
            Scalar(path.stem, path.stem, position)
        )
    except schema.SchemaError as error:
        findings.files.append(Refused((error.diagnostic,)))
        return None


def _duplicate(findings: Findings, name: str, position: Position, hint: str) -> None:
    diagnostic = ConfigDiagnostic(position, f"duplicate script name '{name}'", hint)
    findings.of(name).append(diagnostic)


def _without_source(script: ScriptSettings, from_folder: dict[str, Path]) -> ConfigDiagnostic:
    near = schema.suggest(script.name, from_folder) if from_folder else ""
    hint = near if near.startswith("did you mean") else "give 'file' or 'text'"
    return ConfigDiagnostic(
        script.position, f"no script '{script.name}' in the script folders", hint
    )
