# SPDX-License-Identifier: GPL-2.0-or-later
"""Hooks: what the runtime attaches a handler to. One record class for each kind, with its own fields only.

    kernel.function("vfs_read")  ->  Ftrace("vfs_read", offset=2064)
    timer.s(5)                   ->  HrTimer(period=5_000_000_000)

A class describes its kind for the analyses and for code generation: see `Hook`. Nothing else lists the
kinds, so a probe family may define a kind of its own in its own file. The runtime's side of a kind is a
row of SW_HOOKS in runtime/kernel/include/stapwatch/script.h and a file in runtime/kernel/probes/.
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar, TypeAlias

from runtime.support.record import fields, record


@record
class Handler:
    """The C type of a handler, `enum sw_handler_type` of the runtime."""

    word: str
    declaration: str  # of a handler called {name}
    result: str = ""  # what the handler returns; "": nothing
    has_regs: bool = False  # it has a parameter `regs`
    has_arguments: bool = False  # parameters arg0, arg1, ... hold the probe's arguments
    entry: str = (
        ""  # the declaration of a handler at the entry, if the hook is a return; "": it has none
    )
    saved: str = ""  # C: where that handler keeps bytes for this one
    enter: str = "sw_enter"  # the runtime's functions at its beginning and end
    leave: str = "sw_leave"


SESSION = Handler("SESSION", "void {name}(void)")
PLAIN = Handler("PLAIN", "void {name}(void)")
REGS = Handler("REGS", "void {name}(struct sw_regs *regs)", has_regs=True)
FTRACE = Handler(
    "FTRACE",
    "void {name}(unsigned long ip, unsigned long parent_ip, void *ops,\n\t\t    struct sw_regs *regs)",
    has_regs=True,
)
KPROBE = Handler("KPROBE", "int {name}(void *kprobe, struct sw_regs *regs)", "0", has_regs=True)
KRETPROBE = Handler(
    "KRETPROBE",
    "int {name}(void *instance, struct sw_regs *regs)",
    "0",
    has_regs=True,
    entry="int {name}(void *instance, struct sw_regs *regs)",
    saved="SW_RETURN_DATA(instance)",
)
TRACEPOINT = Handler(
    "TRACEPOINT",
    "void {name}(void *data{arguments})",
    has_arguments=True,
    enter="sw_enter_tracepoint",
    leave="sw_leave_tracepoint",
)
PACKET = Handler(
    "PACKET", "u32 {name}(u64 arg0, u64 arg1, u64 arg2, u64 arg3)", "SW_ACCEPT", has_arguments=True
)
EVENT = Handler(
    "EVENT", "void {name}(void *event, void *sample, struct sw_regs *regs)", has_regs=True
)
UPROBE = Handler("UPROBE", "void {name}(unsigned long ip, struct sw_regs *regs)", has_regs=True)
URETPROBE = Handler(
    "URETPROBE",
    "void {name}(unsigned long ip, struct sw_regs *regs, void *saved)",
    has_regs=True,
    entry="int {name}(unsigned long ip, struct sw_regs *regs, void *saved)",
    saved="saved",
)
NONE = Handler("NONE", "")

Functions: TypeAlias = tuple[tuple[str, int], ...]  # name and text offset, 0: unknown


class Hook:
    """The fields of every kind. The class attributes describe the kind as a whole."""

    word: ClassVar[str]  # `enum sw_hook` without SW_; in lower case the manifest's word
    handler: ClassVar[Handler]
    member: ClassVar[str] = ""  # of the union in `struct sw_probe`; "": the kind needs none
    is_phase: ClassVar[bool] = False  # the module runs it itself: nothing is attached in the kernel
    is_cold: ClassVar[bool] = False  # runs seldom enough to merge all CPUs' values in the handler
    is_interruptible: ClassVar[bool] = False  # -D MAXACTION_INTERRUPTIBLE bounds it, not MAXACTION
    refusal: ClassVar[str] = ""  # C: what a handler does whose condition is false
    # The operator that reads registers by number in such a probe: kregister, uregister; "": none.
    register_operator: ClassVar[str] = ""

    # Fields of those kinds that have them:
    symbol: str = ""  # what is probed; in messages, and for a lookup by name
    functions: Functions = ()  # attached together: one handler serves all

    def declaration(self, name: str) -> str:
        """The C declaration of a handler of this hook."""
        return self.handler.declaration.format(name=name)

    def group(self) -> object:
        """Hooks of one kind and group can be one hook with the functions of all."""
        return None

    def own_fields(self) -> dict[str, int]:
        """The record's numbers other than 0: the members of `member` in C."""
        if not self.member:
            return {}
        found = {f.name: getattr(self, f.name) for f in fields(self)}
        numbers = {
            name: v for name, v in found.items() if isinstance(v, int) and type(v) is not bool
        }
        return {name: int(value) for name, value in numbers.items() if value}


# ---------------------------------------------------------------- run by the module itself


class SessionHook(Hook):
    handler = SESSION
    member = "session"
    is_phase = True
    is_cold = True
    is_interruptible = True


@record
class Begin(SessionHook):
    word = "BEGIN"

    order: int = 0  # lower ones run first


@record
class End(SessionHook):
    word = "END"

    order: int = 0


@record
class Error(SessionHook):
    word = "ERROR"

    order: int = 0


class InputHook(Hook):
    """Input typed at the terminal of `stapwatch run`."""

    handler = PLAIN
    is_phase = True
    is_cold = True


@record
class InputChar(InputHook):
    word = "INPUT_CHAR"


@record
class InputLine(InputHook):
    word = "INPUT_LINE"


