# SPDX-License-Identifier: GPL-2.0-or-later
"""The peers that Debian packages, each doing a shape's work in its own language.

steps("7.2", ["count"], image, folder, 200_000) -> steps "stap count", "bpftrace count", ... of a plan

SystemTap's modules are built by the guest's own stap, natively. This takes minutes, so they are cached.
bpftrace compiles in the guest, under emulation.
"""

from __future__ import annotations

import hashlib
import inspect
import shlex
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import Guest, Image
from lab.host import cache_root, locked, remove_all_but, say

READY = "in place"
KEPT = 24  # modules of SystemTap in the cache
# each ends with a line "counted N"
STAP = {
    "count": """
        global reads
        probe kprobe.function("vfs_read") { reads++ }
        probe end { printf("counted %d\\n", reads) }""",
    "key": """
        global reads
        probe kprobe.function("vfs_read") { reads[execname()]++ }
        probe end { foreach (name in reads) printf("counted %d\\n", reads[name]) }""",
    "histogram": """
        global size
        probe kprobe.function("vfs_read") { size <<< ulong_arg(3) }
        probe end { print(@hist_log(size)) printf("counted %d\\n", @count(size)) }""",
    "latency": """
        global latency
        probe kprobe.function("vfs_read").return {
            latency <<< gettimeofday_ns() - @entry(gettimeofday_ns())
        }
        probe end { print(@hist_log(latency)) printf("counted %d\\n", @count(latency)) }""",
    "latency-map": """
        global start, latency
        probe kprobe.function("vfs_read") { start[tid()] = gettimeofday_ns() }
        probe kprobe.function("vfs_read").return {
            if (tid() in start) {
                latency <<< gettimeofday_ns() - start[tid()]
                delete start[tid()]
            }
        }
        probe end { print(@hist_log(latency)) printf("counted %d\\n", @count(latency)) }""",
    "sys-enter": """
        global calls
        probe kernel.trace("sys_enter") { calls++ }
        probe end { printf("counted %d\\n", calls) }""",
}
STAP_READY = f'probe begin {{ println("{READY}") }}'
# bpftrace writes all maps when it ends
BPFTRACE = {
    "count": "kprobe:vfs_read { @ = count(); }",
    "key": "kprobe:vfs_read { @[comm] = count(); }",
    "histogram": "kprobe:vfs_read { @ = hist(arg2); }",
    "latency-map": """
        kprobe:vfs_read { @start[tid] = nsecs; }
        kretprobe:vfs_read /@start[tid]/ { @ = hist(nsecs - @start[tid]); delete(@start[tid]); }
        END { clear(@start); }""",
    "sys-enter": "tracepoint:raw_syscalls:sys_enter { @ = count(); }",
}
# bpftrace's cheaper hook at a function's entry
FENTRY = {
    "count": "fentry:vfs_read { @ = count(); }",
    "key": "fentry:vfs_read { @[comm] = count(); }",
    "histogram": "fentry:vfs_read { @ = hist(args.count); }",
    "latency-map": """
        fentry:vfs_read { @start[tid] = nsecs; }
        fexit:vfs_read /@start[tid]/ { @ = hist(nsecs - @start[tid]); delete(@start[tid]); }
        END { clear(@start); }""",
}
BPFTRACE_READY = f'BEGIN {{ printf("{READY}\\n"); }}'


@dataclass(frozen=True, slots=True)
class Peers:
    """The version numbers in a Debian suite; "" for a peer that does not work there."""

    systemtap: str
    bpftrace: str
    old_names: bool = False  # fentry is kfunc there, and args a pointer


PEERS = {"6.1": Peers("", "0.17", old_names=True), "7.2": Peers("5.6", "0.27")}


def packages(kernel: str) -> tuple[str, ...]:
    peers = PEERS[kernel]
    return (*(["systemtap"] if peers.systemtap else []), "bpftrace")


