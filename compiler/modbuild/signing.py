# SPDX-License-Identifier: GPL-2.0-or-later
"""Signing a finished module with the operator's key, for kernels that load signed modules only.

    sign(Path("reads.ko"), SigningKey(Path("mok.priv"), Path("mok.der")), headers, toolchain)

The kernel's own tool appends the signature; any later change of the file invalidates it.
"""

from __future__ import annotations

from pathlib import Path

from compiler.modbuild.errors import BuildError
from compiler.modbuild.toolchain import Headers, Toolchain, first_complaint
from runtime.support.record import record

MARK = b"~Module signature appended~\n"


@record
class SigningKey:
    """`key`: the private key, PEM. `certificate`: X.509, trusted by the kernel, PEM or DER."""

    key: Path
    certificate: Path


def sign(module: Path, key: SigningKey, headers: Headers, toolchain: Toolchain) -> None:
    """Append a signature in place. Raises BuildError ("sign-failed")."""
    algorithm = headers.option("CONFIG_MODULE_SIG_HASH") or "sha256"
    try:
        files = [toolchain.path(path) for path in (key.key, key.certificate, module)]
    except ValueError as error:
        raise BuildError("sign-failed", str(error)) from error
    argv = [f"{headers.seen}/scripts/sign-file", algorithm, *files]
    ran = toolchain.run(argv, folder="/")
    if ran.status != 0 or not module.read_bytes().endswith(MARK):
        message = f"cannot sign {module.name}: {first_complaint(ran.output)}"
        raise BuildError("sign-failed", message, f"is {key.key} a private key in PEM form?")
