# SPDX-License-Identifier: GPL-2.0-or-later
"""What `stapwatch key status` says in each situation, and what to do next."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.signing.certificates import Certificate
from agent.signing.key_files import KeyPair
from agent.signing.key_status import KeyState, KeyStatus, text
from agent.signing.mok import Enrolment
from runtime.reader.signature_policy import SignaturePolicy
from runtime.support.record import replace

LOCKED = SignaturePolicy(True, "integrity", False)
OURS = KeyPair(Path("/e/mok.key"), Path("/e/mok.pub"), "stapwatch")
DKMS = KeyPair(Path("/d/mok.key"), Path("/d/mok.pub"), "DKMS")
CERTIFICATE = Certificate(OURS.certificate, "ours", "ab12", "Nov 30 2126 GMT", True, b"")
NEW = KeyState(OURS, CERTIFICATE, "", "", Enrolment.ABSENT)


@pytest.mark.parametrize(
    ("policy", "keys", "described", "then", "ready"),
    [
        (replace(LOCKED, lockdown="none"), (), "none", "nothing: this kernel loads", True),
        (SignaturePolicy(None, "none", False), (), "none", "nothing; before Secure Boot is", True),
        (LOCKED, (), "none", "stapwatch key create, stapwatch key enroll, and reboot; or", False),
        (LOCKED, (NEW,), "not enrolled", "stapwatch key enroll, and reboot", False),
        (
            LOCKED,
            (replace(NEW, pair=DKMS),),
            "not enrolled",
            "stapwatch key enroll --cert /d/mok.pub, and reboot",
            False,
        ),
        (
            LOCKED,
            (replace(NEW, enrolment=Enrolment.PENDING),),
            "waits for a person at the console",
            "reboot; at the console, in MokManager: Enroll MOK, Continue, Yes, the password",
            False,
        ),
        (
            LOCKED,
            (replace(NEW, pair=DKMS), replace(NEW, ring=".platform")),
            "the kernel trusts it (keyring .platform)",
            "nothing: modules that are compiled here are signed with /e/mok.key",
            True,
        ),
        (
            LOCKED,
            (replace(NEW, ring=".platform", problem="chmod 600 /e/mok.key"),),
            "not used: chmod 600 /e/mok.key",
            "chmod 600 /e/mok.key",
            False,
        ),
        (LOCKED, (replace(NEW, ring=None),), "only root can see", "stapwatch key enroll", False),
    ],
)
def test_situations(
    policy: SignaturePolicy, keys: tuple[KeyState, ...], described: str, then: str, ready: bool
) -> None:
    status = KeyStatus(policy, keys)
    said = text(status)
    assert described in said and status.is_ready is ready
    assert said.splitlines()[-1].startswith(f"next         {then}")
    assert said.startswith("Secure Boot  on\n" if policy.secure_boot else "Secure Boot  not known")
