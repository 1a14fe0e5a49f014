# SPDX-License-Identifier: GPL-2.0-or-later
"""The folder in which `stapwatch sync` puts what it has fetched, and from which the loader takes it.

    spool = Spool(Path("/var/lib/stapwatch-sync"))
    spool.publish(url, build_id, SignedCatalogue(data, signature))
    spool.catalogue(url, build_id)           -> SignedCatalogue, or None
    spool.blob("sha256:...", size)           -> bytes

Whoever writes here has no privileges, so its reader believes none of it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from agent.store import oci_layout
from agent.store.oci_layout import Descriptor, LayoutError
from runtime.support import bounded_file, whole_file
from runtime.support.record import record

FOLDER = Path("/var/lib/stapwatch-sync")
STORES = "stores"  # in it
LARGEST_CATALOGUE = 16 << 20  # bytes; a thousand modules have 1 MB
LARGEST_MODULE = 64 << 20


@record
class SignedCatalogue:
    """The bytes as the builder has signed them."""

    data: bytes
    signature: bytes


class Spool:
    """One folder for each store, and one for the blobs of all."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self.folder = folder

    def seen(self, url: str, build_id: str) -> tuple[int, int] | None:
        """What tells one catalogue of that kernel from the next; None if there is none."""
        with contextlib.suppress(OSError):
            found = self._file(url, build_id).stat()
            return found.st_mtime_ns, found.st_ino
        return None

    def has_any(self, build_id: str) -> bool:
        """Whether any store has something for that kernel."""
        return next(self.folder.glob(f"{STORES}/*/{build_id}.json"), None) is not None

    def catalogue(self, url: str, build_id: str) -> SignedCatalogue | None:
        """None if there is none. Raises LayoutError for a damaged one."""
        path = self._file(url, build_id)
        try:
            tree = json.loads(bounded_file.read(path, 2 * LARGEST_CATALOGUE))
            return SignedCatalogue(tree["catalogue"].encode(), tree["signature"].encode())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise LayoutError(f"{path} cannot be read: {error.strerror}") from error
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise LayoutError(f"{path} is damaged") from error

    def blob(self, wanted: Descriptor, what: str) -> bytes:
        """The blob, which is what the descriptor says. Raises LayoutError."""
        path = self.folder / wanted.path
        try:
            return oci_layout.checked(bounded_file.read(path, LARGEST_MODULE), wanted, what)
        except OSError as error:
            raise LayoutError(f"{what} is not in {self.folder}: {error.strerror}") from error

    def has(self, wanted: Descriptor) -> bool:
        """Whether the blob is there and intact."""
        with contextlib.suppress(LayoutError):
            self.blob(wanted, "")
            return True
        return False

    def publish(self, url: str, build_id: str, signed: SignedCatalogue) -> None:
        """Once its blobs are there. Raises OSError."""
        tree = {
            "url": url,
            "catalogue": signed.data.decode(),
            "signature": signed.signature.decode(),
        }
        self._write(self._file(url, build_id), oci_layout.encode(tree))

    def add_blob(self, wanted: Descriptor, data: bytes) -> None:
        """Raises OSError."""
        self._write(self.folder / wanted.path, data)

    def keep_only(
        self, urls: Iterable[str], build_ids: Iterable[str], digests: Iterable[str]
    ) -> None:
        """Remove stores that the configuration no longer has, kernels that are not installed any more, and
        blobs that are not wanted."""
        kept = {(_name(url), build_id) for url in urls for build_id in build_ids}
        blobs = {oci_layout.blob_path(digest) for digest in digests}
        for path in self.folder.glob(f"{STORES}/*/*"):
            if (path.parent.name, path.stem) not in kept:
                path.unlink(missing_ok=True)
        for path in self.folder.glob("blobs/sha256/*"):
            if str(path.relative_to(self.folder)) not in blobs:
                path.unlink(missing_ok=True)

    def _file(self, url: str, build_id: str) -> Path:
        return self.folder / STORES / _name(url) / f"{build_id}.json"

    @staticmethod
    def _write(path: Path, data: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        whole_file.write(path, data)


def _name(url: str) -> str:
    """A store's folder: an address may have any characters."""
    return hashlib.sha256(url.encode()).hexdigest()[:24]
