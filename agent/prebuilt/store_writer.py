# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes a store: an OCI image layout with a manifest for each kernel.

    with StoreWriter.opened(Path("store")) as store:
        store.catalogue(kernel)            -> the one that is there, or None
        store.add_blob(module)             -> "sha256:..."
        store.put(catalogue, signature)    # the kernel's manifest
        store.finish()                     # from now on readers see it

Blobs come first and the index last, by a rename, so a reader sees the store as it was or as it is.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path

from agent.store import catalogue as catalogues
from agent.store import oci_layout
from agent.store.catalogue import Catalogue, StoredKernel
from agent.store.oci_layout import Descriptor, LayoutError
from compiler.arch import arch_of
from runtime.support import whole_file


class StoreWriter:
    """Use `opened`. Raises LayoutError for a folder that is no store, and OSError."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._manifests: dict[str, Descriptor] = {}  # by tag
        self._read()

    @classmethod
    @contextlib.contextmanager
    def opened(cls, folder: Path) -> Iterator[StoreWriter]:
        """One writer at a time; another one waits. The folder is created."""
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield cls(folder)
        finally:
            os.close(handle)

    def catalogue(self, kernel: StoredKernel) -> Catalogue | None:
        """What the store has for this kernel."""
        data = self._layer(kernel, oci_layout.CATALOGUE)
        return catalogues.decode(data) if data else None

    def signature(self, catalogue: Catalogue) -> bytes:
        """The signature of a catalogue that is there as it is; else empty."""
        if self.catalogue(catalogue.kernel) != catalogue:
            return b""
        return self._layer(catalogue.kernel, oci_layout.SIGNATURE)

    def has(self, digest: str, size: int) -> bool:
        """Whether the blob is there, as far as its size tells."""
        with contextlib.suppress(OSError):
            return (self._folder / oci_layout.blob_path(digest)).stat().st_size == size
        return False

    def add_blob(self, data: bytes) -> str:
        """The blob's digest. One that is there stays as it is."""
        digest = oci_layout.digest_of(data)
        path = self._folder / oci_layout.blob_path(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        if not self.has(digest, len(data)):
            _write(path, data)
        return digest

    def put(self, catalogue: Catalogue, signature: bytes) -> None:
        """Replace the manifest of the catalogue's kernel. `signature`: empty for an unsigned store."""
        kernel = catalogue.kernel
        layers = [self._add(catalogue.encode(), oci_layout.CATALOGUE)]
        if signature:
            layers.append(self._add(signature, oci_layout.SIGNATURE))
        # two scripts that differ in their names only are one module
        modules = {module.digest: module.descriptor for module in catalogue.modules}
        notes = {
            oci_layout.BUILD_ID: kernel.build_id,
            oci_layout.RELEASE: kernel.release,
            "io.stapwatch.kernel.architecture": kernel.architecture,
            "io.stapwatch.store": catalogue.store,
            "io.stapwatch.serial": str(catalogue.serial),
            "io.stapwatch.builder": catalogue.builder,
        }
        config = self._add(
            oci_layout.config(arch_of(kernel.architecture).image_name), oci_layout.CONFIG
        )
        made = oci_layout.manifest(config, [*layers, *modules.values()], notes)
        self.add_blob(made)
        tag = oci_layout.tag(kernel.release, kernel.build_id)
        notes = {**notes, oci_layout.TAG: tag}
        self._manifests[tag] = oci_layout.describe(made, oci_layout.MANIFEST, notes)

    def finish(self) -> None:
        """Show readers what was put in."""
        _write(self._folder / oci_layout.MARK_FILE, oci_layout.MARK)
        _write(self._folder / oci_layout.INDEX_FILE, oci_layout.index(self._manifests.values()))

    def sweep(self) -> int:
        """Remove blobs that no manifest names; how many bytes they had."""
        named = {manifest.digest for manifest in self._manifests.values()}
        for manifest in self._manifests.values():
            tree = json.loads(self._blob(manifest))
            named |= {part["digest"] for part in (tree["config"], *tree["layers"])}
        freed = 0
        for path in (self._folder / "blobs/sha256").iterdir():
            if f"sha256:{path.name}" not in named:
                freed += path.stat().st_size
                path.unlink()
        return freed

    def _read(self) -> None:
        index = self._folder / oci_layout.INDEX_FILE
        if not index.exists():
            if left := next(self._folder.iterdir(), None):
                raise LayoutError(
                    f"{self._folder} is no store: it has {left.name}, and no index.json"
                )
            return
        for found in oci_layout.manifests_of(index.read_bytes()):
            tag = found.annotations.get(oci_layout.TAG)
            if tag is None or oci_layout.BUILD_ID not in found.annotations:
                raise LayoutError(f"{index} is of another image layout, not of stapwatch's modules")
            self._manifests[tag] = found

    def _layer(self, kernel: StoredKernel, media_type: str) -> bytes:
        """The blob of that type in a kernel's manifest; empty if there is none."""
        found = self._manifests.get(oci_layout.tag(kernel.release, kernel.build_id))
        layers = oci_layout.layers_of(self._blob(found)) if found is not None else ()
        return next((self._blob(la) for la in layers if la.media_type == media_type), b"")

    def _add(self, data: bytes, media_type: str) -> Descriptor:
        self.add_blob(data)
        return oci_layout.describe(data, media_type)

    def _blob(self, wanted: Descriptor) -> bytes:
        data = (self._folder / wanted.path).read_bytes()
        return oci_layout.checked(data, wanted, f"the store's blob {wanted.digest}")


def _write(path: Path, data: bytes) -> None:
    """Atomically; a file that has these bytes is left alone, so that copying tools skip it."""
    with contextlib.suppress(OSError):
        if path.read_bytes() == data:
            return
    whole_file.write(path, data)
