# SPDX-License-Identifier: GPL-2.0-or-later
"""Packs the modules for one kernel's release as a Debian package, by dpkg-deb alone.

    pack(Path("store"), "6.1.0-56-cloud", Path("out"))
      -> out/stapwatch-modules-6.1.0-56-cloud_1764520000_arm64.deb

    /usr/lib/stapwatch/modules/RELEASE          a store, with the modules of every build of that release
    /usr/share/stapwatch/conf.d/modules-RELEASE.yaml   says where it is and which key has signed it
    /usr/lib/systemd/system/stapwatch.service.d/modules-RELEASE.conf   has the timer of stapwatch-sync run

The package has no maintainer script: triggers of the package stapwatch see its files. Its version is the
store's serial. Equal stores are equal packages.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
import struct
import subprocess
import tempfile
from pathlib import Path

import yaml

from agent.prebuilt.store_writer import StoreWriter
from agent.store import oci_layout
from agent.store.catalogue import Catalogue, StoredKernel
from agent.store.oci_layout import LayoutError
from compiler.arch import arch_of
from runtime.support.record import record

STORES = "usr/lib/stapwatch/modules"
_CONTROL = """\
Package: {name}
Version: {version}
Architecture: {architecture}
Maintainer: {maintainer}
Installed-Size: {size}
Depends: stapwatch
Section: kernel
Priority: optional
Description: probes of stapwatch, compiled for Linux {release}
 Kernel modules of the scripts that a configuration of the tracing agent
 stapwatch asks for. A machine that has this kernel and this package needs
 neither a compiler nor the kernel's headers.
"""
_UNIT = """\
# Takes what the package {name} has, also for a kernel that boots for the first time.
[Unit]
Wants=stapwatch-sync.timer
"""
_NOT_IN_NAMES = re.compile(r"[^a-z0-9+.-]")
_MAINTAINER = "stapwatch build <nobody@localhost>"
_BEGIN, _END = b"-----BEGIN SSH SIGNATURE-----", b"-----END SSH SIGNATURE-----"


class PackageError(Exception):
    """The modules cannot be packed; the text says why."""


@record
class _Signed:
    """The catalogue of one build of the release, and its signature."""

    catalogue: Catalogue
    signature: bytes


def pack(store: Path, release: str, folder: Path) -> Path:
    """The package's file. Raises PackageError, LayoutError, OSError."""
    with StoreWriter.opened(store) as writer, tempfile.TemporaryDirectory() as work:
        builds = _builds(store, writer, release)
        root = Path(work)
        _fill(root, store, release, builds)
        serial = max(build.catalogue.serial for build in builds)
        name = package_name(release)
        architecture = arch_of(builds[0].catalogue.kernel.architecture).image_name
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / f"{name}_{serial}_{architecture}.deb"
        _control(root, name, release, serial, architecture)
        _pack(root, target, serial)
    return target


def package_name(release: str) -> str:
    """Debian's names have fewer characters than releases."""
    return f"stapwatch-modules-{_NOT_IN_NAMES.sub('-', release.lower())}"


def _builds(store: Path, writer: StoreWriter, release: str) -> list[_Signed]:
    """Every kernel of this release in the store. Raises PackageError, LayoutError, OSError."""
    found = []
    for each in oci_layout.manifests_of((store / oci_layout.INDEX_FILE).read_bytes()):
        notes = each.annotations
        if notes.get(oci_layout.RELEASE) != release:
            continue
        catalogue = writer.catalogue(StoredKernel(notes[oci_layout.BUILD_ID], release, ""))
        signature = writer.signature(catalogue) if catalogue is not None else b""
        if catalogue is None or not signature:
            raise PackageError(
                f"the modules for {release} are not signed, and no host would load them; give --index-key"
            )
        found.append(_Signed(catalogue, signature))
    if not found:
        raise PackageError(f"{store} has no modules for {release}")
    return found


def _fill(root: Path, store: Path, release: str, builds: list[_Signed]) -> None:
    place = f"{STORES}/{release}"
    with StoreWriter.opened(root / place) as inner:
        for build in builds:
            for module in build.catalogue.modules:
                data = (store / oci_layout.blob_path(module.digest)).read_bytes()
                inner.add_blob(oci_layout.checked(data, module.descriptor, f"{module.module}.ko"))
            inner.put(build.catalogue, build.signature)
        inner.finish()
    keys = {signer(build.signature) for build in builds}
    if len(keys) > 1:
        raise PackageError(f"builds of {release} are signed by different keys: build them again")
    tree = {"module_packages": {release: {"store": f"file:///{place}", "key": keys.pop()}}}
    _write(root / f"usr/share/stapwatch/conf.d/modules-{release}.yaml", yaml.safe_dump(tree))
    drop_in = root / f"usr/lib/systemd/system/stapwatch.service.d/modules-{release}.conf"
    _write(drop_in, _UNIT.format(name=package_name(release)))


def _control(root: Path, name: str, release: str, serial: int, architecture: str) -> None:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    sums = [
        f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.relative_to(root)}\n"
        for path in files
    ]
    size = sum(path.stat().st_size for path in files)
    text = _CONTROL.format(
        name=name,
        version=serial,
        architecture=architecture,
        maintainer=os.environ.get("DEBEMAIL") or _MAINTAINER,
        size=-(-size // 1024),
        release=release,
    )
    _write(root / "DEBIAN/control", text)
    _write(root / "DEBIAN/md5sums", "".join(sums))


def _pack(root: Path, target: Path, serial: int) -> None:
    """Equal files give equal bytes: owner, mode and time of each are set. Raises PackageError."""
    for path in [root, *root.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
        os.utime(path, (serial, serial))
    env = {**os.environ, "SOURCE_DATE_EPOCH": str(serial), "LC_ALL": "C.UTF-8"}
    argv = ["dpkg-deb", "--root-owner-group", "-Zxz", "--build", str(root), str(target)]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, env=env)
    except FileNotFoundError:
        raise PackageError("dpkg-deb is not installed: packages are made on Debian") from None
    if done.returncode != 0:
        raise PackageError(f"dpkg-deb: {done.stderr.strip()}")


def signer(signature: bytes) -> str:
    """The public key in an SSH signature (PROTOCOL.sshsig), as a .pub file has it. Raises LayoutError."""
    body = b"".join(signature.split(_BEGIN)[-1].split(_END)[0].split())
    try:
        blob = base64.b64decode(body, validate=True)
        magic, _, size = struct.unpack_from(">6sII", blob)
        key = blob[14 : 14 + size]
        (length,) = struct.unpack_from(">I", key)
        kind = key[4 : 4 + length].decode("ascii")
        if magic != b"SSHSIG" or len(key) != size or len(kind) != length:
            raise ValueError
    except (binascii.Error, struct.error, ValueError) as error:
        raise LayoutError("a signature of the store is damaged") from error
    return f"{kind} {base64.b64encode(key).decode()}"


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
