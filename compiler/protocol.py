# SPDX-License-Identifier: GPL-2.0-or-later
"""The wire protocol between the agent and the compiler: one JSON object a line, in both directions.

    decode_request(b'{"name": "x", "text": "probe begin { exit() }"}')
      -> Request(name="x", text="probe begin { exit() }", ...)
    encode(Response(True, "sw_x_1a2b3c4d", "/run/stapwatch/sw_x_1a2b3c4d.ko"))
      -> b'{"ok": true, "module": "sw_x_1a2b3c4d", ...}\\n'

Both sides import these types, and this module imports nothing of the compiler. The two sides can
still be of different versions: an agent goes on running while a package upgrade replaces the
compiler. So decoding is strict: an unknown field, a missing one or a value of the wrong type is a
ProtocolError that names it, and a field never changes its meaning without changing its name. The
compiler reports the error and exits with status 2; the agent reports it as a compiler failure of
that script. The remedy is to restart the agent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from runtime.support.record import asdict, field, record

_PROGRESS = "progress"
LAST_PASS = 4  # of the compiler; the fifth pass runs the module

_T = TypeVar("_T")


class ProtocolError(ValueError):
    """A line that is not a message of this protocol; the text names the field."""


@record
class Request:
    """One script to compile. Exactly one of `source` and `text` must be set, or both: then `source`
    only names the script in messages.

    `kernel`: None for the running one, or {"root", "release"} and optionally "symbols", a copy of
    that kernel's /proc/kallsyms, and "programs", the folder that its processes see as /.
    """

    name: str
    source: str | None = None
    text: str | None = None
    args: tuple[str, ...] = ()
    globals: Mapping[str, int | str] = field(default_factory=dict)
    defines: Mapping[str, str] = field(default_factory=dict)
    guru: bool = False
    optimise: bool = True
    export: bool = True
    statistics: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    capacities: Mapping[str, int] = field(default_factory=dict)
    when_full: Mapping[str, str] = field(default_factory=dict)  # runtime.abi.manifest.WhenFull
    output: str | None = None  # the folder to install the module in; None: it stays in the cache
    cache: str | None = None  # the cache's folder; None: the default one
    kernel: Mapping[str, str] | None = None
    library: tuple[str, ...] = ()  # folders of library scripts
    last_pass: int = LAST_PASS
    run_mode: bool = False  # the rules of `stapwatch run`: a script without probes is an error
    end_of_run_globals: bool = False  # print globals that no handler reads when the run ends
    extra: tuple[str, ...] = ()  # texts of further scripts (-E)
    listing: str | None = None  # "points", "variables", "functions", "types", "aliases": only list
    compatible: str | None = None  # the version of SystemTap whose language the script is in
    module: str | None = None  # the module's name; None: derived from `name`
    target: str = ""  # the program that target() will run
    # if target() sees other files: where the kernel finds what it sees as /, and where this compiler does
    target_root: str = ""
    target_folder: str = ""
    # a module of another compiler will do, in the boot in which that was in use
    older: bool = False
    explain: bool = False  # run all passes; the output is JSON, see compiler/driver/explain.py
    manifest: bool = False  # the output of pass 3 is the manifest, and not the C
    skip_badvars: bool = False  # context variables that a probe does not have are 0
    unwind: tuple[
        str, ...
    ] = ()  # further programs whose unwind tables a module gets that uses them
    recompile: bool = False  # compile even what is in the cache, into a module of another name

    @property
    def path(self) -> Path | None:
        return Path(self.source) if self.source is not None else None


@record
class Pass:
    """One of the compiler's passes; times in seconds, those of its child processes included."""

    number: int
    title: str
    user: float
    system: float
    real: float
    summary: str


