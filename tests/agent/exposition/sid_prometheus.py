# SPDX-License-Identifier: GPL-2.0-or-later
"""The Prometheus of Debian's sid, unpacked in the lab's cache: newer than what this machine has installed.

program() -> Path(".../usr/bin/prometheus"); None if the archive cannot be reached
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from lab.debian import apt_options, source_lines
from lab.host import LabError, cache_root, locked
from lab.suites import suite_for

SUITE = suite_for("sid")
PACKAGES = ("prometheus", "promtool")


def program() -> Path | None:
    folder = cache_root() / "prometheus-sid"
    made = folder / "root/usr/bin/prometheus"
    with locked(folder.with_suffix(".lock"), "Prometheus of sid"):
        if not made.exists():
            try:
                _unpack(folder)
            except (LabError, subprocess.CalledProcessError):
                return None
    return made


def _unpack(folder: Path) -> None:
    """With an apt of its own, which knows that suite only, and installs nothing."""
    for name in ("lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "sources.list").write_text("\n".join([*source_lines(SUITE), ""]))
    (folder / "status").touch()
    places = {
        "Dir::Etc::SourceList": folder / "sources.list",
        "Dir::Etc::SourceParts": "/nonexistent",
        "Dir::State::Lists": folder / "lists",
        "Dir::State::Status": folder / "status",
        "Dir::Cache": folder / "cache",
    }
    options = [f'{name} "{place}";' for name, place in places.items()]
    options += [f"{option};" for option in apt_options(SUITE)]
    (folder / "apt.conf").write_text("\n".join([*options, 'APT::Sandbox::User "root";', ""]))
    for command in (["update"], ["download", *PACKAGES]):
        argv = ["env", f"APT_CONFIG={folder / 'apt.conf'}", "apt-get", "-q", *command]
        subprocess.run(argv, cwd=folder, check=True, capture_output=True, timeout=600)
    for package in folder.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", package, folder / "root"], check=True, timeout=120)
        package.unlink()
