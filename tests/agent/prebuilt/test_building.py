# SPDX-License-Identifier: GPL-2.0-or-later
"""`stapwatch build` for a real kernel that does not run here. The tests follow one another on one store."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from agent.config.load import loads
from agent.prebuilt.service_environment import service_environment
from agent.prebuilt.store_writer import StoreWriter
from agent.scripts import module_lookup
from agent.store import oci_layout, signature
from compiler.protocol import Request
from runtime.reader.signature_policy import MARK
from tests.agent.prebuilt.builder import COUNT, Builder
from tests.agent.store.keys import public
from tests.packaging.packages import Deb

pytestmark = pytest.mark.host  # the lab's image, ssh-keygen, skopeo, openssl

CONFIG = """\
scripts:
  off: {enabled: false}
  newer: {text: "probe no such {", when: {kernel: ">=99"}}
  arm: {text: "probe no such {", when: {arch: aarch64}}
  calls: {globals: {n: 3}, defines: {MAXACTION: 500}}
  either:
    variants:
      - {name: new, text: "probe kernel.function(\\"no_such_function\\") {}"}
      - {name: old, text: "probe begin {}"}
"""


def test_the_files_that_a_module_probes(builder: Builder) -> None:
    """They are named as hosts name them, and looked up as a host's service does."""
    program = builder.image.rootfs / "usr/bin/bash"
    builder.script("shells", 'global n\nprobe process("bash").begin { n++ }\n')
    [module] = builder.build("--prune").modules
    found = program.stat()
    assert module.inputs["/usr/bin/bash"] == f"{found.st_size}:{found.st_mtime_ns}"
    assert module.inputs["/usr/local/sbin/bash"] == ""
    assert all(path.startswith("/usr/") for path in module.inputs)
    assert "new: 0" in builder.run("--prune").stdout
    (builder.etc / "probes.d/shells.stp").unlink()
    shutil.rmtree(builder.store)


def test_what_cannot_be_built_is_told_and_the_rest_goes_on(builder: Builder) -> None:
    (builder.etc / "stapwatch.yaml").write_text(CONFIG)
    builder.script("calls", COUNT)
    builder.script("off", "probe no such {")
    builder.script("bad", "probe begin { print(1 }\n")
    done = builder.run("--kernel", builder.image.release, "--kernel", "5.99.0-none")
    assert done.returncode == 1
    assert f"kernel {builder.image.release}: script bad: error[syntax]" in done.stderr
    assert "bad.stp:1:23" in done.stderr
    assert "no kernel 5.99.0-none here, nor in a --sysroot; " in done.stderr
    assert "newer: not for this kernel: kernel is '" in done.stderr
    assert "arm: not for this kernel: arch is 'x86_64', and must be 'aarch64'" in done.stderr
    assert "2 modules for 1 kernel," in done.stdout and "new: 2" in done.stdout
    catalogue = builder.catalogue()
    assert [module.script for module in catalogue.modules] == ["calls", "either"]
    assert catalogue.serial == 1000 and catalogue.kernel.release == builder.image.release
    assert catalogue.builder.startswith("stapwatch 0.")


def test_the_identity_is_that_of_a_host(builder: Builder) -> None:
    """A host has the scripts in /etc/stapwatch, and its own paths of caches."""
    request = Request(
        "calls",
        source="/etc/stapwatch/probes.d/calls.stp",
        text=f"{COUNT}// a comment is no change\n",
        globals={"n": 3},
        defines={"MAXACTION": "500"},
        cache=str(builder.cache),
        older=True,
        kernel={"root": str(builder.image.rootfs), "release": builder.image.release},
    )
    with service_environment():
        identity = module_lookup.identity(request)
    [module] = [m for m in builder.catalogue().modules if m.script == "calls"]
    assert module.identity == identity
    data = (builder.store / oci_layout.blob_path(module.digest)).read_bytes()
    assert len(data) == module.size and module.module.encode() in data


def test_built_again_nothing_changes(builder: Builder) -> None:
    (builder.etc / "probes.d/bad.stp").unlink()
    before = builder.files()
    done = builder.run(epoch=2000)
    assert done.returncode == 0 and "new: 0" in done.stdout, done.stderr
    assert builder.files() == before


def test_another_builder_makes_the_same_bytes(builder: Builder, tmp_path: Path) -> None:
    cache = builder.new_cache("another")
    done = builder.run("-o", tmp_path / "other", "--cache", cache, "--jobs", "1", "-q")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    found = subprocess.run(["diff", "-r", builder.store, tmp_path / "other"], capture_output=True)
    assert found.returncode == 0, found.stdout


def test_a_new_script_adds_itself_only(builder: Builder) -> None:
    before = builder.files()
    builder.script("more", COUNT)
    catalogue = builder.build(epoch=900)
    assert [module.script for module in catalogue.modules] == ["calls", "either", "more"]
    assert catalogue.serial == 1001, "it rises, also if the clock is behind"
    after = builder.files()
    changed = {name for name in before if after.get(name) != before[name]}
    assert changed == {oci_layout.INDEX_FILE}
    assert len(after.keys() - before.keys()) == 4, "module, catalogue, signature and manifest"


def test_prune_leaves_what_is_wanted(builder: Builder) -> None:
    (builder.etc / "probes.d/more.stp").unlink()
    assert len(builder.build().modules) == 3
    assert len(builder.build("--prune").modules) == 2
    named = len(list((builder.store / "blobs/sha256").iterdir()))
    assert named == 6, "two modules, config, catalogue, signature and manifest"


