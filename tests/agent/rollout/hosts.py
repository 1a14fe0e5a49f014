# SPDX-License-Identifier: GPL-2.0-or-later
"""Configurations and hosts for the tests of this room.

scripts("a: {percent: 10}")   -> Settings with script a, whose text is empty
"""

from __future__ import annotations

from agent.config import load
from agent.config.settings import Settings
from agent.rollout.host_facts import HostFacts
from runtime.support.record import replace

WEB = HostFacts(
    host="web-1.example.net",
    machine_id="3f9e12ab34cd41d2a7f0c1b2d3e4f506",
    kernel="6.1.0-13-amd64",
    arch="x86_64",
    virtualization="kvm",
    os="debian",
    os_version="12",
    cpus=4,
    cgroup="v2",
    labels={"tier": "canary", "site": "ams1"},
)
NOW = 1_796_000_000.0  # 2026-11-30T00:53:20Z


def scripts(text: str) -> Settings:
    """One script a line, `name: {keys}`. Each one's revision is its name."""
    lines = [line.strip().replace("{", "{text: '', ", 1) for line in text.strip().splitlines()]
    indented = "\n".join(f"  {line}" for line in lines)
    settings = load.loads(f"script_folders: []\nscripts:\n{indented}\n")
    made = {name: replace(script, revision=name) for name, script in settings.scripts.items()}
    return replace(settings, scripts=made)
