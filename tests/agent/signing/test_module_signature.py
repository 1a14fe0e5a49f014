# SPDX-License-Identifier: GPL-2.0-or-later
"""Signatures are the same, byte by byte, as those of the kernel's own tool."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from agent.signing.errors import SigningError
from agent.signing.key_files import KeyPair
from agent.signing.module_signature import hash_algorithm, signed, signer
from compiler.kernel.kernel import Kernel
from lab import Image
from runtime.reader.signature_policy import MARK, is_signed
from runtime.support.record import replace
from tests.agent.signing.keys import new_pair

MODULE = b"\x7fELF what a module is made of" + bytes(range(256)) * 400


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> KeyPair:
    return new_pair(tmp_path_factory.mktemp("pem"), "tester")


@pytest.mark.host
@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("form", ["PEM", "DER"])
def test_as_the_kernels_tool_signs(tmp_path: Path, form: str, algorithm: str) -> None:
    pair = new_pair(tmp_path, "tester", form)
    (tmp_path / "x.ko").write_bytes(MODULE)
    [tool] = {p.resolve() for p in Path("/usr/lib").glob("linux-kbuild-6.1*/scripts/sign-file")}
    argv: list[str | Path] = [tool, algorithm, pair.key, pair.certificate, tmp_path / "x.ko"]
    subprocess.run(argv, check=True, capture_output=True, timeout=60)
    made = signed(MODULE, pair, algorithm)
    assert made == (tmp_path / "x.ko").read_bytes()
    assert is_signed(made) and not is_signed(MODULE)
    assert signer(made) == "tester" and signer(MODULE) == ""


def test_the_signature_verifies(pair: KeyPair, tmp_path: Path) -> None:
    """Only with the module's own bytes."""
    made = signed(MODULE, pair)
    size = int.from_bytes(made[: -len(MARK)][-4:], "big")
    (tmp_path / "signature").write_bytes(made[len(MODULE) :][:size])
    assert len(made) == len(MODULE) + size + 12 + len(MARK)
    verify = (
        "openssl cms -verify -binary -inform DER -noverify -nosmimecap -nointern -out /dev/null"
    )
    files: list[str | Path] = [
        "-in",
        tmp_path / "signature",
        "-certfile",
        pair.certificate,
        "-content",
    ]
    for content, status in ((MODULE, 0), (MODULE + b"x", 4)):
        (tmp_path / "content").write_bytes(content)
        argv: list[str | Path] = [*verify.split(), *files, tmp_path / "content"]
        assert subprocess.run(argv, capture_output=True, timeout=60).returncode == status


def test_a_wrong_key(pair: KeyPair, tmp_path: Path) -> None:
    (tmp_path / "mok.key").write_text("no key at all")
    with pytest.raises(SigningError, match=f"cannot sign with {tmp_path}/mok.key: "):
        signed(MODULE, replace(pair, key=tmp_path / "mok.key"))
    other = new_pair(tmp_path / "other")
    with pytest.raises(SigningError, match="cannot sign with"):
        signed(MODULE, replace(pair, key=other.key))


def test_without_openssl(pair: KeyPair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(SigningError, match="apt install openssl"):
        signed(MODULE, pair)


@pytest.mark.host
def test_the_digest_is_the_kernels(tmp_path: Path) -> None:
    image = Image.ensure()
    assert hash_algorithm(Kernel.from_root(image.rootfs, image.release)) == "sha256"
    release = "6.9"
    (tmp_path / "boot").mkdir()
    (tmp_path / f"lib/modules/{release}").mkdir(parents=True)
    (tmp_path / f"boot/vmlinuz-{release}").write_text("")
    kernel = Kernel.from_root(tmp_path, release)
    assert hash_algorithm(kernel) == "sha256"
    (tmp_path / f"boot/config-{release}").write_text('CONFIG_MODULE_SIG_HASH="sha512"\n')
    assert hash_algorithm(kernel) == "sha512"
