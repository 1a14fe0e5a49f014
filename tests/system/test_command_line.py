# SPDX-License-Identifier: GPL-2.0-or-later
"""`stapwatch run`, `check` and `status` as a person types them, on a system without the service."""

from __future__ import annotations

import json
import re
import signal
import time

import pytest

from lab import Guest
from tests.system.setting import Setting

HELLO = 'probe begin { log("hello systemtap!") exit() }'
PASS = re.compile(r"Pass (\d): (.+) in (\d+)usr/(\d+)sys/(\d+)real ms\.")

OPENS = """\
#!/usr/bin/env -S stapwatch run
probe begin { log("begin to probe") }
probe syscall.open, syscall.openat { printf("%s(%d) open (%s)\\n", execname(), pid(), argstr) }
probe timer.ms(4000) { exit() }
probe end { log("end to probe") }
"""
BYE = """\
probe begin { println("armed") }
probe end { for (i = 0; i < 200; i++) printf("%d is the number of this line\\n", i) println("bye") }
"""
DIVIDE = """\
global zero
probe begin { println("before") }
probe begin(1) { println(1 / zero) }
probe end { println("never reached: the session ended with an error") }
probe error { println("error probe") }
"""
COUNT_CALLS = """\
global calls
probe kernel.trace("sys_enter") { if (pid() == target() && $id == 110) calls++ }
probe end { printf("%d calls\\n", calls) }
"""
OWN_WORK = """\
global entered, left, reads, process
probe kernel.trace("sys_enter") { if (pid() == target()) entered[$id]++ }
probe kernel.trace("sys_exit") { if (pid() == target()) left[@syscall_number($regs)]++ }
probe syscall.read.return { if (pid() == target()) reads++ }
probe process.syscall.return { process += $syscall == 0 }
probe end {
    printf("%d %d\\n", reads, process)
    foreach (call+ in left) if (entered[call] != left[call]) println("unequal: ", syscall_name(call))
    printf("execve %d %d\\n", entered[59], left[59])
}
"""
CONTAINED = """\
global calls
probe begin { println("armed") }
probe process("/mnt/only-there").syscall { if ($syscall == 110) calls++ }
probe process("/mnt/only-there").end { println(calls, " calls of ", execname()) exit() }
"""
HOLD = "mount -t tmpfs none /mnt; cp $(command -v trigger) /mnt/only-there; echo $$"
UNREAD = """\
global calls, by, name, sizes, each, read, unused, later%[2]
private secret
probe kernel.trace("sys_enter") {
    if (pid() != target() || $id != 110) next
    calls++
    by["call", $id] += 2
    sizes <<< 7
    each[execname()] <<< 3
    read++
}
probe begin {
    name = "a \\"name\\""
    secret = 5
    for (i = 0; i < 4; i++) later[i] = i
    by["once", -1] = 1
}
probe end { if (read) println("end") }
"""
BURST = """\
probe begin { for (i = 0; i < 3000; i++) print_char(65) println("") exit() }
probe end { for (i = 0; i < 3000; i++) print_char(66) println("") }
"""
STORM = """\
global calls
probe kernel.trace("sys_enter") { if (pid() == target()) calls++ }
probe end { println("end") }
"""
SHOWN = """\
end
calls=21
by["call",110]=42
by["once",-1]=1
name="a "name""
sizes @count=21 @min=7 @max=7 @sum=147 @avg=7
each["trigger"] @count=21 @min=3 @max=3 @sum=63 @avg=3
later[3]=3
later[2]=2
secret=5
"""
ARGUMENTS = """\
global start = 1, text = "none"
@define twice(x) %( @x @x %)
probe begin {
    printf("%d %s %d %s\\n", start, text, $# $1 @2 %( $# > 2 %? . @3 %))
    println(@twice("ab") %( kernel_v >= "5.0" && CONFIG_MODULES == "y" %? "!" %: "?" %))
    exit()
}
"""
TICKS = "probe begin { println(1) } probe timer.ms(50) { println(2) } probe end { println(3) }"
LOOP = "probe begin { for (i = 0; i < 60000; i++) n = i println(n) exit() }"
COMPILERS = "pgrep -f -- '-[m] compiler'"
ASKS = """\
probe begin {
    println("a")
    system("cat /tmp/asks >&2; echo from the shell")
    switch_file()
    println("b")
    exit()
}
"""
KEYS = """\
probe begin { println("armed") }
probe input.line { printf("[%s]", line) }
probe input.char { if (char == "q") exit() else printf("<%s>", char == "\\n" ? "-" : char) }
"""
FILES = """\
global seen, reads, more
probe procfs("limits/most").umask(0022).write { seen .= $value }
probe procfs("limits/most").umask(0022).read { $value = sprintf("%d ", ++reads) $value .= seen }
probe procfs("limits/least").read if (more) { $value = "more\\n" }
probe procfs.write { more = strtol($value, 10) println("more ", more) }
probe procfs("long").read.maxsize(4) { $value = "abcdef" }
"""
USES = """\
cd /proc/stapwatch-files
echo one >limits/most
echo two >limits/most
cat limits/most; cat limits/most
stat -c '%a %n' * limits/*
cat command 2>&1
echo 1 >command
until cat limits/least 2>/dev/null; do sleep 0.1; done
cat long; echo
for i in 1 2 3 4; do (while cat limits/most >/dev/null; do :; done) 2>/dev/null & done
"""
USED = """\
1 one
two
2 one
two
200 command
555 limits
400 long
644 limits/most
cat: command: No such device
more
abcd
"""
# types its input into a terminal of its own, once the script is armed
TYPE = """\
import os, pty, sys
pid, terminal = pty.fork()
if not pid:
    os.execvp("stapwatch", ["stapwatch", "run", "-e", sys.argv[2]])
seen = b""
while True:
    try:
        seen += os.read(terminal, 4096)
    except OSError:
        break
    if b"armed" in seen and sys.argv[1]:
        os.write(terminal, sys.argv[1].encode())
        sys.argv[1] = ""
print(repr(seen))
"""
ZONE = 'probe begin { println(tz_ctime(1000000000), " ", tz_gmtoff()) exit() }'
TARGET = "probe begin { println(target()) exit() }"
ENDLESS = 'probe begin { println("armed") }'
CHATTY = "probe timer.ms(100) { println(1) }"
WRONG = 'probe begin { println("mine") error("wrong") }'
FLAMES = """\
global kernel_side, user_side
probe kernel.function("vfs_read") {
    if (pid() != target()) next
    kernel_side[execname(), backtrace()]++
    pid = pid()
    user_side[pid, ubacktrace()] <<< 1
}
"""
STARTED = ["-G", "start=0x10", "-G", "text=some"]
QUOTED, PLAIN = ["+ 4,", 'q"'], ["+ 4,", "a", "b"]
LONGER = (["-DMAXACTION_INTERRUPTIBLE=200000", "-DMAXTIME=0"], ["-g", "--suppress-time-limits"])
BY_FILE = {
    "/root/opens.stp": OPENS,
    "/root/bye.stp": BYE,
    "/root/divide.stp": DIVIDE,
    "/root/chatty.stp": CHATTY,
}
RUN_AS_THEY_ARE = (
    *(COUNT_CALLS, OWN_WORK, TARGET, ENDLESS, UNREAD),
    *(TICKS, ASKS, KEYS, ZONE, STORM),
)


