# SPDX-License-Identifier: GPL-2.0-or-later
"""The RPM packages: they have the files of the Debian packages, and rpmlint accepts them. No RPM system has run them."""

from __future__ import annotations

import gzip
import os
import re
import stat
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from compiler.version import VERSION
from tests import PROJECT
from tests.packaging.packages import Built, build

RPM = PROJECT / "packaging/rpm"
PACKAGES = ("stapwatch", "stapwatch-probes", "stapwatch-dashboards")
# Places of the same file, Debian's and RPM's, as patterns and what replaces them.
PLACES = {
    # Debian compresses documentation of more than 4 KB; manual pages are compressed in both
    r"(usr/share/doc/.*\.md)\.gz": r"\1",
    r"usr/share/doc/([\w-]+)/copyright": r"usr/share/licenses/\1/LICENSE",
    r"usr/share/zsh/vendor-completions/": "usr/share/zsh/site-functions/",
}
# Only Debian has these, and why.
DEBIAN_ONLY = {
    r"etc/kernel/\w+\.d/zz-stapwatch": "kernel-install calls the .install file; of headers a file trigger tells",
    r"usr/share/doc/[\w-]+/changelog\.gz": "the changelog is in the package's header",
    r"usr/share/lintian/.*": "for Debian's checker",
    r"usr/share/python3/runtime\.d/.*": "for another Python version of Debian's; RPM compiles in %posttrans",
}


def build_rpm(folder: Path, env: Mapping[str, str] | None = None, umask: int = -1) -> Path:
    argv = [PROJECT / "packaging/build_rpm.sh", folder]
    whole = {**os.environ, **(env or {})}
    done = subprocess.run(argv, capture_output=True, text=True, env=whole, umask=umask)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def rpms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_rpm(tmp_path_factory.mktemp("rpm") / "first")


