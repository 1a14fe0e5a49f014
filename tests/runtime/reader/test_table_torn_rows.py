# SPDX-License-Identifier: GPL-2.0-or-later
"""Rows of more than a word, read while other CPUs write them: consistent, or counted as unsettled."""

from __future__ import annotations

import mmap
import subprocess
from pathlib import Path

import pytest

from runtime.abi.manifest import Statistic, Storage, ValueType
from runtime.reader.device import Image
from runtime.reader.merge import words
from runtime.reader.table import TableReader
from runtime.support.record import replace
from tests import PROJECT
from tests.runtime.images import Plan, Writer

HERE = Path(__file__).parent
INCLUDE = PROJECT / "runtime/kernel/include"
ROWS, SIZE, WORDS, READS = 40, 512, 8, 200


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("writer") / "writer"
    flags = ["-O2", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-DSW_USERSPACE", f"-I{INCLUDE}"]
    source = HERE / "writer.c"
    subprocess.run(["gcc", *flags, source, "-o", output, "-pthread"], check=True, timeout=120)
    return output


def planned() -> tuple[Plan, Writer]:
    plan = Plan(lanes=1)
    plan.scalar("lock", Storage.SHARED)
    text = plan.array("text", {"n": None}, ROWS, Storage.SHARED, ValueType.STRING, SIZE)
    stat = plan.array(
        "stat", {"n": None}, ROWS, Storage.SHARED, ValueType.STAT, 8 * WORDS, Statistic(0, 1)
    )
    plan.tables[2] = stat = replace(stat, sequence=text.sequence)
    image = plan.image()
    for n in range(ROWS):
        image.slot(text, n, 2, (n,))
        image.slot(stat, n, 2, (n,))
    return plan, image


def test_rows_are_whole(program: Path, tmp_path: Path) -> None:
    plan, image = planned()
    lock, text, stat = plan.tables
    assert text.sequence is not None
    path = tmp_path / "image"
    path.write_bytes(image.data)
    places = [lock.rows, text.sequence, text.rows, SIZE, stat.rows, ROWS]
    places = [n if n in (SIZE, ROWS) else n + image.shared for n in places]
    process = subprocess.Popen(
        [program, path, *map(str, places)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "ready\n"
        with (
            path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, mmap.MAP_SHARED, mmap.PROT_READ) as mapped,
            Image(mapped) as view,
        ):
            texts, stats = TableReader(text), TableReader(stat)
            seen, unsettled = set(), 0
            for _ in range(READS):
                found = texts.read(view)
                assert all(len(set(value)) == 1 for value in map(str, found.values)), found.values
                seen.update(found.values)
                # without excluded elements, whose rows stay as copied
                numbers = words(b"".join(rows for _, rows in stats.read(view).pages()))
                rows = {tuple(numbers[at : at + WORDS]) for at in range(0, len(numbers), WORDS)}
                assert all(len(set(row)) == 1 for row in rows), rows
                unsettled += found.unsettled
            del found
        assert len(seen) > 1, "nothing was written meanwhile"
        assert unsettled < READS * ROWS
        output, _ = process.communicate(timeout=60)
        assert int(output) > READS
    finally:
        process.kill()
        process.wait(timeout=60)


class TestWriterThatNeverEnds:
    """A sequence that stays odd: the previous value is shown, and the row is counted."""

    def test_array(self) -> None:
        plan = Plan(lanes=1)
        table = plan.array("t", {"n": None}, 300, Storage.SHARED, ValueType.STRING, 16)
        image = plan.image()
        for n in range(200):
            image.slot(table, n, 2, (n,))
            image.text(table, n, b"old")
        reader, view = TableReader(table), Image(image.data)
        assert set(reader.read(view).values) == {"old"}
        image.writing(table, 3)
        for n in range(200):
            image.text(table, n, b"half")
        image.slot(table, 7, 4, (7000,))  # another element: no earlier value is known
        image.slot(table, 8, 3, (8,))  # deleted
        image.slot(table, 200, 2, (200,))
        image.text(table, 200, b"half")
        found = reader.read(view)
        assert set(found.values) == {"old"} and len(found.values) == 198
        assert {(7,), (7000,), (8,), (200,)}.isdisjoint(found.keys)
        assert found.unsettled == 200
        image.writing(table, 4)
        found = reader.read(view)
        assert (found.unsettled, len(found.values), set(found.values)) == (0, 200, {"half"})
        assert (7000,) in found.keys

    def test_scalar(self) -> None:
        plan = Plan(lanes=1)
        table = plan.scalar("t", Storage.SHARED, ValueType.STRING, 16)
        image = plan.image()
        reader, view = TableReader(table), Image(image.data)
        image.writing(table, 1)
        image.text(table, 0, b"half")
        found = reader.read(view)
        assert (found.keys, found.values, found.unsettled) == ([], [], 1)
        image.writing(table, 2)
        assert reader.read(view).values == ["half"]
        image.writing(table, 3)
        image.text(table, 0, b"h")
        found = reader.read(view)
        assert (found.values, found.unsettled) == (["half"], 1)


def test_only_shared_rows_have_a_sequence() -> None:
    plan = Plan(lanes=1)
    table = plan.scalar("t", Storage.PERCPU)
    with pytest.raises(ValueError, match="sequence"):
        TableReader(replace(table, sequence=8))
