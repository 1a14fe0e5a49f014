# SPDX-License-Identifier: GPL-2.0-or-later
"""The Ansible role of the examples: ansible-lint accepts it, and what its templates write is a configuration."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from agent.config import host_labels, load
from tests import PROJECT

ROLE = PROJECT / "packaging/ansible"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8qLkTtzJ8m1Qy"


def test_ansible_lint(tmp_path: Path) -> None:
    argv = ["ansible-lint", "--offline", "--nocolor", "-c", "ansible-lint.yaml"]
    done = subprocess.run(
        [*argv, "--project-dir", "."],
        cwd=ROLE,
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Passed with production profile" in done.stderr


@pytest.mark.parametrize("has_stores", [False, True])
def test_what_it_writes(tmp_path: Path, has_stores: bool) -> None:
    """By Ansible itself, as on a host, out of the example's own inventory."""
    variables = yaml.safe_load((ROLE / "inventory.yaml").read_text())["all"]["vars"]
    variables |= yaml.safe_load((ROLE / "inventory.yaml").read_text())["all"]["hosts"]["web-1"]
    variables |= {"stapwatch_modules": [], "stapwatch_module_keys": []}
    if has_stores:
        variables |= {"stapwatch_modules": ["file:///srv/s"], "stapwatch_module_keys": [KEY]}
    templates = {"settings.yaml.j2": "stapwatch.yaml", "host.yaml.j2": "host.yaml"}
    tasks = [
        {
            "ansible.builtin.template": {
                "src": str(ROLE / "roles/stapwatch/templates" / source),
                "dest": str(tmp_path / target),
            }
        }
        for source, target in templates.items()
    ]
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "vars": variables}
    (tmp_path / "play.yaml").write_text(json.dumps([{**play, "tasks": tasks}]))
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"}
    argv = ["ansible-playbook", "-i", "localhost,", str(tmp_path / "play.yaml")]
    done = subprocess.run(argv, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    (tmp_path / "probes.d").mkdir()
    text = variables["stapwatch_scripts"]["opens"]["text"]
    (tmp_path / "probes.d/opens.stp").write_text(text)
    written = (tmp_path / "stapwatch.yaml").read_text()
    settings = load.loads(f"script_folders: [{tmp_path}/probes.d]\n{written}")
    assert settings.scripts["opens"].rollout.percent == 50
    assert settings.scripts["opens"].metrics["opens"].name == "files_opened"
    assert settings.stores.urls == (("file:///srv/s",) if has_stores else ())
    wrong: list[object] = []
    assert host_labels.load(tmp_path, wrong) == {"tier": "canary"}  # type: ignore[arg-type]
    assert wrong == []