@pytest.fixture(scope="module")
def debs(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build(tmp_path_factory.mktemp("deb") / "first")


def query(rpms: Path, package: str, *words: str) -> str:
    [file] = rpms.glob(f"{package}-[0-9]*.noarch.rpm")
    argv = ["rpm", "-qp", *words, str(file)]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def owned(rpms: Path, package: str, *kinds: str) -> dict[str, str]:
    """Mode and owner of all files, without folders, by path. `kinds`: --configfiles, for these only."""
    form = "[%{FILEMODES:perms} %{FILEUSERNAME} %{FILEGROUPNAME} %{FILENAMES}\\n]"
    rows = query(rpms, package, "--queryformat", form).splitlines()
    only = set(query(rpms, package, *kinds).split()) if kinds else None
    found = {"/" + row.split(" /", 1)[1]: row.split(" /", 1)[0] for row in rows}
    return {
        path.removeprefix("/"): mode
        for path, mode in found.items()
        if not mode.startswith("d") and (only is None or path in only)
    }


def header(rpms: Path, package: str) -> str:
    """All that the package says, with the digest of its files; without digests of the source package, in which
    rpmbuild writes the folder of the build."""
    given = query(rpms, package, "--xml")
    assert '<rpmTag name="Payloaddigest">' in given
    return re.sub(r"(?s)<rpmTag name=\"(Sourcepkgid|Sigmd5|Sha\w+header)\">.*?</rpmTag>", "", given)


def in_rpm(name: str) -> str | None:
    """Where the file of the Debian package is in the RPM package. None: only Debian has it."""
    if any(re.fullmatch(pattern, name) for pattern in DEBIAN_ONLY):
        return None
    for pattern, place in PLACES.items():
        name = re.sub(f"^{pattern}", place, name)
    return name


@pytest.mark.parametrize("package", PACKAGES)
def test_the_same_files(rpms: Path, debs: Built, package: str) -> None:
    expected = {place for name in debs.deb(package).files if (place := in_rpm(name))}
    assert owned(rpms, package).keys() == expected


def test_each_difference_is_one(debs: Built) -> None:
    """No pattern is left over from a file that is gone."""
    names = [name for package in PACKAGES for name in debs.deb(package).files]
    for pattern in (*PLACES, *DEBIAN_ONLY):
        assert any(re.match(pattern, name) for name in names), pattern


@pytest.mark.parametrize("package", PACKAGES)
def test_the_same_contents_and_modes(rpms: Path, debs: Built, package: str, tmp_path: Path) -> None:
    [file] = rpms.glob(f"{package}-[0-9]*.noarch.rpm")
    for name in ("rpm", "deb"):
        (tmp_path / name).mkdir()
    unpack = f"rpm2cpio '{file}' | cpio -idm --quiet"
    subprocess.run(unpack, shell=True, cwd=tmp_path / "rpm", check=True)
    deb = debs.deb(package)
    subprocess.run(["dpkg-deb", "-x", deb.path, tmp_path / "deb"], check=True)
    modes = owned(rpms, package)
    for name in sorted(deb.files):
        place = in_rpm(name)
        if place is None or name.endswith("/copyright"):
            continue
        expected = (tmp_path / "deb" / name).read_bytes()
        if name.endswith(".gz") and not place.endswith(".gz"):
            expected = gzip.decompress(expected)
        assert (tmp_path / "rpm" / place).read_bytes() == expected, name
        member = deb.members[name]
        mode = stat.filemode((stat.S_IFLNK if member.issym() else stat.S_IFREG) | member.mode)
        assert modes[place] == f"{mode} root root", name


def test_the_configuration_is_the_administrators(rpms: Path) -> None:
    """An upgrade keeps a file that somebody has changed."""
    found = query(rpms, "stapwatch", "--configfiles").split()
    assert found == ["/etc/stapwatch/stapwatch.yaml"]
    assert query(rpms, "stapwatch-probes", "--configfiles") == ""


def test_it_compiles_nothing_and_an_upgrade_stops_nothing(rpms: Path) -> None:
    scripts = query(rpms, "stapwatch", "--scripts")
    parts = dict(
        re.findall(r"(?ms)^(\w+) scriptlet \(using /bin/sh\):\n(.*?)(?=^\w+ scriptlet|\Z)", scripts)
    )
    assert parts.keys() == {"postinstall", "preuninstall", "postuninstall", "posttrans"}
    stopping = [name for name, text in parts.items() if re.search(r"systemctl\b.* stop\b", text)]
    assert stopping == ["preuninstall"]
    assert parts["preuninstall"].index("[ $1 -eq 0 ]") < parts["preuninstall"].index(" stop ")
    for text in (*parts.values(), query(rpms, "stapwatch", "--filetriggers")):
        assert "%" not in text  # a macro that is not defined here
    for name, text in parts.items():
        done = subprocess.run(["sh", "-n"], input=text, capture_output=True, text=True)
        assert done.returncode == 0, f"{name}: {done.stderr}"


def test_its_versions_are_this_releases(rpms: Path) -> None:
    for package in PACKAGES:
        assert query(rpms, package, "--queryformat", "%{VERSION}") == VERSION
    needs = query(rpms, "stapwatch", "--requires")
    assert "gcc" not in needs and "kernel-devel" not in needs and "python3-pyyaml >= 6.0" in needs


def test_a_build_depends_on_nothing_but_the_files(rpms: Path, tmp_path: Path) -> None:
    env = {"TZ": "Pacific/Kiritimati", "LC_ALL": "C", "HOME": str(tmp_path), "PYTHONHASHSEED": "7"}
    again = build_rpm(tmp_path / "a folder elsewhere", env=env, umask=0o077)
    for package in PACKAGES:
        assert header(again, package) == header(rpms, package)


def test_rpmlint(rpms: Path) -> None:
    """Its configuration explains each exception."""
    files = map(str, [*rpms.glob("*.rpm"), RPM / "stapwatch.spec"])
    argv = ["rpmlint", "--config", str(RPM / "rpmlint.toml"), *files]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 0 and " 0 errors, 0 warnings" in done.stdout, done.stdout
