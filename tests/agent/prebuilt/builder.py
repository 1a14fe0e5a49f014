# SPDX-License-Identifier: GPL-2.0-or-later
"""A fleet's configuration, and `stapwatch build` for the kernel of the lab's image, in a process of its own.

builder = Builder(tmp_path, image)
builder.script("calls", COUNT)
builder.build()          # STORE, signed with builder.key
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from agent.prebuilt.store_writer import StoreWriter
from agent.store import oci_layout
from agent.store.catalogue import Catalogue, StoredKernel
from lab import Image
from lab.warm_cache import warm_cache
from tests import PROJECT
from tests.agent.store.keys import new_key

COUNT = "global n\nprobe syscall.getpgid { n++ }\n"


@dataclass
class Builder:
    """`etc`: the configuration. Compilers keep what they make in `cache`."""

    folder: Path
    image: Image

    def __post_init__(self) -> None:
        self.etc, self.store = self.folder / "etc", self.folder / "store"
        self.key = new_key(self.folder / "key")
        (self.etc / "probes.d").mkdir(parents=True)
        (self.etc / "stapwatch.yaml").write_text("")
        self.cache = self.new_cache("cache")

    def new_cache(self, name: str) -> Path:
        found = self.folder / name
        shutil.copytree(warm_cache(PROJECT, self.image), found)
        found.chmod(0o700)
        return found

    def script(self, name: str, text: str) -> None:
        (self.etc / f"probes.d/{name}.stp").write_text(text)

    def run(
        self, *words: str | Path, epoch: int = 1000, umask: int = -1, is_signed: bool = True
    ) -> subprocess.CompletedProcess[str]:
        given = ["--config", self.etc, "--sysroot", self.image.rootfs]
        given += ["--index-key", self.key] if is_signed else []
        argv = [sys.executable, "-P", "-m", "agent", "build", *given, "--cache", self.cache]
        return subprocess.run(
            [*map(str, argv), "-o", str(self.store), *map(str, words)],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(PROJECT), "SOURCE_DATE_EPOCH": str(epoch)},
            timeout=300,
            umask=umask,
        )

    def build(self, *words: str | Path, epoch: int = 1000) -> Catalogue:
        """A build that succeeds; what the store has then."""
        done = self.run(*words, epoch=epoch)
        assert done.returncode == 0, done.stderr
        return self.catalogue()

    def catalogue(self) -> Catalogue:
        index = (self.store / oci_layout.INDEX_FILE).read_bytes()
        [found] = oci_layout.manifests_of(index)
        release, build_id = (
            found.annotations[n] for n in (oci_layout.RELEASE, oci_layout.BUILD_ID)
        )
        with StoreWriter.opened(self.store) as store:
            catalogue = store.catalogue(StoredKernel(build_id, release, ""))
        assert catalogue is not None
        return catalogue

    def files(self) -> dict[str, bytes]:
        """All of the store, to compare."""
        paths = (path for path in self.store.rglob("*") if path.is_file())
        return {str(path.relative_to(self.store)): path.read_bytes() for path in paths}