# ---------------------------------------------------------------- timers


@record
class HrTimer(Hook):
    word = "TIMER_NS"
    handler = REGS
    member = "timer"
    is_cold = True

    period: int  # ns
    randomize: int = 0  # each period is longer or shorter by at most this many ns


@record
class JiffiesTimer(Hook):
    word = "TIMER_JIFFIES"
    handler = REGS
    member = "timer"
    is_cold = True

    period: int  # jiffies
    randomize: int = 0


@record
class Profile(Hook):
    word = "PROFILE"
    handler = REGS
    member = "profile"

    rate: int = 0  # hits a second on each CPU; 0: HZ


# ---------------------------------------------------------------- functions of the kernel


@record
class Ftrace(Hook):
    """A function's entry."""

    word = "FTRACE"
    handler = FTRACE
    member = "ftrace"
    register_operator = "kregister"

    symbol: str
    offset: int = 0  # of `symbol` in the kernel's text; 0: unknown, it is looked up by name
    functions: Functions = ()


@record
class Kprobe(Hook):
    """An instruction of a function, or its entry, for handlers that need all registers."""

    word = "KPROBE"
    handler = KPROBE
    member = "kprobe"
    register_operator = "kregister"

    symbol: str
    offset: int = 0  # 0: the entry. In a module: from there; in the kernel's text: as in Ftrace


@record
class Kretprobe(Hook):
    """A function's return."""

    word = "KRETPROBE"
    handler = KRETPROBE
    member = "kretprobe"
    register_operator = "kregister"

    symbol: str
    maxactive: int = 0  # calls in progress at once; 0: the default


@record
class PairedEntry(Hook):
    """A function's entry whose hits the entry handler of the same function's Kretprobe counts."""

    word = "PAIRED"
    handler = NONE
    member = "paired"

    symbol: str


@record
class Tracepoint(Hook):
    word = "TRACEPOINT"
    handler = TRACEPOINT

    symbol: str
    arguments: int

    def declaration(self, name: str) -> str:
        arguments = "".join(f", u64 arg{i}" for i in range(self.arguments))
        return self.handler.declaration.format(name=name, arguments=arguments)


# ---------------------------------------------------------------- files, packets, counters


class ProcfsHook(Hook):
    handler = PLAIN
    member = "procfs"
    is_cold = True
    refusal = "sw_procfs_refuse();"


@record
class ProcfsRead(ProcfsHook):
    word = "PROCFS_READ"

    symbol: str  # the path below /proc/stapwatch-NAME
    umask: int  # -1: only the owner may read
    value_size: int = 0  # bytes of $value; 0: the default


@record
class ProcfsWrite(ProcfsHook):
    word = "PROCFS_WRITE"

    symbol: str
    umask: int


@record
class Netfilter(Hook):
    word = "NETFILTER"
    handler = PACKET
    member = "netfilter"

    symbol: str
    family: int  # NFPROTO_*
    hooknum: int  # NF_INET_*, NF_ARP_*, ...
    priority: int


@record
class Watchpoint(Hook):
    """Accesses to a kernel address: that of the variable `symbol`, or `address` if that is not 0."""

    word = "WATCHPOINT"
    handler = EVENT
    member = "watchpoint"

    symbol: str
    address: int
    length: int  # bytes: 1, 2, 4 or 8
    access: int  # HW_BREAKPOINT_*


@record
class PerfEvent(Hook):
    """An event of perf_event_open(2) on each CPU; it has a period or a frequency."""

    word = "PERF"
    handler = EVENT
    member = "perf"

    symbol: str
    type: int
    config: int
    period: int = 0  # events a hit
    frequency: int = 0  # hits a second


# ---------------------------------------------------------------- programs


@record
class ProcessFilter:
    """The processes that a probe applies to; without a restriction all that run a program."""

    program: str = ""  # the path of the file that they run; "": any
    pid: int = 0  # 0: any
    target: bool = False  # if the session has a target(): that process and its descendants


@record
class Binary:
    """A program's file. Its size, and the `content` at `offset`, show whether it is still the file that
    the compiler has read."""

    path: str
    size: int
    offset: int
    content: bytes


class ProcessEvent(IntEnum):
    """`enum sw_process_event` of the runtime."""

    BEGIN = 0
    END = 1
    THREAD_BEGIN = 2
    THREAD_END = 3
    SYSCALL = 4
    SYSCALL_RETURN = 5


class ProgramHook(Hook):
    """A hook whose hits count in some processes only."""

    register_operator = "uregister"
    processes: ProcessFilter


@record
class Process(ProgramHook):
    word = "PROCESS"
    handler = REGS
    member = "process"

    symbol: str
    event: ProcessEvent
    processes: ProcessFilter


class FileHook(ProgramHook):
    """A hook at text offsets of a program's file."""

    handler = UPROBE
    member = "uprobe"
    binary: Binary


@record
class Uprobe(FileHook):
    word = "UPROBE"

    symbol: str
    processes: ProcessFilter
    binary: Binary
    offset: int = 0
    functions: Functions = ()
    semaphore: int = 0  # the file offset of an SDT mark's count of users; 0: none
    at_entry: bool = False  # `offset` and `functions` are functions' first instructions

    def group(self) -> object:
        return self.processes.program, self.binary, self.semaphore, self.at_entry


@record
class Uretprobe(FileHook):
    word = "URETPROBE"
    handler = URETPROBE

    symbol: str
    processes: ProcessFilter
    binary: Binary
    offset: int = 0
    functions: Functions = ()
    maxactive: int = 0  # calls in progress whose values are kept at once; 0: the default

    def group(self) -> object:
        return self.processes.program, self.binary
