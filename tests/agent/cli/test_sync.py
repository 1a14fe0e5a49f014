# SPDX-License-Identifier: GPL-2.0-or-later
"""`stapwatch sync` as its unit runs it: what it says, and its exit status."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from agent.cli import main
from agent.prebuilt import service_environment
from tests import PROJECT
from tests.agent.store.fleet import Fleet


def sync(fleet: Fleet, *words: str) -> int:
    return main.main(["sync", "--config", str(fleet.config), *words])


@pytest.mark.host  # ssh-keygen
def test_it_says_what_it_has_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = Fleet(tmp_path)
    where = f"{fleet.url}: kernel {os.uname().release}"
    folder = str(fleet.spool.folder)
    assert sync(fleet, "--folder", folder) == 1
    printed = capsys.readouterr()
    assert printed.err == f"{where}: there is no {fleet.store}/index.json\n"
    fleet.publish()
    assert sync(fleet, "--folder", folder) == 0
    assert f"{where}: 2 modules for this host, 2 fetched now\n" in capsys.readouterr().out
    assert fleet.find("vfs") is not None
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert sync(fleet) == 2
    assert "systemctl start stapwatch-sync" in capsys.readouterr().err
    assert sync(fleet, "--tell") == 3
    fleet.config.write_text("insecure_files: true\n")
    assert sync(fleet, "--folder", folder) == 0
    assert "no store is configured" in capsys.readouterr().out
    fleet.config.write_text("modules: nowhere\n")
    assert sync(fleet, "--folder", folder) == 2


@pytest.mark.parametrize("unit", ["stapwatch-loader.service", "stapwatch-compile@.service"])
def test_the_units_have_the_builders_path(unit: str) -> None:
    """A module's identity depends on it, if its script names a program."""
    found = re.findall(r"(?m)^Environment=PATH=(.*)$", (PROJECT / "systemd" / unit).read_text())
    assert found == [service_environment.PATH]
