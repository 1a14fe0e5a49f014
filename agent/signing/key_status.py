# SPDX-License-Identifier: GPL-2.0-or-later
"""The output of `stapwatch key status`: what this kernel wants, which keys are here, and what to do next.

gathered(None)  -> KeyStatus(policy=SignaturePolicy(...), keys=(KeyState(...),))
text(gathered(None))   -> "Secure Boot  on\\nlockdown     integrity\\n..."
"""

from __future__ import annotations

from pathlib import Path

from agent.signing import kernel_trust, key_files, mok
from agent.signing.certificates import Certificate
from agent.signing.errors import SigningError
from agent.signing.key_files import KeyPair
from agent.signing.mok import Enrolment
from agent.signing.signer import CREATE, configured_key
from runtime.reader import signature_policy
from runtime.reader.signature_policy import SignaturePolicy
from runtime.support.record import record

_WIDTH = 13  # of the first column


@record
class KeyState:
    """`certificate`: None if `problem` says why the key cannot be used. `ring`: the kernel's keyring that
    has it, "" for none, None if that cannot be told. `enrolment`: what shim knows."""

    pair: KeyPair
    certificate: Certificate | None
    problem: str = ""
    ring: str | None = None
    enrolment: Enrolment = Enrolment.UNKNOWN

    @property
    def is_trusted(self) -> bool:
        return not self.problem and bool(self.ring)


@record
class KeyStatus:
    policy: SignaturePolicy
    keys: tuple[KeyState, ...]

    @property
    def trusted(self) -> KeyState | None:
        """The key that signs, if the kernel trusts one."""
        return next((key for key in self.keys if key.is_trusted), None)

    @property
    def is_ready(self) -> bool:
        """Whether modules that are compiled here load."""
        return not self.policy.wants_signatures or self.trusted is not None


def gathered(main: Path) -> KeyStatus:
    """`main`: the configuration's main file."""
    pairs = key_files.candidates(configured_key(main))
    return KeyStatus(signature_policy.policy(), tuple(map(_state, pairs)))


def _state(pair: KeyPair) -> KeyState:
    why = pair.refusal()
    try:
        certificate = pair.read_certificate()
    except SigningError as error:
        return KeyState(pair, None, why or str(error))
    ring = kernel_trust.trusted_in(certificate.key_id)
    return KeyState(pair, certificate, why, ring, mok.enrolment(certificate))


def text(status: KeyStatus) -> str:
    policy = status.policy
    secure = {True: "on", False: "off", None: "not known (no UEFI)"}[policy.secure_boot]
    rows = [
        ("Secure Boot", secure),
        ("lockdown", policy.lockdown or "this kernel has none"),
        ("sig_enforce", "yes" if policy.enforced else "no"),
        (
            "signatures",
            f"needed: {policy.wants_signatures}" if policy.wants_signatures else "not needed",
        ),
    ]
    for key in status.keys:
        rows += [("key", f"{key.pair.key} ({key.pair.origin})"), ("", _described(key))]
    if not status.keys:
        rows.append(("key", "none"))
    rows.append(("next", _next(status)))
    return "\n".join(f"{name:{_WIDTH}}{value}" for name, value in rows)


def _described(key: KeyState) -> str:
    if key.certificate is None:
        return key.problem
    parts = [f"'{key.certificate.name}', until {key.certificate.ends}"]
    if key.problem:
        parts.append(f"not used: {key.problem}")
    if key.ring:
        parts.append(f"the kernel trusts it (keyring {key.ring})")
    elif key.enrolment is Enrolment.PENDING:
        parts.append("waits for a person at the console to confirm it in the next boot")
    elif key.enrolment is Enrolment.ENROLLED:
        parts.append("shim trusts it, and the kernel will from the next boot on")
    elif key.ring is None:
        parts.append("whether the kernel trusts it, only root can see")
    else:
        parts.append("not enrolled")
    return "; ".join(parts)


def _next(status: KeyStatus) -> str:
    """One sentence."""
    if not status.policy.wants_signatures:
        if status.policy.secure_boot:
            return "nothing: this kernel loads modules without a signature"
        return (
            "nothing; before Secure Boot is switched on: stapwatch key create, stapwatch key enroll"
        )
    if status.trusted is not None:
        return f"nothing: modules that are compiled here are signed with {status.trusted.pair.key}"
    usable = [key for key in status.keys if not key.problem]
    waiting = [k for k in usable if k.enrolment in (Enrolment.PENDING, Enrolment.ENROLLED)]
    if waiting:
        return "reboot; at the console, in MokManager: Enroll MOK, Continue, Yes, the password"
    if usable:
        return f"{usable[0].pair.enroll_command}, and reboot"
    if status.keys:
        return status.keys[0].problem
    return f"{CREATE}; or signed modules from a store"
