# SPDX-License-Identifier: GPL-2.0-or-later
"""One QEMU process: its command line, its monitor, and the watchdog that ends it with its user.

    vm = Qemu(Machine(image, memory_mb=1024, cpus=2, accel="tcg"), run_dir); vm.hmp("info status")

The command channel and the monitor are inherited socket pairs: no path can clash or
remain, and the far end closes at the very moment QEMU dies.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import platform
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import firmware
from lab.firmware import Start
from lab.host import LabError, cache_root, locked, say
from lab.image import Image

SHARE_SLOTS = 4  # 9p devices that every guest has: a snapshot fixes the set of devices
PARCEL_SIZE = 512 << 20  # of the second, read-only disk, sparse
COMMAND_LINE = (
    "root=/dev/vda rw console=ttyS0 quiet net.ifnames=0 panic=-1 "
    # emulation on a busy machine is slow, not stuck
    "tsc=reliable rcupdate.rcu_cpu_stall_timeout=300 watchdog_thresh=60 "
    "systemd.show_status=0 fsck.mode=skip"
)
NETWORK = "user,id=net,restrict=on"
OUTSIDE = "10.0.2.100"  # where a guest finds the services of this machine that it may reach
# $1 pid of QEMU, $2 its folder. Its input is a pipe whose other end only the lab's process holds:
# a line means that all was cleaned up; the end of file means that the process died
_WATCHDOG = 'read -r line || { kill -KILL "$1"; rm -rf "$2"; }'


@dataclass(frozen=True, slots=True)
class Machine:
    """A guest's hardware. A snapshot fits exactly one machine."""

    image: Image
    memory_mb: int
    cpus: int
    accel: str  # "kvm" or "tcg"
    icount: bool = False
    start: Start = Start.KERNEL

    def arguments(self) -> list[str]:
        """The part of QEMU's command line that describes the hardware."""
        smm = "" if self.start is Start.KERNEL else ",smm=on"  # guards the firmware's variables
        argv = [
            *("-nodefaults", "-no-user-config", "-no-reboot"),
            *("-display", "none", "-vga", "none"),
            *("-machine", f"q35,vmport=off,usb=off{smm}"),
            *("-m", str(self.memory_mb), "-smp", str(self.cpus)),
            *("-rtc", "base=utc,clock=host"),
        ]
        if self.accel == "kvm":
            argv += ["-accel", "kvm", "-cpu", "host"]
        elif self.icount:
            argv += ["-accel", "tcg,thread=single", "-cpu", "max,la57=off"]
            argv += ["-icount", "shift=0,align=off,sleep=off"]
        else:
            # one thread for all CPUs: with several, a CPU may go on executing a breakpoint that another
            # has already patched away, and then loops in its handler for ever
            argv += ["-accel", "tcg,thread=single", "-cpu", "max,la57=off"]
        argv += firmware.kernel_arguments(self.start, self.image)
        for name in ("virtio-blk-pci,drive=root", "virtio-blk-pci,drive=parcel"):
            argv += ["-device", name]
        argv += ["-device", "virtio-serial-pci"]
        argv += ["-device", "virtserialport,chardev=channel,name=stapwatch.lab"]
        argv += ["-device", "virtio-net-pci,netdev=net,romfile="]
        # the guest has no access to the network outside; ports forwarded to it still work
        argv += ["-netdev", NETWORK]
        for slot in range(SHARE_SLOTS):
            argv += ["-device", f"virtio-9p-pci,fsdev=share{slot},mount_tag=share{slot}"]
        return argv

    @property
    def command_line(self) -> str:
        """The kernel's."""
        return f"{COMMAND_LINE} {self.image.kernel_args}".strip()

    @property
    def key(self) -> str:
        """Names the snapshot: the hardware, the kernel's command line and QEMU's own version."""
        parts = [*self.arguments(), self.command_line, qemu_version(), str(PARCEL_SIZE)]
        if self.accel == "kvm":
            parts.append(cpu_model())
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