@record
class Diagnostic:
    """An error or warning as text. `line` and `column` count from 1, and are 0 if it has no position in the
    script. `text`: rendered, with the source line and a caret."""

    slug: str
    message: str
    file: str = ""
    line: int = 0
    column: int = 0
    hint: str = ""
    text: str = ""

    def __str__(self) -> str:
        if self.text:
            return self.text
        hint = f"; {self.hint}" if self.hint else ""
        return f"{self._position}error[{self.slug}]: {self.message}{hint}"

    @property
    def summary(self) -> str:
        """One line: position, message and hint."""
        return f"{self._position}{self.message}" + (f"; {self.hint}" if self.hint else "")

    @property
    def _position(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: " if self.file and self.line else ""


@record
class Response:
    """The result of one request. Without `ok`, `errors` has at least one diagnostic."""

    ok: bool
    module: str = ""
    path: str = ""
    identity: str = ""
    cached: bool = False
    passes: tuple[Pass, ...] = ()
    errors: tuple[Diagnostic, ...] = ()
    warnings: tuple[Diagnostic, ...] = ()
    output: str = (
        ""  # the text that an earlier last pass prints: the tree, the program, the C; of `explain`
    )
    anew: str = ""  # why the module that was in the cache did not serve
    inputs: tuple[str, ...] = ()  # the files that the module probes
    size: int = 0  # bytes of the module, which follow the line on a socket


def encode(message: Request | Response) -> bytes:
    """One line, with its newline."""
    return json.dumps(asdict(message)).encode() + b"\n"


def encode_progress(text: str) -> bytes:
    """A line that may come before a response on a socket, where there is no stderr."""
    return json.dumps({_PROGRESS: text}).encode() + b"\n"


def decode_progress(line: bytes) -> str | None:
    """The text, or None: it is another line."""
    if not line.startswith(b'{"progress":'):
        return None
    tree = _parsed(line)
    return str(tree.get(_PROGRESS)) if isinstance(tree, dict) else None


def decode_request(line: bytes | str) -> Request:
    """Raises ProtocolError."""
    request = _record(Request, _parsed(line), "a compile request")
    if request.text is None and not request.source:
        raise ProtocolError("a compile request needs 'source' or 'text'")
    return request


def decode_response(line: bytes | str) -> Response:
    """Raises ProtocolError."""
    response = _record(Response, _parsed(line), "a compile response")
    if not response.ok and not response.errors:
        raise ProtocolError("a compile response has neither a module nor an error")
    return response


_JSON_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "str": str,
    "bool": bool,
    "int": int,
    "float": (int, float),
    "tuple": list,
    "Mapping": dict,
}
_ELEMENTS: Mapping[str, type] = {
    "tuple[Pass, ...]": Pass,
    "tuple[Diagnostic, ...]": Diagnostic,
}


def _parsed(line: bytes | str) -> object:
    try:
        return json.loads(line)
    except ValueError as error:
        raise ProtocolError(f"not a line of JSON: {error}") from error


def _record(cls: type[_T], tree: object, what: str) -> _T:
    """A record of this class from decoded JSON."""
    if not isinstance(tree, dict):
        raise ProtocolError(f"{what} must be an object")
    types = cls.__annotations__
    if unknown := sorted(tree.keys() - types.keys()):
        raise ProtocolError(f"unknown in {what}: {', '.join(unknown)}")
    values = {name: _value(types[name], value, name, what) for name, value in tree.items()}
    try:
        return cls(**values)
    except (
        TypeError
    ) as error:  # "Request.__init__() missing 1 required positional argument: 'name'"
        raise ProtocolError(f"{what} is {str(error).partition('() ')[2]}") from None


def _value(annotation: str, value: Any, name: str, what: str) -> Any:
    """One field's value, checked against the type that the record declares."""
    expected, _, optional = annotation.partition(" | ")
    if value is None and optional == "None":
        return None
    kind = expected.partition("[")[0]
    accepted = isinstance(value, _JSON_TYPES[kind])
    if not accepted or (isinstance(value, bool) and kind != "bool"):
        raise ProtocolError(f"'{name}' in {what} must be a {kind}, not {value!r:.60}")
    if kind != "tuple":
        return value
    element = _ELEMENTS.get(expected)
    if element is not None:
        return tuple(_record(element, item, f"'{name}'") for item in value)
    if not all(isinstance(item, str) for item in value):
        raise ProtocolError(f"'{name}' in {what} must hold text only")
    return tuple(value)
