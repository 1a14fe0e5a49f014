# SPDX-License-Identifier: GPL-2.0-or-later
"""The loader takes a module out of the spool folder only if all about it is right. Signatures are ssh-keygen's."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.store import signature
from agent.store.stored_modules import with_absence
from compiler.driver import unsafe_runtimes
from compiler.driver.unsafe_runtimes import UnsafeRuntime
from compiler.protocol import Diagnostic, Response
from runtime.support.record import replace
from tests.agent.store.fleet import BUILD_ID, KERNEL, Fleet, module
from tests.agent.store.keys import new_key

pytestmark = pytest.mark.host  # ssh-keygen


@pytest.fixture
def synced(fleet: Fleet) -> Fleet:
    fleet.publish()
    [result] = fleet.sync()
    assert (result.problem, result.fetched) == ("", 2)
    return fleet


def test_a_module_comes_into_the_cache_once(synced: Fleet) -> None:
    found = synced.find("vfs")
    assert found is not None and found.ok and found.cached and found.module == "sw_vfs_1"
    assert found.identity == synced.identity("vfs")
    assert Path(found.path).read_bytes() == synced.modules["vfs"]
    assert synced.cached() == ["sw_vfs_1.ko"] and synced.said == []
    # from now on the store is not needed
    (synced.folder / "spool").rename(synced.folder / "gone")
    synced.restart_loader()
    again = synced.find("vfs")
    assert again is not None and again.path == found.path
    assert synced.find("tcp") is None


def test_another_compilers_module_serves_in_the_next_boot_as_well(
    synced: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store has it because the operator has built it."""
    first = synced.find("vfs")
    monkeypatch.setattr("compiler.driver.module_cache.boot_id", lambda: "the next boot")
    again = synced.find("vfs")
    assert first is not None and again is not None and again.module == first.module


def test_what_the_configuration_does_not_ask_for_is_not_taken(synced: Fleet) -> None:
    """The agent's word is not enough, although a trusted key has signed the module."""
    request = synced.request("vfs")
    synced.config.write_text(synced.config.read_text() + "scripts: {vfs: {enabled: false}}\n")
    synced.restart_loader()
    assert synced.find("vfs", request) is None
    assert synced.cached() == []


# -- what is wrong in the spool folder, whose writer is not trusted -----------------------------------


def _blob(fleet: Fleet) -> Path:
    return fleet.spool.folder / fleet.stored("vfs").descriptor.path


def _change(fleet: Fleet) -> None:
    data = bytearray(_blob(fleet).read_bytes())
    data[100] ^= 1
    _blob(fleet).write_bytes(data)


def _truncate(fleet: Fleet) -> None:
    _blob(fleet).write_bytes(_blob(fleet).read_bytes()[:-1])


def _remove(fleet: Fleet) -> None:
    _blob(fleet).unlink()


def _fifo(fleet: Fleet) -> None:
    _blob(fleet).unlink()
    os.mkfifo(_blob(fleet))


def _edit(fleet: Fleet, edit: Callable[[dict[str, str]], object]) -> None:
    [file] = (fleet.spool.folder / "stores").glob("*/*.json")
    tree = json.loads(file.read_text())
    edit(tree)
    file.write_text(json.dumps(tree))


def _another_module(fleet: Fleet) -> None:
    """The digest of another module, in the catalogue."""
    vfs, tcp = fleet.stored("vfs"), fleet.stored("tcp")
    _edit(fleet, lambda t: t.update(catalogue=t["catalogue"].replace(vfs.digest, tcp.digest)))


def _damage(fleet: Fleet) -> None:
    _edit(fleet, lambda tree: tree.pop("signature"))


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (_change, "module sw_vfs_1 of .* is refused: sw_vfs_1.ko was changed: its digest is"),
        (_truncate, "module sw_vfs_1 of .* is refused: sw_vfs_1.ko is cut short"),
        (_remove, "module sw_vfs_1 of .* is refused: sw_vfs_1.ko is not in .*spool"),
        (_fifo, "module sw_vfs_1 of .* is refused: .*FIFO"),
        (_another_module, "the catalogue of .* is refused: its signature does not fit"),
        (_damage, r"the catalogue of .* is refused: .*\.json is damaged"),
    ],
)
def test_what_was_changed_is_refused(
    synced: Fleet, harm: Callable[[Fleet], None], why: str
) -> None:
    harm(synced)
    assert synced.find("vfs") is None
    assert synced.find("vfs") is None
    assert synced.cached() == []
    assert len(synced.said) == 1, "it is told once"
    assert re.search(why, synced.said[0])


# -- what a builder, or somebody who says so, may have signed ------------------------------------------


def spooled(fleet: Fleet, made: bytes | None = None, **changes: object) -> None:
    """A catalogue in the spool folder that `stapwatch sync` would not have put there."""
    fleet.publish()
    fleet.sync()
    data = fleet.catalogue(**changes).encode()
    made = signature.sign(data, fleet.key) if made is None else made
    _edit(fleet, lambda t: t.update(catalogue=data.decode(), signature=made.decode()))
    fleet.restart_loader()


def refused(fleet: Fleet, words: str) -> None:
    assert fleet.find("vfs") is None
    assert fleet.cached() == []
    assert len(fleet.said) == 1 and words in fleet.said[0]


