# SPDX-License-Identifier: GPL-2.0-or-later
"""The language in a real kernel: each case is a script, its trigger, and the expected results."""

from __future__ import annotations

from typing import Any

import pytest

from tests.handlers.conftest import Case, check

MINE = "if (pid() != target()) next\n"

HISTOGRAMS = """\
value |-------------------------------------------------- count
    0 |@                                                  1
    1 |@                                                  1
    2 |@@                                                 2
    4 |@@@@                                               4
    8 |@@@@@@@@                                           8
   16 |@@@@                                               4
   32 |                                                   0
   64 |                                                   0

value |-------------------------------------------------- count
    0 |@@@@@                                              5
    5 |@@@@@                                              5
   10 |@@@@@                                              5
   15 |@@@@@                                              5
   20 |                                                   0

15
"""

CASES = [
    Case("hello", 'probe begin { log("hello systemtap!") exit() }', output="hello systemtap!\n"),
    Case(
        "phases",
        """probe end(2) { println("end 2") } probe begin(-1) { println("begin -1") }
        probe end { println("end") } probe begin { println("begin") } probe error { println("no") }""",
        output="begin -1\nbegin\nend\nend 2\n",
    ),
    Case(
        "arithmetic",
        r"""probe begin {
            printf("%d %d %d %d\n", 7 / 2, -7 / 2, -7 % 3, 1 << 4 >> 1)
            printf("%d %d\n", -1 >>> 60, -1 >> 60)
            printf("%d %d %d\n", 5 & 3 | 8, 5 ^ 1, ~0)
            x = -9223372036854775807 - 1
            printf("%d %d\n", x / -1, x % -1)
            printf("%d %d %d\n", !5, !0, 1 < 2 && 2 < 1 || 3)
            printf("%s\n", "a" . "b" . "c")
            printf("%d %s\n", 1 ? 2 : 3, 0 ? "x" : "y")
        }""",
        output="3 -3 -1 8\n15 -1\n9 4 -1\n-9223372036854775808 0\n0 1 1\nabc\n2 y\n",
    ),
    Case(
        "control",
        r"""probe begin {
            for (i = 0; i < 10; i++) { if (i == 2) continue; if (i == 5) break; printf("%d ", i) }
            while (i > 0) i--
            println(i)
            do_nothing = 1
            if (do_nothing) println("yes") else println("no")
        }""",
        output="0 1 3 4 0\nyes\n",
    ),
    Case(
        "functions",
        r"""function fact(n) { if (n <= 1) return 1; return n * fact(n - 1) }
        function join:string(a:string, b:string) { return a . "-" . b }
        function twice(x) { return x + x }
        function nothing() { println("nothing") }
        probe begin { println(fact(10)); println(join("a", join("b", "c"))); println(twice(twice(3))); nothing() }""",
        output="3628800\na-b-c\n12\nnothing\n",
    ),
    Case(
        "arrays",
        r"""global a, b, s
        probe begin {
            a[1] = 10; a[2] = 20; a[3] += 5; a[3]++
            delete a[2]
            foreach (k in a) printf("%d=%d ", k, a[k])
            println(2 in a, 3 in a, a[99])
            b["x", 1] = "one"; b["y", 2] = "two"; b["x", 3] = "three"
            foreach ([n, i] in b) printf("%s%d=%s ", n, i, b[n, i])
            foreach ([n, i-] in b) printf("%d ", i)
            foreach ([n, i] in b["x", *]) printf("[%d]", i)
            println(["x", *] in b, ["z", *] in b)
            s["k"] = "v"; s["k"] .= "w"; println(s["k"], s["nokey"], "|")
            delete b
            foreach ([n, i] in b) println("gone wrong")
        }
        probe end { println(a[1] + a[3]) }""",
        output="1=10 3=6 010\nx1=one y2=two x3=three 3 2 1 [1][3]10\nvw|\n16\n",
    ),
    Case(
        "sorting",
        r"""global a
        probe begin {
            a["x"] = 3; a["y"] = 1; a["z"] = 2
            foreach (k in a+) printf("%s ", k)
            foreach (k in a-) printf("%s ", k)
            foreach (k- in a) printf("%s ", k)
            foreach (v = k in a- limit 2) printf("%s:%d ", k, v)
            println("")
        }""",
        output="y z x x z y z y x x:3 z:2 \n",
    ),
    Case(
        "statistics",
        r"""global s, t, e
        probe begin {
            for (i = 1; i <= 10; i++) { s <<< i; t["k"] <<< i * i }
            printf("%d %d %d %d %d\n", @count(s), @sum(s), @min(s), @max(s), @avg(s))
            printf("%d %d\n", @count(t["k"]), @max(t["k"]))
            printf("%d %d\n", @count(e), @sum(e))
            e <<< 1
        }""",
        output="10 55 1 10 5\n10 100\n0 0\n",
    ),
    Case(
        "histograms",
        r"""global s, l
        probe begin {
            for (i = 0; i < 20; i++) { s <<< i; l <<< i }
            print(@hist_log(s)); print(@hist_linear(l, 0, 20, 5))
            println(@hist_log(s)[64], @hist_linear(l, 0, 20, 5)[1])
        }""",
        output=HISTOGRAMS,
    ),
    Case(
        "printing",
        r"""probe begin {
            print("a", 1, "\n"); println("b", 2); printd(",", 1, "x", 3); printdln("-", 4, 5)
            printf("%5d|%-5d|%05d|%x|%#x|%o|%c|%s|%10s|%-4s|%.2s|%%\n", 42, 42, 42, 255, 255, 8, 65, "s", "right", "l", "cut")
            x = sprintf("%d:%s", 7, "seven"); println(x, strlen(x), substr(x, 2, 3))
        }""",
        output="a1\nb2\n1,x,34-5\n   42|42   |00042|ff|0xff|10|A|s|     right|l   |cu|%\n7:seven7sev\n",
    ),
    Case(
        "try",
        r"""function bad(x) { return 1 / x }
        probe begin {
            try { println(bad(0)) } catch (msg) { println("caught: ", msg) }
            try { error("own") } catch (msg) { println("caught: ", msg) }
            try { try { error("inner") } catch { error("outer") } } catch (m) { println(m) }
            println("after")
        }""",
        output="caught: division by 0\ncaught: own\nouter\nafter\n",
    ),
    Case(
        "division",
        'global x, after; probe begin { x = 0; y = 5 / x; after = y } probe end { println("end") }',
        output="end\n",
        errors=("division by 0",),
        values={"after": 0},
    ),
    Case(
        "too many errors",
        'probe begin { x = 0; y = 5 / x; println(y) } probe end { println("end") } probe error { println("error") }',
        output="error\n",
        errors=("division by 0",),
        limit=0,
    ),
    Case(
        "endless",
        "global turns; probe begin { while (1) turns++ }",
        errors=("MAXACTION exceeded",),
    ),
    Case(
        "bottomless",
        "function f(n) { return 1 + f(n + 1) } probe begin { println(f(0)) }",
        errors=("MAXNESTING exceeded",),
    ),
    Case(
        "bad pointer",
        'probe begin { println(kernel_string(8)) } probe end { println(kernel_string(8, "none")) }',
        output="none\n",
        errors=("kernel string copy fault at 0x8",),
    ),
    Case(
        "long strings",
        r"""global s
        probe begin { for (i = 0; i < 20; i++) s = s . "0123456789012345678901234567890123456789"; println(strlen(s)) }""",
        output="511\n",
    ),
    Case(
        "array overflow",
        "global a[4]; probe begin { for (i = 0; i < 10; i++) a[i] = i } probe end { println(a[3], a[4]) }",
        output="30\n",
        values={"a": {0: 0, 1: 1, 2: 2, 3: 3}},
    ),
    Case(
        "array overflow in a session",
        'global a[4]; probe begin { for (i = 0; i < 10; i++) a[i] = i } probe error { println("e") }',
        output="e\n",
        errors=("array overflow, check MAXMAPENTRIES",),
        strict=True,
        limit=0,
    ),
    Case(
        "wrapping array",
        'global a%[3]; probe begin { for (i = 0; i < 10; i++) a[i] = i foreach (k in a) printf("%d ", k) }',
        output="7 8 9 ",
        values={"a": {7: 7, 8: 8, 9: 9}},
    ),
    Case(
        "timers",
        r"""global ms, s, j
        probe timer.ms(100) { ms++ } probe timer.s(1) { s++ } probe timer.jiffies(100) { j++ }
        probe timer.ms(2450) { exit() }
        probe end { println(ms >= 20 && ms <= 24, s == 2, j >= 4) }""",
        output="111\n",
        until_exit=True,
    ),
    Case(
        "profile",
        "global ticks; probe timer.profile { ticks++ } probe timer.ms(500) { exit() } probe end { println(ticks > 50) }",
        output="1\n",
        until_exit=True,
    ),
    Case(
        "count",
        f'global n; probe kernel.function("vfs_read") {{ {MINE} n++ }}',
        trigger="read 1000",
        values={"n": 1000},
    ),
    Case(
        "count by name",
        'global n; probe kernel.function("vfs_read").call { if (execname() == "trigger") n[execname(), pid() == target()]++ }',
        trigger="read 1000",
        values={"n": {("trigger", 1): 1000}},
    ),
    Case(
        "crowd",
        'global n, by; probe kprobe.function("vfs_read") { if (ppid() != target()) next; n++; by[cpu() < 99]++ }',
        trigger="crowd 8 500",
        values={"n": 4000, "by": {1: 4000}},
    ),
    Case(
        "arguments",
        f'global sizes; probe kernel.function("vfs_read") {{ {MINE} sizes[$count]++ }}',
        trigger="sizes 32",
        values={"sizes": {1 << i: 2 for i in range(16)}},
    ),
    Case(
        "returned",
        f"""global got, bytes
        probe kernel.function("vfs_read").return {{ {MINE} got[$return == $count]++; bytes += $return }}""",
        trigger="sizes 16",
        values={"got": {1: 16}, "bytes": 65535},
    ),
    Case(
        "entry values",
        f"""global d
        probe kprobe.function("vfs_write").return {{ {MINE} d[gettimeofday_ns() >= @entry(gettimeofday_ns())]++ }}""",
        trigger="write 50",
        values={"d": {1: 50}},
    ),
    Case(
        "latency by thread",
        f"""global start, n
        probe kernel.function("vfs_read") {{ {MINE} start[tid()] = gettimeofday_ns() }}
        probe kernel.function("vfs_read").return {{ {MINE}
            if (!(tid() in start)) next
            n[gettimeofday_ns() >= start[tid()]]++
            delete start[tid()] }}""",
        trigger="read 200",
        values={"n": {1: 200}, "start": {}},
    ),
    Case(
        "tracepoint",
        f'global n; probe kernel.trace("sys_enter") {{ {MINE} if ($id == 110) n++ }}',
        trigger="getppid 777",
        values={"n": 777},
    ),
    Case(
        "tracepoint members",
        """global n; probe kernel.trace("sched_switch") { if ($prev->pid == target()) n[kernel_string($prev->comm)]++ }
        probe end { println(n["trigger"] >= 2) }""",
        trigger="sleep 50 sleep 50",
        output="1\n",
    ),
    Case(
        "syscalls",
        f"""probe syscall.openat, syscall.open {{ {MINE} printf("%s(%s)\\n", name, argstr) }}
        probe syscall.openat.return {{ {MINE} printf("= %s\\n", retstr) }}""",
        trigger="open /etc/passwd 1 open /nowhere 1",
        output='openat(AT_FDCWD, "/etc/passwd", O_RDONLY|O_CLOEXEC)\n= 3\n'
        'openat(AT_FDCWD, "/nowhere", O_RDONLY|O_CLOEXEC)\n= -2 (ENOENT)\n',
    ),
    Case(
        "write syscall",
        f"""probe syscall.write {{ {MINE} printf("%s(%s)\\n", name, argstr) }}
        probe syscall.write.return {{ {MINE} println(retstr) }}""",
        trigger="write 1",
        output='write(3, "ping\\n", 5)\n5\n',
    ),
    Case(
        "conditions",
        """global on = 1, n; probe kernel.function("vfs_read") if (on > 0) {
            if (pid() == target()) n++ }""",
        trigger="read 25",
        values={"n": 25},
    ),
    Case(
        "aliases",
        f"""probe reading = kernel.function("vfs_read") {{ size = $count; who = execname() }}
        global n; probe reading {{ {MINE} n[who, size]++ }}""",
        trigger="read 9",
        values={"n": {("trigger", 1): 9}},
    ),
    Case(
        "identity",
        f"""global ok; probe kernel.function("vfs_read") {{ {MINE}
            if (tid() == pid() && uid() == 0 && ppid() > 0 && cpu() >= 0 && gettimeofday_s() > 1600000000
                && gettimeofday_ms() / 1000 - gettimeofday_s() < 2 && gettimeofday_us() > 0) ok++ }}""",
        trigger="read 3",
        values={"ok": 3},
    ),
    Case(
        "self nesting",
        f'global n; probe kernel.function("copy_from_kernel_nofault") {{ n++ }} '
        f'probe kernel.function("vfs_read") {{ {MINE} x = kernel_int($file) }}',
        trigger="read 10",
        output="",
    ),
    Case(
        "wildcard",
        f"""global n; probe kernel.function("vfs_rea[d]*") {{ {MINE} n[probefunc()]++ }}
        probe end {{ println(n["vfs_read"]) }}""",
        trigger="read 70",
        output="70\n",
    ),
    Case(
        "wildcard by name",
        f"""global n; probe kernel.function("vfs_rea[d]*") {{ {MINE} n[probefunc(), pp()]++ }}
        probe end {{ println(n["vfs_read", "kernel.function(\\"vfs_read\\")"]) }}""",
        trigger="read 70",
        output="70\n",
        symbols=False,
    ),
    Case(
        "wildcards",
        f"""global n, by, sizes, entries
        probe kernel.function("vfs_*") {{ {MINE} n++; by[probefunc(), pp()]++ }}
        probe kernel.function("vfs_[rw]*") {{ {MINE} if (@defined($count)) sizes[$$name, $count]++ }}
        probe kernel.function("*mem[sc][ep][ty]"), kernel.function("nosuchfunction*")? {{ entries++ }}
        probe end {{
            println(by["vfs_read", "kernel.function(\\"vfs_read\\")"])
            println(by["vfs_write", "kernel.function(\\"vfs_write\\")"])
            println(sizes["vfs_read", 1], " ", sizes["vfs_write", 5], " ", n >= 100)
        }}""",
        trigger="read 70 write 30",
        output="70\n30\n70 30 1\n",
    ),
    Case(
        "functions that a kprobe reaches only",  # which ones is the kernel's choice
        """global n
        probe kernel.function("memset")?, kernel.function("__put_user_4")?, kernel.function("__get_user_4")?,
              kernel.function("__put_user_8")?, kernel.function("__get_user_8")? { n++ }
        probe end { println(n > 0) }""",
        trigger="crowd 2 100",
        output="1\n",
    ),
    Case(
        "either syscall",
        f"""global n; probe syscall.{{read,write}} {{ {MINE} if (fd == 3) n[name, count]++ }}""",
        trigger="read 11 write 12",
        values={"n": {("read", 1): 11, ("write", 5): 12}},
    ),
    Case(
        "several probes in one function",
        f"""global order; probe kernel.function("vfs_read") {{ {MINE} order .= "a" }}
        probe kernel.function("vfs_read") {{ {MINE} order .= "b" }}
        probe end {{ println(strlen(order)) }}""",
        trigger="read 5",
        output="10\n",
    ),
    Case(
        "a burst of prints",
        f"""probe kernel.function("vfs_read") {{ {MINE} printf("%d\\n", $count) }}""",
        trigger="read 2000",
        output="1\n" * 2000,
    ),
    Case(
        "exit stops",
        'global n; probe kernel.function("vfs_read") { n++; exit() } probe end { println("bye ", n) }',
        trigger="read 100",
        output="bye 1\n",
        until_exit=True,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: Case, results: dict[str, Any]) -> None:
    check(case, results[case.name])
