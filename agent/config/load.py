# SPDX-License-Identifier: GPL-2.0-or-later
"""Loads the configuration files into Settings, strictly, and reports all errors at once.

    stapwatch.yaml + conf.d/*.yaml + probes.d/*.stp -> Settings
    "lables: [x]" -> ConfigError: stapwatch.yaml:7:5: unknown key 'lables'; did you mean 'labels'?

Drop-ins in `conf.d` next to the main file are merged over it in the order of their names: mappings merge,
other values are replaced. Those of packages come first (drop_ins.py). A script's source may be given once: by
`file`, by `text`, or by a `NAME.stp` in a script folder, whose options `scripts: {NAME: ...}` then sets.
"""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agent.config import (
    budget_schema,
    drop_ins,
    file_trust,
    host_labels,
    rollout_schema,
    schema,
    store_schema,
    trusted_settings,
)
from agent.config.budget_schema import Given
from agent.config.findings import Findings
from agent.config.metric_schema import check_families, read_metric
from agent.config.schema import Reader, SchemaError
from agent.config.script_folders import NAME_HINT, SCRIPT_NAME, add_scripts
from agent.config.settings import (
    DEFAULT_PORT,
    MAIN_FILE,
    Address,
    CompileSettings,
    ListenAddress,
    LogFormat,
    LogSettings,
    Refused,
    ScriptSettings,
    Settings,
    SigningSettings,
    UnixAddress,
    VsockAddress,
)
from agent.config.web_settings import WebSettings
from agent.config.yaml_tree import (
    MOST_VALUES,
    ConfigDiagnostic,
    Entry,
    Mapping,
    Node,
    Position,
    Scalar,
    merge,
    parse,
    read,
    size,
)
from runtime.support.record import replace

IDENTIFIER = r"[A-Za-z_][A-Za-z0-9_]*"
_LONGEST_SOCKET = 107  # bytes of a path, by the kernel
_LEVELS = ("debug", "info", "warning", "error", "critical")


class ConfigError(Exception):
    """The configuration is wrong. `diagnostics`: all errors, in order of position.

    `settings`: what could be read in spite of them.
    """

    def __init__(
        self, diagnostics: list[ConfigDiagnostic], settings: Settings | None = None
    ) -> None:
        self.settings = settings or Settings()
        self.diagnostics = tuple(sorted(diagnostics, key=lambda m: m.position))
        super().__init__("\n".join(map(str, self.diagnostics)))


LastGood = dict[Path, bytes]  # compressed texts of drop-ins


def load(
    path: Path | None = None,
    last_good: LastGood | None = None,
    *,
    insecure_files: bool = False,
    web_config_file: Path | None = None,
    adapt: Callable[[Settings], Settings] = lambda settings: settings,
    packaged: Path | None = None,
) -> Settings:
    """Read the main file, its drop-ins, the script folders and the web configuration file.

    Without a path the default file is read if it exists; without that the defaults hold. An error
    in one script, or in one file, leaves out no more than that: `Settings.refused` names it. Raises
    ConfigError, with every diagnostic found, for errors outside of scripts in the main file.

    `last_good`: texts that hold for drop-ins that are wrong now; the texts of this time are stored in it.
    `insecure_files`: files that other users can change are read, too. `adapt`: changes what the files say
    before any file that they name is looked for. `packaged`: drop-ins of packages, if not the default's.
    """
    findings = Findings()
    main = path or MAIN_FILE
    files = [
        *([main] if path is not None or main.exists() else []),
        *drop_ins.files(main, findings.general, packaged),
    ]
    if not insecure_files:
        files = [file for file in files if not _is_refused(file, main, findings.general)]
    given: list[Mapping] = []
    good: LastGood = {}
    for file in files:
        if file == main:
            tree = _main_file(file, findings)
        else:
            tree = _drop_in(file, findings, last_good or {}, good)
        given += [tree] if tree is not None else []
    settings = _settings(given, findings, adapt)
    settings = replace(settings, insecure_files=insecure_files or settings.insecure_files)
    labels = main.parent / host_labels.FILE
    if insecure_files or not _is_refused(labels, main, findings.general):
        found = host_labels.load(main.parent, findings.general)
        settings = replace(settings, host_labels=found)
    settings = _with_web(settings, web_config_file, findings)
    settings = trusted_settings.trusted(settings, findings)
    if findings.general:
        raise ConfigError(findings.all(), settings)
    if last_good is not None:
        last_good.clear()
        last_good.update(good)
    return _without_refused(settings, findings)


def _main_file(file: Path, findings: Findings) -> Mapping | None:
    text = read(file, findings.general)
    return parse(text, str(file), findings.general) if text is not None else None


