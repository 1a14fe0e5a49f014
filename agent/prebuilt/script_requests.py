# SPDX-License-Identifier: GPL-2.0-or-later
"""The compile requests of hosts, made on another machine.

    of_config(Path("fleet/etc"))        the folder that hosts have as /etc/stapwatch
    of_files([Path("vfs.stp")])         scripts that hosts have in /etc/stapwatch/probes.d, without options
      -> [Wanted("vfs", (Candidate("", Request(source="/etc/stapwatch/probes.d/vfs.stp", text=...), ...),))]

A module's identity contains where its script is, so a request must say what a host's request says.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from agent.config import load, replacing_folder
from agent.config.rollout_settings import When
from agent.config.settings import MAIN_FILE, PROBES_FOLDER, ScriptSettings, Settings
from agent.config.yaml_tree import Position
from agent.scripts import compile_client, variants
from agent.scripts.variants import Candidate
from runtime.support import bounded_file
from runtime.support.record import record, replace

_ETC = MAIN_FILE.parent


class RequestError(Exception):
    """The scripts of a configuration cannot be built here; the text says why."""


@record
class Wanted:
    """One script: its variants in order, of which the first that compiles counts. `when`: its hosts."""

    script: str
    candidates: tuple[Candidate, ...]
    when: When = When()


@record
class Found:
    """`problems`: what is wrong with other scripts of the same configuration."""

    wanted: tuple[Wanted, ...]
    problems: tuple[str, ...] = ()


def of_config(path: Path, cache: Path) -> Found:
    """`path`: a main file, or its folder. Raises RequestError, ConfigError, OSError."""
    main = (path / MAIN_FILE.name if path.is_dir() else path).absolute()
    if not main.exists():
        hint = (
            "an empty file will do" if path.is_dir() else "name the folder, or the main file in it"
        )
        raise RequestError(f"there is no configuration {main}; {hint}")
    folder = main.parent
    # It is only compiled here, and not run by root.
    settings = load.load(
        main,
        insecure_files=True,
        adapt=lambda settings: replacing_folder.brought_here(settings, folder),
    )
    _require_libraries(settings, folder)
    wanted = [
        _wanted(script, settings, cache, folder)
        for script in settings.scripts.values()
        if script.enabled
    ]
    return Found(tuple(wanted), tuple(t for part in settings.refused for t in part.texts))


def of_files(files: Iterable[Path], cache: Path) -> Found:
    """Raises RequestError for two of one name, and OSError."""
    scripts: dict[str, Path] = {}
    for file in files:
        if file.stem in scripts:
            raise RequestError(f"{scripts[file.stem]} and {file} are both script {file.stem}")
        scripts[file.stem] = file
    wanted = [
        _wanted(
            ScriptSettings(name, Position(str(file)), file=PROBES_FOLDER / f"{name}.stp"),
            Settings(),
            cache,
            PROBES_FOLDER,
            file,
        )
        for name, file in scripts.items()
    ]
    return Found(tuple(wanted))


def _wanted(
    script: ScriptSettings, settings: Settings, cache: Path, folder: Path, file: Path | None = None
) -> Wanted:
    found = []
    for name, one in variants.of(script):
        request = compile_client.request(one, settings)
        request = replace(request, older=False, output=None, cache=str(cache))
        if one.file is not None:
            data = bounded_file.read(file or one.file)
            text = data.decode("utf-8", "surrogateescape")
            request = replace(
                request, text=text, source=str(replacing_folder.there(one.file, folder))
            )
        revision = "" if file is not None else variants.revision(script)
        found.append(Candidate(name, request, revision))
    return Wanted(script.name, tuple(found), script.rollout.when)


def _require_libraries(settings: Settings, folder: Path) -> None:
    """A library folder is read at the place that hosts have it. Raises RequestError."""
    for library in settings.library:
        if (there := replacing_folder.there(library, folder)) != library:
            raise RequestError(
                f"the library {library} is {there} on hosts, and modules depend on its place: build in "
                f"{_ETC}, or give the library another place, which it has on the builder as well"
            )
