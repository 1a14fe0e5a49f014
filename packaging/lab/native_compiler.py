# SPDX-License-Identifier: GPL-2.0-or-later
"""Compiles scripts on the host for a guest, where emulation would make a second of it a minute.

    native = NativeCompiler(project_root, image, tmp_path / "cache")
    native.compile(script_requests(settings, etc))   -> {"reads": the compiler's response, ...}
    native.install(guest)                            # the modules, in the guest's cache

Modules are stored where the guest's own compiler would store them, under the same keys, so it finds them as
its own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from agent.config.settings import Settings
from agent.scripts import compile_client
from compiler.protocol import Request, encode
from lab.guest import Guest
from lab.image import Image
from lab.warm_cache import warm_cache
from runtime.support import python_module
from runtime.support.record import replace

ETC = "/etc/stapwatch"
CACHE = "/var/cache/stapwatch"
# of the compiler's unit: a script that searches for programs is known by this and the folder, too
_UNIT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SECONDS = 300  # for one script


class NativeCompiler:
    """`cache`: what becomes /var/cache/stapwatch."""

    def __init__(self, project_root: Path, image: Image, cache: Path) -> None:
        self._project, self._image, self.cache = project_root, image, cache
        shutil.copytree(warm_cache(project_root, image), cache)
        cache.chmod(0o700)
        self._known = set(self._entries())

    def compile(self, requests: Mapping[str, Request]) -> dict[str, dict[str, Any]]:
        """The compiler's response to each request."""
        with ThreadPoolExecutor(2) as pool:
            return dict(zip(requests, pool.map(self._compile, requests.values()), strict=True))

    def _compile(self, request: Request) -> dict[str, Any]:
        kernel = {"root": str(self._image.rootfs), "release": self._image.release}
        there = replace(request, kernel=kernel, cache=str(self.cache), output=None)
        done = subprocess.run(
            python_module.command("compiler"),
            input=encode(there),
            capture_output=True,
            cwd="/",
            env={**os.environ, "PYTHONPATH": str(self._project), "PATH": _UNIT_PATH},
            timeout=_SECONDS,
        )
        assert done.returncode == 0, done.stderr.decode()
        response: dict[str, Any] = json.loads(done.stdout)
        return response

    def install(self, guest: Guest) -> None:
        """Add to the guest's cache what was compiled since the last call."""
        new = [entry for entry in self._entries() if entry not in self._known]
        if not new:
            return
        with tempfile.TemporaryDirectory() as name:
            parcel = Path(name) / "parcel"
            for entry in new:
                shutil.copytree(self.cache / "entries" / entry, parcel / entry)
            for path in (parcel, *parcel.rglob("*/")):
                path.chmod(0o700)
            guest.push(parcel, "/tmp/parcel")
        guest.run(f"cp -a /tmp/parcel/. {CACHE}/entries/ && rm -rf /tmp/parcel").check()
        self._known |= set(new)

    def _entries(self) -> list[str]:
        top = self.cache / "entries"
        return [str(path.relative_to(top)) for path in top.glob("*/*")]


def script_requests(
    settings: Settings, etc: Path, examples: Path, cold: Collection[str] = ()
) -> dict[str, Request]:
    """The requests of a configuration whose folder `etc` becomes /etc/stapwatch, without the cold scripts.

    `examples`: the folder of the packaged scripts.
    """
    requests = {}
    for name, script in settings.scripts.items():
        if name in cold:
            continue
        assert script.file is not None
        place, here = script.file, examples / script.file.name
        if script.file.is_relative_to(etc):
            place, here = Path(ETC) / script.file.relative_to(etc), script.file
        found = compile_client.request(replace(script, file=None, text=here.read_text()), settings)
        requests[name] = replace(found, source=str(place))
    return requests
