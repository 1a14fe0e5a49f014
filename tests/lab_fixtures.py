# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab's fixtures, for every test that runs in a guest's kernel. tests/conftest.py loads this plugin.

    image      the image of the guest's kernel; LAB_KERNEL chooses one
    trigger    a program for the guest that makes exactly the system calls it is asked for
    booted     a guest with the project and the trigger, one for each test file; a folder may override it
    guest      `booted`, whose kernel must have reported no fault when the file's tests are over

Missing packages are installed, and an image that is not in the cache is built. If that is impossible, the
tests fail and report why; they are skipped only where the guest's Python is too old for the project.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab import DEFAULT_KERNEL, Guest, Image, install_app
from tests import PROJECT

TRIGGER = "/usr/local/bin/trigger"


@pytest.fixture(scope="session")
def image() -> Image:
    return Image.ensure(os.environ.get("LAB_KERNEL") or DEFAULT_KERNEL)


@pytest.fixture(scope="session")
def trigger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """tests/handlers/trigger.c; a folder with a trigger of its own overrides this."""
    return build_trigger(PROJECT / "tests/handlers/trigger.c", tmp_path_factory)


@pytest.fixture(scope="module")
def booted(image: Image, trigger: Path) -> Iterator[Guest]:
    with project_guest(image) as started:
        started.push(trigger, TRIGGER)
        yield started


@pytest.fixture(scope="module")
def guest(booted: Guest) -> Iterator[Guest]:
    yield booted
    assert booted.complaints() == []


@contextmanager
def project_guest(image: Image) -> Iterator[Guest]:
    """A fresh guest with the project installed: its command, its units, its example probes."""
    skip_old_python(image)
    with Guest.boot(image) as started:
        install_app.install(started, PROJECT)
        yield started


def skip_old_python(image: Image) -> None:
    if not install_app.runs_in(image):
        pytest.skip(f"Python {image.python} of {image.suite.name} is too old for the project")


def build_trigger(source: Path, factory: pytest.TempPathFactory) -> Path:
    """Compile a program, of one file or a folder of them, for any guest: it is linked statically."""
    made = factory.mktemp("trigger") / "trigger"
    sources = sorted(source.glob("*.c")) if source.is_dir() else [source]
    subprocess.run(["gcc", "-O1", "-static", "-o", made, *sources], check=True)
    return made
