# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds modules for other machines' kernels into a store.

    report = await build(plan, compiler, kernels, wanted, say)
      -> Report(modules=24, made=3, errors=["kernel 6.1.0-56-cloud: script tcp: ..."], ...)

Each script is built for each kernel on which a host may want it (`when: {kernel: ..., arch: ...}`), side by
side. What fails for one kernel is reported, and everything else goes on. What the store has already, from
this compiler, is not built again.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from agent.prebuilt.kernels import BuildKernel
from agent.prebuilt.script_requests import Wanted
from agent.prebuilt.store_writer import StoreWriter
from agent.rollout import matching
from agent.scripts.compile_client import Compiled, CompileError, Compiler
from agent.scripts.variants import Candidate
from agent.signing import module_signature
from agent.signing.errors import SigningError
from agent.signing.key_files import KeyPair
from agent.store import signature
from agent.store.catalogue import Catalogue, StoredKernel, StoredModule
from agent.store.oci_layout import digest_of
from compiler.kernel.kernel import Kernel
from compiler.protocol import Request
from compiler.support import derived_cache
from compiler.support.sysroot import inside
from runtime.reader import module_memory
from runtime.support.record import asdict, field, record, replace

Say = Callable[[str], None]


@record
class Plan:
    """`name`: of the store. `serial`: None for the time of the build. `index_key`: signs catalogues.
    `prune`: the store loses what is not wanted now."""

    store: Path
    cache: Path
    name: str = "stapwatch"
    builder: str = ""
    serial: int | None = None
    index_key: Path | None = None
    module_key: KeyPair | None = None
    prune: bool = False


@record(frozen=False)
class Report:
    """`errors`: what could not be built. `modules`: in the store for these kernels; `made`: new ones."""

    modules: int = 0
    made: int = 0
    size: int = 0
    is_signed: bool = True
    errors: list[str] = field(default_factory=list)


async def build(
    plan: Plan,
    compiler: Compiler,
    kernels: Sequence[BuildKernel],
    wanted: Sequence[Wanted],
    say: Say,
) -> Report:
    """Raises LayoutError for a folder that is no store, SignatureError if it cannot be signed, OSError."""
    report = Report()
    version = await compiler.version(plan.cache)
    builder = plan.builder or f"stapwatch {version}"
    with StoreWriter.opened(plan.store) as store:
        for kernel in kernels:
            there = StoredKernel(kernel.build_id, kernel.release, kernel.architecture)
            before = store.catalogue(there)
            job = _KernelJob(plan, compiler, kernel, store, before, version, report, say)
            found = await job.run(wanted)
            empty = Catalogue(plan.name, 0, there, builder)
            catalogue = _merged(plan, before or empty, found, builder)
            _put(plan, store, catalogue, report)
        store.finish()
        if plan.prune:
            store.sweep()
    return report


def _merged(
    plan: Plan, before: Catalogue, found: Sequence[StoredModule], builder: str
) -> Catalogue:
    """The older catalogue with these modules; the same, with its serial, if nothing is new."""
    kept = {} if plan.prune else {module.identity: module for module in before.modules}
    merged = {**kept, **{module.identity: module for module in found}}
    modules = tuple(sorted(merged.values(), key=lambda m: (m.script, m.identity)))
    if modules == before.modules and plan.name == before.store and before.serial:
        return before
    serial = int(time.time()) if plan.serial is None else plan.serial
    # hosts refuse what is older than what they have seen, also if this clock was wrong
    serial = max(serial, before.serial + 1)
    return Catalogue(plan.name, serial, before.kernel, builder, modules)


def _put(plan: Plan, store: StoreWriter, catalogue: Catalogue, report: Report) -> None:
    if plan.index_key is not None:
        made = signature.sign(catalogue.encode(), plan.index_key)
    else:
        made = store.signature(catalogue)
    report.is_signed &= bool(made)
    report.modules += len(catalogue.modules)
    report.size += sum(module.size for module in catalogue.modules)
    store.put(catalogue, made)


