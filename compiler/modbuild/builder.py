# SPDX-License-Identifier: GPL-2.0-or-later
"""From a script's C to a module file, by the fastest tier that is sound on that kernel.

    builder = Builder(Cache(default_root()))
    builder.build(BuildInput("stapwatch_reads", c_text, manifest, kernel))
      -> BuildResult("ab12...", path=.../stapwatch_reads.ko, tier=Tier.FAST, cached=False, seconds=0.11)

The same input returns the cached module the next time. One Builder serves several threads, and several
processes share a cache.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from compiler.modbuild import fast_tier
from compiler.modbuild.errors import BuildError
from compiler.modbuild.fast_tier import STUB
from compiler.modbuild.kernel_kit import KitInputs, Preparation, load
from compiler.modbuild.request import BuildInput, BuildResult, KernelFacts, Tier
from compiler.modbuild.runtime_sources import Sources
from compiler.modbuild.toolchain import Headers, HostToolchain, Toolchain
from compiler.support.content_store import Cache, key_of
from runtime.support.record import field, record

_MAX_FAILURES = 16  # builds whose C and log are stored
_RESULT = "result.json"


def _silent(text: str) -> None:
    """Discard progress."""


@record
class Builder:
    """`only` forces a tier. `progress` receives a line before each step that takes seconds."""

    cache: Cache
    toolchain: Toolchain = field(default_factory=HostToolchain)
    sources: Sources = field(default_factory=Sources.ours)
    only: Tier | None = None
    progress: Callable[[str], None] = _silent
    _prepared: dict[str, Preparation] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def prepare(self, kernel: KernelFacts) -> Preparation:
        """Prepare a kernel; done once for each. Raises BuildError and UnsafeCache."""
        inputs = KitInputs(
            kernel, Headers.of(kernel, self.toolchain), self.cache, self.sources, self.toolchain
        )
        key = inputs.key
        with self._lock:
            found = self._prepared.get(key)
            if found is None or not _is_intact(found):
                try:
                    found = load(inputs, key) or self._new_kit(inputs, key)
                except BuildError as error:
                    raise self._recorded(error, STUB, "") from error
                self._prepared[key] = found
            return found

    def _new_kit(self, inputs: KitInputs, key: str) -> Preparation:
        from compiler.modbuild import kit_build  # once for a kernel

        return kit_build.prepare(inputs, key, self.progress)

    def build(self, request: BuildInput) -> BuildResult:
        """Make the module or find it in the cache. Raises BuildError and UnsafeCache."""
        started = time.monotonic()
        preparation = self.prepare(request.kernel)
        key = self._key(request, preparation)
        found = self._find(key, request, preparation, started)
        if found is not None:
            return found
        warnings: list[str] = []
        with self.cache.workplace() as work:
            try:
                path, tier = self._make(request, preparation, work, warnings)
            except BuildError as error:
                if error.slug == "compile-failed":
                    what = "embedded C" if request.embedded else "internal error in generated C"
                    error.message = f"{what}: {error.message}"
                raise self._recorded(error, request.module, request.c_text) from error
            result = {"tier": tier, "warnings": warnings}
            entry = self.cache.put(key, {path.name: path, _RESULT: json.dumps(result).encode()})
        seconds = time.monotonic() - started
        return BuildResult(
            key,
            entry.path(path.name),
            tier,
            False,
            seconds,
            tuple(warnings),
            preparation.inputs,
        )

    def _make(
        self, request: BuildInput, preparation: Preparation, work: Path, warnings: list[str]
    ) -> tuple[Path, Tier]:
        kit = preparation.kit
        if self.only is not Tier.KBUILD and kit is not None:
            folder = work / "fast"
            folder.mkdir()
            try:
                ready = None
                if request.embedded:
                    from compiler.modbuild.precompiled_headers import precompiled

                    ready = precompiled(kit, self.cache, preparation.identity, self.progress)
                path, complaints = fast_tier.build(kit, request, folder, ready)
                warnings += complaints
                return path, Tier.FAST
            except BuildError as error:
                if error.slug != "link-failed" or self.only is Tier.FAST:
                    raise
                warnings.append(f"the fast tier failed, kbuild is used: {error.message}")
        elif self.only is not Tier.KBUILD:
            text = f"no fast build for kernel {request.kernel.release}: {preparation.problem}"
            if self.only is Tier.FAST:
                raise BuildError("link-failed", text)
            warnings.append(f"{text}; kbuild is used, which takes seconds")
        from compiler.modbuild import kbuild_tier, target_header  # few modules need them

        folder = work / "kbuild"
        folder.mkdir()
        target = target_header.header(request.kernel.btf, request.kernel.arch)
        kbuild_tier.lay_out(folder, self.sources, target, request)
        kbuild_tier.make(
            folder, Headers.of(request.kernel, self.toolchain), self.toolchain, request
        )
        return folder / f"{request.module}.ko", Tier.KBUILD

    def _key(self, request: BuildInput, preparation: Preparation) -> str:
        return key_of(
            "module",
            preparation.identity,
            request.module,
            request.c_text,
            request.manifest,
            str(request.embedded),
            "\0".join(request.cflags),
            str(self.only),
        )

    def _find(
        self, key: str, request: BuildInput, preparation: Preparation, started: float
    ) -> BuildResult | None:
        entry = self.cache.get(key)
        if entry is None:
            return None
        result = json.loads(entry.read(_RESULT))
        return BuildResult(
            key=key,
            path=entry.path(f"{request.module}.ko"),
            tier=Tier(result["tier"]),
            cached=True,
            seconds=time.monotonic() - started,
            warnings=tuple(result["warnings"]),
            inputs=preparation.inputs,
        )

    def _recorded(self, error: BuildError, module: str, c_text: str) -> BuildError:
        """The same error, with the C and the log stored for inspection."""
        if not error.output:
            return error
        import shutil  # only after a failure

        failed = self.cache.root / "failed"
        older = sorted(failed.iterdir(), key=lambda path: path.stat().st_mtime)
        for old in older[: max(0, len(older) - _MAX_FAILURES + 1)]:
            shutil.rmtree(old, ignore_errors=True)
        folder = failed / module
        folder.mkdir(exist_ok=True)
        (folder / "script.c").write_text(c_text)
        log = folder / "log"
        log.write_text(error.output)
        return BuildError(error.slug, error.message, error.hint, output=error.output, log=log)


def _is_intact(preparation: Preparation) -> bool:
    """Whether its files are still in the cache. This counts as a use."""
    if preparation.kit is not None:
        try:
            os.utime(preparation.kit.entry.folder)
        except FileNotFoundError:
            return False
    return True
