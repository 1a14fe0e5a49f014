# SPDX-License-Identifier: GPL-2.0-or-later
"""The example probes and their packaged configuration, in one guest."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.config import load
from agent.scripts import compile_client
from lab import Guest, Image
from runtime.support.record import replace
from tests import PROJECT
from tests.lab_fixtures import build_trigger
from tests.system.service import PORT, Service, wait_for
from tests.system.setting import Setting

HERE = Path(__file__).parent
EXAMPLES = PROJECT / "packaging" / "probes.d"


@pytest.fixture(scope="session")
def trigger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_trigger(HERE / "trigger", tmp_path_factory)


@pytest.fixture(scope="module")
def service(
    guest: Guest, image: Image, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """The packaged configuration with all examples switched on, running."""
    setting = Setting(tmp_path_factory.mktemp("setting"), image)
    packaged_configuration(setting.etc)
    for path in setting.etc.glob("conf.d/*.yaml"):
        path.write_text(path.read_text().replace("enabled: false", "enabled: true"))
    setting.write("conf.d/listen.yaml", f'listen: ["0.0.0.0:{PORT}"]\npublic_status: true\n')
    settings = load.load(setting.etc / "stapwatch.yaml")
    requests = {}
    for name, script in settings.scripts.items():
        assert script.file is not None
        text = (EXAMPLES / script.file.name).read_text()
        found = compile_client.request(replace(script, file=None, text=text), settings)
        requests[name] = replace(found, source=str(script.file))
    for response in setting.compile_requests(requests).values():
        assert response["ok"], "\n".join(e["text"] for e in response["errors"])
    setting.install(guest)
    # The guest finds the programs that scripts probe at the paths at which they were compiled for it.
    guest.run(f"mkdir -p {image.rootfs.parent} && ln -s / {image.rootfs}").check()
    running = Service(guest, guest.forward(PORT))
    running.start()
    yield running
    running.stop()
    # what the agent does not have time for, its helper unloads
    wait_for(lambda: not running.modules(), "all modules are unloaded")


def packaged_configuration(folder: Path) -> Path:
    """Create /etc/stapwatch as the package does. Returns its main file."""
    shutil.copytree(PROJECT / "packaging" / "etc", folder, dirs_exist_ok=True)
    return Path(shutil.copy(PROJECT / "packaging" / "stapwatch.yaml", folder))
