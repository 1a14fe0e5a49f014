# SPDX-License-Identifier: GPL-2.0-or-later
"""Keys of the kinds that hosts have, made by openssl."""

from __future__ import annotations

import subprocess
from pathlib import Path

from agent.signing.key_files import KeyPair

REQUEST = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3")


def new_pair(folder: Path, name: str = "tester", form: str = "PEM", *more: str) -> KeyPair:
    """As DKMS and shim's packages make them: `form` is the certificate's."""
    folder.mkdir(parents=True, exist_ok=True)
    pair = KeyPair(folder / "mok.key", folder / "mok.pub", "tests")
    files = ["-keyout", str(pair.key), "-out", str(pair.certificate), "-outform", form]
    argv = [*REQUEST, "-subj", f"/CN={name}/", *files, *more]
    subprocess.run(argv, check=True, capture_output=True, timeout=60)
    pair.key.chmod(0o600)
    return pair
