# SPDX-License-Identifier: GPL-2.0-or-later
"""The C of scripts that was once wrong or inefficient."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.language.userspace import HostedRuntime, Script, translate

READ = 'probe kernel.function("vfs_read")'


def c_of(text: str, **options: Any) -> str:
    return translate(Script("x", text, **options)).c_text


def body(text: str, name: str) -> str:
    """The text of one function of generated C."""
    found = re.search(rf"^static [^\n;]*\b{name}\([^;{{]*\)\n\{{\n(.*?)^\}}", text, re.M | re.S)
    assert found is not None, text
    return found[1]


@pytest.mark.parametrize("name", ["probe_0", "probe_1", "twice"])
def test_sizes_do_not_depend_on_how_a_function_is_called(name: str) -> None:
    """Its `x` takes MAXSTRINGLEN bytes; that of the probe takes 16, and so does the key."""
    text = f"""
    global n
    {READ} {{ x = execname(); n[x]++ }}
    function {name}(y) {{ x = sprintf("%*s", 300, y); return x . y }}
    probe end {{ println({name}("abc")) }}
    """
    found = c_of(text)
    assert "struct { char x[16]; char text_0[16]; struct key_n key_1; } frame_probe_0;" in found
    assert "sw_array_find_long" not in found


def test_an_entry_is_counted_by_its_own_return_probe() -> None:
    text = "global a, b, t, u\n" + "\n".join(
        [
            f"{READ} {{ a[tid()] = gettimeofday_ns() }}",
            f"{READ} {{ b[tid()] = gettimeofday_ns() }}",
            f"{READ}.return {{ if (tid() in a) {{ t <<< a[tid()]; delete a[tid()] }} }}",
            f"{READ}.return {{ if (tid() in b) {{ u <<< b[tid()]; delete b[tid()] }} }}",
        ]
    )
    found = c_of(text)
    assert "sw_enter(offsetof(struct area, lane.probes), 0)" in body(found, "entry_2")
    assert "sw_enter(offsetof(struct area, lane.probes), 1)" in body(found, "entry_3")


def test_a_return_probe_counts_one_entry() -> None:
    """The second one's array stays, since an entry handler counts one probe's hits."""
    text = "global a, b, t\n" + "\n".join(
        [
            f"{READ} {{ a[tid()] = gettimeofday_ns() }}",
            f"{READ} {{ b[tid()] = gettimeofday_ns() }}",
            f"{READ}.return {{ t <<< a[tid()] + b[tid()]; delete a[tid()]; delete b[tid()] }}",
        ]
    )
    found = c_of(text)
    assert "static int entry_2(" in found and "static void probe_1(" in found
    assert "key_a" not in found and "struct key_b" in found


def test_a_comparison_is_a_truth_value() -> None:
    text = f"global n {READ} {{ if (n > 4 && n++ != 5) println(n > 4 || --n < 3) }}"
    assert " != 0;" not in body(c_of(text), "probe_0")
    folded = c_of(f"global n {READ} {{ n = 3; println(1 && n > 4) }}")
    assert "sw_event_long(record, s->n > 4)" in folded


def test_comparisons_of_comparisons_have_brackets() -> None:
    found = c_of(f"global n {READ} {{ n = 3; println((n > 4) != 0, n == (n < 2)) }}")
    assert "(s->n > 4) != 0" in found and "s->n == (s->n < 2)" in found


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (f"global n {READ} {{ n++; next }}", "probe_0"),
        (f"global n {READ} {{ n = pid(); println(n); try {{ next }} catch {{ }} }}", "probe_0"),
        ("function f(x) { if (x > 3) return 1; return 2 } probe end { println(f(3)) }", "fn_f_"),
        ("probe end { for (i = 0; i < 3; i++) { println(i); continue } }", "probe_0"),
        ('function f() { error("x"); next } probe end { f() }', "fn_f_"),
    ],
)
@pytest.mark.parametrize("optimise", [True, False])
def test_no_jump_to_the_next_line(text: str, name: str, optimise: bool) -> None:
    found = c_of(text, optimise=optimise)
    body(found, name)
    assert not re.search(r"goto (\w+);\n(\w+:\n)*\1:", found)
    for label in re.findall(r"^(\w+):$", found, re.M):
        assert f"goto {label};" in found


def test_a_division_by_0_happens_only_where_it_is_reached() -> None:
    text = 'global z probe timer.s(1) { z++ } probe end { if (z > 100 && 1 / 0) println("no"); println("yes") }'
    with HostedRuntime.open() as workshop:
        assert workshop.run_script(text).transcript == "yes\n"


def test_lines_of_embedded_c_keep_their_numbers() -> None:
    text = "%{\nint one;\n\n\nint four;\n%}\nfunction f:long() %{\n\tint a;\n\n\n\tSTAP_RETVALUE = a = 1;\n%}\nprobe end { println(f()) }"
    found = c_of(text, guru=True).split("\n")
    numbers, line = {}, 0
    for written in found:
        line += 1
        if (directive := re.match(r'#line (\d+) "(.*)"', written)) is not None:
            line = int(directive[1]) - 1
        else:
            numbers[written.strip()] = line
    assert numbers["int four;"] == 5
    assert numbers["STAP_RETVALUE = a = 1;"] == 11
    assert numbers["const struct sw_script sw_script = {"] == 1 + found.index(
        "const struct sw_script sw_script = {"
    )
