# SPDX-License-Identifier: GPL-2.0-or-later
"""Every example compiles for the kernel of every suite that the lab has, and the packaged configuration fits them."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from agent.config import load
from agent.exposition.families import plan
from agent.scripts import compile_client
from compiler.driver.compile import compile_script
from lab import DEFAULT_KERNEL, SUITES, Image
from lab.warm_cache import warm_cache
from runtime.support.record import replace
from tests import PROJECT
from tests.examples.conftest import EXAMPLES, packaged_configuration
from tests.module_file import manifest_of_module

BUILT = [kernel for kernel in SUITES if Image.find(kernel).exists]
CHOSEN = os.environ.get("LAB_KERNEL")  # `make kernels` asks for one after the other
KERNELS = {CHOSEN} if CHOSEN else {DEFAULT_KERNEL, *BUILT}
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.stp"))


@pytest.fixture(scope="session", params=sorted(KERNELS))
def target(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """Parts of a compile request for one of the lab's kernels."""
    image = Image.ensure(request.param)
    cache = tmp_path_factory.mktemp(f"cache-{request.param}") / "cache"
    shutil.copytree(warm_cache(PROJECT, image), cache)
    kernel = {"root": str(image.rootfs), "release": image.release}
    return {"kernel": kernel, "cache": str(cache)}


@pytest.mark.parametrize("name", NAMES)
def test_example(name: str, target: dict[str, Any], tmp_path: Path) -> None:
    settings = load.load(packaged_configuration(tmp_path))
    script = settings.scripts[name]
    assert script.file == Path("/usr/share/stapwatch/probes.d") / f"{name}.stp"
    script = replace(script, file=EXAMPLES / script.file.name)
    wanted = compile_client.request(script, settings)
    wanted = replace(wanted, output=str(tmp_path), **target)
    response = compile_script(wanted, lambda line: None)
    assert response.ok, "\n".join(fault.text for fault in response.errors)
    assert not response.warnings
    manifest = manifest_of_module(Path(response.path))
    families, problems = plan([(name, manifest, script.metrics)], frozenset())
    assert not problems
    assert families
    for family in families:
        assert re.fullmatch(r"stapwatch_[a-z_]+", family.name)
        assert not family.help.startswith("Global '"), f"{family.name} has no help of its own"
