# SPDX-License-Identifier: GPL-2.0-or-later
"""The library in a real kernel: each file's functions and aliases, with values that are known, or that must
agree with each other. Functions that need no kernel are among the language's cases
(tests/language/cases/library)."""

from __future__ import annotations

import re
from typing import Any

import pytest

from lab import Guest
from tests.handlers.conftest import Case, check

MINE = "if (pid() != target()) next\n"
SEEN = "if (seen++) next\n"  # once is enough


def facts(*facts: str, point: str = 'kernel.function("vfs_read")', **options: Any) -> Case:
    """Expressions that are true when the trigger first hits a point."""
    name = options.pop("name")
    lines = "\n".join(f'if (!({fact})) println("not so: ", {i})' for i, fact in enumerate(facts))
    text = f'global seen\nprobe {point} {{ {MINE} {SEEN} {lines} println("seen") }}'
    options.setdefault("trigger", "read 3")
    options.setdefault("defines", {"MAXACTION": "10000"})  # one hit finds out everything
    return Case(name, text, output="seen\n", **options)


IDS = ("pid", "tid", "ppid", "pgrp", "sid", "uid", "euid", "gid", "egid")
CASES = [
    facts(
        "pid2execname(pid()) == execname()",
        "pid2task(tid()) == task_current()",
        'pid2task(-1) == 0 && pid2task(4194305) == 0 && pid2execname(0) == ""',
        "task_pid(task_current()) == pid() && task_tid(task_current()) == tid()",
        'task_execname(task_current()) == "trigger"',
        "task_pid(task_parent(task_current())) == ppid()",
        "pexecname() == pid2execname(ppid())",
        "task_uid(task_current()) == uid() && task_euid(task_current()) == euid()",
        "task_gid(task_current()) == gid() && task_egid(task_current()) == egid()",
        "task_state(task_current()) == 0",
        "task_prio(task_current()) == 20 && task_nice(task_current()) == 0",
        "task_cpu(task_current()) == cpu()",
        "task_open_file_handles(task_current()) >= 4",
        "task_max_file_handles(task_current()) >= task_open_file_handles(task_current())",
        "task_rlimit_nofile(task_current()) >= 1024",
        "task_rlimit(task_current(), 7) == task_rlimit_nofile(task_current())",
        "task_rlimit_stack(task_current()) >= 1 << 20 && task_rlimit_as(task_current()) == -1",
        "task_rlimit_cpu(task_current()) == -1 && task_rlimit(task_current(), 16) == -1",
        "task_ns_pid(task_current()) == pid() && task_ns_tid(task_current()) == tid()",
        "task_ns_uid(task_current()) == uid() && task_ns_egid(task_current()) == egid()",
        "task_utime_tid(tid()) == task_utime(tid())",
        "proc_mem_rss_pid(pid()) == proc_mem_rss() && proc_mem_size_pid(-1) == 0",
        "proc_mem_string_pid(pid()) == proc_mem_string()",
        "task_utime() >= 0 && task_stime(tid()) > 0 && task_stime(-1) == 0",
        "task_start_time(tid()) > task_start_time(1)",
        'task_time_string() =~ "^usr: 0m0.*s, sys: 0m0.*s$"',
        name="tasks",
    ),
    facts(
        'pstrace(task_current()) =~ "^trigger.[0-9]+. python3.[0-9]+."',
        'task_ancestry(task_current(), 0) =~ "systemd=>.*python3=>trigger$"',
        "target_set_pid(pid()) == 1 && target_set_pid(ppid()) == 0 && target_set_pid(1) == 0",
        name="ancestry",
    ),
    facts(
        'fullpath_struct_file(task_current(), $file) == "/dev/zero"',
        'fullpath_struct_file(task_current(), current_exe_file()) == "/tmp/cases/trigger"',
        "task_exe_file(task_current()) == current_exe_file()",
        'fullpath_struct_path(&$file->f_path) == "/dev/zero"',
        'fullpath_struct_path(task_cwd_path(task_current())) =~ "^/"',
        'd_name($file->f_path->dentry) == "zero"',
        'reverse_path_walk($file->f_path->dentry) == "zero"',
        'inode_name($file->f_inode) == "zero" && inode_path($file->f_inode) == "/zero"',
        "task_fd_lookup(task_current(), 3) == $file && task_fd_lookup(task_current(), -1) == 0",
        name="paths",
    ),
    facts(
        'cmdline_str() == "/tmp/cases/trigger read 3"',
        'cmdline_arg(1) == "read" && cmdline_arg(3) == ""',
        'cmdline_args(1, 2, "+") == "read+3" && cmdline_args(0, 0, " ") == "/tmp/cases/trigger"',
        'env_var("PYTHONPATH") == "/usr/lib/stapwatch" && env_var("PYTHON") == ""',
        name="command line",
    ),
    facts(
        "proc_mem_size() > 0 && proc_mem_size(pid()) == proc_mem_size() && proc_mem_size(-1) == 0",
        "proc_mem_txt() > 10 && proc_mem_txt() < 1000 && proc_mem_data() > 0",
        "proc_mem_rss() <= proc_mem_size() && proc_mem_shr() <= proc_mem_rss()",
        'proc_mem_string() =~ "^size: .*, rss: .*, shr: .*, txt: .*, data: .*$"',
        name="process memory",
    ),
    facts(
        'get_loadavg_index(0) >= 0 && sprint_loadavg() =~ "^[0-9]+.[0-9][0-9] [0-9]+.[0-9]+ [0-9]+.[0-9]+$"',
        "HZ() == 250 && cpu_clock_ns(0) - local_clock_ns() < 1000000",
        "jiffies() > 0",
        name="load and clocks",
    ),
    facts(
        "pointer_arg(1) == $file && ulong_arg(3) == $count && int_arg(3) == 1 && s64_arg(3) == 1",
        'register("rdi") == $file && register("di") == $file && register("rdx") == 1 && u_register("edx") == 1',
        "registers_valid() && !user_mode() && !is_return()",
        'symname(addr()) == "vfs_read" || symname(addr() - 1) == "vfs_read"',
        "uaddr() > 0x10000 && uaddr() < 0x800000000000",
        'probe_type() == "kprobe" && probemod() == "kernel"',
        name="registers",
    ),
    facts(
        'is_return() && probe_type() == "kretprobe" && returnval() == 1 && $return == 1',
        point='kernel.function("vfs_read").return',
        name="registers at a return",
    ),
    Case(
        "no registers",
        """probe begin { println(registers_valid(), user_mode(), addr())
            try { println(int_arg(1)) } catch (text) { println(text) }
            try { println(register("nope")) } catch (text) { println(text) } }""",
        output="000\nthis probe has no registers\nthere is no such register\n",
    ),
    facts(
        'symname(stack(0)) == "vfs_read"',
        'caller_addr() == stack(1) && symname(stack(1)) =~ "sys_read"',
        'caller() =~ "sys_read 0xffff"',
        'callers(0) == sprintf("%#x", stack(0)) && callers(1) == sprintf("%#x %#x", stack(0), stack(1))',
        "isinstr(backtrace(), callers(2))",
        'symdata(stack(1)) =~ "^[a-z_0-9]+.0x[0-9a-f]+/0x[0-9a-f]+ .kernel.$"',
        'isinstr(sprint_backtrace(), symdata(stack(1)) . "\\n")',
        'sprint_stack(callers(1)) == symdata(stack(0)) . "\\n" . symdata(stack(1)) . "\\n"',
        'modname(stack(0)) == "kernel" && symname(1) == "0x1" && symdata(0) == "0x0"',
        'stack(99) == 0 && ustack(0) == uaddr() && usymname(16) == "0x10"',
        'ubacktrace() =~ "^0x[0-9a-f]+" && sprint_ubacktrace() =~ "^trigger.0x"',
        "stack_size() == 16384 && stack_used() > 0 && stack_used() + stack_unused() == stack_size()",
        name="stacks",
    ),
    facts(
        'symname(stack(0)) == "vfs_read" && symname(stack(1)) =~ "sys_read"',
        point='kprobe.function("vfs_read")',
        name="stack of a kprobe",
    ),
    facts(
        'symname(stack(0)) =~ "sys_enter|syscall"',
        'isinstr(sprint_backtrace(), "do_syscall_64")',
        point='kernel.trace("sys_enter")',
        name="stack of a tracepoint",
    ),
    Case(
        "printed stacks",
        f"""global seen; probe kernel.function("vfs_read") {{ {MINE} {SEEN}
            print_backtrace() println("-") print_ubacktrace() println("-") print_syms("10 ff") print_usyms("10 ff") }}""",
        trigger="read 1",
        output=None,
    ),
    Case(
        "sampled stacks",
        """global n, bad; probe timer.profile { n++
            if (!user_mode() && backtrace() == "") bad++
            if (addr() == 0) bad++ }
        probe timer.ms(300) { exit() } probe end { println(n > 10, bad) }""",
        output="10\n",
        until_exit=True,
    ),
    facts(
        'user_string_n_quoted($buf, 5) =~ "^."',
        'user_int(16) == 0 && user_uint8($buf) == 0 && user_string_nofault(16) == ""',
        'kernel_string_quoted(&@cast(task_current(), "task_struct")->comm) == "\\"trigger\\""',
        'kernel_string_quoted(16) == "0x10"',
        name="memory",
    ),
    Case(
        "guru",
        """probe begin { printk(6, "said by a script")
            start = local_clock_us() udelay(500) println(local_clock_us() - start >= 500)
            try { mdelay(21) } catch (text) { println(text) }
            try { set_kernel_int(16, 1) } catch (text) { println(text) }
            try { set_kernel_string(16, "x") } catch (text) { println(text) } }""",
        output="1\na delay is 20 ms at most\nkernel write fault at 0x10\nkernel write fault at 0x10\n",
        guru=True,
    ),
    Case(
        "arguments and memory of a process are written",
        f"""probe kernel.function("vfs_read") {{ {MINE} {SEEN}
            set_user_char($buf, 0x41) println(user_char($buf))
            set_user_string_n($buf, 1, "Bc") println(user_char($buf))
            try {{ set_user_long(16, 1) }} catch (text) {{ println(text) }}
            set_user_string_arg(16, "x")
            set_uint_arg(3, -1) println(ulong_arg(3))
            set_int_arg(3, -2) println($count)
            set_s32_arg(3, 0x100000001) println(long_arg(3)) }}
        global seen""",
        trigger="read 1",
        output="65\n66\nuser write fault at 0x10\nWARNING: user write fault at 0x10\n4294967295\n"
        "-2\n1\n",
        guru=True,
    ),
    Case(
        "report of the target's tree",
        """probe kprocess.start { if (ppid() == target()) target_set_report() }""",
        trigger="spawn 1",
        defines={"MAXACTION": "1000000"},
        output=None,
    ),
    Case(
        "IDs in a container",
        """global same, other
        function look(name, ours, wanted) { if (ours == wanted) same[name]++ else other[name] = ours }
        probe syscall.getpid.return { if (task_pid(task_parent(task_parent(task_current()))) == target()) {
            look("pid", ns_pid(), retval) look("task pid", task_ns_pid(task_current()), retval) look("pid outside", pid() != retval, 1) } }
        probe syscall.gettid.return { if (task_pid(task_parent(task_parent(task_current()))) == target()) {
            look("tid", ns_tid(), retval) look("task tid", task_ns_tid(task_current()), retval) } }
        probe syscall.getppid.return { if (task_pid(task_parent(task_parent(task_current()))) == target()) {
            look("ppid", ns_ppid(), retval) } }
        probe syscall.getpgrp.return { if (task_pid(task_parent(task_parent(task_current()))) == target()) {
            look("pgrp", ns_pgrp(), retval) } }
        probe syscall.getsid.return { if (task_pid(task_parent(task_parent(task_current()))) == target()) {
            look("sid", ns_sid(), retval) } }
        probe syscall.getuid.return { if (task_pid(task_parent(task_parent(task_current()))) == target()) {
            look("uid", ns_uid(), retval) look("task uid", task_ns_uid(task_current()), retval) look("uid outside", uid() != retval, 1) } }
        probe syscall.geteuid.return { if (task_pid(task_parent(task_parent(task_current()))) == target()) {
            look("euid", ns_euid(), retval) look("task euid", task_ns_euid(task_current()), retval) } }
        probe syscall.getgid.return { if (task_pid(task_parent(task_parent(task_current()))) == target()) {
            look("gid", ns_gid(), retval) look("task gid", task_ns_gid(task_current()), retval) } }
        probe syscall.getegid.return { if (task_pid(task_parent(task_parent(task_current()))) == target()) {
            look("egid", ns_egid(), retval) look("task egid", task_ns_egid(task_current()), retval) } }
        """,
        trigger="contained 3",
        values={
            "same": dict.fromkeys(
                [*IDS, "pid outside", "uid outside"]
                + [f"task {name}" for name in IDS if name not in ("ppid", "pgrp", "sid")],
                3,
            ),
            "other": {},
        },
    ),
    # the aliases
    Case(
        "syscall_any",
        f"""global n, ends; probe syscall_any {{ {MINE} if (name == "getppid") n[syscall_nr]++ }}
        probe syscall_any.return {{ {MINE} if (name == "getppid") ends[retval == ppid()]++ }}""",
        trigger="getppid 33",
        values={"n": {110: 33}, "ends": {1: 33}},
    ),
    Case(
        "system calls by name",
        f"""probe nd_syscall.openat, syscall.read, syscall.write {{ {MINE} printf("%s(%s)\\n", name, argstr) }}
        probe syscall.close.return, nd_syscall.openat.return {{ {MINE} printf("%s = %s\\n", name, retstr) }}
        probe syscall.close {{ {MINE} println(fd) }}""",
        trigger="open /nowhere 1 write 1",
        output='openat(AT_FDCWD, "/nowhere", O_RDONLY|O_CLOEXEC)\nopenat = -2 (ENOENT)\n'
        'openat(AT_FDCWD, "/dev/null", O_WRONLY)\nopenat = 3\nwrite(3, "ping\\n", 5)\n3\nclose = 0\n',
    ),
    Case(
        "system calls with odd arguments",
        f"""probe syscall.faccessat2, syscall.statx, syscall.name_to_handle_at, syscall.dup3, syscall.pipe2,
            syscall.delete_module, syscall.nanosleep, syscall.chown {{ {MINE} printf("%s(%s)\\n", name, argstr) }}
        probe syscall.kill {{ {MINE} println(name, " ", sig_name) }}
        probe syscall.kill.return, syscall.dup3.return {{ {MINE} println(retstr) }}""",
        trigger="odd_calls 1",
        output='faccessat2(AT_FDCWD, "/nowhere", R_OK, AT_EACCESS)\n'
        'statx(AT_FDCWD, "/nowhere", AT_STATX_FORCE_SYNC, STATX_TYPE, 0x0)\n'
        'name_to_handle_at(AT_FDCWD, "/nowhere", 0x0, 0x0, AT_HANDLE_FID)\n'
        "dup3(-1, -1, 0x0)\n-22 (EINVAL)\npipe2(0x0, O_CLOEXEC)\n"
        'delete_module("no-such-module", O_NONBLOCK)\nkill -1\n-22 (EINVAL)\n'
        'nanosleep(0x10, 0x0)\nchown("/nowhere", -1, 4294967294)\n',
    ),
    Case(
        "system calls of memory",
        f"""global seen; probe syscall.mmap, syscall.madvise, syscall.munmap {{ {MINE}
            if (length == 40960) printf("%s %s\\n", name, name == "mmap" ? argstr : "") }}
        probe syscall.mmap.return {{ {MINE} if (retval < 0 || retstr !~ "^0x") println("bad") }}""",
        trigger="touch 10",
        output="mmap 0x0, 40960, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0\nmadvise \nmunmap \n",
    ),
    Case(
        "system calls of sockets",
        f"""global port; probe syscall.socket {{ {MINE} println(argstr) }}
        probe syscall.connect {{ {MINE} println(uaddr_af, " ", uaddr_ip, " ", strtol(uaddr_ip_port, 10) > 0, " ", addrlen)
            println(argstr =~ "^[0-9]+, .AF_INET, 127.0.0.1, [0-9]+., 16$") }}
        probe syscall.sendto {{ {MINE} println(len, " ", flags_str, " ", to_str) }}
        probe syscall.recvfrom {{ {MINE} println(len, " ", flags_str) }}""",
        trigger="udp 50",
        output="AF_INET, SOCK_DGRAM, IP\nAF_INET, SOCK_DGRAM, IP\nAF_INET 127.0.0.1 1 16\n1\n"
        "50 0x0 NULL\n50 MSG_WAITALL\n",
    ),
    Case(
        "processes",
        """global child, order
        probe kprocess.create { if (pid() == target()) { child = new_pid order .= "create " } }
        probe kprocess.start { if (child && pid() == child) order .= "start " }
        probe kprocess.exec { if (child && pid() == child) order .= argstr . " | " . filename . " | " . args . " " }
        probe kprocess.exec_complete { if (child && pid() == child) order .= success ? "done " : "failed " }
        probe kprocess.exit { if (child && pid() == child) order .= sprintf("exit %d ", code) }
        probe kprocess.release { if (child && released_pid == child && pid() == target()) order .= "release" }
        probe end { println(order) }""",
        trigger="spawn 1",
        output='create start "/bin/echo" "one" "two words" | "/bin/echo" | "echo" "one" "two words" '
        "done exit 0 release\n",
    ),
    Case(
        "signals",
        """global child, order
        probe scheduler.process_fork { if (parent_pid == target()) child = child_pid }
        probe signal.send { if (child && sig_pid == child) order .= sprintf("%s %d %s %s; ", sig_name, sig, pid_name, si_code) }
        probe signal.syskill { if (pid() == target()) order .= sprintf("%d %d; ", sig, pid == child) }
        probe signal.handle { if (child && pid() == child) order .= sig_name }
        probe end { println(order) }""",
        trigger="kill 10",
        # a signal that kills a process reaches its threads as SIGKILL
        output="10 1; SIGUSR1 10 trigger SI_USER; SIGKILL\n",
    ),
    Case(
        "scheduler",
        """global n, bad
        probe scheduler.cpu_on { if (pid() == target()) n["on"]++ if (task_prev == 0) bad++ }
        probe scheduler.cpu_off { if (pid() == target()) n["off"]++ if (task_prev != task_current()) bad++ }
        probe scheduler.ctxswitch { if (next_pid == target()) n["next"]++ if (prev_pid == target()) n["prev"]++
            if (prev_tid == target() && prev_task_name != "trigger" && prev_task_name != "python3") bad++ }
        probe scheduler.wakeup { if (task_pid == target()) n["wakeup"]++ }
        probe scheduler.process_exit { if (pid == target()) n["exit"]++ }
        probe end { println(n["on"] >= 2, n["off"] >= 2, n["next"] >= 2, n["prev"] >= 2, n["wakeup"] >= 2, n["exit"], bad) }""",
        trigger="sleep 20 sleep 20",
        output="1111110\n",
    ),
    Case(
        "interrupts",
        """global n
        probe softirq.entry { n[vec_nr < 10]++ }
        probe irq_handler.entry { if (kernel_string(dev_name) == "" || irq < 0) n[2]++ }
        probe end { foreach (i in n) println(i) }""",
        trigger="sleep 300",
        output="1\n",
    ),
    Case(
        "memory of processes",
        f"""global faults, maps, unmaps
        probe vm.pagefault {{ {MINE} faults[write_access]++ }}
        probe vm.mmap {{ {MINE} if (length == 2457600) maps++ }}
        probe vm.munmap {{ {MINE} if (length == 2457600) unmaps++ }}
        probe end {{ println(faults[1] >= 600, maps, unmaps) }}""",
        trigger="touch 600",
        output="111\n",
    ),
    Case(
        "memory of the kernel",
        f"""global n, bad
        probe vm.kmalloc {{ {MINE} n["kmalloc"]++ if (bytes_alloc < bytes_req || caller_function == "") bad++ }}
        probe vm.kmem_cache_alloc {{ {MINE} n["cache"]++ if (bytes_alloc < bytes_req || ptr == 0) bad++ }}
        probe vm.kfree {{ {MINE} n["kfree"]++ }}
        probe end {{ println(n["kmalloc"] > 0, n["cache"] > 0, n["kfree"] > 0, bad) }}""",
        trigger="spawn 1 tcp 10",
        output="1110\n",
    ),
    Case(
        "files",
        f"""probe vfs.write {{ {MINE} printf("%s %s %d\\n", name, pathname, bytes_to_write) }}
        probe vfs.write.return {{ {MINE} printf("%d %d %s\\n", bytes_written, error, devname) }}
        probe vfs.open {{ {MINE} if (filename == "null") println(argstr) }}
        probe vfs.open.return {{ {MINE} if (filename == "null") println(devname, MAJOR(dev) >= 0, ret) }}""",
        trigger="write 1",
        output='"/dev/null"\nN/A10\nvfs.write /dev/null 5\n5 0 N/A\n',
    ),
    Case(
        "block devices",
        """global n, bad
        probe ioblock.request { n["request", rw]++ if (devname == "N/A" || size < 0) bad++ }
        probe ioblock.end { n["end", rw]++ }
        probe ioblock_trace.request { n["trace", rw]++ }
        probe end { println(n["request", 1] > 0, n["end", 1] > 0, n["trace", 1] > 0, bad) }""",
        trigger="save /var/tmp/saved 8192",
        output="1110\n",
    ),
    Case(
        "network devices",
        """global bytes
        probe netdev.receive { if (dev_name == "lo" && protocol == 0x800) bytes["in"] += length }
        probe netdev.transmit { if (dev_name == "lo") bytes["out"] += length }
        probe netdev.hard_transmit { if (dev_name == "lo") bytes["hard"] += length }
        probe end { println(bytes["in"] >= 78, bytes["out"] >= 92, bytes["hard"] >= 92) }""",
        trigger="udp 50",
        output="111\n",
    ),
    Case(
        "tcp",
        f"""probe tcp.sendmsg {{ {MINE} println(name, " ", saddr, " ", daddr, " ", size, " ", family, " ", sport > 0 && dport > 0) }}
        probe tcp.sendmsg.return {{ {MINE} println(size) }}
        probe tcp.recvmsg.return {{ {MINE} println(name, " ", saddr, " ", size) }}
        global flags; probe tcp.receive {{ if (saddr == "127.0.0.1") {{ if (syn) flags["syn"]++ if (fin) flags["fin"]++ }} }}
        probe end {{ println(flags["syn"] >= 2, flags["fin"] >= 1) }}""",
        trigger="tcp 1000",
        output="tcp.sendmsg 127.0.0.1 127.0.0.1 1000 2 1\n1000\ntcp.recvmsg 127.0.0.1 1000\n11\n",
    ),
    Case(
        "udp and sockets",
        f"""probe udp.sendmsg, udp.recvmsg {{ {MINE} println(name, " ", size, " ", family) }}
        probe udp.sendmsg.return, udp.recvmsg.return {{ {MINE} println(name, " ", size) }}
        probe socket.create {{ {MINE} println(sock_fam_num2str(family), " ", sock_prot_num2str(protocol), " ", requester) }}
        probe socket.sendmsg {{ {MINE} println(name, " ", size, " ", sock_fam_num2str(family)) }}
        probe socket.receive {{ {MINE} println(name, " ", size, " ", success) }}
        probe socket.close {{ {MINE} println(name) }}""",
        trigger="udp 50",
        output="AF_INET IP 0\nAF_INET IP 0\nsocket.sendmsg 50 AF_INET\nudp.sendmsg 50 2\nudp.sendmsg 50\n"
        "udp.recvmsg 50 2\nudp.recvmsg 50\nsocket.receive 50 1\nsocket.close\nsocket.close\n",
    ),
    Case(
        "metrics are the agent's",
        """global n; probe prometheus { @prometheus_dump_array1(n, "n", "k") } probe begin { n["a"] = 1 println(n["a"]) }""",
        output="1\n",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: Case, results: dict[str, Any]) -> None:
    check(case, results[case.name])


def test_printed_stacks_have_a_line_for_each_caller(results: dict[str, Any]) -> None:
    kernel, user, given = results["printed stacks"]["output"].split("-\n")
    lines = kernel.splitlines()
    assert len(lines) >= 4
    line = re.compile(r" 0xffffffff[0-9a-f]{8} : \w+(\.\w+)*\+0x[0-9a-f]+/0x[0-9a-f]+ \[kernel\]")
    assert all(line.fullmatch(text) for text in lines), kernel
    assert lines[0].split()[2].startswith("vfs_read+") and "do_syscall_64+" in kernel
    assert re.fullmatch(r"( 0x[0-9a-f]+ : trigger\+0x[0-9a-f]+\n)( 0x[0-9a-f]+( : \S+)?\n)*", user)
    assert given == " 0x10 : 0x10\n 0xff : 0xff\n 0x10\n 0xff\n"


def test_the_targets_tree_is_reported(results: dict[str, Any]) -> None:
    output = results["report of the target's tree"]["output"]
    target = re.match(r"target set:\ntrigger\[(\d+)\]\n", output)
    assert target, output
    assert re.fullmatch(rf"trigger\[\d+\] of trigger\[{target[1]}\]\n", output[target.end() :])


def test_a_script_writes_to_the_kernel_log(guest: Guest, results: dict[str, Any]) -> None:
    assert results["guru"]["output"]
    assert "said by a script" in guest.run("dmesg").check().stdout