def _with_web(settings: Settings, given: Path | None, findings: Findings) -> Settings:
    """The settings with those of the web configuration file."""
    file = given or settings.web.file
    if file is None:
        return settings
    from agent.config import web_schema  # few need it, and none of its memory is returned

    web = web_schema.read(file, findings.general, insecure_files=settings.insecure_files)
    return replace(settings, web=web)


def _is_refused(file: Path, main: Path, diagnostics: list[ConfigDiagnostic]) -> bool:
    """True if others can change a file of the configuration. A setting in one cannot vouch for it."""
    folder = file.parent
    why = file_trust.refusal(file)
    if not why and folder != main.parent:
        why = file_trust.refusal(folder, is_searched=True)
    if why:
        diagnostics.append(
            ConfigDiagnostic(
                Position(str(file)), why, "or, for development only, use --insecure-files"
            )
        )
    return bool(why)


def loads(text: str, file: str = "stapwatch.yaml") -> Settings:
    """Like `load`, from one text. Raises ConfigError for all that is wrong in it."""
    findings = Findings()
    tree = parse(text, file, findings.general)
    settings = _settings([tree] if tree is not None else [], findings)
    settings = _without_refused(settings, findings)
    if found := [*findings.all(), *conflicts(settings)]:
        raise ConfigError(found, settings)
    return settings


def conflicts(settings: Settings) -> list[ConfigDiagnostic]:
    """Metrics of one name that do not fit each other. All but the first will not be exported."""
    found: list[ConfigDiagnostic] = []
    check_families(settings.scripts.values(), found)
    return found


def _drop_in(path: Path, findings: Findings, before: LastGood, good: LastGood) -> Mapping | None:
    """The tree of a drop-in, or of its last good text. Errors outside of its scripts refuse it."""
    own = Findings()
    text = read(path, own.general)
    tree = parse(text, str(path), own.general) if text is not None else None
    if tree is not None:
        _read(tree, own)
    if not own.general:
        good[path] = zlib.compress((text or "").encode())
        findings.add(own)
        return tree
    stands_in = path in before
    then = "its text before this one stays in force" if stands_in else "the whole file is left out"
    findings.files.append(Refused(tuple(own.general), then=then))
    if not stands_in:
        return None
    good[path] = before[path]
    return parse(zlib.decompress(before[path]).decode(), str(path), [])


def _settings(
    given: list[Mapping],
    findings: Findings,
    adapt: Callable[[Settings], Settings] = lambda settings: settings,
) -> Settings:
    _check_sources(given, findings)
    if sum(map(size, given)) > MOST_VALUES:
        last = given[-1].position
        why = f"all files together have more than {MOST_VALUES:,} values"
        findings.general.append(ConfigDiagnostic(Position(last.file), why))
        return Settings()
    # Check the main file by itself: a drop-in may replace a value that is wrong.
    for tree in given[:1] if len(given) > 1 else []:
        _read(tree, findings)
    merged = Mapping({}, Position("defaults"))
    for tree in given:
        merged = merge(merged, tree)
    found = Findings()
    settings = _read(merged, found)
    findings.add(found)
    settings = add_scripts(adapt(settings), findings)
    for name, error in rollout_schema.order_errors(settings.scripts, findings.scripts):
        findings.of(name).append(error)
    return settings


def _without_refused(settings: Settings, findings: Findings) -> Settings:
    refused = findings.refused()
    wrong = {part.script for part in refused}
    scripts = {name: script for name, script in settings.scripts.items() if name not in wrong}
    return replace(settings, scripts=scripts, refused=refused)


def _check_sources(trees: list[Mapping], findings: Findings) -> None:
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
                findings.of(name).append(
                    ConfigDiagnostic(
                        entry.position, f"duplicate script name '{name}'", f"first at {seen[name]}"
                    )
                )
            seen.setdefault(name, entry.position)


def _read(tree: Mapping, findings: Findings) -> Settings:
    reader = Reader(findings.general)
    budgets = _budgets(tree, reader)
    values = reader.record(
        tree,
        "the configuration",
        {
            "listen": lambda node: reader.items(node, "listen", _address),
            "script_folders": lambda node: reader.items(node, "script_folders", _path),
            "library": lambda node: reader.items(node, "library", _path),
            "budgets": lambda node: None,  # read already: scripts have them
            "scripts": lambda node: _scripts(node, findings, budgets),
            "log": lambda node: _log(node, reader),
            "compile": lambda node: _compile(node, reader),
            **store_schema.fields(reader),
            "signing": lambda node: _signing(node, reader),
            "cache_folder": _path,
            "work_folder": _path,
            "state_folder": _path,
            "control_socket": _path,
            "web_config_file": _path,
            "public_status": schema.truth,
            "created_samples": schema.truth,
            "allowed_hosts": lambda node: reader.items(node, "allowed_hosts", _host),
            "insecure_files": schema.truth,
        },
    )
    values["stores"] = store_schema.gathered(values, tree, reader)
    if "work_folder" in values and "control_socket" not in values:
        values["control_socket"] = values["work_folder"] / "control.sock"
    if "web_config_file" in values:
        values["web"] = WebSettings(values.pop("web_config_file"))
    return replace(Settings(), budgets=budgets.script, total=budgets.total, **values)