@pytest.fixture(scope="module", autouse=True)
def ready(guest: Guest, setting: Setting) -> None:
    """Script files; all scripts of these tests are compiled already, but for the first one."""
    for path, text in BY_FILE.items():
        guest.push_text(text, path, mode=0o755)
    texts = [["-e", text] for text in (*RUN_AS_THEY_ARE, WRONG, LOOP)]
    texts += [["-m", "files", "-e", FILES], ["-DRINGSIZE=4096", "-e", BURST]]
    texts += [[*words, "-e", LOOP] for words in LONGER]
    texts += [[*STARTED, "-e", ARGUMENTS, *words] for words in (QUOTED, PLAIN)]
    texts.append(["--no-global-var-display", "-e", FLAMES])
    setting.compile_run(*([path] for path in BY_FILE), *texts, texts=BY_FILE)
    setting.install_cache(guest)


def no_module_is_left(guest: Guest) -> bool:
    return guest.run("grep -c ^sw_ /proc/modules; ls /dev/stapwatch 2>/dev/null").stdout == "0\n"


def test_hello(guest: Guest) -> None:
    """Compiled in the guest, by the guest's compiler."""
    done = guest.run(f"stapwatch run -ve '{HELLO}'", timeout=300)
    assert (done.status, done.stdout) == (0, "hello systemtap!\n"), done.stderr
    passes = [found for line in done.stderr.splitlines() if (found := PASS.fullmatch(line))]
    assert [int(found[1]) for found in passes] == [1, 2, 3, 4, 5], done.stderr
    did = [found[2] for found in passes]
    assert re.search(r"parsed user script and [1-9]\d* library scripts", did[0])
    assert re.search(r"1 probe.*1 function.*0 global", did[1])
    module = re.search(r"(sw_\w+)\.c", did[2])
    assert module is not None
    assert f"{module[1]}.ko" in did[3]
    assert did[4] == "run completed"
    assert "\nPass 5: starting run.\n" in done.stderr
    # a compiler that ran used some time
    assert int(passes[3][5]) > 0
    assert no_module_is_left(guest)


