# SPDX-License-Identifier: GPL-2.0-or-later
"""Devices, replaced by files: mapping, waiting, errors. Real devices are tested in the lab."""

import errno
import os
import threading
from pathlib import Path

import pytest

from runtime.reader.device import Device, DeviceError
from runtime.reader.snapshot import SnapshotReader
from tests.runtime.images import Plan, Writer


@pytest.fixture
def image() -> Writer:
    plan = Plan(lanes=2)
    plan.scalar("total")
    return plan.image()


def test_values_through_the_mapping(tmp_path: Path, image: Writer) -> None:
    path = tmp_path / "swatch_x"
    path.write_bytes(image.data)
    with Device.open("swatch_x", folder=tmp_path) as device:
        assert device.fileno() >= 0
        reader = SnapshotReader(device)
        assert reader.read().tables[0].values == [0]
        table = image.manifest.tables[0]
        image.row(table, 0, 0, 40)
        image.row(table, 1, 0, 2)
        with path.open("r+b") as file:
            file.write(image.data)
        # no copy was made: the mapping shows the file's present contents
        assert reader.read().tables[0].values == [42]
    assert device.fileno() == -1
    device.close()


def test_the_node_comes_late(tmp_path: Path, image: Writer) -> None:
    path = tmp_path / "swatch_x"
    path.with_suffix(".new").write_bytes(image.data)
    late = threading.Timer(0.05, lambda: path.with_suffix(".new").rename(path))
    late.start()
    try:
        with Device.open("swatch_x", timeout_s=60, folder=tmp_path) as device:
            assert device.header().nr_lanes == 2
    finally:
        late.join()


def test_the_node_never_comes(tmp_path: Path) -> None:
    with pytest.raises(
        DeviceError, match=r"module swatch_x has no device .* is it loaded"
    ) as caught:
        Device.open("swatch_x", timeout_s=0.02, folder=tmp_path)
    assert caught.value.errno == errno.ENOENT


def open_descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))  # noqa: PTH208


@pytest.mark.parametrize("content", [b"", b"x" * 5000, "short"])
def test_what_is_no_device(tmp_path: Path, content: bytes | str, image: Writer) -> None:
    data = bytes(image.data[:-1]) if isinstance(content, str) else content
    (tmp_path / "swatch_x").write_bytes(data)
    before = open_descriptors()
    with pytest.raises(ValueError, match=r"module swatch_x: "):
        Device.open("swatch_x", folder=tmp_path)
    assert open_descriptors() == before


def test_requests_that_the_kernel_refuses(tmp_path: Path, image: Writer) -> None:
    (tmp_path / "swatch_x").write_bytes(image.data)
    with Device.open("swatch_x", folder=tmp_path) as device:
        for verb, request in (
            ("start", device.start),
            ("stop", device.stop),
            ("sync", device.sync),
        ):
            with pytest.raises(DeviceError, match=f"cannot {verb} module swatch_x: ") as caught:
                request()
            assert caught.value.errno == errno.ENOTTY
