# SPDX-License-Identifier: GPL-2.0-or-later
"""One guest for each file of this folder, with the project installed and a program that does exactly what it
is told.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import DEFAULT_KERNEL, Guest, Image, install_app
from tests.system.service import PORT, Service
from tests.system.setting import PROJECT, Setting

HERE = Path(__file__).parent
TRIGGER = "/usr/local/bin/trigger"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.lab)


@pytest.fixture(scope="session")
def image() -> Image:
    return Image.ensure(os.environ.get("LAB_KERNEL") or DEFAULT_KERNEL)


@pytest.fixture(scope="session")
def trigger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("trigger") / "trigger"
    source = PROJECT / "tests" / "handlers" / "trigger.c"
    subprocess.run(["gcc", "-O1", "-static", "-o", made, source], check=True)
    return made


@pytest.fixture(scope="module")
def guest(image: Image, trigger: Path) -> Iterator[Guest]:
    if not install_app.runs_in(image):
        pytest.skip(f"Python {image.python} of {image.suite.name} is too old for the project")
    with Guest.boot(image) as started:
        install_app.install(started, PROJECT)
        started.push(trigger, TRIGGER)
        yield started


@pytest.fixture(scope="module")
def setting(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Setting:
    return Setting(tmp_path_factory.mktemp("setting"), image)


@pytest.fixture(scope="module")
def service(guest: Guest) -> Service:
    """The unit, not started."""
    return Service(guest, guest.forward(PORT))
