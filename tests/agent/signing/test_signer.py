# SPDX-License-Identifier: GPL-2.0-or-later
"""Which key signs, and what a refusal tells people to do. What the kernel makes of it: tests/system/."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.signing import kernel_trust, key_files
from agent.signing.key_files import KeyPair
from agent.signing.module_signature import signed
from agent.signing.signer import Signer, configured_key
from runtime.reader import signature_policy
from runtime.reader.signature_policy import SignaturePolicy
from runtime.support.record import replace
from tests.agent.signing.keys import new_pair

MODULE = b"\x7fELF a module"


class Host:
    """`trusted`: the key identifiers that the kernel has."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.main = folder, folder / "stapwatch.yaml"
        self.ours = new_pair(folder / "ours", "ours")
        self.dkms = replace(new_pair(folder / "dkms", "theirs", "DER"), origin="DKMS")
        self.trusted: dict[str, str] = {}
        self.policy = SignaturePolicy(True, "integrity", False)
        self.module = folder / "sw_x_1.ko"
        self.module.write_bytes(MODULE)
        monkeypatch.setattr(key_files, "OURS", replace(self.ours, origin="stapwatch"))
        monkeypatch.setattr(key_files, "OTHERS", (self.dkms,))
        monkeypatch.setattr(kernel_trust, "trusted_in", lambda key_id: self.trusted.get(key_id, ""))
        monkeypatch.setattr(signature_policy, "policy", lambda: self.policy)

    def trust(self, pair: KeyPair) -> None:
        self.trusted[pair.read_certificate().key_id] = ".platform"

    @property
    def signer(self) -> Signer:
        return Signer(self.main)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(tmp_path, monkeypatch)


def test_the_first_key_that_the_kernel_trusts(host: Host) -> None:
    assert host.signer.image(host.module) is None, "nobody knows a key"
    host.trust(host.dkms)
    assert host.signer.image(host.module) == signed(MODULE, host.dkms)
    host.trust(host.ours)
    assert host.signer.image(host.module) == signed(MODULE, host.ours)
    assert host.module.read_bytes() == MODULE


def test_a_signer_sees_that_keys_have_changed(host: Host) -> None:
    host.trust(host.dkms)
    host.trust(host.ours)
    signer = host.signer
    assert signer.image(host.module) == signed(MODULE, host.ours)
    host.ours.key.unlink()
    assert signer.image(host.module) == signed(MODULE, host.dkms)


def test_a_signer_sees_that_others_can_read_the_key_now(host: Host) -> None:
    signer = host.signer
    host.trust(host.ours)
    assert signer.image(host.module) is not None
    host.ours.key.chmod(0o640)
    assert signer.image(host.module) is None
    assert "chmod 600" in signer.advice(host.module)


def test_the_configured_key_is_the_only_one(host: Host) -> None:
    host.trust(host.ours)
    third = new_pair(host.folder / "third", "third")
    host.main.write_text("signing: {key: third/mok.key, certificate: third/mok.pub}\n")
    assert host.signer.image(host.module) is None
    assert "mok.key ('third') is not enrolled: stapwatch key enroll, and" in host.signer.advice(
        host.module
    )
    host.trust(third)
    assert host.signer.image(host.module) == signed(MODULE, third)
    host.main.write_text("signing: {key: third/mok.key}\n")
    assert configured_key(host.main) is None, "a wrong configuration has none"


def test_what_wants_no_signature_is_left_alone(host: Host) -> None:
    host.trust(host.ours)
    host.module.write_bytes(data := signed(MODULE, host.dkms))
    assert host.signer.image(host.module) is None
    assert host.module.read_bytes() == data
    host.module.write_bytes(MODULE)
    host.policy = SignaturePolicy(True, "none", False)
    assert host.signer.image(host.module) is None and host.signer.advice(host.module) == ""


def test_advice(host: Host) -> None:
    text = host.signer.advice(host.module)
    assert text.startswith("the kernel is locked down (integrity), and the module is not signed: ")
    assert "('ours') is not enrolled: stapwatch key enroll, and reboot" in text
    enroll = f"stapwatch key enroll --cert {host.dkms.certificate}, and reboot"
    assert f"('theirs') is not enrolled: {enroll}; see stapwatch-key(1)" in text
    host.ours.key.chmod(0o644)
    host.dkms.key.unlink()
    assert f"chmod 600 {host.ours.key}; see" in host.signer.advice(host.module)
    host.ours.key.unlink()
    assert "no key is here to sign it with: stapwatch key create, stapwatch key enroll, and" in (
        host.signer.advice(host.module)
    )


def test_advice_about_a_builders_module(host: Host) -> None:
    host.module.write_bytes(signed(MODULE, new_pair(host.folder / "builder", "the builder")))
    assert host.signer.advice(host.module) == (
        "the kernel is locked down (integrity), and does not trust the module's signature by "
        "'the builder': stapwatch key enroll --cert CERTIFICATE, and reboot"
    )
