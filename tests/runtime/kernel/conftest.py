# SPDX-License-Identifier: GPL-2.0-or-later
"""Hand-written modules on the runtime, built with kbuild for the guest's kernel and loaded in a guest.

scenario("reads", 1000)   # guest/reads.py 1000, which loads sw_reads.ko -> what it printed, as a dict
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from compiler.kernel.kernel import Kernel
from compiler.modbuild import target_header
from lab import Guest, Image
from tests import PROJECT
from tests.lab_fixtures import skip_old_python

HERE = Path(__file__).parent
RUNTIME = PROJECT / "runtime"
FOLDER = "/root/runtime-tests"  # in the guest

Scenario = Callable[..., dict[str, Any]]


def write_headers(image: Image, folder: Path) -> None:
    """Write target.h and kernel.h of the guest's kernel, and a strange.h that matches no kernel."""
    kernel = Kernel.from_root(image.rootfs, image.release)
    (folder / "stapwatch").mkdir()
    (folder / "stapwatch" / "target.h").write_text(target_header.header(kernel.btf, kernel.arch))
    notes = subprocess.run(
        ["readelf", "-n", image.folder / "vmlinux"], capture_output=True, text=True, check=True
    )
    found = re.search(r"Build ID: (\w+)", notes.stdout)
    assert found is not None
    digits = ", ".join(f"0x{byte:02x}" for byte in bytes.fromhex(found[1]))
    (folder / "kernel.h").write_text(f"#define BUILD_ID {{ {digits} }}\n")
    (folder / "strange").mkdir()
    (folder / "strange" / "kernel.h").write_text("#define BUILD_ID { 1, 2, 3, 4 }\n")


def build(name: str, image: Image, folder: Path, *, strange: bool = False) -> Path:
    """Build modules/NAME.c on the runtime, as sw_NAME.ko; warnings are failures."""
    module = f"sw_{'stranger' if strange else name}"
    work = folder / module
    shutil.copytree(RUNTIME / "kernel", work, ignore=shutil.ignore_patterns("include"))
    text = (HERE / "modules" / f"{name}.c").read_text()
    (work / "script.c").write_text(text.replace(f'"sw_{name}"', f'"{module}"'))
    includes = [
        "/mnt/include",
        *(["/mnt/out/strange"] if strange else []),
        "/mnt/out",
        "/mnt/modules",
    ]
    make = ["make", "-s", "-C", f"/usr/src/linux-headers-{image.release}", f"M=/mnt/out/{module}"]
    make += [f"SW_MODULE={module}", f"SW_INCLUDE={' '.join(includes)}", "modules"]
    binds = {
        folder: "/mnt/out",
        RUNTIME / "kernel/include": "/mnt/include",
        HERE / "modules": "/mnt/modules",
    }
    done = image.chroot_run(make, binds=binds)
    said = (done.stdout + done.stderr).decode()
    assert not re.search(r"warning|objtool", said), said
    return work / f"{module}.ko"


@pytest.fixture(scope="session")
def modules(image: Image, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    skip_old_python(image)
    folder = tmp_path_factory.mktemp("modules")
    write_headers(image, folder)
    built = [build(name, image, folder) for name in ("reads", "timers", "faults", "broken")]
    return [*built, build("broken", image, folder, strange=True)]


@pytest.fixture(scope="module")
def booted(image: Image, modules: list[Path]) -> Iterator[Guest]:
    # One processor: QEMU 7.2's parallel emulation may go on executing a breakpoint that another
    # processor has patched away, and a function patched while it is called then never returns.
    with Guest.boot(image, cpus=1) as started:
        for path in modules:
            started.push(path, f"{FOLDER}/{path.name}")
        mirror = (RUNTIME / name for name in ("abi/structs.py", "support/record.py"))
        for path in (*(HERE / "guest").glob("*.py"), *mirror):
            started.push(path, f"{FOLDER}/{path.relative_to(PROJECT)}")
        yield started


@pytest.fixture
def scenario(guest: Guest) -> Iterator[Scenario]:
    """Runs guest/NAME.py in the guest; at the end the kernel must have reported no fault."""

    def run(name: str, *arguments: int, timeout: float = 120) -> dict[str, Any]:
        argv = ["python3", "-m", f"tests.runtime.kernel.guest.{name}", *map(str, arguments)]
        done = guest.run(argv, cwd=FOLDER, timeout=timeout).check()
        result: dict[str, Any] = json.loads(done.stdout)
        return result

    yield run
    assert guest.complaints() == []
