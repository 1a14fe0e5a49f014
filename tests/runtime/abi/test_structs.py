# SPDX-License-Identifier: GPL-2.0-or-later
"""structs.py mirrors abi.h: a C compiler computes the expected sizes, offsets and numbers."""

import errno
import re
import struct
import subprocess
from pathlib import Path

import pytest

from runtime.abi import structs

INCLUDE = Path(structs.__file__).parents[1] / "kernel/include/stapwatch"

MIRRORS = {
    "sw_sizes": structs.SIZES,
    "sw_header": structs.HEADER,
    "sw_probe_counts": structs.PROBE_COUNTS,
    "sw_probe_status": structs.PROBE_STATUS,
    "sw_lane_counts": structs.LANE_COUNTS,
    "sw_array_head": structs.ARRAY_HEAD,
    "sw_slot": structs.SLOT,
    "sw_event": structs.EVENT,
    "sw_start": structs.START,
    "sw_budgets": structs.BUDGETS,
    "sw_sums": structs.SUMS,
    "sw_doubles": structs.DOUBLES,
    "sw_table": structs.TABLE,
    "sw_carry": structs.CARRY,
    "sw_expire": structs.EXPIRE,
}

NUMBERS = (
    ("SW", structs.State),
    ("SW_EVENT", structs.EventKind),
    ("SW_BREACH", structs.Breach),
    ("SW_COST", structs.Cost),
)


def fields(name: str) -> list[str]:
    """The members of a struct in abi.h."""
    text = re.sub(r"/\*.*?\*/", "", (INCLUDE / "abi.h").read_text(), flags=re.S)
    body = re.search(rf"struct {name} \{{(.*?)\}};", text, re.S)
    assert body, name
    return re.findall(r"\b(\w+)(?:\[\w+\])?;", body[1])  # `x[]` at the end takes no space


def requests() -> list[str]:
    return re.findall(r"#define (SW_IOC_\w+)", (INCLUDE / "abi.h").read_text())


@pytest.fixture(scope="module")
def from_c(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """Every size, offset and number that the header defines."""
    folder = tmp_path_factory.mktemp("abi")
    rows = []
    for name in MIRRORS:
        rows.append(f'P("{name}", sizeof(struct {name}))')
        for field in fields(name):
            rows.append(f'P("{name}.{field}", offsetof(struct {name}, {field}))')
            rows.append(f'P("{name}.{field}.size", sizeof(((struct {name} *)0)->{field}))')
    for constant in ("SW_ABI", "SW_WAITS", *requests()):
        rows.append(f'P("{constant}", {constant})')
    for prefix, numbers in NUMBERS:
        for member in numbers:
            rows.append(f'P("{prefix}_{member.name}", {prefix}_{member.name})')
    source = folder / "abi.c"
    source.write_text(
        "#include <stdio.h>\n#include <sys/ioctl.h>\n#undef NULL\n"
        "#undef offsetof\n#undef bool\n#undef true\n#undef false\n"
        '#include "types.h"\n#include "abi.h"\n'
        '#define P(name, value) printf("%s %lu\\n", name, (unsigned long)(value));\n'
        f"int main(void) {{ {' '.join(rows)} return 0; }}\n"
    )
    program = folder / "abi"
    subprocess.run(["gcc", "-Wall", f"-I{INCLUDE}", "-o", program, source], check=True, timeout=60)
    output = subprocess.run([program], check=True, timeout=60, capture_output=True, text=True)
    return {name: int(value) for name, value in map(str.split, output.stdout.splitlines())}


@pytest.mark.parametrize("name", MIRRORS)
def test_struct(name: str, from_c: dict[str, int]) -> None:
    mirror = MIRRORS[name]
    assert mirror.size == from_c[name]
    offset = 0
    rest = fields(name)
    for count, code in re.findall(r"(\d*)([A-Za-z])", mirror.format):
        size = struct.calcsize(f"<{count}{code}")
        if code in "sx":
            sizes = [size]
        else:
            sizes = [struct.calcsize(f"<{code}")] * int(count or 1)
        for size in sizes:
            field = rest.pop(0)
            assert from_c[f"{name}.{field}"] == offset, field
            assert from_c[f"{name}.{field}.size"] == size, field
            offset += size
    assert rest == []


def test_numbers(from_c: dict[str, int]) -> None:
    assert from_c["SW_ABI"] == structs.ABI
    assert from_c["SW_WAITS"] - (1 << 64) == structs.WAITING == -errno.EUNATCH
    for prefix, numbers in NUMBERS:
        for member in numbers:
            assert from_c[f"{prefix}_{member.name}"] == member
    for name in requests():
        assert from_c[name] == getattr(structs, name.removeprefix("SW_")), name


def test_every_struct_has_a_mirror() -> None:
    text = (INCLUDE / "abi.h").read_text()
    assert set(re.findall(r"^struct (\w+) \{", text, re.M)) == set(MIRRORS)


@pytest.mark.parametrize(
    ("magic", "version", "why"),
    [(b"elsewise", structs.ABI, "magic"), (structs.MAGIC, 99, "ABI 99")],
)
def test_foreign_header(magic: bytes, version: int, why: str) -> None:
    data = structs.HEADER.pack(magic, version, *[0] * 19, b"")
    with pytest.raises(ValueError, match=why):
        structs.Header.unpack(data)


def test_the_state_alone(from_c: dict[str, int]) -> None:
    assert from_c["sw_header.state"] == structs.STATE_OFFSET
    assert from_c["sw_header.state.size"] == structs.STATE.size
    assert [int(state) for state in structs.STATES] == list(range(len(structs.State)))
