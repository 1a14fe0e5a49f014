# SPDX-License-Identifier: GPL-2.0-or-later
"""Disarm sw_reads and arm it again, in all states; print what it counted and what was attached."""

import json
import os
from pathlib import Path

from runtime.abi.structs import State
from tests.runtime.kernel.guest.module import Module, errno_of, states

READS = 100
result: dict[str, object] = {}
zero = os.open("/dev/zero", os.O_RDONLY)


def read() -> list[int]:
    """Make the hits; return how many of them each probe counted."""
    before = module.words()[:4]
    for _ in range(READS):
        os.read(zero, 1)
    return [now - old for now, old in zip(module.words()[:4], before, strict=True)]


def attached() -> list[str]:
    """What the kernel itself lists of the module's hooks."""
    functions = Path("/sys/kernel/tracing/enabled_functions").read_text().splitlines()
    probes = Path("/sys/kernel/debug/kprobes/list").read_text().splitlines()
    return [line.split()[0] for line in functions] + [line.split()[2] for line in probes]


with Module("sw_reads", 9) as module:
    result["loaded"] = [errno_of(module.arm), errno_of(module.disarm)]
    module.start(target=os.getpid())
    result["first"] = read()
    result["armed_twice"] = [errno_of(module.arm), module.header.state.name]
    result["attached"] = len(attached())
    module.disarm()
    header = module.header
    result["disarmed"] = [header.state.name, header.breach.name, header.breach_probe]
    result["since"] = header.disarmed_ns > header.started_ns
    result["while_disarmed"] = read()
    result["detached"] = [len(attached()), sum(module.status(i)[1] for i in range(9))]
    result["disarmed_twice"] = [errno_of(module.disarm), module.header.disarms]
    module.arm()
    result["again"] = read()
    module.disarm()
    module.stop()
    result["stopped"] = [errno_of(module.arm), errno_of(module.disarm), module.header.disarms]
    result["states"] = states(module.read_all())
    module.start(target=os.getpid())
    result["restarted"] = [module.header.breach.name, module.header.disarms]
    module.disarm()
    assert module.header.state is State.DISARMED
result["after"] = len(attached())  # it was unloaded while it was disarmed
print(json.dumps(result))
