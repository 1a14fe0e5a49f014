# SPDX-License-Identifier: GPL-2.0-or-later
"""A folder that is to replace /etc/stapwatch, here or on other hosts: paths below /etc/stapwatch are in it.

load.load(folder / "stapwatch.yaml", adapt=lambda settings: brought_here(settings, folder))
there(Path("/root/new/probes.d/vfs.stp"), Path("/root/new"))   -> /etc/stapwatch/probes.d/vfs.stp
"""

from __future__ import annotations

from pathlib import Path

from agent.config.settings import MAIN_FILE, ScriptSettings, Settings
from agent.config.web_settings import WebSettings
from runtime.support.record import replace

_ETC = MAIN_FILE.parent


def brought_here(settings: Settings, folder: Path) -> Settings:
    """With the paths that files of /etc/stapwatch have here, and without what only servers need."""
    scripts = {name: _script_here(script, folder) for name, script in settings.scripts.items()}
    return replace(
        settings,
        script_folders=tuple(_here(path, folder) for path in settings.script_folders),
        library=tuple(_here(path, folder) for path in settings.library),
        scripts=scripts,
        web=WebSettings(),
    )


def there(file: Path, folder: Path) -> Path:
    """Where a file of the folder will be."""
    file = file.absolute()
    return _ETC / file.relative_to(folder) if file.is_relative_to(folder) else file


def _script_here(script: ScriptSettings, folder: Path) -> ScriptSettings:
    variants_here = tuple(
        replace(variant, file=_here(variant.file, folder)) if variant.file else variant
        for variant in script.rollout.variants
    )
    rollout = replace(script.rollout, variants=variants_here)
    file = _here(script.file, folder) if script.file else None
    return replace(script, file=file, rollout=rollout)


def _here(path: Path, folder: Path) -> Path:
    return folder / path.relative_to(_ETC) if path.is_relative_to(_ETC) else path