class _KernelJob:
    """All scripts for one kernel."""

    def __init__(
        self,
        plan: Plan,
        compiler: Compiler,
        kernel: BuildKernel,
        store: StoreWriter,
        before: Catalogue | None,
        version: str,
        report: Report,
        say: Say,
    ) -> None:
        self._plan, self._compiler, self._kernel, self._store = plan, compiler, kernel, store
        self._before, self._version, self._report, self._say = before, version, report, say
        self._failures: dict[str, list[str]] = {}  # scripts by what is wrong with them

    async def run(self, wanted: Sequence[Wanted]) -> list[StoredModule]:
        found = await asyncio.gather(*(self._one(script) for script in wanted))
        for text, scripts in self._failures.items():
            names = ", ".join(scripts)
            which = f"scripts {names}" if len(scripts) > 1 else f"script {names}"
            self._report.errors.append(f"kernel {self._kernel.release}: {which}: {text}")
        return [module for module in found if module is not None]

    async def _one(self, wanted: Wanted) -> StoredModule | None:
        """The module of the first variant that compiles; None if none does, or no host wants it there."""
        kernel = self._kernel
        unmet = matching.kernel_mismatch(wanted.when, kernel.release, kernel.architecture)
        if unmet is not None:
            self._say(f"{kernel.release}  {wanted.script}: not for this kernel: {unmet.text}")
            return None
        errors = []
        for candidate in wanted.candidates:
            try:
                return await self._candidate(wanted.script, candidate)
            except CompileError as error:
                name = f"variant {candidate.variant}: " if candidate.variant else ""
                errors.append(name + "\n".join(map(str, error.diagnostics)))
            except SigningError as error:
                errors.append(str(error))
        self._failures.setdefault("\n".join(errors), []).append(wanted.script)
        self._say(f"{self._kernel.release}  {wanted.script}: failed")
        return None

    async def _candidate(self, script: str, candidate: Candidate) -> StoredModule:
        """Raises CompileError, BuildError."""
        request = replace(candidate.request, kernel=self._kernel.request)
        if (known := await self._known(request)) is not None:
            self._say(f"{self._kernel.release}  {script}: as before")
            return replace(known, script=script, revision=candidate.revision)
        compiled = await self._compiler.compile(request)
        module, data = await asyncio.to_thread(self._stored, script, candidate, compiled)
        self._store.add_blob(data)
        self._report.made += 1
        how = "from the cache" if compiled.cached else f"{compiled.seconds:.1f} s"
        self._say(f"{self._kernel.release}  {script}: {len(data) / 1024:,.0f} KiB, {how}")
        return module

    async def _known(self, request: Request) -> StoredModule | None:
        """The module in the store, if this compiler has made it of the same files."""
        if self._before is None:
            return None
        known = self._before.find(await self._compiler.identity(request))
        if known is None or known.compiler != self._version or known.signer != self._signer:
            return None
        is_same = self._signatures(known.inputs) == known.inputs
        return known if is_same and self._store.has(known.digest, known.size) else None

    @property
    def _signer(self) -> str:
        """Which certificate it is: a module signed with another one is another file."""
        pair = self._plan.module_key
        return hashlib.sha256(pair.certificate.read_bytes()).hexdigest()[:16] if pair else ""

    def _stored(
        self, script: str, candidate: Candidate, compiled: Compiled
    ) -> tuple[StoredModule, bytes]:
        """Raises SigningError."""
        manifest = module_memory.manifest_of(compiled.path)
        assert manifest is not None, "the compiler has made it"
        data = compiled.path.read_bytes()
        if self._plan.module_key is not None:
            kernel = Kernel.from_root(self._kernel.root, self._kernel.release)
            algorithm = module_signature.hash_algorithm(kernel)
            data = module_signature.signed(data, self._plan.module_key, algorithm)
        return StoredModule(
            compiled.identity,
            script,
            compiled.module,
            digest_of(data),
            len(data),
            manifest.compiler,
            manifest.abi,
            candidate.revision,
            self._signatures(self._on_hosts(compiled.inputs)),
            tuple(asdict(warning) for warning in compiled.warnings),
            self._signer,
        ), data

    def _on_hosts(self, inputs: Sequence[str]) -> list[str]:
        root = self._kernel.root
        return sorted(f"/{path.relative_to(root)}" for path in map(Path, inputs))

    def _signatures(self, inputs: Iterable[str]) -> dict[str, str]:
        """Size and time of the files that hosts have at these paths."""
        here = {path: str(inside(self._kernel.root, path)) for path in inputs}
        seen = derived_cache.signatures(here.values())
        return {path: seen[found] for path, found in here.items()}
