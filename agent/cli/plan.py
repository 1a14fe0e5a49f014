# SPDX-License-Identifier: GPL-2.0-or-later
"""`stapwatch plan`: what a reload would do, and why, without doing it.

+ opens  load       this host is at 3.252361 of 100, below 10 %
~ vfs    swap       its text changes, 1a2b3c4d5e6f -> 9f8e7d6c5b4a
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from agent.cli.command import Parser, Subparsers, UsageError, add_command
from agent.config.settings import MAIN_FILE, Settings
from runtime.support.record import record, replace

if TYPE_CHECKING:
    from agent.rollout.decide import History
    from agent.rollout.host_facts import HostFacts
    from agent.rollout.plan import Digests, Present

USAGE_STATUS = 2

_ABOUT = """\
Show for each script what a reload would do on this host now, and why, without doing it. The
running agent is asked what it has; files are read and nothing is compiled.

marks:  + is loaded   ~ changes   - is unloaded   ! is wrong

exit status:
  0  the plan is made
  1  a script of it cannot be read, or its settings are wrong
  2  the configuration or the facts are wrong
"""
_EXAMPLES = (
    ("what a reload would do here and now", "stapwatch plan"),
    ("and what it would do then", "stapwatch plan --at 2026-12-24T18:00Z"),
    (
        f"the same for a folder that is to replace {MAIN_FILE.parent}",
        "stapwatch plan --config new/",
    ),
    ("what this host is, for the two below", "stapwatch plan --facts >facts.d/$(hostname).yaml"),
    ("what another host would do", "stapwatch plan --host-facts facts.d/db-1.yaml"),
    ("how many hosts would get what", "stapwatch plan --fleet facts.d"),
)


@record
class PlanOptions:
    """`config`: a file or a folder; None for the default file. `at`: seconds since 1970; None: now."""

    config: Path | None
    host_facts: Path | None
    fleet: Path | None
    at: float | None
    facts: bool


def add_parser(subparsers: Subparsers) -> Parser:
    command = add_command(
        subparsers,
        "plan",
        "show what a reload would do and why, without doing it",
        _ABOUT,
        _EXAMPLES,
    )
    command.add_argument(
        "--config", type=Path, metavar="PATH", help=f"a file or a folder; default: {MAIN_FILE}"
    )
    command.add_argument("--at", metavar="TIME", help="then, as 2026-12-24T18:00Z; default: now")
    where = command.add_mutually_exclusive_group()
    where.add_argument(
        "--host-facts", type=Path, metavar="FILE", help="for the host with these facts"
    )
    where.add_argument(
        "--fleet", type=Path, metavar="FOLDER", help="for all hosts with facts in this folder"
    )
    where.add_argument("--facts", action="store_true", help="print this host's facts as YAML")
    return command


def parse(given: argparse.Namespace) -> PlanOptions:
    """Raises UsageError."""
    from agent.config.rollout_schema import parse_time

    try:
        at = None if given.at is None else parse_time(given.at)
    except ValueError as error:
        raise UsageError(f"--at: {error}") from None
    return PlanOptions(given.config, given.host_facts, given.fleet, at, given.facts)


def run(options: PlanOptions) -> int:
    """0: the plan is made; 1: a script of it cannot be read; 2: the configuration or the facts are wrong."""
    from agent.config.load import ConfigError
    from agent.rollout.facts_file import FactsError

    try:
        return _run(options)
    except (ConfigError, FactsError) as error:
        print(error, file=sys.stderr)
        return 2


def _run(options: PlanOptions) -> int:
    from agent.rollout import facts_file, fleet, host_facts, plan
    from agent.rollout.decide import decide

    given = options.config
    if given is not None and given.is_dir():
        options = replace(options, config=given / MAIN_FILE.name)
    if options.facts:
        labels = _labels(_load(given) if given else None)
        print(facts_file.dumps(host_facts.gather(labels)), end="")
        return 0
    settings = _load(given)
    wrong = [text for part in settings.refused for text in part.texts]
    for text in wrong:
        print(text, file=sys.stderr)
    files = {name: _digests(name, settings) for name in settings.scripts}
    settings = _with_revisions(settings, files)
    now = time.time() if options.at is None else options.at
    if options.fleet is not None:
        print(fleet.render(settings, facts_file.load_fleet(options.fleet), now))
        return 1 if wrong else _problems(files)
    present: dict[str, Present] = {}
    history: dict[str, History] = {}
    if options.host_facts is not None:
        facts: HostFacts = facts_file.load(options.host_facts)
        against = "nothing"
    else:
        facts = host_facts.gather(_labels(settings))
        present, against = _present(options.config)
        history = plan.history(present, files) if present else _remembered(settings)
    decisions = decide(settings, facts, now, history)
    changes = plan.compare(decisions, files, present, settings)
    print(plan.render(facts, now, against, changes))
    is_wrong = any(change.mark is plan.Mark.WRONG for change in changes)
    return 1 if wrong or is_wrong else 0


def _load(config: Path | None) -> Settings:
    """A folder stands for /etc/stapwatch: paths below that are in it. Raises ConfigError."""
    from agent.config import drop_ins, load, replacing_folder

    if config is None or not config.is_dir():
        return load.load(config)
    folder = config.absolute()
    return load.load(
        folder / MAIN_FILE.name,
        adapt=lambda settings: replacing_folder.brought_here(settings, folder),
        packaged=drop_ins.PACKAGED,
    )


def _labels(settings: Settings | None) -> dict[str, str]:
    """This host's labels. A folder that is to replace the configuration need not have them."""
    from agent.config import host_labels
    from agent.config.yaml_tree import ConfigDiagnostic
    from agent.rollout.facts_file import FactsError

    if settings is not None and settings.host_labels:
        return dict(settings.host_labels)
    diagnostics: list[ConfigDiagnostic] = []
    found = host_labels.load(MAIN_FILE.parent, diagnostics)
    if diagnostics:
        raise FactsError(diagnostics)
    return found