def _budgets(tree: Mapping, reader: Reader) -> Given:
    entry = tree.entries.get("budgets")
    if entry is None:
        return Given()
    found = reader.attempt(lambda node: budget_schema.read_budgets(node, reader), entry.node)
    return found or Given()


def _log(node: Node, reader: Reader) -> LogSettings:
    fields = {"level": _level, "format": schema.choice(LogFormat)}
    kept = budget_schema.report_moved(node, reader)
    return replace(LogSettings(), **reader.record(kept, "log", fields))


def _compile(node: Node, reader: Reader) -> CompileSettings:
    fields = {
        "timeout": schema.seconds,
        "jobs": schema.integer(0, 256),
        "memory": schema.integer(64, 1 << 20),
    }
    return replace(CompileSettings(), **reader.record(node, "compile", fields))


def _signing(node: Node, reader: Reader) -> SigningSettings:
    fields: dict[str, Callable[[Node], Any]] = {"key": _path, "certificate": _path}
    found = replace(SigningSettings(), **reader.record(node, "signing", fields))
    if (found.key is None) != (found.certificate is None):
        raise SchemaError(
            node.position, "a key needs its certificate", "write key: and certificate:"
        )
    return found


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


def parse_address(given: str) -> ListenAddress:
    """host:port, [v6]:port, :port or host; unix:/path; vsock:CID:PORT. ValueError for anything else."""
    if given.startswith("unix:"):
        path = Path(given.removeprefix("unix:"))
        if not path.is_absolute() or len(os.fsencode(path)) > _LONGEST_SOCKET:
            raise ValueError(
                f"'{given}' is not an address: write unix:/path, of at most {_LONGEST_SOCKET} bytes"
            )
        return UnixAddress(path)
    if given.startswith("vsock:"):
        return _vsock(given)
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


def _vsock(given: str) -> VsockAddress:
    """vsock:CID:PORT or vsock:any:PORT; vsock://:PORT, as Prometheus' exporters write it."""
    cid, _, port = given.removeprefix("vsock:").removeprefix("//").partition(":")
    numbers = (cid if cid not in ("", "any") else "0", port)
    if not all(n.isdecimal() and int(n) < 1 << 32 for n in numbers):
        raise ValueError(f"'{given}' is not an address: write vsock:any:9436 or vsock:CID:9436")
    return VsockAddress(None if cid in ("", "any") else int(cid), int(port))


def _host(node: Node) -> str:
    given = schema.text(node).lower().rstrip(".")
    if not re.fullmatch(r"(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*", given):
        raise SchemaError(
            node.position,
            f"'{given}' is not a host name",
            "write it without a port; *.NAME stands for all below it",
        )
    return given


def _address(node: Node) -> ListenAddress:
    try:
        return parse_address(schema.word(node))
    except ValueError as error:
        message, _, hint = str(error).partition(": ")
        raise SchemaError(node.position, message, hint) from None


def _scripts(node: Node, findings: Findings, budgets: Given) -> dict[str, ScriptSettings]:
    scripts: dict[str, ScriptSettings] = {}
    for name, entry in schema.mapping(node, "scripts").entries.items():
        try:
            schema.matching(SCRIPT_NAME, "a script name", NAME_HINT)(
                Scalar(name, name, entry.position)
            )
            scripts[name] = _script(name, entry, Reader(findings.of(name)), budgets)
        except SchemaError as error:
            findings.of(name).append(error.diagnostic)
    return scripts


def _script(name: str, entry: Entry, reader: Reader, budgets: Given) -> ScriptSettings:
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
        "budgets": lambda n: budget_schema.read_script_budgets(n, reader),
        **rollout_schema.fields(reader, _path),
    }
    values = reader.record(entry.node, f"script '{name}'", fields)
    values = rollout_schema.gathered(values, entry.node, reader)
    own = {} if budgets.is_off else values.get("budgets", {})
    values["budgets"] = replace(budgets.script, **own)
    given = schema.mapping(entry.node, name).entries.keys() & {"file", "text"}
    if given and not values.keys() & given:
        values["text"] = ""  # its error is reported already; do not report it as missing
    if "file" in values and "text" in values:
        raise SchemaError(entry.position, f"script '{name}' has both 'file' and 'text'", "keep one")
    return ScriptSettings(name, entry.position, **values)
