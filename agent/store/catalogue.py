# SPDX-License-Identifier: GPL-2.0-or-later
"""The catalogue of one kernel's modules: what a store's signature covers.

    catalogue.encode()  -> b'{"builder":...,"kernel":{"build_id":...},"modules":[{"identity":...}],...}'
    decode(data)        -> Catalogue(store="fleet", serial=1764520000, kernel=..., modules=(...))

A module's digest is in it, so whoever believes the catalogue need believe nothing else that a server says.
The serial rises with each change: a host refuses a catalogue that is older than one it has seen.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from agent.store import oci_layout
from agent.store.oci_layout import Descriptor, LayoutError
from runtime.support.record import asdict, field, record, replace

FORMAT = 1
_NAME = re.compile(r"sw_[a-z0-9_]{1,60}")  # it becomes the name of a file
_MODULE_NOTES = ("script", "module", "identity", "compiler", "abi", "revision")


@record
class StoredKernel:
    """`build_id`: hexadecimal. `architecture`: as `uname -m` prints it."""

    build_id: str
    release: str
    architecture: str


@record
class StoredModule:
    """`identity`: of the script with its options and the kernel (compiler/driver/module_cache.py).

    `inputs`: the files that the module probes, with their size and time. `warnings`: of the compiler.
    `signer`: the certificate whose key has signed it for the kernel; empty if none has.
    """

    identity: str
    script: str
    module: str
    digest: str
    size: int
    compiler: str
    abi: int
    revision: str = ""
    inputs: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[Mapping[str, Any], ...] = ()
    signer: str = ""

    @property
    def descriptor(self) -> Descriptor:
        notes = {f"io.stapwatch.{name}": str(getattr(self, name)) for name in _MODULE_NOTES}
        title = {"org.opencontainers.image.title": f"{self.module}.ko"}
        return Descriptor(oci_layout.MODULE, self.digest, self.size, {**notes, **title})


@record
class Catalogue:
    """`store`: the name of the store, whose serials rise. `serial`: seconds since 1970, if nobody chose
    another number. `builder`: who has built it."""

    store: str
    serial: int
    kernel: StoredKernel
    builder: str
    modules: tuple[StoredModule, ...] = ()

    def encode(self) -> bytes:
        return oci_layout.encode({"format": FORMAT, **asdict(self)})

    def find(self, identity: str) -> StoredModule | None:
        return next((found for found in self.modules if found.identity == identity), None)


def decode(data: bytes) -> Catalogue:
    """Raises LayoutError: the text says what is wrong."""
    try:
        tree = json.loads(data)
        if tree["format"] != FORMAT:
            message = (
                f"the catalogue has format {tree['format']!r:.20}, and this release reads {FORMAT}"
            )
            raise LayoutError(f"{message}: upgrade stapwatch here, or build with this release")
        return Catalogue(
            _text(tree["store"]),
            _number(tree["serial"]),
            StoredKernel(**{name: _text(value) for name, value in tree["kernel"].items()}),
            _text(tree["builder"]),
            tuple(map(_module, tree["modules"])),
        )
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise LayoutError(f"the catalogue is damaged: {error!r:.200}") from error


def _module(tree: Any) -> StoredModule:
    found = StoredModule(**{name: value for name, value in tree.items() if name in _FIELDS})
    found = replace(found, warnings=tuple(found.warnings))
    for name in ("identity", "script", "module", "compiler", "revision", "signer"):
        _text(getattr(found, name))
    if not _NAME.fullmatch(found.module):
        raise ValueError(f"{found.module!r:.80} is no name of a module")
    _number(found.size), _number(found.abi)
    oci_layout.blob_path(found.digest)
    for path, signature in found.inputs.items():
        _text(path), _text(signature)
    return found


_FIELDS = frozenset(StoredModule.__annotations__)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.60} is no text")
    return value


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError(f"{value!r:.60} is no number")
    return value
