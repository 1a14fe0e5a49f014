# SPDX-License-Identifier: GPL-2.0-or-later
"""Functions that scripts of other kernels probe, and what took their place.

    successor(kernel, "do_fork")   -> "it is 'kernel_clone' now"
    successor(kernel, "sys_open")  -> "it is the entry function '...' now: probe syscall.open"

A name leads to those that followed it, the newest last: a script's function may have been renamed twice, and
the kernel may be in between.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from compiler.kernel.kernel import Kernel
from compiler.probes.kernel_symbols import exists
from runtime.support.lazy_regex import pattern

_SYSTEM_CALL = pattern(r"(?:__se_sys_|__do_sys_|ksys_|sys_|SyS_|SYSC_|stub_)(\w+)")

SUCCESSORS: Final[Mapping[str, tuple[str, ...]]] = {
    # processes
    "do_fork": ("_do_fork", "kernel_clone"),
    "_do_fork": ("kernel_clone",),
    "do_execve": ("do_execve_common", "do_execveat_common"),
    "do_execve_common": ("do_execveat_common",),
    "scheduler_tick": ("sched_tick",),
    "do_page_fault": ("__do_page_fault", "do_user_addr_fault", "handle_mm_fault"),
    "__do_page_fault": ("do_user_addr_fault", "handle_mm_fault"),
    # memory
    "__alloc_pages_nodemask": ("__alloc_pages", "__alloc_pages_noprof"),
    "__alloc_pages": ("__alloc_pages_noprof",),
    "__kmalloc": ("__kmalloc_noprof",),
    "kmem_cache_alloc": ("kmem_cache_alloc_noprof",),
    "do_munmap": ("do_vmi_munmap",),
    "__do_munmap": ("do_vmi_munmap",),
    "shrink_zone": ("shrink_node",),
    "free_huge_page": ("free_huge_folio",),
    # pages of files
    "add_to_page_cache_lru": ("filemap_add_folio",),
    "add_to_page_cache_locked": ("filemap_add_folio",),
    "__add_to_page_cache_locked": ("__filemap_add_folio",),
    "mark_page_accessed": ("folio_mark_accessed",),
    "account_page_dirtied": ("folio_account_dirtied", "__folio_mark_dirty"),
    "end_page_writeback": ("folio_end_writeback",),
    "wait_on_page_bit": ("folio_wait_bit",),
    "__lock_page": ("__folio_lock",),
    "unlock_page": ("folio_unlock",),
    "pagecache_get_page": ("__filemap_get_folio",),
    # files
    "do_sync_read": ("new_sync_read", "vfs_read"),
    "do_sync_write": ("new_sync_write", "vfs_write"),
    "__vfs_read": ("vfs_read",),
    "__vfs_write": ("vfs_write",),
    "vfs_readdir": ("iterate_dir",),
    "generic_file_aio_read": ("generic_file_read_iter",),
    "generic_file_aio_write": ("generic_file_write_iter",),
    "do_path_lookup": ("filename_lookup",),
    "real_lookup": ("lookup_slow", "__lookup_slow"),
    # block devices
    "generic_make_request": ("submit_bio_noacct",),
    "blk_start_request": ("blk_mq_start_request",),
    "blk_end_request": ("blk_mq_end_request",),
    "blk_finish_request": ("blk_mq_end_request",),
    "blk_account_io_completion": ("blk_account_io_done", "blk_mq_end_request"),
    "scsi_dispatch_cmd": ("scsi_queue_rq",),
    # network
    "sock_aio_read": ("sock_read_iter",),
    "sock_aio_write": ("sock_write_iter",),
    "tcp_openreq_init": ("inet_reqsk_alloc",),
    "tcp_recv_skb": ("tcp_recvmsg",),
    "tcp_sendpage": ("tcp_sendmsg",),
    "dev_queue_xmit": ("__dev_queue_xmit",),
    "skb_copy_datagram_iovec": ("skb_copy_datagram_iter",),
}


def successor(kernel: Kernel, name: str) -> str:
    """What to probe in the place of a function that the kernel does not have; "" if it is not known."""
    for newer in reversed(SUCCESSORS.get(name, ())):
        if exists(kernel, newer, ""):
            return f"it is '{newer}' now"
    found = _SYSTEM_CALL.fullmatch(name)
    if found is not None and exists(kernel, kernel.arch.syscall_prefix + found[1], ""):
        entry = kernel.arch.syscall_prefix + found[1]
        unnamed = f"it is the entry function '{entry}' now, whose arguments have no names"
        return f"{unnamed}: probe syscall.{found[1]}"
    return ""
