# SPDX-License-Identifier: GPL-2.0-or-later
"""Probe families of SystemTap that are not supported: the reason, and what to probe instead.

ABSENT["java"] -> ("no-such-family", "methods of Java programs cannot be probed", "...")

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
_MODULES = (
    "probe the system call or vfs.* that leads there, or a tracepoint: -l 'kernel.trace(\"*\")'"
)
_BLOCK = 'use ioblock.request and ioblock.end, or kernel.trace("block_rq_issue")'
_COUNTERS = 'use tcp.*, udp.*, netdev.*, or a tracepoint such as kernel.trace("tcp_retransmit_skb")'

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
    "nfs": (_SLUG, "functions of the nfs module cannot be probed", _MODULES),
    "nfsd": (_SLUG, "functions of the nfsd module cannot be probed", _MODULES),
    "sunrpc": (_SLUG, "functions of the sunrpc module cannot be probed", _MODULES),
    "scsi": (_SLUG, "functions of the SCSI modules cannot be probed", _BLOCK),
    "ioscheduler": (_SLUG, "the old schedulers of block devices are gone", _BLOCK),
    "ioscheduler_trace": (_SLUG, "the old schedulers of block devices are gone", _BLOCK),
    "tcpmib": (_SLUG, "the kernel's counters of TCP are no places in code", _COUNTERS),
    "ipmib": (_SLUG, "the kernel's counters of IP are no places in code", _COUNTERS),
    "linuxmib": (_SLUG, "the kernel's network counters are no places in code", _COUNTERS),
    "stap": (_SLUG, "there is no stap whose passes could be probed", _PROGRAMS),
    "staprun": (_SLUG, "there is no staprun that could be probed", _PROGRAMS),
    "stapio": (_SLUG, "there is no stapio that could be probed", _PROGRAMS),
}
