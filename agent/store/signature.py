# SPDX-License-Identifier: GPL-2.0-or-later
"""Signatures of catalogues, made and verified by OpenSSH's ssh-keygen.

    sign(data, Path("~/.ssh/id_ed25519"))                    -> b"-----BEGIN SSH SIGNATURE-----..."
    verify(data, signature, ["ssh-ed25519 AAAA... builder"])   # SignatureError says what is wrong

The namespace is part of what is signed: a signature of a mail or of a commit by the same key is none of a
catalogue. docs/decisions.md says why it is ssh-keygen.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from agent.store.refusals import Refusal, RefusedError

NAMESPACE = "stapwatch-modules"
LARGEST = 16 << 10  # bytes of a signature
_SIGNER = "stapwatch"  # what ssh-keygen calls an identity: all keys are trusted for the same thing
_SECONDS = 60
_GOOD = re.compile(r"signature with (.+)")


class SignatureError(RefusedError):
    """There is no signature that a trusted key has made; the text says why. `hint`: what to do."""

    reason = Refusal.SIGNATURE

    def __init__(self, text: str, hint: str = "") -> None:
        super().__init__(f"{text}; {hint}" if hint else text)


def sign(data: bytes, key: Path) -> bytes:
    """`key`: a private key, or a public one whose private one ssh-agent has. Raises SignatureError."""
    done = _run(["-Y", "sign", "-f", str(key), "-n", NAMESPACE], data, seconds=None)
    if done.returncode != 0 or not done.stdout.startswith(b"-----BEGIN SSH SIGNATURE-----"):
        raise SignatureError(f"cannot sign with {key}: {_said(done)}")
    return done.stdout


def verify(data: bytes, signature: bytes, keys: Sequence[str]) -> None:
    """`keys`: trusted public keys, as in a .pub file. Raises SignatureError."""
    if not keys:
        raise SignatureError("no key is trusted", "write the builder's public key to module_keys")
    with tempfile.TemporaryDirectory(prefix="stapwatch-") as name:
        signers, made = Path(name, "signers"), Path(name, "signature")
        signers.write_text("".join(map(_signer, keys)))
        made.write_bytes(signature)
        argv = ["-Y", "verify", "-f", str(signers), "-I", _SIGNER, "-n", NAMESPACE]
        if _run([*argv, "-s", str(made)], data).returncode != 0:
            raise SignatureError(*_refusal(data, made))


def _signer(key: str) -> str:
    """A line of an allowed_signers file; the key's comment is left out, and no option can come from it."""
    return f'{_SIGNER} namespaces="{NAMESPACE}" {" ".join(key.split()[:2])}\n'


def _refusal(data: bytes, made: Path) -> tuple[str, str]:
    """Whether the bytes or the key are wrong."""
    argv = ["-Y", "check-novalidate", "-n", NAMESPACE, "-s", str(made)]
    done = _run(argv, data)
    good = _GOOD.search(done.stdout.decode(errors="replace"))
    if done.returncode == 0 and good:
        hint = "if that is the builder's, write its public key to module_keys"
        return f"it is signed by {good[1].strip()}, which is none of module_keys", hint
    return f"its signature does not fit what it signs: {_said(done)}", ""


def _run(
    argv: Sequence[str], data: bytes, seconds: float | None = _SECONDS
) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            ["ssh-keygen", *argv], input=data, capture_output=True, timeout=seconds, check=False
        )
    except FileNotFoundError:
        hint = "apt install openssh-client"
        raise SignatureError("signatures need ssh-keygen, which is not installed", hint) from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SignatureError(f"ssh-keygen does not answer: {error}") from error


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    lines = (done.stderr or done.stdout).decode(errors="replace").split("\n")
    return next((line.strip() for line in lines if line.strip()), f"status {done.returncode}")
