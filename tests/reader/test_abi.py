# SPDX-License-Identifier: GPL-2.0-or-later
"""abi.py is the mirror of abi.h: a C compiler tells sizes, offsets and numbers."""

import re
import struct
import subprocess
from pathlib import Path

import pytest

from runtime import abi

INCLUDE = Path(abi.__file__).parent / "include" / "stapwatch"

MIRRORS = {
    "sw_header": abi.HEADER,
    "sw_probe_counts": abi.PROBE_COUNTS,
    "sw_probe_status": abi.PROBE_STATUS,
    "sw_lane_counts": abi.LANE_COUNTS,
    "sw_array_head": abi.ARRAY_HEAD,
    "sw_slot": abi.SLOT,
    "sw_event": abi.EVENT,
    "sw_start": abi.START,
    "sw_sums": abi.SUMS,
}


def fields(name: str) -> list[str]:
    """The members of a struct in abi.h."""
    text = re.sub(r"/\*.*?\*/", "", (INCLUDE / "abi.h").read_text(), flags=re.S)
    body = re.search(rf"struct {name} \{{(.*?)\}};", text, re.S)
    assert body, name
    return re.findall(r"\b(\w+)(?:\[\w+\])?;", body[1])  # `x[]` at the end takes no room


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
    for constant in ("SW_ABI", "SW_IOC_START", "SW_IOC_STOP", "SW_IOC_SYNC", "SW_IOC_SUMS"):
        rows.append(f'P("{constant}", {constant})')
    for prefix, numbers in (("SW", abi.State), ("SW_EVENT", abi.EventKind)):
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
    assert from_c["SW_ABI"] == abi.ABI
    assert from_c["SW_IOC_START"] == abi.IOC_START
    assert from_c["SW_IOC_STOP"] == abi.IOC_STOP
    assert from_c["SW_IOC_SYNC"] == abi.IOC_SYNC
    assert from_c["SW_IOC_SUMS"] == abi.IOC_SUMS
    for state in abi.State:
        assert from_c[f"SW_{state.name}"] == state
    for kind in abi.EventKind:
        assert from_c[f"SW_EVENT_{kind.name}"] == kind


def test_every_struct_has_a_mirror() -> None:
    text = (INCLUDE / "abi.h").read_text()
    assert set(re.findall(r"^struct (\w+) \{", text, re.M)) == set(MIRRORS)


@pytest.mark.parametrize(
    ("magic", "version", "why"), [(b"elsewise", abi.ABI, "magic"), (abi.MAGIC, 99, "ABI 99")]
)
def test_foreign_header(magic: bytes, version: int, why: str) -> None:
    data = abi.HEADER.pack(magic, version, *[0] * 13)
    with pytest.raises(ValueError, match=why):
        abi.Header.unpack(data)
