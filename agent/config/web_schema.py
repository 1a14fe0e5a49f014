# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads the web configuration file: TLS, users, headers, a limit of requests. Its format is that of
Prometheus' exporters.

    read(Path("web.yaml"), diagnostics) -> WebSettings(tls=TlsSettings(...), users={"scraper": "$2y$10$..."})

Relative paths are relative to the file's folder. Unknown keys are errors.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agent.config import file_trust, schema, yaml_tree
from agent.config.schema import Reader, SchemaError
from agent.config.web_settings import (
    ClientAuth,
    Pem,
    RateLimit,
    TlsSettings,
    TlsVersion,
    WebSettings,
)
from agent.config.yaml_tree import ConfigDiagnostic, Mapping, Node, Position, Scalar
from runtime.support.lazy_regex import pattern
from runtime.support.record import replace

# Each header that may be set, and its values; None: any.
HEADERS: dict[str, tuple[str, ...] | None] = {
    "Content-Security-Policy": None,
    "Strict-Transport-Security": None,
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": None,
}
CURVES = {
    "CurveP256": "prime256v1",
    "CurveP384": "secp384r1",
    "CurveP521": "secp521r1",
    "X25519": "X25519",
    "X25519MLKEM768": "X25519MLKEM768",
}
# Suites of TLS 1.3 are always offered, by Go as well.
CIPHERS = {
    "TLS_AES_128_GCM_SHA256": "",
    "TLS_AES_256_GCM_SHA384": "",
    "TLS_CHACHA20_POLY1305_SHA256": "",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256": "ECDHE-ECDSA-AES128-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256": "ECDHE-RSA-AES128-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_RSA_WITH_AES_128_CBC_SHA": "AES128-SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA": "AES256-SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA256": "AES128-SHA256",
    "TLS_RSA_WITH_AES_128_GCM_SHA256": "AES128-GCM-SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384": "AES256-GCM-SHA384",
}
_BCRYPT = pattern(r"\$2[aby]\$(0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}")
_DURATION = pattern(r"(?:[0-9]+(?:\.[0-9]*)?(?:ns|us|µs|ms|s|m|h))+")
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_OLD_NAMES = {"RequireClientCert": ClientAuth.REQUIRE_ANY}


def read(
    path: Path, diagnostics: list[ConfigDiagnostic], *, insecure_files: bool = False
) -> WebSettings:
    """The settings of a file. Errors are added to `diagnostics`."""
    if not insecure_files and (why := file_trust.refusal(path)):
        diagnostics.append(ConfigDiagnostic(Position(str(path)), why))
        return WebSettings(path)
    text = yaml_tree.read(path, diagnostics)
    tree = yaml_tree.parse(text, str(path), diagnostics) if text is not None else None
    settings = WebSettings(path) if tree is None else _web(tree, path, Reader(diagnostics))
    if settings.tls is not None and not insecure_files:
        for file in settings.tls.files:
            if why := file_trust.refusal(file):
                diagnostics.append(ConfigDiagnostic(settings.tls.position, why))
    return settings


def _web(tree: Mapping, path: Path, reader: Reader) -> WebSettings:
    values = reader.record(
        tree,
        "the web configuration",
        {
            "tls_server_config": lambda node: _tls(node, reader),
            "http_server_config": lambda node: _http(node, reader),
            "basic_auth_users": lambda node: reader.table(node, "basic_auth_users", _hash),
            "rate_limit": lambda node: _rate_limit(node, reader),
        },
    )
    return WebSettings(
        path,
        values.get("tls_server_config"),
        values.get("http_server_config", {}),
        values.get("basic_auth_users", {}),
        values.get("rate_limit"),
    )


# -- TLS ----------------------------------------------------------------------------------------------


def _tls(node: Node, reader: Reader) -> TlsSettings | None:
    before = len(reader.diagnostics)
    values = reader.record(
        node,
        "tls_server_config",
        {
            "cert": _text_pem,
            "cert_file": _file_pem,
            "key": _text_pem,
            "key_file": _file_pem,
            "client_ca": _text_pem,
            "client_ca_file": _file_pem,
            "client_auth_type": _client_auth,
            "client_allowed_sans": lambda n: reader.items(n, "client_allowed_sans", schema.word),
            "min_version": schema.choice(TlsVersion),
            "max_version": schema.choice(TlsVersion),
            "cipher_suites": lambda n: reader.items(n, "cipher_suites", _known(CIPHERS)),
            "curve_preferences": lambda n: reader.items(n, "curve_preferences", _known(CURVES)),
            "prefer_server_cipher_suites": schema.truth,
        },
    )
    if not schema.mapping(node, "tls_server_config").entries or len(reader.diagnostics) > before:
        return None
    tls = TlsSettings(
        node.position,
        _one_of("cert", values, node.position),
        _one_of("key", values, node.position),
        values.get("client_ca_file") or values.get("client_ca"),
        values.get("client_auth_type", ClientAuth.NONE),
        values.get("client_allowed_sans"),
        ciphers=tuple(filter(None, values.get("cipher_suites", ()))),
        prefers_own_order=values.get("prefer_server_cipher_suites", True),
        curves=values.get("curve_preferences", ()),
    )
    given = {k: values[k] for k in ("min_version", "max_version") if k in values}
    tls = replace(tls, **given)
    _check(tls, schema.mapping(node, "tls_server_config"))
    return tls


