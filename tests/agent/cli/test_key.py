# SPDX-License-Identifier: GPL-2.0-or-later
"""`stapwatch key` where nothing has to be enrolled; with a firmware and shim: tests/system/test_secure_boot.py."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.cli import main
from agent.signing import kernel_trust, key_files, mok
from agent.signing.key_files import KeyPair
from runtime.support.record import replace
from tests.agent.signing.keys import new_pair

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="keys are root's")


@pytest.fixture
def dkms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KeyPair:
    """The only key that is here."""
    pair = replace(new_pair(tmp_path / "dkms", "theirs", "DER"), origin="DKMS")
    ours = KeyPair(tmp_path / "etc/mok.key", tmp_path / "etc/mok.pub", "stapwatch")
    monkeypatch.setattr(key_files, "OURS", ours)
    monkeypatch.setattr(key_files, "OTHERS", (pair,))
    monkeypatch.setattr(mok, "EFI", tmp_path / "none")
    return pair


def test_a_key_that_the_kernel_trusts_is_enough(
    dkms: KeyPair, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(kernel_trust, "trusted_in", lambda key_id: ".machine")
    assert main.main(["key", "create"]) == 0
    assert f"No other key is needed: the kernel trusts {dkms.key} (DKMS)" in capsys.readouterr().out
    assert not key_files.OURS.key.exists()
    assert main.main(["key", "enroll"]) == 0
    assert "The kernel trusts 'theirs' already (keyring .machine)" in capsys.readouterr().out
    assert main.main(["key", "create", "--name", "mine"]) == 0
    assert key_files.OURS.read_certificate().name == "mine"


def test_another_ones_key_is_offered(
    dkms: KeyPair, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(kernel_trust, "trusted_in", lambda key_id: "")
    assert main.main(["key", "status"]) == 0
    said = capsys.readouterr().out
    assert f"key          {dkms.key} (DKMS)\n" in said and "not enrolled" in said
    assert main.main(["key", "enroll"]) == 1
    assert "was not started by UEFI" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["key", "status", "--cert", "x"], "--cert belongs to key enroll"),
        (["key", "enroll", "--name", "x"], "--name belongs to key create"),
        (["key", "create", "--hash-file", "x"], "--hash-file belongs to key enroll"),
    ],
)
def test_options_of_other_actions(
    words: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main.main(words)
    assert caught.value.code == 2 and reason in capsys.readouterr().err