def names(kernel: str, shape: str) -> Iterator[tuple[str, str]]:
    """(title of a column, name of its step); bpftrace always stores entry times in a map."""
    peers = PEERS[kernel]
    yield f"SystemTap {peers.systemtap}", f"stap {shape}"
    kept = "latency-map" if shape == "latency" else shape
    yield f"bpftrace {peers.bpftrace}", f"bpftrace {kept}"
    yield f"bpftrace {peers.bpftrace}, fentry", f"fentry {kept}"


def steps(
    kernel: str, shapes: Sequence[str], image: Image, folder: Path, reads: int
) -> Iterator[dict[str, Any]]:
    peers = PEERS[kernel]
    # they count all reads, those of their own start included
    common = {"kind": "command", "reads": reads, "least": reads, "most": 2 * reads, "ready": READY}
    if peers.systemtap:
        wanted = {name: STAP[name] for name in shapes if name in STAP}
        for name, path in build(image, wanted, folder).items():
            yield {
                **common,
                "name": f"stap {name}",
                "argv": ["staprun", f"/tmp/bench/stap/{path.name}"],
                "counted": r"counted (\d+)",
            }
    for way, scripts in (("bpftrace", BPFTRACE), ("fentry", FENTRY)):
        for name in shapes:
            if name not in scripts:
                continue
            text = scripts[name]
            if peers.old_names:
                text = text.replace("fentry:", "kfunc:").replace("fexit:", "kretfunc:")
                text = text.replace("args.", "args->")
            yield {
                **common,
                "name": f"{way} {name}",
                "argv": ["bpftrace", "-e", f"{text} {BPFTRACE_READY}"],
                # the number of a map or of a bucket
                "counted": r"(?m)(?:: |[\])]\s+)(\d+)\s*(?:\||$)",
            }


def build(image: Image, scripts: dict[str, str], folder: Path) -> dict[str, Path]:
    """SystemTap's modules in folder/stap, cached in the lab's cache."""
    made = folder / "stap"
    made.mkdir()
    kept = cache_root() / "stap"
    kept.mkdir(exist_ok=True)
    texts = {_module(name): f"{text}\n{STAP_READY}\n" for name, text in scripts.items()}
    recipe = f"{image.folder.name}\0{inspect.getsource(_build)}"
    keys = {
        module: kept / f"{hashlib.sha256(f'{recipe}{text}'.encode()).hexdigest()[:16]}.ko"
        for module, text in texts.items()
    }
    with locked(kept / "stap.lock", "stap at work"):
        missing = {module: texts[module] for module, path in keys.items() if not path.exists()}
        if missing:
            _build(image, missing, keys)
        remove_all_but(KEPT, kept.glob("*.ko"))
    for module, path in keys.items():
        shutil.copy(path, made / f"{module}.ko")
    return {name: made / f"{_module(name)}.ko" for name in scripts}


def _module(name: str) -> str:
    return f"stap_{name.replace('-', '_')}"


def _build(image: Image, texts: dict[str, str], kept: dict[str, Path]) -> None:
    """Build all in one go: the first one's questions to the kernel's headers serve all."""
    with Guest.boot(image) as guest:
        symbols = guest.run(r"grep -v '\[' /proc/kallsyms").check().stdout
    release = shlex.quote(image.release)
    with tempfile.TemporaryDirectory(dir=cache_root()) as name:
        work = Path(name)
        (work / "System.map").write_text(symbols)
        (work / "state").mkdir()
        for module, text in texts.items():
            say(f"peers: stap builds {module} (up to some minutes, once)")
            (work / f"{module}.stp").write_text(text)
            # Debian's symbol table is empty: a real one must lie where stap looks
            command = (
                f"mount -t tmpfs boot /boot && cp System.map /boot/System.map-{release} && "
                f"exec stap -r {release} -p4 -m {module} {module}.stp"
            )
            argv, env = ["sh", "-c", command], {"SYSTEMTAP_DIR": "/mnt/state"}
            image.chroot_run(argv, binds={work: "/mnt"}, cwd="/mnt", env=env, timeout=3600)
            (work / f"{module}.ko").rename(kept[module])
