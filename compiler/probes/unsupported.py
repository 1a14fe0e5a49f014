# SPDX-License-Identifier: GPL-2.0-or-later
"""Probe families and aliases of SystemTap that are not supported: the reason, and what to probe instead.

ABSENT["java"] -> ("no-such-family", "methods of Java programs cannot be probed", "...")
GONE["nfs.proc.read"] -> ("the client of NFS reads by ...", "use nfs.proc.read_setup ...")

A family that becomes supported moves from this table to `FAMILIES`.
"""

from collections.abc import Mapping

_SLUG = "no-such-family"
_PROGRAMS = (
    "probe what the program asks of the kernel, as syscall.* or kernel.trace(...), and compare"
    " pid() with target()"
)
_INTERPRETERS = (
    'probe the interpreter: its marks, as process("python3").mark("*"), where it was built with them,'
    ' or its functions: process("python3").function("*")'
)

# The first words of aliases that other projects' packages bring in files of their own.
OF_PACKAGES = frozenset(
    ("glib", "gobject", "gio", "hotspot", "hotspot_jni", "libvirt", "node", "perl", "php", "postgresql",
     "python", "qemu", "ruby", "tcl")
)  # fmt: skip
_OF_PACKAGE = (
    "the package of the program may have it in a file: name its folder with -I;"
    ' or probe the marks that it stands for, process("path").mark("*")'
)


def hint_of_packages(first: str) -> str:
    """What to do about an unknown alias; "" if no package is known to have such ones."""
    return _OF_PACKAGE if first in OF_PACKAGES else ""


ABSENT: Mapping[str, tuple[str, str, str]] = {
    "java": (_SLUG, "methods of Java programs cannot be probed", _INTERPRETERS),
    "python2": (_SLUG, "functions of Python programs cannot be probed", _INTERPRETERS),
    "python3": (_SLUG, "functions of Python programs cannot be probed", _INTERPRETERS),
    "stap": (_SLUG, "there is no stap whose passes could be probed", _PROGRAMS),
    "staprun": (_SLUG, "there is no staprun that could be probed", _PROGRAMS),
    "stapio": (_SLUG, "there is no stapio that could be probed", _PROGRAMS),
}

_SYNC = "each NFS call to read, write or commit has a *_setup and a *_done"
_PAGES = "the page cache reads and writes several pages at once"

# Aliases whose event no kernel has, or only older ones. The library has those of older kernels.
GONE: Mapping[str, tuple[str, str]] = {
    "ioblock_trace.bounce": (
        "data is no longer copied to memory that a device reaches",
        "use ioblock_trace.request",
    ),
    "ioscheduler.elv_next_request": (
        "drivers no longer ask the scheduler for a request",
        "use ioscheduler_trace.elv_issue_request",
    ),
    "ioscheduler_trace.elv_abort_request": (
        "schedulers abort no requests",
        "use ioscheduler_trace.elv_requeue_request, or ioscheduler_trace.elv_completed_request",
    ),
    "ioscheduler_trace.unplug_timer": (
        "no timer unplugs a queue",
        "use ioscheduler_trace.unplug_io",
    ),
    "ipmib.InDiscards": (
        "packets are discarded in many places",
        'use kernel.trace("skb:kfree_skb"), which is hit by each of them',
    ),
    "nfs.aop.writepage": (_PAGES, "use nfs.aop.writepages"),
    "nfs.fop.sendfile": (
        "NFS had no function of its own for it before Linux 6.5",
        "use generic.fop.sendfile",
    ),
    "nfs.proc.commit": (_SYNC, "use nfs.proc.commit_setup and nfs.proc.commit_done"),
    "nfs.proc.read": (_SYNC, "use nfs.proc.read_setup and nfs.proc.read_done"),
    "nfs.proc.write": (_SYNC, "use nfs.proc.write_setup and nfs.proc.write_done"),
    "nfsd.close": (
        "the server keeps files open between requests",
        'use module("nfsd").function("nfsd_file_put")',
    ),
    "nfsd.createv3": ("one function creates files for all versions", "use nfsd.proc.create"),
    "signal.pending": (
        "new kernels have it inside of the system call",
        "use syscall.rt_sigpending",
    ),
    "signal.send_sig_queue": (
        "since Linux 6.13, timers have a function of their own",
        "use signal.send, which is hit by all signals",
    ),
    "sunrpc.svc.drop": (
        "a request that is dropped passes no function of its own",
        "compare sunrpc.svc.process with sunrpc.svc.send",
    ),
    "vfs.block_sync_page": (
        "queues are unplugged by the process that filled them",
        "use ioscheduler_trace.unplug_io",
    ),
    "vfs.do_sync_read": ("each file system reads by read_iter", "use vfs.read"),
    "vfs.do_sync_write": ("each file system writes by write_iter", "use vfs.write"),
    "vm.write_shared_copy": (
        "new kernels have it inside of the function that handles the page fault",
        "use vm.write_shared",
    ),
}


def gone(name: str) -> tuple[str, str] | None:
    """The row of an alias, or of its return point."""
    return GONE.get(name.removesuffix(".return"))
