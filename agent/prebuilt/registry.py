# SPDX-License-Identifier: GPL-2.0-or-later
"""Stores in a registry: skopeo copies the running kernel's part into a folder.

    with opened("docker://registry.example.org/modules", tag, work, plain_http=False) as copy:
        ...   # an OCI image layout; None for an address that is no registry's

skopeo knows registries' protocols and credentials (containers-auth.json(5)), and fetches only blobs that the
folder does not have. What it has copied is checked like what a web server sends.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from agent.store.oci_layout import LayoutError
from agent.store.refusals import Refusal
from agent.store.sources import SourceError

_UNKNOWN = "manifest unknown"  # a registry's words for a tag that it has not
SCHEME = "docker://"
_SECONDS = 900
# skopeo's words for bytes that have another digest than the manifest says
_CHANGED = re.compile(r"digest.*(did not|does not|doesn't) match|wrong digest", re.IGNORECASE)


class NoTagError(SourceError):
    """The registry has nothing of that name and tag."""


@contextlib.contextmanager
def opened(url: str, tag: str, work: Path, plain_http: bool) -> Iterator[Path | None]:
    """Raises SourceError, NoTagError, and LayoutError for blobs that are not what a manifest names. The copy
    stays for the next time."""
    if not url.startswith(SCHEME):
        yield None
        return
    folder = work.absolute() / "registries" / hashlib.sha256(url.encode()).hexdigest()[:24]
    folder.mkdir(parents=True, exist_ok=True)
    _copy(f"{url}:{tag}", folder, tag, plain_http)
    yield folder


def _copy(what: str, folder: Path, tag: str, plain_http: bool) -> None:
    argv = ["skopeo", "copy", "--quiet", "--preserve-digests"]
    argv += ["--src-tls-verify=false"] if plain_http else []
    try:
        done = subprocess.run(
            [*argv, what, f"oci:{folder}:{tag}"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
            env={**os.environ, "TMPDIR": str(folder)},
        )
    except FileNotFoundError:
        raise SourceError(
            f"{what} needs skopeo, which is not installed; apt install skopeo"
        ) from None
    except subprocess.TimeoutExpired:
        raise SourceError(f"{what} was not copied within {_SECONDS} s") from None
    if done.returncode != 0:
        said = _said(done.stderr)
        if _CHANGED.search(said):
            raise LayoutError(f"{what} was changed: {said}", Refusal.DIGEST)
        if _UNKNOWN in said:
            raise NoTagError(f"it has no modules for this kernel: there is no {what}")
        raise SourceError(f"{what} cannot be copied: {said}")


def _said(text: str) -> str:
    """The last line that skopeo has written, without its time."""
    lines = [line for line in text.splitlines() if line.strip()]
    last = lines[-1] if lines else "skopeo says nothing"
    return last.partition('msg="')[2].rstrip('"') or last