def test_script_with_a_first_line_that_names_its_interpreter(guest: Guest) -> None:
    started = time.monotonic()
    running = guest.start(["/root/opens.stp"], timeout=300)
    running.wait(until=b"begin to probe\n")
    opener = guest.run("echo $$; exec trigger open /etc/passwd 1").check()
    done = running.wait()
    assert done.status == 0, done.stderr
    assert time.monotonic() - started >= 4
    lines = done.stdout.splitlines()
    assert lines[0] == "begin to probe"
    assert lines[-1] == "end to probe"
    pid = int(opener.stdout)
    wanted = f'trigger({pid}) open (AT_FDCWD, "/etc/passwd", O_RDONLY|O_CLOEXEC)'
    assert lines.count(wanted) == 1, done.stdout
    shape = re.compile(r".+\(\d+\) open \(.+\)")
    assert all(shape.fullmatch(line) for line in lines[1:-1]), done.stdout


def test_interrupt_runs_end_probes_and_shows_everything(guest: Guest) -> None:
    running = guest.start(["stapwatch", "run", "/root/bye.stp"], timeout=300)
    running.wait(until=b"armed\n")
    running.kill(signal.SIGINT)
    done = running.wait()
    assert done.status == 0, done.stderr
    numbered = [f"{number} is the number of this line" for number in range(200)]
    assert done.stdout.splitlines() == ["armed", *numbered, "bye"]
    assert no_module_is_left(guest)


def test_interrupt_while_compiling(guest: Guest) -> None:
    text = "probe begin { println(4711) exit() }"
    running = guest.start(["stapwatch", "run", "-v", "-e", text], timeout=300)
    # the child that compiles is there: the command follows its end and ours
    guest.run(f"until {COMPILERS} >/dev/null; do sleep 0.1; done", timeout=120).check()
    running.kill(signal.SIGINT)
    done = running.wait()
    assert (done.status, done.stdout) == (130, ""), done.stderr
    assert guest.run(COMPILERS).stdout == ""
    assert guest.run("ls -d /tmp/stapwatch-* 2>/dev/null").stdout == ""


def test_script_error(guest: Guest) -> None:
    done = guest.run("stapwatch run /root/divide.stp", timeout=300)
    assert (done.status, done.stdout) == (1, "before\nerror probe\n"), done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
    assert len(errors) == 1
    assert "division by 0" in errors[0]
    assert "/root/divide.stp:3:" in errors[0]
    assert no_module_is_left(guest)


def test_command_of_the_session_is_the_target(guest: Guest) -> None:
    argv = ["stapwatch", "run", "-c", "trigger getppid 321", "-e", COUNT_CALLS]
    done = guest.run(argv, timeout=300)
    assert (done.status, done.stdout) == (0, "321 calls\n"), done.stderr


def test_only_the_command_s_own_system_calls_are_counted(guest: Guest) -> None:
    """The first is execve(): the process that waits for the probes does so in no system call."""
    argv = ["stapwatch", "run", "-c", "trigger read 5 getppid 2", "-e", OWN_WORK]
    done = guest.run(argv, timeout=300)
    assert (done.status, done.stdout) == (0, "5 5\nexecve 1 1\n"), done.stderr


def test_target_in_a_pid_namespace(guest: Guest) -> None:
    """target() is the number that pid() has, and not the one in the namespace."""
    argv = ["stapwatch", "run", "-c", "trigger getppid 321", "-e", COUNT_CALLS]
    done = guest.run(["unshare", "-pf", "--mount-proc", *argv], timeout=300)
    assert (done.status, done.stdout) == (0, "321 calls\n"), done.stderr


