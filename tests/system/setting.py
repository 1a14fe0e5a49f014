# SPDX-License-Identifier: GPL-2.0-or-later
"""A configuration folder built on the host, its scripts compiled there for the guest's kernel.

setting = Setting(tmp_path, image)
setting.write("probes.d/reads.stp", "global n; probe ...")
setting.install(guest)          # /etc/stapwatch, and the modules in /var/cache/stapwatch
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.cli import main
from agent.config import load
from agent.session.compile_request import run_request
from compiler.protocol import Request
from lab import Guest, Image, install_app
from lab.native_compiler import ETC, NativeCompiler, script_requests
from runtime.support.record import replace
from tests import PROJECT

MAIN = """\
listen: ["0.0.0.0:9436"]
public_status: true
script_folders: [probes.d]
"""


@dataclass
class Setting:
    """`folder` holds `etc`, which becomes /etc/stapwatch, and `cache`, the modules compiled for it.

    Budgets are off unless the tests are about them.
    """

    folder: Path
    image: Image
    budgets: bool = False
    cold: set[str] = field(default_factory=set)  # scripts that the guest is to compile itself

    def __post_init__(self) -> None:
        (self.etc / "probes.d").mkdir(parents=True)
        self.write("stapwatch.yaml", MAIN)
        if not self.budgets:
            self.write("conf.d/zz-lab.yaml", install_app.SLOW_MACHINE)
        self._native = NativeCompiler(PROJECT, self.image, self.cache)

    @property
    def etc(self) -> Path:
        return self.folder / "etc"

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    def write(self, name: str, text: str) -> None:
        path = self.etc / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def script(self, name: str, text: str) -> None:
        self.write(f"probes.d/{name}.stp", text)

    def remove(self, name: str) -> None:
        (self.etc / name).unlink()

    def compile(self, allowed_to_fail: Iterable[str] = ()) -> dict[str, dict[str, Any]]:
        """Compile all scripts of the folder that are not cold; each one's response."""
        settings = load.load(self.etc / "stapwatch.yaml")
        examples = PROJECT / "packaging/probes.d"
        responses = self.compile_requests(script_requests(settings, self.etc, examples, self.cold))
        for name, response in responses.items():
            if name not in allowed_to_fail:
                assert response["ok"], "\n".join(e["text"] for e in response["errors"])
        return responses

    def compile_run(self, *commands: Sequence[str], texts: Mapping[str, str] | None = None) -> None:
        """Compile as `stapwatch run ...` would, for several command lines.

        `texts`: the contents of the script files they name.
        """
        requests = {}
        for words in commands:
            _, options = main.parse(["run", *words])
            request = run_request(options, Path(), 4)
            text = options.text if options.file is None else (texts or {})[options.file]
            requests[repr(words)] = replace(request, text=text)
        for response in self.compile_requests(requests).values():
            assert response["ok"], "\n".join(e["text"] for e in response["errors"])

    def compile_requests(self, requests: Mapping[str, Request]) -> dict[str, dict[str, Any]]:
        return self._native.compile(requests)

    def tamper(self, module: str, change: Callable[[bytes], bytes]) -> None:
        """Change a module in the cache in a way that the cache cannot notice."""
        [file] = self.cache.rglob(f"{module}.ko")
        index = file.with_name("index.json")
        data = change(file.read_bytes())
        file.write_bytes(data)
        digests = {**json.loads(index.read_text()), file.name: hashlib.sha256(data).hexdigest()}
        index.write_text(json.dumps(digests))

    def install(self, guest: Guest) -> None:
        """Replace the guest's configuration, and add the modules to its cache."""
        guest.run(["rm", "-rf", ETC]).check()
        guest.push(self.etc, ETC)
        self.install_cache(guest)

    def install_cache(self, guest: Guest) -> None:
        self._native.install(guest)
