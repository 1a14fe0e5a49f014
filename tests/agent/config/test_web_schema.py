# SPDX-License-Identifier: GPL-2.0-or-later
"""The web configuration file: what is read, and what each mistake is told as."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.config import web_schema
from agent.config.web_settings import ClientAuth, RateLimit, TlsVersion, WebSettings
from agent.config.yaml_tree import ConfigDiagnostic
from tests.agent.web.test_basic_auth import SECRET

PEM = "-----BEGIN X-----"
TLS = "tls_server_config:\n  cert_file: cert.pem\n  key_file: /etc/key.pem\n"


def read(folder: Path, text: str) -> tuple[WebSettings, list[str]]:
    """The settings and the messages, without the file's name."""
    path = folder / "web.yaml"
    path.write_text(text)
    found: list[ConfigDiagnostic] = []
    settings = web_schema.read(path, found)
    return settings, [str(one).removeprefix(f"config error: {path}:") for one in found]


def test_everything_at_once(tmp_path: Path) -> None:
    settings, problems = read(
        tmp_path,
        TLS
        + f"""\
  client_ca: "{PEM}"
  client_auth_type: RequireAndVerifyClientCert
  client_allowed_sans: [a.example, 127.0.0.1]
  min_version: TLS10
  max_version: TLS12
  cipher_suites:
    - TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
    - TLS_AES_128_GCM_SHA256
  prefer_server_cipher_suites: false
  curve_preferences: [X25519, CurveP256]
http_server_config:
  http2: true
  headers:
    Content-Security-Policy: default-src 'self'
    X-Frame-Options: deny
    X-Content-Type-Options: nosniff
    X-XSS-Protection: 0
    Strict-Transport-Security: max-age=31536000
basic_auth_users:
  bob: {SECRET}
rate_limit:
  interval: 1m0.5s
  burst: 20
""",
    )
    assert problems == []
    tls = settings.tls
    assert tls is not None
    assert (tls.cert.file, tls.key.file) == (tmp_path / "cert.pem", Path("/etc/key.pem"))
    assert settings.files == (tmp_path / "web.yaml", tmp_path / "cert.pem", Path("/etc/key.pem"))
    assert tls.client_auth is ClientAuth.REQUIRE_AND_VERIFY
    assert tls.allowed_sans == ("a.example", "127.0.0.1")
    assert (tls.min_version, tls.max_version) == (TlsVersion.TLS10, TlsVersion.TLS12)
    assert tls.ciphers == ("ECDHE-RSA-AES128-GCM-SHA256",)
    assert tls.curves == ("X25519", "prime256v1") and not tls.prefers_own_order
    assert settings.headers["X-XSS-Protection"] == "0" and len(settings.headers) == 5
    assert settings.users == {"bob": SECRET} and SECRET not in repr(settings)
    assert settings.rate_limit == RateLimit(60.5, 20)


def test_defaults(tmp_path: Path) -> None:
    for text in ("", "tls_server_config: {}\n", "rate_limit: {interval: 0}\nhttp_server_config:\n"):
        assert read(tmp_path, text) == (WebSettings(tmp_path / "web.yaml"), [])
    settings, _ = read(tmp_path, TLS + "rate_limit: {interval: 100ms}\n")
    assert settings.tls is not None and settings.tls.min_version is TlsVersion.TLS12
    assert settings.tls.client_auth is ClientAuth.NONE and settings.tls.prefers_own_order
    assert settings.rate_limit == RateLimit(0.1, 1)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("tls_sever_config: {}", "1:1: unknown key 'tls_sever_config'; did you mean 'tls_server_config'?"),
        (TLS + "  cret: x", "4:3: unknown key 'cret'; did you mean 'cert'?"),
        (TLS + "  min_version: TLS9", "4:16: unknown value 'TLS9'; did you mean 'TLS13'?"),
        (TLS + "  min_version: TLS13\n  max_version: TLS12", "4:3: min_version is above max_version"),
        ("tls_server_config: {cert_file: x}", "1:20: tls_server_config needs 'key_file' or 'key'"),
        ("tls_server_config: {key_file: x}", "1:20: tls_server_config needs 'cert_file' or 'cert'"),
        ("tls_server_config: {key: x, cert_file: x}", "1:26: must be PEM text; it begins with '-----BEGIN '"),
        (TLS + "  client_ca_file: x", "4:3: client_auth_type is missing: nothing would use the client's authority; write client_auth_type: RequireAndVerifyClientCert"),
        (TLS + "  client_auth_type: VerifyClientCertIfGiven", "4:3: VerifyClientCertIfGiven needs 'client_ca_file' or 'client_ca'"),
        (TLS + "  client_auth_type: RequireClientCert", "4:3: certificates that nobody has signed cannot be asked for: OpenSSL verifies each one here; write RequireAndVerifyClientCert, and the certificate itself or its authority in client_ca_file"),
        (TLS + "  client_allowed_sans: [x]", "4:3: client_allowed_sans needs client_auth_type: RequireAndVerifyClientCert"),
        (TLS + "  curve_preferences: [CurveP265]", "4:23: unknown value 'CurveP265'; did you mean 'CurveP256'?"),
        ("http_server_config: {headers: {X-Frame-Options: never}}", "1:49: X-Frame-Options cannot be 'never'; write deny or sameorigin"),
        ("http_server_config: {headers: {Content-Security-Policy: \"a\\r\\nb\"}}", "1:57: Content-Security-Policy must be one line of ASCII text"),
        ("basic_auth_users: {bob: secret}", "1:25: must be a bcrypt hash; make one with: htpasswd -nBC 10 '' | tr -d ':'"),
        (f"basic_auth_users: {{bob: {SECRET.replace('$04', '$03')}}}", "1:25: must be a bcrypt hash; make one with: htpasswd -nBC 10 '' | tr -d ':'"),
        ("rate_limit: {interval: 5}", "1:24: must be a duration, not the number 5; write 1s, 100ms or 1m30s"),
        ("rate_limit: {interval: 5s, burst: 0}", "1:35: must be between 1 and 1000000, not 0"),
    ],
)  # fmt: skip
def test_mistakes(text: str, problem: str, tmp_path: Path) -> None:
    settings, problems = read(tmp_path, text)
    assert problems == [problem]
    assert settings.tls is None


def test_a_header_that_is_not_ours_to_set(tmp_path: Path) -> None:
    _, [problem] = read(tmp_path, "http_server_config: {headers: {Set-Cookie: x}}")
    assert problem.startswith(
        "1:32: unknown key 'Set-Cookie'; known here: Content-Security-Policy, "
    )


def test_request_client_cert_asks_for_nothing(tmp_path: Path) -> None:
    settings, problems = read(tmp_path, TLS + "  client_auth_type: RequestClientCert")
    assert problems == []
    assert settings.tls is not None and settings.tls.client_auth is ClientAuth.REQUEST