def test_programs_are_those_that_the_target_sees(guest: Guest) -> None:
    """The program is on a file system that only the process of -x has mounted."""
    waits = "until [ -e /tmp/go ]; do sleep 0.1; done"
    command = f"{HOLD}; {waits}; exec /mnt/only-there getppid 21"
    held = guest.start(["unshare", "-m", "sh", "-c", command], timeout=600)
    pid = held.wait(until=b"\n").stdout.strip()
    running = guest.start(["stapwatch", "run", "-x", pid, "-e", CONTAINED], timeout=600)
    running.wait(until=b"armed\n")
    guest.run("touch /tmp/go").check()
    done = running.wait()
    assert (done.status, done.stdout) == (0, "armed\n21 calls of only-there\n"), done.stderr
    held.wait()


def test_process_of_the_session_is_the_target(guest: Guest) -> None:
    done = guest.run(["stapwatch", "run", "-x", "4242", "-e", TARGET], timeout=300)
    assert (done.status, done.stdout) == (0, "4242\n"), done.stderr


def test_reader_that_goes_away(guest: Guest) -> None:
    """When a pipe's reader exits, a script that would never end is stopped and unloaded."""
    done = guest.run("stapwatch run /root/chatty.stp | head -n 3", timeout=300)
    assert done.stdout == "1\n1\n1\n", done.stderr
    assert no_module_is_left(guest)


def test_check_of_good_and_bad_scripts(guest: Guest) -> None:
    guest.push_text('global n\nprobe kernel.function("vfs_read") { n++ }\n', "/root/good.stp")
    bad = "global n\nprobe begin {\n\tn = 1 + execname()\n\tn = nosuch(n)\n}\n"
    guest.push_text(bad, "/root/bad.stp")
    done = guest.run("stapwatch check /root/good.stp /root/bad.stp", timeout=300)
    assert (done.status, done.stdout) == (1, ""), done.stderr
    assert "good.stp" not in done.stderr
    lines = done.stderr.splitlines()
    # one message for each of the two errors, each with its position and a caret below it
    assert sum(line.startswith("error[") for line in lines) == 2, done.stderr
    assert "/root/bad.stp:3:" in done.stderr
    assert "/root/bad.stp:4:6" in done.stderr
    source = next(n for n, line in enumerate(lines) if "n = nosuch(n)" in line)
    assert lines[source + 1].index("^") == lines[source].index("nosuch")
    good = guest.run("stapwatch check /root/good.stp", timeout=300)
    assert (good.status, good.stdout, good.stderr) == (0, "", "")


def test_globals_that_nobody_reads_are_printed(guest: Guest) -> None:
    words = ["stapwatch", "run", "-c", "trigger getppid 21", "-e", UNREAD]
    done = guest.run(words, timeout=300)
    assert (done.status, done.stdout) == (0, SHOWN), done.stderr
    done = guest.run([*words, "-f", "json"], timeout=300)
    objects = [json.loads(line) for line in done.stdout.splitlines()]
    assert [o["text"] for o in objects if o["type"] == "print"] == ["end\n"], done.stderr
    values = {o["name"]: [e["value"] for e in o["elements"]] for o in objects if "name" in o}
    assert (values["calls"], sorted(values["by"])) == ([21], [1, 42])
    assert values["sizes"] == [{"count": 21, "sum": 147, "min": 7, "max": 7, "avg": 7}]
    assert objects[-1]["type"] == "end" and objects[-1]["prints_lost"] == 0
    done = guest.run([*words[:2], "--no-global-var-display", *words[2:]], timeout=300)
    assert (done.status, done.stdout) == (0, "end\n"), done.stderr


def test_bursts_of_begin_and_end_probes_are_complete(guest: Guest) -> None:
    """They wait for the reader: a ring holds 128 of the 3,000 prints."""
    words = ["stapwatch", "run", "-v", "-e", BURST, "-DRINGSIZE=4096", "-t"]
    done = guest.run(words, timeout=300)
    first, second, *report = done.stdout.splitlines()
    assert (done.status, first, second) == (0, "A" * 3000, "B" * 3000), done.stderr
    assert report[0] == "----- probe hit report:"
    assert [line.partition(", ns: ")[0] for line in report[1:]] == [
        "begin, (<script>:1:7), hits: 1",
        "end, (<script>:2:7), hits: 1",
    ]
    assert "transport failures" not in done.stderr


