# SPDX-License-Identifier: GPL-2.0-or-later
"""A fleet of three, from nothing, by what docs/fleet.md tells to type: a builder, a registry with TLS, a Prometheus, and
hosts with three kernels, of which two have no compiler. The tests follow one another.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agent.store import oci_layout
from lab import Image
from lab.warm_cache import warm_cache
from tests import PROJECT
from tests.system.builder_machine import BuilderMachine
from tests.system.fleet_hosts import FleetHost, closed, machine_ids, on_all, packed_tools
from tests.system.prometheus import Prometheus, free_port
from tests.system.service import wait_for
from tests.system.typed_commands import queries, typed

KERNELS = {"web-1": "6.1", "web-2": "6.12", "web-3": "7.2"}  # the last one has a compiler
URL = "docker://registry.example.org:5000/stapwatch"
# addresses of this machine's loopback that no other run uses
NETWORK = f"127.77.{os.getpid() >> 8 & 255}.{{}}"
REGISTRY = NETWORK.format(os.getpid() & 127 | 128), 5000
HOSTS = [NETWORK.format(4 * (os.getpid() & 31) + number) for number in (1, 2, 3)]


@pytest.fixture(scope="module")
def images() -> list[Image]:
    return [Image.ensure(kernel) for kernel in KERNELS.values()]


@pytest.fixture(scope="module")
def here(images: list[Image], tmp_path_factory: pytest.TempPathFactory) -> Iterator[BuilderMachine]:
    """The builder has no root folder for the last kernel yet."""
    roots = {image.suite.name: image.rootfs for image in images[:-1]}
    addresses = {
        f"{name}.example.org": address for name, address in zip(KERNELS, HOSTS, strict=True)
    }
    addresses["registry.example.org"] = REGISTRY[0]
    with BuilderMachine(tmp_path_factory.mktemp("builder"), roots, addresses) as machine:
        for image in images:  # as a builder that has made something for these kernels before
            warm = warm_cache(PROJECT, image)
            shutil.copytree(warm, machine.at("var/cache") / "stapwatch", dirs_exist_ok=True)
        yield machine


@pytest.fixture(scope="module")
def hosts(
    images: list[Image], trigger: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[FleetHost]]:
    tools = packed_tools(tmp_path_factory.mktemp("tools"))
    ids = machine_ids(["opens", "opens_next"], 34, len(images))

    def boot(number: int) -> FleetHost:
        name, is_last = list(KERNELS)[number], number == len(images) - 1
        return FleetHost.boot(
            *(f"{name}.example.org", HOSTS[number], images[number], REGISTRY, tools),
            *(ids[number], trigger, is_last),
        )

    with ThreadPoolExecutor(len(images)) as pool:
        booted = list(pool.map(boot, range(len(images))))
    yield booted
    assert list(closed(booted)) == []


@pytest.fixture(scope="module")
def prometheus(here: BuilderMachine) -> Prometheus:
    """As documented, but that it does not wait 15 s between two scrapes."""
    config = here.at("etc/prometheus") / "prometheus.yml"
    config.write_text(
        typed("yaml", "prometheus").replace("scrape_interval: 15s", "scrape_interval: 1s")
    )
    here.run(typed("sh", "prometheus"))
    port = free_port()
    argv = [
        "prometheus",
        "--config.file=/etc/prometheus/prometheus.yml",
        "--storage.tsdb.path=tsdb",
    ]
    here.start([*argv, f"--web.listen-address=127.0.0.1:{port}"])
    found = Prometheus(port)
    wait_for(found.ready, "Prometheus")
    return found


def publish(here: BuilderMachine) -> str:
    started = time.monotonic()
    text = here.run(typed("sh", "builder publish"))
    say(f"built and pushed in {time.monotonic() - started:.1f} s: {text.strip().splitlines()[-1]}")
    return text


def say(text: str) -> None:
    """Sizes and times, for who runs this with -s."""
    print(f"[fleet] {text}", flush=True)


def give(hosts: list[FleetHost], here: BuilderMachine) -> None:
    on_all(hosts, lambda host: host.give(here.work / "etc", here.work / "registry.crt"))


def sync(hosts: list[FleetHost]) -> list[str]:
    """What the unit has said on each host."""

    def one(host: FleetHost) -> str:
        before = host.journal("stapwatch-sync")
        host.run("systemctl start stapwatch-sync")
        return host.journal("stapwatch-sync").removeprefix(before)

    started = time.monotonic()
    found = on_all(hosts, one)
    say(f"all hosts have asked the registry in {time.monotonic() - started:.1f} s")
    return found


def states(prometheus: Prometheus, script: str) -> dict[str, float]:
    """How many hosts are in which state, all revisions together, by the documented query."""
    [query] = queries(f'script="{script}"')
    found = prometheus.query(f"sum by (state) ({query})")
    return {json.loads(labels)["state"]: value for labels, value in found.items()}


def until(prometheus: Prometheus, script: str, wanted: dict[str, float]) -> None:
    started = time.monotonic()
    wait_for(lambda: states(prometheus, script) == wanted, f"{script}: {wanted}")
    say(f"{script} is {wanted} after {time.monotonic() - started:.1f} s")


def stores(prometheus: Prometheus) -> dict[str, float]:
    [query] = queries("stapwatch_store_state == 1")
    return {json.loads(labels)["state"]: value for labels, value in prometheus.query(query).items()}


def test_the_store_is_built_and_published(here: BuilderMachine) -> None:
    here.run(typed("sh", "builder"))
    here.run(typed("sh", "registry"))
    (here.at("etc/docker/registry") / "config.yml").write_text(typed("yaml", "registry"))
    here.start(["docker-registry", "serve", "/etc/docker/registry/config.yml"])
    wait_for(registry_listens, "the registry")
    here.run(typed("sh", "builder host"))
    publish(here)
    index = (here.work / "store" / oci_layout.INDEX_FILE).read_bytes()
    assert len(oci_layout.manifests_of(index)) == 2
    sizes = [path.stat().st_size for path in (here.work / "store").rglob("*") if path.is_file()]
    say(f"the store has {sum(sizes):,} bytes in {len(sizes)} files; modules: {sorted(sizes)[-2:]}")


def registry_listens() -> bool:
    with socket.socket() as peer:
        return peer.connect_ex(REGISTRY) == 0


def test_one_host_of_three(
    here: BuilderMachine, hosts: list[FleetHost], prometheus: Prometheus
) -> None:
    give(hosts, here)

    def start(host: FleetHost) -> str:
        host.run(typed("sh", "builder host")).check()
        host.run(typed("sh", "host start"))
        host.run("systemctl stop stapwatch-sync.timer").check()  # the tests say when it runs
        return host.journal("stapwatch-sync")

    started = time.monotonic()
    said = on_all(hosts, start)
    say(f"all hosts have fetched, and serve, after {time.monotonic() - started:.1f} s")
    for text in said[:2]:
        assert "1 modules for this host, 1 fetched now" in text
    assert "it has no modules for this kernel: there is no docker://" in said[2]
    until(prometheus, "opens", {"running": 1, "off": 2})
    assert [host.modules() for host in hosts] == [{"opens"}, set(), set()]
    assert stores(prometheus) == {"ready": 2, "no-kernel": 1}


def test_to_all_hosts(here: BuilderMachine, hosts: list[FleetHost], prometheus: Prometheus) -> None:
    here.run(typed("sh", "builder all"))
    give(hosts, here)
    started = time.monotonic()
    for done in on_all(hosts, lambda host: host.run(typed("sh", "host reload"))):
        assert done.status == 0, done.stdout + done.stderr
    say(f"all hosts have it in force after {time.monotonic() - started:.1f} s")
    until(prometheus, "opens", {"running": 3})
    on_all(hosts, lambda host: host.run(["trigger", "open", "/etc/hostname", "1000"]).check())
    name = 'sum(stapwatch_opens_opens_total{execname="trigger"})'
    wait_for(lambda: prometheus.query(name) == {"{}": 3000}, "each has counted a thousand")


def test_a_bad_revision_is_stopped_on_the_first_host(
    here: BuilderMachine, hosts: list[FleetHost], images: list[Image], prometheus: Prometheus
) -> None:
    here.run(typed("sh", "builder next"))
    here.add_root(images[-1].suite.name, images[-1].rootfs)
    publish(here)
    give(hosts, here)
    started = time.monotonic()
    for done in on_all(hosts, lambda host: host.run(typed("sh", "host next"))):
        assert done.status == 0, done.stdout + done.stderr
    say(f"all hosts have the next revision after {time.monotonic() - started:.1f} s")
    # by itself, or as soon as the host is busy
    hosts[0].run(["trigger", "getppid", "300000"]).check()
    until(prometheus, "opens_next", {"quarantined": 1, "off": 2})
    assert [host.modules() for host in hosts[1:]] == [{"opens"}, {"opens"}]
    reason = hosts[0].run("stapwatch status --seconds 0").stdout
    assert "budget hit_rate is 5,000" in reason
    [query] = queries("sum by (script, budget)")
    assert prometheus.query("sum by (script, budget) (stapwatch_script_disarmed_total) > 0") == {
        json.dumps({"budget": "hit_rate", "script": "opens_next"}): 1
    }
    assert prometheus.query(query) is not None
    assert states(prometheus, "opens") == {"running": 3}
    assert stores(prometheus) == {"ready": 3}
    here.run(typed("sh", "builder back"))
    give(hosts, here)
    for done in on_all(hosts, lambda host: host.run("systemctl reload stapwatch")):
        assert done.status == 0, done.stderr
    wait_for(lambda: states(prometheus, "opens_next") == {}, "it is gone")
    assert [host.modules() for host in hosts] == [{"opens"}] * 3


def test_a_changed_blob_is_refused_on_all(
    here: BuilderMachine, hosts: list[FleetHost], prometheus: Prometheus
) -> None:
    """In the registry, which serves it as if nothing had happened."""
    script = here.work / "etc/probes.d/opens.stp"
    script.write_text(script.read_text().replace("opens[execname()]++", "opens[execname()] += 1"))
    before = set(blobs(here))
    publish(here)
    large = [path for path in blobs(here) - before if path.stat().st_size > 50_000]
    assert len(large) == 3, "a module for each kernel"
    right = {path: path.read_bytes() for path in large}
    for path, data in right.items():
        path.write_bytes(data[:5000] + bytes([data[5000] ^ 1]) + data[5001:])
    give(hosts, here)
    for text in sync(hosts):
        assert f"{URL}:" in text and "was changed: " in text
    wait_for(lambda: stores(prometheus) == {"refused": 3}, "all refuse it")
    refused = "sum by (reason) (stapwatch_store_refused_total) > 0"
    assert prometheus.query(refused) == {json.dumps({"reason": "digest"}): 3}
    assert states(prometheus, "opens") == {"running": 3}, "what runs goes on"
    for path, data in right.items():
        path.write_bytes(data)


def test_another_key_is_refused_on_all(
    here: BuilderMachine, hosts: list[FleetHost], prometheus: Prometheus
) -> None:
    """Who may write to the registry can make a store that fits together, and sign it with a key of their own."""
    here.run("mv id_ed25519 right; ssh-keygen -q -t ed25519 -N '' -C thief -f id_ed25519")
    shutil.rmtree(here.work / "store")
    publish(here)
    for text in sync(hosts):
        assert "it is signed by ED25519 key SHA256:" in text and "none of module_keys" in text
    refused = "sum by (reason) (stapwatch_store_refused_total) > 0"
    wanted = {json.dumps({"reason": reason}): 3.0 for reason in ("digest", "signature")}
    wait_for(lambda: prometheus.query(refused) == wanted, "all refuse it")
    assert states(prometheus, "opens") == {"running": 3}


def blobs(here: BuilderMachine) -> set[Path]:
    return set(here.at("var/lib/docker-registry").rglob("blobs/sha256/*/*/data"))
