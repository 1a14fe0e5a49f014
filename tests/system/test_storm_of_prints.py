# SPDX-License-Identifier: GPL-2.0-or-later
"""A run that prints more than can be read ends when it is told to, and shows what its end probe prints."""

from __future__ import annotations

import signal
import time

from lab import Guest
from tests.system.setting import Setting
from tests.system.test_command_line import no_module_is_left

SCRIPT = """\
probe kernel.trace("sys_enter") { if (execname() == "storm") printf("%s %d %d\\n", execname(), pid(), $id) }
probe end { println("bye") }
"""
STORM = """\
import os
open("/proc/self/comm", "w").write("storm")
print("blows", flush=True)
while True: os.getppid()
"""


def test_interrupt_in_a_storm(guest: Guest, setting: Setting) -> None:
    """The storm blows until the run has ended."""
    guest.push_text(SCRIPT, "/root/prints.stp")
    guest.push_text(STORM, "/root/storm.py")
    setting.compile_run(
        ["-DRINGSIZE=262144", "/root/prints.stp"], texts={"/root/prints.stp": SCRIPT}
    )
    setting.install_cache(guest)
    command = "exec stapwatch run -v -DRINGSIZE=262144 /root/prints.stp >/tmp/prints"
    running = guest.start(["/bin/sh", "-c", command], timeout=300)
    running.wait(until=b"Pass 5: starting")
    storm = guest.start(["python3", "/root/storm.py"], timeout=600)
    storm.wait(until=b"blows\n")
    guest.run("until grep -q storm /tmp/prints; do sleep 0.1; done", timeout=300).check()
    began = time.monotonic()
    running.kill(signal.SIGINT)
    done = running.wait()
    print(f"it ended {time.monotonic() - began:.1f} s after the signal\n{done.stderr}")
    storm.kill(signal.SIGKILL)
    storm.wait()
    assert done.status == 0, done.stderr
    assert guest.run("tail -n 1 /tmp/prints").stdout == "bye\n"
    assert no_module_is_left(guest)
