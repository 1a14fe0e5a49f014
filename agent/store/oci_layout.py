# SPDX-License-Identifier: GPL-2.0-or-later
"""The OCI image layout as far as a store needs it: descriptors, an index, and one manifest for each kernel.

    oci-layout                  {"imageLayoutVersion": "1.0.0"}
    index.json                  a descriptor for each kernel, with its tag
    blobs/sha256/DIGEST         manifests, catalogues, signatures, modules

A kernel's manifest lists, as an image's layers: the catalogue, the catalogue's signature, and the modules.
Any tool that copies images copies stores. JSON is written with sorted keys and without blanks, so that equal
contents are equal bytes.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from agent.store.refusals import Refusal, RefusedError
from runtime.support.record import field, record

MARK_FILE = "oci-layout"
MARK = b'{"imageLayoutVersion":"1.0.0"}'
INDEX_FILE = "index.json"
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
CATALOGUE = "application/vnd.stapwatch.catalogue.v1+json"
SIGNATURE = "application/vnd.stapwatch.catalogue.v1.sshsig"
MODULE = "application/vnd.stapwatch.module.v1"

TAG = "org.opencontainers.image.ref.name"
BUILD_ID = "io.stapwatch.kernel.build-id"
RELEASE = "io.stapwatch.kernel.release"

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_NOT_IN_TAGS = re.compile(r"[^A-Za-z0-9_.-]")


class LayoutError(RefusedError):
    """A file of a store is not what it should be; the text says which, and what is wrong."""


@record
class Descriptor:
    """A blob: its digest ("sha256:..."), its size in bytes, what it is, and notes about it."""

    media_type: str
    digest: str
    size: int
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """Relative to the store's folder."""
        return blob_path(self.digest)

    def tree(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "mediaType": self.media_type,
            "digest": self.digest,
            "size": self.size,
        }
        return {**found, "annotations": dict(self.annotations)} if self.annotations else found


def encode(tree: object) -> bytes:
    return json.dumps(tree, sort_keys=True, separators=(",", ":")).encode()


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def blob_path(digest: str) -> str:
    """Raises LayoutError: a digest becomes a path, so it must be one."""
    if not _DIGEST.fullmatch(digest):
        raise LayoutError(f"'{digest:.80}' is no digest")
    return f"blobs/sha256/{digest.removeprefix('sha256:')}"


def describe(
    data: bytes, media_type: str, annotations: Mapping[str, str] | None = None
) -> Descriptor:
    return Descriptor(media_type, digest_of(data), len(data), annotations or {})


def checked(data: bytes, wanted: Descriptor, what: str) -> bytes:
    """The data, if it is what the descriptor says. Raises LayoutError."""
    if len(data) != wanted.size:
        how = "cut short" if len(data) < wanted.size else "too long"
        text = f"{what} is {how}: {len(data):,} bytes of {wanted.size:,}"
        raise LayoutError(text, Refusal.DIGEST)
    if (found := digest_of(data)) != wanted.digest:
        text = f"{what} was changed: its digest is {found}, not {wanted.digest}"
        raise LayoutError(text, Refusal.DIGEST)
    return data


def tag(release: str, build_id: str) -> str:
    """The tag of a kernel's manifest, which each host can compute: `6.1.0-56-cloud-e4f18d9dc1d0`."""
    return f"{_NOT_IN_TAGS.sub('_', release)[:100]}-{build_id[:12]}"


def config(architecture: str) -> bytes:
    """An image's configuration, which copying tools read; hosts do not. `architecture`: as images name it."""
    rootfs = {"type": "layers", "diff_ids": []}
    return encode({"architecture": architecture, "os": "linux", "config": {}, "rootfs": rootfs})


def manifest(
    config_blob: Descriptor, layers: Iterable[Descriptor], notes: Mapping[str, str]
) -> bytes:
    tree = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": config_blob.tree(),
        "layers": [layer.tree() for layer in layers],
        "annotations": dict(notes),
    }
    return encode(tree)


def index(manifests: Iterable[Descriptor]) -> bytes:
    entries = sorted((found.tree() for found in manifests), key=lambda t: t["annotations"][TAG])
    return encode({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries})


def manifests_of(data: bytes) -> tuple[Descriptor, ...]:
    """The kernels' descriptors in an index. Raises LayoutError."""
    return _descriptors(data, "manifests", INDEX_FILE)


def layers_of(data: bytes) -> tuple[Descriptor, ...]:
    """Raises LayoutError."""
    return _descriptors(data, "layers", "a manifest")


def _descriptors(data: bytes, key: str, what: str) -> tuple[Descriptor, ...]:
    try:
        return tuple(_descriptor(tree) for tree in json.loads(data)[key])
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise LayoutError(f"{what} is damaged, or is no part of an OCI image layout") from error


def _descriptor(tree: Any) -> Descriptor:
    notes = tree.get("annotations") or {}
    found = Descriptor(
        str(tree["mediaType"]),
        str(tree["digest"]),
        int(tree["size"]),
        {str(name): str(value) for name, value in notes.items()},
    )
    blob_path(found.digest)
    return found