def test_time_limit(guest: Guest) -> None:
    done = guest.run(["stapwatch", "run", "-T", "1", "-e", TICKS], timeout=300)
    lines = done.stdout.splitlines()
    assert (done.status, lines[0], lines[-1]) == (0, "1", "3"), done.stderr
    assert set(lines[1:-1]) == {"2"}


def test_script_left_running_and_read_again(guest: Guest) -> None:
    done = guest.run(["stapwatch", "run", "-F", "-e", TICKS], timeout=300)
    [*printed, module] = done.stdout.splitlines()
    assert done.status == 0, done.stderr
    assert set(printed) <= {"1", "2"}
    assert guest.run(f"grep -c ^{module} /proc/modules").stdout == "1\n"
    again = guest.run(["stapwatch", "run", "-A", module, "-T", "1"], timeout=300)
    lines = again.stdout.splitlines()
    assert (again.status, lines[-1]) == (0, "3"), again.stderr
    assert "2" in lines
    assert no_module_is_left(guest)


def test_script_in_the_background(guest: Guest) -> None:
    words = ["stapwatch", "run", "-F", "-o", "/tmp/ticks", "-e", TICKS]
    done = guest.run(words, timeout=300)
    assert done.status == 0, done.stderr
    pid = int(done.stdout)
    guest.run("until grep -q 2 /tmp/ticks; do sleep 0.1; done", timeout=120).check()
    guest.run(f"kill -INT {pid}; while kill -0 {pid} 2>/dev/null; do sleep 0.1; done", timeout=120)
    assert guest.run("grep -c -x 3 /tmp/ticks").stdout == "1\n"  # the end probe ran


def test_messages_from_the_background(guest: Guest) -> None:
    """The messages are in the system's log; the file has only the script's output."""
    words = ["stapwatch", "run", "-F", "-o", "/tmp/mine", "-e", WRONG]
    done = guest.run(words, timeout=300)
    assert done.status == 0, done.stderr
    pid = int(done.stdout)
    guest.run(f"while kill -0 {pid} 2>/dev/null; do sleep 0.1; done", timeout=120).check()
    assert guest.run("cat /tmp/mine").stdout == "mine\n"
    assert "ERROR: wrong" in guest.run(f"journalctl _PID={pid}").stdout
    assert no_module_is_left(guest)


def test_what_a_script_asks_of_the_session(guest: Guest) -> None:
    done = guest.run(["stapwatch", "run", "-o", "/tmp/asks", "-e", ASKS], timeout=300)
    assert (done.status, done.stdout) == (0, "from the shell\n"), done.stderr
    # the earlier output was in the file when the shell read it
    assert done.stderr == "a\n"
    assert guest.run("cat /tmp/asks").stdout == "a\n"
    assert guest.run("cat /tmp/asks.1").stdout == "b\n"


def test_keys(guest: Guest) -> None:
    """Keys are read from a pipe, and from a terminal without echo."""
    done = guest.run(f"printf 'a b\\nq' | stapwatch run -e '{KEYS}'", timeout=300)
    assert (done.status, done.stdout) == (0, "armed\n<a>< ><b><->[a b\n]"), done.stderr
    done = guest.run(["python3", "-c", TYPE, "xyq", KEYS], timeout=300)
    assert done.stdout == repr(b"armed\r\n<x><y>") + "\n", done.stderr


def test_files_in_proc(guest: Guest) -> None:
    """Handlers answer readers and writers; some still read while the module goes."""
    guest.push_text(USES, "/root/uses.sh")
    words = ["stapwatch", "run", "-m", "files", "-c", "sh /root/uses.sh", "-e", FILES]
    done = guest.run(words, timeout=300)
    told = done.stdout.replace("more 1\n", "", 1)
    # the handlers are closed, or the file is gone already
    told = told.replace("Device or resource busy", "No such device")
    assert (done.status, told) == (0, USED), done.stderr
    assert "more 1\n" in done.stdout
    assert guest.run("ls -d /proc/stapwatch-*").status != 0
    assert no_module_is_left(guest)


def test_local_time_is_that_of_the_session(guest: Guest) -> None:
    done = guest.run(["stapwatch", "run", "-e", ZONE], env={"TZ": "HERE-2"}, timeout=300)
    assert (done.status, done.stdout) == (0, "Sun Sep  9 03:46:40 2001 HERE -7200\n"), done.stderr


