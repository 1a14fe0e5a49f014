# SPDX-License-Identifier: GPL-2.0-or-later
"""The demonstration's agent, with the packaged configuration: on this machine, or in a guest.

with contextlib.ExitStack() as stack:
    target = GuestTarget(guest) if why_not_local() else LocalTarget(folder, stack)
    target.url                  # http://127.0.0.1:9436, from now on
    target.failure()            # why it will never be ready, or None
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from abc import ABC, abstractmethod
from pathlib import Path

from agent.config import load
from lab import install_app
from lab.guest import Completed, Guest
from lab.host import LabError, cache_root, find_tool, run_logged, say
from lab.native_compiler import NativeCompiler, script_requests
from runtime.reader.module_loader import can_load_modules

PROJECT = Path(__file__).resolve().parents[2]
EXAMPLES = PROJECT / "packaging" / "probes.d"
PACKAGED = "/usr/share/stapwatch/probes.d"  # where the packaged configuration looks for scripts
ACTIVITY = Path(__file__).with_name("activity.py")
PORT = 9436
START_TIMEOUT = 400.0  # seconds for the guest's systemd
STOP_TIMEOUT = 60.0  # seconds for an agent to unload its modules


class DemoTarget(ABC):
    """An agent that was started. `where` describes its machine, e.g. "this machine, kernel 6.1.0"."""

    url: str
    where: str

    @abstractmethod
    def failure(self) -> str | None:
        """Why the agent will never be ready; None as long as it may be."""

    @abstractmethod
    def keep_busy(self) -> None:
        """Start a load that the example probes measure."""


class GuestTarget(DemoTarget):
    """The service of a guest. The caller closes the guest."""

    def __init__(self, guest: Guest) -> None:
        self._guest = guest
        self.where = f"{guest.image.suite.name} guest, kernel {guest.image.release}"
        install_app.install(guest, PROJECT)
        compile_natively(guest)
        # connections to a forwarded port do not reach the guest's loopback
        drop_in = f'listen: ["0.0.0.0:{PORT}"]\npublic_status: true\n{install_app.SLOW_MACHINE}'
        guest.push_text(drop_in, "/etc/stapwatch/conf.d/zz-lab.yaml")
        try:
            port = guest.forward(PORT, PORT)
        except LabError:
            port = guest.forward(PORT)
        self.url = f"http://127.0.0.1:{port}"
        self._started: Completed | LabError | None = None
        threading.Thread(target=self._start, daemon=True).start()

    def _start(self) -> None:
        start = ["systemctl", "start", "stapwatch"]
        try:
            self._started = self._guest.run(start, timeout=START_TIMEOUT)
        except LabError as error:  # failure() reports it
            self._started = error

    def failure(self) -> str | None:
        match self._started:
            case LabError() as error:
                return str(error)
            case Completed(status=status) if status != 0:
                journal = ["journalctl", "-u", "stapwatch", "-o", "cat", "-n", "30", "--no-pager"]
                return f"the service does not start:\n{self._guest.run(journal).stdout}"
            case _:
                return None

    def keep_busy(self) -> None:
        self._guest.push(ACTIVITY, "/run/activity.py")
        self._guest.start(["python3", "/run/activity.py", "/var/tmp"])


def compile_natively(guest: Guest) -> None:
    """The packaged configuration's scripts; the guest compiles what fails here, and reports it."""
    say("compiling the example probes for the guest's kernel")
    with tempfile.TemporaryDirectory(prefix="stapwatch-demo-") as name:
        folder = Path(name)
        etc = folder / "etc"
        shutil.copytree(PROJECT / "packaging" / "etc", etc)
        shutil.copy(PROJECT / "packaging" / "stapwatch.yaml", etc)
        native = NativeCompiler(PROJECT, guest.image, folder / "cache")
        settings = load.load(etc / "stapwatch.yaml")
        native.compile(script_requests(settings, etc, EXAMPLES))
        native.install(guest)


class LocalTarget(DemoTarget):
    """An agent that is a child of this process. It writes to `folder`; closing `stack` ends it."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self._folder, self._stack = folder, stack
        self.where = f"this machine, kernel {os.uname().release}"
        address = f"127.0.0.1:{free_port(PORT)}"
        self.url = f"http://{address}"
        self._log = folder / "agent.log"
        config = write_configuration(folder / "etc")
        agent = [sys.executable, "-m", "agent", "agent", "--config", str(config)]
        agent.append("--insecure-files")  # the working tree is its developer's
        self._agent = self._spawn([*agent, "--listen", address])

    def _spawn(self, argv: list[str]) -> subprocess.Popen[bytes]:
        path = os.pathsep.join(filter(None, [str(PROJECT), os.environ.get("PYTHONPATH")]))
        with self._log.open("ab") as log:
            child = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONPATH": path},
                start_new_session=True,  # Ctrl-C is for us; we end it ourselves
            )
        self._stack.callback(end, child)
        return child

    def failure(self) -> str | None:
        status = self._agent.poll()
        if status is None:
            return None
        tail = self._log.read_text(errors="replace").splitlines()[-20:]
        return "\n".join([f"the agent ended with status {status}:", *tail])

    def keep_busy(self) -> None:
        self._spawn([sys.executable, str(ACTIVITY), str(self._folder)])


def why_not_local() -> str | None:
    """Why the agent cannot run on this machine; None when it can."""
    if why := can_load_modules():
        return why
    release = os.uname().release
    if not headers_of(release).exists():
        install_headers(release)
    if not headers_of(release).exists():
        return f"there are no headers for this kernel ({headers_of(release)})"
    return None


def headers_of(release: str) -> Path:
    return Path("/lib/modules") / release / "build"


def install_headers(release: str) -> None:
    """Install a kernel's headers, if this is Debian's kernel; any failure is ignored."""
    if os.geteuid() != 0 or find_tool("apt-get") is None:
        return
    log = cache_root() / "headers.log"
    log.unlink(missing_ok=True)
    apt = ["apt-get", "-o", "DPkg::Lock::Timeout=300", "-q", "-y"]
    with contextlib.suppress(LabError):
        run_logged([*apt, "update"], log, what="apt-get update")
        say(f"installing linux-headers-{release}")
        install = [*apt, "--no-install-recommends", "install", f"linux-headers-{release}"]
        run_logged(install, log, what="installing the kernel's headers")


def write_configuration(folder: Path) -> Path:
    """Copy the packaged configuration, with its paths changed to the project's; return its main file.

    `folder` must not exist. The agent's run-time files go next to it.
    """
    shutil.copytree(PROJECT / "packaging" / "etc", folder)
    for path in folder.glob("conf.d/*.yaml"):
        path.write_text(path.read_text().replace(PACKAGED, str(EXAMPLES)))
    cache = cache_root() / "here"
    places = f"cache_folder: {cache}\nwork_folder: {folder.parent / 'run'}\n"
    folder.joinpath("conf.d/zz-places.yaml").write_text(f"{places}script_folders: [../probes.d]\n")
    return Path(shutil.copy(PROJECT / "packaging" / "stapwatch.yaml", folder))


def free_port(wanted: int) -> int:
    """The port if it is free, else any other that is."""
    for port in (wanted, 0):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)) as server:
            return int(server.getsockname()[1])
    raise LabError("no free port on 127.0.0.1")


def end(child: subprocess.Popen[bytes]) -> None:
    """Terminate a child; kill it if it has not ended after STOP_TIMEOUT."""
    child.terminate()
    try:
        child.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
