# SPDX-License-Identifier: GPL-2.0-or-later
"""Names at file level of the runtime's C, which is compiled as one unit together with kernel headers.

A name that a file defines for itself is visible in all files after it, and may collide with one of their
names or of the kernel's. So no two files define one name, and every name begins with `sw_` or with the first
word of its file's name: `ring.c` may define `ring_create`, `RING_WAKEUP_MS`, `struct ring_x`, `sw_ring`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

import runtime

KERNEL = Path(runtime.__file__).parent / "kernel"
ROOMS = ("core", "probes", "lib", "include/stapwatch")  # folders in which prefixes are checked
# the kernel's names, for C without kernel headers
WITHOUT_PREFIX = frozenset({"include/stapwatch/types.h"})

_NOISE = re.compile(
    r"""/\*.*?\*/ | //[^\n]* | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])+'""", re.X | re.S
)
_DIRECTIVE = re.compile(r"^[ \t]*#(?:\\\n|[^\n])*", re.M)
_MACRO = re.compile(r"#\s*define\s+(\w+)")
_TAG = re.compile(r"\b(struct|union|enum)\s+(\w+)\s*$")
_TYPEDEF = re.compile(r"\btypedef\b.*?(\w+)\s*(?:\([^()]*\)|\[[^]]*\])?\s*$", re.S)
_ATTRIBUTE = re.compile(r"__(?:attribute__|aligned|printf)\s*\((?:[^()]|\([^()]*\))*\)")
# the kernel's macros that define a variable, in place of `type name`
_DEFINING = re.compile(r"\b(?:DEFINE|DECLARE)_[A-Z_]+\((\w+)\)")
_FORWARD = re.compile(r"\s*(?:struct|union|enum)\s+\w+\s*$")
_CALLED = re.compile(r"^\s*(?:module_\w+|MODULE_\w+|static_assert|_Static_assert)\(")
_FUNCTION = re.compile(r"(\w+)\s*\([^;{]*$", re.S)
_VARIABLE = re.compile(r"(\w+)\s*(?:\[[^]]*\]\s*)*$")


def names(text: str) -> Iterator[str]:
    """The names that a file defines at file level: macros, functions, variables, types, enumerators.

    Tags come as `struct x`: they do not collide with functions. Declarations (`extern`, prototypes) are
    left out.
    """
    text = _NOISE.sub('""', text)
    for directive in _DIRECTIVE.findall(text):
        yield from _MACRO.findall(directive)
    for head, body in _statements(_ATTRIBUTE.sub("", _DIRECTIVE.sub("", text))):
        yield from _defined(head, body)


def _statements(text: str) -> Iterator[tuple[str, str | None]]:
    """Each statement at file level: the text before its first brace, and the contents of the brace, if
    any."""
    depth, start, head, body = 0, 0, "", None
    for at, char in enumerate(text):
        if char == "{":
            if depth == 0 and body is None:
                head, start = text[start:at], at + 1
            depth += 1
        elif char == "}":
            depth -= 1
            if depth == 0:
                body, start = text[start:at], at + 1
                if head.rstrip().endswith(")"):  # a function's body ends without a semicolon
                    yield head, body
                    body = None
        elif char == ";" and depth == 0:
            yield (head, body) if body is not None else (text[start:at], None)
            start, body = at + 1, None


def _defined(head: str, body: str | None) -> Iterator[str]:
    tag = _TAG.search(head)
    if body is not None and tag:
        yield f"{tag[1]} {tag[2]}"
        if tag[1] == "enum":
            yield from re.findall(r"(?:^|,)\s*(\w+)", body)
        return
    if "typedef" in head:
        yield from _TYPEDEF.findall(head)
        return
    if defining := _DEFINING.search(head):
        yield defining[1]
        return
    head = head.partition("=")[0]
    if "extern" in head or _FORWARD.match(head) or _CALLED.match(head) or not head.strip():
        return
    if "(" in head:
        if body is not None:  # without one it is a prototype
            yield from _FUNCTION.findall(head)[:1]
        return
    variables = _VARIABLE.search(head)
    for declarator in head.split(",") if variables else ():
        yield from _VARIABLE.findall(declarator)


def has_prefix(name: str, file: str) -> bool:
    first = re.split(r"[_.]", Path(file).name)[0]
    words = name.split()[-1].lower().split("_")
    return words[0] in ("sw", first, "stapwatch")


