# SPDX-License-Identifier: GPL-2.0-or-later
"""Keys that are made and found: what a certificate says, and which keys are no good."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from agent.signing import certificates, key_files
from agent.signing.errors import SigningError
from agent.signing.key_files import KeyPair
from tests import PROJECT
from tests.agent.signing.keys import new_pair

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="keys are root's")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def ours(folder: Path) -> KeyPair:
    return KeyPair(folder / "etc/mok.key", folder / "etc/mok.pub", "stapwatch")


def test_a_new_key(ours: KeyPair) -> None:
    name = 'modules of "wéb1" $HOME \\ # 1'
    assert key_files.create(name, ours) is ours and ours.refusal() == ""
    assert stat.S_IMODE(ours.key.stat().st_mode) == 0o600
    found = ours.read_certificate()
    assert found.name == name and found.modules_only and len(found.key_id) == 40
    argv = ["openssl", "x509", "-in", str(ours.certificate), "-inform", "DER", "-noout", "-text"]
    text = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    for words in ("CA:FALSE", "Code Signing, 1.3.6.1.4.1.2312.16.1.2", "Digital Signature"):
        assert words in text
    assert f"X509v3 Subject Key Identifier: \n                {_pairs(found.key_id)}" in text


def test_nothing_is_replaced(ours: KeyPair) -> None:
    key_files.create("one", ours)
    before = ours.key.read_bytes(), ours.certificate.read_bytes()
    with pytest.raises(SigningError, match="is there already"):
        key_files.create("two", ours)
    ours.key.unlink()
    with pytest.raises(SigningError, match=r"mok\.pub is there already"):
        key_files.create("two", ours)
    assert not ours.key.exists() and ours.certificate.read_bytes() == before[1]


def test_a_key_that_others_can_read(folder: Path) -> None:
    pair = new_pair(folder / "dkms", "tester", "DER")
    assert pair.refusal() == ""
    pair.key.chmod(0o640)
    assert pair.refusal() == f"{pair.key} may be read by others than root; chmod 600 {pair.key}"
    pair.key.chmod(0o600)
    pair.certificate.chmod(0o666)
    assert "may be written by its group" in pair.refusal()
    pair.certificate.chmod(0o644)
    os.chown(pair.key, 1234, 0)
    assert str(pair.key) in pair.refusal()
    pair.key.unlink()
    assert "mok.key" in pair.refusal()


def test_certificates_of_others(folder: Path) -> None:
    """PEM and DER, with and without an identifier of the key's, with the use and without."""
    plain = new_pair(folder / "a", "DKMS module signing key", "DER").read_certificate()
    assert plain.name == "DKMS module signing key" and not plain.modules_only
    bare = new_pair(folder / "b", "x", "PEM", "-addext", "subjectKeyIdentifier=none")
    serial = bare.read_certificate().key_id
    assert bare.read_certificate().der[:1] == b"\x30"
    assert serial and serial == _serial(bare.certificate)
    (folder / "c").write_text("no certificate")
    with pytest.raises(SigningError, match=r"is no X\.509 certificate"):
        certificates.read(folder / "c")
    with pytest.raises(SigningError, match="cannot read the certificate"):
        certificates.read(folder / "none")


def test_which_keys_are_here(folder: Path, ours: KeyPair, monkeypatch: pytest.MonkeyPatch) -> None:
    dkms = new_pair(folder / "dkms")
    shim = KeyPair(folder / "shim/MOK.priv", folder / "shim/MOK.der", "shim")
    monkeypatch.setattr(key_files, "OURS", ours)
    monkeypatch.setattr(key_files, "OTHERS", (dkms, shim))
    assert key_files.candidates(None) == [dkms]
    key_files.create("ours", ours)
    assert key_files.candidates(None) == [ours, dkms]
    assert key_files.candidates(shim) == [shim]


def test_a_folder_that_one_may_not_enter(folder: Path) -> None:
    """`stapwatch key status` is for everybody; shim's folder is root's."""
    new_pair(folder / "mok")
    (folder / "mok").chmod(0o700)
    code = (
        "import os; from pathlib import Path; from agent.signing.key_files import KeyPair; os.setuid(65534); "
        f"print(KeyPair(Path('{folder}/mok/mok.key'), Path('{folder}/mok/mok.pub')).exists)"
    )
    argv = [sys.executable, "-c", code]
    done = subprocess.run(argv, check=True, capture_output=True, text=True, cwd=PROJECT)
    assert done.stdout == "False\n"


def _pairs(identifier: str) -> str:
    return ":".join(identifier[at : at + 2].upper() for at in range(0, len(identifier), 2))


def _serial(certificate: Path) -> str:
    argv = ["openssl", "x509", "-in", str(certificate), "-noout", "-serial"]
    text = subprocess.run(argv, check=True, capture_output=True).stdout.decode()
    return text.strip().removeprefix("serial=").lower()
