# SPDX-License-Identifier: GPL-2.0-or-later
"""The variants of a script: the first that compiles on this kernel is the one that runs.

    seen = read(script, settings, before)     # one part for each variant; of a script without variants, one
    await compile_first(compiler, seen.candidates)   -> Compiled(variant="new", ...)
    revision(script)                          -> "3f9e12ab34cd", as `sha256sum FILE` begins

A variant that does not compile is tried again at each start: a better compiler may prefer it then.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Protocol

from agent.config.rollout_settings import Variant
from agent.config.settings import ScriptSettings, Settings
from agent.config.yaml_tree import Position
from agent.scripts import compile_client
from agent.scripts.compile_client import FAILURES, Compiled, CompileError, Described
from agent.scripts.compile_worker import Progress
from compiler.protocol import Diagnostic, Request, encode
from runtime.support import bounded_file
from runtime.support.record import record, replace

_DIGITS = 12
_NO_COMPILER = "no-compiler"  # the slug of a machine without one


@record
class Candidate:
    """`variant`: "" for a script without variants. `revision`: the script's."""

    variant: str
    request: Request
    revision: str


@record
class Seen:
    """A script as it was read: each of its variants, by name and in order."""

    parts: tuple[tuple[str, Described], ...]
    revision: str = ""

    @property
    def fingerprint(self) -> str:
        """A digest of all that may be compiled: a change of any part may change which one is chosen."""
        digests = [part.fingerprint for _, part in self.parts]
        return digests[0] if len(digests) == 1 else _digest("\0".join(digests).encode())

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        return tuple(Candidate(name, part.request, self.revision) for name, part in self.parts)


class Compiles(Protocol):
    """What a compiler does here."""

    async def compile(self, wanted: Request, progress: Progress) -> Compiled: ...
    async def find(self, wanted: Request) -> Compiled | None: ...


def of(script: ScriptSettings) -> tuple[tuple[str, ScriptSettings], ...]:
    """The script as each of its variants has it, with the variant's name, in order.

    A script without variants is its own only one, and that has no name.
    """
    found = tuple((variant.name, _as(script, variant)) for variant in script.rollout.variants)
    return found or (("", script),)


def candidates(script: ScriptSettings, settings: Settings) -> tuple[Candidate, ...]:
    """In the order in which they are tried. OSError if a file cannot be read."""
    return tuple(
        Candidate(name, compile_client.request(one, settings), script.revision)
        for name, one in of(script)
    )


def read(script: ScriptSettings, settings: Settings, before: Seen | None = None) -> Seen:
    """Read a script, except for what is as it was `before`. OSError if a file cannot be read."""
    known = dict(before.parts) if before is not None else {}
    parts = ((n, compile_client.describe(one, settings, known.get(n))) for n, one in of(script))
    return Seen(tuple(parts), script.revision)


def is_as_before(script: ScriptSettings, settings: Settings, before: Seen) -> bool:
    """Whether neither the options nor the files have changed; no file is read."""
    return all(
        now is not None
        and then is not None
        and now[0] == then[0]
        and compile_client.is_as_before(now[1], settings, then[1])
        for now, then in zip_longest(of(script), before.parts)
    )


async def compile_first(
    compiler: Compiles, found: Sequence[Candidate], progress: Progress = lambda line: None
) -> Compiled:
    """Compile the candidates in order until one succeeds. CompileError says what is wrong with each.

    Without a compiler, the first one that is cached, or in a store, is what another machine has chosen.
    """
    errors: list[Diagnostic] = []
    for number, candidate in enumerate(found, 1):
        try:
            compiled = await compiler.compile(candidate.request, progress)
            return replace(compiled, variant=candidate.variant, revision=candidate.revision)
        except CompileError as error:
            if any(diagnostic.slug in FAILURES for diagnostic in error.diagnostics):
                is_chosen = error.diagnostics[0].slug == _NO_COMPILER
                if is_chosen and (there := await _first_there(compiler, found[number:])):
                    return there
                raise  # says nothing about this variant
            for diagnostic in error.diagnostics:
                name = f"variant {candidate.variant}: " if candidate.variant else ""
                errors.append(replace(diagnostic, message=f"{name}{diagnostic.message}"))
            if len(found) == 1:
                raise
    raise CompileError(errors)


async def _first_there(compiler: Compiles, found: Sequence[Candidate]) -> Compiled | None:
    for candidate in found:
        if (there := await compiler.find(candidate.request)) is not None:
            return replace(there, variant=candidate.variant, revision=candidate.revision)
    return None


def revision(script: ScriptSettings) -> str:
    """A short digest of the script's text, or of the texts of all its variants. Raises OSError.

    It is the same on every host that has the same files.
    """
    digests = [_digest(_source(one)) for _, one in of(script)]
    return (digests[0] if len(digests) == 1 else _digest("\0".join(digests).encode()))[:_DIGITS]


def text(script: ScriptSettings, variant: str) -> str:
    """The text of one variant as it is now. Raises OSError."""
    one = next((one for name, one in of(script) if name == variant), script)
    return _source(one).decode("utf-8", "backslashreplace")


def made_of(found: Sequence[Candidate]) -> str:
    """A digest of the texts and options that a module depends on. Where the files are does not matter."""
    digest = hashlib.sha256()
    for candidate in found:
        request = candidate.request
        if request.source is not None:
            digest.update(bounded_file.read(Path(request.source)) + b"\0")
        digest.update(encode(replace(request, source=None, output=None, cache=None, library=())))
    return digest.hexdigest()[:_DIGITS]


def tuned(script: ScriptSettings) -> str:
    """A digest of the options that a running module gets without being replaced."""
    metrics = {
        name: replace(metric, position=Position(""), alerts=())
        for name, metric in sorted(script.metrics.items())
    }
    return _digest(repr((script.budgets, script.max_errors, metrics)).encode())[:_DIGITS]


def _as(script: ScriptSettings, variant: Variant) -> ScriptSettings:
    """The script as this variant has it."""
    defines = {**script.defines, **variant.defines}
    if variant.file is None and variant.text is None:
        return replace(script, defines=defines)
    return replace(script, file=variant.file, text=variant.text, defines=defines)


def _source(script: ScriptSettings) -> bytes:
    if script.file is not None:
        return bounded_file.read(script.file)
    return (script.text or "").encode("utf-8", "surrogateescape")


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
