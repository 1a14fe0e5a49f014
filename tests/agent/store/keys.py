# SPDX-License-Identifier: GPL-2.0-or-later
"""Keys of builders, as ssh-keygen makes them."""

from __future__ import annotations

import subprocess
from pathlib import Path


def new_key(path: Path) -> Path:
    """An ed25519 key without a passphrase; its public key is next to it."""
    argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "a builder", "-f", str(path)]
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)
    return path


def public(key: Path) -> str:
    return key.with_suffix(".pub").read_text().strip()
