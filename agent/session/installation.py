# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes a script that was run by hand one of the service's: its file, and names for what it exports.

found = await planned(Path("calls.stp"), "calls", (), settings, MAIN_FILE, folder)
found.files     -> {/etc/stapwatch/probes.d/calls.stp: ..., /etc/stapwatch/conf.d/calls.yaml: ...}
found.families  -> what /metrics will have
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from agent.config import file_trust, load
from agent.config.script_folders import NAME_HINT, SCRIPT_NAME
from agent.config.settings import ScriptSettings, Settings
from agent.config.yaml_tree import Position
from agent.daemon.self_metrics import Health, SelfMetrics
from agent.exposition.families import Family, plan
from agent.scripts import variants
from agent.scripts.compile_client import Compiler
from agent.session.compile_request import cache_folder
from runtime.reader.module_memory import manifest_of
from runtime.support import bounded_file, whole_file
from runtime.support.record import record, replace

_HEAD = """\
# The metrics of {name}.stp, as 'stapwatch install' has found them. They may be changed: stapwatch.yaml(5).
scripts:
  {name}:
"""
_NOT_TEXT = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})


class InstallError(Exception):
    """The script cannot be installed; nothing has changed. `hint` says what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


@record
class Installation:
    """`files`: what is to be written. `warnings`: the compiler's."""

    name: str
    files: Mapping[Path, bytes]
    families: tuple[Family, ...]
    warnings: tuple[str, ...]

    @property
    def existing(self) -> list[Path]:
        """Files that are there already, with another text."""
        return [path for path, text in self.files.items() if path.exists() and _read(path) != text]


async def planned(
    script: Path, name: str, args: Sequence[str], settings: Settings, main: Path, work: Path
) -> Installation:
    """Compile the script as the service would, and make its files. `work`: an empty folder.

    `main`: the configuration's main file, beside which conf.d is. Raises InstallError, CompileError, OSError.
    """
    if not re.fullmatch(SCRIPT_NAME, name):
        raise InstallError(f"'{name}' cannot be a script's name", f"--name: {NAME_HINT}")
    if not settings.script_folders:
        raise InstallError("the configuration has no script_folders to install a script in")
    target = settings.script_folders[0] / f"{name}.stp"
    drop_in = main.parent / "conf.d" / f"{name}.yaml"
    _check_name(name, target, drop_in, settings)
    text = bounded_file.read(script)
    declared = ScriptSettings(name, Position(str(script)), file=script.absolute(), args=tuple(args))
    found = [
        replace(c, request=replace(c.request, output=str(work), cache=str(cache_folder())))
        for c in variants.candidates(declared, settings)
    ]
    compiled = await variants.compile_first(Compiler(settings.compile), found)
    manifest = manifest_of(compiled.path)
    assert manifest is not None
    families, problems = plan([(name, manifest, {})], SelfMetrics(Health(), {}).names())
    files = {target: text}
    if families or args:
        files[drop_in] = "".join(_drop_in(name, args, families)).encode()
    warnings = (*map(str, compiled.warnings), *(problem.message for problem in problems))
    return Installation(name, files, families, warnings)


def _check_name(name: str, target: Path, drop_in: Path, settings: Settings) -> None:
    """Refuses the name of a script that the configuration has from elsewhere."""
    known = settings.scripts.get(name)
    if known is not None and (known.file is None or known.file.absolute() != target.absolute()):
        where = known.file or known.position
        raise InstallError(f"there is a script '{name}' already: {where}", "choose another --name")
    if known is not None and known.position.file not in (str(target), str(drop_in)):
        hint = "change the script and the configuration there, or choose another --name"
        raise InstallError(f"script '{name}' is configured at {known.position}", hint)


def _drop_in(name: str, args: Sequence[str], families: Sequence[Family]) -> Iterator[str]:
    yield _HEAD.format(name=name)
    if args:
        yield f"    args: [{', '.join(json.dumps(arg) for arg in args)}]\n"
    if not families:
        return
    yield "    metrics:\n"
    for family in families:
        for member in family.members:
            yield f"      {_key(member.table.name)}:\n"
            yield f"        name: {family.name}\n"
            yield f"        type: {family.type.value}\n"
            yield f"        help: {json.dumps(family.help)}\n"
            if member.labels:
                yield f"        labels: [{', '.join(member.labels)}]\n"


def _key(name: str) -> str:
    """A global's name as a key of YAML, for which `on` is no text."""
    return json.dumps(name) if name.lower() in _NOT_TEXT else name


def install(planned: Installation, main: Path, *, insecure: bool) -> None:
    """Write the files, and read the configuration with them. InstallError: nothing has changed."""
    before = {path: _read(path) if path.exists() else None for path in planned.files}
    for path in planned.files:
        if not insecure and (why := _distrusted(path)):
            raise InstallError(f"the agent would refuse {path}: {why}")
    try:
        for path, text in planned.files.items():
            _make_folder(path.parent)
            whole_file.rewrite(path, text)
        _check_configuration(planned, main)
    except BaseException:
        for path, old in before.items():
            if old is not None:
                whole_file.rewrite(path, old)
            else:
                path.unlink(missing_ok=True)
        raise


def _distrusted(path: Path) -> str:
    return file_trust.refusal(path.parent, is_searched=True) or file_trust.refusal(path)


def _make_folder(folder: Path) -> None:
    if not folder.exists():
        folder.mkdir(parents=True)
        folder.chmod(0o755)  # whatever the umask is


def _check_configuration(planned: Installation, main: Path) -> None:
    try:
        settings = load.load(main if main.exists() else None)
    except load.ConfigError as error:
        raise InstallError(f"the configuration would be refused: {error}") from None
    paths = {str(path) for path in planned.files}
    for refused in settings.refused:
        if refused.script == planned.name or any(
            d.position.file in paths for d in refused.diagnostics
        ):
            raise InstallError(f"the configuration would refuse the script: {refused.reason}")


def _read(path: Path) -> bytes:
    return bounded_file.read(path)
