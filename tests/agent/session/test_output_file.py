# SPDX-License-Identifier: GPL-2.0-or-later
"""Files of `run -o`: rotation when the script asks for it or the size is reached."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.session.output_file import Output, Rotation


class Told:
    def __init__(self) -> None:
        self.ends = 0
        self.said: list[str] = []

    def end(self) -> None:
        self.ends += 1


def opened(path: Path, rotation: Rotation | None = None) -> tuple[Output, Told]:
    told = Told()
    output = Output(told.end, told.said.append)
    output.to(str(path), rotation)
    return output, told


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_what_is_held_comes_in_order(tmp_path: Path) -> None:
    output, _ = opened(tmp_path / "out")
    output.write(b"one\n")
    output.after(lambda: output.write(b"between\n"))
    output.switch()
    output.write(b"two\n")
    assert contents(tmp_path) == {"out": b""}
    output.release()
    output.write(b"three\n")
    assert contents(tmp_path)["out.1"] == b"two\n", "written with what comes next"
    output.flush()
    assert contents(tmp_path) == {"out": b"one\nbetween\n", "out.1": b"two\nthree\n"}


def test_files_of_a_size(tmp_path: Path) -> None:
    output, _ = opened(tmp_path / "out", Rotation(1, 2))
    output.release()
    for n in range(5):
        output.write(bytes([ord("a") + n]) * (512 << 10))
    assert {name: (data[:1], len(data)) for name, data in contents(tmp_path).items()} == {
        "out.1": (b"c", 1 << 20),
        "out.2": (b"e", 512 << 10),
    }


def test_a_file_that_cannot_be_made_ends_the_session(tmp_path: Path) -> None:
    output, told = opened(tmp_path / "out")
    output.release()
    (tmp_path / "out.1").mkdir()
    output.switch()
    output.write(b"still\n")
    output.flush()
    assert told.ends == 1
    assert told.said == [f"error: cannot write {tmp_path}/out.1: Is a directory"]
    assert (tmp_path / "out").read_bytes() == b"still\n"


def test_standard_output_has_no_next_file(capfd: pytest.CaptureFixture[str]) -> None:
    told = Told()
    output = Output(told.end, told.said.append)
    output.release()
    output.switch()
    output.write(b"here\n")
    output.flush()
    assert capfd.readouterr().out == "here\n"
    assert (told.ends, told.said) == (0, [])
