# SPDX-License-Identifier: GPL-2.0-or-later
"""The content of a guest: Debian's packages, a few files, an ELF kernel, an initramfs, a disk.

    build_guest(Suite("6.1", "bookworm"), folder) -> folder/{rootfs/, vmlinux, initrd, disk.raw}

Everything in this file and in recipe/ decides what a guest is, so an image's key is a hash of it.
The archive's address is the one that this machine's own apt uses.
"""

from __future__ import annotations

import hashlib
import lzma
import re
import shutil
import stat
import struct
import subprocess
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

from lab.host import KEYRING, LabError, find_tool, run_logged, say
from lab.suites import Suite

RECIPE = Path(__file__).parent / "recipe"
DISK_SIZE = "3G"  # of the root disk, sparse

# never of use in a guest; leaving them out halves the disk
EXCLUDED = (
    "/usr/share/man/*",
    "/usr/share/locale/*",
    "/usr/share/doc/*",
    "/usr/share/fonts/*",
    "*/kernel/drivers/gpu/*",
    "*/kernel/drivers/media/*",
    "*/kernel/drivers/infiniband/*",
    "*/kernel/drivers/net/wireless/*",
    "*/kernel/sound/*",
    # would make Debian's initramfs, slowly, which nothing uses
    "/etc/kernel/postinst.d/initramfs-tools",
)

# units that cost seconds under emulation and give a guest nothing. Device nodes come from devtmpfs;
# without udev no .device unit appears, so what waits for one (the getty) goes too.
MASKED = (
    "apt-daily-upgrade.timer",
    "apt-daily.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "getty.target",
    "kmod-static-nodes.service",
    "ldconfig.service",
    "logrotate.timer",
    "man-db.timer",
    "proc-sys-fs-binfmt_misc.automount",
    "serial-getty@.service",
    "systemd-binfmt.service",
    "systemd-boot-random-seed.service",
    "systemd-hwdb-update.service",
    "systemd-logind.service",
    "systemd-networkd.service",
    "systemd-networkd.socket",
    "systemd-pcrphase-sysinit.service",
    "systemd-pcrphase.service",
    "systemd-pstore.service",
    "systemd-random-seed.service",
    "systemd-timesyncd.service",
    "systemd-tmpfiles-clean.timer",
    "systemd-udev-hwdb-update.service",
    "systemd-udev-trigger.service",
    "systemd-udevd-control.socket",
    "systemd-udevd-kernel.socket",
    "systemd-udevd-varlink.socket",
    "systemd-udevd.service",
    "systemd-update-utmp-runlevel.service",
    "systemd-update-utmp.service",
)
# installed for tests to start by hand
DISABLED = ("prometheus.service",)

# loaded by the initramfs in this order, each after what it depends on; where a kernel has one built
# in, it is skipped
MODULES = (
    "virtio_pci",
    "virtio_console",
    "virtio_blk",
    "virtio_net",
    "9pnet_virtio",
    "9p",
    "crc32c_generic",
    "crc32c_intel",
    "ext4",
)

FILES = {
    "etc/hostname": "lab\n",
    "etc/hosts": "127.0.0.1 localhost lab\n",
    "etc/resolv.conf": "",
    "etc/fstab": "",
    # a fixed one: an empty file makes systemd think that this is a first boot
    "etc/machine-id": hashlib.md5(b"stapwatch lab").hexdigest() + "\n",
    "etc/systemd/journald.conf.d/lab.conf": "[Journal]\nStorage=volatile\n",
}


def recipe_key(suite: Suite) -> str:
    """Hash everything that decides what the guest is (12 hex digits)."""
    digest = hashlib.sha256(repr((suite, suite.packages)).encode())
    for path in (Path(__file__), *sorted(RECIPE.iterdir())):
        if path.is_file():
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def build_guest(suite: Suite, folder: Path) -> None:
    """Fill an empty `folder`. Raises LabError; needs root and the packages of lab.host."""
    name = f"building image {suite.name} {suite.kernel}"
    started = time.monotonic()
    log, root = folder / "build.log", folder / "rootfs"
    say(f"{name}: 1/4 packages (a minute or two)")
    install_packages(suite, root, log, f"{name}: 1/4 packages")
    say(f"{name}: 2/4 files and units")
    configure(root)
    say(f"{name}: 3/4 kernel and initramfs")
    release = kernel_release(root)
    (folder / "release").write_text(release + "\n")
    (folder / "vmlinux").write_bytes(extract_vmlinux(find_vmlinuz(root, release).read_bytes()))
    (folder / "initrd").write_bytes(make_initramfs(root, release))
    say(f"{name}: 4/4 disk")
    what = f"{name}: 4/4 disk"
    make_disk(root, folder / "disk.raw", DISK_SIZE, log, what, journal=True)
    say(f"{name}: ready after {time.monotonic() - started:.0f} s")


# -- packages -----------------------------------------------------------------------------------