def test_another_key(fleet: Fleet) -> None:
    other = new_key(fleet.folder / "other")
    spooled(fleet, signature.sign(fleet.catalogue().encode(), other))
    refused(fleet, "it is signed by ED25519 key SHA256:")
    assert "none of module_keys" in fleet.said[0]


def test_a_signature_of_something_else(fleet: Fleet) -> None:
    """By the same key, and of the same bytes: a mail, say."""
    argv = ["ssh-keygen", "-Y", "sign", "-f", str(fleet.key), "-n", "email"]
    done = subprocess.run(argv, input=fleet.catalogue().encode(), capture_output=True, check=True)
    spooled(fleet, done.stdout)
    refused(fleet, "its signature does not fit")


def test_no_signature(fleet: Fleet) -> None:
    spooled(fleet, b"")
    refused(fleet, "its signature does not fit")


def test_another_kernel(fleet: Fleet) -> None:
    spooled(fleet, kernel=replace(KERNEL, build_id="00" * 20))
    refused(fleet, "it is of another kernel")
    assert BUILD_ID in fleet.said[0]


def test_a_module_of_another_script(fleet: Fleet) -> None:
    wrong = fleet.stored("tcp", identity=fleet.identity("vfs"))
    spooled(fleet, modules=(wrong,))
    refused(fleet, "it is of another script, option or kernel: sw_tcp_1")


def test_a_module_under_another_name(fleet: Fleet) -> None:
    fleet.modules["vfs"] = module(name="vfs", module="sw_x_1", identity=fleet.identity("vfs"))
    spooled(fleet)
    refused(fleet, "it is of another script, option or kernel: sw_x_1")


def test_no_module(fleet: Fleet) -> None:
    fleet.modules["vfs"] = b"#!/bin/sh\n"
    spooled(fleet)
    refused(fleet, "it is no module of stapwatch's")


def test_a_path_for_a_name(fleet: Fleet) -> None:
    spooled(fleet, modules=(fleet.stored("vfs", module="../../sw_vfs_1"),))
    refused(fleet, "is no name of a module")


def test_a_program_that_differs_here(fleet: Fleet) -> None:
    spooled(fleet, modules=(fleet.stored("vfs", inputs={"/usr/sbin/sshd": "1:2"}),))
    refused(fleet, "it probes /usr/sbin/sshd, which is another file here than for the builder")


def test_a_release_that_may_hurt(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    unsafe = (UnsafeRuntime("9.9.0", "9.9.10", "may forget to count"),)
    monkeypatch.setattr(unsafe_runtimes, "UNSAFE", unsafe)
    spooled(fleet)
    refused(fleet, "may forget to count")


def test_an_older_one_is_a_replay(fleet: Fleet) -> None:
    """Also for the next loader: what it has seen is in its own folder."""
    fleet.serial = 2000
    fleet.publish()
    fleet.sync()
    assert fleet.find("vfs") is not None
    fleet.serial = 1999
    spooled(fleet, serial=1999)
    assert fleet.find("tcp") is None
    assert "it is older than one that was seen here: serial 1999" in fleet.said[-1]
    assert fleet.cached() == ["sw_vfs_1.ko"]
    spooled(fleet, serial=1999, store="another")
    assert fleet.find("tcp") is not None, "serials of another store are its own"


def test_without_keys(fleet: Fleet) -> None:
    spooled(fleet)
    fleet.configure(keys=())
    refused(fleet, "no key is trusted; write the builder's public key to module_keys")


def test_a_key_that_is_taken_away(synced: Fleet) -> None:
    assert synced.find("vfs") is not None
    synced.configure(keys=(new_key(synced.folder / "new"),))
    assert synced.find("tcp") is None
    assert "none of module_keys" in synced.said[-1]


# -- what a person is told ----------------------------------------------------------------------------


def absence(fleet: Fleet) -> str:
    stored, request = fleet.operations._stored, fleet.request("vfs")
    assert stored is not None
    return stored.absence(request, fleet.operations._trust(request))


def test_why_no_store_serves_a_script(fleet: Fleet) -> None:
    assert "nothing was fetched for this kernel yet (systemctl start" in absence(fleet)
    fleet.publish(fleet.catalogue(modules=(fleet.stored("tcp"),)))
    fleet.sync()
    assert "it has no module of it among the 1 for this kernel (serial 1000)" in absence(fleet)
    fleet.serial = 1764520000
    fleet.publish(fleet.catalogue(modules=(fleet.stored("vfs", identity="00"),)))
    fleet.sync()
    text = absence(fleet)
    assert "it has script vfs with other text or options" in text
    assert "(serial 1764520000 (2025-11-30 16:26:40 UTC))" in text


def test_only_a_lack_of_tools_is_a_reason_to_tell() -> None:
    text = "error[no-headers]: no headers\n  --> <vfs>"
    lack = Response(False, errors=(Diagnostic("no-headers", "no headers", hint="x", text=text),))
    [told] = with_absence(lack, lambda: "store: it has no module").errors
    assert told.hint == "x; no store serves the script: store: it has no module"
    assert told.text.endswith("\nnote: no store serves the script: store: it has no module")
    wrong = Response(False, errors=(Diagnostic("syntax", "expected ')'"),))
    assert with_absence(wrong, lambda: "store").errors == wrong.errors
    assert with_absence(lack, lambda: "") == lack
