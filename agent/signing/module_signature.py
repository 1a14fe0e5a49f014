# SPDX-License-Identifier: GPL-2.0-or-later
"""Appends a signature to a module, as the kernel's scripts/sign-file does; it needs no kernel headers.

    signed(data, KeyPair(Path("mok.key"), Path("mok.pub")), "sha256")   -> data + signature
    signer(data)                                                        -> "stapwatch modules of web1"

What is appended: a detached PKCS#7 signature of everything before it, 12 bytes of struct module_signature
(include/linux/module_signature.h), and a mark. With RSA the same module and key give the same bytes.
"""

from __future__ import annotations

import os
import re
import struct

from agent.signing import openssl
from agent.signing.errors import SigningError
from agent.signing.key_files import KeyPair
from compiler.kernel.errors import KernelFactError
from compiler.kernel.kernel import Kernel
from runtime.reader.signature_policy import MARK

_PKCS7 = 2  # enum pkey_id_type
# of struct module_signature, all but the type and the size are 0
_TRAILER = struct.Struct(">2xB5xI")
_DEFAULT = "sha256"


def signed(data: bytes, pair: KeyPair, algorithm: str = _DEFAULT) -> bytes:
    """`algorithm`: a digest that the kernel has. Raises SigningError."""
    argv = ["cms", "-sign", "-binary", "-noattr", "-nocerts", "-nosmimecap", "-outform", "DER"]
    # the certificate goes through a pipe, as PEM: older releases of openssl read no DER there
    pem = openssl.output(["x509", "-inform", "DER"], pair.read_certificate().der)
    reader, writer = os.pipe()
    try:
        os.write(writer, pem)  # it fits into a pipe
        os.close(writer)
        argv += ["-md", algorithm, "-signer", f"/dev/fd/{reader}", "-inkey", str(pair.key)]
        made = openssl.output(argv, data, (reader,))
    except SigningError as error:
        raise SigningError(f"cannot sign with {pair.key}: {error}") from error
    finally:
        os.close(reader)
    return data + made + _TRAILER.pack(_PKCS7, len(made)) + MARK


def signer(data: bytes) -> str:
    """The name in the certificate of a module's signer, or "" if it cannot be told."""
    if not data.endswith(MARK):
        return ""
    end = len(data) - len(MARK) - _TRAILER.size
    _, size = _TRAILER.unpack_from(data, end)
    try:
        shown = openssl.output(
            ["cms", "-cmsout", "-print", "-inform", "DER", "-noout"], data[end - size : end]
        ).decode(errors="replace")
    except SigningError:
        return ""
    found = re.search(r"issuer:.*?\bCN ?= ?([^\n,/]+)", shown)
    return found[1].strip() if found else ""


def hash_algorithm(kernel: Kernel) -> str:
    """The digest that a kernel's own modules are signed with; it has that one for sure."""
    try:
        return kernel.config.get("CONFIG_MODULE_SIG_HASH") or _DEFAULT
    except KernelFactError:
        return _DEFAULT
