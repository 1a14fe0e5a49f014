# SPDX-License-Identifier: GPL-2.0-or-later
"""Context variables, casts, conditions, embedded C: each case is a script in a real kernel, and its
results."""

from __future__ import annotations

from typing import Any

import pytest

from tests.handlers.conftest import Case, check, types_of_variables

MINE = "if (pid() != target()) next\n"

CASES = [
    Case(
        "context in functions",
        f"""global n
        function size() {{ return $count }} function twice() {{ return size() + $arg3 }}
        function file_of() {{ return $file }} function name_of(f) {{ return f->f_path->dentry->d_name->name }}
        probe kernel.function("vfs_read") {{ {MINE} n[kernel_string(name_of(file_of())), twice()]++ }}""",
        trigger="read 12",
        values={"n": {("zero", 2): 12}},
    ),
    Case(
        "autocast",
        f"""global n, first
        function current() {{ return &@cast(task_current(), "task_struct") }}
        probe kernel.function("vfs_read") {{ {MINE} f = $file; first = f
            d = f->f_path->dentry; t = current()
            n[kernel_string(d->d_name->name), kernel_string(d->d_parent->d_name->name), t->tgid == pid(),
              kernel_string(t->comm)]++ }}
        probe kernel.function("vfs_read").return {{ {MINE} n["", "", first->f_pos >= 0, ""]++ }}""",
        trigger="read 5",
        values={"n": {("zero", "/", 1, "trigger"): 5, ("", "", 1, ""): 5}},
    ),
    Case(
        "pretty printing",
        f"""probe kernel.function("vfs_read") {{ {MINE}
            println(kernel_string($file->f_path->dentry->d_name->name), " ", substr($file->f_path$, 0, 8),
                " ", @cast(task_current(), "task_struct")->comm$)
            println(substr($file$, 0, 2), $count$, " ", strlen($file$$) > 100, substr(@cast(8, "file")$, 0, 5)) }}""",
        trigger="read 1",
        output='zero {.mnt=0x "trigger"\n{.1 1ERROR\n',
    ),
    Case(
        "parameters as text",
        f"""global ok
        probe kernel.function("vfs_read") {{ {MINE}
            if ($$parms == sprintf("file=%p buf=%p count=%p pos=%p", $file, $buf, $count, $pos) && $$vars == $$parms) ok++ }}
        probe kernel.function("vfs_read").return {{ {MINE} if ($$return == "return=0x1") ok++ }}
        probe kernel.trace("sys_enter") {{ {MINE}
            if ($id == 0 && $$vars == sprintf("regs=%p id=%p", $regs, $id) && $$name == "sys_enter") ok++ }}""",
        trigger="read 4",
        values={"ok": 12},
    ),
    Case(
        "kernel variables",
        """probe begin {
            println(@cast(&@var("init_task"), "task_struct")->pid, " ",
                kernel_string(@cast(&@var("init_task"), "task_struct")->comm))
            t = @cast(&@var("init_task"), "task_struct")
            println(t->pid, kernel_string(t->comm))
        }""",
        output="0 swapper/0\n0swapper/0\n",
    ),
    Case(
        "a per-cpu variable",
        f"""global ok
        probe kernel.function("vfs_read") {{ {MINE}
            if (@choose_defined(@var("pcpu_hot")->current_task, @var("current_task")) == task_current())
                ok += @defined(@var("this_cpu_off")) }}""",
        trigger="read 3",
        values={"ok": 3},
        needs=types_of_variables,
    ),
    Case(
        "registers",
        f"""global ok, args
        probe kernel.function("vfs_read") {{ {MINE}
            if (@kregister(5) == $file && @kregister(1) == $count && @kregister(16) && @kregister(7)) ok++ }}
        probe kernel.function("ksys_write") {{ {MINE} if ($count == 5) $count = 3 }}
        probe kernel.function("ksys_write").return {{ {MINE} args[$return]++; $return = 5 }}""",
        trigger="read 6 write 3",
        values={"ok": 6, "args": {3: 3}},
        guru=True,
    ),
    Case(
        "writes",
        f"""global seen
        probe kernel.function("vfs_read") {{ {MINE} $file->f_pos = 41; $file->f_pos += 1; seen[$file->f_pos++]++
            try {{ @cast(8, "file")->f_pos = 1 }} catch (m) {{ seen[substr(m, 0, 18) == "kernel write fault"]++ }} }}""",
        trigger="read 4",
        values={"seen": {42: 4, 1: 4}},
        guru=True,
    ),
    Case(
        "embedded C",
        f"""%{{
        #include <linux/dcache.h>
        #include <linux/sched/signal.h>
        static int comm_length(struct task_struct *task)
        {{
            return strlen(task->comm);
        }}
        %}}
        global n, text, calls
        function length:long() %{{ /* pure */ STAP_RETVALUE = comm_length(current); %}}
        function name(file) %{{
            struct file *file = (struct file *)(unsigned long)STAP_ARG_file;
            if (!file)
                STAP_ERROR("no file for %s", current->comm);
            strlcpy(STAP_RETVALUE, file->f_path.dentry->d_name.name, MAXSTRINGLEN);
        %}}
        function tell(what) %{{ STAP_PRINTF("%s of %d\\n", STAP_ARG_what, current->tgid > 0); %}}
        function count() %{{ /* pragma:read:calls */ /* pragma:write:calls */
            STAP_GLOBAL_SET_calls("c", STAP_GLOBAL_GET_calls("c") + 1); %}}
        probe kernel.function("vfs_read") {{ {MINE} n[name($file) . "", length()]++; count()
            text = %{{ /* string */ current->comm %}} . "" }}
        probe end {{ calls["d"] = %{{ HZ %}} == @const("HZ"); tell("end " . text)
            try {{ println(name(0)) }} catch (m) {{ println(substr(m, 0, 11)) }} println(calls["c"], calls["d"]) }}""",
        trigger="read 20",
        output="end trigger of 1\nno file for\n201\n",
        values={"n": {("zero", 7): 20}},
        guru=True,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: Case, results: dict[str, Any]) -> None:
    check(case, results[case.name])