def test_watching_a_script(guest: Guest) -> None:
    words = ["stapwatch", "run", "--monitor=0.5", "-T", "2", "-e", TICKS]
    done = guest.run(words, timeout=300)
    found = re.findall(r"\] sw_script_\w+: running, [\d,]+ KiB; ([\d,]+) hits", done.stderr)
    assert done.status == 0, done.stderr
    assert len(found) >= 2
    assert int(found[-1]) > int(found[0])
    assert "  timer.ms(50): " in done.stderr


def test_arguments_macros_conditionals_and_initial_values(guest: Guest) -> None:
    words = ["stapwatch", "run", *STARTED, "-e", ARGUMENTS]
    done = guest.run([*words, *QUOTED], timeout=300)
    assert (done.status, done.stdout) == (0, '16 some 6 q"\nabab!\n'), done.stderr
    done = guest.run([*words, *PLAIN], timeout=300)
    assert (done.status, done.stdout) == (0, "16 some 7 ab\nabab!\n"), done.stderr


def test_limits_of_the_command_line(guest: Guest) -> None:
    done = guest.run(["stapwatch", "run", "-e", LOOP], timeout=300)
    assert (done.status, done.stdout) == (1, ""), done.stderr
    assert "MAXACTION exceeded" in done.stderr
    for words in LONGER:
        done = guest.run(["stapwatch", "run", *words, "-e", LOOP], timeout=300)
        assert (done.status, done.stdout) == (0, "59999\n"), done.stderr


def test_a_run_that_takes_too_much_of_a_cpu(guest: Guest) -> None:
    """A ten-thousandth of a CPU: the storm goes on, without the probe; its count is printed."""
    words = ["stapwatch", "run", "-DSTP_OVERLOAD_THRESHOLD=100000", "-c", "trigger getppid 3000000"]
    done = guest.run([*words, "-e", STORM], timeout=300, env={"LAB_BUDGETS": "1"})
    assert done.status == 1
    assert re.search(
        r"ERROR: overload: [\d.]+% of a CPU's time within a second, most of it in probe "
        r'kernel\.trace\("raw_syscalls:sys_enter"\); the limit is 0\.01%\n.*-DSTP_NO_OVERLOAD',
        done.stderr,
    ), done.stderr
    counted = re.fullmatch(r"end\ncalls=([1-9]\d*)\n", done.stdout)
    assert counted and int(counted[1]) < 3_000_000, done.stdout
    assert no_module_is_left(guest)


def test_further_scripts_and_a_library(guest: Guest) -> None:
    guest.push_text("function seven() { return @number }", "/root/library/seven.stp")
    guest.push_text("@define number %( 7 %)", "/root/library/number.stpm")
    words = [
        "stapwatch",
        "run",
        "-I",
        "/root/library",
        "-E",
        "probe begin(-1) { println(@number) }",
    ]
    done = guest.run([*words, "-e", "probe begin { println(seven()) exit() }"], timeout=300)
    assert (done.status, done.stdout) == (0, "7\n7\n"), done.stderr


def test_listing(guest: Guest) -> None:
    done = guest.run(["stapwatch", "run", "-l", "syscall.open*"], timeout=120)
    assert (done.status, done.stderr) == (0, "")
    assert {"syscall.open", "syscall.openat"} <= set(done.stdout.splitlines())
    done = guest.run(["stapwatch", "run", "-L", 'kernel.function("vfs_read")'], timeout=120)
    assert done.stdout.startswith('kernel.function("vfs_read") $file:struct file* $buf:char*')
    done = guest.run(["stapwatch", "run", "-l", "nosuch.point"], timeout=120)
    assert (done.status, done.stdout) == (1, "")
    done = guest.run(["stapwatch", "run", "--dump-functions"], timeout=120)
    assert "execname:string ()" in done.stdout.splitlines()


