# SPDX-License-Identifier: GPL-2.0-or-later
"""Fetches what this host can use of its stores into the spool folder.

    sync(settings.stores, Spool(), Serials(folder), kernels, say)
      -> [Synced("https://modules.example.org/store", "6.1.0-56-cloud", fetched=3, modules=20, ...)]
    note(results, folder)                  # for the agent's metrics

For each kernel that is installed, so that the next boot finds what it needs, the catalogue is fetched and
checked as the loader checks it; then the modules that this host's scripts need and that are not there yet. A
store that cannot be reached, or that shows something wrong, leaves what is there.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from agent.config.settings import StoreSettings
from agent.prebuilt import registry
from agent.store import oci_layout
from agent.store.catalogue import Catalogue, StoredModule, decode
from agent.store.looks import Look, Looks, StoreState
from agent.store.oci_layout import Descriptor, LayoutError
from agent.store.refusals import RefusedError
from agent.store.serials import Serials
from agent.store.signature import LARGEST, SignatureError
from agent.store.sources import Source, SourceError, source_of
from agent.store.spool import LARGEST_CATALOGUE, LARGEST_MODULE, SignedCatalogue, Spool
from agent.store.stored_modules import checked
from runtime.support.record import record, replace

_INDEX = 4 << 20  # bytes of an index, and of a manifest
_SHOWN = 8  # kernels in a message
_MOST = 1 << 30  # bytes of all modules of a store that one host takes
Needed = Mapping[str, str]  # module identity -> script


@record
class HostKernel:
    """A kernel of this host. `needed`: the identities of the modules that the configuration asks for, with
    their scripts."""

    release: str
    build_id: str
    needed: Needed


@record
class Synced:
    """One store, for one kernel. `problem`: why it gave nothing; empty if all is well. `modules`: of its
    modules this host needs so many; `absent`: scripts that it has none for. `state`, `refusal`: as the
    agent's metrics have them."""

    url: str
    release: str
    problem: str = ""
    fetched: int = 0
    modules: int = 0
    absent: tuple[str, ...] = ()
    build_id: str = ""
    state: StoreState = StoreState.READY
    refusal: str = ""


class _NoKernelError(Exception):
    """A store has nothing for a kernel; the text says what it has."""


def sync(
    stores: StoreSettings,
    spool: Spool,
    serials: Serials,
    kernels: Sequence[HostKernel],
    say: Callable[[str], None] = lambda text: None,
) -> list[Synced]:
    """Ask each store, for each kernel. Raises OSError if the spool folder cannot be written."""
    results, kept = [], set()
    for kernel in kernels:
        for url in stores.of(kernel.release):
            store = _Store(url, stores, spool, serials, kernel, say)
            result = Synced(url, kernel.release, build_id=kernel.build_id)
            try:
                result = store.fetch()
            except (_NoKernelError, registry.NoTagError) as error:
                result = replace(result, problem=str(error), state=StoreState.NO_KERNEL)
            except SourceError as error:
                result = replace(result, problem=str(error), state=StoreState.UNAVAILABLE)
            except RefusedError as error:
                refused, reason = StoreState.REFUSED, error.reason.value
                result = replace(result, problem=str(error), state=refused, refusal=reason)
            results.append(result)
            kept |= store.in_use()
    spool.keep_only(stores.all, [kernel.build_id for kernel in kernels], kept)
    return results


