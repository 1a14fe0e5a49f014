# SPDX-License-Identifier: GPL-2.0-or-later
"""Signs modules that are about to be loaded, on kernels that load signed ones only.

    signer = Signer()
    signer.image(Path("sw_vfs_1a2b3c4d.ko"))   -> the signed bytes; None if the file is to be loaded as it is
    signer.advice(path)   -> "no key is here to sign it with; stapwatch key create, stapwatch key enroll, ..."

Nothing is read and no program runs unless the kernel wants a signature and the module has none.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from agent.config.settings import MAIN_FILE
from agent.signing.errors import SigningError
from runtime.reader import signature_policy
from runtime.support.record import record

# What signs is imported where it is needed: every agent has a signer, and few sign.
if TYPE_CHECKING:
    from agent.signing.certificates import Certificate
    from agent.signing.key_files import KeyPair

CREATE = "stapwatch key create, stapwatch key enroll, and reboot"
_MANUAL = "see stapwatch-key(1)"


@record
class Choice:
    """`pair`: a key that this kernel trusts, as far as it can be told; None: `why` not."""

    pair: KeyPair | None
    why: str = ""


class Signer:
    """`config`: None for the default main file. One signer serves several threads."""

    def __init__(self, config: Path | None = None) -> None:
        self._main = config or MAIN_FILE
        self._chosen: tuple[object, Choice] | None = None  # and what it was chosen from

    def image(self, path: Path) -> bytes | None:
        """Raises SigningError, and OSError for a module that cannot be read."""
        if not signature_policy.policy().wants_signatures:
            return None
        data = path.read_bytes()
        if signature_policy.is_signed(data):
            return None
        choice = self.choice()
        if choice.pair is None:
            return None  # the kernel says no, and `advice` what to do
        from agent.signing import module_signature
        from compiler.kernel.kernel import Kernel

        algorithm = module_signature.hash_algorithm(Kernel.running())
        return module_signature.signed(data, choice.pair, algorithm)

    def advice(self, path: Path) -> str:
        """What to do about a module that the kernel has refused; "" if signatures are not the matter."""
        why = signature_policy.policy().wants_signatures
        if not why:
            return ""
        try:
            data = path.read_bytes()
        except OSError:
            return ""
        if signature_policy.is_signed(data):
            from agent.signing import module_signature

            name = module_signature.signer(data)
            who = f"'{name}'" if name else "somebody"
            return (
                f"{why}, and does not trust the module's signature by {who}: "
                "stapwatch key enroll --cert CERTIFICATE, and reboot"
            )
        return f"{why}, and the module is not signed: {self.choice().why}; {_MANUAL}"

    def choice(self) -> Choice:
        """The first key that may be used and that the kernel trusts."""
        from agent.signing import key_files
        from compiler.support import derived_cache

        configured = configured_key(self._main)
        pairs = key_files.candidates(configured)
        files = derived_cache.signatures(str(f) for p in pairs for f in (p.key, p.certificate))
        seen = files, [pair.refusal() for pair in pairs]  # a change of the mode is none of the file
        if self._chosen is None or self._chosen[0] != seen:
            self._chosen = seen, _choice(pairs)
        return self._chosen[1]


def configured_key(main: Path = MAIN_FILE) -> KeyPair | None:
    """Of a configuration that cannot be read, none."""
    from agent.config import drop_ins

    if not main.exists() and not drop_ins.files(main, []):
        return None
    from agent.config import load
    from agent.signing.key_files import KeyPair

    try:
        signing = load.load(main).signing
    except load.ConfigError:
        return None
    if signing.key is None or signing.certificate is None:
        return None
    return KeyPair(signing.key, signing.certificate, "configured")


def _choice(pairs: list[KeyPair]) -> Choice:
    from agent.signing import kernel_trust

    problems = []
    for pair in pairs:
        if why := pair.refusal():
            problems.append(why)
            continue
        try:
            certificate = pair.read_certificate()
        except SigningError as error:
            problems.append(str(error))
            continue
        if kernel_trust.trusted_in(certificate.key_id) != "":
            return Choice(pair)
        problems.append(not_enrolled(pair, certificate))
    return Choice(None, "; ".join(problems) or f"no key is here to sign it with: {CREATE}")


def not_enrolled(pair: KeyPair, certificate: Certificate) -> str:
    """`certificate`: of the pair, which no keyring of the kernel has."""
    return f"the key {pair.key} ('{certificate.name}') is not enrolled: {pair.enroll_command}, and reboot"
