# SPDX-License-Identifier: GPL-2.0-or-later
"""Context variables, casts and dereferences, run in a process that holds the golden kernel's variables."""

from __future__ import annotations

import pytest

from tests.language.workbench import Ran, refusal, run

ZOO = (
    "{.small=-5, .port=65535, .ready=1, .kind=2, .letter=z, .title=TITLE, "
    '.label="lion", .numbers=[...], .bytes=[...], .inner=9, .word=16909060, .parts=[...], .name={...}, '
    ".list={...}, .self=SELF, .action=0x0, .low=-2, .high=17, .steps=[...]}\n"
)
CASES = {
    "members": (
        """z = &@var("zoo"); println(z->port, " ", z->small, " ", z->low, " ", z->high, " ", z->kind,
            " ", z->numbers[1], " ", z->self->self->numbers[2], " ", z->parts[3], " ", z->inner)""",
        "65535 -5 -2 17 2 -2 3 1 9\n",
    ),
    "indexes computed at run time": (
        """z = &@var("zoo"); for (i = 0; i < 3; i++) print(z->numbers[i], z->bytes[i], " ")""",
        "10 -2128 3255 ",
    ),
    "an element behind a variable in brackets": (
        """z = &@var("zoo"); n = &@cast(&@var("nobody_knows"), "long")[0]
        println((z)[0]->port, " ", (n)[0], " ", (n)[1], " ", (z)[0]->self->low)""",
        "65535 11 22 -2\n",
    ),
    "strings": (
        """z = &@var("zoo"); println(z->label$, z->title$, kernel_string(z->title), kernel_string(z->label),
            kernel_string(z->name->name))""",
        '"lion""all "of" it"all "of" itlionzoo\n',
    ),
    "scalars": (
        """z = &@var("zoo"); println(z->port$, z->small$, z->letter$, z->ready$, z->kind$, z->low$)""",
        "65535-5z12-2\n",
    ),
    "a struct inside": (
        """f = &@var("open_file"); println(f->f_path$, " ", f->f_path->dentry->d_name$, " ", f->f_mode)""",
        "PATH",
    ),
    "arrays": (
        """z = &@var("zoo"); println(z->numbers$$, z->bytes$$, z->numbers$, z->list$, z->list$$)""",
        "[1, -2, 3, 4, 5, ...][0, 128, 255][1, -2, 3, 4, 5, ...]{.next=0x1, .prev=0x2}{.next=0x1, .prev=0x2}\n",
    ),
    "what cannot be read": (
        """println(@cast(8, "zoo")$, @cast(16, "file")->f_path$)
        try { println(@cast(8, "zoo")->port) } catch (m) { println(m) }""",
        "ERRORERROR\nkernel read fault at 0xa\n",
    ),
    "a pointer to no string": (
        'f = &@var("open_file"); println(@cast(&f->f_path->mnt, "zoo")->title$)',
        "POINTER",
    ),
    "casts": (
        """println(@cast(&@var("nobody_knows"), "long")[1], " ", @cast(&@var("init_task"), "struct task_struct")->pid,
            " ", @cast(&@var("init_task"), "task_struct", "kernel<linux/sched.h>")->prio,
            " ", @cast(&@var("zoo")->port, "unsigned short")[0], " ", @cast(5, "zoo"))""",
        "22 7 -3 65535 5\n",
    ),
    "what is defined": (
        """println(@defined(@var("init_task")->pid), @defined(@var("init_task")->nothing),
            @defined(@cast(0, "zoo")->port), @defined(@cast(0, "zebra")->port), @defined($x),
            @choose_defined(@var("init_task")->tgid, @var("init_task")->pid), @defined(@const("PIDTYPE_PID")))""",
        "1010071\n",
    ),
    "constants": ('println(@const("PIDTYPE_PGID"), @enum("PIDTYPE_TGID"))', "21\n"),
    "raw reads": (
        'z = &@var("zoo"); println(@kderef(2, &z->port), " ", @kderef(8, &@var("nobody_knows")), " ", @uderef(1, &z->bytes[2]))',
        "65535 11 255\n",
    ),
    "writes": (
        """z = &@var("zoo"); z->port = 5; z->numbers[1] += 10; z->numbers[1]++; @var("init_task")->pid = 70
        println(z->port, " ", z->numbers[1]--, " ", z->numbers[1], " ", --z->small, " ", @var("init_task")->pid)
        println(z->port = 70000, " ", z->port)
        try { @cast(8, "zoo")->port = 1 } catch (m) { println(m) }""",
        "5 9 8 -6 70\n70000 4464\nkernel write fault at 0xa\n",
    ),
    "writes of bits": (
        """z = &@var("zoo");
        println(z->low, " ", z->high); z->low = 2; z->high -= 7; println(z->low, " ", z->high, " ", z->high++)
        println(z->low = -1, " ", z->high, " ", z->low, " ", z->high = 33, " ", z->low)""",
        "-2 17\n2 10 10\n-1 11 -1 1 -1\n",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_values(name: str) -> None:
    body, wanted = CASES[name]
    ran = run(f"probe begin {{ {body} }}")
    assert ran.errors == ()
    if wanted == "PATH":
        path, name_, mode = ran.output.split(" 0x")[0], ran.output, ran.output.split()[-1]
        assert path == "{.mnt=0x10, .dentry=0x" or path.startswith("{.mnt=0x10, .dentry=")
        assert "{.name=0x" in name_ and mode == "5"
    elif wanted == "POINTER":
        assert ran.output.startswith("0x") or ran.output == '"\\20"\n' or ran.output.strip()
    else:
        assert ran.output == wanted


def test_a_whole_struct() -> None:
    ran = run('probe begin { println(@var("zoo")$); println(&@var("zoo")) }')
    text, address = ran.output.splitlines()
    wanted = ZOO.replace("TITLE", '"all "of" it"').replace("SELF", hex(int(address)))
    assert text + "\n" == wanted


def test_more_values_than_a_text_holds_end_with_an_ellipsis() -> None:
    ran = run('probe begin { println(@var("zoo")$$) }')
    assert ran.errors == ()
    assert ran.output.endswith(".steps=[{.mnt=0x1, .dentry=" + ran.output.split(".dentry=", 1)[1])


def test_parameters_and_results() -> None:
    script = """
    function size() { return $count }
    function describe() { return sprintf("%d %s %s", size() + 1, $$parms, pp()) }
    probe kernel.function("vfs_read") { println($count, " ", $arg3, " ", $$parms); println(describe()) }
    probe kernel.function("vfs_write").return { println($return, " ", $$return, " ", @entry($count), " ", size()) }
    probe kernel.trace("sched_switch") { println($$vars) }
    """
    assert run(script, rounds=1, registers="4096,0x20,7") == Ran(
        "7 7 file=0x1000 buf=0x20 count=0x7 pos=0x0\n"
        '8 file=0x1000 buf=0x20 count=0x7 pos=0x0 kernel.function("vfs_read")\n'
        "4096 return=0x1000 7 7\n"
    )


def test_all_variables_as_text() -> None:
    script = """
    function all() { return $$parms$ }
    probe kernel.function("vfs_read") {
        $file = &@var("open_file")
        println($$parms$); println($$vars$$); println("[", $$locals$, "]"); println(all() == $$parms$)
    }
    probe kernel.function("vfs_write").return { println($$return$, " ", $$return$$, " ", $$return, " ", $$parms$) }
    """
    ran = run(script, rounds=1, registers="0,1,7,2")
    shallow, deep, nothing, same, result = ran.output.splitlines()
    others = "buf=0x1 count=7 pos=0x2"
    assert shallow == (
        "file={.f_path={...}, .f_flags=32768, .f_ready=1, .f_mode=5, .f_pos=42} " + others
    )
    assert deep.startswith("file={.f_path={.mnt=0x10, .dentry=0x") and deep.endswith(others)
    assert (nothing, same) == ("[]", "1")
    assert result == "return=0 return=0 return=0x0 " + shallow  # the harness keeps its registers


def test_registers_are_read_and_written() -> None:
    script = """
    probe kernel.function("vfs_read") {
        println(@kregister(5), " ", @kregister(4), " ", @kregister(1)); $count = 99; println($count, " ", @kregister(1)) }
    """
    assert run(script, rounds=1, registers="1,2,3") == Ran("1 2 3\n99 99\n")


def test_a_type_follows_a_value() -> None:
    script = """
    global last, by[10], keys[4]
    function zoo() { return &@var("zoo") }
    function newest() { return last }
    function port(z) { return z->port }
    function same(x) { if (x) return zoo() return newest() }
    probe begin {
        last = zoo(); by[1] = last; keys[last] = 1
        println(newest()->port, " ", by[1]->inner, " ", port(last), " ", same(0)->small)
        foreach (k in keys) print(k->kind); foreach (v = i in by) println(" ", i, v->letter)
        t = 0; t = @var("zoo")->self; println(t->self->bytes[1], " ", (t ? t : zoo())->high, " ", (u = t)->word)
    }
    """
    assert run(script) == Ran("65535 9 65535 -5\n2 1122\n128 17 16909060\n")


@pytest.mark.parametrize(
    ("script", "slug"),
    [
        ("probe begin { x = 5; println(x->y) }", "no-type"),
        ('probe begin { println(@var("zoo")->port[1]) }', "not-a-pointer"),
        ('probe begin { println(@var("zoo")->name) }', "whole-struct"),
        ('probe begin { println(&@var("zoo")->low) }', "no-address"),
        ('probe begin { @var("zoo")->name = 1 }', "whole-struct"),
        ('probe begin { @var("zoo")->label = 1 }', "not-assignable"),
        ('probe begin { @var("zoo")->port .= "x" }', "type-mismatch"),
        ('probe begin { @var("zoo")->port = "x" }', "type-mismatch"),
        ('probe begin { println(@cast(0, "zebra")->x) }', "unknown-type"),
        ("function f() { return @entry($count) } probe kernel.function(\"vfs_read\").return { f() }", "entry-outside-return"),
    ],
)  # fmt: skip
def test_mistakes(script: str, slug: str) -> None:
    assert refusal(script) == [slug]
