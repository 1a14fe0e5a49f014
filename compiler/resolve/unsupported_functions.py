# SPDX-License-Identifier: GPL-2.0-or-later
"""Functions of SystemTap's library that this one does not have: why, and what to use instead.

UNSUPPORTED["raise"] -> ("a script sends no signals", "print it instead; ...")

A function that is added to `tapset/` is removed from this table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

_MODULE_CODE = "the types of modules like nfs and sunrpc are known to debuginfo only"
_CAST = 'follow the pointer: @cast(pointer, "struct name")->member'
_PRINT = "print it instead; the reader of the output can act on it"

# Words of other languages that look like calls.
FOREIGN: Mapping[str, str] = {
    "switch": "write: if (...) ... else if (...) ...",
    "len": "use strlen(...)",
    "length": "use strlen(...) for a string; a global that you count for an array",
    "count": "use @count(...) for a statistic",
    "sum": "use @sum(...) for a statistic",
    "avg": "use @avg(...) for a statistic",
    "min": "use @min(...) for a statistic, or: a < b ? a : b",
    "max": "use @max(...) for a statistic, or: a > b ? a : b",
    "hist": "use print(@hist_log(...))",
    "quantize": "fill a statistic by '<<<', and print(@hist_log(...))",
    "lquantize": "fill a statistic by '<<<', and print(@hist_linear(...))",
    "strcmp": "compare with '==' or '<'",
    "strcat": "strings are joined by '.'",
    "strstr": "use isinstr(...)",
    "atoi": "use strtol(text, 10)",
    "sleep": "handlers never wait; use probe timer.s(...)",
    "printk": "use println(...)",
    "puts": "use println(...)",
    "clear": "use delete",
    "sizeof": 'use &@cast(0, "struct name")[1]',
    "comm": "use execname()",
    "nsecs": "use gettimeofday_ns()",
    "kstack": "use print_backtrace()",
    "str": "use user_string(...) or kernel_string(...)",
}

# names, why, what instead
_GROUPS: Iterable[tuple[str, str, str]] = (
    ("panic", "a script never stops the kernel", "exit() ends the script, error(...) the handler"),
    ("raise", "a script sends no signals", _PRINT),
    (
        "dump_stack ftrace",
        "the kernel's log is not the place for output",
        "use print_backtrace() or println(...)",
    ),
    (
        "stp_pid",
        "a script's reader comes and goes, so it has no process of its own",
        "target() is what -x or -c names",
    ),
    (
        "module_name module_size",
        "a script does not know its own module",
        "series carry the script's name as a label",
    ),
    (
        "pnlabel",
        "labels in code are known to debuginfo only",
        "pn() and ppfunc() name the probe point",
    ),
    ("cpuid", "SystemTap 1.5 has removed it", "use cpu()"),
    (
        "task_backtrace",
        "only the stack of the running task can be read",
        "use print_backtrace() in a probe that the task runs into",
    ),
    (
        "nfsderror nfs3_cmode nfs4_ctype NFS_I NFS_PROTO NFS_SERVER addr_from_rqst addr_from_rqst_str"
        " clones_from_clnt get_ip get_ip_from_client get_prot get_prot_from_client port_from_clnt"
        " port_from_xprt proc_from_msg prog_from_clnt prot_from_clnt tasks_from_clnt vers_from_clnt"
        " vers_from_prog xid_from_clnt",
        _MODULE_CODE,
        _CAST,
    ),
    (
        "describe_data_direction describe_device_state get_devstate_from_req disk_major_from_request"
        " disk_minor_from_request scsi_timer_pending",
        _MODULE_CODE,
        "ioblock.request and ioblock.end have devname, sector, size and opf",
    ),
    (
        "print_java_backtrace sprint_java_backtrace Py2Object_GetAttr Py2Object_Repr Py3Object_GetAttr"
        " Py3Object_Repr python2_get_locals python2_get_var_obj python3_get_locals python3_get_var_obj"
        " python3_initialize python_print_backtrace python_sprint_backtrace",
        "the state of Java and Python programs cannot be read",
        "print_ubacktrace() has the addresses of the program that runs them",
    ),
    (
        "umodaddr umodbuildid",
        "a module does not look up the files of programs",
        "umodname(uaddr()) has its name",
    ),
    (
        "stp_print_binary",
        "binary output has no function of its own",
        "use printf with %1b %2b %4b %8b",
    ),
    (
        "probing_32bit_app",
        "32-bit programs are not distinguished",
        'see @cast(task_current(), "task_struct")->thread_info',
    ),
    ("rcu_dereference container_of_task_rcu", "pointers need no barrier to be read here", _CAST),
    (
        "cve_count_metric cve_record_metric cve_tmpdisable",
        "security band-aids are not supported",
        "count in a global",
    ),
    (
        "get_netdev_name",
        "BTF has the type of its argument",
        'kernel_string(@cast(dev, "net_device")->name)',
    ),
    (
        "bdevname disk_name bio_op tcp_get_info_snd_cwnd tcp_ts_get_info_rcv_mss"
        " tcp_ts_get_info_snd_ssthresh",
        "it only follows a pointer",
        _CAST,
    ),
    (
        "syscall_num",
        "a system call's number has no function",
        "syscall_any has syscall_nr, and name",
    ),
)

UNSUPPORTED: Mapping[str, tuple[str, str]] = {
    name: (why, instead) for names, why, instead in _GROUPS for name in names.split()
}
