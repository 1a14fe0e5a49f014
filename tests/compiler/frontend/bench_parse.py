# SPDX-License-Identifier: GPL-2.0-or-later
"""Lines parsed a second, and start-up with and without a stored table. Prints; has no limits.

python -m tests.compiler.frontend.bench_parse
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from compiler.frontend import grammar_table
from compiler.frontend.parser import parse
from tests.compiler.frontend.support import GURU

UNIT = """
global reads%[1000], started[500], latency
/* one of many */
probe kernel.function("vfs_read").return, vfs.{write,readv}? if (enabled) {
  if (!(tid() in started) || execname() =~ "^sh$") next
  elapsed = gettimeofday_us() - started[tid()]   // microseconds
  latency <<< elapsed
  reads[execname(), pid()] += $return > 0 ? $return : 0
  delete started[tid()]
}
function describe:string(task:long, n) {
  return sprintf("%s[%d] %d", task_execname(task), @cast(task, "task_struct")->pid, n & 0xff)
}
probe end {
  foreach ([name, p-] in reads limit 10)
    printf("%-16s %6d %10d\\n", name, p, reads[name, p])
  print(@hist_log(latency))
}
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "grammar.bin"
        start = time.perf_counter()
        grammar_table.write(path)
        built = time.perf_counter() - start
        start = time.perf_counter()
        grammar_table.read(path)
        read = time.perf_counter() - start
    print(f"grammar table: built in {built * 1e3:.0f} ms, read in {read * 1e3:.1f} ms")
    for copies in (1, 60, 600):
        text = UNIT * copies
        best = min(_seconds(text) for _ in range(3))
        lines = text.count("\n")
        print(f"{lines:6} lines: {best * 1e3:7.1f} ms, {lines / best:8.0f} lines/s")


def _seconds(text: str) -> float:
    start = time.perf_counter()
    parse(text, "bench.stp", conditions=GURU)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
