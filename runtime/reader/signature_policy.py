# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether the running kernel loads signed modules only, and what made it so.

policy()  -> SignaturePolicy(secure_boot=True, lockdown="integrity", enforced=False)
policy().wants_signatures  -> "the kernel is locked down (integrity)", or ""
is_signed(data)            -> True
"""

from pathlib import Path
from typing import Final

from runtime.support.record import record

# what ends a signed module: the signature, struct module_signature, and this
MARK: Final = b"~Module signature appended~\n"
_SECURE_BOOT: Final = "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
_ATTRIBUTES: Final = 4  # bytes in front of an EFI variable's value


@record
class SignaturePolicy:
    """`secure_boot`: None where there is no UEFI, or where its variables are not mounted. `lockdown`: "" for
    a kernel without it, else none, integrity or confidentiality. `enforced`: module.sig_enforce."""

    secure_boot: bool | None
    lockdown: str
    enforced: bool

    @property
    def wants_signatures(self) -> str:
        """Why only signed modules load, or ""."""
        if self.lockdown not in ("", "none"):
            return f"the kernel is locked down ({self.lockdown})"
        return "the kernel enforces signatures (module.sig_enforce)" if self.enforced else ""


def policy(root: Path = Path("/")) -> SignaturePolicy:
    """`root`: the folder that contains sys."""
    lockdown = _read(root / "sys/kernel/security/lockdown").decode(errors="replace")
    enforced = _read(root / "sys/module/module/parameters/sig_enforce").strip() == b"Y"
    variable = _read(root / _SECURE_BOOT)
    secure = variable[_ATTRIBUTES] == 1 if len(variable) > _ATTRIBUTES else None
    return SignaturePolicy(secure, lockdown.partition("[")[2].partition("]")[0], enforced)


def is_signed(data: bytes) -> bool:
    """Whether a module has a signature; whose it is, and whether it is right, is for the kernel to say."""
    return data.endswith(MARK)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
