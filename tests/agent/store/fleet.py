# SPDX-License-Identifier: GPL-2.0-or-later
"""A builder, its store, and a host that has a spool folder and a loader. Modules are made up: their code is nothing.

fleet = Fleet(tmp_path)
fleet.publish()              # the store has a module for each script of the host
fleet.sync()                 -> [Synced(...)]
fleet.find("vfs")            -> Response(True, "sw_vfs_1", ...), or None; fleet.said has the reasons
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from pathlib import Path

from agent.config import load
from agent.config.settings import Settings
from agent.loader.operations import Operations
from agent.prebuilt.store_writer import StoreWriter
from agent.prebuilt.syncing import HostKernel, Synced, note, sync
from agent.scripts import module_lookup, variants
from agent.scripts.kernel_modules import Keeper, Modules
from agent.store import signature
from agent.store.catalogue import Catalogue, StoredKernel, StoredModule
from agent.store.oci_layout import digest_of
from agent.store.refusals import RefusalCounts
from agent.store.serials import Serials
from agent.store.spool import Spool
from agent.store.stored_modules import StoredModules
from compiler.kernel.image import running_build_id
from compiler.protocol import Request, Response
from runtime.abi.manifest import Manifest
from runtime.support.record import replace
from tests.agent.store.keys import new_key, public

SCRIPTS = ("vfs", "tcp")
COMPILER = "9.9.9+aa"
BUILD_ID = running_build_id().hex()
KERNEL = StoredKernel(BUILD_ID, os.uname().release, os.uname().machine)


class Fleet:
    """`modules`: the bytes of each script's module, as the builder has made it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.store = folder, folder / "store"
        self.key, self.serial = new_key(folder / "key"), 1000
        self.spool = Spool(folder / "spool")
        self.said: list[str] = []
        self.other_kernels: list[HostKernel] = []  # that are installed, besides the one that runs
        (folder / "etc/probes.d").mkdir(parents=True)
        for name in SCRIPTS:
            (folder / f"etc/probes.d/{name}.stp").write_text("probe begin {}")
        self.url = self.store.as_uri()
        self.configure()
        self.modules = {name: self.module(name) for name in SCRIPTS}
        self.restart_loader()

    # -- the host ------------------------------------------------------------------------------------

    def configure(self, *urls: str, keys: tuple[Path, ...] | None = None, more: str = "") -> None:
        trusted = [public(key) for key in ((self.key,) if keys is None else keys)]
        self.config.write_text(
            "insecure_files: true\nscript_folders: [probes.d]\n"
            f"modules: {list(urls or [self.url])}\nmodule_keys: {trusted}\n{more}"
        )

    @property
    def config(self) -> Path:
        return self.folder / "etc/stapwatch.yaml"

    @property
    def settings(self) -> Settings:
        return load.load(self.config)

    def request(self, script: str) -> Request:
        """The agent's."""
        settings = self.settings
        [found] = variants.candidates(settings.scripts[script], settings)
        return replace(found.request, cache=str(self.folder / "cache"), output=None)

    def identity(self, script: str) -> str:
        return module_lookup.identity(self.request(script))

    def restart_loader(self, counts: RefusalCounts | None = None) -> None:
        """The next one knows what is in its files."""
        counts = counts or RefusalCounts()
        serials = Serials(self.folder / "loader")
        stored = StoredModules(self.spool, serials, self.said.append, counts)
        modules = Modules(self.folder / "dev", Keeper.AGENT)
        self.operations = Operations(modules, self.folder / "out", self.config, stored, counts)

    def find(self, script: str, request: Request | None = None) -> Response | None:
        """What the loader answers to the agent."""
        wanted = request or self.request(script)
        return self.operations._find(wanted)

    def cached(self) -> list[str]:
        """The modules in the loader's cache."""
        return sorted(path.name for path in (self.folder / "cache/entries").rglob("*.ko"))

    def sync(self) -> list[Synced]:
        needed = {self.identity(name): name for name in self.settings.scripts}
        kernels = [HostKernel(KERNEL.release, KERNEL.build_id, needed), *self.other_kernels]
        serials = Serials(self.folder / "spool")
        return sync(self.settings.stores, self.spool, serials, kernels)

    def sync_and_note(self) -> None:
        """As the command does."""
        note(self.sync(), self.spool.folder)

    # -- the builder -----------------------------------------------------------------------------------

    def module(self, script: str, **changes: str) -> bytes:
        return module(
            name=script, module=f"sw_{script}_1", identity=self.identity(script), **changes
        )

    def stored(self, script: str, **changes: object) -> StoredModule:
        data = self.modules[script]
        found = StoredModule(
            self.identity(script),
            script,
            f"sw_{script}_1",
            digest_of(data),
            len(data),
            COMPILER,
            1,
        )
        return replace(found, **changes)

    def catalogue(self, **changes: object) -> Catalogue:
        modules = tuple(self.stored(name) for name in SCRIPTS)
        return replace(Catalogue("test", self.serial, KERNEL, "a test", modules), **changes)

    def publish(self, catalogue: Catalogue | None = None, made: bytes | None = None) -> None:
        """Write the store. `made`: another signature."""
        catalogue = catalogue or self.catalogue()
        if made is None:
            made = signature.sign(catalogue.encode(), self.key)
        with StoreWriter.opened(self.store) as store:
            for data in self.modules.values():
                store.add_blob(data)
            store.put(catalogue, made)
            store.finish()


def module(**known: str) -> bytes:
    """An ELF file that has nothing but a manifest."""
    given: Mapping[str, str] = {"release": KERNEL.release, "build_id": BUILD_ID, **known}
    numbers = dict.fromkeys(
        ("shared_size", "lane_size", "probe_status", "probe_counts", "lane_counts"), 0
    )
    empty = {"probes": (), "tables": (), "prints": (), "errors": ()}
    text = Manifest(**{"compiler": COMPILER, **given, **numbers, **empty}).to_json().encode()  # type: ignore[arg-type]
    names = b"\0.stapwatch.manifest\0"
    body = text + names
    sections = [(0, 0, 0), (1, 64, len(text)), (0, 64 + len(text), len(names))]
    header = struct.pack("<16s24xQ10xHHH", b"\x7fELF\x02\x01\x01", 64 + len(body), 64, 3, 2)
    table = b"".join(struct.pack("<I20xQQ24x", *section) for section in sections)
    return header + body + table
