# SPDX-License-Identifier: GPL-2.0-or-later
"""A script of twice the length takes about twice the work: counted in calls, not in seconds."""

from __future__ import annotations

import cProfile
import pstats

from compiler.codegen.module import generate
from compiler.codegen.probe_table import Target
from compiler.frontend.parser import Conditions, parse
from compiler.ir.options import Options
from compiler.probes import Environment
from compiler.resolve.program import resolve
from compiler.transform.dead_code import eliminate_dead_code
from tests.compiler.frontend.support import known
from tests.golden.kernel import golden_kernel

CONDITIONS = Conditions(kernel_vr="6.1.0", arch="x86_64")
UNIT = """
global reads@, started@[500], latency@
probe kernel.function("vfs_read").return, kernel.function("vfs_write") if (enabled) {
  if (!(tid() in started@)) next
  elapsed = gettimeofday_us() - started@[tid()]
  latency@ <<< elapsed
  reads@[execname(), pid()] += $count > 0 ? $count : 0
  delete started@[tid()]
  for (i = 0; i < 10; i++)
    if (i % 3 == 0) total += describe@(i, sprintf("%s-%d", execname(), i))
  try { y = total / i } catch (msg) { log(msg) }
  printf("%d\\n", y)
}
function describe@:long(task:long, n) { if (n == "a") return 4 return task + 3 * strlen(n) }
probe end {
  foreach ([name, p-] in reads@ limit 10) printf("%-16s %6d %10d\\n", name, p, reads@[name, p])
  print(#hist_log(latency@))
}
"""


def calls(copies: int) -> int:
    """Function calls from text to C."""
    text = "global enabled = 1\n" + "".join(
        UNIT.replace("@", str(n)).replace("#", "@") for n in range(copies)
    )
    files = known(text, CONDITIONS)
    environment = Environment(golden_kernel())
    profile = cProfile.Profile()
    profile.enable()
    script = parse(text, "x.stp", conditions=CONDITIONS)
    program = eliminate_dead_code(resolve("x", [script], files, environment))
    generate(program, Target("sw_x", "0", "6.1.0", bytes(20), "0"), Options())
    profile.disable()
    return int(pstats.Stats(profile).prim_calls)  # type: ignore[attr-defined]


def test_work_grows_with_the_script() -> None:
    calls(1)  # work that is done once
    small, large = calls(10), calls(20)
    assert large / small < 2.4
