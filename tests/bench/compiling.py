# SPDX-License-Identifier: GPL-2.0-or-later
"""The cost of getting from a script's text to a running module, and of starting the agent with many scripts.

measure(folder) -> Section("From text to a loaded module", (Row("cold compile ...", "CPU ms", 180.0, ...), ...))

Compiling is measured natively, in the root folder of a guest: its Python, its gcc, its kernel's headers, and
the files in which its kernel describes itself. Modules can only be loaded in the lab, where the clock counts
instructions; a process that runs in both places gives the exchange rate.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
from pathlib import Path
from typing import Any

from compiler.driver.compile import compile_script
from compiler.protocol import Request, encode
from lab import DEFAULT_KERNEL, CommandTimeout, Guest, GuestDied, Image, LabError, install_app
from lab.host import cache_root, say
from runtime.support.record import replace
from tests.agent.certificates import Certificates
from tests.bench.rows import Row, Section
from tests.system.setting import Setting

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
EXAMPLES = sorted((PROJECT / "packaging/probes.d").glob("*.stp"))
TYPICAL = PROJECT / "packaging/probes.d/vfs_latency.stp"
SHAPES = [
    PROJECT / f"tests/golden/codegen/{name}.stp"
    for name in ("count", "count-by-key", "histogram", "latency", "latency-by-thread")
]
MANY = 20
TIMES = 3  # as many scripts come with a reload, for the memory of one more
ROUNDS = 7
ARMING_PATIENCE = 240.0  # seconds on the host; the guest's clock is slower
WILDCARDS = 'kernel.function("[tu]cp_*"), kernel.function("pci_*")'  # a thousand functions
# files in which the running kernel describes itself
TELLING = ("/sys/kernel/btf/vmlinux", "/sys/kernel/notes", "/proc/kallsyms")


def measure(
    folder: Path, rounds: int = ROUNDS, many: int = MANY, wildcards: str = WILDCARDS
) -> Section:
    folder.mkdir(parents=True)
    image = Image.ensure(DEFAULT_KERNEL)
    say("compile: natively")
    native = natively(image, folder / "native", rounds, many)
    say("compile: in the lab")
    lab = in_lab(image, folder / "lab", many)
    armed = arming(image, folder / "arming", wildcards)
    return section(native, {**lab, **armed}, many)


# -- natively -----------------------------------------------------------------------------------


def natively(image: Image, folder: Path, rounds: int, many: int) -> dict[str, Any]:
    """The results of native.py."""
    folder.mkdir()
    library = folder / "pretend.so"
    source = HERE / "guest/pretend.c"
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", library, source], check=True)
    told = kernel_files(image)
    binds = {
        PROJECT: "/mnt/stapwatch",
        install_app.ensure_vendor(PROJECT, image): "/mnt/vendor",
        folder: "/mnt/work",
        told / "sys": "/sys",
        told / "proc/kallsyms": "/proc/kallsyms",
    }
    place = "/mnt/stapwatch"
    bench = HERE.relative_to(PROJECT)
    argv = ["python3", "-P", f"{place}/{bench}/guest/native.py", "/mnt/work"]
    argv += [
        f"{place}/{TYPICAL.relative_to(PROJECT)}",
        f"{place}/{bench}/hand",
        str(rounds),
        str(many),
    ]
    env = {
        "PYTHONPATH": f"{place}:/mnt/vendor",
        "LD_PRELOAD": "/mnt/work/pretend.so",
        "PRETEND_RELEASE": image.release,
    }
    done = image.chroot_run(argv, binds=binds, env=env, timeout=1800)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def kernel_files(image: Image) -> Path:
    """A folder with the files in TELLING, of the guest's kernel, kept in the lab's cache."""
    kept = cache_root() / "told" / image.folder.name
    if not kept.exists():
        made = kept.with_suffix(".tmp")
        shutil.rmtree(made, ignore_errors=True)
        with Guest.boot(image) as guest:
            for name in TELLING:
                path = made / name.lstrip("/")
                path.parent.mkdir(parents=True, exist_ok=True)
                guest.run(f"cat {name} > /tmp/told").check()
                guest.pull("/tmp/told", path)
        made.rename(kept)
    return kept


# -- in the lab ---------------------------------------------------------------------------------


def in_lab(image: Image, folder: Path, many: int) -> dict[str, Any]:
    """The results of starting.py."""
    folder.mkdir()
    setting = Setting(folder / "setting", image)
    for number in range(TIMES * many):
        sources = [*EXAMPLES, *SHAPES]
        source = sources[number % len(sources)]
        name = f"{source.stem.replace('-', '_')}_{number}"
        setting.script(name, f"{source.read_text()}\n// {number}\n")
    setting.compile()
    offer_tls(setting, folder)
    cached = Request("cached", text=TYPICAL.read_text())
    setting.compile_requests({"cached": cached})
    wanted = replace(cached, cache="/var/cache/stapwatch")
    (folder / "request.json").write_bytes(encode(wanted))
    with Guest.boot(image, icount=True) as guest:
        install_app.install(guest, PROJECT)
        setting.install(guest)
        guest.push(folder / "request.json", "/tmp/bench/request.json")
        guest.push(HERE / "guest/starting.py", "/tmp/bench/starting.py")
        argv = ["python3", "/tmp/bench/starting.py", "/tmp/bench/request.json"]
        argv.append(str(many))
        env = {"PYTHONPATH": f"/{install_app.PREFIX}:/{install_app.PREFIX}/vendor"}
        done = guest.run(argv, timeout=3600, env=env, stream=_tell).check()
        if complaints := guest.complaints():
            raise LabError("the guest's kernel complains:\n" + "\n".join(complaints))
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def offer_tls(setting: Setting, folder: Path) -> None:
    """The web configuration file, which starting.py puts in force."""
    made = Certificates.make(folder / "certificates")
    setting.write("server.pem", made.server.cert.read_text())
    setting.write("server.key", made.server.key.read_text())
    setting.write("authority.pem", made.authority.cert.read_text())
    setting.write("web.yaml", "tls_server_config: {cert_file: server.pem, key_file: server.key}\n")


def arming(image: Image, folder: Path, wildcards: str) -> dict[str, Any]:
    """The results of arming.py; {"arming": None} if it exceeds ARMING_PATIENCE."""
    folder.mkdir()
    with Guest.boot(image) as guest:  # its symbol table has the text offsets
        (folder / "kallsyms").write_bytes(guest.run(["cat", "/proc/kallsyms"]).check().stdout_bytes)
    request = Request(
        name="wildcard",
        text=f"global calls probe {wildcards} {{ calls++ }}",
        kernel={
            "root": str(image.rootfs),
            "release": image.release,
            "symbols": str(folder / "kallsyms"),
        },
        cache=str(folder / "cache"),
        output=str(folder),
    )
    made = compile_script(request, say)
    if not made.ok:
        raise LabError("\n".join(error.text for error in made.errors))
    say("compile: in the lab: arming functions")
    with Guest.boot(image, icount=True) as guest:
        install_app.install(guest, PROJECT)
        guest.push(folder / f"{made.module}.ko", f"/tmp/bench/{made.module}.ko")
        guest.push(HERE / "guest/arming.py", "/tmp/bench/arming.py")
        argv = ["python3", "/tmp/bench/arming.py", f"/tmp/bench/{made.module}.ko", made.module]
        env = {"PYTHONPATH": f"/{install_app.PREFIX}"}
        try:
            done = guest.run(argv, timeout=ARMING_PATIENCE, env=env).check()
        except (CommandTimeout, GuestDied):  # it is in one system call and cannot be killed
            return {"arming": None, "armed": 0}
        if complaints := guest.complaints():
            raise LabError("the guest's kernel complains:\n" + "\n".join(complaints))
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def memory_of_one(lab: dict[str, Any]) -> float:
    """The resident bytes of the agent that a script more takes, with TLS."""
    more: int = lab["rss_more"]["VmRSS"] - lab["rss_tls"]["VmRSS"]
    return more / int(lab["more"])


def _tell(stream: int, data: bytes) -> None:
    if stream == 2:
        for line in data.decode(errors="replace").splitlines():
            say(f"compile: in the lab: {line}")


# -- rows ---------------------------------------------------------------------------------------


def section(native: dict[str, Any], lab: dict[str, Any], scripts: int) -> Section:
    cold = statistics.median(native["cold"])
    cached = statistics.median(native["cached"])
    kbuild = {
        "kbuild, runtime included": round(1e3 * statistics.median(native["kbuild"])),
        "kbuild, one file": round(1e3 * statistics.median(native["kbuild_one"])),
    }
    many, again = native["many_cold"], native["many_cached"]
    rate = cached / lab["cached"]
    rows = (
        Row(
            "cold compile of a typical script, whole pipeline",
            "CPU ms",
            round(1e3 * cold, 3),
            kbuild,
            200,
        ),
        Row(
            "the same over kbuild's build of one file",
            "times the CPU time",
            round(cold / statistics.median(native["kbuild_one"]), 6),
            {},
            round(1 / 9, 3),
            f"of its CPU ms {1e3 * native['profile']['compiled C']:.0f} are gcc and the link",
        ),
        Row(
            f"{scripts} scripts cold", "CPU s on each of 2 cores", round(many["cpu"] / 2, 6), {}, 2
        ),
        Row(
            f"{scripts} scripts, cache warm, start to READY",
            "s, from instructions on one CPU",
            round(lab["start"] * rate, 6),
            {},
            0.7,
        ),
        Row(
            "one-time cost for a new kernel",
            "CPU s",
            round(native["new_kernel"] - cold, 6),
            {},
            6,
        ),
        Row(
            "1,000 functions by wildcard, armed",
            "s in the lab, at an instruction a ns",
            None if lab["arming"] is None else round(lab["arming"], 6),
            {},
            1,
            f"not armed after {ARMING_PATIENCE:.0f} s of this machine's time"
            if lab["arming"] is None
            else "",
        ),
        Row(
            f"agent's resident memory, {scripts} scripts, steady",
            "MB",
            round(lab["rss"]["VmRSS"] / 1e6, 1),
            {},
            35,
        ),
        Row("the same with TLS", "MB", round(lab["rss_tls"]["VmRSS"] / 1e6, 1), {}, 42),
        Row(
            f"one script more, of {lab['more']} more",
            "MB",
            round(memory_of_one(lab) / 1e6, 3),
            {},
            0.1,
        ),
    )
    parts = ", ".join(f"{name} {1e3 * s:.0f}" for name, s in native["profile"].items())
    own, files = (lab["rss"][name] / 1e6 for name in ("RssAnon", "RssFile"))
    notes = (
        f"The agent's memory: {own:.1f} MB of its own, {files:.1f} MB of libraries and mapped tables.",
        f"A cold compile's CPU ms: {parts}.",
        f"{lab['armed']:,} functions were armed.",
        f"{scripts} scripts cold took {many['wall']:.1f} s of this machine's time, from the cache {again['wall']:.1f} s "
        f"({again['cpu']:.1f} s of CPU).",
        f"The start took {lab['start']:.2f} s at an instruction a nanosecond; a compile out of the cache takes "
        f"{lab['cached']:.2f} s of that kind and {cached:.3f} s here, which is the rate.",
    )
    return Section("From text to a loaded module", rows, notes)
