# SPDX-License-Identifier: GPL-2.0-or-later
"""A host without a compiler and without headers serves what another machine has built for its kernel.

The store is built here, and a web server in the guest has it. The tests follow one another on one running service.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from agent.store import oci_layout
from lab import Guest, Image
from tests.agent.prebuilt.builder import Builder
from tests.agent.store.keys import public
from tests.system.service import Service, wait_for
from tests.system.setting import Setting

URL = "http://127.0.0.1:8123/store"
SERVER = "python3 -m http.server --bind 127.0.0.1 --directory /srv 8123"
CONNECT = "import socket; socket.create_connection(('127.0.0.1', 8123))"
SPOOL = "/var/lib/stapwatch-sync"
CALLS = """\
global %s
probe kernel.trace("sys_enter") {
	if ($id == 110 && execname() == "trigger") %s[execname()]++
}
"""
# As on a host that has never compiled anything: no tools, no headers, nothing in the caches.
STRIP = """
rm -f /usr/bin/*gcc* /usr/bin/cc /usr/bin/ld* /usr/bin/*-ld* /usr/bin/as /usr/bin/make
rm -f /lib/modules/*/build /lib/modules/*/source
mv /usr/src /usr/gone
rm -rf /var/cache/stapwatch/* /var/cache/stapwatch-compile/*
"""


@pytest.fixture(scope="module")
def builder(image: Image, setting: Setting, tmp_path_factory: pytest.TempPathFactory) -> Builder:
    """Another machine, which has the same configuration."""
    found = Builder(tmp_path_factory.mktemp("builder"), image)
    found.etc = setting.etc
    return found


@pytest.fixture(scope="module", autouse=True)
def started(guest: Guest, setting: Setting, service: Service, builder: Builder) -> None:
    """The agent runs, and nobody has fetched anything."""
    for name in ("calls", "more"):
        setting.script(name, CALLS % (name, name))
    setting.write(
        "conf.d/store.yaml",
        f"modules: ['{URL}']\nmodules_over_http: true\nmodule_keys: ['{public(builder.key)}']\n",
    )
    setting.install(guest)
    ssh_keygen = shutil.which("ssh-keygen")
    assert ssh_keygen is not None
    guest.push(Path(ssh_keygen), "/usr/bin/ssh-keygen")
    guest.run(STRIP).check()
    service.start()


def serve(guest: Guest, store: Path) -> None:
    """From now on the web server has this store."""
    guest.run(["rm", "-rf", "/srv/store"]).check()
    guest.push(store, "/srv/store")
    guest.run(f"systemctl is-active -q store || systemd-run -q --unit store {SERVER}").check()
    wait_for(lambda: guest.run(["python3", "-c", CONNECT]).status == 0, "the server listens")


def sync(guest: Guest) -> tuple[bool, str]:
    """Run the unit, with what it does afterwards. Whether it has succeeded, and its lines."""
    before = journal(guest, "stapwatch-sync")
    done = guest.run(["systemctl", "start", "stapwatch-sync"], timeout=120)
    state = ["systemctl", "show", "-P", "ActiveState", "stapwatch-sync"]
    wait_for(
        lambda: guest.run(state).stdout.strip() in ("inactive", "failed"), "the agent was told"
    )
    return done.status == 0, journal(guest, "stapwatch-sync").removeprefix(before)


def journal(guest: Guest, unit: str) -> str:
    guest.run(["journalctl", "--sync"]).check()
    return guest.run(f"journalctl -q -o cat --no-pager -u {unit}").stdout


def calls(service: Service, script: str) -> float:
    return service.count(f"stapwatch_{script}_{script}_total", execname="trigger")


def why(service: Service, script: str) -> str:
    return str(service.status()[script])


def test_the_agent_starts_and_says_what_is_missing(service: Service) -> None:
    assert service.states() == {"calls": "failed", "more": "failed"}
    text = why(service, "calls")
    assert "no store serves the script" in text
    assert f"{URL}: nothing was fetched for this kernel yet" in text


def test_a_store_that_cannot_be_reached(service: Service, guest: Guest) -> None:
    done, text = sync(guest)
    assert not done and "cannot be reached: connection refused" in text


def test_what_was_built_elsewhere_counts_here(
    service: Service, guest: Guest, builder: Builder
) -> None:
    builder.build()
    store, more = builder.store, blob_of(builder, "more")
    right = more.read_bytes()
    more.write_bytes(right[:-1] + bytes([right[-1] ^ 1]))
    serve(guest, store)
    more.write_bytes(right)
    # "more" was tampered with on its way: nothing of the store is taken
    done, text = sync(guest)
    assert not done and ".ko was changed: its digest is" in text
    assert service.value("stapwatch_store_state", store=URL, state="refused") == 1
    shown = guest.run(["stapwatch", "status", "--seconds", "0"], timeout=120).stdout
    assert f"! store {URL}: refused\n" in shown and ".ko was changed" in shown
    assert service.states() == {"calls": "failed", "more": "failed"}
    serve(guest, store)
    # the unit would tell the agent at once, but first somebody changes what was fetched
    by_hand = ["runuser", "-u", "stapwatch-sync", "--", "stapwatch", "sync", "--folder", SPOOL]
    guest.run(by_hand, timeout=120).check()
    spooled = f"{SPOOL}/blobs/sha256/{more.name}"
    guest.run(f"printf x | dd of={spooled} bs=1 seek=5000 conv=notrunc status=none").check()
    told = guest.run(["stapwatch", "sync", "--tell"], timeout=120)
    assert (told.status, told.stdout) == (
        1,
        "loaded now: calls; still without a module: more\n",
    )
    assert service.states() == {"calls": "running", "more": "failed"}
    assert re.search(
        r"module sw_more_\w+ of http.* is refused: sw_more_\w+\.ko was changed",
        journal(guest, "stapwatch-loader"),
    )
    assert service.value("stapwatch_store_modules", store=URL) == 2
    refused = "stapwatch_store_refused_total"
    assert service.value(refused, store=URL, reason="digest") == 2, "one on the way, one here"
    guest.run(["trigger", "getppid", "77"]).check()
    assert calls(service, "calls") == 77
    assert {name.split("_")[1] for name in service.modules()} == {"calls"}


def test_the_next_fetch_sets_it_right(service: Service, guest: Guest) -> None:
    done, text = sync(guest)
    assert done and "2 modules for this host, 1 fetched now" in text
    wait_for(lambda: service.states()["more"] == "running", "the agent is told")
    guest.run(["trigger", "getppid", "5"]).check()
    assert (calls(service, "calls"), calls(service, "more")) == (82, 5)


def test_a_start_needs_no_store(service: Service, guest: Guest) -> None:
    """What was taken is in the loader's cache."""
    guest.run(f"systemctl stop store; rm -rf {SPOOL}/").check()
    service.stop()
    assert service.modules() == set()
    service.start()
    assert service.states() == {"calls": "running", "more": "running"}


def test_a_replay_is_refused_by_the_loader(
    service: Service, guest: Guest, setting: Setting, builder: Builder
) -> None:
    """An older catalogue, in which a trusted key vouches for a module: the fetcher has forgotten, the loader not."""
    setting.script("late", CALLS % ("late", "late"))
    shutil.rmtree(builder.store)
    builder.build(epoch=999)
    setting.install(guest)
    serve(guest, builder.store)
    service.reload_in_vain()
    done, text = sync(guest)
    assert done and "3 modules for this host" in text
    assert "it is older than one that was seen here: serial 999" in wait_for(
        lambda: (
            journal(guest, "stapwatch-loader")
            if "is older than" in journal(guest, "stapwatch-loader")
            else None
        ),
        "the loader refuses it",
    )
    assert service.states()["late"] == "failed"


def blob_of(builder: Builder, script: str) -> Path:
    [found] = [m for m in builder.catalogue().modules if m.script == script]
    return builder.store / oci_layout.blob_path(found.digest)
