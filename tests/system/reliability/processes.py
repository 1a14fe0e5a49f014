# SPDX-License-Identifier: GPL-2.0-or-later
"""Processes are killed and stopped, and CPUs go away."""

from __future__ import annotations

from tests.system.reliability.scene import Scene
from tests.system.service import wait_for

# Kills whoever makes a system call, so it finds the loader by what it does. The call is a number written to a
# file: that of the system call or the low half of an ioctl's command, negative: when it returns.
KILLER = r"""
%{
#include <linux/sched/signal.h>
%}
global call
function shot() %{ /* unprivileged */ send_sig(SIGKILL, current, 1); %}
function is_it(id, command, sign) {
    return call == sign * (id == 16 ? command & 0xffff : id)
}
probe procfs("call").write { call = strtol($value, 10) }
probe procfs("call").read { $value = sprint(call) }
probe kernel.trace("sys_enter") {
    if (call > 0 && is_it($id, $regs->si, 1)) { call = 0; shot() }
}
probe kernel.trace("sys_exit") {
    if (call < 0 && is_it($regs->orig_ax, $regs->si, -1)) { call = 0; shot() }
}
"""
KILLER_FILE = "/root/killer.stp"
KILLER_RUN = ("-g", "-F", KILLER_FILE)
FINIT_MODULE, DELETE_MODULE = 313, 176
START, STOP, EXIT = 0x7701, 0x7702, 0x770A  # of abi.h
# a swap, call by call
STEPS = {
    "while the new module is loaded": FINIT_MODULE,
    "when it is loaded": -FINIT_MODULE,
    "while it is started": START,
    "when it runs in place of the old one": -START,
    "when the old one's probes have ended": -EXIT,
    "when the old one is stopped": -STOP,
    "while it is unloaded": DELETE_MODULE,
    "when it is unloaded": -DELETE_MODULE,
}
LINES = 4000  # several times what the rings hold
ERRORS = 4000  # fewer than the ring holds
SIGHUPS = 1000
OOM = "MemoryMax=8M MemorySwapMax=0"


def kill_agent(scene: Scene) -> None:
    pid = scene.agent()
    scene.shell(f"kill -9 {pid}")
    scene.agent_after(pid)


def restart(scene: Scene) -> None:
    pid = scene.agent()
    scene.shell("systemctl restart stapwatch", 300)
    scene.agent_after(pid)


def kill_loader(scene: Scene) -> None:
    """At each step of a reload that swaps a script's module: whichever process does the step, loader or agent."""
    scene.guest.push_text(KILLER, KILLER_FILE)
    loaded = scene.shell(f"stapwatch run {' '.join(KILLER_RUN)}", 300).split()[-1]
    file = f"/proc/stapwatch-{loaded}/call"
    for number, (step, call) in enumerate(STEPS.items()):
        scene.shell(f"echo {call} >{file}")
        scene.write_sizes(1 - number % 2)
        scene.service.systemctl("reload", "stapwatch")  # it may fail with the agent
        assert scene.shell(f"cat {file}").strip() == "0", f"nobody was killed {step}"
        wait_for(lambda: scene.service.systemctl("reload", "stapwatch").status == 0, "a reload")
        scene.all_run()
        sizes = [name for name in scene.service.modules() if name.startswith("sw_sizes_")]
        assert len(sizes) == 1, f"after a kill {step}: {sizes}"
    scene.shell(f"rmmod {loaded}")


def compile_child(scene: Scene) -> str | None:
    """A compiler's process id; None if none compiles."""
    show = (
        "systemctl show -P MainPID 'stapwatch-compile@*.service' | grep -vx 0 | grep . | tail -n 1"
    )
    return scene.guest.run(show).stdout.strip() or None


def kill_compiler(scene: Scene) -> None:
    """The first time the compile is tried again, the second time it is not."""
    for kills, status in ((1, 0), (2, 1)):
        scene.write_sizes(10 + kills)
        reloading = scene.guest.start(["systemctl", "reload", "stapwatch"], timeout=300)
        last = compile_child(scene)  # of an earlier compile
        for _ in range(kills):
            last = wait_for(lambda: other(compile_child(scene), last), "a compiler")  # noqa: B023
            scene.shell(f"kill -9 {last}")
        assert reloading.wait().status == status
    assert scene.states()["sizes"] == "outdated"
    assert scene.service.value("stapwatch_script_compile_failures_total", script="sizes") == 1
    scene.write_sizes(0)
    scene.service.reload()
    assert scene.states()["sizes"] == "running"


def other(found: str | None, than: str | None) -> str | None:
    return found if found != than else None


def sighups(scene: Scene) -> None:
    pid, before = scene.agent(), scene.service.reloaded()
    scene.shell(f"for i in $(seq {SIGHUPS}); do kill -HUP {pid}; done")
    wait_for(lambda: scene.service.reloaded() > before, "a reload")
    scene.service.reload()
    assert scene.agent() == pid


def cpu_off(scene: Scene) -> None:
    switch = "/sys/devices/system/cpu/cpu1/online"
    for _ in range(3):
        scene.shell(f"echo 0 >{switch}; sleep 0.3; echo 1 >{switch}; sleep 0.3")


def kill_for_memory(scene: Scene) -> None:
    """By the kernel, for the unit's limit."""
    assert scene.guest.complaints() == []
    pid = scene.agent()
    scene.shell(f"systemctl set-property --runtime stapwatch {OOM}")
    killed = f"until dmesg | grep -q 'Killed process {pid} '; do sleep 0.1; done"
    scene.shell(killed)
    scene.shell("systemctl set-property --runtime stapwatch MemoryMax=infinity")
    scene.agent_after(pid)
    scene.shell("dmesg --clear")  # the kernel's report has a call trace


def errors(scene: Scene) -> None:
    scene.load.make("errors", ERRORS)


def prints(scene: Scene) -> None:
    scene.load.make("lines", LINES)


def stop_reader(scene: Scene) -> None:
    """Long enough for a small ring, and shorter than the watchdog is patient."""
    scene.shell(f"kill -STOP {scene.agent()}")
    scene.load.make("lines", LINES)
    scene.shell(f"kill -CONT {scene.agent()}")
