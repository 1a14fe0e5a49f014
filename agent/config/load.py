# SPDX-License-Identifier: GPL-2.0-or-later
"""Loads the configuration files into Settings, strictly, and reports all errors at once.

    stapwatch.yaml + conf.d/*.yaml + probes.d/*.stp -> Settings
    "lables: [x]" -> ConfigError: stapwatch.yaml:7:5: unknown key 'lables'; did you mean 'labels'?

Drop-ins in `conf.d` next to the main file are merged over it in the order of their names: mappings merge,
other values are replaced. A script's source may be given once: by `file`, by `text`, or by a
`NAME.stp` in a script folder, whose options `scripts: {NAME: ...}` then sets.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agent.config import schema
from agent.config.metric_schema import check_families, read_metric
from agent.config.schema import Reader, SchemaError
from agent.config.settings import (
    DEFAULT_PORT,
    MAIN_FILE,
    Address,
    CompileSettings,
    LogFormat,
    LogSettings,
    ScriptSettings,
    Settings,
)
from agent.config.yaml_tree import (
    ConfigDiagnostic,
    Entry,
    Mapping,
    Node,
    Position,
    Scalar,
    merge,
    parse,
    read,
)
from runtime.support.record import replace

SCRIPT_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}"
IDENTIFIER = r"[A-Za-z_][A-Za-z0-9_]*"
_LEVELS = ("debug", "info", "warning", "error", "critical")
_NAME_HINT = "use letters, digits, '_', '-' and '.', at most 64"


class ConfigError(Exception):
    """The configuration is wrong. `diagnostics`: all errors, in order of position."""

    def __init__(self, diagnostics: list[ConfigDiagnostic]) -> None:
        self.diagnostics = tuple(sorted(diagnostics, key=lambda m: m.position))
        super().__init__("\n".join(map(str, self.diagnostics)))


def load(path: Path | None = None) -> Settings:
    """Read the main file, its drop-ins and the script folders.

    Without a path the default file is read if it exists; without that the defaults hold.
    Raises ConfigError with every diagnostic found.
    """
    diagnostics: list[ConfigDiagnostic] = []
    trees: list[Mapping | None] = []
    main = path or MAIN_FILE
    if path is not None or main.exists():
        trees.append(read(main, diagnostics))
    trees += [read(extra, diagnostics) for extra in _drop_ins(main)]
    return _settings(trees, diagnostics)


def loads(text: str, file: str = "stapwatch.yaml") -> Settings:
    """Like `load`, from one text."""
    diagnostics: list[ConfigDiagnostic] = []
    return _settings([parse(text, file, diagnostics)], diagnostics)


def _drop_ins(main: Path) -> list[Path]:
    return sorted(main.parent.glob("conf.d/*.yaml"), key=lambda p: p.name)


def _settings(trees: list[Mapping | None], diagnostics: list[ConfigDiagnostic]) -> Settings:
    given = [tree for tree in trees if tree is not None]
    _check_sources(given, diagnostics)
    # Check every file by itself: a drop-in may replace a value that is wrong.
    for tree in given[:-1] if len(given) > 1 else []:
        _read(tree, diagnostics)
    found: list[ConfigDiagnostic] = []
    merged = Mapping({}, Position("defaults"))
    for tree in given:
        merged = merge(merged, tree)
    settings = _read(merged, found)
    diagnostics += [diagnostic for diagnostic in found if diagnostic not in diagnostics]
    settings = _with_folders(settings, merged, diagnostics)
    check_families(settings.scripts.values(), diagnostics)
    if diagnostics:
        raise ConfigError(diagnostics)
    return settings


def _check_sources(trees: list[Mapping], diagnostics: list[ConfigDiagnostic]) -> None:
    """Report scripts whose source two files give: merging would silently drop one of them."""
    seen: dict[str, Position] = {}
    for tree in trees:
        scripts = tree.entries.get("scripts")
        if scripts is None or not isinstance(scripts.node, Mapping):
            continue
        for name, entry in scripts.node.entries.items():
            if not isinstance(entry.node, Mapping):
                continue
            if not entry.node.entries.keys() & {"file", "text"}:
                continue
            if name in seen:
                diagnostics.append(
                    ConfigDiagnostic(
                        entry.position, f"duplicate script name '{name}'", f"first at {seen[name]}"
                    )
                )
            seen.setdefault(name, entry.position)


def _read(tree: Mapping, diagnostics: list[ConfigDiagnostic]) -> Settings:
    reader = Reader(diagnostics)
    values = reader.record(
        tree,
        "the configuration",
        {
            "listen": lambda node: reader.items(node, "listen", _address),
            "script_folders": lambda node: reader.items(node, "script_folders", _path),
            "library": lambda node: reader.items(node, "library", _path),
            "scripts": lambda node: _scripts(node, reader),
            "log": lambda node: _log(node, reader),
            "compile": lambda node: _compile(node, reader),
            "cache_folder": _path,
            "work_folder": _path,
            "control_socket": _path,
        },
    )
    if "work_folder" in values and "control_socket" not in values:
        values["control_socket"] = values["work_folder"] / "control.sock"
    return replace(Settings(), **values)


def _log(node: Node, reader: Reader) -> LogSettings:
    fields = {
        "level": _level,
        "format": schema.choice(LogFormat),
        "rate_limit": lambda n: float(schema.number(n)),
        "burst": schema.integer(1, 1_000_000),
    }
    return replace(LogSettings(), **reader.record(node, "log", fields))


def _compile(node: Node, reader: Reader) -> CompileSettings:
    fields = {
        "timeout": schema.seconds,
        "jobs": schema.integer(0, 256),
        "memory": schema.integer(64, 1 << 20),
    }
    return replace(CompileSettings(), **reader.record(node, "compile", fields))


def _level(node: Node) -> str:
    level = schema.text(node).lower()
    if level not in _LEVELS:
        raise SchemaError(node.position, f"unknown value '{level}'", schema.suggest(level, _LEVELS))
    return level


def _path(node: Node) -> Path:
    """A path; a relative one is relative to the folder of the configuration file."""
    given = schema.text(node)
    if not given or "\0" in given:
        raise SchemaError(node.position, "must be a path")
    return Path(node.position.file).parent / given


def parse_address(given: str) -> Address:
    """host:port, [v6]:port, :port or host. ValueError for anything else."""
    host, colon, port = given.rpartition(":")
    if not colon or given.endswith("]"):
        host, port = given, str(DEFAULT_PORT)
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(f"'{given}' is not an address: write IPv6 as [::1]:9436")
    if not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"'{port}' is not a port: write host:port, as 127.0.0.1:9436")
    return Address(host or "0.0.0.0", int(port))


def _address(node: Node) -> Address:
    try:
        return parse_address(schema.word(node))
    except ValueError as error:
        message, _, hint = str(error).partition(": ")
        raise SchemaError(node.position, message, hint) from None


def _scripts(node: Node, reader: Reader) -> dict[str, ScriptSettings]:
    scripts: dict[str, ScriptSettings] = {}
    for name, entry in schema.mapping(node, "scripts").entries.items():
        try:
            schema.matching(SCRIPT_NAME, "a script name", _NAME_HINT)(
                Scalar(name, name, entry.position)
            )
            scripts[name] = _script(name, entry, reader)
        except SchemaError as error:
            reader.diagnostics.append(error.diagnostic)
    return scripts


def _script(name: str, entry: Entry, reader: Reader) -> ScriptSettings:
    def metrics(node: Node) -> dict[str, Any]:
        found = {}
        for variable, inner in schema.mapping(node, "metrics").entries.items():
            metric = read_metric(name, variable, inner, reader)
            if metric is not None:
                found[variable] = metric
        return found

    fields = {
        "file": _path,
        "text": schema.text,
        "args": lambda n: reader.items(n, "args", schema.word),
        "globals": lambda n: reader.table(n, "globals", schema.long_or_text, IDENTIFIER),
        "defines": lambda n: reader.table(n, "defines", schema.word, IDENTIFIER),
        "capacities": lambda n: reader.table(
            n, "capacities", schema.integer(1, 1 << 24), IDENTIFIER
        ),
        "enabled": schema.truth,
        "guru": schema.truth,
        "max_errors": schema.integer(0, schema.S64_MAX),
        "metrics": metrics,
    }
    values = reader.record(entry.node, f"script '{name}'", fields)
    given = schema.mapping(entry.node, name).entries.keys() & {"file", "text"}
    if given and not values.keys() & given:
        values["text"] = ""  # its error is reported already; do not report it as missing
    if "file" in values and "text" in values:
        raise SchemaError(entry.position, f"script '{name}' has both 'file' and 'text'", "keep one")
    return ScriptSettings(name, entry.position, **values)


def _with_folders(
    settings: Settings, tree: Mapping, diagnostics: list[ConfigDiagnostic]
) -> Settings:
    """Add the scripts of the folders, and check that each named script has a source."""
    scripts = dict(settings.scripts)
    from_folder: dict[str, Path] = {}
    warnings: list[str] = []
    for folder in settings.script_folders:
        try:
            files = sorted(p for p in folder.iterdir() if p.suffix == ".stp")
        except FileNotFoundError:
            warnings.append(f"{folder}: no such script folder")
            continue
        except OSError as error:
            diagnostics.append(
                ConfigDiagnostic(
                    Position(str(folder)), f"script folder cannot be read: {error.strerror}"
                )
            )
            continue
        for path in files:
            if path.name.startswith("."):
                continue
            position = Position(str(path))
            try:
                schema.matching(SCRIPT_NAME, "a script name", f"rename it; {_NAME_HINT}")(
                    Scalar(path.stem, path.stem, position)
                )
            except SchemaError as error:
                diagnostics.append(error.diagnostic)
                continue
            declared = scripts.get(path.stem)
            first = from_folder.get(path.stem)
            if first is None and declared is not None and (declared.file or declared.text):
                if declared.file != path:
                    diagnostics.append(
                        ConfigDiagnostic(
                            declared.position,
                            f"duplicate script name '{path.stem}'",
                            f"{path} has it too: rename one, or leave out the source here",
                        )
                    )
                continue
            if first is not None:
                diagnostics.append(
                    ConfigDiagnostic(
                        position, f"duplicate script name '{path.stem}'", f"first at {first}"
                    )
                )
                continue
            from_folder[path.stem] = path
            script = declared or ScriptSettings(path.stem, position)
            scripts[path.stem] = replace(script, file=path)
    for name, script in list(scripts.items()):
        if script.file is None and script.text is None:
            diagnostics.append(_without_source(script, from_folder))
            del scripts[name]
    return replace(
        settings, scripts=dict(sorted(scripts.items())), warnings=(*settings.warnings, *warnings)
    )


def _without_source(script: ScriptSettings, from_folder: dict[str, Path]) -> ConfigDiagnostic:
    near = schema.suggest(script.name, from_folder) if from_folder else ""
    hint = near if near.startswith("did you mean") else "give 'file' or 'text'"
    return ConfigDiagnostic(
        script.position, f"no script '{script.name}' in the script folders", hint
    )