def _one_of(name: str, values: dict[str, Any], position: Position) -> Pem:
    """The file is preferred, as Prometheus' exporters do."""
    found: Pem | None = values.get(f"{name}_file") or values.get(name)
    if found is None:
        raise SchemaError(position, f"tls_server_config needs '{name}_file' or '{name}'")
    return found


def _check(tls: TlsSettings, given: Mapping) -> None:
    """What fits each other. Raises SchemaError."""

    def at(*keys: str) -> Position:
        return next((given.entries[k].position for k in keys if k in given.entries), tls.position)

    if tls.min_version > tls.max_version:
        raise SchemaError(at("min_version"), "min_version is above max_version")
    verifies = tls.client_auth in (ClientAuth.VERIFY_IF_GIVEN, ClientAuth.REQUIRE_AND_VERIFY)
    if tls.client_auth is ClientAuth.REQUIRE_ANY:
        raise SchemaError(
            at("client_auth_type"),
            "certificates that nobody has signed cannot be asked for: OpenSSL verifies each one here",
            "write RequireAndVerifyClientCert, and the certificate itself or its authority in client_ca_file",
        )
    if tls.client_ca is not None and tls.client_auth is ClientAuth.NONE:
        raise SchemaError(
            at("client_ca_file", "client_ca"),
            "client_auth_type is missing: nothing would use the client's authority",
            "write client_auth_type: RequireAndVerifyClientCert",
        )
    if verifies and tls.client_ca is None:
        raise SchemaError(
            at("client_auth_type"), f"{tls.client_auth} needs 'client_ca_file' or 'client_ca'"
        )
    if tls.allowed_sans is not None and tls.client_auth is not ClientAuth.REQUIRE_AND_VERIFY:
        raise SchemaError(
            at("client_allowed_sans"),
            "client_allowed_sans needs client_auth_type: RequireAndVerifyClientCert",
        )


def _file_pem(node: Node) -> Pem:
    given = schema.text(node)
    if not given or "\0" in given:
        raise SchemaError(node.position, "must be a path")
    return Pem(node.position, Path(node.position.file).parent / given)


def _text_pem(node: Node) -> Pem:
    given = schema.text(node)
    if "-----BEGIN " not in given:
        raise SchemaError(node.position, "must be PEM text", "it begins with '-----BEGIN '")
    return Pem(node.position, text=given)


def _client_auth(node: Node) -> ClientAuth:
    given = schema.text(node)
    return _OLD_NAMES.get(given) or schema.choice(ClientAuth)(node)


def _known(names: dict[str, str]) -> Callable[[Node], str]:
    """The value of a name in a table."""

    def read_name(node: Node) -> str:
        given = schema.text(node)
        if given not in names:
            raise SchemaError(
                node.position, f"unknown value '{given}'", schema.suggest(given, names)
            )
        return names[given]

    return read_name


# -- the rest -----------------------------------------------------------------------------------------


def _http(node: Node, reader: Reader) -> dict[str, str]:
    """The headers. `http2` is accepted, and HTTP/1.1 is spoken all the same."""
    values = reader.record(
        node,
        "http_server_config",
        {"http2": schema.truth, "headers": lambda n: _headers(n, reader)},
    )
    headers: dict[str, str] = values.get("headers", {})
    return headers


def _headers(node: Node, reader: Reader) -> dict[str, str]:
    def one(name: str) -> Callable[[Node], str]:
        def read_value(value: Node) -> str:
            given, allowed = schema.word(value), HEADERS[name]
            if allowed is not None and given not in allowed:
                raise SchemaError(
                    value.position, f"{name} cannot be '{given}'", f"write {' or '.join(allowed)}"
                )
            if re.search(r"[\x00-\x08\x0a-\x1f\x7f]", given) or not given.isascii():
                raise SchemaError(value.position, f"{name} must be one line of ASCII text")
            return given

        return read_value

    return reader.record(node, "headers", {name: one(name) for name in HEADERS})


def _hash(node: Node) -> str:
    given = schema.text(node)
    if not _BCRYPT.fullmatch(given):
        raise SchemaError(
            node.position, "must be a bcrypt hash", "make one with: htpasswd -nBC 10 '' | tr -d ':'"
        )
    return given


def _rate_limit(node: Node, reader: Reader) -> RateLimit | None:
    values = reader.record(
        node, "rate_limit", {"interval": _duration, "burst": schema.integer(1, 1_000_000)}
    )
    interval = values.get("interval", 0.0)
    return RateLimit(interval, values.get("burst", 1)) if interval else None


def _duration(node: Node) -> float:
    """Seconds of a Go duration: 0, 100ms, 1m30s."""
    given = node.text if isinstance(node, Scalar) else ""
    if given == "0":
        return 0.0
    if not _DURATION.fullmatch(given):
        raise SchemaError(
            node.position,
            f"must be a duration, not {schema.kind(node)}",
            "write 1s, 100ms or 1m30s",
        )
    parts = re.findall(r"([0-9.]+)([a-zµ]+)", given)
    return sum(float(number) * _UNITS[unit] for number, unit in parts)
