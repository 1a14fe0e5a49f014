# SPDX-License-Identifier: GPL-2.0-or-later
"""Certificates for tests, made by openssl: an authority, a server, and clients with names of their own.

made = Certificates.make(folder)
made.server.cert, made.server.key, made.authority.cert
"""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

from runtime.support.record import record


@record
class Pair:
    cert: Path
    key: Path


@record
class Certificates:
    folder: Path
    authority: Pair
    server: Pair

    @classmethod
    def make(cls, folder: Path) -> Certificates:
        folder.mkdir(parents=True, exist_ok=True)
        authority = _self_signed(folder / "authority", "an authority")
        made = cls(folder, authority, authority)
        server = made.signed("server", "DNS:localhost,IP:127.0.0.1")
        return cls(folder, authority, server)

    def signed(self, name: str, names: str = "") -> Pair:
        """A certificate by the authority, with these alternative names."""
        pair = Pair(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        extension = ["-addext", f"subjectAltName={names}"] if names else []
        _openssl(
            *("req", "-x509", *_KEY, "-keyout", str(pair.key), "-out", str(pair.cert)),
            *("-CA", str(self.authority.cert), "-CAkey", str(self.authority.key)),
            *("-subj", f"/CN={name}", "-addext", "basicConstraints=CA:FALSE", *extension),
        )
        return pair

    def expired(self, name: str, names: str) -> Pair:
        """A certificate by the authority, whose time is over at once."""
        pair = Pair(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        asked, extensions = pair.cert.with_suffix(".csr"), pair.cert.with_suffix(".ext")
        extensions.write_text(f"subjectAltName={names}\n")
        subject = ("-keyout", str(pair.key), "-out", str(asked), "-subj", f"/CN={name}")
        _openssl("req", "-new", *_KEY[:-2], *subject)
        _openssl(
            *("x509", "-req", "-in", str(asked), "-out", str(pair.cert), "-days", "0"),
            *("-CA", str(self.authority.cert), "-CAkey", str(self.authority.key)),
            *("-extfile", str(extensions)),
        )
        return pair

    def client(self, pair: Pair | None = None) -> ssl.SSLContext:
        """The context of a client that trusts the authority, and shows a certificate."""
        context = ssl.create_default_context(cafile=str(self.authority.cert))
        if pair is not None:
            context.load_cert_chain(pair.cert, pair.key)
        return context


_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30")


def _self_signed(path: Path, name: str) -> Pair:
    pair = Pair(path.with_suffix(".pem"), path.with_suffix(".key"))
    _openssl(
        "req",
        "-x509",
        *_KEY,
        "-keyout",
        str(pair.key),
        "-out",
        str(pair.cert),
        "-subj",
        f"/CN={name}",
    )
    return pair


def encrypted(key: Path, path: Path) -> None:
    """A copy of a key that needs a password."""
    _openssl("pkey", "-in", str(key), "-out", str(path), "-aes256", "-passout", "pass:x")


def _openssl(*words: str) -> None:
    done = subprocess.run(["openssl", *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
