# SPDX-License-Identifier: GPL-2.0-or-later
"""A host fetches from a real web server and a real registry. What is wrong there leaves what it has."""

from __future__ import annotations

import functools
import http.server
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.prebuilt.syncing import HostKernel, Synced, text_of
from agent.store import oci_layout
from agent.store.looks import StoreState
from agent.store.spool import Spool
from runtime.support.record import replace
from tests.agent.store.fleet import KERNEL, Fleet

pytestmark = pytest.mark.host  # ssh-keygen, skopeo, docker-registry

WHERE = f"{{}}: kernel {KERNEL.release}"
TAG = oci_layout.tag(KERNEL.release, KERNEL.build_id)


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder. `asked`: the names that were asked for. `lead`: where all of them are instead."""

    asked: list[str]
    lead = ""

    def do_GET(self) -> None:
        self.asked.append(Path(self.path).name)
        if self.lead:
            self.send_response(302)
            self.send_header("Location", self.lead + self.path)
            self.end_headers()
            return
        super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return Fleet(tmp_path)


@pytest.fixture
def server(fleet: Fleet) -> Iterator[type[Handler]]:
    """The fleet's store on a web server, which is what the host's configuration says."""
    handler = type("Served", (Handler,), {"asked": []})
    serve = functools.partial(handler, directory=str(fleet.folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve) as listening:
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
        thread.start()
        fleet.url = f"http://127.0.0.1:{listening.server_address[1]}/store"
        fleet.configure(more="modules_over_http: true\n")
        yield handler
        listening.shutdown()
        thread.join()


def synced(fleet: Fleet) -> Synced:
    [result] = fleet.sync()
    return result


def test_what_is_new_is_fetched(fleet: Fleet, server: type[Handler]) -> None:
    fleet.publish()
    result = synced(fleet)
    assert (result.problem, result.fetched, result.modules, result.absent) == ("", 2, 2, ())
    assert len(server.asked) == 6, "index, manifest, catalogue, signature and two modules"
    assert fleet.find("vfs") is not None and fleet.find("tcp") is not None
    server.asked.clear()
    assert synced(fleet).fetched == 0
    assert len(server.asked) == 4
    assert text_of(synced(fleet)) == f"{WHERE}: 2 modules for this host, 0 fetched now".format(
        fleet.url
    )


def test_only_what_this_host_needs(fleet: Fleet, server: type[Handler]) -> None:
    fleet.publish()
    (fleet.folder / "etc/probes.d/more.stp").write_text("probe end {}")
    (fleet.folder / "etc/probes.d/tcp.stp").write_text("probe begin { exit() }")
    result = synced(fleet)
    assert (result.fetched, result.modules, result.absent) == (1, 1, ("more", "tcp"))
    assert fleet.stored("vfs").digest[7:] in server.asked
    assert "1 fetched now; none for more, tcp" in text_of(result)


def test_what_the_next_kernel_needs(fleet: Fleet) -> None:
    """It is there at the boot, and goes with the kernel."""
    fleet.publish()
    later = replace(KERNEL, release="9.9.9-later", build_id="ab" * 20)
    vfs = fleet.stored("vfs", identity="cd" * 32)
    fleet.publish(fleet.catalogue(kernel=later, modules=(vfs,)))
    fleet.other_kernels = [
        HostKernel(later.release, later.build_id, {vfs.identity: "vfs"}),
        HostKernel("9.9.9-none", "ef" * 20, {}),
    ]
    here, there, none = fleet.sync()
    assert (here.problem, here.fetched) == ("", 2)
    assert (there.problem, there.release, there.modules, there.fetched) == ("", "9.9.9-later", 1, 0)
    assert "it has no modules for this kernel" in none.problem
    assert fleet.spool.has_any(later.build_id)
    fleet.other_kernels = []
    fleet.sync()
    assert not fleet.spool.has_any(later.build_id) and fleet.find("vfs") is not None


# -- what is wrong -------------------------------------------------------------------------------------


def _blob(fleet: Fleet) -> Path:
    return fleet.store / fleet.stored("vfs").descriptor.path


def _changed(fleet: Fleet) -> None:
    _blob(fleet).write_bytes(_blob(fleet).read_bytes()[:-1] + b"x")


def _truncated(fleet: Fleet) -> None:
    _blob(fleet).write_bytes(_blob(fleet).read_bytes()[:-1])


def _endless(fleet: Fleet) -> None:
    _blob(fleet).write_bytes(_blob(fleet).read_bytes() * 2)


def _missing(fleet: Fleet) -> None:
    _blob(fleet).unlink()


def _no_index(fleet: Fleet) -> None:
    (fleet.store / "index.json").write_text("<html>we are being updated</html>")


def _unsigned(fleet: Fleet) -> None:
    fleet.publish(made=b"")


def _older(fleet: Fleet) -> None:
    fleet.serial = 900
    fleet.publish()


def _foreign(fleet: Fleet) -> None:
    """Another kernel's catalogue under this kernel's tag."""
    other = replace(KERNEL, build_id=KERNEL.build_id[:12] + "00" * 14)
    fleet.publish(fleet.catalogue(kernel=other))


def _other_kernels(fleet: Fleet) -> None:
    shutil.rmtree(fleet.store)
    fleet.publish(fleet.catalogue(kernel=replace(KERNEL, build_id="00" * 20)))


def _huge(fleet: Fleet) -> None:
    fleet.publish(fleet.catalogue(modules=(fleet.stored("vfs", size=1 << 31),)))


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (_changed, "sw_vfs_1.ko was changed: its digest is"),
        (_truncated, "sw_vfs_1.ko is cut short"),
        (_endless, "bytes"),
        (_missing, "the server answers 404"),
        (_no_index, "index.json is damaged, or is no part of an OCI image layout"),
        (_unsigned, "it is not signed; build it with --index-key"),
        (_older, "it is older than one that was seen here: serial 900"),
        (_foreign, "it is of another kernel"),
        (
            _other_kernels,
            f"(build-id {KERNEL.build_id}); kernels in it: {KERNEL.release}-000000000000",
        ),
        (_huge, "its modules for this host have 2,147,483,648 bytes, of at most"),
    ],
)
def test_what_is_wrong_leaves_what_is_there(
    fleet: Fleet, server: type[Handler], harm: Callable[[Fleet], None], why: str
) -> None:
    before = fleet.modules["vfs"]
    fleet.publish()
    assert synced(fleet).problem == ""
    # the builder has another vfs now, which this host does not have yet
    fleet.modules["vfs"] = before + b"\0"
    fleet.serial += 1
    fleet.publish()
    harm(fleet)
    result = synced(fleet)
    assert why in result.problem and result.fetched == 0
    assert text_of(result).startswith(WHERE.format(fleet.url))
    found = fleet.find("vfs")
    assert found is not None and Path(found.path).read_bytes() == before


def test_a_server_that_is_gone(fleet: Fleet, server: type[Handler]) -> None:
    fleet.publish()
    synced(fleet)
    with socket.socket() as taken:  # and does not listen
        taken.bind(("127.0.0.1", 0))
        gone = f"http://127.0.0.1:{taken.getsockname()[1]}/store"
        fleet.configure(gone, fleet.url, more="modules_over_http: true\n")
        first, second = fleet.sync()
    assert "cannot be reached: connection refused" in first.problem
    assert (second.problem, second.modules) == ("", 2), "the others are asked"
    assert fleet.find("vfs") is not None


def test_a_body_that_ends_early(fleet: Fleet) -> None:
    """The server says how much it will be, and closes the connection before."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            peer, _ = listening.accept()
            with peer:
                peer.recv(4096)
                peer.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 100\r\n\r\n{}")

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/store"
        fleet.configure(url, more="modules_over_http: true\n")
        assert "is cut short: 2 bytes of 100" in synced(fleet).problem
        thread.join()