def test_skopeo_reads_it(builder: Builder, tmp_path: Path) -> None:
    tag = oci_layout.tag(builder.image.release, builder.catalogue().kernel.build_id)
    store = f"oci:{builder.store}:{tag}"
    done = subprocess.run(["skopeo", "inspect", store], capture_output=True, check=True)
    assert {m.digest for m in builder.catalogue().modules} < set(json.loads(done.stdout)["Layers"])
    copy = ["skopeo", "copy", "--preserve-digests", store, f"dir:{tmp_path}/copy"]
    subprocess.run(copy, capture_output=True, check=True)
    for module in builder.catalogue().modules:
        assert (tmp_path / "copy" / module.digest[7:]).stat().st_size == module.size


def test_the_catalogue_is_signed(builder: Builder) -> None:
    signature.verify(builder.catalogue().encode(), _signature(builder), [public(builder.key)])


def test_modules_are_signed_for_the_kernel(builder: Builder, tmp_path: Path) -> None:
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    argv = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=fleet/"]
    subprocess.run([*argv, "-keyout", key, "-out", cert], check=True, capture_output=True)
    before = {module.digest for module in builder.catalogue().modules}
    words = ("--sign", key, "--cert", cert, "--prune")
    modules = builder.build(*words).modules
    assert len(modules) == 2 and not before & {module.digest for module in modules}
    for module in modules:
        assert (builder.store / oci_layout.blob_path(module.digest)).read_bytes().endswith(MARK)
    assert "new: 0" in builder.run(*words).stdout


def test_the_kernels_of_a_fleet(builder: Builder, tmp_path: Path) -> None:
    release, build_id = builder.image.release, builder.catalogue().kernel.build_id
    labels = {"release": release, "build_id": build_id, "arch": "x86_64"}
    other = {**labels, "build_id": "0123abcd"}
    foreign = {"release": "6.1.0-1-arm64", "build_id": "89ef", "arch": "aarch64"}
    counts = ((labels, "40"), (other, "1"), (foreign, "2"))
    result = [{"metric": metric, "value": [0, count]} for metric, count in counts]
    (tmp_path / "facts.json").write_text(json.dumps({"data": {"result": result}}))
    done = builder.run("--for", tmp_path / "facts.json", "--prune")
    assert done.returncode == 1 and "2 modules for 1 kernel," in done.stdout
    assert (
        "kernel 6.1.0-1-arm64 (2 hosts) is for aarch64, and this machine is x86_64" in done.stderr
    )
    other_build = f"kernel {release} (1 host) has the build-id 0123abcd, and here is {build_id}: "
    assert other_build in done.stderr and "(40 hosts)" not in done.stderr


def test_a_debian_package_for_each_kernel(builder: Builder, tmp_path: Path) -> None:
    """Made twice, with another umask: the same bytes. It has a store of its own, and says whose key is trusted."""
    (builder.etc / "stapwatch.yaml").write_text(CONFIG)
    made = []
    for umask in (0o022, 0o077):
        folder = tmp_path / f"out{umask}"
        done = builder.run("--deb", folder, "--prune", umask=umask)
        assert done.returncode == 0, done.stderr
        made += list(folder.iterdir())
    assert made[0].read_bytes() == made[1].read_bytes()
    deb, release = Deb(made[0]), builder.image.release
    serial = builder.catalogue().serial
    assert deb.path.name == f"stapwatch-modules-{release}_{serial}_amd64.deb"
    assert deb.fields["Depends"] == "stapwatch"
    store, drop_in = f"usr/lib/stapwatch/modules/{release}", f"modules-{release}"
    [blobs] = {str(Path(name).parent) for name in deb.files if "sha256" in name}
    assert blobs == f"{store}/blobs/sha256"
    digests = {module.digest[7:] for module in builder.catalogue().modules}
    assert digests < {Path(name).name for name in deb.files}
    settings = loads(deb.read(f"usr/share/stapwatch/conf.d/{drop_in}.yaml").decode())
    assert settings.stores.of(release) == (f"file:///{store}",)
    [key] = settings.stores.keys
    assert key == " ".join(public(builder.key).split()[:2])
    assert {member.mode & 0o777 for member in deb.members.values()} == {0o755, 0o644}
    subprocess.run(["dpkg-deb", "-x", deb.path, tmp_path / "root"], check=True)
    with StoreWriter.opened(tmp_path / "root" / store) as packed:
        kernel = builder.catalogue().kernel
        assert packed.catalogue(kernel) == builder.catalogue()
        assert packed.signature(builder.catalogue()) == _signature(builder)


def test_what_is_not_signed_is_not_packed(builder: Builder, tmp_path: Path) -> None:
    words = ("--deb", tmp_path / "deb", "-o", tmp_path / "unsigned")
    done = builder.run(*words, is_signed=False)
    assert done.returncode == 1 and "are not signed, and no host would load them" in done.stderr
    assert not (tmp_path / "deb").exists()


def test_a_folder_of_something_else_is_left_alone(builder: Builder, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("")
    done = builder.run("-o", tmp_path)
    assert done.returncode == 1 and "is no store: it has thesis.txt" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def _signature(builder: Builder) -> bytes:
    [manifest] = oci_layout.manifests_of((builder.store / "index.json").read_bytes())
    layers = oci_layout.layers_of((builder.store / manifest.path).read_bytes())
    [made] = [layer for layer in layers if layer.media_type == oci_layout.SIGNATURE]
    return (builder.store / made.path).read_bytes()
