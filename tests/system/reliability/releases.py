# SPDX-License-Identifier: GPL-2.0-or-later
"""Other releases of stapwatch: the files of one take the place of another's, and the service is restarted."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from lab import Image, install_app
from lab.native_compiler import CACHE
from tests import PROJECT
from tests.system.reliability import processes
from tests.system.reliability.load import SCRIPTS, SIZES
from tests.system.reliability.scene import Scene

# The last release whose restart unloads the modules. It adopts only what a crash has left.
OLDER = "80bec7c1c7d5"
_HERE = "/root/older"
_PREFIX = f"/{install_app.PREFIX}"
_UNITS = "/etc/systemd/system"
# compiled by the older release itself, and stored where its agent looks for it
_COMPILE = """\
import sys
from dataclasses import replace
from pathlib import Path
from lab import Image
from tests.system.setting import Setting
setting, kernel, key, folder = sys.argv[1:]
image = replace(Image.find(kernel), key=key, folder=Path(folder))  # its own recipe may be another one
setting = Setting(Path(setting), image)
for name, text in eval(sys.stdin.read()).items():
    setting.script(name, text)
setting.compile()
"""
_REPLACE = f"""
set -e
mkdir -p /root/current
mv {_UNITS}/stapwatch*.service {_UNITS}/stapwatch.socket /etc/stapwatch /root/current/
cp -a {_HERE}/etc /etc/stapwatch
cp -a {_HERE}/systemd/*.service {_UNITS}/
mount --bind {_HERE}/lib {_PREFIX}
systemctl daemon-reload
"""
_PUT_BACK = f"""
set -e
umount {_PREFIX}
rm -r {_UNITS}/stapwatch.service /etc/stapwatch
mv /root/current/stapwatch {_UNITS}/../../stapwatch
mv /root/current/* {_UNITS}/
systemctl daemon-reload
"""
NEWER = "0.99.0"
# another version and another runtime; the .pyc of the older version would be used all the same
_UPGRADE = f"""
set -e
cp -a {_PREFIX} /root/newer
cd /root/newer
sed -i 's/^VERSION = .*/VERSION = "{NEWER}"/' compiler/version.py
rm compiler/__pycache__/version.*
echo '/* another runtime */' >>runtime/kernel/core/main.c
mount --bind /root/newer {_PREFIX}
"""


class OlderRelease:
    """The tree of an older release, from the project's history. `available`: False where there is no history."""

    def __init__(self, folder: Path) -> None:
        self._tree, self._setting = folder / "tree", folder / "setting"
        argv = ["git", "-C", str(PROJECT), "archive", OLDER]
        done = subprocess.run(argv, capture_output=True)
        self.available = done.returncode == 0
        if self.available:
            with tarfile.open(fileobj=io.BytesIO(done.stdout)) as tar:
                tar.extractall(self._tree, filter="data")

    def install(self, scene: Scene) -> None:
        """In the guest, beside the files that are in use: its own, and its modules of the scene's scripts."""
        image = scene.guest.image
        self._compile(image)
        packed = self._tree.parent / "packed"
        for part in ("agent", "compiler", "runtime"):
            shutil.copytree(self._tree / part, packed / part)
        vendor = install_app.ensure_vendor(self._tree, image)
        install_app.build_table(packed, vendor)
        install_app.compile_python(packed, image)
        shutil.copytree(vendor, packed / "vendor", symlinks=True)
        for source, name in (
            (packed, "lib"),
            (self._tree / "systemd", "systemd"),
            (self._setting / "etc", "etc"),
            (self._setting / "cache/entries", "entries"),
        ):
            scene.guest.push(source, f"{_HERE}/{name}")
        scene.shell(f"cp -an {_HERE}/entries/. {CACHE}/entries/; chmod -R go= {CACHE}")

    def _compile(self, image: Image) -> None:
        self._setting.mkdir()
        env = {**os.environ, "PYTHONPATH": f"{self._tree}:{self._tree}/packaging"}
        guest = (image.suite.kernel, image.key, str(image.folder))
        argv = [sys.executable, "-c", _COMPILE, str(self._setting), *guest]
        scripts = repr({**SCRIPTS, "sizes": SIZES % 0})
        subprocess.run(argv, input=scripts, text=True, env=env, cwd=self._tree, check=True)


def downgrade(scene: Scene) -> None:
    """The older release knows nothing of modules that were left to it, so it is stopped and started."""
    older = OlderRelease(scene.folder / "older")
    if not older.available:
        pytest.skip("the older release is not in the project's history")
    older.install(scene)
    pid = scene.agent()
    scene.service.stop()
    scene.shell(_REPLACE)
    scene.service.start()
    scene.agent_after(pid)
    no_module_is_left(scene)


def upgrade(scene: Scene) -> None:
    """From the older release to this one."""
    if scene.guest.run("[ -e /root/current/stapwatch ]").status:
        pytest.skip("the older release does not run")
    scene.shell(_PUT_BACK)
    processes.restart(scene)
    no_module_is_left(scene)


def no_module_is_left(scene: Scene) -> None:
    """Those that the other release has loaded are gone."""
    modules = {script["module"] for script in scene.service.status().values()}
    found = scene.service.modules()
    assert found == modules, (
        f"{found} are loaded, {modules} are served\n{scene.service.journal_text()}"
    )


def upgrade_again(scene: Scene) -> None:
    """From this release to one with another runtime."""
    scene.shell(_UPGRADE)
    processes.restart(scene)
    tree = scene.service.tree()
    assert tree["version"] == NEWER
    assert all(script["older_compiler"] for script in tree["scripts"])


def downgrade_again(scene: Scene) -> None:
    """Back to this release."""
    scene.shell(f"umount {_PREFIX}")
    processes.restart(scene)
    assert scene.service.tree()["version"] != NEWER
