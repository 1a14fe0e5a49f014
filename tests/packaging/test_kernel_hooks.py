# SPDX-License-Identifier: GPL-2.0-or-later
"""A hook of a kernel's installation never fails: not without systemd, and not when the package is gone."""

from __future__ import annotations

import subprocess

import pytest

from tests import PROJECT

KERNEL = PROJECT / "packaging/kernel"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("hook", ["6.1.0-57-amd64", "/boot/vmlinuz-6.1.0-57-amd64"]),
        ("hook", []),
        ("stapwatch-prepare", ["6.1.0-57-amd64"]),
        ("stapwatch-prepare", []),
        ("90-stapwatch.install", ["add", "6.1.0-57-amd64", "/efi/x", "/boot/vmlinuz"]),
        ("90-stapwatch.install", ["remove", "6.1.0-57-amd64", "/efi/x"]),
        ("90-stapwatch.install", ["inspect"]),
        ("90-stapwatch.install", []),
    ],
)
def test_it_never_fails(name: str, words: list[str]) -> None:
    """Where nothing is installed, as here."""
    done = subprocess.run([KERNEL / name, *words], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