class Qemu:
    """A started QEMU. `folder` is its own: console.log, parcel.raw and the overlay are there."""

    def __init__(
        self,
        machine: Machine,
        folder: Path,
        *,
        shares: Sequence[tuple[Path, bool]] = (),
        load: str | None = None,
        extra_kernel_args: str = "",
        reach: Mapping[int, tuple[str, int]] | None = None,
    ) -> None:
        self.folder = folder
        self.console = folder / "console.log"
        self.console.touch()
        self.parcel = folder / "parcel.raw"
        with self.parcel.open("wb") as file:
            file.truncate(PARCEL_SIZE)
        nothing = folder / "nothing"
        nothing.mkdir()
        channel, channel_end = socket.socketpair()
        monitor, monitor_end = socket.socketpair()
        argv = ["qemu-system-x86_64", *machine.arguments()]
        command_line = f"{machine.command_line} {extra_kernel_args}".strip()
        argv += firmware.boot_arguments(machine.start, machine.image, folder, command_line)
        # no part of the hardware: a snapshot fits with and without
        argv[argv.index(NETWORK)] += "".join(_way_out(*each) for each in (reach or {}).items())
        argv += ["-chardev", f"socket,id=channel,fd={channel_end.fileno()}"]
        argv += ["-chardev", f"socket,id=monitor,fd={monitor_end.fileno()}"]
        argv += ["-mon", "chardev=monitor,mode=control"]
        argv += ["-serial", f"file:{self.console}"]
        overlay = folder / "overlay.qcow2"
        argv += ["-drive", f"id=root,if=none,format=qcow2,cache=unsafe,file={overlay}"]
        argv += ["-drive", f"id=parcel,if=none,format=raw,readonly=on,file={self.parcel}"]
        argv[-1] += ",file.locking=off"  # written by the host before the guest mounts it
        for slot in range(SHARE_SLOTS):
            path, writable = shares[slot] if slot < len(shares) else (nothing, False)
            option = f"local,id=share{slot},security_model=none,multidevs=remap,path={path}"
            argv += ["-fsdev", option + ("" if writable else ",readonly=on")]
        if load is not None:
            argv += ["-loadvm", load]
        self.log = folder / "qemu.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(channel_end.fileno(), monitor_end.fileno()),
                start_new_session=True,  # Ctrl-C is for us; we end QEMU ourselves
            )
        channel_end.close()
        monitor_end.close()
        self.watchdog = subprocess.Popen(
            ["sh", "-c", _WATCHDOG, "lab-watchdog", str(self.process.pid), str(folder)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        self.channel_socket = channel
        self.monitor = Monitor(monitor)

    def hmp(self, line: str) -> str:
        """Give one line to QEMU's human monitor; its answer, empty when all is well."""
        try:
            return str(self.monitor.execute("human-monitor-command", {"command-line": line}))
        except OSError as error:
            log = self.log.read_text(errors="replace").strip()
            raise LabError(f"qemu does not answer '{line}': {error}; {log}") from error

    def close(self) -> None:
        """End the process and remove its folder. May be called twice."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.monitor.sock.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.watchdog.stdin is not None and not self.watchdog.stdin.closed:
            with contextlib.suppress(OSError):
                self.watchdog.stdin.write(b"done\n")
                self.watchdog.stdin.flush()
            with contextlib.suppress(OSError):
                self.watchdog.stdin.close()
        self.watchdog.wait()


def _way_out(guest_port: int, service: tuple[str, int]) -> str:
    """The option for one service. A program serves each connection: a socket of QEMU's own would be one for
    all."""
    relay = f"{sys.executable} -SE {Path(__file__).with_name('relay.py')} {service[0]} {service[1]}"
    return f",guestfwd=tcp:{OUTSIDE}:{guest_port}-cmd:{relay}"


class Monitor:
    """The part of QMP that is needed: one command, one answer; events are skipped."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        sock.settimeout(60)
        self.file = sock.makefile("rb")
        self.ready = False

    def execute(self, command: str, arguments: dict[str, Any] | None = None) -> Any:
        if not self.ready:
            self._read()  # the greeting
            self.ready = True
            self.execute("qmp_capabilities")
        request = {"execute": command, "arguments": arguments or {}}
        self.sock.sendall(json.dumps(request).encode() + b"\n")
        while True:
            answer = self._read()
            if "error" in answer:
                raise LabError(f"qemu refused {command}: {answer['error'].get('desc')}")
            if "return" in answer:
                return answer["return"]

    def _read(self) -> dict[str, Any]:
        line = self.file.readline()
        if not line:
            raise ConnectionError("it has gone")
        answer: dict[str, Any] = json.loads(line)
        return answer


def make_run_folder() -> Path:
    """Return a new folder for one QEMU, in the cache: /tmp may be small or in memory."""
    parent = cache_root() / "run"
    parent.mkdir(exist_ok=True)
    for left in parent.glob("guest-*"):  # of a machine that lost its power
        if not Path(f"/proc/{left.name.split('-')[1]}").exists():
            shutil.rmtree(left, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"guest-{os.getpid()}-", dir=parent))


def make_overlay(image: Image, path: Path) -> None:
    argv = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(image.disk)]
    subprocess.run([*argv, str(path)], check=True, stdin=subprocess.DEVNULL)


# -- accelerator --------------------------------------------------------------------------------


@functools.cache
def qemu_version() -> str:
    out = subprocess.run(["qemu-system-x86_64", "--version"], check=True, capture_output=True)
    return out.stdout.decode().splitlines()[0]


@functools.cache
def cpu_model() -> str:
    found = re.search(r"^model name\s*:\s*(.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    return found[1] if found else platform.machine()


@functools.cache
def choose_accel(image: Image) -> str:
    """Return "kvm" where a trial boot of the image's kernel ends well, else "tcg".

    A device node proves nothing: nested or restricted KVM may start a guest that then hangs. The
    answer is cached for this host kernel, processor and QEMU. LAB_ACCEL=kvm|tcg overrides.
    """
    if (forced := os.environ.get("LAB_ACCEL")) is not None:
        if forced not in ("kvm", "tcg"):
            raise LabError(f"LAB_ACCEL is '{forced}'; it can be kvm or tcg")
        return forced
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    what = f"{platform.release()}\0{cpu_model()}\0{qemu_version()}"
    record = cache_root() / f"accel-{hashlib.sha256(what.encode()).hexdigest()[:12]}"
    with locked(record.with_suffix(".lock"), "a trial boot"):
        if not record.exists():
            say("trying KVM: booting a kernel for at most 20 s")
            works = try_accel(image, "kvm", timeout=20)
            say("KVM works" if works else "KVM does not work here: emulating, 10-20 times slower")
            record.write_text("kvm" if works else "tcg")
    return record.read_text()


def try_accel(image: Image, accel: str, timeout: float) -> bool:
    """Whether the image's kernel boots into its initramfs, which prints a line and reboots."""
    machine = Machine(image, memory_mb=512, cpus=1, accel=accel)
    folder = make_run_folder()
    make_overlay(image, folder / "overlay.qcow2")
    vm = Qemu(machine, folder, extra_kernel_args="lab.trial")
    try:
        vm.process.wait(timeout=timeout)  # -no-reboot: a reboot ends QEMU
        return "lab: trial boot works" in vm.console.read_text(errors="replace")
    except subprocess.TimeoutExpired:
        return False
    finally:
        vm.channel_socket.close()
        vm.close()
