# SPDX-License-Identifier: GPL-2.0-or-later
"""Starts the service, the load and Prometheus.

with serving(guest, setting, service, folder) as scene:
    scene.load.rush()
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab import DEFAULT_KERNEL, Guest, Image
from tests.agent.certificates import Certificates
from tests.system.prometheus import Scraper
from tests.system.reliability import files, processes
from tests.system.reliability.load import RING, SCRIPTS, SIZES, Load
from tests.system.reliability.scene import Scene
from tests.system.service import Service
from tests.system.setting import MAIN, Setting
from tests.system.test_bad_input import build_id_of

CONFIG = f"{MAIN}scripts:\n  lines: {{defines: {{RINGSIZE: {RING}}}}}\n"
QUICK = "[Service]\nRestartSec=100ms\n"


@contextmanager
def serving(guest: Guest, setting: Setting, service: Service, folder: Path) -> Iterator[Scene]:
    for name, text in SCRIPTS.items():
        setting.script(name, text)
    setting.write("stapwatch.yaml", CONFIG)
    names = sizes(setting, guest)
    texts = {processes.KILLER_FILE: processes.KILLER}
    setting.compile_run(processes.KILLER_RUN, texts=texts)
    setting.install(guest)
    guest.push_text(QUICK, "/etc/systemd/system/stapwatch.service.d/quick.conf")
    service.systemctl("daemon-reload").check()
    service.start()
    certificates = Certificates.make(folder / "certificates")
    server = Image.ensure(DEFAULT_KERNEL)  # the one with Prometheus
    with Scraper(server, folder, service.port, certificates.authority.cert) as prometheus:
        load = Load.start(guest)
        yield Scene(guest, service, load, prometheus, certificates, names, folder)
        load.end()


def sizes(setting: Setting, guest: Guest) -> dict[int, str]:
    """The modules of the versions of the script `sizes` that are in the cache; one is for another kernel."""
    names = {}
    build_id = bytes.fromhex(build_id_of(guest))
    for version in (files.REFUSED, files.CORRUPT, 1, 0):
        setting.script("sizes", SIZES % version)
        names[version] = setting.compile()["sizes"]["module"]
    setting.tamper(names[files.REFUSED], lambda ko: ko.replace(build_id, build_id[::-1]))
    return names
