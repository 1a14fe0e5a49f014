# SPDX-License-Identifier: GPL-2.0-or-later
"""The settings of the web configuration file, which has the format of Prometheus' exporters.

WebSettings() -> plain HTTP, no users, no limit of requests
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from agent.config.yaml_tree import Position
from runtime.support.record import field, record
from runtime.support.str_enum import StrEnum


class ClientAuth(StrEnum):
    """What is asked of clients, by Go's names. Certificates are verified wherever one is asked for."""

    NONE = "NoClientCert"
    REQUEST = "RequestClientCert"
    REQUIRE_ANY = "RequireAnyClientCert"
    VERIFY_IF_GIVEN = "VerifyClientCertIfGiven"
    REQUIRE_AND_VERIFY = "RequireAndVerifyClientCert"


class TlsVersion(StrEnum):
    TLS10 = "TLS10"
    TLS11 = "TLS11"
    TLS12 = "TLS12"
    TLS13 = "TLS13"


@record
class Pem:
    """A certificate or key: `text`, or else the contents of `file`."""

    position: Position
    file: Path | None = None
    text: str = field(default="", repr=False)


@record
class TlsSettings:
    """`ciphers` and `curves` have OpenSSL's names; empty: OpenSSL's own choice."""

    position: Position
    cert: Pem
    key: Pem
    client_ca: Pem | None = None
    client_auth: ClientAuth = ClientAuth.NONE
    allowed_sans: tuple[str, ...] | None = None
    min_version: TlsVersion = TlsVersion.TLS12
    max_version: TlsVersion = TlsVersion.TLS13
    ciphers: tuple[str, ...] = ()
    prefers_own_order: bool = True
    curves: tuple[str, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        pems = (self.cert, self.key, self.client_ca)
        return tuple(pem.file for pem in pems if pem is not None and pem.file is not None)


@record
class RateLimit:
    """One request each `interval` seconds, and `burst` at once."""

    interval: float
    burst: int


@record
class WebSettings:
    """`file`: None if there is none. `users`: bcrypt hashes by name."""

    file: Path | None = None
    tls: TlsSettings | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    users: Mapping[str, str] = field(default_factory=dict, repr=False)
    rate_limit: RateLimit | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """All files that were read for these settings, `file` first."""
        if self.file is None:
            return ()
        return (self.file, *(self.tls.files if self.tls is not None else ()))