def _digests(name: str, settings: Settings) -> Digests:
    from agent.rollout.plan import Digests
    from agent.scripts import variants

    script = settings.scripts[name]
    try:
        made_of = variants.made_of(variants.candidates(script, settings))
        return Digests(variants.revision(script), made_of, variants.tuned(script))
    except OSError as error:
        return Digests(problem=f"cannot read {error.filename}: {(error.strerror or '').lower()}")


def _with_revisions(settings: Settings, files: dict[str, Digests]) -> Settings:
    scripts = {n: replace(s, revision=files[n].revision) for n, s in settings.scripts.items()}
    return replace(settings, scripts=scripts)


def _remembered(settings: Settings) -> dict[str, History]:
    """The state of scripts that the last agent has left; only root can read it."""
    from agent.rollout.decide import History
    from agent.scripts.script_records import ScriptRecords

    records, found = ScriptRecords(settings.state_folder), {}
    for name, script in settings.scripts.items():
        record = records.load(name)
        is_held = record.quarantine is not None and record.revision == script.revision
        why = record.quarantine.reason if record.quarantine is not None and is_held else ""
        found[name] = History(None, record.armed, record.passed, why, record.held)
    return found


def _problems(files: dict[str, Digests]) -> int:
    found = [digests.problem for digests in files.values() if digests.problem]
    for problem in found:
        print(f"error: {problem}", file=sys.stderr)
    return 1 if found else 0


def _present(config: Path | None) -> tuple[dict[str, Present], str]:
    """The scripts of the running agent, and the words for where they are from."""
    import http.client

    from agent.cli import status_client
    from agent.rollout import plan

    address, connection = status_client.connect(None, config)
    try:
        return plan.from_status(status_client.fetch(connection)), "the running agent"
    except PermissionError as error:
        reason = f"{(error.strerror or '').lower()}; run this as root"
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = (getattr(error, "strerror", "") or str(error)).lower()
    finally:
        connection.close()
    return {}, f"nothing, because no agent answers at {address}: {reason}"
