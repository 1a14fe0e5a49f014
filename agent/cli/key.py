# SPDX-License-Identifier: GPL-2.0-or-later
"""`stapwatch key create|enroll|status`: the key that signs modules for kernels that want signatures."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from agent.cli.command import Parser, Subparsers, UsageError, add_command
from agent.config.settings import MAIN_FILE
from runtime.support.record import record

USAGE_STATUS = 2
_ACTIONS = ("create", "enroll", "status")
_ABOUT = """\
Sign modules for a kernel that loads signed ones only, because of Secure Boot, lockdown or
module.sig_enforce.

create makes a private key and a certificate that serves for modules and for nothing that
boots: /etc/stapwatch/mok.key, which only root can read, and /etc/stapwatch/mok.pub. Where
the kernel trusts a key that is here, it makes another one only with --name.

enroll registers a certificate with shim, by mokutil, which asks for a password. At the next
boot shim starts MokManager, where a person at the console enters the password again: Enroll
MOK, Continue, Yes. From then on the kernel trusts the key.

status shows what the kernel wants, which keys are here, whether it trusts them, and what to
do next. Keys that DKMS (/var/lib/dkms) or shim (/var/lib/shim-signed/mok) have made serve
as well; the first one that the kernel trusts signs.

exit status:
  0  done; for status, modules that are compiled here can be loaded
  1  it failed; for status, something is to be done first
  2  the command line is wrong
"""
_EXAMPLES = (
    ("does this kernel want signatures, and is a key here?", "stapwatch key status"),
    ("make a key", "stapwatch key create"),
    ("enrol it; then reboot", "stapwatch key enroll"),
    ("enrol the key that DKMS has made", "stapwatch key enroll --cert /var/lib/dkms/mok.pub"),
    (
        "enrol a fleet's certificate; its builder has the key",
        "stapwatch key enroll --cert fleet.der",
    ),
)


@record
class KeyOptions:
    """`name`: in the certificate; "" for one with this host's name. `certificate`: None for the first key
    that is here. `hash_file`: None to be asked for a password. `config`: None for the default file."""

    action: str
    name: str
    certificate: Path | None
    hash_file: Path | None
    config: Path | None


def add_parser(subparsers: Subparsers) -> Parser:
    command = add_command(
        subparsers, "key", "make, enrol and show the key that signs modules", _ABOUT, _EXAMPLES
    )
    add = command.add_argument
    add("action", choices=_ACTIONS, help="what to do")
    add("--name", default="", metavar="NAME", help="create: the name in the certificate")
    add("--cert", type=Path, metavar="CERT", help="enroll: another certificate, PEM or DER")
    add(
        "--hash-file",
        type=Path,
        metavar="FILE",
        help="enroll: the password's hash, of mokutil --generate-hash; nobody is asked then",
    )
    add("--config", type=Path, metavar="FILE", help=f"default: {MAIN_FILE}")
    return command


def parse(given: argparse.Namespace) -> KeyOptions:
    """Raises UsageError."""
    only = {"name": "create", "cert": "enroll", "hash_file": "enroll"}
    for option, action in only.items():
        if getattr(given, option) and given.action != action:
            raise UsageError(f"--{option.replace('_', '-')} belongs to key {action}")
    if "\n" in given.name:
        raise UsageError("--name must be text")
    return KeyOptions(given.action, given.name, given.cert, given.hash_file, given.config)


def run(options: KeyOptions) -> int:
    """0 if it is done, or if nothing is to be done; 1 otherwise."""
    from agent.signing.errors import SigningError

    try:
        if options.action == "status":
            return _status(options)
        if os.geteuid() != 0:
            raise SigningError("keys are root's; run it as root")
        return _create(options) if options.action == "create" else _enroll(options)
    except SigningError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _status(options: KeyOptions) -> int:
    from agent.signing import key_status

    found = key_status.gathered(options.config or MAIN_FILE)
    print(key_status.text(found))
    return 0 if found.is_ready else 1


def _create(options: KeyOptions) -> int:
    from agent.signing import key_files, key_status

    trusted = key_status.gathered(options.config or MAIN_FILE).trusted
    if trusted is not None and not options.name:
        print(
            f"No other key is needed: the kernel trusts {trusted.pair.key} ({trusted.pair.origin}),"
        )
        print("and modules that are compiled here are signed with it.")
        return 0
    pair = key_files.create(options.name or f"stapwatch modules of {os.uname().nodename}")
    print(f"{pair.key} is the private key, and {pair.certificate} its certificate.")
    print("The kernel does not trust it yet. Next: stapwatch key enroll")
    return 0


def _enroll(options: KeyOptions) -> int:
    from agent.signing import certificates, kernel_trust, mok

    certificate = certificates.read(options.certificate or _own_certificate(options))
    if ring := kernel_trust.trusted_in(certificate.key_id):
        print(f"The kernel trusts '{certificate.name}' already (keyring {ring}).")
        return 0
    if mok.enrolment(certificate) is mok.Enrolment.PENDING:
        print(f"'{certificate.name}' is registered already.")
    else:
        if options.hash_file is None:
            print("Choose a password; it is asked for once more, in the next boot.", flush=True)
        mok.request(certificate, options.hash_file)
        print(f"'{certificate.name}' is registered.")
    print(
        "Now reboot. At the console, in MokManager: Enroll MOK, Continue, Yes, the password, Reboot."
    )
    return 0


def _own_certificate(options: KeyOptions) -> Path:
    """The certificate of the key that would sign. Raises SigningError if there is none."""
    from agent.signing import key_files, signer
    from agent.signing.errors import SigningError

    pairs = key_files.candidates(signer.configured_key(options.config or MAIN_FILE))
    if not pairs:
        raise SigningError("no key is here; stapwatch key create")
    if why := pairs[0].refusal():
        raise SigningError(why)
    return pairs[0].certificate
