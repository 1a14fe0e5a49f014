# SPDX-License-Identifier: GPL-2.0-or-later
"""Machine owner keys: what shim trusts besides its own, and hands to the kernel. mokutil registers them.

    enrolment(certificate)  -> Enrolment.PENDING
    request(certificate, None)    # asks for a password on the terminal

A registered key is enrolled by a person at the console, in the next boot: shim starts MokManager, which asks
for the password.
"""

from __future__ import annotations

import enum
import subprocess
import tempfile
from pathlib import Path

from agent.signing.certificates import Certificate
from agent.signing.errors import SigningError

EFI = Path("/sys/firmware/efi")
_SECONDS = 60


class Enrolment(enum.Enum):
    """UNKNOWN: mokutil is not installed, there is no UEFI, or this user may not ask."""

    ENROLLED = "enrolled"
    PENDING = "pending"
    ABSENT = "absent"
    UNKNOWN = "unknown"


def enrolment(certificate: Certificate) -> Enrolment:
    """What shim knows of it."""
    if not EFI.exists():
        return Enrolment.UNKNOWN
    with tempfile.NamedTemporaryFile(suffix=".der") as file:
        file.write(certificate.der)
        file.flush()
        try:
            done = subprocess.run(
                ["mokutil", "--test-key", file.name],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return Enrolment.UNKNOWN
    said = done.stdout + done.stderr
    if "enrollment request" in said:
        return Enrolment.PENDING
    if "is already" in said:  # enrolled, or in the firmware's db
        return Enrolment.ENROLLED
    return Enrolment.ABSENT if "is not enrolled" in said else Enrolment.UNKNOWN


def request(certificate: Certificate, hash_file: Path | None) -> None:
    """Register a certificate. mokutil asks for the password, unless `hash_file` has its hash. Raises
    SigningError."""
    if not EFI.exists():
        raise SigningError(
            "this machine was not started by UEFI, so there is no shim to enrol a key with"
        )
    with tempfile.NamedTemporaryFile(suffix=".der") as file:
        file.write(certificate.der)
        file.flush()
        argv = ["mokutil", "--import", file.name]
        if hash_file is not None:
            argv += ["--hash-file", str(hash_file)]
        try:
            status = subprocess.run(argv, check=False).returncode
        except FileNotFoundError:
            raise SigningError("mokutil is not installed; apt install mokutil") from None
        except OSError as error:
            raise SigningError(f"mokutil cannot be started: {error}") from error
    if status != 0:
        raise SigningError(f"mokutil has not registered the key (exit status {status})")
