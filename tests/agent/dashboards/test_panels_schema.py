# SPDX-License-Identifier: GPL-2.0-or-later
"""Dashboards have the types that Grafana's own schema has for them: TypeScript compares them.

npm fetches the schema and the compiler once, into build/grafana-schema, which git ignores.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.dashboards import files
from agent.dashboards.files import Format
from tests import PROJECT
from tests.agent.dashboards import exported

pytestmark = [
    pytest.mark.host,
    pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed"),
]

CACHE = PROJECT / "build/grafana-schema"
TYPES = Path(__file__).parent / "schema/board.ts"
PACKAGES = ("@grafana/schema@13.2.3", "typescript@5.9.3")
TSC = CACHE / "node_modules/typescript/bin/tsc"
OPTIONS = [
    *("--noEmit", "--strict", "--skipLibCheck", "--target", "es2022", "--module", "esnext"),
    *("--moduleResolution", "bundler"),
]


@pytest.fixture(scope="module")
def compiler() -> Path:
    if not TSC.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        npm = ["npm", "install", "--prefix", str(CACHE), "--no-audit", "--no-fund"]
        done = subprocess.run([*npm, "--ignore-scripts", *PACKAGES], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"npm cannot fetch the schema: {done.stderr.strip()[-300:]}")
    return TSC


def boards() -> dict[str, Any]:
    scripts = [*exported.examples(), *exported.odd()]
    texts = files.make(scripts, Format.GRAFANA, "docs/alerts.md").texts
    return {name: json.loads(text) for name, text in texts.items()}


def complaints(compiler: Path, folder: Path, found: dict[str, Any]) -> str:
    """What the compiler says of dashboards."""
    shutil.copy(TYPES, folder)
    (folder / "node_modules").symlink_to(CACHE / "node_modules")
    text = "import type { Board } from './board';\n" + "".join(
        f"export const board{n}: Board = {json.dumps(board)};\n"
        for n, board in enumerate(found.values())
    )
    (folder / "check.ts").write_text(text)
    argv = ["node", str(compiler), *OPTIONS, "check.ts"]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True)
    assert bool(done.returncode) == bool(done.stdout), done.stderr
    return done.stdout


def test_all_dashboards_have_the_schema_s_types(compiler: Path, tmp_path: Path) -> None:
    assert complaints(compiler, tmp_path, boards()) == ""


def panel_of(board: Any, kind: str) -> Any:
    return next(panel for panel in board["panels"] if panel["type"] == kind)


WRONG: dict[str, Callable[[Any], Any]] = {
    "nosuch": lambda board: board.update(nosuch=1),
    "graphTooltip": lambda board: board.update(graphTooltip="shared"),
    "displayMode": lambda board: panel_of(board, "timeseries")["options"]["legend"].update(
        displayMode="tabel"
    ),
    "fillOpacity": lambda board: panel_of(board, "timeseries")["fieldConfig"]["defaults"][
        "custom"
    ].update(fillOpacity="10"),
    "showLegend": lambda board: panel_of(board, "timeseries")["options"]["legend"].pop(
        "showLegend"
    ),
    "description": lambda board: panel_of(board, "heatmap").pop("description"),
    "steps": lambda board: panel_of(board, "heatmap")["options"]["color"].update(steps="64"),
    "textMode": lambda board: panel_of(board, "stat")["options"].update(textMode="big"),
    "refresh": lambda board: board["templating"]["list"][1].update(refresh="often"),
}


def test_mistakes_are_found(compiler: Path, tmp_path: Path) -> None:
    """Each in a dashboard of its own."""
    name = "stapwatch-script-vfs_latency.json"
    found = {wrong: boards()[name] for wrong in WRONG}
    for wrong, change in WRONG.items():
        change(found[wrong])
    said = complaints(compiler, tmp_path, found)
    for number, wrong in enumerate(WRONG):
        line = f"check.ts({number + 2},"
        assert any(text.startswith(line) for text in said.splitlines()), f"{wrong}:\n{said}"
