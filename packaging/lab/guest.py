# SPDX-License-Identifier: GPL-2.0-or-later
"""A running guest: commands, files, ports, shares.

    with Guest.boot(Image.ensure(), share=Path("/srv/data")) as guest:
        guest.run("ls /share", timeout=10).check().stdout
        port = guest.forward(9090)              # 127.0.0.1:port on the host

A guest is a restored snapshot (under a second) unless `fresh` asks for a real boot. It is thrown
away by close(), with everything that was written in it.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

from lab import channel as wire
from lab import firmware
from lab.channel import Channel, ChannelClosed, NoAnswer, Remote
from lab.firmware import Start
from lab.host import LabError, locked, remove_all_but, say
from lab.image import Image
from lab.qemu import (
    SHARE_SLOTS,
    Machine,
    Qemu,
    choose_accel,
    make_overlay,
    make_run_folder,
)

BOOT_TIMEOUT = 240.0  # to the first answer of a guest that really boots
RESTORE_TIMEOUT = 60.0
GRACE = 30.0  # from killing a command until the guest itself counts as hung
SNAPSHOT = "ready"
OVERLAY = "overlay.qcow2"
SNAPSHOTS_KEPT = 8
_ANNOUNCED = re.compile(r"debug is enabled")  # at boot, by a kernel that checks itself
COMPLAINT = re.compile(
    r"\b(BUG|WARNING|Oops|Call Trace|general protection fault|blocked for more than|"
    r"lockup|detected (?:expedited )?stalls|self-detected stall|possible recursive locking|"
    r"page allocation failure|unregister_netdevice|use-after-free|Kernel panic|suspected memory leaks)\b"
)
Stream = Callable[[int, bytes], None]


class GuestDied(LabError):
    """The guest has ended or hangs; the text has the end of its console."""


class CommandFailed(LabError):
    """A checked command ended with another status than 0; the text holds its output."""


class CommandTimeout(LabError):
    """A command was killed after its time. `completed` has its output until then."""

    def __init__(self, text: str, completed: Completed) -> None:
        super().__init__(text)
        self.completed = completed


@dataclass(frozen=True, slots=True)
class Completed:
    """A command that has ended. `status`: its exit status, or minus the signal that ended it."""

    argv: tuple[str, ...]
    status: int
    stdout_bytes: bytes
    stderr_bytes: bytes

    @property
    def stdout(self) -> str:
        return self.stdout_bytes.decode(errors="replace")

    @property
    def stderr(self) -> str:
        return self.stderr_bytes.decode(errors="replace")

    def check(self) -> Completed:
        """Return itself when the status is 0, else raise CommandFailed."""
        if self.status != 0:
            raise CommandFailed(
                f"in the guest: {shlex.join(self.argv)[:300]} ended with {self.status}\n"
                f"{self.stdout[-2000:]}{self.stderr[-2000:]}".rstrip()
            )
        return self


@dataclass(frozen=True, slots=True)
class Share:
    """A folder of the host, shown in the guest at `at` over 9p."""

    path: Path
    at: str = "/share"
    writable: bool = False


class Running:
    """A command that runs in the guest."""

    def __init__(self, guest: Guest, argv: tuple[str, ...], remote: Remote, deadline: float | None):
        self.guest, self.argv, self.remote = guest, argv, remote
        self._deadline = deadline
        self._timed_out = False
        self._out = io.BytesIO()
        self._err = io.BytesIO()

    def write(self, data: bytes) -> None:
        self.remote.write(data)

    def end_input(self) -> None:
        self.remote.end_input()

    def kill(self, number: int = 15) -> None:
        """Send a signal to its process group."""
        self.remote.kill(number)

    def resize(self, rows: int, columns: int) -> None:
        self.remote.resize(rows, columns)

    def wait(self, *, stream: Stream | None = None, until: bytes | None = None) -> Completed:
        """Wait for its end; `stream(1 or 2, data)` gets the output as it comes.

        `until`: return as soon as its output (both streams) holds these bytes, with status 0 and
        the output so far, the command still running; wait() may be called again.
        Raises CommandTimeout (the command is killed by then) and GuestDied.
        """
        try:
            for kind, payload in self._frames():
                if kind == wire.EXIT:
                    return self._end(payload)
                fd, keep = (1, self._out) if kind == wire.OUT else (2, self._err)
                keep.write(payload)
                if stream is not None:
                    stream(fd, payload)
                if until is not None and (
                    until in self._out.getvalue() or until in self._err.getvalue()
                ):
                    return self._completed(0)
        except NoAnswer:
            raise self.guest.died("does not answer: it hangs") from None
        except ChannelClosed:
            raise self.guest.died("ended") from None
        raise AssertionError("the channel ended without an exit frame")

    def _frames(self) -> Iterator[tuple[int, bytes]]:
        """Yield what arrives; when the time is up, kill the session and yield the rest of it."""
        if not self._timed_out:
            try:
                yield from self.remote.output(self._deadline)
                return
            except NoAnswer:
                self._timed_out = True
                self.kill(signal.SIGKILL)
        yield from self.remote.output(time.monotonic() + GRACE)

    def _end(self, payload: bytes) -> Completed:
        end = json.loads(payload)
        if "error" in end:
            self._err.write(f"{end['error']}\n".encode())
        completed = self._completed(int(end["status"]))
        if self._timed_out:
            raise CommandTimeout(
                f"in the guest: {shlex.join(self.argv)[:300]} was killed after its timeout\n"
                f"{completed.stdout[-2000:]}{completed.stderr[-2000:]}".rstrip(),
                completed,
            )
        return completed

    def _completed(self, status: int) -> Completed:
        return Completed(self.argv, status, self._out.getvalue(), self._err.getvalue())


class Guest:
    """A QEMU guest that answers. Use Guest.boot(); close() or a with statement ends it."""

    def __init__(self, machine: Machine, vm: Qemu, shares: Sequence[Share]) -> None:
        self.machine = machine
        self.image = machine.image
        self.vm = vm
        self.shares = tuple(shares)
        self.ports: dict[int, int] = {}  # guest port -> host port
        self.channel = Channel(vm.channel_socket)
        self.closed = False
        self._parcel_at: str | None = None

    # -- life -----------------------------------------------------------------------------------

    @classmethod
    def boot(
        cls,
        image: Image,
        *,
        memory_mb: int = 1024,
        cpus: int = 2,
        forward: Mapping[int, int] | Iterable[int] = (),
        share: Path | None = None,
        shares: Sequence[Share] = (),
        fresh: bool = False,
        icount: bool = False,
        start: Start = Start.KERNEL,
        reach: Mapping[int, tuple[str, int]] | None = None,
    ) -> Guest:
        """Start a guest and return when it answers.

        `forward`: guest ports, or guest port -> host port (0: any free one); see `ports`.
        `share`: a folder shown read-only at /share; `shares`: up to four in all, anywhere.
        `fresh`: boot for real (10 s) instead of restoring the snapshot (1 s).
        `icount`: one processor whose time is executed instructions, under emulation.
        `start`: a UEFI firmware with Secure Boot starts it; such a guest always boots for real.
        `reach`: services of this machine, (address, port), by the port at which the guest finds each at
        lab.qemu.OUTSIDE.
        Raises LabError, and GuestDied with the console's end when it never answers.
        """
        accel = "tcg" if icount else choose_accel(image)
        machine = Machine(image, memory_mb, 1 if icount else cpus, accel, icount, start)
        fresh |= start is not Start.KERNEL
        shown = ([Share(share)] if share is not None else []) + list(shares)
        if len(shown) > SHARE_SLOTS:
            raise LabError(f"{len(shown)} shares asked for, a guest has {SHARE_SLOTS}")
        for each in shown:
            if not each.path.is_dir():
                raise LabError(f"cannot share {each.path}: no such folder")
        snapshot = None if fresh else ensure_snapshot(machine)
        guest = cls._start(machine, shown, snapshot, reach=reach)
        try:
            for slot, each in enumerate(shown):
                guest._mount_share(slot, each)
            wanted = forward if isinstance(forward, Mapping) else dict.fromkeys(forward, 0)
            for guest_port, host_port in wanted.items():
                guest.forward(guest_port, host_port)
        except BaseException:
            guest.close()
            raise
        return guest

    def boot_again(
        self,
        command: str,
        *,
        kernel_args: str = "",
        image: Image | None = None,
        start: Start | None = None,
        mok_password: str = "",
    ) -> Guest:
        """End the guest by a command (`reboot -f`, a crash), and boot another one from its disk.

        `image`: has the kernel and initramfs to boot, if they are others; the disk has its modules.
        `start`: what starts it, if that is something else; the firmware's variables stay.
        `mok_password`: confirm in between, at shim's console, the keys that mokutil has registered.

        This guest is closed then. What it did not sync may be missing, as on a real machine. The other one
        has no shares, no forwarded ports, and nothing mounted that was mounted here.
        """
        self.start(command)
        try:
            self.vm.process.wait(timeout=BOOT_TIMEOUT)  # -no-reboot: a reboot ends QEMU
        except subprocess.TimeoutExpired:
            raise self.died(f"goes on after '{command}'") from None
        try:
            machine = replace(
                self.machine,
                image=image or self.machine.image,
                start=start or self.machine.start,
            )
            before = self.vm.folder
            if mok_password:
                before = Guest._enrol(machine, before, mok_password)
            return Guest._start(machine, (), None, before=before, kernel_args=kernel_args)
        finally:
            self.close()

    @staticmethod
    def _enrol(machine: Machine, before: Path, password: str) -> Path:
        """Answer MokManager in a boot of its own; the folder with what is left of it."""
        folder = make_run_folder()
        shutil.move(before / OVERLAY, folder / OVERLAY)
        firmware.take_variables(before, folder)
        vm = Qemu(machine, folder)
        try:
            firmware.enrol(vm, password)
            shutil.move(folder / OVERLAY, before / OVERLAY)
            firmware.take_variables(folder, before)
        finally:
            vm.close()
        return before

    @classmethod
    def _start(
        cls,
        machine: Machine,
        shares: Sequence[Share],
        snapshot: Path | None,
        *,
        before: Path | None = None,
        kernel_args: str = "",
        reach: Mapping[int, tuple[str, int]] | None = None,
    ) -> Guest:
        """`before`: the folder of a guest that has ended, whose disk this one continues with."""
        folder = make_run_folder()
        try:
            overlay = folder / OVERLAY
            if before is not None:
                shutil.move(before / OVERLAY, overlay)
                firmware.take_variables(before, folder)
            elif snapshot is None:
                make_overlay(machine.image, overlay)
            else:
                copy = ["cp", "--reflink=auto", "--sparse=auto", str(snapshot), str(overlay)]
                subprocess.run(copy, check=True, stdin=subprocess.DEVNULL)
            vm = Qemu(
                machine,
                folder,
                shares=[(each.path.resolve(), each.writable) for each in shares],
                load=SNAPSHOT if snapshot is not None else None,
                extra_kernel_args=kernel_args,
                reach=reach,
            )
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        guest = cls(machine, vm, shares)
        try:
            patience = BOOT_TIMEOUT if snapshot is None else RESTORE_TIMEOUT
            guest._call(wire.PING, b"", patience * machine.image.slowness)
            guest.set_clock()
        except BaseException:
            guest.close()
            raise
        return guest

    def close(self) -> None:
        """End the guest and remove its files on the host. May be called twice."""
        if not self.closed:
            self.closed = True
            self.vm.close()
            self.channel.close()

    def __enter__(self) -> Guest:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def console(self) -> Path:
        """The serial console's log: kernel messages, an oops, a panic. Gone after close()."""
        return self.vm.console

    def died(self, how: str) -> GuestDied:
        """Make the error for a guest that has ended or hangs, and end it."""
        if self.closed:
            return GuestDied("the guest is closed")
        with contextlib.suppress(subprocess.TimeoutExpired):
            if "ended" in how:
                self.vm.process.wait(timeout=5)
        tail = self.console.read_text(errors="replace").splitlines()[-60:]
        said = self.vm.log.read_text(errors="replace").strip()
        self.close()
        return GuestDied("\n".join([f"the guest {how}; its console's end:", *tail, said]).rstrip())

    # -- commands -------------------------------------------------------------------------------

    def start(
        self,
        command: str | Sequence[str],
        *,
        timeout: float | None = None,
        stdin: bool = False,
        env: Mapping[str, str] | None = None,
        cwd: str = "/root",
        terminal: tuple[int, int] | None = None,
    ) -> Running:
        """Start a command (a string is for sh) in a session of its own and return at once.

        `timeout`: seconds of the host's clock, times the image's slowness, after which wait() kills
        the session; `stdin`: whether it gets input; `terminal`: rows and columns of a terminal to run
        it on, with both outputs in one.
        """
        argv = ("/bin/sh", "-c", command) if isinstance(command, str) else tuple(command)
        request = {
            "argv": argv,
            "env": dict(env or {}),
            "cwd": cwd,
            "stdin": stdin,
            "tty": terminal,
        }
        slowness = self.image.slowness
        deadline = None if timeout is None else time.monotonic() + timeout * slowness
        try:
            return Running(self, argv, self.channel.start(request), deadline)
        except ChannelClosed:
            raise self.died("ended") from None

    def run(
        self,
        command: str | Sequence[str],
        *,
        timeout: float = 60,
        input: bytes | str | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str = "/root",
        stream: Stream | None = None,
    ) -> Completed:
        """Run a command (a string is for sh) and wait for its end.

        Processes that it leaves in the background go on, but what they write is lost.
        Raises CommandTimeout and GuestDied; a status other than 0 raises nothing: see check().
        """
        data = input.encode() if isinstance(input, str) else input
        running = self.start(command, timeout=timeout, stdin=data is not None, env=env, cwd=cwd)
        if data is not None:
            # a thread: the command may stop reading until its output is read
            threading.Thread(target=_feed, args=(running, [data]), daemon=True).start()
        return running.wait(stream=stream)

    # -- files ----------------------------------------------------------------------------------

    def push(self, source: Path, dest: str, *, timeout: float = 120) -> None:
        """Copy a file or a folder of the host to the guest's path `dest` (its parents are made)."""
        parent, name = os.path.split(dest.rstrip("/"))
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
            tar.add(source, arcname=name, filter=_owned_by_root)
        where = shlex.quote(parent or "/")
        unpack = f"mkdir -p {where} && tar -xf - -C {where}"
        self.run(unpack, input=buffer.getvalue(), timeout=timeout).check()

    def push_text(self, text: str, dest: str, *, mode: int = 0o644) -> None:
        """Write a small file in the guest (its parents are made)."""
        where = shlex.quote(dest)
        script = f'mkdir -p "$(dirname {where})" && cat > {where} && chmod {mode:o} {where}'
        self.run(script, input=text).check()

    def pull(self, source: str, dest: Path, *, timeout: float = 120) -> None:
        """Copy a file or a folder of the guest to the host's path `dest`."""
        parent, name = os.path.split(source.rstrip("/"))
        done = self.run(["tar", "-cf", "-", "-C", parent or "/", name], timeout=timeout).check()
        with tarfile.open(fileobj=io.BytesIO(done.stdout_bytes)) as tar:
            for member in tar.getmembers():
                inside = Path(member.name).relative_to(name)
                target = dest / inside if inside.parts else dest
                if member.isdir():
                    target.mkdir(parents=True, exist_ok=True)
                elif member.issym():
                    target.symlink_to(member.linkname)
                elif (content := tar.extractfile(member)) is not None:
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with target.open("wb") as file:
                        shutil.copyfileobj(content, file)
                    target.chmod(member.mode & 0o777)

    def load_parcel(self, disk: Path, at: str) -> None:
        """Mount an ext4 image file of the host read-only at `at`, over the second disk.

        Much faster than copying or sharing many small files; again with another image replaces it.
        """
        size = self.vm.parcel.stat().st_size
        if disk.stat().st_size > size:
            raise LabError(f"{disk} does not fit the guest's second disk of {size >> 20} MiB")
        if self._parcel_at is not None:
            self.run(["umount", "-A", "--recursive", self._parcel_at]).check()
        # in place: QEMU has this very file open
        with self.vm.parcel.open("r+b") as file:
            file.truncate(0)
            file.truncate(size)
        copy = ["dd", f"if={disk}", f"of={self.vm.parcel}", "bs=1M", "conv=sparse,notrunc"]
        subprocess.run([*copy, "status=none"], check=True, stdin=subprocess.DEVNULL)
        where = shlex.quote(at)
        self.run(f"mkdir -p {where} && mount -t ext4 -o ro /dev/vdb {where}").check()
        self._parcel_at = at

    # -- the rest -------------------------------------------------------------------------------

    def forward(self, guest_port: int, host_port: int = 0, address: str = "127.0.0.1") -> int:
        """Forward a TCP port of loopback on the host (0: a free one) to the guest; returns it."""
        answer = self.vm.hmp(f"hostfwd_add net tcp:{address}:{host_port}-:{guest_port}")
        if answer.strip():
            raise LabError(f"cannot forward port {host_port}: {answer.strip()}; is it taken?")
        here = re.escape(address)
        pattern = rf"TCP\[HOST_FORWARD\]\s+\d+\s+{here}\s+(\d+)\s+\S+\s+{guest_port}\s"
        found = re.findall(pattern, self.vm.hmp("info usernet"))
        if not found:
            raise LabError(f"qemu does not show the forwarded port {guest_port}")
        self.ports[guest_port] = host_port or int(found[-1])
        return self.ports[guest_port]

    def set_clock(self) -> None:
        """Set the guest's clock to the host's: a restored guest lives in the snapshot's time."""
        self._call(wire.CLOCK, f"{time.time():.6f}".encode(), GRACE)

    def dmesg(self) -> str:
        """The kernel's log since it booted."""
        return self.run(["dmesg", "--color=never"]).check().stdout

    def complaints(self) -> list[str]:
        """The lines of the kernel's log that report a fault; a healthy guest has none."""
        lines = self.dmesg().splitlines()
        return [line for line in lines if COMPLAINT.search(line) and not _ANNOUNCED.search(line)]

    def _mount_share(self, slot: int, share: Share) -> None:
        mode = "rw" if share.writable else "ro"
        options = f"trans=virtio,version=9p2000.L,msize=262144,{mode}"
        where = shlex.quote(share.at)
        self.run(f"mkdir -p {where} && mount -t 9p -o {options} share{slot} {where}").check()

    def _call(self, kind: int, payload: bytes, timeout: float) -> None:
        try:
            self.channel.call(kind, payload, timeout)
        except NoAnswer:
            raise self.died(f"did not answer within {timeout:.0f} s") from None
        except ChannelClosed:
            raise self.died("ended") from None