class _Store:
    """One store's way into the spool folder, for one kernel."""

    def __init__(
        self,
        url: str,
        stores: StoreSettings,
        spool: Spool,
        serials: Serials,
        kernel: HostKernel,
        say: Callable[[str], None],
    ) -> None:
        self._url, self._stores, self._spool = url, stores, spool
        self._serials, self._host, self._say = serials, kernel, say

    def fetch(self) -> Synced:
        """Raises SourceError, RefusedError, _NoKernelError, OSError."""
        tag = oci_layout.tag(self._host.release, self._host.build_id)
        with registry.opened(self._url, tag, self._spool.folder, self._stores.plain_http) as folder:
            url = folder.as_uri() if folder is not None else self._url
            source = source_of(url, plain_http=self._stores.plain_http)
            signed = self._signed(source, tag)
            catalogue = checked(
                signed.data,
                signed.signature,
                self._stores.keys,
                self._host.build_id,
                self._serials,
            )
            needed = [m for m in catalogue.modules if m.identity in self._host.needed]
            fetched = self._fetch_modules(source, needed)
        # last: what the catalogue promises is there
        self._spool.publish(self._url, self._host.build_id, signed)
        release, absent = self._host.release, self._absent(catalogue)
        return Synced(self._url, release, "", fetched, len(needed), absent, self._host.build_id)

    def in_use(self) -> set[str]:
        """The digests that the catalogue in the spool names for this host."""
        try:
            signed = self._spool.catalogue(self._url, self._host.build_id)
            if signed is None:
                return set()
            modules = decode(signed.data).modules
        except LayoutError:
            return set()
        return {module.digest for module in modules if module.identity in self._host.needed}

    def _absent(self, catalogue: Catalogue) -> tuple[str, ...]:
        there = {module.identity for module in catalogue.modules}
        needed = self._host.needed
        return tuple(sorted({needed[identity] for identity in needed.keys() - there}))

    def _signed(self, source: Source, tag: str) -> SignedCatalogue:
        """The catalogue of this kernel, as it is; its signature is not checked yet."""
        kernels = oci_layout.manifests_of(source.read(oci_layout.INDEX_FILE, _INDEX))
        found = next((k for k in kernels if k.annotations.get(oci_layout.TAG) == tag), None)
        if found is None:
            names = [kernel.annotations.get(oci_layout.TAG, "") for kernel in kernels[:_SHOWN]]
            shown = ", ".join([*names, *(["..."] if len(kernels) > _SHOWN else [])]) or "none"
            raise _NoKernelError(
                f"it has no modules for this kernel (build-id {self._host.build_id}); kernels in it: {shown}"
            )
        layers = oci_layout.layers_of(_blob(source, found, "the manifest", _INDEX))
        parts = {layer.media_type: layer for layer in layers}
        if oci_layout.CATALOGUE not in parts or oci_layout.SIGNATURE not in parts:
            raise SignatureError("it is not signed", "build it with --index-key")
        data = _blob(source, parts[oci_layout.CATALOGUE], "the catalogue", LARGEST_CATALOGUE)
        made = _blob(source, parts[oci_layout.SIGNATURE], "the signature", LARGEST)
        return SignedCatalogue(data, made)

    def _fetch_modules(self, source: Source, needed: list[StoredModule]) -> int:
        """How many were not there yet."""
        if (size := sum(module.size for module in needed)) > _MOST:
            raise LayoutError(
                f"its modules for this host have {size:,} bytes, of at most {_MOST:,}"
            )
        fetched = 0
        for module in needed:
            if self._spool.has(module.descriptor):
                continue
            self._say(f"{self._url}: {module.module}.ko, {module.size / 1024:,.0f} KiB")
            data = _blob(source, module.descriptor, f"{module.module}.ko", LARGEST_MODULE)
            self._spool.add_blob(module.descriptor, data)
            fetched += 1
        return fetched


def _blob(source: Source, wanted: Descriptor, what: str, limit: int) -> bytes:
    """Raises SourceError, LayoutError."""
    if wanted.size > limit:
        raise LayoutError(f"{what} has {wanted.size:,} bytes, of at most {limit:,}")
    return oci_layout.checked(source.read(wanted.path, wanted.size), wanted, what)


def note(results: Sequence[Synced], folder: Path, now: float | None = None) -> None:
    """Write down what was found. `now`: seconds since 1970; None for the time it is. Raises OSError."""
    looks = [
        Look(r.url, r.build_id, r.state, r.problem, r.modules, r.absent, r.refusal) for r in results
    ]
    Looks(folder).note(looks, time.time() if now is None else now)


def text_of(result: Synced) -> str:
    """One line for a person."""
    where = f"{result.url}: kernel {result.release}"
    if result.problem:
        return f"{where}: {result.problem}"
    absent = f"; none for {', '.join(result.absent)}" if result.absent else ""
    return f"{where}: {result.modules} modules for this host, {result.fetched} fetched now{absent}"


def state_folder(default: Path) -> Path:
    """The folder of the unit that runs this (systemd names it), or the default."""
    return Path(os.environ.get("STATE_DIRECTORY", "").partition(":")[0] or default)
