# SPDX-License-Identifier: GPL-2.0-or-later
"""CPU time of each step from C text to a module, both tiers in turn. Compare ratios, not absolute times.

    python tests/compiler/modbuild/measure.py ROOT RELEASE HEADERS SCRIPT.c [ROUNDS]

ROOT holds the kernel's image; HEADERS and the compiler are this system's.
"""

from __future__ import annotations

import resource
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from runtime.support.record import field, record

sys.path.insert(0, str(Path(__file__).parents[3]))

from compiler.arch import Arch
from compiler.kernel.btf import Btf
from compiler.kernel.kernel import Kernel
from compiler.modbuild.builder import Builder
from compiler.modbuild.request import BuildInput, Tier
from compiler.modbuild.toolchain import HostToolchain, Ran
from compiler.support.content_store import Cache


@record
class Facts:
    arch: Arch
    release: str
    build_id: bytes
    headers: Path | None
    btf: Btf


@record
class Watched(HostToolchain):
    """This system's tools; records the CPU time of every command."""

    spent: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def run(
        self,
        argv: Sequence[str],
        *,
        folder: str,
        env: Mapping[str, str] | None = None,
        timeout: float = 120,
    ) -> Ran:
        before = children()
        ran = HostToolchain.run(self, argv, folder=folder, env=env, timeout=timeout)
        self.spent[Path(argv[0]).name] += children() - before
        return ran


def children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main(root: str, release: str, headers: str, script: str, rounds: str = "10") -> None:
    kernel = Kernel.from_root(Path(root), release)
    facts = Facts(kernel.arch, release, kernel.build_id, Path(headers), kernel.btf)
    text = Path(script).read_text()
    rows: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        cache = Cache(Path(folder) / "cache")
        watched = Watched()
        builders = {only: Builder(cache, watched, only=only) for only in Tier}
        started, own, others = time.monotonic(), time.process_time(), children()
        preparation = builders[Tier.FAST].prepare(facts)
        rows["once for the kernel: CPU"] = [time.process_time() - own + children() - others]
        rows["once for the kernel: wall"] = [time.monotonic() - started]
        print(f"self-check: {preparation.problem or 'same as kbuild'}")
        # the header of every kernel and a first, cold run of each tool stay out of the medians
        for round_ in range(int(rounds) + 1):
            for tier, builder in builders.items():
                manifest = f'{{"round":{round_},"tier":"{tier}"}}'
                request = BuildInput("sw_measured", text, manifest, facts)
                watched.spent.clear()
                own = time.process_time()
                builder.build(request)
                spent = {**watched.spent, "python": time.process_time() - own}
                own = time.process_time()
                assert builder.build(request).cached
                spent["(found in the cache)"] = time.process_time() - own
                if round_ > 0:
                    for step, seconds in spent.items():
                        rows[f"{tier}: {step}"].append(seconds)
                    made = [s for step, s in spent.items() if not step.startswith("(")]
                    rows[f"{tier}: all"].append(sum(made))
    for row, values in rows.items():
        print(f"{row:34} {statistics.median(values) * 1000:8.1f} ms")


if __name__ == "__main__":
    main(*sys.argv[1:])