def ensure_snapshot(machine: Machine) -> Path:
    """Return the saved state of a guest that has just booted; made once for each machine."""
    path = machine.image.folder / "snapshots" / f"{machine.key}.qcow2"
    if path.exists():
        return path
    with locked(path.with_suffix(".lock"), "a guest's first boot"):
        if path.exists():
            return path
        say(f"booting {machine.image.folder.name} ({machine.accel}) once, to keep a snapshot")
        started = time.monotonic()
        guest = Guest._start(machine, (), None)
        try:
            state = guest.run("systemctl is-system-running --wait", timeout=BOOT_TIMEOUT).stdout
            if state.strip() != "running":
                failed = guest.run("systemctl --failed --no-legend --plain").stdout
                raise LabError(f"the guest's systemd is '{state.strip()}':\n{failed}")
            guest.run("sync").check()
            if answer := guest.vm.hmp(f"savevm {SNAPSHOT}").strip():
                raise LabError(f"qemu cannot save the snapshot: {answer}")
            guest.vm.hmp("quit")
            guest.vm.process.wait(timeout=30)
            saved = path.with_suffix(".tmp")
            shutil.move(guest.vm.folder / OVERLAY, saved)
            saved.rename(path)
            remove_all_but(SNAPSHOTS_KEPT, path.parent.glob("*.qcow2"))
        finally:
            guest.close()
        say(f"snapshot saved after {time.monotonic() - started:.0f} s")
    return path


def _feed(running: Running, pieces: Iterable[bytes]) -> None:
    with contextlib.suppress(ChannelClosed):
        for piece in pieces:
            running.write(piece)
        running.end_input()


def _owned_by_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    member.mode &= ~0o022  # the agent refuses what others may write
    return member
