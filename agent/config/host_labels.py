# SPDX-License-Identifier: GPL-2.0-or-later
"""The labels of this host, which a file beside the main configuration gives.

/etc/stapwatch/host.yaml: `labels: {tier: canary, site: ams1}` -> {"tier": "canary", "site": "ams1"}

It is a file of its own because it differs from host to host, while the configuration is the same on all.
"""

from __future__ import annotations

from pathlib import Path

from agent.config import schema
from agent.config.metric_names import LABEL_NAME
from agent.config.schema import Reader, SchemaError
from agent.config.yaml_tree import ConfigDiagnostic, Node, parse, read

FILE = "host.yaml"


def load(folder: Path, diagnostics: list[ConfigDiagnostic]) -> dict[str, str]:
    """The labels of a configuration folder; none if it has no such file. Errors go to `diagnostics`."""
    path = folder / FILE
    if not path.exists():
        return {}
    text = read(path, diagnostics)
    tree = parse(text, str(path), diagnostics) if text is not None else None
    reader = Reader(diagnostics)
    if tree is None:
        return {}
    try:
        found = reader.record(tree, FILE, {"labels": lambda node: labels(node, reader)})
    except SchemaError as error:
        diagnostics.append(error.diagnostic)
        return {}
    given: dict[str, str] = found.get("labels", {})
    return given


def labels(node: Node, reader: Reader) -> dict[str, str]:
    return reader.table(node, "labels", schema.word, LABEL_NAME)
