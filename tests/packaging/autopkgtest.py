# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs debian/tests in a guest by autopkgtest's rules: a test fails by its exit status, or by writing to stderr."""

from __future__ import annotations

import re

from lab import Guest
from tests.packaging.packages import DEBIAN


def names() -> list[str]:
    found = re.findall(r"(?m)^Tests: (.*)$", (DEBIAN / "tests/control").read_text())
    return [name for tests in found for name in re.split(r"[ ,]+", tests)]


def run(guest: Guest, name: str) -> None:
    guest.push(DEBIAN / "tests", "/root/tests")
    guest.run("mkdir -p /root/adt").check()
    env = {"AUTOPKGTEST_TMP": "/root/adt"}
    done = guest.run([f"/root/tests/{name}"], env=env, timeout=900)
    assert done.status == 0 and not done.stderr, f"{done.status}\n{done.stdout}{done.stderr}"
