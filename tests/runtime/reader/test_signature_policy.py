# SPDX-License-Identifier: GPL-2.0-or-later
"""What the kernel's files say of signatures."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.reader.signature_policy import SignaturePolicy, policy

LOCKDOWN = "sys/kernel/security/lockdown"
ENFORCE = "sys/module/module/parameters/sig_enforce"
SECURE_BOOT = "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"


@pytest.mark.parametrize(
    ("files", "expected", "why"),
    [
        ({}, SignaturePolicy(None, "", False), ""),
        (
            {
                LOCKDOWN: "[none] integrity confidentiality\n",
                ENFORCE: "N\n",
                SECURE_BOOT: "\6\0\0\0\0",
            },
            SignaturePolicy(False, "none", False),
            "",
        ),
        (
            {
                LOCKDOWN: "none [integrity] confidentiality\n",
                ENFORCE: "N\n",
                SECURE_BOOT: "\6\0\0\0\1",
            },
            SignaturePolicy(True, "integrity", False),
            "the kernel is locked down (integrity)",
        ),
        (
            {LOCKDOWN: "none integrity [confidentiality]\n", ENFORCE: "Y\n", SECURE_BOOT: "\6\0"},
            SignaturePolicy(None, "confidentiality", True),
            "the kernel is locked down (confidentiality)",
        ),
        (
            {LOCKDOWN: "[none] integrity confidentiality\n", ENFORCE: "Y\n"},
            SignaturePolicy(None, "none", True),
            "the kernel enforces signatures (module.sig_enforce)",
        ),
    ],
)
def test_policies(
    tmp_path: Path, files: dict[str, str], expected: SignaturePolicy, why: str
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    found = policy(tmp_path)
    assert found == expected and found.wants_signatures == why
