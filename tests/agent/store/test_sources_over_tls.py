# SPDX-License-Identifier: GPL-2.0-or-later
"""A host fetches from a web server with TLS. A server that is not who it says it is gives nothing."""

from __future__ import annotations

import functools
import http.server
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.config.load import ConfigError
from tests.agent.certificates import Certificates, Pair
from tests.agent.store.fleet import Fleet

pytestmark = pytest.mark.host  # ssh-keygen, openssl

LOCALHOST = "DNS:localhost,IP:127.0.0.1"


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates.make(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, certificates: Certificates) -> Fleet:
    """A host that knows the authority, as a drop-in of stapwatch-sync.service says it."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority.cert))
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    made = Fleet(tmp_path)
    made.publish()
    return made


@contextmanager
def served(folder: Path, pair: Pair, host: str = "localhost") -> Iterator[str]:
    """The address of a web server that shows this certificate; the store is below it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"https://{host}:{server.server_address[1]}/store"
        finally:
            server.shutdown()
            thread.join()


def test_a_server_that_the_authority_vouches_for(fleet: Fleet, certificates: Certificates) -> None:
    with served(fleet.folder, certificates.server) as url:
        fleet.configure(url)
        [result] = fleet.sync()
    assert (result.problem, result.fetched, result.modules) == ("", 2, 2)
    assert fleet.find("vfs") is not None


def _of_another_authority(made: Certificates, folder: Path) -> Pair:
    return Certificates.make(folder / "others").server


def _expired(made: Certificates, folder: Path) -> Pair:
    return made.expired("expired", LOCALHOST)


def _of_another_host(made: Certificates, folder: Path) -> Pair:
    return made.signed("elsewhere", "DNS:modules.example.org")


@pytest.mark.parametrize(
    ("shown", "why"),
    [
        (_of_another_authority, "unable to get local issuer certificate"),
        (_expired, "certificate has expired"),
        (_of_another_host, "certificate is not valid for 'localhost'"),
    ],
)
def test_a_server_that_it_is_not(
    fleet: Fleet,
    certificates: Certificates,
    shown: Callable[[Certificates, Path], Pair],
    why: str,
    tmp_path: Path,
) -> None:
    with served(fleet.folder, shown(certificates, tmp_path)) as url:
        fleet.configure(url)
        [result] = fleet.sync()
    assert result.fetched == 0 and fleet.find("vfs") is None
    assert result.problem.startswith(f"{url}/index.json: the server's certificate is refused: ")
    assert why in result.problem
    assert ("$SSL_CERT_FILE" in result.problem) == (shown is _of_another_authority)


def test_a_server_without_tls(fleet: Fleet) -> None:
    handler = functools.partial(_Quiet, directory=str(fleet.folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        fleet.configure(f"https://127.0.0.1:{server.server_address[1]}/store")
        [result] = fleet.sync()
        server.shutdown()
        thread.join()
    assert "speaks no TLS" in result.problem and result.fetched == 0


def test_http_is_refused_before_anything_is_asked(fleet: Fleet) -> None:
    fleet.configure("http://localhost/store")
    with pytest.raises(ConfigError, match=r"is not encrypted: .*modules_over_http: true"):
        _ = fleet.settings
