# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads the certificate of a key that signs modules.

read(Path("/etc/stapwatch/mok.pub"))
-> Certificate(name="stapwatch modules of web1", key_id="6ccece7e...", ends="Nov 30 22:30:00 2126 GMT", ...)
"""

from __future__ import annotations

import re
from pathlib import Path

from agent.signing import openssl
from agent.signing.errors import SigningError
from runtime.support import bounded_file
from runtime.support.record import record

_PEM = b"-----BEGIN CERTIFICATE-----"
# extended key usage "kernel modules only" (Linux): shim refuses such a key for whatever else boots
MODULES_ONLY = "1.3.6.1.4.1.2312.16.1.2"


@record
class Certificate:
    """`key_id`: the subject key identifier in hex, by which the kernel lists the key; the serial if it has
    none. `der`: the certificate, as mokutil and the kernel want it. `modules_only`: shim trusts it for
    modules and for nothing that boots."""

    path: Path
    name: str
    key_id: str
    ends: str
    modules_only: bool
    der: bytes


def read(path: Path) -> Certificate:
    """PEM or DER. Raises SigningError."""
    try:
        data = bounded_file.read(path)
    except OSError as error:
        raise SigningError(f"cannot read the certificate {path}: {error.strerror}") from error
    form = "PEM" if _PEM in data else "DER"
    shown = ["-noout", "-subject", "-serial", "-enddate", "-nameopt", "sep_multiline,utf8"]
    more = ["-ext", "subjectKeyIdentifier,extendedKeyUsage"]
    try:
        text = openssl.output(["x509", "-inform", form, *shown, *more], data).decode(
            errors="replace"
        )
        der = openssl.output(["x509", "-inform", form, "-outform", "DER"], data)
    except SigningError as error:
        raise SigningError(f"{path} is no X.509 certificate: {error}") from error
    return Certificate(
        path,
        _found(r"^\s+CN=(.+)$", text) or _found(r"^\s+O=(.+)$", text) or path.name,
        _key_id(text),
        _found(r"^notAfter=(.+)$", text),
        MODULES_ONLY in text,
        der,
    )


def _key_id(text: str) -> str:
    identifier = _found(r"Subject Key Identifier:\s*\n\s*([0-9A-F:]+)", text)
    return (identifier or _found(r"^serial=([0-9A-F]+)$", text)).replace(":", "").lower()


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text, re.MULTILINE)
    return match[1].strip() if match else ""