def install_packages(suite: Suite, root: Path, log: Path, what: str) -> None:
    argv = ["mmdebstrap", "--mode=root", "--variant=minbase"]
    argv += [f"--dpkgopt=path-exclude={pattern}" for pattern in EXCLUDED]
    argv += [f"--aptopt={option}" for option in apt_options(suite)]
    argv += [f"--include={','.join(suite.packages)}", suite.name, str(root)]
    run_logged([*argv, *source_lines(suite)], log, what=what)


def apt_options(suite: Suite) -> list[str]:
    """Carry over how this machine's apt reaches the archive (proxy, certificates, index dates)."""
    dump = subprocess.run(["apt-config", "dump"], check=True, capture_output=True, text=True)
    wanted = re.compile(r'(Acquire::(?:https?::|Check-)[\w:.-]+) "(.+)";')
    found = [f'{m[1]} "{m[2]}"' for m in map(wanted.fullmatch, dump.stdout.splitlines()) if m]
    if not suite.valid_until:
        found.append('Acquire::Check-Valid-Until "false"')
    return found


def source_lines(suite: Suite) -> list[str]:
    """Return apt source lines for the suite, made from the addresses that this machine uses."""
    main, security = "", ""
    host = host_codename()
    for uri, name in read_sources():
        if name == host:
            main = main or uri
        elif name == f"{host}-security":
            security = security or uri
    if not main:
        raise LabError(f"apt on this machine has no source for its own suite '{host}'")
    wanted = [(main, suite.name)]
    if suite.updates:
        wanted.append((main, f"{suite.name}-updates"))
    if suite.security and security:
        wanted.append((security, f"{suite.name}-security"))
    return [f"deb [signed-by={KEYRING}] {uri} {name} main" for uri, name in wanted]


def host_codename() -> str:
    release = Path("/etc/os-release").read_text()
    found = re.search(r'^VERSION_CODENAME="?([\w-]+)', release, re.M)
    if found is None or not re.search(r'^ID="?debian"?$', release, re.M):
        raise LabError("images are built from Debian's archive: this machine runs no Debian")
    return found[1]


def read_sources() -> Iterator[tuple[str, str]]:
    """Yield (address, suite) of every enabled binary source, of both of apt's formats."""
    folder = Path("/etc/apt/sources.list.d")
    one_line = [Path("/etc/apt/sources.list"), *sorted(folder.glob("*.list"))]
    for path in one_line:
        for line in path.read_text().splitlines() if path.exists() else ():
            fields = re.sub(r"\[[^]]*\]|#.*", "", line).split()
            if len(fields) >= 3 and fields[0] == "deb":
                yield fields[1], fields[2]
    for path in sorted(folder.glob("*.sources")):
        text = re.sub(r"(?m)^#.*\n?", "", path.read_text())
        for stanza in re.split(r"\n\s*\n", text):
            values = dict(re.findall(r"(?m)^([\w-]+):[ \t]*(.*(?:\n[ \t].*)*)", stanza))
            if "deb" in values.get("Types", "").split() and values.get("Enabled", "yes") != "no":
                for uri in values.get("URIs", "").split():
                    for name in values.get("Suites", "").split():
                        yield uri, name


# -- files --------------------------------------------------------------------------------------


def configure(root: Path) -> None:
    for name, text in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_text(text)
    units = root / "etc/systemd/system"
    wants = units / "multi-user.target.wants"
    wants.mkdir(exist_ok=True)
    for unit in MASKED:
        (units / unit).unlink(missing_ok=True)
        (units / unit).symlink_to("/dev/null")
    for unit in DISABLED:
        for link in units.glob(f"*.wants/{unit}"):
            link.unlink()
    agent = root / "usr/lib/stapwatch-lab"
    agent.mkdir(parents=True)
    shutil.copyfile(RECIPE / "guest_agent.py", agent / "agent.py")
    shutil.copyfile(RECIPE / "lab-agent.service", units / "lab-agent.service")
    (wants / "lab-agent.service").symlink_to("../lab-agent.service")
    (root / "share").mkdir()


# -- kernel -------------------------------------------------------------------------------------


def kernel_release(root: Path) -> str:
    """Return the one kernel release that has modules, e.g. 6.1.0-56-amd64."""
    found = [p.parent.name for p in (root / "lib/modules").glob("*/modules.dep")]
    if len(found) != 1:
        raise LabError(f"expected one kernel in {root}, found: {found or 'none'}")
    return found[0]


def find_vmlinuz(root: Path, release: str) -> Path:
    for path in (root / f"boot/vmlinuz-{release}", root / f"lib/modules/{release}/vmlinuz"):
        if path.exists():
            return path
    raise LabError(f"no vmlinuz of {release} in {root}: only a metapackage was installed?")


