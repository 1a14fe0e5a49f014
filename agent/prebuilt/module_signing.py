# SPDX-License-Identifier: GPL-2.0-or-later
"""Signs modules that were built, for kernels that load signed ones only.

    signed(data, ModuleKey(Path("mok.priv"), Path("mok.der")), kernel, cache)  -> the signed module

The kernel's own tool does it (compiler/modbuild/signing.py), that of the headers that the module was built
with.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from agent.prebuilt.kernels import BuildKernel
from compiler.kernel.kernel import Kernel
from compiler.modbuild.signing import SigningKey, sign
from compiler.modbuild.toolchain import ChrootToolchain, Headers, HostToolchain, Toolchain
from compiler.support.content_store import Cache
from runtime.support.record import record


@record
class ModuleKey:
    """`key`: the private key, PEM. `certificate`: X.509, which the hosts' kernels trust."""

    key: Path
    certificate: Path

    @property
    def fingerprint(self) -> str:
        """Which certificate it is: a module signed with another one is another file."""
        return hashlib.sha256(self.certificate.read_bytes()).hexdigest()[:16]


def signed(data: bytes, key: ModuleKey, kernel: BuildKernel, folder: Path) -> bytes:
    """Raises BuildError."""
    cache = Cache(folder)
    toolchain: Toolchain = HostToolchain()
    if kernel.root != Path("/"):
        toolchain = ChrootToolchain(kernel.root, cache.root)
    known = Kernel.from_root(kernel.root, kernel.release)
    # the tool may run in the kernel's root folder, and sees nothing else of this machine
    with cache.workplace() as work:
        module = work / "module.ko"
        module.write_bytes(data)
        copies = [Path(shutil.copy(path, work / name)) for path, name in _files(key)]
        sign(module, SigningKey(*copies), Headers.of(known, toolchain), toolchain)
        return module.read_bytes()


def _files(key: ModuleKey) -> tuple[tuple[Path, str], ...]:
    return (key.key, "key.pem"), (key.certificate, "certificate")
