# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernels of this host, and which modules the configuration asks for on each.

    host_kernels(settings, folder)
      -> [HostKernel("6.1.0-56-cloud", "e4f1...", {"5f2c...": "vfs"}), HostKernel("6.1.0-57-cloud", ...)]

The one that runs is the first. The others are installed: one of them may be the next boot's.
"""

from __future__ import annotations

import os
from pathlib import Path

from agent.config.settings import Settings
from agent.prebuilt.service_environment import service_environment
from agent.prebuilt.syncing import HostKernel
from agent.rollout import matching
from agent.scripts import module_lookup, variants
from compiler.kernel.errors import KernelFactError
from compiler.kernel.image import running_build_id
from compiler.kernel.kernel import Kernel, releases
from compiler.protocol import Request
from runtime.support.record import replace


def host_kernels(settings: Settings, folder: Path, root: Path = Path("/")) -> list[HostKernel]:
    """`folder`: for what is known about kernels, unless the unit has a cache. A kernel whose image cannot be
    read is left out: its modules come once it runs."""
    cache = Path(os.environ.get("CACHE_DIRECTORY", "").partition(":")[0] or folder / "cache")
    running = os.uname().release
    requests = _requests(settings, cache, running)
    found = [HostKernel(running, running_build_id().hex(), _needed(requests, None))]
    for release in releases(root):
        try:
            build_id = Kernel.from_root(root, release, None, cache / "kernels").build_id.hex()
        except (KernelFactError, OSError):
            continue
        if build_id != found[0].build_id:
            kernel = {"root": str(root), "release": release}
            requests = _requests(settings, cache, release)
            found.append(HostKernel(release, build_id, _needed(requests, kernel)))
    return found


def _requests(settings: Settings, cache: Path, release: str) -> list[Request]:
    """Those of the agent, for all variants of the scripts that a builder makes for this kernel."""
    arch = os.uname().machine
    scripts = (
        script
        for script in settings.scripts.values()
        if script.enabled and matching.kernel_mismatch(script.rollout.when, release, arch) is None
    )
    candidates = (one for script in scripts for one in variants.candidates(script, settings))
    return [replace(one.request, cache=str(cache)) for one in candidates]


def _needed(requests: list[Request], kernel: dict[str, str] | None) -> dict[str, str]:
    """Identity -> script, of the scripts that this process may read."""
    with service_environment():
        pairs = {
            module_lookup.identity(replace(request, kernel=kernel)): request.name
            for request in requests
        }
    return {identity: script for identity, script in pairs.items() if identity}