def extract_vmlinux(image: bytes) -> bytes:
    """Take the ELF kernel out of a bzImage: QEMU starts it directly, seconds faster.

    The setup header's fields are those of the kernel's Documentation/arch/x86/boot.rst: offset
    0x1f1 setup_sects, 0x248 payload_offset, 0x24c payload_length.
    """
    if image[0x202:0x206] != b"HdrS":
        raise LabError("the kernel image is no bzImage: no 'HdrS' in its header")
    start = ((image[0x1F1] or 4) + 1) * 512 + struct.unpack_from("<I", image, 0x248)[0]
    length = struct.unpack_from("<I", image, 0x24C)[0]
    payload = image[start : start + length]
    if payload.startswith(b"\xfd7zXZ"):
        kernel = lzma.LZMADecompressor().decompress(payload)
    elif payload.startswith(b"\x1f\x8b"):
        kernel = zlib.decompressobj(wbits=31).decompress(payload)
    elif payload.startswith(b"\x28\xb5\x2f\xfd"):
        # the last 4 bytes are the unpacked size, which zstd would refuse as another frame
        kernel = subprocess.run(
            ["zstd", "-dc"], input=payload[:-4], check=True, capture_output=True
        ).stdout
    else:
        raise LabError(f"the kernel is packed in a way unknown here: {payload[:4].hex()}")
    if not kernel.startswith(b"\x7fELF"):
        raise LabError("the unpacked kernel is no ELF file")
    return kernel


def make_initramfs(root: Path, release: str) -> bytes:
    """Pack busybox, recipe/init and the virtio modules, unpacked, as an uncompressed cpio."""
    archive = Cpio()
    for folder in ("bin", "dev", "proc", "sys", "root", "modules"):
        archive.add(folder, stat.S_IFDIR | 0o755)
    archive.add("bin/busybox", stat.S_IFREG | 0o755, find_busybox(root).read_bytes())
    archive.add("init", stat.S_IFREG | 0o755, (RECIPE / "init").read_bytes())
    order = []
    for path in module_paths(root / "lib/modules" / release):
        content = path.read_bytes()
        if path.suffix == ".xz":
            content = lzma.decompress(content)
        elif path.suffix == ".zst":
            content = subprocess.run(
                ["zstd", "-dc", str(path)], check=True, capture_output=True
            ).stdout
        name = path.name.partition(".ko")[0] + ".ko"
        archive.add(f"modules/{name}", stat.S_IFREG | 0o644, content)
        order.append(name)
    archive.add("modules/order", stat.S_IFREG | 0o644, ("\n".join(order) + "\n").encode())
    return archive.finish()


def find_busybox(root: Path) -> Path:
    for path in (root / "usr/bin/busybox", root / "bin/busybox"):
        if path.exists():
            return path
    raise LabError(f"no busybox in {root}")


def module_paths(folder: Path) -> list[Path]:
    """Return MODULES with all they depend on, dependencies first. modules.dep: "a.ko: b.ko c.ko"
    lists b before what b itself needs, so it is loaded from the right."""
    needs: dict[str, list[str]] = {}
    by_name: dict[str, str] = {}
    for line in (folder / "modules.dep").read_text().splitlines():
        path, _, rest = line.partition(":")
        needs[path] = rest.split()
        by_name[Path(path).name.partition(".ko")[0].replace("-", "_")] = path
    ordered: dict[str, None] = {}
    for name in MODULES:
        if name in by_name:
            last = by_name[name]
            ordered |= dict.fromkeys([*reversed(needs[last]), last])
    return [folder / path for path in ordered]


class Cpio:
    """A newc archive in memory (cpio(5)); the kernel unpacks it as its first root."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.count = 0

    def add(self, name: str, mode: int, content: bytes = b"") -> None:
        self.count += 1
        links = 2 if stat.S_ISDIR(mode) else 1
        encoded = name.encode() + b"\0"
        fields = (self.count, mode, 0, 0, links, 0, len(content), 0, 0, 0, 0, len(encoded), 0)
        header = b"070701" + b"".join(b"%08x" % field for field in fields)
        self.parts += [_padded(header + encoded), _padded(content)]

    def finish(self) -> bytes:
        self.add("TRAILER!!!", 0)
        return b"".join(self.parts)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)


# -- disk ---------------------------------------------------------------------------------------


def make_disk(
    tree: Path, disk: Path, size: str, log: Path, what: str, *, journal: bool = False
) -> None:
    """Make a sparse ext4 disk from a folder, without mounting anything.

    With a journal, what was synced outlives a crash of the guest. No lazy initialisation: the kernel
    would do it in the background of every restored guest.
    """
    argv = [find_tool("mke2fs") or "mke2fs", "-q", "-F", "-t", "ext4", "-m", "0", "-L", "lab"]
    argv += ["-J", "size=16"] if journal else ["-O", "^has_journal"]
    argv += ["-E", "lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0"]
    run_logged([*argv, "-d", str(tree), str(disk), size], log, what=what)