def test_the_passes_print_what_they_made(guest: Guest) -> None:
    text = "global n probe begin{n=1+2*3 exit()}"
    tree = guest.run(["stapwatch", "run", "-p1", "-e", text], timeout=120)
    assert tree.stdout == "global n\nprobe begin {\n  n = 1 + (2 * 3);\n  exit();\n}\n"
    again = guest.run(["stapwatch", "run", "-p1", "-e", tree.stdout], timeout=120)
    assert again.stdout == tree.stdout
    program = guest.run(["stapwatch", "run", "-p2", "-e", text], timeout=120)
    assert program.stdout.splitlines()[:3] == ["# globals", "n:long", "# functions"]
    c = guest.run(["stapwatch", "run", "-p3", "-e", text], timeout=120)
    assert "#include <stapwatch.h>" in c.stdout
    kept = guest.run(["stapwatch", "run", "-k", "-e", text], timeout=300)
    folder = re.search(r'Keeping temporary folder "(.+)"', kept.stderr)
    assert folder is not None, kept.stderr
    assert guest.run(f"ls {folder[1]}/*.c").status == 0
    guest.run(["rm", "-r", folder[1]]).check()


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["run"], 1, "no script"),
        (["run", "/root/no-such.stp"], 1, "cannot read /root/no-such.stp"),
        (["run", "--no-such-option"], 1, "no-such-option"),
        (["check", "/root/no-such.stp"], 1, "cannot read /root/no-such.stp"),
        (["status"], 3, "no agent answers"),
        (["no-such-command"], 2, "no-such-command"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_status_of_a_command_that_cannot_run(
    guest: Guest, words: list[str], status: int, said: str
) -> None:
    done = guest.run(["stapwatch", *words], timeout=120)
    assert (done.status, done.stdout) == (status, "")
    assert said in done.stderr


def test_scripts_are_formatted(guest: Guest) -> None:
    guest.push_text("probe  begin{exit()}", "/root/ugly.stp")
    assert guest.run("stapwatch fmt --check /root/ugly.stp").status == 1
    guest.run("stapwatch fmt /root/ugly.stp").check()
    assert guest.run("cat /root/ugly.stp").stdout == "probe begin { exit() }\n"
    assert guest.run("stapwatch fmt </root/ugly.stp").stdout == "probe begin { exit() }\n"


def test_a_script_becomes_one_of_the_services(guest: Guest) -> None:
    """Without an agent; tests/agent/cli/test_install.py has one that runs."""
    text = 'global reads, seen probe kernel.function("vfs_read") { reads[execname()]++ seen = 1 }'
    guest.push_text(text, "/root/reads.stp")
    try:
        done = guest.run("stapwatch install /root/reads.stp", timeout=300).check()
        assert "installed /etc/stapwatch/probes.d/reads.stp\n" in done.stdout
        assert "no agent runs" in done.stdout
        assert "series: stapwatch_reads_reads (counter) by execname\n" in done.stdout
        assert "type: gauge" in guest.run("cat /etc/stapwatch/conf.d/reads.yaml").stdout
        guest.run("stapwatch agent --check", timeout=300).check()
        guest.push_text(text + " probe begin { }", "/root/reads.stp")
        again = guest.run("stapwatch install /root/reads.stp", timeout=300)
        assert again.status == 1
        assert "would be overwritten" in again.stderr
    finally:
        guest.run(
            "rm -f /etc/stapwatch/probes.d/reads.stp /etc/stapwatch/conf.d/reads.yaml"
        ).check()


def test_flame_graphs(guest: Guest) -> None:
    """Of a process that lives when the run ends, both sides have names."""
    started = guest.run("sh -c 'while read x </etc/passwd; do :; done' >/dev/null 2>&1 & echo $!")
    pid = started.check().stdout.strip()
    words = ["stapwatch", "run", "--no-global-var-display", "-T", "1", "-x", pid, "-e", FLAMES]
    files = ["--folded", "/root/a.folded", "--flame", "/root/a.svg"]
    try:
        done = guest.run([*words, *files], timeout=300)
    finally:
        guest.run(["kill", pid]).check()
    assert done.status == 0, done.stderr
    folded = guest.run("cat /root/a.folded").stdout.splitlines()
    stacks = [line.rpartition(" ")[0].split(";") for line in folded]
    assert any(s[:2] == ["kernel_side", "sh"] and s[-1] == "vfs_read" for s in stacks), folded
    assert any(s[0] == "user_side" and "read" in s[-1] for s in stacks), folded
    assert "<title>vfs_read (" in guest.run("cat /root/a.svg").stdout
    done = guest.run(
        [*words[:3], "--flame", "/root/a.svg", "-e", "probe begin { exit() }"], timeout=300
    )
    assert (done.status, "no array is keyed by a backtrace" in done.stderr) == (0, True)
