# SPDX-License-Identifier: GPL-2.0-or-later
"""The long parts of one script's status: values, text, lines; and that they are what /metrics and the file have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.agent.conftest import Lines, run, until
from tests.agent.daemon.test_service import Agent, configure, serving
from tests.agent.standin import StandInDevice

TEXT = "ok tables\n# of the script\n"
CONFIG = "scripts: {vfs: {metrics: {sizes: {unit: seconds, scale: 1e-9}, title: {type: info}}}}\n"


async def asked(agent: Agent, query: str) -> dict[str, Any]:
    status, _, body = await agent.get(f"/status?script=vfs{query}")
    assert status == 200, body
    [script] = json.loads(body)["scripts"]
    found: dict[str, Any] = script
    return found


def fill(device: StandInDevice) -> None:
    writer = device.writer
    tables = {table.name: table for table in writer.manifest.tables}
    for slot, (name, count) in enumerate((("sshd", 3), ("\udcff\n", 5))):
        key = name.encode(errors="surrogateescape")
        writer.slot(tables["calls"], slot, 2, (key,))
        writer.row(tables["calls"], slot, slot, count)
    writer.slot(tables["sizes"], 0, 2, ("vda",))
    writer.row(tables["sizes"], 0, 0, 1000, *[0] * 9, 4, 0, 2)
    writer.row(tables["depth"], 0, 0, -4)
    writer.slot(tables["title"], 0, 2, (7,))
    writer.text(tables["title"], 0, b"a text")


def test_values(tmp_path: Path, lines: Lines) -> None:
    async def work() -> None:
        async with serving(configure(tmp_path, CONFIG, vfs=TEXT)) as agent:
            [device] = agent.kernel.devices.values()
            fill(device)
            found = {v["global"]: v for v in (await asked(agent, "&parts=values"))["values"]}
            calls = found["calls"]
            assert (calls["family"], calls["type"]) == ("stapwatch_vfs_calls", "counter")
            assert (calls["labels"], calls["keys"]) == (["process"], [["sshd"], ["\\xff\n"]])
            assert (calls["values"], calls["elements"]) == ([3, 5], 2)
            sizes = found["sizes"]
            assert (sizes["multiply"], sizes["divide"]) == (1, 10**9)
            # the buckets from the first to the last that is filled: 128 to 255, 256 to 511, 512 to 1023
            assert sizes["bounds"] == [255, 511, 1023]
            assert sizes["values"] == [[[4, 0, 2], 1000]]
            assert (found["depth"]["values"], found["depth"]["keys"]) == ([-4], [[]])
            assert found["title"]["values"] == ["a text"]
            assert "values" not in await asked(agent, "")

    run(work())


def test_an_empty_histogram_has_no_buckets(tmp_path: Path, lines: Lines) -> None:
    async def work() -> None:
        async with serving(configure(tmp_path, CONFIG, vfs=TEXT)) as agent:
            found = {v["global"]: v for v in (await asked(agent, "&parts=values"))["values"]}
            assert (found["sizes"]["bounds"], found["sizes"]["values"]) == ([], [])

    run(work())


def test_the_text_is_that_of_the_file(tmp_path: Path, lines: Lines) -> None:
    async def work() -> None:
        async with serving(configure(tmp_path, vfs=TEXT)) as agent:
            found = await asked(agent, "&parts=text")
            assert (found["text"], found["text_problem"]) == (TEXT, "")
            file = tmp_path / "probes.d/vfs.stp"
            file.write_text(f"{TEXT}# more\n")
            assert (await asked(agent, "&parts=text"))[
                "text_problem"
            ] == "the file has changed since"
            file.unlink()
            found = await asked(agent, "&parts=text")
            assert found["text"] is None
            assert found["text_problem"] == f"{file}: No such file or directory"

    run(work())


def test_lines_are_given_once(tmp_path: Path, lines: Lines) -> None:
    async def work() -> None:
        async with serving(configure(tmp_path, vfs=TEXT)) as agent:
            [device] = agent.kernel.devices.values()
            device.say()
            await until(lambda: "hello" in lines.texts)
            [line] = (await asked(agent, "&parts=lines,values"))["lines"]
            assert (line["number"], line["text"], line["level"]) == (1, "hello", "info")
            assert (await asked(agent, "&parts=lines&lines_after=1"))["lines"] == []

    run(work())


@pytest.mark.parametrize("query", ["?parts=values", "?script=vfs&parts=everything"])
def test_unknown_parts_are_refused(tmp_path: Path, lines: Lines, query: str) -> None:
    async def work() -> None:
        async with serving(configure(tmp_path, vfs=TEXT)) as agent:
            status, _, body = await agent.get(f"/status{query}")
            assert status == 400 and b"values, text, lines" in body

    run(work())
