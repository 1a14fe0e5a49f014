# SPDX-License-Identifier: GPL-2.0-or-later
"""`stapwatch dashboards -o FOLDER`: dashboards and rules for what the configuration's scripts export."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from agent.cli.command import Parser, Subparsers, add_command, file_error
from agent.config.settings import MAIN_FILE
from agent.dashboards import RUNBOOKS
from runtime.support.record import record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.config.settings import ScriptSettings, Settings
    from agent.dashboards.files import ScriptMetrics
    from runtime.abi.manifest import Manifest

USAGE_STATUS = 2
_TABLES = "tables"
_FORMATS = ("grafana", "mixin", "rules", _TABLES)
_ABOUT = """\
Write dashboards for Grafana, or rules for Prometheus, for what the scripts of the
configuration export and for the agent's own metrics. Scripts are compiled as far as it takes
to know their metrics; nothing is loaded, no agent is asked, and no root is needed.

formats:
  grafana  a dashboard for each script, one for the agent, one for a fleet (default)
  mixin    these and the rules, with jsonnet around them: mixin.libsonnet
  rules    alerts.yaml and rules.yaml, for rule_files in prometheus.yml
  tables   tables.json: what --tables reads, on machines that cannot compile

exit status:
  0  all is written
  1  a script does not compile, or a file cannot be written; the others are written
  2  the command line or the configuration is wrong
"""
_EXAMPLES = (
    ("for the scripts of this host", "stapwatch dashboards -o /var/lib/grafana/dashboards"),
    ("alerts for Prometheus", "stapwatch dashboards --format rules -o /etc/prometheus/stapwatch"),
    (
        "the same, with your own copy of the runbooks",
        "stapwatch dashboards --format rules --runbooks https://wiki.example.org/stapwatch",
    ),
    ("what another machine needs that cannot compile", "stapwatch dashboards --format tables -o ."),
    (
        "and what it then does",
        "stapwatch dashboards --config etc --tables tables.json --format mixin -o mixin",
    ),
)


@record
class DashboardsOptions:
    """`config`: a file or a folder; None for the default file. `tables`: None to compile. `disabled`: scripts
    that are disabled, too. `scripts`: names; () for all."""

    folder: Path
    form: str
    config: Path | None
    tables: Path | None
    runbooks: str
    disabled: bool
    scripts: tuple[str, ...]


def add_parser(subparsers: Subparsers) -> Parser:
    command = add_command(
        subparsers,
        "dashboards",
        "write dashboards and alerts for what scripts export",
        _ABOUT,
        _EXAMPLES,
    )
    command.add_argument(
        "-o", type=Path, metavar="FOLDER", dest="folder", default=Path("dashboards"),
        help="where the files are written; default: %(default)s",
    )  # fmt: skip
    command.add_argument(
        "--format", choices=_FORMATS, default=_FORMATS[0], dest="form",
        help="what is written; default: %(default)s",
    )  # fmt: skip
    command.add_argument(
        "--config", type=Path, metavar="PATH", help=f"a file or a folder; default: {MAIN_FILE}"
    )
    command.add_argument(
        "--tables",
        type=Path,
        metavar="FILE",
        help="tables.json of another machine: compile nothing",
    )
    command.add_argument(
        "--runbooks", metavar="URL", default=RUNBOOKS,
        help="where alerts.md is, for runbook_url of the alerts; default: %(default)s",
    )  # fmt: skip
    command.add_argument(
        "--all", action="store_true", dest="disabled", help="scripts that are disabled, too"
    )
    command.add_argument("scripts", nargs="*", metavar="SCRIPT", help="only these scripts")
    return command


def parse(given: argparse.Namespace) -> DashboardsOptions:
    return DashboardsOptions(
        given.folder,
        given.form,
        given.config,
        given.tables,
        given.runbooks,
        given.disabled,
        tuple(given.scripts),
    )


def run(options: DashboardsOptions) -> int:
    """1: a script is left out, or a file cannot be written; 2: the configuration is wrong."""
    from agent.config import load
    from agent.dashboards import files, script_tables

    try:
        settings = _settings(options.config)
        scripts, errors = _chosen(options, settings)
        manifests, wrong = _manifests(options, settings, scripts)
        found = [(s.name, manifests[s.name], s.metrics) for s in scripts if s.name in manifests]
        texts, problems = _texts(options, found)
        files.write(texts, options.folder)
    except (load.ConfigError, script_tables.TablesError) as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(file_error(error), file=sys.stderr)
        return 1
    errors = [*errors, *wrong]
    for message in (*errors, *(f"warning: {problem}" for problem in problems)):
        print(message, file=sys.stderr)
    print(f"{len(texts)} files are in {options.folder}")
    return 1 if errors else 0


def _settings(config: Path | None) -> Settings:
    """A folder stands for /etc/stapwatch. Raises ConfigError."""
    from agent.config import load, replacing_folder

    if config is None or not config.is_dir():
        return load.load(config, insecure_files=True)  # it only reads
    folder = config.absolute()
    return load.load(
        folder / MAIN_FILE.name,
        insecure_files=True,
        adapt=lambda settings: replacing_folder.brought_here(settings, folder),
    )


def _chosen(
    options: DashboardsOptions, settings: Settings
) -> tuple[list[ScriptSettings], list[str]]:
    """The scripts in the order of their names, and what is wrong with others."""
    errors = [text for part in settings.refused for text in part.texts]
    if options.scripts:
        known = settings.scripts
        errors += [f"error: no script '{n}'" for n in options.scripts if n not in known]
        return [known[n] for n in sorted(set(options.scripts)) if n in known], errors
    found = (s for _, s in sorted(settings.scripts.items()) if s.enabled or options.disabled)
    return list(found), errors


def _manifests(
    options: DashboardsOptions, settings: Settings, scripts: Sequence[ScriptSettings]
) -> tuple[dict[str, Manifest], list[str]]:
    """By script, and what is wrong with those that have none. Raises TablesError, OSError."""
    import asyncio

    from agent.dashboards import script_tables
    from agent.session.compile_request import cache_folder

    if options.tables is None:
        return asyncio.run(script_tables.compiled(settings, scripts, cache_folder()))
    found = script_tables.read(options.tables)
    missing = [script.name for script in scripts if script.name not in found]
    return found, [f"error: {options.tables} has no script '{name}'" for name in missing]


def _texts(
    options: DashboardsOptions, found: Sequence[ScriptMetrics]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """By path, and what is not exported as it is declared."""
    from agent.dashboards import files, script_tables

    if options.form == _TABLES:
        tables = {name: manifest for name, manifest, _ in found}
        return {"tables.json": script_tables.text(tables)}, ()
    made = files.make(found, files.Format(options.form), options.runbooks)
    return dict(made.texts), made.problems
