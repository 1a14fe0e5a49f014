# SPDX-License-Identifier: GPL-2.0-or-later
"""Takes modules from the spool folder into the cache, once everything about them has been checked.

    stored = StoredModules(Spool(), Serials(folder))
    stored.find(request, trust)      -> Response(True, "sw_vfs_1a2b3c4d", ...), or None
    stored.absence(request, trust)   -> "https://modules.example.org/store has no module of it (...)"

The order: the signature of the catalogue, by a key of the configuration; its serial; its kernel; the script
and its options, by the module's identity; the digest of the module; what the module says of itself. Only then
is a byte of it a file that can be loaded. Why something was refused is told once (`say`).
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path

from agent.store import catalogue as catalogues
from agent.store import signature
from agent.store.catalogue import Catalogue, StoredModule
from agent.store.oci_layout import LayoutError
from agent.store.refusals import COUNTS, Refusal, RefusalCounts, RefusedError
from agent.store.serials import Serials, serial_text
from agent.store.spool import Spool
from compiler.driver import module_cache, unsafe_runtimes
from compiler.driver.module_cache import CompileJob
from compiler.kernel.errors import KernelFactError
from compiler.kernel.image import running_build_id
from compiler.protocol import Diagnostic, Request, Response
from compiler.support import derived_cache
from compiler.support.content_store import UnsafeCache, key_of
from runtime.reader import module_memory
from runtime.support.record import record, replace

Say = Callable[[str], None]


@record
class Trust:
    """What the configuration says: the stores in the order in which they are asked, and the trusted keys."""

    urls: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()


@record
class _Read:
    """A catalogue of the spool, or why it is refused."""

    catalogue: Catalogue | None
    why: str = ""


class StoredModules:
    """Several threads may use one. `say`: gets each refusal once. `counts`: of all refusals."""

    def __init__(
        self,
        spool: Spool,
        serials: Serials,
        say: Say = lambda text: None,
        counts: RefusalCounts = COUNTS,
    ) -> None:
        self._spool, self._serials, self._say, self._counts = spool, serials, say, counts
        self._read: dict[tuple[object, ...], _Read] = {}
        self._said: set[str] = set()
        self._lock = threading.Lock()

    @property
    def is_empty(self) -> bool:
        """Whether nothing was fetched for the running kernel: it costs no more than looking."""
        return not self._spool.has_any(_here())

    def find(self, request: Request, trust: Trust) -> Response | None:
        """The module, which is in the cache then. What is wrong with a request is for the compiler to say."""
        if not trust.urls or request.recompile or self.is_empty:
            return None
        with contextlib.suppress(UnsafeCache, KernelFactError, OSError, ValueError):
            job = module_cache.load(request)
            for url in trust.urls:
                read = self._catalogue(url, trust)
                module = read.catalogue.find(job.identity) if read.catalogue is not None else None
                if module is None:
                    continue
                try:
                    self._install(job, module)
                except RefusedError as error:
                    self._counts.add(url, error.reason)
                    self._report(f"module {module.module} of {url} is refused: {error}")
                    continue
                return module_cache.look_up(job).response
        return None

    def absence(self, request: Request, trust: Trust) -> str:
        """Why no store serves this script; "" if the configuration has none."""
        reasons = []
        with contextlib.suppress(UnsafeCache, KernelFactError, OSError, ValueError):
            identity = module_cache.load(request).identity
            for url in trust.urls:
                read = self._catalogue(url, trust)
                if read.catalogue is None:
                    reasons.append(f"{url}: {read.why}")
                elif module := read.catalogue.find(identity):
                    reasons.append(
                        f"{url}: its module {module.module} was refused, as the log says"
                    )
                else:
                    reasons.append(f"{url}: {_other_modules(read.catalogue, request.name)}")
        return "; ".join(reasons)

    def _catalogue(self, url: str, trust: Trust) -> _Read:
        """Verified once for each file of the spool, and each set of keys."""
        here = _here()
        key = url, self._spool.seen(url, here), trust.keys
        with self._lock:
            if key not in self._read:
                self._read[key] = self._verified(url, here, trust)
            return self._read[key]

    def _verified(self, url: str, here: str, trust: Trust) -> _Read:
        try:
            signed = self._spool.catalogue(url, here)
            if signed is None:
                return _Read(None, _NOTHING)
            found = checked(signed.data, signed.signature, trust.keys, here, self._serials)
        except RefusedError as error:
            self._counts.add(url, error.reason)
            self._report(f"the catalogue of {url} is refused: {error}")
            return _Read(None, f"its catalogue is refused: {error}")
        return _Read(found)

    def _install(self, job: CompileJob, module: StoredModule) -> None:
        """Put the module into the cache as the job's. Raises RefusedError."""
        if fault := unsafe_runtimes.reason(module.compiler):
            raise RefusedError(fault, Refusal.MODULE)
        now = derived_cache.signatures(module.inputs)
        if changed := [path for path in module.inputs if module.inputs[path] != now[path]]:
            paths = ", ".join(changed)
            text = f"it probes {paths}, which is another file here than for the builder"
            raise RefusedError(text, Refusal.MODULE)
        data = self._spool.blob(module.descriptor, f"{module.module}.ko")
        name = f"{module.module}.ko"
        with job.cache.workplace() as work:
            file = work / name
            file.write_bytes(data)
            if why := _foreign(file, job, module):
                raise RefusedError(why, Refusal.MODULE)
            key = key_of("store", module.digest, module.module)
            job.cache.put(key, {name: file})
        response = Response(
            True,
            module.module,
            identity=job.identity,
            warnings=tuple(Diagnostic(**warning) for warning in module.warnings),
            inputs=tuple(module.inputs),
        )
        module_cache.store(replace(job, compiler=module.compiler), response, key)

    def _report(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self._say(text)


# What a machine without tools or headers says of a script.
_LACKS = frozenset(("no-compiler", "no-headers", "no-tool"))
_NOTHING = (
    "nothing was fetched for this kernel yet (systemctl start stapwatch-sync; "
    "journalctl -u stapwatch-sync)"
)


def with_absence(response: Response, absence: Callable[[], str]) -> Response:
    """A failure for lack of tools or headers also says why no store serves the script."""
    first = response.errors[0] if response.errors else None
    if first is None or first.slug not in _LACKS or not (why := absence()):
        return response
    hint = f"{first.hint}; no store serves the script: {why}" if first.hint else why
    text = f"{first.text}\nnote: no store serves the script: {why}" if first.text else ""
    return replace(response, errors=(replace(first, hint=hint, text=text), *response.errors[1:]))


def checked(
    data: bytes, made: bytes, keys: tuple[str, ...], build_id: str, serials: Serials
) -> Catalogue:
    """The catalogue, once it is known that a trusted key has signed it, that it is no older than what was
    seen, and that it is of this kernel. Raises SignatureError, LayoutError, StaleError."""
    signature.verify(data, made, keys)
    found = catalogues.decode(data)
    if found.kernel.build_id != build_id:
        there = f"{found.kernel.release} with build-id {found.kernel.build_id}"
        raise LayoutError(
            f"it is of another kernel: {there}, and not of {build_id}", Refusal.KERNEL
        )
    serials.check(found)
    serials.note(found)
    return found


def _foreign(file: Path, job: CompileJob, module: StoredModule) -> str:
    """What the module says of itself must be what the catalogue says; else why it is refused."""
    try:
        manifest = module_memory.manifest_of(file)
    except (OSError, ValueError) as error:
        return f"it is no module: {error}"
    if manifest is None:
        return "it is no module of stapwatch's"
    if manifest.identity != job.identity or manifest.module != module.module:
        return f"it is of another script, option or kernel: {manifest.module} ({manifest.release})"
    return ""


def _other_modules(catalogue: Catalogue, script: str) -> str:
    """What a store has instead of the module that is missing."""
    when = serial_text(catalogue.serial)
    if any(module.script == script for module in catalogue.modules):
        why = "with other text or options, so this host's files and the builder's differ"
        return f"it has script {script} {why} ({when})"
    return f"it has no module of it among the {len(catalogue.modules)} for this kernel ({when})"


def _here() -> str:
    return running_build_id().hex()
