# SPDX-License-Identifier: GPL-2.0-or-later
"""The peers that Debian packages, each doing a shape's work in its own language.

steps("7.2", SHAPES, image, folder, 200_000) -> steps "stap count", "bpftrace count", ... of a plan

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

from lab import Guest, Image, LabError
from lab.host import cache_root, locked, remove_all_but, say
from tests.bench.shapes import SAMPLES_A_SECOND, Shape

READY = "in place"
KEPT = 48  # modules of SystemTap in the cache
PROGRAM = "/tmp/bench/loop.so"
# the lines of what is printed, which hold this text
LINES = {"printf": r"(?m)^.* 1$", "openat": r"(?m)^.*/dev/zero.*$"}
# each but those ends with a line "counted N"
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
    "printf": """
        probe kprobe.function("vfs_read") {
            printf("%s %d %p %d\\n", execname(), tid(), pointer_arg(2), ulong_arg(3))
        }""",
    "openat": """probe syscall.openat { printf("%s\\n", argstr) }""",
    "wildcard": """
        global calls
        probe kprobe.function("tcp_*"), kprobe.function("udp_*"), kprobe.function("pci_*"),
              kprobe.function("vfs_*") { calls++ }
        probe end { printf("counted %d\\n", calls) }""",
    "netfilter": """
        global packets
        probe netfilter.hook("NF_INET_LOCAL_OUT").pf("NFPROTO_IPV4") { packets++ }
        probe end { printf("counted %d\\n", packets) }""",
    "uprobe": f"""
        global calls
        probe process("{PROGRAM}").function("bench_called") {{ calls++ }}
        probe end {{ printf("counted %d\\n", calls) }}""",
    "uretprobe": f"""
        global latency
        probe process("{PROGRAM}").function("bench_called").return {{
            latency <<< gettimeofday_ns() - @entry(gettimeofday_ns())
        }}
        probe end {{ print(@hist_log(latency)) printf("counted %d\\n", @count(latency)) }}""",
    "profile": f"""
        global hits
        probe timer.profile.freq.hz({SAMPLES_A_SECOND}) {{ hits[backtrace()]++ }}
        probe end {{ foreach (stack in hits) printf("counted %d\\n", hits[stack]) }}""",
    "shared": """
        global queued, delay
        probe kprobe.function("vfs_read") { queued[tid()] = gettimeofday_ns() }
        probe kprobe.function("read_zero") {
            if (tid() in queued)
                delay <<< gettimeofday_ns() - queued[tid()]
        }
        probe end { print(@hist_log(delay)) printf("counted %d\\n", @count(delay)) }""",
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
    "printf": 'kprobe:vfs_read { printf("%s %d %p %d\\n", comm, tid, arg1, arg2); }',
    "openat": """
        tracepoint:syscalls:sys_enter_openat {
            printf("%d, \\"%s\\", %d\\n", args.dfd, str(args.filename), args.flags);
        }""",
    "wildcard": "kprobe:tcp_*, kprobe:udp_*, kprobe:pci_*, kprobe:vfs_* { @ = count(); }",
    # it has no probe for netfilter: this is the function that calls the hook
    "netfilter": "kprobe:__ip_local_out { @ = count(); }",
    "uprobe": f"uprobe:{PROGRAM}:bench_called {{ @ = count(); }}",
    "uretprobe": f"""
        uprobe:{PROGRAM}:bench_called {{ @start[tid] = nsecs; }}
        uretprobe:{PROGRAM}:bench_called /@start[tid]/ {{
            @ = hist(nsecs - @start[tid]); delete(@start[tid]);
        }}
        END {{ clear(@start); }}""",
    "profile": f"profile:hz:{SAMPLES_A_SECOND} {{ @[kstack] = count(); }}",
    "shared": """
        kprobe:vfs_read { @queued[tid] = nsecs; }
        kprobe:read_zero /@queued[tid]/ { @ = hist(nsecs - @queued[tid]); }
        END { clear(@queued); }""",
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
    "printf": 'fentry:vfs_read { printf("%s %d %p %d\\n", comm, tid, args.buf, args.count); }',
    "netfilter": "fentry:__ip_local_out { @ = count(); }",
    "shared": """
        fentry:vfs_read { @queued[tid] = nsecs; }
        fentry:read_zero /@queued[tid]/ { @ = hist(nsecs - @queued[tid]); }
        END { clear(@queued); }""",
}
# room for all functions of a wildcard, and for what is printed until it is read
BPFTRACE_ENV = {"BPFTRACE_MAX_PROBES": "4096", "BPFTRACE_PERF_RB_PAGES": "4096"}
STAP_BUFFER = "64"  # MB, the same
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


def all_work(kernel: str) -> bool:
    """Whether both peers work there, so that there is a better one."""
    return bool(PEERS[kernel].systemtap and PEERS[kernel].bpftrace)


def steps(
    kernel: str, shapes: Sequence[Shape], image: Image, folder: Path, reads: int
) -> Iterator[dict[str, Any]]:
    peers = PEERS[kernel]
    if peers.systemtap:
        wanted = {shape.name: STAP[shape.name] for shape in shapes if shape.name in STAP}
        for name, path in build(image, wanted, folder).items():
            shape = next(shape for shape in shapes if shape.name == name)
            argv = ["staprun", "-b", STAP_BUFFER, f"/tmp/bench/stap/{path.name}"]
            yield _step(shape, f"stap {name}", argv, r"counted (\d+)", reads)
    for way, scripts in (("bpftrace", BPFTRACE), ("fentry", FENTRY)):
        for shape in shapes:
            if shape.name not in scripts:
                continue
            text = scripts[shape.name]
            if peers.old_names:
                text = text.replace("fentry:", "kfunc:").replace("fexit:", "kretfunc:")
                text = text.replace("args.", "args->")
            argv = ["bpftrace", "-e", f"{text} {BPFTRACE_READY}"]
            # the number of a map or of a bucket
            counted = r"(?m)(?:: |[\])]\s+)(\d+)\s*(?:\||$)"
            yield _step(shape, f"{way} {shape.name}", argv, counted, reads)


def _step(shape: Shape, name: str, argv: list[str], counted: str, reads: int) -> dict[str, Any]:
    """They count all events, those of their own start included."""
    events = shape.events(reads)
    least, most = (1, 1 << 40) if shape.sampled else (events, 2 * events + 2000)
    return {
        "name": name,
        "kind": "command",
        "argv": argv,
        "env": BPFTRACE_ENV,
        "ready": READY,
        "counted": LINES.get(shape.name, counted),
        "lines": shape.name in LINES,
        "events": events,
        "least": least,
        "most": most,
        **shape.loop,
    }


def build(image: Image, scripts: dict[str, str], folder: Path) -> dict[str, Path]:
    """SystemTap's modules in folder/stap, cached in the lab's cache, of those scripts that it can build."""
    made = folder / "stap"
    made.mkdir()
    kept = cache_root() / "stap"
    kept.mkdir(exist_ok=True)
    texts = {_module(name): f"{text}\n{STAP_READY}\n" for name, text in scripts.items()}
    program = folder / Path(PROGRAM).name
    recipe = f"{image.folder.name}\0{inspect.getsource(_build)}{_digest(program.read_bytes())}"
    keys = {
        module: kept / f"{_digest(f'{recipe}{text}'.encode())}.ko" for module, text in texts.items()
    }
    with locked(kept / "stap.lock", "stap at work"):
        missing = {module: texts[module] for module, path in keys.items() if not path.exists()}
        if missing:
            _build(image, missing, program, keys)
        remove_all_but(KEPT, kept.glob("*.ko"))
    done = {name: keys[_module(name)] for name in scripts if keys[_module(name)].exists()}
    return {
        name: Path(shutil.copy(path, made / f"{_module(name)}.ko")) for name, path in done.items()
    }


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _module(name: str) -> str:
    return f"stap_{name.replace('-', '_')}"


def _build(image: Image, texts: dict[str, str], program: Path, kept: dict[str, Path]) -> None:
    """Build all in one go: the first one's questions to the kernel's headers serve all.

    A script that stap does not build is told of, and has no module.
    """
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
            binds = {work: "/mnt", program: PROGRAM}
            try:
                image.chroot_run(argv, binds=binds, cwd="/mnt", env=env, timeout=3600)
            except LabError as error:
                say(f"peers: stap cannot build {module}: {error}")
            else:
                (work / f"{module}.ko").rename(kept[module])
