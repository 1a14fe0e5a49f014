# SPDX-License-Identifier: GPL-2.0-or-later
"""Kinds of work that a hit can do for ever, one after the other: statements that a test repeats until the hit has
no action left. Each is paid for by other code of the compiler or the runtime.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """`before` fills arrays and strings in a probe of its own. `room`: MAXSTRINGLEN. `lanes`: CPUs, in user
    space."""

    name: str
    work: str
    globals: str = ""
    before: str = ""
    functions: str = ""
    room: int = 512
    lanes: int = 2

    def script(self, point: str, test: str = "") -> str:
        """`test` comes first in the probe at `point` that does the work."""
        declared = f"global {self.globals}\n" if self.globals else ""
        before = f"probe begin {{ {self.before} }}\n" if self.before else ""
        body = f"{test} while (1) {{ {self.work} }}"
        return f"{declared}{self.functions}\n{before}probe {point} {{ {body} }}"


_LONG = 's = "x"; for (i = 0; i < 16; i++) s .= s'  # as long as strings get
SHORT = (15, 31, 63)  # bytes of strings whose work no loop pays for
_ARRAY = "for (i = 0; i < 300; i++) a[i * 7 % 300] = i * 37 % 109"
_TEXTS = 'for (i = 0; i < 100; i++) a[sprintf("%060d%d", 0, i * 7 % 100)] = i'
_SAMPLES = "for (i = 0; i < 100; i++) { a <<< i; b[i % 10] <<< i * 1000 }"

# keys whose hashes lead to one place of the index: multiples of the inverse of the hash's factor
_INVERSE = pow(0x9E3779B97F4A7C15, -1, 1 << 64)
_COLLIDING = f"for (i = 0; i < 900; i++) a[(i << 52) * {_INVERSE}] = i"

KINDS = (
    Kind("statements", "n++", "n"),
    Kind("arithmetic", "n = n * 3 / 7 % 1000 + (n << 3 ^ n >> 2)", "n"),
    Kind("elements", "n = a[n % 300]++", "n, a", _ARRAY),
    Kind("new elements", "a[n++] = n; delete a[n - 1]", "n, a"),
    Kind("keys that collide", f"m += a[(n++ % 900 << 52) * {_INVERSE}]", "m, n, a", _COLLIDING),
    Kind("new keys that collide", f"a[(n++ % 900 << 52) * {_INVERSE}] = n", "n, a", _COLLIDING),
    Kind("wide rows", 'a[n++] = "text"; delete a[n - 1]', "n, a"),
    Kind("long keys", "a[s, n++ % 3] = n", "n, a, s", _LONG),
    Kind("sorting by number", "foreach (k in a+) n += k", "n, a", _ARRAY),
    Kind("sorting by key", "foreach (k- in a) { n += k; break }", "n, a", _ARRAY),
    Kind("sorting by text", "foreach (k+ in a) { n++; break }", "n, a", _TEXTS),
    Kind("sorting with a limit", "foreach (k in a- limit 5) n += k", "n, a", _ARRAY),
    Kind("sorting by an average", "foreach (k in b-) { n += k; break }", "n, a, b", _SAMPLES),
    Kind("sorting by CPUs' averages", "foreach (k in b-) { n += k; break }", "n, a, b", _SAMPLES, lanes=64),
    Kind("a slice", "foreach ([k, l] in a[*, 3]) n++", "n, a", "for (i = 0; i < 1900; i++) a[i, i % 7] = i"),
    Kind("deleting a slice", "delete a[*, n++]", "n, a", "for (i = 0; i < 1900; i++) a[i, i % 7] = i"),
    Kind("looking for a slice", "n += [*, 9] in a", "n, a", "for (i = 0; i < 1900; i++) a[i, i % 7] = i"),
    Kind("deleting all", "for (i = 0; i < 200; i++) a[i] = i; delete a", "a"),
    Kind("deleting all of many", "delete a; for (i = 0; i < 30; i++) a[i] = i", "a", _ARRAY),
    Kind("statistics", "a <<< n++; n += @count(a) + @max(a) + @variance(a)", "n, a"),
    Kind("statistics of CPUs", "n += @count(a) + @avg(a) + @min(b[3])", "n, a, b", _SAMPLES, lanes=64),
    Kind("numbers of CPUs", "m += n + a[3]", "n, a, m", "n++; a[3]++", lanes=200),
    Kind("buckets", "foreach (i in @hist_log(a)) n += i", "n, a, b", _SAMPLES),
    Kind("a bucket", "n += @hist_log(a)[64]", "n, a, b", _SAMPLES, lanes=64),
    Kind("printing a histogram", "print(@hist_log(a))", "a, b", _SAMPLES, lanes=64),
    Kind("drawing a histogram", "t = sprint(@hist_log(a))", "t, a, b", _SAMPLES, room=4096, lanes=64),
    Kind("printing", 'printf("%d %d %s\\n", n++, n, "text")', "n"),
    Kind("printing many", f'printf("{"%d " * 30}\\n", {", ".join(["n"] * 30)})', "n"),
    Kind("printing long strings", 'printf("%s %s\\n", s, s)', "s", _LONG, room=4096),
    Kind("formatting", 't = sprintf("%5d %x %s %c %-20s|", n++, n, "text", 65, "left")', "t, n"),
    Kind("formatting long strings", 't = sprintf("%s%s", s, s)', "t, s", _LONG, room=65536),
    Kind("formatting wide", 't = sprintf("%400d", n++)', "t, n"),
    Kind("copying", "t = s; u = t", "t, u, s", _LONG),
    Kind("copying long strings", "t = s; u = t", "t, u, s", _LONG, room=65536),
    Kind("joining", 't = s . "x"', "t, s", _LONG),
    Kind("joining long strings", "t = s . s", "t, s", _LONG, room=65536),
    Kind("comparing", 'n += s . "a" == s . "b"', "n, s", _LONG),
    Kind("comparing long strings", "n += s == t", "n, s, t", _LONG + "; t = s", room=65536),
    Kind("strlen", "n += strlen(s)", "n, s", _LONG, room=65536),
    Kind("substr", "n += strlen(substr(s, 3, 60000))", "n, s", _LONG, room=65536),
    Kind("isinstr", 'n += isinstr(s, substr(s, 0, 200) . "y")', "n, s", _LONG, room=65536),
    Kind("strpos", 'n += strpos(s, "xxxxxxxxxxxxxxxxxxxy")', "n, s", _LONG, room=4096),
    Kind("stringat", "n += stringat(s, 9999)", "n, s", _LONG, room=65536),
    Kind("strtol", "n += strtol(s, 36)", "n, s", _LONG, room=65536),
    Kind("floating point", "n = fp_div(fp_mul(fp_add(long_to_fp(n), 1 << 61), 3 << 61), fp_sub(n, 7 << 60)) + 1", "n"),
    Kind("a quotient", "n += fp_div(0x3ff5555555555555, 0x3fe1111111111111)", "n"),
    Kind("roots and remainders", "n += fp_sqrt(1 << 62) + fp_rem(0x7fe0000000000001, 3)", "n"),
    Kind("rounding", "n += fp_to_long(0x40f1111111111111, n & 3, 0) + fp_lt(n, 0) + fp32_to_fp64(n)", "n"),
    Kind("floating point to text", "t = fp_to_string(0x400921fb54442d18, 6)", "t"),
    Kind("large numbers to text", "t = fp_to_string(0x7fefffffffffffff, 20)", "t"),
    Kind("small numbers to text", "t = fp_to_string(1, 1100)", "t", room=2048),
    Kind("text to floating point", 'n += string_to_fp("3.14159265358979")', "n"),
    Kind("halves to floating point", 'n += string_to_fp("2.4703282292062327208e-324")', "n"),
    Kind("long text to floating point", "n += string_to_fp(s)", "n, s", _LONG.replace("x", "7"), room=65536),
    Kind("str_replace", 't = str_replace(s, "xxxy", "z")', "t, s", _LONG, room=65536),
    Kind("str_replace with more", 't = str_replace(s, "x", "zz")', "t, s", _LONG, room=65536),
    Kind("text_str", "t = text_str(s)", "t, s", _LONG, room=65536),
    Kind("tokenize", 't = tokenize(s, "abcdefghijklmn")', "t, s", _LONG, room=65536),
    Kind("expressions", 'n += s =~ "x*y"', "n, s", _LONG, room=65536),
    Kind("expressions with groups", 'n += s =~ "(x*)(x|y)(x*z)?"; t = matched(1)', "n, s, t", _LONG, room=4096),
    Kind("reading the kernel", "n += kernel_long(&@var(\"init_task\"))", "n"),
    Kind("functions", "n += f(n)", "n", functions="function f(n) { return g(n) + g(n + 1) }\n"
         "function g(n) { return h(n) * 2 }\nfunction h(n) { m = n; m++; return m }"),
    Kind("a recursion", "n += f(9)", "n",
         functions="function f(n) { if (n < 2) return n; return f(n - 1) + f(n - 2) }"),
    Kind("string functions", 't = f(t)', "t", functions='function f(s:string) { return s . "x" }'),
    Kind("try", 'try { error("no") } catch (t) { n++ }', "n"),
    Kind("a function's long body", "n += f(n)", "n",
         functions=f"function f(n) {{ {'n = n * 3 % 7; ' * 400} return n }}"),
)  # fmt: skip


def short(length: int) -> tuple[tuple[str, ...], str]:
    """The kinds of work on a string, and a script whose timers do one of them each, on a string so long."""
    kinds = [kind for kind in KINDS if kind.before == _LONG and kind.name != "stringat"]  # it fails
    names = sorted({name for kind in kinds for name in kind.globals.split(", ")} - {"s"})
    prints = (Kind("printing", "print(s)"), Kind("printing a longer one", 'print(s . "x")'))
    work = (*kinds, *prints)
    probes = [
        f"probe timer.ms({i + 2}) {{ while (1) {{ {kind.work} }} }}" for i, kind in enumerate(work)
    ]
    begin = f'probe begin {{ s = "{"x" * length}" }}'
    declared = "\n".join(f"global {name}" for name in ("s", *names))
    return tuple(kind.name for kind in work), "\n".join((declared, begin, *probes))
