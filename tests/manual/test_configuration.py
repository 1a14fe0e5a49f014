# SPDX-License-Identifier: GPL-2.0-or-later
"""stapwatch.yaml(5) has every key that the configuration can have, and no other; and the right defaults."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from agent.config import host_labels, load, web_schema, yaml_tree
from agent.config.label_settings import Decoder
from agent.config.schema import Reader, SchemaError
from agent.config.settings import Settings
from agent.config.yaml_tree import Mapping, Node, Position
from manual import defaults
from tests.manual.page import page

# A container as the schema names it -> the section that has its keys
SECTIONS = {
    "the configuration": "KEYS",
    "script 'x'": "SCRIPTS",
    "metric 'y'": "METRICS",
    "an alert": "ALERTS",
    "a label": "LABELS",
    "budgets": "BUDGETS",
    "when": "WHEN",
    "after": "AFTER",
    "a variant": "VARIANTS",
    "log": "LOG",
    "compile": "COMPILE",
    "signing": "SIGNING",
    "host.yaml": "HOST.YAML",
    "the web configuration": "WEB CONFIGURATION FILE",
    "tls_server_config": "TLS_SERVER_CONFIG",
    "http_server_config": "HTTP_SERVER_CONFIG",
    "rate_limit": "RATE_LIMIT",
}
# Those whose keys a text names.
IN_TEXT = {"total": "BUDGETS", "headers": "HTTP_SERVER_CONFIG"}
# Where the keys are names that the user gives.
NAMED = "budgets: {total: {}}\nscripts: {x: {text: '', metrics: {y: {}}, variants: [{}]}}\n"


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, set[str]]:
    """The keys of each container, noted while an empty mapping is read in the place of every value."""
    found: dict[str, set[str]] = defaultdict(set)
    original = Reader.record

    def record(
        self: Reader, node: Node, what: str, fields: dict[str, Callable[[Node], Any]]
    ) -> dict[str, Any]:
        is_new = what not in found
        found[what] |= fields.keys()
        if is_new:
            for read in fields.values():
                with suppress(SchemaError):
                    read(Mapping({}, Position("x")))
        return original(self, node, what, fields)

    monkeypatch.setattr(Reader, "record", record)
    with suppress(load.ConfigError):
        load.loads(NAMED)
    web, host = tmp_path / "web.yaml", tmp_path / host_labels.FILE
    web.write_text("rate_limit: {}\n")
    host.write_text("labels: {}\n")
    web_schema.read(web, [], insecure_files=True)
    host_labels.load(tmp_path, [])
    return found


def documented(section: str) -> Iterator[str]:
    for term in page("stapwatch.yaml.5").terms(section):
        names, colon, _ = term.partition(":")
        assert colon, term
        yield from names.split(", ")


def test_every_key_is_documented(known: dict[str, set[str]]) -> None:
    assert known.keys() == SECTIONS.keys() | IN_TEXT.keys()
    for what, section in SECTIONS.items():
        found = list(documented(section))
        assert sorted(found) == sorted(known[what]), section
    for what, section in IN_TEXT.items():
        words = re.findall(r"[\w-]+", page("stapwatch.yaml.5").sections[section])
        assert known[what] <= set(words), section


def test_every_decoder_is_explained() -> None:
    text = page("stapwatch.yaml.5").sections["LABELS"].replace("\\", "")
    explained = text[text.index("*decode*") : text.index("*map*")]
    for decoder in Decoder:
        assert re.search(rf"_{decoder}_[:,(. ]", explained), decoder


def test_the_sections_are_those_of_the_schema() -> None:
    others = ["NAME", "SYNOPSIS", "DESCRIPTION", "EXAMPLES", "SEE ALSO"]
    assert set(page("stapwatch.yaml.5").sections) == {*others, *SECTIONS.values()}


def test_the_examples_are_right() -> None:
    for text in page("stapwatch.yaml.5").literals():
        tree = yaml_tree.parse(text, "x.yaml", [])
        assert tree is not None
        settings = load.loads(
            "script_folders: []\n"
            + text.replace("  reads:\n", "  reads:\n    text: global reads\n")
        )
        assert settings.scripts


def test_every_default_of_the_budgets_is_there() -> None:
    """They are what people look for; the others have their places in the text."""
    budgets = page("stapwatch.yaml.5").sections["BUDGETS"].replace("\\", "")
    for name in ("cpu", "one_cpu", "hit_time", "hit_rate", "kernel_memory", "log_lines", "series"):
        assert f"Default: {defaults.default(f'budgets.{name}')}." in budgets


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("listen", "127.0.0.1:9436"),
        ("budgets.cpu", "5 %"),
        ("budgets.pauses", "1 s, 2 s, 4 s, 8 s, 16 s, 32 s, 64 s"),
        ("budgets.hit_time", "50 ms"),
        ("budgets.hit_rate", "off"),
        ("total.series", "1,000,000"),
        ("log.format", "auto"),
        ("compile.timeout", "180 s"),
        ("script.enabled", "true"),
        ("script.rollout.arm", "automatic"),
        ("cache_folder", str(Settings().cache_folder)),
    ],
)
def test_defaults_as_text(path: str, text: str) -> None:
    assert defaults.default(path) == text