def test_a_redirect_leads_nowhere_else(fleet: Fleet, server: type[Handler]) -> None:
    fleet.publish()
    server.lead = f"file://{fleet.folder}"
    assert "is not allowed" in synced(fleet).problem


def test_a_store_that_is_configured_no_more_leaves_nothing(fleet: Fleet) -> None:
    fleet.publish()
    assert synced(fleet).fetched == 2
    other = fleet.folder / "other"
    shutil.copytree(fleet.store, other)
    fleet.configure(other.as_uri())
    assert synced(fleet).fetched == 0, "blobs are known by their digests"
    assert len(list(fleet.spool.folder.glob("stores/*/*"))) == 1
    fleet.configure("file:///nowhere/store")
    assert "there is no /nowhere/store/index.json" in synced(fleet).problem
    assert not list(fleet.spool.folder.glob("stores/*/*"))
    assert not list(fleet.spool.folder.glob("blobs/sha256/*"))


# -- a registry ------------------------------------------------------------------------------------------


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """Debian's docker-registry on a free port; its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    config = tmp_path / "registry.yml"
    config.write_text(
        f"version: 0.1\nlog: {{level: error}}\nhttp: {{addr: '{address}'}}\n"
        f"storage: {{filesystem: {{rootdirectory: {tmp_path}/registry}}}}\n"
    )
    argv = ["docker-registry", "serve", str(config)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        try:
            yield address
        finally:
            process.terminate()


def push(fleet: Fleet, name: str) -> None:
    copy = ["skopeo", "copy", "--quiet", "--preserve-digests", "--dest-tls-verify=false"]
    copy += ["--retry-times", "9", f"oci:{fleet.store}:{TAG}", f"{name}:{TAG}"]
    subprocess.run(copy, check=True, capture_output=True)


def test_a_registry_by_skopeo(fleet: Fleet, registry: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet.publish()
    name = f"docker://{registry}/fleet/modules"
    push(fleet, name)
    fleet.configure(name, more="modules_over_http: true\n")
    monkeypatch.chdir(fleet.spool.folder.parent)  # `stapwatch sync --folder spool`
    fleet.spool = Spool(Path(fleet.spool.folder.name))
    assert synced(fleet) == Synced(name, KERNEL.release, "", 2, 2, build_id=KERNEL.build_id)
    assert fleet.find("vfs") is not None
    assert synced(fleet).fetched == 0
    fleet.configure(f"{name}/none", more="modules_over_http: true\n")
    result = synced(fleet)
    assert f"it has no modules for this kernel: there is no {name}/none:{TAG}" == result.problem
    assert result.state is StoreState.NO_KERNEL


def test_a_registry_that_serves_other_bytes(fleet: Fleet, registry: str, tmp_path: Path) -> None:
    fleet.publish()
    name = f"docker://{registry}/fleet/modules"
    push(fleet, name)
    fleet.configure(name, more="modules_over_http: true\n")
    digest = fleet.stored("vfs").digest.removeprefix("sha256:")
    [blob] = (tmp_path / "registry").rglob(f"{digest}/data")
    blob.write_bytes(blob.read_bytes()[:-1] + b"x")
    result = synced(fleet)
    assert f"{name}:{TAG} was changed: " in result.problem
    assert (result.state, result.refusal, result.fetched) == (StoreState.REFUSED, "digest", 0)
    shutil.rmtree(tmp_path / "registry/docker")
    fleet.configure(name.replace(registry, "127.0.0.1:9"), more="modules_over_http: true\n")
    result = synced(fleet)
    assert "cannot be copied: " in result.problem and result.state is StoreState.UNAVAILABLE
