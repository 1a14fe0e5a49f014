# SPDX-License-Identifier: GPL-2.0-or-later
"""The example probes and their packaged configuration, in one guest."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.config import load
from agent.scripts import compile_client
from lab import DEFAULT_KERNEL, Guest, Image, install_app
from runtime.support.record import replace
from tests.system.service import PORT, Service
from tests.system.setting import PROJECT, Setting

HERE = Path(__file__).parent
EXAMPLES = PROJECT / "packaging" / "probes.d"
TRIGGER = "/usr/local/bin/trigger"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.lab)


@pytest.fixture(scope="session")
def image() -> Image:
    return Image.ensure(os.environ.get("LAB_KERNEL") or DEFAULT_KERNEL)


@pytest.fixture(scope="module")
def guest(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guest]:
    if not install_app.runs_in(image):
        pytest.skip(f"Python {image.python} of {image.suite.name} is too old for the project")
    trigger = tmp_path_factory.mktemp("trigger") / "trigger"
    subprocess.run(["gcc", "-O1", "-static", "-o", trigger, HERE / "trigger.c"], check=True)
    with Guest.boot(image) as started:
        install_app.install(started, PROJECT)
        started.push(trigger, TRIGGER)
        yield started


@pytest.fixture(scope="module")
def service(
    guest: Guest, image: Image, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """The packaged configuration with all examples switched on, running."""
    setting = Setting(tmp_path_factory.mktemp("setting"), image)
    packaged_configuration(setting.etc)
    for path in setting.etc.glob("conf.d/*.yaml"):
        path.write_text(path.read_text().replace("enabled: false", "enabled: true"))
    setting.write("conf.d/listen.yaml", f'listen: ["0.0.0.0:{PORT}"]\n')
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
    running = Service(guest, guest.forward(PORT))
    running.start()
    yield running
    running.stop()
    assert running.modules() == set()


def packaged_configuration(folder: Path) -> Path:
    """Put /etc/stapwatch together as a package does; its main file."""
    shutil.copytree(PROJECT / "packaging" / "etc", folder, dirs_exist_ok=True)
    return Path(shutil.copy(PROJECT / "packaging" / "stapwatch.yaml", folder))
