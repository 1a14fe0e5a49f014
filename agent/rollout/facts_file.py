# SPDX-License-Identifier: GPL-2.0-or-later
"""Facts of hosts as files: what `stapwatch plan --facts` prints on one host, and another reads.

dumps(facts)      -> "host: web-1\\nmachine_id: 3f9e...\\nkernel: 6.1.0-13-cloud\\n..."
load(path)        -> HostFacts(host="web-1", ...)      FactsError with all errors of the file
load_fleet(path)  -> the facts of every *.yaml file of a folder, by the names of the files
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import yaml

from agent.config import host_labels, schema
from agent.config.schema import Reader, SchemaError
from agent.config.yaml_tree import ConfigDiagnostic, Position, parse, read
from agent.rollout.host_facts import HostFacts
from runtime.support.record import asdict


class FactsError(Exception):
    """Facts of hosts are wrong; the text has all errors, each with its position."""

    def __init__(self, diagnostics: Iterable[ConfigDiagnostic]) -> None:
        super().__init__("\n".join(map(str, diagnostics)))


def dumps(facts: HostFacts) -> str:
    tree = {key: value for key, value in asdict(facts).items() if value not in ("", {})}
    return str(yaml.safe_dump(tree, sort_keys=False, allow_unicode=True))


def load(path: Path) -> HostFacts:
    """Raises FactsError."""
    diagnostics: list[ConfigDiagnostic] = []
    found = _load(path, diagnostics)
    if diagnostics or found is None:
        raise FactsError(diagnostics)
    return found


def load_fleet(folder: Path) -> list[HostFacts]:
    """Raises FactsError: for files that are wrong, and for two of the same host."""
    diagnostics: list[ConfigDiagnostic] = []
    hosts: dict[str, tuple[Path, HostFacts]] = {}
    try:
        files = sorted(p for p in folder.iterdir() if p.suffix in (".yaml", ".yml"))
    except OSError as error:
        message = f"cannot be read: {(error.strerror or '').lower()}"
        raise FactsError([ConfigDiagnostic(Position(str(folder)), message)]) from None
    for path in files:
        facts = _load(path, diagnostics)
        if facts is None:
            continue
        first = hosts.setdefault(facts.identity, (path, facts))[0]
        if first != path:
            message = f"the same host as {first}: it has the same machine_id"
            hint = "a machine that was cloned keeps its /etc/machine-id: empty it, and boot again"
            diagnostics.append(ConfigDiagnostic(Position(str(path)), message, hint))
    if not files:
        message = "no facts of hosts (*.yaml)"
        hint = "collect what stapwatch plan --facts prints on each host"
        diagnostics.append(ConfigDiagnostic(Position(str(folder)), message, hint))
    if diagnostics:
        raise FactsError(diagnostics)
    return [facts for _, facts in hosts.values()]


def _load(path: Path, diagnostics: list[ConfigDiagnostic]) -> HostFacts | None:
    before = len(diagnostics)
    text = read(path, diagnostics)
    tree = parse(text, str(path), diagnostics) if text is not None else None
    if tree is None:
        if len(diagnostics) == before:
            diagnostics.append(ConfigDiagnostic(Position(str(path)), "it is empty"))
        return None
    reader = Reader(diagnostics)
    texts = (
        *("host", "machine_id", "kernel", "arch", "virtualization", "os", "os_version", "cgroup"),
        "build_id",
    )
    try:
        found = reader.record(
            tree,
            "facts of a host",
            {
                **dict.fromkeys(texts, schema.word),
                "cpus": schema.integer(1, 1 << 16),
                "labels": lambda node: host_labels.labels(node, reader),
            },
        )
    except SchemaError as error:
        diagnostics.append(error.diagnostic)
        return None
    if "host" not in found and len(diagnostics) == before:
        diagnostics.append(
            ConfigDiagnostic(tree.position, "facts of a host without 'host'", "add its name")
        )
    return HostFacts(**found) if len(diagnostics) == before else None
