# SPDX-License-Identifier: GPL-2.0-or-later
"""Where keys for modules are: the configured one, ours, and those that DKMS and shim have made.

    candidates(None)  -> [KeyPair(Path("/var/lib/dkms/mok.key"), Path("/var/lib/dkms/mok.pub"), "DKMS")]
    create("stapwatch modules of web1")   -> KeyPair(OURS.key, OURS.certificate, "stapwatch")

A key that others than root can read or replace is no key: with it everybody could sign code for the kernel.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from agent.config import file_trust
from agent.signing import certificates, openssl
from agent.signing.certificates import MODULES_ONLY, Certificate
from agent.signing.errors import SigningError
from runtime.support.record import record

_DAYS = 36500
_ROOT = frozenset({0})
_REQUEST = """\
[req]
distinguished_name = name
x509_extensions = use
prompt = no
string_mask = utf8only
utf8 = yes
[name]
CN = {name}
[use]
basicConstraints = critical,CA:FALSE
keyUsage = digitalSignature
extendedKeyUsage = codeSigning,{modules_only}
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""


@record
class KeyPair:
    """`key`: the private one, PEM. `certificate`: X.509, PEM or DER. `origin`: who has made it, in a word."""

    key: Path
    certificate: Path
    origin: str = ""

    def read_certificate(self) -> Certificate:
        """Raises SigningError."""
        return certificates.read(self.certificate)

    @property
    def exists(self) -> bool:
        """False as well for a user who may not look."""
        return os.path.exists(self.key) and os.path.exists(self.certificate)  # noqa: PTH110

    @property
    def enroll_command(self) -> str:
        """What to type to enrol it."""
        is_first = self.origin in ("stapwatch", "configured")  # the one without --cert
        return "stapwatch key enroll" + ("" if is_first else f" --cert {self.certificate}")

    def refusal(self) -> str:
        """Why the key is not used, and what to type; "" if nothing is wrong with it."""
        if why := file_trust.refusal(self.key, _ROOT):
            return why
        try:
            mode = self.key.stat().st_mode
        except OSError as error:
            return f"{self.key} cannot be read: {(error.strerror or str(error)).lower()}"
        if stat.S_IMODE(mode) & 0o077:
            return f"{self.key} may be read by others than root; chmod 600 {self.key}"
        if why := file_trust.refusal(self.certificate, _ROOT):
            return why
        return ""


OURS = KeyPair(Path("/etc/stapwatch/mok.key"), Path("/etc/stapwatch/mok.pub"), "stapwatch")
OTHERS = (
    KeyPair(Path("/var/lib/dkms/mok.key"), Path("/var/lib/dkms/mok.pub"), "DKMS"),
    KeyPair(
        Path("/var/lib/shim-signed/mok/MOK.priv"), Path("/var/lib/shim-signed/mok/MOK.der"), "shim"
    ),
)


def candidates(configured: KeyPair | None) -> list[KeyPair]:
    """The keys that are there, in the order in which they are preferred. A configured one is the only one."""
    if configured is not None:
        return [configured]
    return [pair for pair in (OURS, *OTHERS) if pair.exists]


def create(name: str, pair: KeyPair | None = None) -> KeyPair:
    """Make a key and its certificate, in our files by default. What exists is never replaced: a kernel may
    trust it. Raises SigningError."""
    pair = pair or OURS
    for path in (pair.key, pair.certificate):
        if path.exists() or path.is_symlink():
            raise SigningError(f"{path} is there already; stapwatch key status says what it is")
    request = _REQUEST.format(name=_escaped(name), modules_only=MODULES_ONLY)
    key = openssl.output(["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"])
    _write(pair.key, key, 0o600)
    try:
        argv = ["req", "-new", "-x509", "-sha256", "-days", str(_DAYS), "-config", "/dev/stdin"]
        made = openssl.output([*argv, "-key", str(pair.key), "-outform", "DER"], request.encode())
        _write(pair.certificate, made, 0o644)
    except BaseException:
        pair.key.unlink()
        raise
    return pair


def _escaped(name: str) -> str:
    """A value of openssl's configuration file."""
    return "".join(f"\\{letter}" if letter in "\\$\"'#" else letter for letter in name)


def _write(path: Path, data: bytes, mode: int) -> None:
    """Write a new file, which nobody else could open in between. Raises SigningError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            file.write(data)
            file.flush()
            os.fsync(descriptor)
    except OSError as error:
        raise SigningError(
            f"cannot write {path}: {(error.strerror or str(error)).lower()}"
        ) from error