def _sources(pattern: str) -> dict[str, str]:
    return {str(p.relative_to(KERNEL)): p.read_text() for p in sorted(KERNEL.rglob(pattern))}


EXAMPLE = """\
#include <linux/fs.h>
#define SIZE 3 /* bytes of { */
#define put(x) \\
	do { f(x); } while (0)
typedef int fetch(void *to);
struct opened;
struct text {
	char *to; /* not a name */
	struct { u32 inner; };
};
enum kind { FIRST, SECOND = 2 };
static const struct text rows[] __aligned(64) = { { .to = "};" }, };
static u64 one, two; /* three; */
static DEFINE_MUTEX(lock);
extern u32 elsewhere;
int prototype(u32 n);
static __always_inline int get(void (*f)(int a), struct text *t)
{
	static u32 local;

	return local ? '}' : 0;
}
module_init(get);
int last(void)
{
}
"""


def test_finds_what_a_file_defines() -> None:
    found = list(names(EXAMPLE))
    expected = (
        "SIZE, put, fetch, struct text, enum kind, FIRST, SECOND, rows, one, two, lock, get, last"
    )
    assert found == expected.split(", ")


def test_no_name_is_defined_twice() -> None:
    found = defaultdict(set)
    for file, text in _sources("*.c").items():
        for name in names(text):
            found[name].add(file)
    assert len(found) > 400
    assert {name: sorted(files) for name, files in found.items() if len(files) > 1} == {}


def test_no_allocation_may_kill_a_process() -> None:
    """SW_GFP and SW_GFP_PERCPU fail instead; functions without flags use GFP_KERNEL."""
    calls = re.compile(r"\bGFP_\w+|\balloc_percpu\(|\bv[mz]alloc(?:_node)?\(")
    assert calls.findall("vzalloc_node(8, 1) alloc_percpu(int) kmalloc(8, GFP_KERNEL) SW_GFP") == [
        "vzalloc_node(",
        "alloc_percpu(",
        "GFP_KERNEL",
    ]
    found = {
        file: calls.findall(_NOISE.sub("", text))
        for file, text in _sources("*.[ch]").items()
        if file != "core/runtime.h"
    }
    assert {file: uses for file, uses in found.items() if uses} == {}


def test_no_lock_sleeps_in_a_realtime_kernel() -> None:
    """Handlers run with preemption off, where such a kernel's spinlock_t, which is a mutex, may not be taken."""
    locks = re.compile(
        r"\b(?:(?:DEFINE_)?(?:SPINLOCK|RWLOCK)|spinlock_t|rwlock_t|local_lock\w*|local_bh_\w+|task_lock"
        r"|(?:spin|read|write)_(?:try)?lock\w*)\b"
    )
    assert locks.findall(
        "spin_lock_irqsave(&a, f); raw_spin_lock(&b); rcu_read_lock(); task_lock(t)"
    ) == [
        "spin_lock_irqsave",
        "task_lock",
    ]
    found = {file: locks.findall(_NOISE.sub("", text)) for file, text in _sources("*.[ch]").items()}
    # when a script starts, in the process that starts it
    assert {file: uses for file, uses in found.items() if uses} == {
        "probes/process_filter.c": ["task_lock"]
    }


@pytest.mark.parametrize("room", ROOMS)
def test_every_name_has_its_file_s_prefix(room: str) -> None:
    found = [
        (file, name)
        for file, text in _sources("*.[ch]").items()
        if file.startswith(f"{room}/") and file not in WITHOUT_PREFIX
        for name in names(text)
    ]
    assert len(found) > 50
    assert [(file, name) for file, name in found if not has_prefix(name, file)] == []


def test_no_size_of_memory_is_cut_to_32_bits() -> None:
    """A script's arrays can have more than 4 GiB; an allocation of the low half would be overrun."""
    text = (KERNEL / "include/stapwatch/script.h").read_text()
    body = text.partition("struct sw_script {")[2].partition("\n};")[0]
    found = {name: width for width, name in re.findall(r"^\t(u\d+) (\w+_size);", body, re.M)}
    assert found.pop("build_id_size") == "u32"
    assert len(found) == 4
    assert set(found.values()) == {"u64"}
