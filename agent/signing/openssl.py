# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs openssl, which makes keys, certificates and signatures.

output(["x509", "-noout", "-subject"], certificate)   -> b"subject=CN = ..."
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from agent.signing.errors import SigningError

_SECONDS = 60


def output(argv: Sequence[str], data: bytes = b"", descriptors: Sequence[int] = ()) -> bytes:
    """What a command of openssl's prints. `descriptors`: stay open for it. Raises SigningError."""
    try:
        done = subprocess.run(
            ["openssl", *argv],
            input=data,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
            pass_fds=descriptors,
        )
    except FileNotFoundError:
        raise SigningError("openssl is not installed; apt install openssl") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SigningError(f"openssl does not answer: {error}") from error
    if done.returncode != 0:
        raise SigningError(_said(done.stderr) or f"openssl {argv[0]} ended with {done.returncode}")
    return done.stdout


def _said(text: bytes) -> str:
    lines = [line.strip() for line in text.decode(errors="replace").splitlines()]
    return next((line for line in lines if line), "")
