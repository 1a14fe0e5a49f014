# SPDX-License-Identifier: GPL-2.0-or-later
"""TLS settings to an SSLContext. Only a server with TLS imports this module, because it loads OpenSSL.

make_server(TlsSettings(...)) -> TlsServer(context, allowed_sans)
"""

from __future__ import annotations

import ipaddress
import os
import ssl
import sys
import warnings
from asyncio.sslproto import SSLProtocol
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from agent.config.file_trust import unreadable
from agent.config.web_settings import ClientAuth, Pem, TlsSettings, TlsVersion
from agent.config.yaml_tree import ConfigDiagnostic
from agent.log_messages import Message
from agent.log_sinks import log
from runtime.support import bounded_file
from runtime.support.record import record

_VERSIONS = {
    TlsVersion.TLS10: ssl.TLSVersion.TLSv1,
    TlsVersion.TLS11: ssl.TLSVersion.TLSv1_1,
    TlsVersion.TLS12: ssl.TLSVersion.TLSv1_2,
    TlsVersion.TLS13: ssl.TLSVersion.TLSv1_3,
}
_VERIFY = {
    ClientAuth.NONE: ssl.CERT_NONE,
    # Go would take a certificate and look at nothing in it.
    ClientAuth.REQUEST: ssl.CERT_NONE,
    ClientAuth.VERIFY_IF_GIVEN: ssl.CERT_OPTIONAL,
    ClientAuth.REQUIRE_AND_VERIFY: ssl.CERT_REQUIRED,
}
# What OpenSSL offers itself, without key exchanges that keep nothing secret once the key is known.
_DEFAULT_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES128:@STRENGTH"


# asyncio gives each TLS connection a buffer of 256 KiB, 32 MB for all that may be open. Requests are short.
_BUFFER = 1 << 14


class TlsError(Exception):
    """TLS cannot be offered; `diagnostic` has the place in the web configuration file."""

    def __init__(self, diagnostic: ConfigDiagnostic) -> None:
        super().__init__(str(diagnostic))
        self.diagnostic = diagnostic


@record
class TlsServer:
    """`allowed_sans`: None if any client with a verified certificate is let in."""

    context: ssl.SSLContext
    allowed_sans: frozenset[str] | None = None

    def refusal(self, certificate: Mapping[str, Any]) -> str:
        """Why a client with this certificate (as getpeercert() shows it) is not let in, or ""."""
        if self.allowed_sans is None:
            return ""
        names = set(_alternative_names(certificate))
        if names & self.allowed_sans:
            return ""
        return f"none of its names is allowed: {', '.join(sorted(names)) or 'it has none'}"


def make_server(settings: TlsSettings) -> TlsServer:
    """Read the certificates and make the context. Raises TlsError."""
    if sys.version_info >= (3, 11):  # before, nothing is kept for what has not come
        SSLProtocol.max_size = _BUFFER
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _set_versions(context, settings)
    _set_ciphers(context, settings)
    _set_curves(context, settings)
    cert, key = _read(settings.cert), _read(settings.key)
    with _failing(settings.cert, "the certificate or its key cannot be used"):
        _load_chain(context, cert, key, settings.key)
    context.verify_mode = _VERIFY[settings.client_auth]
    if settings.client_ca is not None:
        authority = _read(settings.client_ca)
        with _failing(settings.client_ca, "not certificates in PEM form"):
            context.load_verify_locations(cadata=authority.decode("ascii"))
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    sans = None if settings.allowed_sans is None else frozenset(map(_plain, settings.allowed_sans))
    return TlsServer(context, sans)


def _set_versions(context: ssl.SSLContext, settings: TlsSettings) -> None:
    with warnings.catch_warnings():  # TLS 1.0 and 1.1 are what the file asks for
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = _VERSIONS[settings.min_version]
        context.maximum_version = _VERSIONS[settings.max_version]


def _set_ciphers(context: ssl.SSLContext, settings: TlsSettings) -> None:
    names = ":".join(settings.ciphers) or _DEFAULT_CIPHERS
    if settings.min_version < TlsVersion.TLS12:
        names += ":@SECLEVEL=0"  # OpenSSL 3 offers the old versions only there
    try:
        context.set_ciphers(names)
    except ssl.SSLError as error:
        why = "OpenSSL offers none of the cipher_suites"
        raise TlsError(ConfigDiagnostic(settings.position, why, settings.ciphers[0])) from error
    if settings.prefers_own_order:
        context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    else:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE


def _set_curves(context: ssl.SSLContext, settings: TlsSettings) -> None:
    """Before Python 3.15 a server has one curve or all. The file's first known one keeps its policy."""
    if not settings.curves:
        return
    set_groups: Callable[[str], None] | None = getattr(context, "set_groups", None)
    if set_groups is not None:
        try:
            set_groups(":".join(settings.curves))
            return
        except ssl.SSLError:
            pass  # one of them is unknown
    for curve in settings.curves:
        try:
            context.set_ecdh_curve(curve)
        except (ssl.SSLError, ValueError):
            continue
        if len(settings.curves) > 1:
            text = f"{settings.position}: of curve_preferences only {curve} is offered"
            log().warning(text, message_id=Message.CONFIG_WARNING)
        return
    why = "OpenSSL knows none of the curve_preferences"
    raise TlsError(ConfigDiagnostic(settings.position, why, "leave the key out"))


def _read(pem: Pem) -> bytes:
    if pem.file is None:
        return pem.text.encode()
    try:
        return bounded_file.read(pem.file)
    except OSError as error:
        why = f"{pem.file} cannot be read: {unreadable(pem.file, error)}"
        raise TlsError(ConfigDiagnostic(pem.position, why)) from error


def _load_chain(context: ssl.SSLContext, cert: bytes, key: bytes, where: Pem) -> None:
    """OpenSSL reads files only; these are in memory, so that nothing changes between two reads."""

    def no_password() -> str:
        why = "the key is encrypted"
        hint = "decrypt it: openssl pkey -in OLD -out NEW"
        raise TlsError(ConfigDiagnostic(where.position, why, hint))

    with _memory_file(cert) as cert_file, _memory_file(key) as key_file:
        context.load_cert_chain(cert_file, key_file, no_password)


@contextmanager
def _memory_file(data: bytes) -> Iterator[str]:
    descriptor = os.memfd_create("pem", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, data)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


@contextmanager
def _failing(pem: Pem, what: str) -> Iterator[None]:
    try:
        yield
    except (ssl.SSLError, ValueError) as error:
        name = f"{pem.file}: " if pem.file is not None else ""
        reason = getattr(error, "reason", None) or str(error)
        why = reason.lower().replace("_", " ")
        raise TlsError(ConfigDiagnostic(pem.position, f"{name}{what}: {why}")) from error


def _alternative_names(certificate: Mapping[str, Any]) -> Iterator[str]:
    """The names that `client_allowed_sans` is compared with: DNS names, mail and IP addresses, URIs."""
    for kind, name in certificate.get("subjectAltName", ()):
        if kind in ("DNS", "email", "IP Address", "URI"):
            yield _plain(name)


def _plain(name: str) -> str:
    """One spelling for an IP address."""
    try:
        return str(ipaddress.ip_address(name.strip()))
    except ValueError:
        return name
